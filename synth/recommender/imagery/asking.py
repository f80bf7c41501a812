"""Puts the requests to a model, and keeps its answers where they can be scored and compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import SynthError
from synth.recommender.asking import ANSWERS, Asked, Writer
from synth.recommender.imagery.data import Domain, Recs, Request, check_ids, read_descriptions
from synth.recommender.imagery.negatives import with_choices
from synth.recommender.imagery.outputs import (
    COI,
    IMAGE,
    NONE,
    Task,
    describe_output,
    modality_of,
    output_path,
    read_outputs,
    write_outputs,
)
from synth.recommender.imagery.prompts import COI_TOKENS, MAX_TOKENS, ask
from synth.recommender.imagery.scoring import Score, as_run, score_answers
from synth.recommender.runs import write_run

if TYPE_CHECKING:
    # Importing it loads torch, which models of the gateway do not need.
    from synth.recommender.method import Progress


@dataclass(frozen=True)
class Shown:
    """What a model gets of the pictures."""

    modality: str
    """`image`, `none`, or who described them."""
    pictures: dict[str, tuple[Path, ...]] | None = None
    """Files by request; None where no picture is shown."""
    descriptions: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Answers:
    """What a model said to a domain's requests."""

    path: Path
    """The file of outputs."""
    run: Path
    """The folder of the run."""
    scores: tuple[Score, Score]
    """By the original rules, and by the fixed ones; over the requests that were asked."""


def shown(domain: Domain, show: str, images: Path | None) -> Shown:
    """What `--show` names: `images`, `descriptions:FILE` or `none`.

    Args:
        images: the folder with the pictures; None for the domain's `images`.

    Raises:
        SynthError: it is none of these, the file is about other requests, or there is no picture.
    """
    kind, _, name = show.partition(":")
    if show == "images":
        return Shown(IMAGE, pictures=pictures_of(domain, images))
    if show == "none":
        return Shown(NONE)
    if kind != "descriptions" or not name:
        raise SynthError(f"--show {show} is not known.", "Choose images, descriptions:FILE or none.")
    path = domain.find_descriptions(name)
    found = read_descriptions(path)
    check_ids(domain.recs(), found, path)
    return Shown(modality_of(path), descriptions=found)


def ways(domain: Domain) -> list[str]:
    """Every `--show` that needs no pictures: each file of descriptions in the folder, and none."""
    described = sorted(path.name for path in domain.folder.glob("descriptions_*.jsonl"))
    return [*(f"descriptions:{name}" for name in described), "none"]


def pictures_of(domain: Domain, images: Path | None) -> dict[str, tuple[Path, ...]]:
    """The pictures of each request that are on disk; requests without any are left out.

    Raises:
        SynthError: none is there.
    """
    folder = images or domain.folder / "images"
    at_hand = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    requests = domain.requests()
    found = {
        request.id: tuple(folder / name for name in request.images if name in at_hand) for request in requests.values()
    }
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        first = next((name for request in requests.values() for name in request.images), "none")
        raise SynthError(
            f"{folder} has none of the pictures of {domain.name}, such as {first}.",
            "They are not part of the data: name a folder with --images, or use --show descriptions:FILE.",
        )
    return found


def chosen_requests(domain: Domain, recs: Recs, task: Task, seed: int, limit: int | None) -> dict[str, Request]:
    """The requests that have a recommendation, in the file's order, with choices where the task needs them."""
    requests = [request for request in domain.requests().values() if request.id in recs][:limit]
    if not requests:
        raise SynthError(f"{domain.folder}: no request has a recommendation.", "requests.jsonl and recs.json differ.")
    if task == "rec_choice":
        items = [] if all(request.choices for request in requests) else domain.items()
        requests = [with_choices(request, recs[request.id], items, seed) for request in requests]
    return {request.id: request for request in requests}


def questions(
    requests: Mapping[str, Request], domain: str, task: Task, show: Shown, *, coi: bool = False
) -> list[Asked]:
    """What is asked; a request of which there is nothing to show is not."""
    asked = []
    for request in requests.values():
        pictures = (show.pictures or {}).get(request.id, ())
        told = (show.descriptions or {}).get(request.id)
        if show.modality != NONE and not pictures and not told:
            continue
        asked.append(
            Asked(
                request.id,
                ask(request, domain, task, told, pictures=len(pictures), coi=coi),
                pictures,
                max_tokens=(COI_TOKENS if coi else MAX_TOKENS)[task],
            )
        )
    return asked


@dataclass(frozen=True)
class Plan:
    """What a model is to be asked about a domain."""

    domain: Domain
    task: Task
    show: Shown
    coi: bool
    recs: Recs
    requests: Mapping[str, Request]
    asked: Sequence[Asked]
    """A request of which there is nothing to show is not among them."""

    def path(self, model: str, out: Path) -> Path:
        """The file of a model's outputs.

        Raises:
            SynthError: it is there, with answers to requests that this plan leaves out.
        """
        path = output_path(out, model + (COI if self.coi else ""), self.domain.name, self.show.modality, self.task)
        if path.is_file():
            check_whole(path, read_outputs(path)[0], {one.id for one in self.asked})
        return path


def plan(
    domain: Domain, task: Task, show: Shown, *, coi: bool = False, seed: int = 0, limit: int | None = None
) -> Plan:
    """Reads the data and words all questions; nothing is asked.

    Args:
        limit: only the first so many requests.

    Raises:
        SynthError: there is nothing to show, or chain-of-imagery has nothing to start from.
    """
    if coi and show.modality == NONE:
        raise SynthError("--coi needs pictures or descriptions.", "Choose another --show, or leave out --coi.")
    recs = domain.recs()
    requests = chosen_requests(domain, recs, task, seed, limit)
    asked = questions(requests, domain.name, task, show, coi=coi)
    if not asked:
        raise SynthError(f"There is nothing to show of the first {len(requests):,} requests.", "Raise --limit.")
    return Plan(domain, task, show, coi, recs, requests, asked)


def put(plan: Plan, writer: Writer, out: Path, progress: Progress | None = None) -> Answers:
    """Asks a model all that was planned, writes its outputs and the run, and scores them.

    What is answered is kept in `out/answers`, so the same call goes on where it was stopped.

    Raises:
        SynthError: the model cannot answer, or what it said to more requests would be lost.
    """
    path = plan.path(writer.name, out)
    asked, left = plan.asked, len(plan.requests) - len(plan.asked)
    if progress and left:
        progress.note(f"{left:,} requests have nothing to show; they are not asked.")
    said = writer.write(asked, out / ANSWERS, progress)
    answers = {one.id: said[one.id] for one in asked if one.id in said}
    if not answers:
        raise SynthError(f"{writer.name} answered none of {len(asked):,} requests.", "Its answers' folder says why.")
    return keep(path, answers, plan.recs, plan.requests, only={one.id for one in asked})


def check_whole(path: Path, there: Collection[str], asked: Collection[str]) -> None:
    """
    Raises:
        SynthError: a file is about more requests than are asked now, which writing it anew would lose.
    """
    more = len(set(there) - set(asked))
    if more:
        raise SynthError(
            f"{path} is about {more:,} requests that are not asked this time.",
            "Leave out --limit or raise it, or choose another --out.",
        )


def keep(
    path: Path,
    answers: Mapping[str, str],
    recs: Recs,
    requests: Mapping[str, Request],
    only: set[str],
    family: str = "",
) -> Answers:
    """Writes answers as outputs and as a run (by the fixed rules), and scores them by both.

    Args:
        family: of the run, see `as_run`.
    """
    write_outputs(path, answers)
    output = describe_output(path)
    original, fixed = (
        score_answers(output, answers, recs, requests, mode, only=only) for mode in ("original", "fixed")
    )
    run = path.parent / output.name
    write_run(run, *as_run(fixed, recs, requests, family))
    return Answers(path, run, (original, fixed))
