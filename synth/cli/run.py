"""`synth run`: runs seen and stopped from another shell."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.traces.cost import Cost, Spending
    from synth.traces.run import RunFolder

app = typer.Typer(no_args_is_help=True, help="List runs, look at one while it works, see what it cost, stop it.")

_POLL = 0.2
"""Seconds between looks at a run that is asked to stop."""

_WINDOW = 75.0
"""Seconds of log a rate is taken from: a minute, and a little, for a line is written every ten seconds."""

_START = re.compile(r"^\S+ \S+ INFO (starting|resuming) ")
_ACCEPTED = re.compile(r"^(?P<time>\S+ [\d:]+),\d+ INFO conversations: (?P<accepted>\d+) of ")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or the name of one below runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    runs: Annotated[Path, typer.Option(help="Folder with runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Runs with their state, accepted of wanted conversations, seed and models."""
    from synth.traces.run import list_runs

    found = [_overview(run) for run in list_runs(runs)]
    if as_json:
        print(json.dumps(found))
        return
    if not found:
        print(f"No run in {runs}. Start one with `synth generate`.")
        return
    rows = [("run", "state", "accepted", "seed", "models"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command("status")
def status(run: Run, as_json: Json = False) -> None:
    """How far a run is, also while it works: accepted, drawn, rejected, model calls, rate, size on disk."""
    facts = _status(locate(run))
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{facts['name']}: {facts['state']}, {_progress(facts)} conversations accepted")
    print(f"  drawn {facts['drawn']}, rejected {_counts(facts['rejected'])}")
    print(f"  {sum(facts['calls'].values())} model calls")
    for name, n in sorted(facts["calls"].items(), key=lambda entry: -entry[1]):
        print(f"  {n:>10} {name}")
    if facts["last_line"]:
        print(f"  last line of its log: {facts['last_line']}")
    if facts["per_minute"]:
        left = max(facts["wanted"] - facts["accepted"], 0) / facts["per_minute"]
        print(f"  {facts['per_minute']:.0f} conversations a minute, about {math.ceil(left)} min left")
    print(f"  {facts['bytes'] / 1e6:.1f} MB on disk; seed {facts['seed']}; models {_models(facts['models'])}")
    if facts["state"] == "stopped":
        print("The command that started it goes on with it.")


@app.command("cost")
def cost(
    run: Run,
    as_json: Json = False,
    conversations: Annotated[int, typer.Option(help="How many of the dearest draws to list.")] = 5,
) -> None:
    """Calls, tokens and money by agent, model and conversation, and what failures and kills cost."""
    from synth.traces.cost import read_cost

    folder = locate(run)
    with closing(folder.store()) as store:
        facts = read_cost(store, running=folder.running())
    if as_json:
        print(json.dumps(facts.model_dump(mode="json")))
        return
    _print_cost(facts, conversations)


@app.command("stop")
def stop(
    run: Run,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait until it has stopped.")] = 60.0,
) -> None:
    """Stop a running run; what is done is kept, and the command that started it goes on with it."""
    folder = locate(run)
    if not folder.running():
        raise SynthError(f"{folder.path} is not running.", "See `synth run list`.")
    request = folder.path / "stop"
    deadline = time.monotonic() + timeout
    while folder.running():
        # A run that is just starting removes old requests; so it is made again until the lock is free.
        request.touch()
        if time.monotonic() >= deadline:
            raise SynthError(
                f"{folder.path} has not stopped within {timeout:g} s; it was asked to.",
                f"See `synth run status {run}`.",
                Exit.LIMIT,
            )
        time.sleep(_POLL)
    request.unlink(missing_ok=True)
    facts = _overview(folder)
    print(f"Stopped {folder.path} at {_progress(facts)} conversations. What is done is kept.")
    print("The command that started it goes on with it.")


def _print_cost(facts: Cost, conversations: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    columns = ("calls", "input", "cached", "images", "output", "seconds", "USD")
    for title, rows in (("agent", facts.by_call), ("model", facts.by_model), ("stage", facts.by_stage)):
        table = Table(box=None, pad_edge=False)
        table.add_column(title)
        for column in columns:
            table.add_column(column, justify="right")
        for name, line in rows.items():
            table.add_row(name, *_spending(line))
        if title == "agent":
            table.add_row("all", *_spending(facts.all), style="bold")
        console.print(table, "")
    if facts.all.usd:
        draws = sorted(facts.by_draw.items(), key=lambda entry: -entry[1].usd)[:conversations]
        if facts.by_draw:
            each = sum(line.usd for line in facts.by_draw.values()) / len(facts.by_draw)
            console.print(f"{len(facts.by_draw)} draws, {each:.5f} USD each; the dearest:")
            for draw, line in draws:
                console.print(f"  {draw}: {line.calls} calls, {line.usd:.5f} USD")
    share = facts.all.cached_tokens / facts.all.input_tokens if facts.all.input_tokens else 0.0
    console.print(f"{share:.1%} of the input came from prefix caches.")
    for kind, line in facts.without_reply.items():
        console.print(f"{line.calls} tries {kind}: {line.usd:.5f} USD")
    if facts.batches:
        console.print(f"{facts.batches} batches")
    console.print(f"Together {facts.usd:.4f} USD.")


def _spending(line: Spending) -> tuple[str, ...]:
    counts = (line.calls, line.input_tokens, line.cached_tokens, line.image_tokens, line.output_tokens)
    return (*map(counted, counts), counted(line.seconds), f"{line.usd:.4f}")


def counted(count: float) -> str:
    """A count as a table shows it, in 7 characters: a run has hundreds of millions of tokens."""
    return f"{count:,.0f}" if count < 999_999.5 else f"{count / 1e6:,.1f} M"


def locate(run: Path) -> RunFolder:
    """The run of a folder, or of that name below `runs/`.

    Raises:
        SynthError: there is none.
    """
    from synth.traces.run import RunFolder

    named = Path("runs") / run
    return RunFolder.open(named if not run.exists() and named.is_dir() else run)


def _overview(run: RunFolder) -> dict[str, Any]:
    """What `list` shows; a run that cannot be read says why."""
    try:
        config = run.config()
        wanted, finished = _meta(run)
    except SynthError as error:
        return {"name": run.path.name, "state": "unreadable", "problem": str(error)}
    accepted = _rows(run.path / "conversations.jsonl")
    if run.running():
        state = "running"
    elif finished and wanted is not None and accepted >= wanted:
        state = "finished"
    else:
        state = "stopped"
    return {
        "name": run.path.name,
        "state": state,
        "accepted": accepted,
        "wanted": wanted,
        "seed": config["seed"],
        "models": {role: model for role, model in config["models"].items() if model != "none"},
    }


def _status(run: RunFolder) -> dict[str, Any]:
    facts = _overview(run)
    if "problem" in facts:
        raise SynthError(facts["problem"])
    rejected = Counter[str]()
    if (run.path / "rejected.jsonl").is_file():
        rejected.update(row.filter for row in run.rejected())
    calls: dict[str, int] = {}
    if (run.path / "run.db").is_file():
        with closing(run.store()) as store:
            calls = store.call_counts()
    lines = _log_lines(run.path / "run.log")
    return {
        **facts,
        "drawn": facts["accepted"] + rejected.total(),
        "rejected": dict(rejected.most_common()),
        "calls": calls,
        "per_minute": _rate(lines) if facts["state"] == "running" else None,
        "last_line": lines[-1] if lines else "",
        "bytes": sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file()),
    }


def _meta(run: RunFolder) -> tuple[int | None, bool]:
    """Conversations wanted, and whether the run once came to its end."""
    if not (run.path / "run.db").is_file():
        return None, False
    with closing(run.store()) as store:
        return store.meta("convs"), bool(store.meta("finished"))


def _rows(path: Path) -> int:
    """Complete lines of a file; 0 where there is none."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _log_lines(path: Path) -> list[str]:
    """The log since the run was last started or resumed."""
    if not path.is_file():
        return []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if _START.search(line)]
    return lines[starts[-1] :] if starts else lines


def _rate(lines: list[str]) -> float | None:
    """Accepted conversations a minute over the last minute of the log; None where it says too little."""
    now = time.time()
    seen = []
    for line in lines:
        found = _ACCEPTED.match(line)
        if found:
            moment = time.mktime(time.strptime(found["time"], "%Y-%m-%d %H:%M:%S"))
            if moment >= now - _WINDOW:
                seen.append((moment, int(found["accepted"])))
    if len(seen) < 2 or seen[-1][0] == seen[0][0]:
        return None
    return 60 * (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def _row(facts: dict[str, Any]) -> tuple[str, str, str, str, str]:
    if "problem" in facts:
        return facts["name"], facts["state"], "", "", facts["problem"]
    return facts["name"], facts["state"], _progress(facts), str(facts["seed"]), _models(facts["models"])


def _progress(facts: dict[str, Any]) -> str:
    wanted = "?" if facts["wanted"] is None else facts["wanted"]
    return f"{facts['accepted']} of {wanted}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "none"


def _models(models: dict[str, str]) -> str:
    if len(set(models.values())) == 1:
        return next(iter(models.values()))
    return ", ".join(f"{model} ({role})" for role, model in models.items())
