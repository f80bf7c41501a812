"""Agreement and intervals, against computations that go about it in another way."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import pytest

from synth.analysis.agreement import cohen, fleiss, sign_test, wilson


def cohen_from_table(one: list[str], other: list[str]) -> Fraction | None:
    """From the contingency table, in exact fractions."""
    labels = sorted({*one, *other})
    pairs = list(zip(one, other, strict=True))
    table = {(a, b): Fraction(pairs.count((a, b)), len(pairs)) for a in labels for b in labels}
    observed = sum(table[label, label] for label in labels)
    rows = {a: sum(table[a, b] for b in labels) for a in labels}
    columns = {b: sum(table[a, b] for a in labels) for b in labels}
    expected = sum(rows[label] * columns[label] for label in labels)
    return None if expected == 1 else Fraction(observed - expected) / (1 - expected)


def fleiss_from_pairs(items: list[list[str]]) -> Fraction | None:
    """From every ordered pair of raters of every item, in exact fractions."""
    kept = [labels for labels in items if len(labels) > 1]
    if not kept:
        return None
    shares = []
    for labels in kept:
        pairs = list(itertools.permutations(labels, 2))
        shares.append(Fraction(sum(a == b for a, b in pairs), len(pairs)))
    expected = Fraction(0)
    for label in {label for labels in kept for label in labels}:
        expected += (sum(Fraction(labels.count(label), len(labels)) for labels in kept) / len(kept)) ** 2
    return None if expected == 1 else (sum(shares) / len(shares) - expected) / (1 - expected)


def test_cohen_agrees_with_the_table() -> None:
    draw = random.Random(5)
    for _ in range(300):
        labels = "abcd"[: draw.randint(1, 4)]
        size = draw.randint(1, 25)
        one = draw.choices(labels, k=size)
        other = [label if draw.random() < 0.6 else draw.choice(labels) for label in one]
        expected, found = cohen_from_table(one, other), cohen(one, other)
        assert (found is None) == (expected is None)
        assert expected is None or found == pytest.approx(float(expected), abs=1e-12)


def test_cohen_at_its_ends() -> None:
    assert cohen([], []) is None
    assert cohen(["a", "a"], ["a", "a"]) is None
    assert cohen(["a", "b"], ["a", "b"]) == 1
    assert cohen(["a", "b"], ["b", "a"]) == -1
    assert cohen(["a", "a"], ["a", "b"]) == 0
    assert cohen(["a", "a"], ["b", "b"]) == 0
    with pytest.raises(ValueError, match="not as many"):
        cohen(["a"], [])


def test_cohen_of_the_textbook_example() -> None:
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.4."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(0.4)


def test_fleiss_agrees_with_counting_pairs() -> None:
    draw = random.Random(6)
    for _ in range(300):
        labels = "abcde"[: draw.randint(1, 5)]
        raters = draw.randint(1, 6)
        same = draw.random() < 0.5
        items = [
            draw.choices(labels, k=raters if same else draw.randint(0, raters)) for _ in range(draw.randint(0, 12))
        ]
        expected, found = fleiss_from_pairs(items), fleiss([Counter(labels) for labels in items])
        assert (found is None) == (expected is None)
        assert expected is None or found == pytest.approx(float(expected), abs=1e-12)


def test_fleiss_of_his_own_kind_of_table() -> None:
    """The worked example of 14 raters, 10 subjects and 5 categories: 0.210."""
    rows = [
        *((0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1)),
        *((7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)),
    ]
    assert fleiss([dict(enumerate(row)) for row in rows]) == pytest.approx(0.210, abs=5e-4)
    assert fleiss([{"a": 3}, {"a": 3}]) is None
    assert fleiss([{"a": 2, "b": 0}, {"b": 2}]) == 1


def test_the_sign_test_is_the_binomial_tails_sum() -> None:
    for one, other in itertools.product(range(13), repeat=2):
        n = one + other
        chances = [Fraction(math.comb(n, k), 2**n) for k in range(n + 1)]
        expected = sum(chance for chance in chances if chance <= chances[one])
        assert sign_test(one, other) == pytest.approx(float(expected))
    assert sign_test(0, 0) == 1
    assert sign_test(600, 400) < 1e-9


def test_wilson_solves_its_equation() -> None:
    """The bounds are where the score statistic is exactly 1.96."""
    for trials in (1, 3, 10, 250):
        for successes in range(0, trials + 1, max(trials // 7, 1)):
            found = wilson(successes, trials)
            assert found is not None
            assert 0 <= found.low <= found.share <= found.high <= 1
            for bound in (found.low, found.high):
                if 0 < bound < 1:
                    score = abs(found.share - bound) / math.sqrt(bound * (1 - bound) / trials)
                    assert score == pytest.approx(1.96, abs=1e-3)
    assert wilson(0, 0) is None
    none = wilson(0, 10)
    assert none is not None
    assert none.low == 0
    assert none.high == pytest.approx(0.2775, abs=1e-4)
