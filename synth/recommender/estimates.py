"""Metrics of queries made into figures: weighted means with intervals and paired tests that respect conversations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from synth.analysis.agreement import wilson
from synth.recommender.runs import Query
from synth.recommender.significance import Groups, Values, bootstrap, mcnemar, permutation
from synth.recommender.table import Figure

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Column:
    """One metric of one system, query by query."""

    value: Values
    """Shape (queries,)."""
    weight: Values
    """Shape (queries,): what each counts in the mean; 0 leaves it out."""
    share: bool = False
    """Whether every value is 0 or 1."""

    @property
    def mean(self) -> float:
        """The figure; 0 where nothing counts."""
        total = self.weight.sum()
        return float((self.value * self.weight).sum() / total) if total else 0.0


class Tested(NamedTuple):
    """One system against another on one metric."""

    system: str
    apart: tuple[int, int] | None
    """For McNemar's test: hits of it alone, and of the other alone."""
    p: float
    """Two-sided."""
    test: str
    """As in `table.Comparison`."""


def groups_of(queries: Sequence[Query]) -> Groups:
    """The conversation of each query, numbered from 0, shape (queries,)."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(query.conversation, len(numbers)) for query in queries], dtype=np.int64)


def lone(queries: Sequence[Query]) -> bool:
    """Whether every conversation asks once, so that all queries are independent and count alike."""
    return len({query.conversation for query in queries}) == len(queries) and all(q.repeats == 1 for q in queries)


def estimate(
    columns: Mapping[Key, Column], groups: Groups, *, single: bool = False, seed: int = 0
) -> dict[Key, Figure]:
    """Means with 95 % intervals, all from the same draws of conversations; a column where nothing counts is left out.

    A share has Wilson's interval where every conversation has one query, or where all conversations agree and the
    bootstrap has nothing to draw from; everything else has the bootstrap's, where that is defined.

    Args:
        columns: by system and metric.
        single: see `lone`.
        seed: of the bootstrap.
    """
    used = {key: column for key, column in columns.items() if column.weight.sum() > 0}
    drawn = {key: (column.value, column.weight) for key, column in used.items() if not (column.share and single)}
    intervals = bootstrap(drawn, groups, seed)
    return {key: _figure(column, groups, intervals.get(key), single) for key, column in used.items()}


def _figure(column: Column, groups: Groups, interval: tuple[float, float] | None, single: bool) -> Figure:
    mean = column.mean
    if interval:
        return Figure(mean, *interval, "bca")
    if column.share and (single or mean in (0.0, 1.0)):
        counted = column.weight > 0
        trials = int(counted.sum()) if single else len(set(groups[counted].tolist()))
        found = wilson(round(mean * trials), trials)
        if found:
            return Figure(mean, found.low, found.high, "wilson")
    return Figure(mean, None, None, "")


def tested(
    columns: Mapping[str, Column], against: str, groups: Groups, *, single: bool = False, seed: int = 0
) -> list[Tested]:
    """Every system's test against one of them, on one metric; none where that one does not have it.

    A share has McNemar's exact test where every conversation has one query that counts once; everything else the
    permutation test over whole conversations, on what each query adds to the figure.

    Args:
        columns: by system.
        single: see `lone`.
        seed: of the permutations.
    """
    if against not in columns:
        return []
    base = columns[against]
    found: list[Tested] = []
    for system, own in columns.items():
        if system == against:
            continue
        if own.share and single:
            counted = own.weight > 0
            one, other, p = mcnemar((own.value > 0) & counted, (base.value > 0) & counted)
            found.append(Tested(system, (one, other), p, "mcnemar"))
        else:
            p = permutation(own.value * own.weight, base.value * base.weight, groups, seed)
            found.append(Tested(system, None, p, "permutation"))
    return found
