"""Five choices for a request: the most upvoted title, and four others at random (Yoon et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from synth.errors import SynthError
from synth.randomness import rng
from synth.recommender.imagery.data import Request

NEGATIVES = 4


def best_of(recommended: Mapping[str, int]) -> str:
    """The most upvoted title, of equal ones the first."""
    return max(recommended, key=lambda title: recommended[title])


def with_choices(request: Request, recommended: Mapping[str, int], items: Sequence[str], seed: int = 0) -> Request:
    """The request with its own choices; with drawn ones where it has none.

    The negatives are drawn evenly from all items that were not recommended for it, and the order is random. Both
    depend on the seed and the request's id alone, not on the order of `items` nor on Python's hashes.

    Args:
        items: all titles, sorted, each once.

    Raises:
        SynthError: fewer than four others are there.
    """
    if request.choices:
        return request
    drawn = rng(seed, "imagery", "choices", request.id)
    best = best_of(recommended)
    # Counted only where they may be too few.
    few = len(items) < len(recommended) + NEGATIVES
    others = sum(item not in recommended for item in items) if few else NEGATIVES
    if others < NEGATIVES:
        raise SynthError(f"{request.id}: of {len(items)} titles, {others} were not recommended; four are needed.")
    negatives: list[str] = []
    while len(negatives) < NEGATIVES:
        item = items[drawn.randrange(len(items))]
        if item not in recommended and item not in negatives:
            negatives.append(item)
    choices = [best, *negatives]
    drawn.shuffle(choices)
    return replace(request, choices=tuple(choices), true_index=choices.index(best))
