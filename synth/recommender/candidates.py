"""The lists a recommender chooses from: as delivered, or the nearest by any retriever; made fit for training or tests.

All of it is seeded by the example's id, so that a list does not depend on which others are made with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from synth.errors import SynthError
from synth.randomness import rng
from synth.recommender.data import Dataset, RecExample, Split
from synth.recommender.retrieval import Report, Retriever, Text, make_retriever

DELIVERED = ("delivered", "st", "gpt_large")
"""Names of lists that come with the data; any other is a retriever's."""
Others: TypeAlias = Literal["out", "kept"]
"""What becomes of a conversation's other right answers in a list for evaluation: `out`: another item stands in the
place of each; `kept`: they stay, as in the released evaluation, and choosing one is wrong."""


@dataclass(frozen=True)
class CandidateList:
    """The candidates of one example."""

    example: str
    """Its id."""
    ids: tuple[str, ...]
    """Best first for a retriever's; each once."""
    source: str
    """The retriever's name, or `delivered`."""


def retrieve(
    dataset: Dataset, retriever: Retriever, k: int = 10, splits: Sequence[Split] | None = None
) -> dict[str, CandidateList]:
    """The k items nearest to each conversation, by example id. The right answer is not helped into them.

    The retriever must have been given the items. The conversation's other right answers are passed over, so that they
    are not among the negatives.

    Args:
        splits: None for all.
    """
    examples = [example for split in splits or dataset.examples for example in dataset.examples.get(split, [])]
    found = retriever.top([example.text for example in examples], k, [example.other_gts for example in examples])
    return {
        example.id: CandidateList(example.id, tuple(ids), retriever.name)
        for example, ids in zip(examples, found, strict=True)
    }


def with_lists(examples: Sequence[RecExample], lists: Mapping[str, CandidateList]) -> list[RecExample]:
    """The examples with these candidates in the place of their own."""
    return [replace(example, candidates=lists[example.id].ids) for example in examples]


def listed(
    dataset: Dataset,
    lists: str,
    k: int = 10,
    cache: Path | None = None,
    *,
    splits: Sequence[Split] | None = None,
    text: Text = "title",
    report: Report | None = None,
) -> Dataset:
    """The data with the lists that are wanted: as they are, or those of a retriever over all items.

    Args:
        lists: one of `DELIVERED` (which of them was read is the reader's), or a retriever's name.
        cache: of paid embeddings.
        splits: None for all.

    Raises:
        SynthError: the retriever cannot be had.
    """
    if lists in DELIVERED:
        return dataset
    found = retrieve(dataset, make_retriever(lists, dataset.items, text, report, cache), k, splits)
    chosen = splits or tuple(dataset.examples)
    return replace(
        dataset,
        examples={
            split: with_lists(part, found) if split in chosen else part for split, part in dataset.examples.items()
        },
    )


def force_target(example: RecExample, pool: Sequence[str], seed: int) -> RecExample:
    """For training only: a list as long as it was, that has the right answer and none of the others.

    Where the right answer is missing it takes the place of a negative drawn at random (LaViC §4.2); the other right
    answers are replaced by items of `pool`.

    Raises:
        SynthError: the list has one item only.
    """
    listed = list(without_others(example, pool, seed).candidates)
    if len(listed) < 2:
        raise SynthError(f"The example {example.id} has {len(listed)} candidate.", "Training needs at least two.")
    if example.gt not in listed:
        listed[rng(seed, "forced", example.id).randrange(len(listed))] = example.gt
    return replace(example, candidates=tuple(listed))


def without_others(example: RecExample, pool: Sequence[str], seed: int) -> RecExample:
    """The list with an item drawn from `pool` in the place of each other right answer; never the right one."""
    wrong = [place for place, item in enumerate(example.candidates) if item in example.other_gts]
    if not wrong:
        return example
    taken = {example.gt, *example.other_gts, *example.candidates}
    drawn = _draw(pool, len(wrong), taken, rng(seed, "others", example.id))
    listed = list(example.candidates)
    for place, item in zip(wrong, drawn, strict=False):
        listed[place] = item
    return replace(example, candidates=tuple(item for item in listed if item not in example.other_gts))


def _draw(pool: Sequence[str], count: int, taken: set[str], random: Random) -> list[str]:
    """Up to so many items of the pool, none of `taken`; fewer only where the pool has no more."""
    drawn: list[str] = []
    for place in random.sample(range(len(pool)), len(pool)):
        if len(drawn) == count:
            break
        if pool[place] not in taken:
            drawn.append(pool[place])
            taken = taken | {pool[place]}
    return drawn


def shuffle_balanced(examples: Sequence[RecExample], seed: int) -> list[RecExample]:
    """Candidates in random order, the right answers spread evenly over the places.

    Among lists of one length that have the right answer, no place has it more than once oftener than another. A model
    that always chooses one place then scores what chance does.
    """
    by_length: dict[int, list[str]] = defaultdict(list)
    for example in examples:
        if example.gt in example.candidates:
            by_length[len(example.candidates)].append(example.id)
    places: dict[str, int] = {}
    for length, ids in by_length.items():
        random = rng(seed, "places", length)
        # Which places get one more, where the examples are no multiple of the length, is drawn too.
        order = random.sample(range(length), length)
        drawn = [order[number % length] for number in range(len(ids))]
        random.shuffle(drawn)
        places.update(zip(ids, drawn, strict=True))
    return [_shuffled(example, places.get(example.id), seed) for example in examples]


def _shuffled(example: RecExample, place: int | None, seed: int) -> RecExample:
    listed = [item for item in example.candidates if place is None or item != example.gt]
    rng(seed, "order", example.id).shuffle(listed)
    if place is not None:
        listed.insert(place, example.gt)
    return replace(example, candidates=tuple(listed))


def ceiling(examples: Sequence[RecExample]) -> float:
    """Recall of the lists in [0, 1], over pairs as released (a repeated answer counts again): HR@1 at its best."""
    pairs = sum(example.repeats for example in examples)
    return sum(example.repeats for example in examples if example.gt in example.candidates) / pairs if pairs else 0.0


def pool_of(dataset: Dataset) -> list[str]:
    """Items that may fill a place: all that lists of the data name, in order of their ids."""
    return sorted({item for part in dataset.examples.values() for example in part for item in example.candidates})


def training_examples(dataset: Dataset, seed: int = 0, split: Split = "train") -> list[RecExample]:
    """A split's examples for training: the right answer in each list, the others in none, places balanced.

    Raises:
        SynthError: asked for the test split, for its figures would be made up.
    """
    if split == "test":
        raise SynthError("The right answer is never put among the candidates of the test split.", "Use `train`.")
    pool = pool_of(dataset)
    return shuffle_balanced([force_target(example, pool, seed) for example in dataset.examples[split]], seed)


def evaluation_examples(
    dataset: Dataset, split: Split = "test", seed: int = 0, others: Others = "out"
) -> list[RecExample]:
    """A split's examples for evaluation: nothing put among the candidates, places balanced; see `Others`."""
    pool = pool_of(dataset)
    examples = dataset.examples[split]
    if others == "out":
        examples = [without_others(example, pool, seed) for example in examples]
    return shuffle_balanced(examples, seed)
