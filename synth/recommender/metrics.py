"""HR@1, ValidRatio, ceiling, MRR and nDCG of runs, with intervals and paired tests.

Every figure has a name with one definition (docs/evaluation.md). Micro figures are means over (conversation, right
answer) pairs as released, where a repeated answer counts again; macro figures are means over conversations of the mean
over their pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.recommender.estimates import Column, estimate, groups_of, lone, tested
from synth.recommender.ranking_metrics import GIVEN, MACRO, MICRO, MRR, NDCG, VALID, is_held, rank_columns
from synth.recommender.runs import Query, RunFile
from synth.recommender.significance import Groups, Values, holm
from synth.recommender.table import Comparison, System, Table

TESTED = (MICRO, MRR, NDCG)
ALL = (MICRO, MACRO, VALID, GIVEN, MRR, f"{MRR}_macro", NDCG, f"{NDCG}_macro")


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
    groups, single = groups_of(qrels), lone(qrels)
    columns = {name: rank_columns(run, qrels, ALL) for name, run in runs.items()}
    weights = np.array([query.repeats for query in qrels], dtype=np.float64)
    held = np.array([is_held(query) for query in qrels], dtype=np.float64)
    lengths = np.array([max(len(query.candidates), 1) for query in qrels], dtype=np.float64)
    keyed = {(name, metric): column for name, own in columns.items() for metric, column in own.items()}
    keyed["", "ceiling"] = Column(held, weights, True)
    figures = estimate(keyed, groups, single=single, seed=seed)
    facts = next(iter(runs.values())).facts
    return Table(
        systems={
            name: System(
                name=name,
                figures={metric: figure for (system, metric), figure in figures.items() if system == name},
                hits_by_place=_hits_by_place(columns[name][MICRO].value, qrels),
                missing=sum(query.id not in run.scores for query in qrels),
                facts=run.facts,
            )
            for name, run in runs.items()
        },
        comparisons=_comparisons(columns, against, groups, single, seed),
        ceiling=figures["", "ceiling"],
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
    columns: Mapping[str, Mapping[str, Column]], against: str, groups: Groups, single: bool, seed: int
) -> list[Comparison]:
    """Every other run against one; p values adjusted by Holm over the runs, for each metric by itself."""
    found: list[Comparison] = []
    for metric in TESTED:
        own = {name: column[metric] for name, column in columns.items() if metric in column}
        raw = tested(own, against, groups, single=single, seed=seed)
        for one, p_holm in zip(raw, holm([one.p for one in raw]), strict=True):
            gain = own[one.system].mean - own[against].mean
            found.append(Comparison(metric, one.system, against, gain, one.apart, one.p, p_holm, one.test))
    return found
