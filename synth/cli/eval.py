"""`synth eval`: evaluate recommenders."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli import compare, imagery, muse, side_by_side, zero_shot
from synth.cli.train_data import open_data
from synth.cli.values import by_commas, check_folder
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.analysis.statistics.table import Table as TextTable
    from synth.cli.progress import Bar
    from synth.recommender.retrieval import Report
    from synth.recommender.table import Table

app = typer.Typer(no_args_is_help=True, help="Evaluate recommenders.")
app.command()(compare.compare)
app.command("zero-shot")(zero_shot.zero_shot)
app.command("muse")(muse.evaluate)
app.command()(side_by_side.trained)
app.command()(side_by_side.report)
app.add_typer(imagery.app, name="imagery")


class DataForm(StrEnum):
    AUTO = "auto"
    LAVIC = "lavic"
    REDDIT = "reddit"


class SplitName(StrEnum):
    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class OthersKind(StrEnum):
    OUT = "out"
    KEPT = "kept"


class TextKind(StrEnum):
    TITLE = "title"
    DESCRIPTION = "description"


class Layout(StrEnum):
    DETAIL = "detail"
    OVERVIEW = "overview"
    ABLATION = "ablation"
    DOMAINS = "domains"


@app.callback()
def _group() -> None:
    """A group even while it has one command."""


@app.command()
def recommend(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN…]", help="Folders of runs, as `--out` or training wrote them.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A LaViC export, or a domain of the Reddit-Amazon data; repeatable."),
    ] = None,
    format: Annotated[DataForm, typer.Option(help="Of --data.")] = DataForm.AUTO,
    meta: Annotated[
        Path | None, typer.Option(help="Item metadata of Reddit-Amazon data.", show_default="item2meta* there")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder with the items' pictures.")] = None,
    split: Annotated[SplitName, typer.Option(help="Which part of --data is asked.")] = SplitName.TEST,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Baselines that rank the candidates of --data, by commas: bm25, minilm, bge-m3, roberta, simcse, "
            "blair, st:FOLDER_OR_NAME, openai:MODEL.",
            show_default="bm25",
        ),
    ] = None,
    candidates: Annotated[
        str, typer.Option(help="delivered; st or gpt_large (Reddit-Amazon); or a retriever as for --methods.")
    ] = "delivered",
    k: Annotated[int, typer.Option("-k", min=2, help="Candidates of a retriever.")] = 10,
    others: Annotated[
        OthersKind, typer.Option(help="A conversation's other right answers: out of delivered lists, or kept there.")
    ] = OthersKind.OUT,
    text: Annotated[TextKind, typer.Option(help="What baselines know of an item.")] = TextKind.TITLE,
    against: Annotated[
        str | None, typer.Option(metavar="SYSTEM", help="Which the others are tested against.", show_default="the last")
    ] = None,
    layout: Annotated[Layout, typer.Option(help="All figures, or a layout of LaViC's.")] = Layout.DETAIL,
    out: Annotated[Path | None, typer.Option(help="Folder for the baselines' runs and the results.")] = None,
    seed: Annotated[int, typer.Option(help="Of places, bootstrap and permutations.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """HR@1, ValidRatio, ceiling, MRR and nDCG of recommenders, with intervals and paired tests.

    Every definition is in docs/evaluation.md.
    """
    if as_json and as_markdown:
        raise SynthError("--json and --markdown exclude each other.", "Choose one.")
    if not runs and not data:
        raise SynthError("There is nothing to evaluate.", "Name runs, or data with --data.")
    if methods and not data:
        raise SynthError("--methods needs the conversations.", "Name their folder with --data.")
    check_folder(out)
    names = by_commas(methods, "--methods") if methods is not None else None
    from synth.cli.progress import Bar
    from synth.recommender.comparison import Asking, Comparison
    from synth.recommender.holdings import holdings, holdings_table
    from synth.recommender.runs import read_run

    comparison = Comparison()
    for path in runs or []:
        comparison.add(*read_run(path), str(path))
    sets = [open_data(folder, meta, images, seed, candidates, format.value) for folder in data or []]
    with Bar(quiet=quiet) as bar:
        asking = Asking(split.value, candidates, k, others.value, text.value, seed, out, reporter(bar))
        for dataset in sets:
            comparison.add_baselines(dataset, names, asking)
    results = comparison.evaluate(against, seed)
    held = [holdings(dataset, split.value) for dataset in sets]
    shown = [*([holdings_table(held)] if held else []), *_tables(results, layout)]
    if out and results:
        _write(out, results, shown)
    if as_json:
        print(json.dumps({"data": held, "results": [table.json() for table in results]}, indent=2, ensure_ascii=False))
    elif as_markdown:
        from synth.analysis.statistics.table import markdown

        print("\n".join(markdown(table) for table in shown), end="")
    else:
        from synth.recommender.table import print_tables

        print_tables(shown)


def reporter(bar: Bar) -> Report:
    """Shows named stages of work as bars."""
    shown: list[str] = []

    def report(name: str, done: int, total: int) -> None:
        if not shown or shown[-1] != name:
            shown.append(name)
            bar.stage(name, total)
        bar.advance(done)

    return report


def _tables(results: list[Table], layout: Layout) -> list[TextTable]:
    from synth.recommender.table import LAYOUTS

    if layout is Layout.DETAIL or not results:
        return [shown for table in results for shown in table.tables()]
    return [LAYOUTS[layout.value](results), *(table.by_place() for table in results)]


def _write(out: Path, results: list[Table], shown: list[TextTable]) -> None:
    from synth.analysis.statistics.table import markdown

    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps([table.json() for table in results], indent=2, ensure_ascii=False) + "\n"
    (out / "metrics.json").write_text(text, "utf-8", newline="\n")
    (out / "metrics.md").write_text("\n".join(markdown(table) for table in shown), "utf-8", newline="\n")
