"""What commands that put questions to a model about finished conversations have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.corpora.readers import Data
    from synth.graphs.rehearsal import Expected


def open_data(path: Path, format: str | None) -> Data:
    """A data set by its path, or a run by its name below `runs/`."""
    from synth.corpora.readers import read

    named = Path("runs") / path
    return read(named if not path.exists() and named.is_dir() else path, format)


def confirmer(bar: Bar, *, ask: bool, quiet: bool) -> Callable[[Expected], bool]:
    """Shows what a survey is expected to come to, and asks where it costs something and somebody is there to answer."""

    def confirm(expected: Expected) -> bool:
        if quiet:
            return True
        with bar.paused():
            print_expected(expected, stderr=True)  # beside the question: what goes to stdout may not be seen
            costs = bool(expected.usd or expected.unpriced)
            if not (ask and costs and sys.stdin.isatty() and sys.stderr.isatty()):
                return True
            try:
                return typer.confirm("Go on?", default=True, err=True)
            except typer.Abort:  # Ctrl-C, or the end of the input
                return False

    return confirm


def print_expected(expected: Expected, *, stderr: bool = False, as_json: bool = False) -> None:
    """Calls, tokens and money that are still to come."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from synth.cli.run import counted

    if as_json:
        print(json.dumps({**asdict(expected), "calls": expected.calls, "usd": expected.usd}))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("call", "calls", "input", "of it images", "output", "USD"):
        table.add_column(column, justify="left" if column == "call" else "right", no_wrap=True)
    for row in expected.lines:
        counts = (row.calls, row.input_tokens, row.image_tokens, row.output_tokens)
        table.add_row(row.call, *map(counted, counts), f"{row.usd:,.4f}")
    console = Console(highlight=False, markup=False, stderr=stderr, soft_wrap=True)
    models = ", ".join(dict.fromkeys(row.model for row in expected.lines))
    console.print(f"Expected{f' of {models}' if models else ''}, without what is in the log already:")
    console.print(table, soft_wrap=False)
    for model in expected.unpriced:
        console.print(f"{model}: unknown price, counted as nothing (see --price)")
    how = "in batches" if expected.batch else "one by one"
    console.print(f"{counted(expected.calls)} calls, about {expected.usd:,.2f} USD {how}.")
