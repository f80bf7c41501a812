"""What the commands of `synth eval imagery` share: options, and how scores are shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synth.analysis.statistics.table import Table
    from synth.recommender.imagery.outputs import Task
    from synth.recommender.imagery.scoring import Score

Data = Annotated[Path, typer.Option(help="Folder with `books` and `music`, or with the files of one domain.")]
OneDomain = Annotated[str | None, typer.Option("--domain", help="Only this one.", show_default="all")]
Seed = Annotated[int, typer.Option(help="Of choices, where the requests have none.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


def task_of(name: str) -> Task:
    return "rec_title" if name == "title" else "rec_choice"


def remarks(score: Score) -> None:
    name = score.output.path.name
    if score.unknown:
        print(
            f"{name}: {score.unknown:,} answers are to requests that the data have not; passed over.", file=sys.stderr
        )
    if score.repeated:
        print(f"{name}: {score.repeated:,} answers are replaced by later ones to the same requests.", file=sys.stderr)
    if score.output.task == "rec_title" and score.like_choices:
        print(f"{name}: nearly all answers begin as choices do; is it named as what it is?", file=sys.stderr)
    if score.missing:
        print(f"{name}: {score.missing:,} requests have no answer; they count as wrong.", file=sys.stderr)


def print_scores(scores: list[Score], as_json: bool) -> None:
    if as_json:
        for one in scores:
            print(json.dumps(one.json(), ensure_ascii=False))
        return
    from synth.recommender.imagery.tables import score_table

    print_found([score_table(scores)], as_markdown=False)


def print_found(shown: list[Table], as_markdown: bool) -> None:
    if as_markdown:
        from synth.analysis.statistics.table import markdown

        print("\n".join(markdown(table) for table in shown), end="")
        return
    from synth.recommender.table import print_tables

    print_tables(shown)
