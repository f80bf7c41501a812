"""Who buys what: persons by gender and age, and the kinds of products bought for each, so that stereotypes show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.corpora.readers import Buyer

BANDS = (18, 25, 35, 45, 55, 65)
"""First years of the age bands; the last is open, and younger persons have a band of their own."""


def band(age: int | None) -> str:
    """`25–34`, `under 18`, `65 and over`, or `not stated`."""
    if age is None:
        return "not stated"
    if age < BANDS[0]:
        return f"under {BANDS[0]}"
    for first, after in zip(BANDS, BANDS[1:], strict=False):
        if age < after:
            return f"{first}–{after - 1}"
    return f"{BANDS[-1]} and over"


def order() -> list[str]:
    """All bands, the youngest first."""
    return [band(BANDS[0] - 1), *(band(age) for age in BANDS), band(None)]


@dataclass(slots=True)
class Persons:
    """Conversations (or profiles) by their buyer; somebody who buys twice counts twice."""

    gender: Counter[str] = field(default_factory=Counter)
    """`female`, `male`, `not stated`."""
    age: Counter[str] = field(default_factory=Counter)
    gender_age: Counter[tuple[str, str]] = field(default_factory=Counter)
    gender_type: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By gender and the kind of the target."""
    age_type: Counter[tuple[str, str]] = field(default_factory=Counter)
    gender_age_type: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    professions: Counter[str] = field(default_factory=Counter)

    def add(self, buyer: Buyer, kind: str | None) -> None:
        gender, age = buyer.gender or "not stated", band(buyer.age)
        self.gender[gender] += 1
        self.age[age] += 1
        self.gender_age[gender, age] += 1
        if buyer.profession:
            self.professions[buyer.profession] += 1
        if kind is not None:
            self.gender_type[gender, kind] += 1
            self.age_type[age, kind] += 1
            self.gender_age_type[gender, age, kind] += 1

    def to_json(self) -> dict[str, Any]:
        ages = {name: place for place, name in enumerate(order())}
        return {
            "gender": dict(self.gender.most_common()),
            "age": {name: self.age[name] for name in sorted(self.age, key=ages.__getitem__)},
            "gender_age": _nested(self.gender_age),
            "gender_type": _nested(self.gender_type),
            "age_type": _nested(self.age_type),
            "professions": dict(self.professions.most_common()),
            "association": {
                "gender_type": association(self.gender_type),
                "age_type": association(self.age_type),
                "gender_age": association(self.gender_age),
            },
        }


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (row, column), count in counts.most_common():
        nested.setdefault(row, {})[column] = count
    return nested


def association(counts: Counter[tuple[str, str]]) -> float | None:
    """Cramér's V with Bergsma's correction (2013), in [0, 1]: 0 where rows and columns have nothing to do with each
    other, 1 where one tells the other. None where there are not two of each, or next to nothing is counted."""
    rows, columns = (sorted({key[side] for key in counts}) for side in (0, 1))
    total = counts.total()
    if len(rows) < 2 or len(columns) < 2 or total < 2:
        return None
    table = np.array([[counts[row, column] for column in columns] for row in rows], dtype=float)
    expected = table.sum(1, keepdims=True) @ table.sum(0, keepdims=True) / total
    chi = float(((table - expected) ** 2 / expected).sum()) / total
    chance = (len(rows) - 1) * (len(columns) - 1) / (total - 1)
    height = len(rows) - (len(rows) - 1) ** 2 / (total - 1)
    width = len(columns) - (len(columns) - 1) ** 2 / (total - 1)
    smaller = min(height, width) - 1
    return min(1.0, float(np.sqrt(max(0.0, chi - chance) / smaller))) if smaller > 0 else None
