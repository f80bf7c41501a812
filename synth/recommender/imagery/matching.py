"""Whether a listed title is a recommended one: by edit distance, as in the paper, or by normalised similarity."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from synth.recommender.imagery.parsing import normal, sides

FURTHEST = 4
"""Largest edit distance of a match in `original`: under 5, however short the title."""
LEAST = 0.85
"""Least similarity of each side in `fixed`: 1 - edit distance / length of the longer."""


def first_original(lines: Sequence[str], recommended: Collection[str]) -> int:
    """Place from 1 of the first line that matches, 0 if none does.

    A line matches within 4 edits (Levenshtein, in lower case) of a recommended entry, or where a recommended creator,
    an entry without ` - `, stands anywhere in what is before its first `-`.
    """
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    if not lines or not recommended:
        return 0
    creators = [entry for entry in recommended if " - " not in entry]
    near = cdist(
        [line.lower() for line in lines],
        [entry.lower() for entry in recommended],
        scorer=Levenshtein.distance,
        score_cutoff=FURTHEST,
        dtype=np.uint8,
    )
    close = near.min(axis=1) <= FURTHEST
    for place, line in enumerate(lines):
        if close[place]:
            return place + 1
        before = line.split("-", 1)[0]
        if any(creator in before for creator in creators):
            return place + 1
    return 0


def first_fixed(lines: Sequence[tuple[str, str]], recommended: Collection[str]) -> int:
    """Place from 1 of the first line that matches, 0 if none does.

    Both sides of the line are like both sides of an entry, in either order; or one of its sides is like an entry that
    has but one. Compared are `normal` texts.
    """
    if not lines or not recommended:
        return 0
    entries = [[normal(side) for side in sides(entry)] for entry in recommended]
    pairs = [(parts[0], parts[1]) for parts in entries if len(parts) == 2 and all(parts)]
    # `stand by me` is a title, too: an entry parted by `by` is also compared whole.
    single = [normal(entry) for entry in recommended if " - " not in entry]
    left, right = [normal(a) for a, _ in lines], [normal(b) for _, b in lines]
    hit: NDArray[np.bool_] = np.zeros(len(lines), dtype=np.bool_)
    if pairs:
        first, second = [a for a, _ in pairs], [b for _, b in pairs]
        hit |= ((_like(left, first) & _like(right, second)) | (_like(left, second) & _like(right, first))).any(axis=1)
    if single:
        hit |= (_like(left, single) | _like(right, single)).any(axis=1)
    return int(hit.argmax()) + 1 if hit.any() else 0


def _like(some: Sequence[str], others: Sequence[str]) -> NDArray[np.bool_]:
    """Which are alike, shape (some, others)."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    found: NDArray[np.float32] = cdist(
        some, others, scorer=Levenshtein.normalized_similarity, score_cutoff=LEAST, dtype=np.float32
    )
    return found >= LEAST - 1e-6
