"""`synth eval imagery`: the tasks of Imagery as Inquiry, and the scorer of stored answers."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.writers import WriterOptions, kept, open_writer, takes_writer
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.analysis.statistics.table import Table
    from synth.cli.progress import Bar
    from synth.recommender.imagery.outputs import Task
    from synth.recommender.imagery.scoring import Score
    from synth.recommender.retrieval import Report

app = typer.Typer(no_args_is_help=True, help="Imagery as Inquiry: requests for books and music made through pictures.")

Data = Annotated[Path, typer.Option(help="Folder with `books` and `music`, or with the files of one domain.")]
OneDomain = Annotated[str | None, typer.Option("--domain", help="Only this one.", show_default="all")]
Show = Annotated[
    str, typer.Option(help="images; descriptions:FILE (or only ofa, llava, gpt4v); none (the words of the request).")
]
Pictures = Annotated[
    Path | None, typer.Option(help="Folder of the pictures.", show_default="`images` in the domain's folder")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many requests.")]
Seed = Annotated[int, typer.Option(help="Of choices, where the requests have none.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE…", help="MODEL__DOMAIN__MODALITY__TASK.jsonl.gz, or folders of them."),
]
MoreOutputs = Annotated[
    list[Path] | None, typer.Argument(metavar="[FILE…]", help="More of --outputs.", show_default=False)
]


class Rules(StrEnum):
    ORIGINAL = "original"
    FIXED = "fixed"


class TaskName(StrEnum):
    TITLE = "title"
    CHOICE = "choice"


class Tasks(StrEnum):
    TITLE = "title"
    CHOICE = "choice"
    BOTH = "both"


@app.command()
def score(
    data: Data,
    outputs: Outputs = None,
    files: MoreOutputs = None,
    mode: Annotated[Rules, typer.Option(help="The paper's rules to the letter, or mended ones.")] = Rules.ORIGINAL,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Score stored answers: Hit@1, Hit@10 and Hit@20 of titles, accuracy of choices.

    Both sets of rules are in docs/imagery.md.
    """
    _one_form(as_json, as_markdown)
    from synth.recommender.imagery.scoring import Scorer

    scorer = Scorer(data)
    scores = []
    for path in _outputs(outputs, files):
        found = scorer.score(path, mode.value)
        scores.append(found)
        _remarks(found)
        if as_json:
            print(json.dumps(found.json(), ensure_ascii=False), flush=True)
    if not as_json:
        from synth.recommender.imagery.tables import score_table

        _print([score_table(scores)], as_markdown)


@app.command()
@takes_writer
def run(
    data: Data,
    task: Annotated[TaskName, typer.Option(help="title: list 20; choice: pick one of five.")],
    show: Show,
    out: Annotated[Path, typer.Option(help="Folder for answers, outputs and runs. The same command goes on.")],
    writer: WriterOptions,
    domain: OneDomain = None,
    coi: Annotated[bool, typer.Option("--coi", help="With chain-of-imagery.")] = False,
    images: Pictures = None,
    limit: Limit = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask a model, and score what it says.

    Writes MODEL__DOMAIN__MODALITY__TASK.jsonl.gz for `score`, and a folder of that name for `synth eval compare`.
    """
    from synth.cli.progress import Bar
    from synth.recommender.extras import require
    from synth.recommender.imagery.asking import put, shown
    from synth.recommender.imagery.data import domains

    require("eval", "rapidfuzz")
    # All that can be wrong with the data is, before a model is loaded or paid.
    chosen = [(one, shown(one, show, images)) for one in domains(data, domain)]
    scores: list[Score] = []
    with Bar(quiet=quiet) as bar, kept():
        opened = open_writer(writer, bar, quiet=quiet)
        kind = _task(task.value)
        for one, given in chosen:
            done = put(one, kind, opened, given, out, coi=coi, seed=seed, limit=limit, progress=bar)
            scores += done.scores
    for found in scores[::2]:
        _remarks(found)
    _print_scores(scores, as_json)


@app.command()
@takes_writer
def describe(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for DOMAIN/descriptions_MODEL.jsonl. The same command goes on.")],
    writer: WriterOptions,
    domain: OneDomain = None,
    images: Pictures = None,
    limit: Limit = None,
    quiet: Quiet = False,
) -> None:
    """Have a model describe the pictures, at most four a request, for `--show descriptions:FILE`."""
    from synth.cli.progress import Bar
    from synth.recommender.imagery.asking import pictures_of
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.describing import describe as describe_pictures

    chosen = domains(data, domain)
    for one in chosen:
        pictures_of(one, images)
    lines = []
    with Bar(quiet=quiet) as bar, kept():
        opened = open_writer(writer, bar, quiet=quiet)
        for one in chosen:
            path, requests, pictures = describe_pictures(one, opened, out, images, limit=limit, progress=bar)
            lines.append(f"{path}: {pictures:,} pictures of {requests:,} requests")
    print("\n".join(lines))


@app.command()
def retrieve(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for outputs and runs.")],
    methods: Annotated[
        str,
        typer.Option(help="By commas: bm25, minilm, bge-m3, roberta, simcse, blair, st:FOLDER_OR_NAME, openai:MODEL."),
    ] = "bm25",
    show: Annotated[
        list[str] | None,
        typer.Option(help="descriptions:FILE (or only ofa, llava, gpt4v), none; repeatable.", show_default="all there"),
    ] = None,
    task: Annotated[
        Tasks, typer.Option(help="title: the 20 nearest titles; choice: the nearest of five.")
    ] = Tasks.CHOICE,
    domain: OneDomain = None,
    paper: Annotated[bool, typer.Option("--paper/--no-paper", help="Beside the paper's figures.")] = True,
    seed: Seed = 0,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
    quiet: Quiet = False,
) -> None:
    """Retrieval baselines: the request and its descriptions as the query."""
    _one_form(as_json, as_markdown)
    from synth.cli.progress import Bar
    from synth.recommender.extras import require
    from synth.recommender.imagery.asking import shown, ways
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.retrieving import retrieve as retrieve_all

    require("eval", "rapidfuzz")
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if show and "images" in show:
        raise SynthError("A retriever of texts sees no pictures.", "Use --show descriptions:FILE or none.")
    kinds = [_task(one) for one in ("choice", "title") if task.value in (one, "both")]
    scores: list[Score] = []
    ties = []
    with Bar(quiet=quiet) as bar:
        for one in domains(data, domain):
            given = [shown(one, wanted, None) for wanted in show or ways(one)]
            for kind in kinds:
                for name in names:
                    for found in retrieve_all(one, name, kind, given, out, seed=seed, report=_reporter(bar)):
                        scores += [found.original, found.score]
                        if found.tied:
                            output = found.score.output
                            ties.append(f"{output.model}, {output.modality}, {one.name}: {found.tied:,}")
    if as_json:
        _print_scores(scores, as_json)
        return
    from synth.recommender.imagery.tables import generation_table, rows_of, selection_table

    # A choice of a retriever reads the same by both rules.
    rows = rows_of((one for one in scores if one.output.task == "rec_title" or one.mode == "original"), paper)
    rows = [row for row in rows if row.domain in {one.output.domain for one in scores}]
    tables = [
        make(rows) for kind, make in (("choice", selection_table), ("title", generation_table)) if _task(kind) in kinds
    ]
    _print(tables, as_markdown)
    if ties:
        print(f"Requests whose likest choices are tied, one of them taken at random: {'; '.join(ties)}.")


@app.command()
def tables(
    data: Data,
    outputs: Outputs = None,
    files: MoreOutputs = None,
    mode: Annotated[Rules, typer.Option(help="The paper's rules to the letter, or mended ones.")] = Rules.ORIGINAL,
    paper: Annotated[bool, typer.Option("--paper/--no-paper", help="With the paper's own figures.")] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw Fig. 3 into this file (.png, .pdf, .svg).")] = None,
    as_markdown: AsMarkdown = False,
) -> None:
    """Tables 1 to 4 and Fig. 3: the data, titles, choices, chain-of-imagery, and figures along the descriptions."""
    from synth.recommender.imagery import tables as layouts
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.scoring import Scorer

    scorer = Scorer(data)
    scores = [scorer.score(path, mode.value) for path in _outputs(outputs, files, needed=not paper)]
    rows = layouts.rows_of(scores, paper)
    makers = (layouts.generation_table, layouts.selection_table, layouts.coi_table, layouts.figure_table)
    _print([layouts.data_table(domains(data)), *(make(rows) for make in makers)], as_markdown)
    if plot:
        from synth.recommender.imagery.figure import draw

        draw(rows, plot)
        print(f"Fig. 3: {plot}", file=sys.stderr)


def _outputs(named: list[Path] | None, more: list[Path] | None, *, needed: bool = True) -> list[Path]:
    """`--outputs A B` gives the first as an option's value and the others as arguments."""
    from synth.recommender.imagery.outputs import find_outputs

    found = find_outputs([*(named or []), *(more or [])])
    if not found and needed:
        raise SynthError("There is nothing to score.", "Name files with --outputs.")
    return found


def _remarks(score: Score) -> None:
    name = score.output.path.name
    if score.unknown:
        print(
            f"{name}: {score.unknown:,} answers are to requests that the data have not; passed over.", file=sys.stderr
        )
    if score.repeated:
        print(f"{name}: {score.repeated:,} answers are replaced by later ones to the same requests.", file=sys.stderr)
    if score.missing:
        print(f"{name}: {score.missing:,} requests have no answer; they count as wrong.", file=sys.stderr)


def _task(name: str) -> Task:
    return "rec_title" if name == "title" else "rec_choice"


def _reporter(bar: Bar) -> Report:
    stages: list[str] = []

    def report(name: str, done: int, total: int) -> None:
        if not stages or stages[-1] != name:
            stages.append(name)
            bar.stage(name, total)
        bar.advance(done)

    return report


def _one_form(as_json: bool, as_markdown: bool) -> None:
    if as_json and as_markdown:
        raise SynthError("--json and --markdown exclude each other.", "Choose one.")


def _print_scores(scores: list[Score], as_json: bool) -> None:
    if as_json:
        for one in scores:
            print(json.dumps(one.json(), ensure_ascii=False))
        return
    from synth.recommender.imagery.tables import score_table

    _print([score_table(scores)], as_markdown=False)


def _print(shown: list[Table], as_markdown: bool) -> None:
    if as_markdown:
        from synth.analysis.statistics.table import markdown

        print("\n".join(markdown(table) for table in shown), end="")
        return
    from synth.recommender.table import print_tables

    print_tables(shown)
