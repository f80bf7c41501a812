"""Fusion: one ranking from the rankings that several vectors gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from synth.index.vectors import Ranking, Scores, best

Fusion: TypeAlias = Literal["rrf", "weighted"]

RRF_K = 60
DIGITS = 9
"""Decimals of a fused score: with six, reciprocal ranks near 1,000 would no longer differ."""


def fuse(rankings: Mapping[str, Ranking], how: Fusion, weights: Mapping[str, float], depth: int) -> Ranking:
    """The `depth` best items of all rankings. A single ranking stays as it is, its own scores included.

    Args:
        how: `rrf`: the sum of weight / (60 + rank), rank from 0 (Cormack et al., SIGIR 2009); `weighted`: the sum of
            weight x score, the scores of each ranking stretched to [0, 1] and 0 for items that are not in it.
        weights: by the vector's name; 1 where it has none.
    """
    if len(rankings) == 1:
        (only,) = rankings.values()
        return Ranking(only.rows[:depth], only.scores[:depth])
    rows = np.concatenate([ranking.rows for ranking in rankings.values()])
    parts = [weights.get(name, 1.0) * _parts(ranking, how) for name, ranking in rankings.items()]
    fused, place = np.unique(rows, return_inverse=True)
    scores: Scores = np.bincount(place, np.concatenate(parts), minlength=len(fused)).astype(np.float64)
    return best(fused, scores, depth, DIGITS)


def _parts(ranking: Ranking, how: Fusion) -> Scores:
    """What a ranking contributes to each of its items' scores."""
    if how == "rrf":
        return 1 / (RRF_K + np.arange(len(ranking.rows), dtype=np.float64))
    if not len(ranking.rows):
        return np.empty(0)
    high, low = float(ranking.scores[0]), float(ranking.scores[-1])
    return (ranking.scores - low) / (high - low) if high > low else np.ones(len(ranking.rows))
