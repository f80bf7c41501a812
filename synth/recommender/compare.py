"""Runs of one task over the same questions: every metric with its interval, and paired tests against one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import SynthError
from synth.recommender.compared import Compared
from synth.recommender.corpus_metrics import SWAPS, corpus_metric, is_corpus
from synth.recommender.estimates import Column, Tested, estimate, groups_of, lone, tested
from synth.recommender.questions import require_equal
from synth.recommender.ranking_metrics import FORMS as RANKING_FORMS
from synth.recommender.ranking_metrics import (
    GIVEN,
    MACRO,
    MICRO,
    MRR,
    NDCG,
    VALID,
    depth,
    held_pairs,
    is_ranking,
    rank_columns,
    ranks_all,
)
from synth.recommender.runs import Query, RunFile, read_run
from synth.recommender.significance import holm
from synth.recommender.table import Comparison, Figure
from synth.recommender.text_metrics import PER_RESPONSE, ROUGE, Tick, text_columns, unseen_by_rouge

if TYPE_CHECKING:
    from synth.recommender.retrieval import Report

LISTED = (MICRO, MACRO, VALID, GIVEN, MRR, NDCG)
"""Shown where candidates were given."""
SEARCHED = ("hit@1", "recall@10", "recall@20", "mrr@10", "mrr@20", NDCG)
"""Shown where the whole catalogue was searched."""
WRITTEN = ("bleu", *PER_RESPONSE[:2], *ROUGE, "distinct4.corpus", "distinct4.sentence", PER_RESPONSE[-1])
"""Shown where text was written in a reference's place."""


def gather(paths: Sequence[Path]) -> tuple[dict[str, RunFile], list[Query]]:
    """Runs by name, and what they were asked. Equal names are told apart by their folders.

    Raises:
        SynthError: a folder is no run, stands twice, holds no answer, or is of another task or over other questions
            than the first.
    """
    read = [(path, *read_run(path)) for path in paths]
    if not read:
        raise SynthError("There is nothing to compare.", "Name folders of runs.")
    names = [run.name for _, run, _ in read]
    first_path, first, queries = read[0]
    runs: dict[str, RunFile] = {}
    for path, run, asked in read:
        if run.task != first.task:
            raise SynthError(
                f"{path} is of the task {run.task}, and {first_path} of {first.task}.", "Compare one task."
            )
        if not run.scores and not run.responses:
            raise SynthError(f"{path} answers nothing: its run.jsonl and responses.jsonl are empty.", "Make it again.")
        require_equal(asked, queries, str(path), str(first_path))
        name = run.name if names.count(run.name) == 1 else f"{run.name} ({path})"
        if name in runs:
            raise SynthError(f"{path} stands twice.", "Name every run once.")
        runs[name] = run
    return runs, queries


def compare(
    runs: Mapping[str, RunFile],
    queries: Sequence[Query],
    metrics: Sequence[str] | None = None,
    against: str | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> Compared:
    """Figures with 95 % intervals, and every run tested against one on every metric, by Holm over the runs.

    Args:
        runs: by the name under which they are shown; all were asked the same.
        metrics: names of docs/evaluation.md; None for those that the first run asks for, else what its task allows.
        against: the run that the others are tested against; None for the last.
        seed: of bootstrap and permutations.

    Raises:
        SynthError: a metric or run is not known, no run allows a metric, or a package that computes it is missing.
    """
    against = against or list(runs)[-1]
    if against not in runs:
        raise SynthError(f"There is no run {against!r} to compare with.", f"There are: {', '.join(runs)}.")
    names = _chosen(runs, queries, metrics)
    groups, single = groups_of(queries), lone(queries)
    columns: dict[tuple[str, str], Column] = {}
    for system, run in runs.items():
        own = rank_columns(run, queries, [name for name in names if is_ranking(name)])
        if any(name in PER_RESPONSE for name in names):
            own |= text_columns(run, queries, names, _tick(report, f"texts of {system}", len(queries)))
        columns |= {(system, metric): column for metric, column in own.items()}
    estimated = estimate(columns, groups, single=single, seed=seed)
    figures: dict[str, dict[str, Figure]] = {}
    tests: list[Comparison] = []
    signatures: dict[str, str] = {}
    for place, name in enumerate(names):
        if report:
            report("metrics", place, len(names))
        if is_corpus(name):
            corpus = corpus_metric(name, runs, queries, groups, against, seed)
            figures[name] = corpus.figures
            signatures |= {name: corpus.signature} if corpus.signature else {}
            raw = [Tested(system, None, p, corpus.test) for system, p in corpus.p.items()]
        else:
            figures[name] = {system: figure for (system, metric), figure in estimated.items() if metric == name}
            listed = {system: columns[system, name] for system in figures[name]}
            raw = tested(listed, against, groups, single=single, seed=seed)
        adjusted = holm([one.p for one in raw])
        for (system, apart, p, test), p_holm in zip(raw, adjusted, strict=True):
            gain = figures[name][system].value - figures[name][against].value
            tests.append(Comparison(name, system, against, gain, apart, p, p_holm, test))
    facts = next(iter(runs.values())).facts
    return Compared(
        task=next(iter(runs.values())).task,
        data=str(facts.get("data", "")),
        split=str(facts.get("split", "")),
        generator=str(facts.get("generator", "")),
        systems=tuple(runs),
        figures=figures,
        comparisons=tests,
        against=against,
        conversations=int(groups.max()) + 1,
        queries=len(queries),
        pairs=sum(query.repeats for query in queries),
        missing={
            name: sum(q.id not in run.scores and q.id not in run.responses for q in queries)
            for name, run in runs.items()
        },
        notes=tuple(_notes(runs, queries, names)),
        signatures=signatures,
    )


def check_metrics(names: Sequence[object]) -> None:
    """
    Raises:
        SynthError: there is no such metric.
    """
    for name in names:
        if not isinstance(name, str) or not (is_ranking(name) or is_corpus(name) or name in PER_RESPONSE):
            known = ", ".join((*RANKING_FORMS, *PER_RESPONSE, "bleu[.intl|.zh|.char]", "distinctN.corpus|sentence"))
            raise SynthError(f"There is no metric {name!r}.", f"There are: {known}.")


def allows(runs: Mapping[str, RunFile], queries: Sequence[Query], metric: str) -> bool:
    """Whether runs have what a metric needs: right answers and scores, or references and responses."""
    if is_ranking(metric):
        return any(query.right for query in queries) and any(run.scores for run in runs.values())
    return any(query.reference.strip() for query in queries) and any(run.responses for run in runs.values())


def _chosen(runs: Mapping[str, RunFile], queries: Sequence[Query], metrics: Sequence[str] | None) -> list[str]:
    asked = next(iter(runs.values())).facts.get("metrics")
    wanted = list(dict.fromkeys(metrics or (asked if isinstance(asked, list) else [])))
    if not wanted:
        listed = LISTED if any(query.candidates for query in queries) else SEARCHED
        wanted = [name for name in (*listed, *WRITTEN) if allows(runs, queries, name)]
    check_metrics(wanted)
    for name in wanted:
        if not allows(runs, queries, name):
            needed = "right answers and scores" if is_ranking(name) else "references and responses"
            raise SynthError(f"{name} needs {needed}, and the runs have none.", "Choose other metrics.")
    if not wanted:
        raise SynthError("No question has a right answer or a reference.", "Nothing can be compared without.")
    return wanted


def _tick(report: Report | None, name: str, total: int) -> Tick | None:
    return (lambda done: report(name, done, total)) if report else None


def _notes(runs: Mapping[str, RunFile], queries: Sequence[Query], names: Sequence[str]) -> list[str]:
    """What limits the figures."""
    found = []
    ranking = [name for name in names if is_ranking(name)]
    text = [name for name in names if not is_ranking(name)]
    pairs = sum(query.repeats for query in queries)
    without = sum(not query.right for query in queries)
    if ranking and without:
        found.append(f"{without:,} queries have no right answer and count in no ranking figure.")
    if ranking and any(query.candidates for query in queries):
        held = held_pairs(queries)
        found.append(f"A right answer is among the candidates of {held:,} of {pairs:,} pairs ({held / pairs:.4f}).")
    deepest = max((depth(name) for name in ranking), default=0)
    for name, run in runs.items():
        longest = max(map(len, run.scores.values()), default=0)
        if any(depth(metric) != 1 for metric in ranking) and not ranks_all(run, queries):
            found.append(f"{name} does not score all candidates: it has only metrics of the first item.")
        elif longest < deepest and not any(query.candidates for query in queries):
            found.append(f"{name} ranks {longest:,} items at most: its figures beyond are those at {longest:,}.")
    without = sum(not query.reference.strip() for query in queries)
    if text and without:
        found.append(f"{without:,} queries have no reference and count in no figure of text.")
    unseen = unseen_by_rouge(queries) if any(name in ROUGE for name in names) else 0
    if unseen:
        found.append(f"ROUGE sees nothing of {unseen:,} references: it knows only Latin letters and digits.")
    if any(name.startswith("distinct") for name in names):
        found.append(f"Distinct-n has no interval, for a corpus drawn anew repeats itself; p from {SWAPS} exchanges.")
    return found
