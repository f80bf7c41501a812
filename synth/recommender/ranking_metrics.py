"""Hits, recall, reciprocal rank and gain of rankings at any depth, query by query, computed by `ir_measures`.

Every name has one definition, in docs/evaluation.md. Queries without a right answer count in none of them; a query
that a system did not answer counts as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from synth.errors import SynthError
from synth.recommender.estimates import Column, groups_of
from synth.recommender.extras import require
from synth.recommender.runs import Query, RunFile, ranking
from synth.recommender.significance import Groups, Values

MICRO, MACRO, VALID = "lavic.hr1_micro", "lavic.hr1_macro", "lavic.valid_ratio"
GIVEN, MRR, NDCG = "hr1_given_hit", "mrr", "ndcg@10"
FORMS = ("hit@K", "recall@K", "mrr", "mrr@K", "ndcg@K", MICRO, MACRO, VALID, GIVEN)
"""How names look; those without a dot may end in `_macro`."""

_AS = {MICRO: "hit@1", MACRO: "hit@1_macro", GIVEN: "hit@1"}
_NAME = re.compile(r"(?P<kind>hit|recall|mrr|ndcg)@(?P<k>[1-9]\d{0,8})(?P<macro>_macro)?|(?P<all>mrr)(?P<mean>_macro)?")


def is_ranking(name: str) -> bool:
    """Whether a name is one of these metrics'."""
    return name == VALID or name in _AS or bool(_NAME.fullmatch(name))


def depth(name: str) -> int:
    """How many of the first items a metric looks at; 0 for all."""
    found = _NAME.fullmatch(_AS.get(name, name))
    return int(found["k"]) if found and found["k"] else int(name == VALID)


def rank_columns(run: RunFile, queries: Sequence[Query], names: Collection[str]) -> dict[str, Column]:
    """The metrics of one system that its run allows.

    Where candidates were shown and the system does not score them all, it has only what looks at its first item: for a
    single answer, a reciprocal rank would be HR@1 by another name.

    Returns:
        By name, with one value for each query. A repeated pair counts again, but for macro means.

    Raises:
        SynthError: the run answers something that was not asked, or `ir_measures` is not installed.
    """
    unknown = run.scores.keys() - {query.id for query in queries}
    if unknown:
        raise SynthError(
            f"{run.name} answers {len(unknown):,} queries that were not asked, such as {min(unknown)}.",
            "Compare runs over the same examples.",
        )
    groups = groups_of(queries)
    judged = np.array([query.repeats * bool(query.right) for query in queries], dtype=np.float64)
    held = np.array([is_held(query) for query in queries], dtype=np.float64)
    single = all(len(query.right) < 2 for query in queries)
    full = ranks_all(run, queries)
    wanted = [name for name in names if full or depth(name) == 1]
    ordered = {query: ranking(query, scores) for query, scores in run.scores.items()}
    values = _computed(ordered, queries, {_base(name) for name in wanted if name != VALID})
    found: dict[str, Column] = {}
    for name in wanted:
        if name == VALID:
            listed = np.array([query.repeats * bool(query.candidates) for query in queries], dtype=np.float64)
            answered = np.array([_valid(run, query, ordered.get(query.id)) for query in queries])
            found[name] = Column(answered, _even(listed, groups), True)
        else:
            macro = _AS.get(name, name).endswith("_macro")
            weight = _even(judged, groups) if macro else judged * held if name == GIVEN else judged
            share = _base(name).startswith(("hit", "recall") if single else "hit")
            found[name] = Column(values[_base(name)], weight, share)
    return found


def is_held(query: Query) -> bool:
    """Whether a right answer is among the candidates."""
    return any(answer in query.candidates for answer in query.right)


def held_pairs(queries: Sequence[Query]) -> int:
    """Pairs with a right answer among the candidates; by all pairs, the ceiling."""
    return sum(query.repeats * is_held(query) for query in queries)


def ranks_all(run: RunFile, queries: Sequence[Query]) -> bool:
    """Whether a system scores all candidates of every query that it answers."""
    return all(set(query.candidates) <= run.scores[query.id].keys() for query in queries if query.id in run.scores)


def _base(name: str) -> str:
    return _AS.get(name, name).removesuffix("_macro")


def _computed(ordered: dict[str, list[str]], queries: Sequence[Query], names: Collection[str]) -> dict[str, Values]:
    require("eval", "ir_measures")
    import ir_measures

    kinds: dict[str, Any] = {
        "hit": ir_measures.Success,
        "recall": ir_measures.R,
        "mrr": ir_measures.RR,
        "ndcg": ir_measures.nDCG,
    }
    measures: dict[Any, str] = {}
    for name in names:
        kind, _, cutoff = name.partition("@")
        measures[kinds[kind] @ int(cutoff) if cutoff else kinds[kind]] = name
    # Queries without a right answer are kept from pytrec_eval, which has answered for them in one way and another.
    asked = {query.id: dict.fromkeys(query.right, 1) for query in queries if query.right}
    # Scores are replaced by ranks: trec_eval would break ties by id, and compares in single precision.
    given = {
        query: {item: -float(rank) for rank, item in enumerate(items)}
        for query, items in ordered.items()
        if items and query in asked
    }
    place = {query.id: number for number, query in enumerate(queries)}
    values: dict[str, Values] = {name: np.zeros(len(queries)) for name in names}
    if measures and asked:
        for metric in ir_measures.iter_calc(list(measures), asked, given):
            values[measures[metric.measure]][place[metric.query_id]] = metric.value
    return values


def _even(weight: Values, groups: Groups) -> Values:
    """Weights by which every conversation counts alike."""
    totals = np.bincount(groups, weight)[groups] if len(groups) else weight
    return np.divide(weight, totals, out=np.zeros_like(weight), where=totals > 0)


def _valid(run: RunFile, query: Query, ordered: list[str] | None) -> float:
    if query.id in run.responses:
        return float(run.responses[query.id].valid)
    return float(bool(ordered) and ordered is not None and ordered[0] in query.candidates)
