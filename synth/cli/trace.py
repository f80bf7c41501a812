"""`synth trace`: how every line of a run came about, in the terminal."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from rich.console import Console

    from synth.corpora.records import Record
    from synth.traces.grep import Match
    from synth.traces.reader import RunReader
    from synth.traces.tree import DrawTree, Overview, Selection, StepLeaf

app = typer.Typer(no_args_is_help=True, help="List a run's conversations, show one with every agent's steps, search.")

_WIDTH = 160
"""Columns where the output is no terminal."""
_COLUMNS = ("id", "verdict", "ending", "family", "category", "turns", "calls", "tokens", "USD", "s", "first line")
_NUMBERS = _COLUMNS.index("turns")
_WIDTHS = (7, 9, 6, 12, 24, 5, 5, 8, 8, 7)


class Ending(StrEnum):
    hit = "hit"
    fit = "fit"
    forced = "forced"


class Where(StrEnum):
    turns = "turns"
    messages = "messages"
    all = "all"


Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or the name of one below runs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Lines = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Scenario = Annotated[str, typer.Option(metavar="S", help="Only of this scenario: id, family, or a part of its text.")]
Category = Annotated[str, typer.Option(metavar="C", help="Only with a target whose category path has this in it.")]
Verdict = Annotated[
    str, typer.Option(metavar="V", help="accepted, rejected, or the filter: match, duplicate, review, failed.")
]
Ended = Annotated[Ending | None, typer.Option(help="Only conversations that ended so.")]
Errors = Annotated[bool, typer.Option("--error", help="Only with calls tried again or repaired, and failed draws.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many.")]


@app.command("list")
def list_(
    run: Run,
    scenario: Scenario = "",
    category: Category = "",
    verdict: Verdict = "",
    ending: Ended = None,
    error: Errors = False,
    limit: Limit = None,
    as_json: Lines = False,
) -> None:
    """One line a draw: verdict, ending, scenario, category, turns, calls, tokens, cost, seconds, first user line."""
    from synth.traces.tree import select

    chosen = _selection(scenario, category, verdict, ending, error)
    shown = 0
    with reading(run) as reader:
        for _, overview in select(reader, chosen):
            if as_json:
                _dump(overview)
            else:
                if not shown:
                    print(_row(_COLUMNS))
                print(_overview(overview))
            shown += 1
            if shown == limit:
                break
    if not shown and not as_json:
        print("No draw is like that.")


@app.command("show")
def show(
    run: Run,
    draw_id: Annotated[str, typer.Argument(metavar="ID", help="A conversation, e.g. c000012; see `synth trace list`.")],
    steps: Annotated[
        bool, typer.Option("--steps", help="Every agent's step in a line, and the search's candidates.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Every step with its messages and reply.")] = False,
    step: Annotated[str, typer.Option(metavar="ANCHOR", help="Only this step, in full, e.g. c-4-rerank.")] = "",
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """A conversation as a tree of turns, with the agents' steps folded under each."""
    from synth.cli import outline
    from synth.traces.tree import tree

    if as_json and markdown:
        raise SynthError("--json and --markdown cannot both be had.", "Give one of them.")
    with reading(run) as reader:
        found = tree(reader, reader.draw(draw_id))
    detail: outline.Detail = "full" if full else "steps" if steps else "turns"
    leaf = _step(found, step) if step else None
    if as_json:
        _dump(leaf or found, indent=2)
    elif markdown:
        print(outline.step_markdown(leaf) if leaf else outline.markdown(found, detail), end="")
    elif leaf:
        _console().print(outline.step_line(leaf), outline.step_body(leaf))
    else:
        _console().print(outline.outline(found, detail))


@app.command("grep")
def grep(
    run: Run,
    pattern: Annotated[str, typer.Argument(help="Text to look for.")],
    where: Annotated[
        Where, typer.Option("--in", help="What was said, what agents were asked and replied, or both.")
    ] = Where.turns,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Capitals and small letters alike.")] = False,
    regex: Annotated[bool, typer.Option("--regex", help="PATTERN is a regular expression.")] = False,
    scenario: Scenario = "",
    category: Category = "",
    verdict: Verdict = "",
    ending: Ended = None,
    error: Errors = False,
    limit: Limit = None,
    as_json: Lines = False,
) -> None:
    """Every match with its conversation, turn or step, and the text around it; exit code 1 where there is none."""
    from synth.traces import grep as search
    from synth.traces.tree import select

    wanted = search.pattern(pattern, regex=regex, ignore_case=ignore_case)
    chosen = _selection(scenario, category, verdict, ending, error)
    found = 0
    with reading(run) as reader:
        matches = (m for draw, _ in select(reader, chosen) for m in search.grep(reader, draw, wanted, where.value))
        for match in matches:
            if as_json:
                _dump(match)
            else:
                _print_match(match)
            found += 1
            if found == limit:
                break
    if not found:
        raise typer.Exit(Exit.CHECK_FAILED)


@contextmanager
def reading(run: Path) -> Iterator[RunReader]:
    """A run's reader; what is broken in its files is one line.

    Raises:
        SynthError: not a run, or one that cannot be read.
    """
    from pydantic import ValidationError

    from synth.cli.run import locate
    from synth.traces.reader import RunReader

    reader = RunReader(locate(run).path)
    try:
        yield reader
    except (sqlite3.Error, zlib.error, ValidationError) as error:
        raise SynthError(
            f"{reader.path / 'run.db'} cannot be read: {_first(error)}.", "It may be cut off; copy the run again."
        ) from error
    finally:
        reader.close()


def _first(error: Exception) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _selection(scenario: str, category: str, verdict: str, ending: Ending | None, error: bool) -> Selection:
    """
    Raises:
        SynthError: there is no such verdict.
    """
    from synth.traces.tree import VERDICTS, Selection

    if verdict and verdict not in VERDICTS:
        raise SynthError(f"There is no verdict {verdict!r}.", f"Verdicts: {', '.join(VERDICTS)}.")
    return Selection(scenario, category, verdict, ending.value if ending else "", error)


def _step(draw: DrawTree, anchor: str) -> StepLeaf:
    """
    Raises:
        SynthError: the draw has no such step.
    """
    wanted = anchor.removeprefix("#")
    for step in draw.steps():
        if step.anchor == wanted:
            return step
    raise SynthError(f"{draw.id} has no step {anchor!r}.", f"See `synth trace show RUN {draw.id} --steps`.")


def _dump(record: Record, indent: int | None = None) -> None:
    # ASCII only: so no escape sequence of a run's text reaches a terminal.
    facts: dict[str, Any] = record.model_dump(mode="json")
    print(json.dumps(facts, indent=indent))


def _overview(line: Overview) -> str:
    numbers = (f"{line.turns}", f"{line.calls}", f"{line.tokens:,}", f"{line.usd:.5f}", f"{line.seconds:.2f}")
    return _row((line.id, line.verdict, line.ending, line.family, line.category, *numbers, line.first))


def _row(cells: tuple[str, ...]) -> str:
    """Cells under each other, numbers to the right; the last one takes what is left of the line."""
    from synth.cli.plain import cut

    told = [cut(cell, width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    row = "  ".join(
        cell.rjust(width) if place >= _NUMBERS else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(told, _WIDTHS, strict=True))
    )
    return f"{row}  {cut(cells[-1], max(20, _console().width - len(row) - 2))}"


def _print_match(match: Match) -> None:
    from rich.text import Text

    from synth.cli.plain import flat

    text = Text.assemble((match.id, "bold"), " ", (f"{match.place} {match.part}", "cyan"), ": ")
    text.append(flat(match.before)).append(flat(match.match), "bold red").append(flat(match.after))
    _console().print(text, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=_WIDTH)
