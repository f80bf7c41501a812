"""HR@1, ValidRatio, ceiling, MRR and nDCG of runs, with intervals and paired tests.

Every figure has a name with one definition (docs/evaluation.md). Micro figures are means over (conversation, right
answer) pairs as released, where a repeated answer counts again; macro figures are means over conversations of the mean
over their pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.recommender.extras import require
from synth.recommender.runs import Query, RunFile, ranking
from synth.recommender.significance import Groups, Values, bootstrap, holm, mcnemar, permutation, wilson
from synth.recommender.table import Comparison, Figure, System, Table

MICRO, MACRO, VALID = "lavic.hr1_micro", "lavic.hr1_macro", "lavic.valid_ratio"
GIVEN, MRR, NDCG = "hr1_given_hit", "mrr", "ndcg@10"
TESTED = (MICRO, MRR, NDCG)


@dataclass(frozen=True)
class PerQuery:
    """One system's outcomes, each of shape (queries,)."""

    hit1: Values
    """1 where the right answer is put first."""
    valid: Values
    """1 where what is put first is among the candidates."""
    reciprocal: Values
    """1 / rank of the right answer, 0 where it is not ranked."""
    ndcg: Values
    """1 / log2(1 + rank) for ranks up to 10, else 0: with one right answer the ideal gain is 1."""
    ranks: bool
    """Whether it ranks all candidates of every query it answers; else MRR and nDCG would be HR@1 by another name."""
    missing: int
    """Queries without an answer: misses, and invalid."""


def per_query(run: RunFile, queries: Sequence[Query]) -> PerQuery:
    """A run's outcomes, by ir_measures (MacAvaney et al., ECIR 2022) where it has the measure.

    Raises:
        SynthError: the run answers something that was not asked, or the extra `eval` is not installed.
    """
    require("eval", "ir_measures", "scipy")
    import ir_measures

    unknown = run.scores.keys() - {query.id for query in queries}
    if unknown:
        raise SynthError(
            f"{run.name} answers {len(unknown):,} queries that were not asked, such as {min(unknown)}.",
            "Compare runs over the same examples.",
        )
    ranked = {query: ranking(query, scores) for query, scores in run.scores.items()}
    measures = {"hit1": ir_measures.Success @ 1, "reciprocal": ir_measures.RR, "ndcg": ir_measures.nDCG @ 10}
    # Scores are replaced by ranks: trec_eval would break ties by id, and compares in single precision.
    given = {query: {item: -float(rank) for rank, item in enumerate(items)} for query, items in ranked.items() if items}
    asked = {query.id: {query.gt: 1} for query in queries}
    place = {query.id: number for number, query in enumerate(queries)}
    found = {name: np.zeros(len(queries)) for name in measures}
    names = {str(measure): name for name, measure in measures.items()}
    for metric in ir_measures.iter_calc(list(measures.values()), asked, given):
        found[names[str(metric.measure)]][place[metric.query_id]] = metric.value
    return PerQuery(
        valid=np.array([_valid(run, query, ranked.get(query.id)) for query in queries]),
        ranks=all(set(query.candidates) <= run.scores[query.id].keys() for query in queries if query.id in run.scores),
        missing=sum(query.id not in run.scores for query in queries),
        **found,
    )


def _valid(run: RunFile, query: Query, ranked: list[str] | None) -> float:
    if query.id in run.responses:
        return float(run.responses[query.id].valid)
    return float(bool(ranked) and ranked is not None and ranked[0] in query.candidates)


def evaluate(runs: Mapping[str, RunFile], qrels: Sequence[Query], against: str | None = None, seed: int = 0) -> Table:
    """All figures of all runs, and each compared with one of them.

    Args:
        runs: by the name under which a table shows it.
        qrels: what was asked, with the right answers.
        against: the run that the others are tested against; None for the last.
        seed: of bootstrap and permutations.

    Raises:
        SynthError: there is nothing to evaluate, a run answers other queries, or the extra `eval` is missing.
    """
    if not runs or not qrels:
        raise SynthError("There is nothing to evaluate.", "Give runs, or --data and --methods.")
    against = against or list(runs)[-1]
    if against not in runs:
        raise SynthError(f"There is no run {against!r} to compare with.", f"There are: {', '.join(runs)}.")
    groups = _groups(qrels)
    single = len(set(groups.tolist())) == len(groups) and all(query.repeats == 1 for query in qrels)
    outcomes = {name: per_query(run, qrels) for name, run in runs.items()}
    weights = np.array([query.repeats for query in qrels], dtype=np.float64)
    held = np.array([query.gt in query.candidates for query in qrels], dtype=np.float64)
    lengths = np.array([max(len(query.candidates), 1) for query in qrels], dtype=np.float64)
    facts = next(iter(runs.values())).facts
    return Table(
        systems=_systems(runs, outcomes, qrels, groups, weights, held, single, seed),
        comparisons=_comparisons(outcomes, against, weights, groups, seed),
        ceiling=_figure(held, weights, groups, bootstrap({"": (held, weights)}, groups, seed)[""], single=single),
        chance=float((held / lengths * weights).sum() / weights.sum()),
        places=_places(qrels),
        conversations=int(groups.max()) + 1,
        pairs=int(weights.sum()),
        unique_pairs=len(qrels),
        data=str(facts.get("data", "")),
        split=str(facts.get("split", "")),
        generator=str(facts.get("generator", "")),
        against=against,
    )


def _groups(queries: Sequence[Query]) -> Groups:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(query.conversation, len(numbers)) for query in queries], dtype=np.int64)


def _systems(
    runs: Mapping[str, RunFile],
    outcomes: Mapping[str, PerQuery],
    queries: Sequence[Query],
    groups: Groups,
    weights: Values,
    held: Values,
    single: bool,
    seed: int,
) -> dict[str, System]:
    even = weights / np.bincount(groups, weights)[groups]
    columns: dict[str, tuple[Values, Values]] = {}
    for name, outcome in outcomes.items():
        own = {
            MICRO: (outcome.hit1, weights),
            MACRO: (outcome.hit1, even),
            VALID: (outcome.valid, even),
            GIVEN: (outcome.hit1, weights * held),
        }
        if outcome.ranks:
            own |= {
                MRR: (outcome.reciprocal, weights),
                f"{MRR}_macro": (outcome.reciprocal, even),
                NDCG: (outcome.ndcg, weights),
                f"{NDCG}_macro": (outcome.ndcg, even),
            }
        columns |= {f"{name}\x1f{metric}": pair for metric, pair in own.items()}
    intervals = bootstrap(columns, groups, seed)
    systems = {}
    for name, outcome in outcomes.items():
        figures = {}
        for key, (value, weight) in columns.items():
            system, _, metric = key.rpartition("\x1f")
            if system == name and weight.sum() > 0:
                binary = metric in (MICRO, MACRO, VALID, GIVEN)
                figures[metric] = _figure(value, weight, groups, intervals[key], share=binary, single=single)
        systems[name] = System(
            name=name,
            figures=figures,
            hits_by_place=_hits_by_place(outcome.hit1, queries),
            missing=outcome.missing,
            facts=runs[name].facts,
        )
    return systems


def _figure(
    value: Values,
    weight: Values,
    groups: Groups,
    interval: tuple[float, float] | None,
    *,
    share: bool = True,
    single: bool = False,
) -> Figure:
    """A weighted mean with its interval: Wilson's for a share where every conversation has one pair, or where all
    conversations agree and the bootstrap has nothing to draw from; else the bootstrap's."""
    mean = float((value * weight).sum() / weight.sum()) if weight.sum() else 0.0
    if share and (single or interval is None):
        trials = int((weight > 0).sum()) if single else len(set(groups[weight > 0].tolist()))
        if single or mean in (0.0, 1.0):
            return Figure(mean, *wilson(round(mean * trials), trials), "wilson")
    return Figure(mean, *interval, "bca") if interval else Figure(mean, None, None, "")


def _places(queries: Sequence[Query]) -> tuple[int, ...]:
    """How many right answers stand at each place of the list."""
    longest = max(len(query.candidates) for query in queries)
    at = [query.candidates.index(query.gt) for query in queries if query.gt in query.candidates]
    return tuple(int(n) for n in np.bincount(np.array(at, dtype=np.int64), minlength=longest))


def _hits_by_place(hit1: Values, queries: Sequence[Query]) -> tuple[int, ...]:
    longest = max(len(query.candidates) for query in queries)
    counts: NDArray[np.int64] = np.zeros(longest, dtype=np.int64)
    for hit, query in zip(hit1.tolist(), queries, strict=True):
        if hit and query.gt in query.candidates:
            counts[query.candidates.index(query.gt)] += 1
    return tuple(int(n) for n in counts)


def _comparisons(
    outcomes: Mapping[str, PerQuery], against: str, weights: Values, groups: Groups, seed: int
) -> list[Comparison]:
    """Every other run against one; p values adjusted by Holm over the runs, for each metric by itself."""
    found: list[Comparison] = []
    base = outcomes[against]
    for metric in TESTED:
        raw: list[tuple[str, float, tuple[int, int] | None, float]] = []
        for name, outcome in outcomes.items():
            if name == against or (metric != MICRO and not (outcome.ranks and base.ranks)):
                continue
            one, other = _values(outcome, metric), _values(base, metric)
            gain = float(((one - other) * weights).sum() / weights.sum())
            if metric == MICRO:
                first, second, p = mcnemar(one > 0, other > 0)
                raw.append((name, gain, (first, second), p))
            else:
                raw.append((name, gain, None, permutation(one * weights, other * weights, groups, seed)))
        adjusted = holm([p for *_, p in raw])
        found += [
            Comparison(metric, name, against, gain, apart, p, p_holm, "mcnemar" if apart else "permutation")
            for (name, gain, apart, p), p_holm in zip(raw, adjusted, strict=True)
        ]
    return found


def _values(outcome: PerQuery, metric: str) -> Values:
    return {MICRO: outcome.hit1, MRR: outcome.reciprocal, NDCG: outcome.ndcg}[metric]
