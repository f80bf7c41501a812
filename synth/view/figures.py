"""Numbers of a run: what became of its draws, how its conversations went, what its calls cost and how long they took.

They are counted in a thread with a connection of its own, and a run that goes on is counted on from where the last
count ended; so a page never waits for them: it shows what is counted so far.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from synth.errors import SynthError
from synth.traces.cost import Cost, read_cost
from synth.traces.events import RunSpan
from synth.traces.reader import Draw, read_draw
from synth.traces.run import RunFolder
from synth.traces.store import RunStore
from synth.view.chart import Edge
from synth.view.database import file_mark
from synth.view.tally import Tally

if TYPE_CHECKING:
    from synth.view.run import ViewedRun

_ROWS = ("conversations.jsonl", "rejected.jsonl")
_AT_ONCE = 20
"""Draws counted between two chances for a page to read."""
_REST = 4.0
"""Seconds between two counts of a run that goes on; a long count rests longer."""


class Latency(NamedTuple):
    """Seconds of the successful tries of one kind of call."""

    calls: int
    retried: int
    """Calls that took more than one try."""
    repaired: int
    """Calls that ask again since the reply before was of no use."""
    spread: tuple[tuple[float, int], ...]
    """Seconds, rounded to two digits, and how many calls took them; ascending."""

    def quantile(self, share: float) -> float:
        """Seconds that `share` of the calls did not exceed."""
        wanted, seen = share * self.calls, 0
        for seconds, count in self.spread:
            seen += count
            if seen >= wanted:
                return seconds
        return 0.0


class Figures:
    """The numbers of one run, as far as they are counted. Read the attributes with `lock` held.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.tally = Tally()
        self.cost: Cost | None = None
        self.latency: dict[str, Latency] = {}
        """By call name."""
        self.starts: list[RunSpan] = []
        self.accepted: int | None = None
        """Conversations on file as the last count began; None before the first."""
        self.wanted: int | None = None
        self.finished = False
        """Whether the run once came to its end."""
        self.edges: tuple[Edge, ...] = ()
        """Of the conversation graph; empty until it is drawn."""
        self.problem = ""
        """Why the last count broke off."""
        self.broken = 0
        """Rows that could not be read."""
        self._folder = RunFolder(path)
        self._offsets = dict.fromkeys(_ROWS, 0)
        self._marks: dict[str, bytes] = {}
        self._counted: tuple[int, ...] = ()
        self._thread: threading.Thread | None = None
        self._rest_until = 0.0

    @property
    def counting(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def behind(self) -> bool:
        """Whether the run's files are not those that were counted last."""
        return self._sizes() != self._counted

    @property
    def progress(self) -> float:
        """Share of the rows that is counted, in [0, 1]."""
        total = sum(self._sizes()[:2])
        return min(sum(self._offsets.values()) / total, 1.0) if total else 1.0

    def refresh(self, wait: float) -> None:
        """Counts what is new, in the background.

        Args:
            wait: seconds to wait for a count that begins with this; a small run is counted by then.
        """
        if self.counting or time.monotonic() < self._rest_until or not self.behind:
            return
        self._thread = threading.Thread(target=self._count, name="figures", daemon=True)
        self._thread.start()
        self._thread.join(wait)

    def finish(self) -> None:
        """Counts all there is, and returns when it is done: for those who need the whole at once."""
        self._rest_until = 0.0
        self.refresh(0)
        if self._thread is not None:
            self._thread.join()

    def _sizes(self) -> tuple[int, ...]:
        names = (*_ROWS, "run.db", "run.db-wal")
        return tuple(path.stat().st_size if (path := self._folder.path / name).is_file() else 0 for name in names)

    def _count(self) -> None:
        started, sizes = time.monotonic(), self._sizes()
        try:
            with closing(self._folder.store()) as store:
                self._read_facts(store)
                if any(map(self._rewritten, _ROWS)):
                    with self.lock:
                        self.tally, self.broken, self._offsets = Tally(), 0, dict.fromkeys(_ROWS, 0)
                for name in _ROWS:
                    self._read_rows(store, name)
                self._read_calls(store)
            took = time.monotonic() - started
            self.edges = graph_edges()
            self.problem, self._counted = "", sizes
        except (SynthError, OSError, sqlite3.Error, subprocess.SubprocessError, ValueError) as error:
            self.problem, took = str(error), time.monotonic() - started
        # The graph is drawn once, slowly; what is waited for is to spare the counting that each look repeats.
        self._rest_until = time.monotonic() + max(_REST, 3 * took)

    def _read_facts(self, store: RunStore) -> None:
        starts = [event for n in store.results("run") for event in store.events("run", n)]
        accepted = self._folder.accepted()
        with self.lock:
            self.accepted = accepted
            self.starts = [event for event in starts if isinstance(event, RunSpan)]
            self.wanted, self.finished = store.meta("convs"), bool(store.meta("finished"))

    def _read_calls(self, store: RunStore) -> None:
        cost, latency = read_cost(store, running=self._folder.running()), read_latency(store)
        with self.lock:
            self.cost, self.latency = cost, latency

    def _rewritten(self, name: str) -> bool:
        """Whether a file is not the one that was counted."""
        path, counted = self._folder.path / name, self._offsets[name]
        if not counted:
            return False
        if not path.is_file():
            return True
        with path.open("rb") as file:
            return file_mark(file, counted) != self._marks.get(name)

    def _read_rows(self, store: RunStore, name: str) -> None:
        path = self._folder.path / name
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(self._offsets[name])
            while lines := [line for _, line in zip(range(_AT_ONCE), file, strict=False) if line.endswith(b"\n")]:
                draws = [draw for line in lines if (draw := _read(line, path))]
                events = [store.events("conversation", draw.number) if draw.conversation else [] for draw in draws]
                with self.lock:
                    for draw, happened in zip(draws, events, strict=True):
                        self.tally.add(draw, happened)
                    self.broken += len(lines) - len(draws)
                    self._offsets[name] += sum(map(len, lines))
            self._marks[name] = file_mark(file, self._offsets[name])


def _read(line: bytes, path: Path) -> Draw | None:
    try:
        return read_draw(line, path)
    except SynthError:
        return None


def read_latency(store: RunStore) -> dict[str, Latency]:
    """By call name, as spreads of two digits: a run has hundreds of thousands of calls."""
    spreads: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for name, count in store.sums("count(*)", "call || ' ' || printf('%.1e', seconds)"):
        call, _, rounded = str(name).rpartition(" ")
        spreads[call].append((float(rounded), count))
    return {
        call: Latency(calls, retried, repaired, tuple(sorted(spreads[call])))
        for call, calls, retried, repaired in store.sums("count(*), sum(tries > 1), sum(attempt > 0)", "call")
        if call in spreads
    }


@cache
def graph_edges() -> tuple[Edge, ...]:
    """The conversation graph, read off the compiled graph.

    A process of its own draws it, for LangGraph takes two seconds and more memory than all of the pages.
    """
    command = [sys.executable, "-m", "synth.graphs.picture"]
    drawn = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120).stdout
    found = re.findall(r"^ *(\w+) (-\.->|-->) (\w+)$", drawn, re.MULTILINE)
    return tuple(Edge(source, target, arrow == "-.->") for source, arrow, target in found)


_OF_RUNS: WeakKeyDictionary[ViewedRun, Figures] = WeakKeyDictionary()


def figures_of(run: ViewedRun, wait: float | None) -> Figures:
    """A run's numbers, counted on if there is something new.

    Args:
        wait: seconds to wait for that at most; None waits until all is counted.
    """
    if run not in _OF_RUNS:
        _OF_RUNS[run] = Figures(run.reader.path)
    figures = _OF_RUNS[run]
    if wait is None:
        figures.finish()
    else:
        figures.refresh(wait)
    return figures
