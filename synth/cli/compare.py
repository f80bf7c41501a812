"""`synth eval compare`: runs of one task side by side."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.values import by_commas, check_file
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.compared import Compared


class Format(StrEnum):
    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


_ENDINGS = {".md": Format.MARKDOWN, ".tex": Format.LATEX, ".csv": Format.CSV, ".json": Format.JSON}


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs of one task.")],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="By commas, e.g. hit@10,recall@20,mrr,ndcg@10,bleu,rougeL,distinct4.corpus; all are in "
            "docs/evaluation.md.",
            show_default="those of the task",
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="SYSTEM", help="Which the others are tested against.", show_default="the last")
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How the tables are written.", show_default="by --out's ending, or terminal")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where they are written, beside the screen.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Bars with intervals: .png, .pdf or .svg.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of bootstrap and permutations.")] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, and print nothing with --out.")
    ] = False,
) -> None:
    """Figures, 95 % intervals and paired tests of runs that were asked the same. Runs over other questions are refused.

    Every definition is in docs/evaluation.md.
    """
    form = _form(format, out)
    from synth.cli.eval import reporter
    from synth.cli.progress import Bar
    from synth.recommender.compare import compare as compare_runs
    from synth.recommender.compare import gather
    from synth.recommender.plot import check_plot, draw
    from synth.recommender.runs import write_whole

    check_file(out)
    check_file(plot, "--plot")
    if plot:
        check_plot(plot)
    names = by_commas(metrics, "--metrics") if metrics is not None else None
    systems, queries = gather(runs)
    with Bar(quiet=quiet) as bar:
        compared = compare_runs(systems, queries, names, against, seed, reporter(bar))
    for path in (out, plot):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
    if plot:
        draw(compared, plot)
    if out:
        write_whole(out, _text(compared, form))
    if form is Format.TERMINAL or (out and not quiet):
        from synth.recommender.table import print_tables

        print_tables(compared.tables())
    elif not out:
        print(_text(compared, form), end="")


def _form(format: Format | None, out: Path | None) -> Format:
    if out is None:
        return format or Format.TERMINAL
    form = format or _ENDINGS.get(out.suffix.lower())
    if form is None or form is Format.TERMINAL:
        raise SynthError(f"{out} does not say how it is to be written.", "Choose --format markdown|latex|csv|json.")
    return form


def _text(compared: Compared, form: Format) -> str:
    if form is Format.JSON:
        return json.dumps(compared.json(), indent=2, ensure_ascii=False) + "\n"
    if form is Format.CSV:
        return compared.csv()
    if form is Format.LATEX:
        from synth.recommender.latex import latex

        return "\n".join(map(latex, compared.tables()))
    from synth.analysis.statistics.table import markdown

    return "\n".join(map(markdown, compared.tables()))
