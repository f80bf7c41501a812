"""How sure a figure is, and whether two systems differ: intervals and paired tests that respect conversations.

The pairs of one conversation are not independent, so intervals and permutations draw whole conversations. Wilson's
interval and the sign test are those of `synth.analysis.agreement`; bootstrap and permutation are here, because one draw
of conversations serves all systems and figures at once, where SciPy would draw anew for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from synth.analysis.agreement import sign_test
from synth.recommender.extras import require

Values: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = NDArray[np.int64]
_Key = TypeVar("_Key", bound=Hashable)

RESAMPLES = 9_999
LEVEL = 0.95
_EXACT = 12
"""Up to so many conversations on which two systems differ, all sign patterns are tried."""
_CHUNK = 2_000_000
"""Numbers drawn at once."""


def bootstrap(
    values: Mapping[_Key, tuple[Values, Values]], groups: Groups, seed: int = 0, resamples: int = RESAMPLES
) -> dict[_Key, tuple[float, float] | None]:
    """BCa intervals, 95 %, of weighted means, drawing whole conversations (Efron, JASA 1987).

    Args:
        values: by name, (value, weight) of each example, each of shape (examples,); a weight of 0 leaves it out.
        groups: the conversation of each example, numbered from 0.

    Returns:
        By name; None where the interval is not defined: all conversations have the same value, or fewer than two have
        a weight.
    """
    require("eval", "scipy")
    from scipy.special import ndtr, ndtri  # type: ignore[import-untyped]

    count = int(groups.max()) + 1 if len(groups) else 0
    sums = {name: _sums(value, weight, groups, count) for name, (value, weight) in values.items()}
    usable = {name: pair for name, pair in sums.items() if _varies(*pair)}
    intervals: dict[_Key, tuple[float, float] | None] = dict.fromkeys(values)
    if not usable:
        return intervals
    matrix = np.stack([part for pair in usable.values() for part in pair], axis=1)
    drawn = resample(matrix, seed, resamples)
    alpha = (1 - LEVEL) / 2
    for place, (name, (above, below)) in enumerate(usable.items()):
        seen = drawn[:, 2 * place + 1] > 0
        means = drawn[seen, 2 * place] / drawn[seen, 2 * place + 1]
        mean = above.sum() / below.sum()
        share = (np.mean(means < mean) + np.mean(means <= mean)) / 2
        z0 = float(ndtri(np.clip(share, 1 / (2 * resamples), 1 - 1 / (2 * resamples))))
        # Each conversation left out in turn gives the acceleration.
        left = below.sum() - below
        without = (above.sum() - above)[left > 0] / left[left > 0]
        apart = without.mean() - without
        spread = (apart**2).sum() ** 1.5
        acceleration = float((apart**3).sum() / (6 * spread)) if spread > 0 else 0.0
        ends = [z0 + (z0 + z) / (1 - acceleration * (z0 + z)) for z in (ndtri(alpha), ndtri(1 - alpha))]
        low, high = np.quantile(means, [float(ndtr(end)) for end in ends])
        intervals[name] = (float(low), float(high))
    return intervals


def _sums(value: Values, weight: Values, groups: Groups, count: int) -> tuple[Values, Values]:
    above, below = np.bincount(groups, value * weight, count), np.bincount(groups, weight, count)
    return above.astype(np.float64), below.astype(np.float64)


def _varies(above: Values, below: Values) -> bool:
    own = above[below > 0] / below[below > 0]
    return len(own) > 1 and bool(np.ptp(own) > 1e-12)


def resample(matrix: Values, seed: int = 0, resamples: int = RESAMPLES) -> Values:
    """Column sums over conversations drawn with replacement.

    Args:
        matrix: a row for each conversation, shape (conversations, columns).

    Returns:
        Shape (resamples, columns).
    """
    generator = np.random.default_rng(seed)
    count = len(matrix)
    step = max(_CHUNK // count, 1)
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        rows = generator.integers(0, count, size=(size, count)) + np.arange(size)[:, None] * count
        parts.append(np.bincount(rows.ravel(), minlength=size * count).reshape(size, count) @ matrix)
    return np.concatenate(parts)


def mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int, float]:
    """McNemar's exact test on paired hits (McNemar, Psychometrika 1947).

    Returns:
        (hits of the one alone, of the other alone, two-sided p); p is 1 where they never differ.
    """
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    return first, second, sign_test(first, second)


def permutation(one: Values, other: Values, groups: Groups, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Two-sided p of the paired permutation test on the difference of sums: the systems trade places at random in
    whole conversations (Fisher's randomisation test; Smucker et al., CIKM 2007).

    Exact for up to 12 conversations on which they differ; else (b + 1) / (resamples + 1), so never 0.
    """
    apart = np.bincount(groups, one - other)
    apart = apart[np.abs(apart) > 1e-12]
    if not len(apart):
        return 1.0
    seen = abs(float(apart.sum())) * (1 - 1e-9) - 1e-12
    if len(apart) <= _EXACT:
        patterns = (np.arange(1 << len(apart))[:, None] >> np.arange(len(apart))) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ apart) >= seen))
    generator = np.random.default_rng(seed)
    step = max(_CHUNK // len(apart), 1)
    reached = 0
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        signs = generator.integers(0, 2, size=(size, len(apart)), dtype=np.int8).astype(np.float64) * 2 - 1
        reached += int((np.abs(signs @ apart) >= seen).sum())
    return (reached + 1) / (resamples + 1)


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for their number, in their order (Holm, Scand. J. Statist. 1979)."""
    order = sorted(range(len(p)), key=lambda place: p[place])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min((len(p) - rank) * p[place], 1.0))
        adjusted[place] = highest
    return adjusted
