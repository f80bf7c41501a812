"""How far people agree beyond chance, and how sure a share or a preference is. Exact, and without SciPy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction

from synth.corpora.records import Record

_Z = 1.959963984540054
"""The normal distribution's 97.5 % point."""


class Interval(Record):
    """A share with its 95 % confidence interval, all in [0, 1]."""

    share: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval | None:
    """Wilson's score interval (Wilson, 1927), which holds near 0 and 1 and for few trials too; None without trials."""
    if not trials:
        return None
    share, squared = successes / trials, _Z * _Z
    middle = (share + squared / (2 * trials)) / (1 + squared / trials)
    half = _Z / (1 + squared / trials) * math.sqrt(share * (1 - share) / trials + squared / (4 * trials * trials))
    # Rounding must not push the bounds past what they are at the ends.
    low = 0.0 if successes == 0 else max(middle - half, 0.0)
    high = 1.0 if successes == trials else min(middle + half, 1.0)
    return Interval(share=share, low=low, high=high)


def sign_test(one: int, other: int) -> float:
    """Two-sided exact p of the sign test: that so uneven a split comes of tossing a fair coin.

    Ties take no part in it (Dixon and Mood, 1946). 1 without any.
    """
    trials = one + other
    tail = term = 1
    for k in range(1, min(one, other) + 1):
        term = term * (trials - k + 1) // k
        tail += term
    return min(float(Fraction(2 * tail, 1 << trials)), 1.0)


def cohen(one: Sequence[Hashable], other: Sequence[Hashable]) -> float | None:
    """Cohen's kappa (Cohen, 1960) of two annotators' labels for the same items, in the same order.

    `(po - pe) / (1 - pe)`: observed agreement, less what their own label frequencies would give by chance.

    Returns:
        In [-1, 1]; None where it is not defined: no items, or both gave all of them one and the same label.

    Raises:
        ValueError: the labels are not of the same number of items.
    """
    if len(one) != len(other):
        raise ValueError("not as many labels of one annotator as of the other")
    items = len(one)
    agreed = sum(a == b for a, b in zip(one, other, strict=True))
    first, second = Counter(one), Counter(other)
    chance = sum(number * second[label] for label, number in first.items())
    # In whole numbers up to here, so that certainty is seen as such.
    if not items or chance == items * items:
        return None
    return (agreed * items - chance) / (items * items - chance)


def fleiss(items: Sequence[Mapping[Hashable, int]]) -> float | None:
    """Fleiss' kappa (Fleiss, 1971) of any number of annotators.

    Where not all have labelled all, an item's agreement is that among those who did, and the labels' frequencies are
    the means of the items' own (Gwet, 2014, chapter 2); with equal numbers that is Fleiss' definition. An item with
    fewer than two labels says nothing, and is left out.

    Args:
        items: how often each label was given to each.

    Returns:
        At most 1; None where it is not defined: no items, or one label throughout.
    """
    kept = [counts for counts in items if sum(counts.values()) > 1]
    labels = {label for counts in kept for label, number in counts.items() if number}
    if len(labels) < 2:
        return None
    agreed = 0.0
    frequencies: dict[Hashable, float] = dict.fromkeys(labels, 0.0)
    for counts in kept:
        raters = sum(counts.values())
        agreed += sum(number * (number - 1) for number in counts.values()) / (raters * (raters - 1))
        for label in labels:
            frequencies[label] += counts.get(label, 0) / raters
    chance = sum((frequency / len(kept)) ** 2 for frequency in frequencies.values())
    return (agreed / len(kept) - chance) / (1 - chance)
