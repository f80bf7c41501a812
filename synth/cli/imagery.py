"""`synth eval imagery`: the tasks of Imagery as Inquiry, and the scorer of stored answers."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli import imagery_ask
from synth.cli.imagery_forms import (
    AsJson,
    AsMarkdown,
    Data,
    OneDomain,
    Quiet,
    Seed,
    print_found,
    print_scores,
    remarks,
    task_of,
)
from synth.cli.values import by_commas, check_file, check_folder
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.imagery.scoring import Score

app = typer.Typer(no_args_is_help=True, help="Imagery as Inquiry: requests for books and music made through pictures.")

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
    out: Annotated[Path | None, typer.Option(help="Folder for a run of each file, for `synth eval compare`.")] = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Score stored answers: Hit@1, Hit@10 and Hit@20 of titles, accuracy of choices.

    Both sets of rules are in docs/imagery.md.
    """
    _one_form(as_json, as_markdown)
    check_folder(out)
    from synth.recommender.imagery.scoring import Scorer
    from synth.recommender.runs import write_run

    scorer = Scorer(data)
    scores: list[Score] = []
    for path in _outputs(outputs, files):
        found = scorer.score(path, mode.value)
        if out and found.output.name in {one.output.name for one in scores}:
            raise SynthError(f"Two files are named {path.name}: one run would replace the other.", "Rename one.")
        scores.append(found)
        remarks(found)
        if out:
            write_run(out / found.output.name, *scorer.run(found))
        if as_json:
            print(json.dumps(found.json(), ensure_ascii=False), flush=True)
    if not as_json:
        from synth.recommender.imagery.tables import score_table

        print_found([score_table(scores)], as_markdown)


app.command()(imagery_ask.run)
app.command()(imagery_ask.describe)


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
    from synth.cli.eval import reporter
    from synth.cli.progress import Bar
    from synth.recommender.extras import require
    from synth.recommender.imagery.asking import shown, ways
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.retrieving import retrieve as retrieve_all

    require("eval", "rapidfuzz")
    names = by_commas(methods, "--methods")
    check_folder(out)
    if show and "images" in show:
        raise SynthError("A retriever of texts sees no pictures.", "Use --show descriptions:FILE or none.")
    kinds = [task_of(one) for one in ("choice", "title") if task.value in (one, "both")]
    scores: list[Score] = []
    ties = []
    with Bar(quiet=quiet) as bar:
        for one in domains(data, domain):
            given = [shown(one, wanted, None) for wanted in show or ways(one)]
            for kind in kinds:
                for name in names:
                    for found in retrieve_all(one, name, kind, given, out, seed=seed, report=reporter(bar)):
                        scores += [found.original, found.score]
                        if found.tied:
                            output = found.score.output
                            ties.append(f"{output.model}, {output.modality}, {one.name}: {found.tied:,}")
    if as_json:
        print_scores(scores, as_json)
        return
    from synth.recommender.imagery.tables import generation_table, rows_of, selection_table

    # A choice of a retriever reads the same by both rules.
    rows = rows_of((one for one in scores if one.output.task == "rec_title" or one.mode == "original"), paper)
    rows = [row for row in rows if row.domain in {one.output.domain for one in scores}]
    tables = [
        make(rows)
        for kind, make in (("choice", selection_table), ("title", generation_table))
        if task_of(kind) in kinds
    ]
    print_found(tables, as_markdown)
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
    check_file(plot, "--plot")
    from synth.recommender.imagery import tables as layouts
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.scoring import Scorer
    from synth.recommender.plot import check_plot

    if plot:
        check_plot(plot)
    scorer = Scorer(data)
    scores = [scorer.score(path, mode.value) for path in _outputs(outputs, files, needed=not paper)]
    rows = layouts.rows_of(scores, paper)
    makers = (layouts.generation_table, layouts.selection_table, layouts.coi_table, layouts.figure_table)
    print_found([layouts.data_table(domains(data)), *(make(rows) for make in makers)], as_markdown)
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


def _one_form(as_json: bool, as_markdown: bool) -> None:
    if as_json and as_markdown:
        raise SynthError("--json and --markdown exclude each other.", "Choose one.")
