"""`synth stats`: the paper's tables and figures for runs and other data sets, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.plain import line
from synth.cli.survey import open_data
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from synth.analysis.statistics.table import Table
    from synth.corpora.readers import Data
    from synth.graphs.labelling import Labels
    from synth.graphs.options import Options

_WIDTH = 200
"""Columns where the output is no terminal."""


def stats(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA…", help="Run folders or names, or files and folders of other data sets."),
    ],
    format: Annotated[
        str | None, typer.Option(help="run, muse, redial, messages or sharegpt; default: what the data look like.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Tokens of the sample of fixed size.")] = 300_000,
    seed: Annotated[int, typer.Option(help="Of the order in which conversations come into the sample.")] = 0,
    elements: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="openai:MODEL or anthropic:MODEL finds the elements instead of the rules."),
    ] = None,
    elements_turns: Annotated[
        int, typer.Option(metavar="N", help="Turns of each data set that it labels: whole conversations, drawn.")
    ] = 1000,
    base_url: Annotated[
        str | None,
        # Its default, from synth.toml, may hold a password.
        typer.Option(help="Address of an OpenAI-compatible server; it needs no key.", show_default=False),
    ] = None,
    max_usd: Annotated[
        float | None, typer.Option(help="Money cap in USD over all that was ever labelled for the first data set.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=IN/OUT", help="Price of a model in USD per million tokens; may repeat."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with an object for each data set.")
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """Size, wording, acts, elements, filters, endings and persons of data sets (MUSE, Tables 2 and 8, Figs. 4-12).

    Every definition is in docs/statistics.md.
    """
    from synth.analysis.statistics import statistics
    from synth.analysis.statistics.table import markdown
    from synth.analysis.statistics.tables import tables
    from synth.graphs.options import Options

    if as_json and as_markdown:
        raise SynthError("--json and --markdown exclude each other.", "Choose one.")
    opened = [open_data(path, format) for path in data]
    names = Counter(one.name for one in opened)
    # Two of the same name are told apart by their paths.
    opened = [replace(one, name=str(one.path)) if names[one.name] > 1 else one for one in opened]
    labels: Sequence[Labels | None] = [None] * len(opened)
    if elements is not None and elements != "offline":
        options = Options(llm=elements, seed=seed, base_url=base_url, max_usd=max_usd, prices=tuple(price or ()))
        labels = _label(opened, elements_turns, options, ask=not (yes or as_json), quiet=as_json)
    found = [
        statistics(one, tokens=tokens, seed=seed, labeller=by, labelled=by.labelled if by else None)
        for one, by in zip(opened, labels, strict=True)
    ]
    if as_json:
        print(json.dumps([one.to_json() for one in found], indent=2, ensure_ascii=False))
    elif as_markdown:
        print("\n".join(markdown(table) for table in tables(found)), end="")
    else:
        _print(tables(found))


def _label(data: list[Data], turns: int, options: Options, *, ask: bool, quiet: bool) -> Sequence[Labels]:
    """A model's labels of a sample of each data set."""
    from synth.cli.progress import Bar
    from synth.cli.survey import confirmer
    from synth.graphs.labelling import label

    with Bar(quiet=quiet) as bar:
        try:
            return label(data, turns, options, bar, confirmer(bar, ask=ask, quiet=quiet))
        except KeyboardInterrupt:
            raise SynthError(
                "Stopped. What is labelled is kept.", "Run the same command to go on.", Exit.INTERRUPTED
            ) from None


def _print(found: list[Table]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    for number, table in enumerate(found):
        if number:
            console.print()
        console.print(_rich(table))
        if table.note:
            console.print(Text(line(table.note), style="dim"))


def _rich(table: Table) -> RichTable:
    """All cells as plain text: what a data set says is no markup."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=Text(line(table.title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(table.columns):
        left = number < table.left
        drawn.add_column(Text(line(column)), justify="left" if left else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(line(cell)) for cell in row))
    return drawn
