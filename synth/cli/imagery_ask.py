"""`synth eval imagery run` and `describe`: the commands that ask a model."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.imagery_forms import AsJson, Data, OneDomain, Quiet, Seed, print_scores, remarks, task_of
from synth.cli.values import check_folder
from synth.cli.writers import Part, WriterOptions, kept, open_writer, rehearse, takes_writer
from synth.recommender.asking import ANSWERS

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.recommender.asking import Writer
    from synth.recommender.imagery.asking import Plan
    from synth.recommender.imagery.describing import Views
    from synth.recommender.imagery.scoring import Score

Show = Annotated[
    str, typer.Option(help="images; descriptions:FILE (or only ofa, llava, gpt4v); none (the words of the request).")
]
Pictures = Annotated[
    Path | None, typer.Option(help="Folder of the pictures.", show_default="`images` in the domain's folder")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many requests.")]


class TaskName(StrEnum):
    TITLE = "title"
    CHOICE = "choice"


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
    check_folder(out)
    from synth.cli.progress import Bar
    from synth.recommender.extras import require
    from synth.recommender.imagery.asking import plan, put, shown
    from synth.recommender.imagery.data import domains

    require("eval", "rapidfuzz")
    # All that can be wrong with the data is, before a model is loaded or paid.
    kind = task_of(task.value)
    chosen = domains(data, domain)
    plans = [plan(one, kind, shown(one, show, images), coi=coi, seed=seed, limit=limit) for one in chosen]
    scores: list[Score] = []
    with Bar(quiet=quiet) as bar, kept():
        opened = open_writer(writer, bar, quiet=quiet)
        _check_first(plans, opened, out, bar, writer.dry_run)
        for one in plans:
            scores += put(one, opened, out, bar).scores
    for found in scores[::2]:
        remarks(found)
    print_scores(scores, as_json)


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
    check_folder(out)
    from synth.cli.progress import Bar
    from synth.recommender.imagery.data import domains
    from synth.recommender.imagery.describing import describe as describe_pictures
    from synth.recommender.imagery.describing import views

    parts = [views(one, images, limit) for one in domains(data, domain)]
    lines = []
    with Bar(quiet=quiet) as bar, kept():
        opened = open_writer(writer, bar, quiet=quiet)
        _check_first(parts, opened, out, bar, writer.dry_run)
        for one in parts:
            path, requests, pictures = describe_pictures(one, opened, out, bar)
            lines.append(f"{path}: {pictures:,} pictures of {requests:,} requests")
    print("\n".join(lines))


def _check_first(parts: Sequence[Plan] | Sequence[Views], writer: Writer, out: Path, bar: Bar, dry_run: bool) -> None:
    """Before anything is paid: whether a file would be lost; and where that is all, what the parts would cost."""
    for part in parts:
        part.path(writer.name, out)
    if dry_run:
        rehearse([Part(writer, part.asked, out / ANSWERS) for part in parts], bar)
