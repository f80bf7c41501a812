"""Retrieval baselines: the request's words and its pictures' descriptions as a query, titles ranked by likeness to it.

Their answers are written as outputs, in the form that models are asked for, and scored by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.recommender.imagery.asking import Shown, chosen_requests, keep
from synth.recommender.imagery.data import Domain, Request
from synth.recommender.imagery.outputs import Task, output_path
from synth.recommender.imagery.parsing import LETTERS, titles_original
from synth.recommender.imagery.prompts import TITLES
from synth.recommender.imagery.scoring import Score, as_run
from synth.recommender.items import Item
from synth.recommender.retrieval import Report, Retriever, make_retriever
from synth.recommender.runs import RunFile, ranking, write_run

RETRIEVAL = "retrieval"
"""The family of such runs."""


@dataclass(frozen=True)
class Found:
    """What a retriever answered."""

    score: Score
    """By the fixed rules; for choices both give the same."""
    original: Score
    tied: int
    """Choices of which several are likest: which of them is taken is as good as drawn."""


def query_of(request: Request, descriptions: Sequence[str]) -> str:
    """The request's words, then the descriptions of its pictures."""
    return "\n".join([request.full, *filter(None, descriptions)])


def retrieve(
    domain: Domain,
    method: str,
    task: Task,
    shown: Sequence[Shown],
    out: Path,
    *,
    seed: int = 0,
    report: Report | None = None,
) -> list[Found]:
    """Answers all requests of a domain by a retriever, once for each way of describing the pictures.

    Choices are ranked among themselves. Titles are the 20 nearest of all items that are written `creator - title`.

    Args:
        method: see `make_retriever`.
        shown: descriptions, or none; requests without a description are asked by their words.
        out: folder for outputs and runs.

    Raises:
        SynthError: there is no such retriever, or what it needs is not there.
    """
    recs = domain.recs()
    requests = chosen_requests(domain, recs, task, seed, None)
    retriever = _retriever(domain, method, task, requests, report)
    found = []
    for show in shown:
        told = show.descriptions or {}
        queries = [query_of(request, told.get(name, ())) for name, request in requests.items()]
        path = output_path(out, retriever.name, domain.name, show.modality, task)
        if task == "rec_title":
            tops = retriever.top(queries, TITLES, [()] * len(queries))
            answers = {name: _listed(titles) for name, titles in zip(requests, tops, strict=True)}
            original, fixed = keep(path, answers, recs, requests, set(requests), RETRIEVAL).scores
            found.append(Found(fixed, original, 0))
            continue
        scored = retriever.scores(queries, [request.choices for request in requests.values()])
        likeness = dict(zip(requests, scored, strict=True))
        answers = {name: _chosen(requests[name], scores) for name, scores in likeness.items()}
        kept = keep(path, answers, recs, requests, set(requests), RETRIEVAL)
        original, fixed = kept.scores
        run, asked = as_run(fixed, recs, requests, RETRIEVAL)
        facts = {**run.facts, "metrics": ["hit@1", "mrr"]}
        # All choices are ranked, so the run has more than the answers say.
        write_run(kept.run, RunFile(run.name, likeness, run.responses, facts), asked)
        tied = sum(list(scores.values()).count(max(scores.values())) > 1 for scores in scored)
        found.append(Found(fixed, original, tied))
    return found


def _retriever(
    domain: Domain, method: str, task: Task, requests: Mapping[str, Request], report: Report | None
) -> Retriever:
    items = domain.items()
    if task == "rec_title":
        known = [item for item in items if titles_original(item) == [item]]
    else:
        choices = {choice for request in requests.values() for choice in request.choices}
        # BM25 weighs words by their rarity among all titles; for the others the rest would only take time.
        known = sorted(choices.union(items)) if method == "bm25" else sorted(choices)
    return make_retriever(method, {item: Item(item, item, (), {}) for item in known}, "title", report)


def _listed(titles: Sequence[str]) -> str:
    return "\n".join(f"{number}. {title}" for number, title in enumerate(titles, 1))


def _chosen(request: Request, scores: Mapping[str, float]) -> str:
    best = ranking(request.id, scores)[0]
    return f"{LETTERS[request.choices.index(best)]}. {best}"
