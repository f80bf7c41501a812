"""Whether systems were asked the same: figures over different questions are not compared."""

from __future__ import annotations

from collections.abc import Sequence

from synth.errors import SynthError
from synth.recommender.runs import Query

_SAID = {
    "conversation": "in another conversation",
    "gt": "with another right answer",
    "answers": "with other right answers",
    "candidates": "with other candidates or in another order",
    "reference": "with another reference",
    "repeats": "for another number of pairs",
}


def require_equal(one: Sequence[Query], other: Sequence[Query], name: str, others: str) -> None:
    """
    Args:
        name: of who was asked the one, for the message.
        others: of who was asked the other.

    Raises:
        SynthError: the questions differ in anything but their order; the line says in how many, with an example.
    """
    first, second = {query.id: query for query in one}, {query.id: query for query in other}
    if first == second:
        return
    alone, missing = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
    changed = sorted(query for query in first.keys() & second.keys() if first[query] != second[query])
    if alone:
        example = f"only {name} was asked {alone[0]}"
    elif missing:
        example = f"only {others} was asked {missing[0]}"
    else:
        part = next(part for part in _SAID if getattr(first[changed[0]], part) != getattr(second[changed[0]], part))
        example = f"{changed[0]} was asked {_SAID[part]}"
    raise SynthError(
        f"{name} was asked other questions than {others}: {len(alone) + len(missing) + len(changed):,} of "
        f"{len(first.keys() | second.keys()):,} differ; {example}.",
        "Compare runs over the same questions: make them with the same data, lists and seed.",
    )
