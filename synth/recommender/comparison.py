"""Systems brought together by what they were asked: runs that were read, and baselines made over their questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.recommender.candidates import DELIVERED, Others, evaluation_examples, listed
from synth.recommender.data import Dataset, RecExample, Split
from synth.recommender.metrics import evaluate
from synth.recommender.questions import require_equal
from synth.recommender.retrieval import Report, Text, make_retriever, rank_candidates
from synth.recommender.runs import Query, RunFile, folder_name, queries_of, write_run
from synth.recommender.table import Table


@dataclass(frozen=True)
class Asking:
    """How baselines are asked."""

    split: Split = "test"
    lists: str = "delivered"
    """One of `synth.recommender.candidates.DELIVERED`, or a retriever's name."""
    k: int = 10
    """Candidates of a retriever."""
    others: Others = "out"
    text: Text = "title"
    seed: int = 0
    out: Path | None = None
    """Where runs and paid embeddings are kept."""
    report: Report | None = None


class Comparison:
    """Runs by data set and split: one table for each."""

    def __init__(self) -> None:
        self._queries: dict[tuple[str, str], list[Query]] = {}
        self._runs: dict[tuple[str, str], dict[str, RunFile]] = {}

    def add(self, run: RunFile, queries: list[Query], place: str) -> None:
        """
        Args:
            place: where it comes from, for messages.

        Raises:
            SynthError: another run over this data set was asked other questions, or has the same name.
        """
        key = (str(run.facts.get("data", "")), str(run.facts.get("split", "")))
        known = self._queries.setdefault(key, queries)
        require_equal(queries, known, place, "the runs before it")
        runs = self._runs.setdefault(key, {})
        if run.name in runs:
            raise SynthError(f"Two runs are named {run.name}.", "Change the name in one's run.json.")
        runs[run.name] = run

    def add_baselines(self, dataset: Dataset, names: Sequence[str] | None, asking: Asking) -> None:
        """Adds retrievers that rank the candidates of a data set: of the runs that are there, else of its own lists.

        Args:
            names: None for BM25 where there is no run yet and items have titles, else nothing.

        Raises:
            SynthError: the split is empty, no item has a title, or a retriever cannot be had.
        """
        check_split(dataset, asking.split)
        if not dataset.coverage(asking.split)[0]:
            if names is not None or asking.lists not in DELIVERED:
                raise SynthError(f"No item of {dataset.name} has a title.", "Give their metadata with --meta.")
            return
        if names is None and (dataset.name, asking.split) in self._runs:
            return
        cache = asking.out / "embeddings.db" if asking.out else None
        examples = self._examples(dataset, asking, cache)
        queries = queries_of(examples)
        named = {item: dataset.items[item] for example in examples for item in example.candidates}
        for name in names or ["bm25"]:
            # BM25 weighs words by their rarity in the whole catalogue; for the others that would only take time.
            known = dataset.items if name == "bm25" else named
            retriever = make_retriever(name, known, asking.text, asking.report, cache)
            facts: dict[str, Any] = {
                "data": dataset.name,
                "split": asking.split,
                "generator": dataset.generator,
                "family": "retrieval",
                "candidates": asking.lists,
                "text": asking.text,
                "others": asking.others,
                "seed": asking.seed,
            }
            run = RunFile(retriever.name, rank_candidates(retriever, examples), facts=facts)
            self.add(run, queries, retriever.name)
            if asking.out:
                write_run(asking.out / dataset.name / folder_name(retriever.name), run, queries)

    def evaluate(self, against: str | None = None, seed: int = 0) -> list[Table]:
        """A table for each data set and split; see `synth.recommender.metrics.evaluate`."""
        return [evaluate(runs, self._queries[key], against, seed) for key, runs in self._runs.items()]

    def _examples(self, dataset: Dataset, asking: Asking, cache: Path | None) -> list[RecExample]:
        """What the runs at hand were asked; else the split's examples with the lists that are wanted."""
        listed = dataset.examples[asking.split]
        known = self._queries.get((dataset.name, asking.split))
        if known is not None:
            by_id = {example.id: example for example in listed}
            strange = next((query.id for query in known if query.id not in by_id), None)
            if strange:
                raise SynthError(f"The runs answer {strange}, which {dataset.name} has not.", "Name their own data.")
            return [replace(by_id[query.id], candidates=query.candidates) for query in known]
        return asked_examples(dataset, asking, cache)


def check_split(dataset: Dataset, split: Split) -> None:
    """
    Raises:
        SynthError: the split is empty.
    """
    if not dataset.examples.get(split):
        there = ", ".join(name for name, part in dataset.examples.items() if part) or "none"
        raise SynthError(f"{dataset.name} has no {split} split.", f"Choose --split from: {there}.")


def asked_examples(dataset: Dataset, asking: Asking, cache: Path | None = None) -> list[RecExample]:
    """A split's examples with the lists that are wanted: the same for every system that is asked.

    Args:
        cache: of paid embeddings.

    Raises:
        SynthError: the retriever cannot be had.
    """
    chosen = listed(
        dataset, asking.lists, asking.k, cache, splits=[asking.split], text=asking.text, report=asking.report
    )
    return evaluation_examples(chosen, asking.split, asking.seed, asking.others)
