"""What the event log costs: CPU a call, bytes a call, and how well texts pack.

A run as it is against the same run with events, results and packing replaced by nothing; the rest of the log, which a
run cannot do without, is in both. The offline simulator speaks, so nothing else waits. Sizes go with the search index
of `synth view`, and are extrapolated to 7,000 conversations of 30 calls; pictures aside.

    python benchmarks/bench_traces.py [--convs 150] [--rounds 3] [--run RUN]
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from synth.corpora.drawing import draw_catalogue
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces import store as store_module
from synth.traces.reader import RunReader
from synth.traces.store import RunStore
from synth.view.index import RunIndex

GOAL_MS, GOAL_MB = 0.25, 400
FULL = 7_000 * 30
TABLES = ("calls", "texts", "events", "results")


@contextmanager
def replaced(owner: Any, **functions: Callable[..., Any]) -> Iterator[None]:
    """An object's functions replaced for a while."""
    own = {name: getattr(owner, name) for name in functions}
    for name, function in functions.items():
        setattr(owner, name, function)
    try:
        yield
    finally:
        for name, function in own.items():
            setattr(owner, name, function)


def cpu(options: Options) -> tuple[float, int]:
    """Seconds of CPU of a run, and its calls."""
    began = time.process_time()
    summary = generate(options)
    return time.process_time() - began, sum(summary.calls.values())


def compare(place: Path, convs: int, rounds: int) -> Path:
    """Prints CPU a call with and without; the last whole run's folder."""
    draw_catalogue(place / "catalogue", 400)

    def options(name: str, count: int = convs) -> Options:
        return Options(catalog=place / "catalogue", scenarios=60, convs=count, out=place / name)

    cpu(options("warm", 10))
    nothing = {"note": lambda *_: None, "finish": lambda *_: None}
    each: list[float] = []
    for number in range(rounds):
        with_events, calls = cpu(options(f"with{number}"))
        with replaced(RunStore, **nothing), replaced(store_module._Packer, pack=lambda *_: b"\0"):
            without, others = cpu(options(f"without{number}"))
        if calls != others:
            raise SystemExit(f"{calls} and {others} calls: the two runs are not the same.")
        each.append(1e3 * (with_events - without) / calls)
        print(f"  {calls} calls: {with_events:.2f} s of CPU, without events and packing {without:.2f} s")
    middle = statistics.median(each)
    print(f"event log: {middle:.3f} ms of CPU a call ({min(each):.3f} to {max(each):.3f}; goal {GOAL_MS})")
    return place / f"with{rounds - 1}"


def sizes(run: Path) -> None:
    """Prints bytes a call, and what a full run would come to."""
    with closing(sqlite3.connect(run / "run.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        calls = db.execute("SELECT count(*) FROM calls").fetchone()[0]
        told = []
        for table in TABLES:
            try:
                query = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ? OR name LIKE ?"
                told.append(f"{table} {db.execute(query, (table, f'%{table}%')).fetchone()[0] / calls:,.0f}")
            except sqlite3.OperationalError:
                break  # this SQLite has no dbstat
    log = (run / "run.db").stat().st_size
    with closing(RunReader(run)) as reader:
        packing(reader.store)
        began = time.process_time()
        with closing(RunIndex(reader)) as index:
            index.update()
        seconds = time.process_time() - began
    view = run / "view.db"
    with closing(sqlite3.connect(view)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    index_bytes = view.stat().st_size
    print(f"run.db: {log / calls:,.0f} bytes a call over {calls:,} calls ({', '.join(told) or 'no dbstat'})")
    print(f"view.db: {index_bytes / calls:,.0f} bytes a call, made in {1e3 * seconds / calls:.3f} ms of CPU a call")
    whole = (log + index_bytes) / calls * FULL / 1e6
    print(f"{FULL:,} calls: {whole:,.0f} MB with the search index (goal {GOAL_MB})")


def packing(store: RunStore) -> None:
    """Prints what packing saves, and what storing repeated messages once saves before it."""
    rows = store._db.execute("SELECT body FROM texts WHERE length(hash) = ?", (store_module._HASH,)).fetchall()
    packed = sum(len(body) for (body,) in rows)
    once = sum(len(store._packer.unpack(body).encode()) for (body,) in rows)
    sent = sum(len(text.encode()) for call in store.calls() for text in call.messages)
    print(f"messages: {sent / 1e6:.1f} MB sent, {once / 1e6:.1f} MB once each, {packed / 1e6:.1f} MB packed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convs", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=Path, help="Measure the sizes of this run (of a copy) instead of a fresh one's.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run = compare(place, arguments.convs, arguments.rounds)
        if arguments.run is not None:
            run = Path(
                shutil.copytree(arguments.run, place / "given", ignore=shutil.ignore_patterns("images", "view.db*"))
            )
        sizes(run)


if __name__ == "__main__":
    main()
