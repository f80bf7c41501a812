"""A trained recommender on data that it was not trained on: train on synthetic conversations, test on Reddit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.errors import SynthError
from synth.recommender.batches import processes
from synth.recommender.method import Progress
from synth.recommender.runs import Response, RunFile, queries_of, write_run

if TYPE_CHECKING:
    from synth.recommender.answering import Recommender
    from synth.recommender.data import Dataset, RecExample, Split


def with_metadata(
    dataset: Dataset, examples: Sequence[RecExample], show: str
) -> tuple[list[RecExample], dict[str, Any]]:
    """The examples all of whose candidates have a title, and what that leaves of them.

    A prompt names its candidates by their titles, so an example with a candidate that nothing is known of would be a
    test of the metadata.

    Args:
        show: `features` counts pictures as well; an item without one has no slot in the prompt, as in training.

    Raises:
        SynthError: no example is left.
    """
    kept = [example for example in examples if all(dataset.items[item].title for item in example.candidates)]
    named = {item for example in kept for item in example.candidates}
    coverage: dict[str, Any] = {"examples": len(examples), "with_titles": len(kept), "items": len(named)}
    if show == "features":
        coverage["with_picture"] = sum(bool(dataset.items[item].images) for item in named)
    if not kept:
        raise SynthError(
            f"None of the {len(examples):,} examples of {dataset.name} has the titles of all its candidates.",
            "Give their metadata with --meta.",
        )
    return kept, coverage


def answer(
    recommender: Recommender,
    examples: Sequence[RecExample],
    name: str,
    facts: Mapping[str, Any],
    out: Path,
    batch: int = 8,
    progress: Progress | None = None,
) -> None:
    """Answers questions by both protocols and writes them as runs: `scored` and `written` below `out`.

    Every process must call it; the first one writes.

    Args:
        name: of the system in tables.
        facts: what tables say of the runs.
        batch: questions at once.
    """
    rank, world = processes()
    advance = (lambda done: progress.advance(done * world)) if progress else None
    if progress:
        progress.stage("score", len(examples))
    ranked = recommender.rank(examples, batch, advance)
    if progress:
        progress.stage("write", len(examples))
    said = recommender.respond(examples, batch, advance=advance)
    if rank != 0:
        return
    queries = queries_of(examples)
    scores = {example.id: ranked[example.id] for example in examples}
    write_run(out / "scored", RunFile(name, scores, facts={**facts, "protocol": "scored"}), queries)
    items = {one.query: {one.item: 1.0} if one.item else {} for one in said}
    texts = {one.query: Response(one.text, one.valid) for one in said}
    write_run(out / "written", RunFile(f"{name}, written", items, texts, {**facts, "protocol": "written"}), queries)


def facts_of(dataset: Dataset, split: Split, trained: str, **more: Any) -> dict[str, Any]:
    """What tables say of such runs."""
    known = {"data": dataset.name, "split": split, "generator": dataset.generator, "family": "trained"}
    return {**known, "trained": [trained], "transfer": trained != dataset.name, **more}
