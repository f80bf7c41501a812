"""How far a judge's rounds agree, and how sure a mean of scores is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.corpora.records import Record

RESAMPLES = 10_000
"""Of a bootstrap."""
_AT_ONCE = 2_000_000
"""Numbers drawn at once: 16 MB."""
_EXACT = 1_000_000
"""Scores are counted in whole millionths, so that equal ones are seen as such."""

Floats = NDArray[np.float64]


class Estimate(Record):
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def krippendorff(units: Sequence[Sequence[float]]) -> float | None:
    """Krippendorff's alpha for interval data, where raters may be missing (Krippendorff, 2011, with its δ² = (c - k)²).

    `1 - Do / De`: differences within units over those between any two values, each unit weighted by its values. A unit
    with fewer than two values can disagree with nothing, and is left out.

    Args:
        units: what each was given by those who rated it; whose is whose makes no difference.

    Returns:
        At most 1; 0 is what chance gives. None where it is not defined: nothing to compare, or one value throughout.
    """
    kept = [[round(value * _EXACT) for value in unit] for unit in units if len(unit) > 1]
    values = [value for unit in kept for value in unit]
    expected = _spread(values)
    if not expected:
        return None
    observed = sum(_spread(unit) / (len(unit) - 1) for unit in kept)
    return 1 - observed * (len(values) - 1) / expected


def _spread(values: Sequence[int]) -> int:
    """The sum of squared differences over all ordered pairs."""
    return 2 * (len(values) * sum(value * value for value in values) - sum(values) ** 2)


def mean_difference(units: Sequence[Sequence[float]]) -> float | None:
    """The mean absolute difference between two values of a unit, over units with at least two; None without any."""
    means = []
    for unit in units:
        if len(unit) > 1:
            pairs = [abs(one - other) for n, one in enumerate(unit) for other in unit[:n]]
            means.append(sum(pairs) / len(pairs))
    return sum(means) / len(means) if means else None


def bootstrap(values: Sequence[float], seed: int) -> Estimate | None:
    """The mean, with the percentile interval of the bootstrap (Efron and Tibshirani, 1993, chapter 13); None of none.

    Args:
        values: one for each conversation: these are drawn anew, not rounds.
    """
    if not len(values):
        return None
    low, high = np.percentile(_means(values, np.random.default_rng(seed)), (2.5, 97.5))
    return Estimate(mean=float(np.mean(values)), low=float(low), high=float(high))


def bootstrap_difference(one: Sequence[float], other: Sequence[float], seed: int) -> Estimate | None:
    """The same for the mean of one set less that of another, drawn anew each for itself."""
    if not (len(one) and len(other)):
        return None
    rng = np.random.default_rng(seed)
    low, high = np.percentile(_means(one, rng) - _means(other, rng), (2.5, 97.5))
    return Estimate(mean=float(np.mean(one) - np.mean(other)), low=float(low), high=float(high))


def _means(values: Sequence[float], rng: np.random.Generator) -> Floats:
    """Means of resamples; (RESAMPLES,)"""
    given = np.asarray(values, dtype=np.float64)
    rows = max(_AT_ONCE // len(given), 1)
    parts = [
        given[rng.integers(len(given), size=(min(rows, RESAMPLES - start), len(given)))].mean(axis=1)
        for start in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)
