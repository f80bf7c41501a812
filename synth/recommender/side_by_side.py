"""Runs over several data sets, real and synthetic, in one report: a table for each task and metric.

Systems stand in rows and data sets in columns. Figures of different data sets are never averaged and never tested
against each other: they are answers to other questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.analysis.statistics.table import Table as TextTable
from synth.errors import SynthError
from synth.recommender.compare import compare
from synth.recommender.compared import Compared, figure_text
from synth.recommender.questions import require_equal
from synth.recommender.runs import Query, RunFile, read_run
from synth.recommender.table import NONE

HEADLINES = 2
"""Metrics of a task that are shown where none are named."""


@dataclass
class Group:
    """The runs of one task over one part of one data set; all were asked the same."""

    task: str
    data: str
    split: str
    runs: dict[str, RunFile]
    queries: list[Query]
    first: str
    """Where the first run lies, for messages."""


def read_groups(paths: Sequence[Path]) -> list[Group]:
    """Runs by task, data and split, in the order in which they are named.

    Raises:
        SynthError: there is none, one is no run, two of a group were asked other questions or have one name.
    """
    if not paths:
        raise SynthError("There is nothing to report.", "Name folders of runs.")
    groups: dict[tuple[str, str, str], Group] = {}
    for path in paths:
        run, queries = read_run(path)
        key = (run.task, str(run.facts.get("data", "")), str(run.facts.get("split", "")))
        group = groups.setdefault(key, Group(*key, {}, queries, str(path)))
        require_equal(queries, group.queries, str(path), group.first)
        if run.name in group.runs:
            raise SynthError(
                f"Two runs over {key[1] or 'the same data'} are named {run.name}.", "Change the name in one's run.json."
            )
        group.runs[run.name] = run
    return list(groups.values())


def report(paths: Sequence[Path], metrics: Sequence[str] | None = None, seed: int = 0) -> list[TextTable]:
    """The report: what each data set is, then every task's metrics.

    Args:
        metrics: None for the first two of each task; others where a task has them.

    Raises:
        SynthError: as `read_groups`, or no task has such a metric.
    """
    groups = read_groups(paths)
    found = [(group, compare(group.runs, group.queries, None, None, seed)) for group in groups]
    tables = [_data(found)]
    for task in dict.fromkeys(group.task for group in groups):
        own = [(group, compared) for group, compared in found if group.task == task]
        there = list(dict.fromkeys(name for _, compared in own for name in compared.figures))
        chosen = [name for name in metrics if name in there] if metrics else there[:HEADLINES]
        tables += [_table(task, name, own) for name in chosen]
    if len(tables) == 1:
        raise SynthError(f"None of these runs has {' or '.join(metrics or ())}.", "Leave out --metrics.")
    return tables


def _data(found: Sequence[tuple[Group, Compared]]) -> TextTable:
    rows = []
    for group, compared in found:
        coverage: dict[str, int] = next(
            (run.facts["coverage"] for run in group.runs.values() if "coverage" in run.facts), {}
        )
        titled = f"{coverage['with_titles']:,} of {coverage['examples']:,}" if coverage else NONE
        held = [query for query in group.queries if query.candidates]
        ceiling = f"{sum(q.gt in q.candidates for q in held) / len(held):.4f}" if held else NONE
        kind = f"synthetic: {compared.generator}" if compared.generator else "real"
        numbers = (f"{compared.conversations:,}", f"{compared.queries:,}", ceiling, titled)
        rows.append((group.task, f"{group.data}, {group.split}".strip(", "), kind, *numbers))
    return TextTable(
        title="Data",
        columns=("task", "data", "made by", "conversations", "questions", "ceiling", "with all titles"),
        rows=tuple(rows),
        note="Ceiling: share of questions whose right answer is among the candidates. With all titles: examples that "
        "could be asked, where a run says how many there were.",
        left=3,
    )


def _table(task: str, metric: str, found: Sequence[tuple[Group, Compared]]) -> TextTable:
    """A metric of a task: systems in rows, data sets in columns."""
    systems: dict[tuple[str, str], dict[int, str]] = {}
    for column, (group, compared) in enumerate(found):
        for name, run in group.runs.items():
            trained = ", ".join(run.facts.get("trained", [])) or NONE
            if run.facts.get("transfer"):
                trained += " (not on this data)"
            figure = compared.figures.get(metric, {}).get(name)
            systems.setdefault((name, trained), {})[column] = figure_text(metric, figure)
    heads = [
        f"{group.data}{' (synthetic)' if compared.generator else ' (real)'}, n = {compared.queries:,}"
        for group, compared in found
    ]
    notes = [f"{group.data}: {note}" for group, compared in found for note in compared.notes]
    return TextTable(
        title=f"{task}: {metric}",
        columns=("system", "trained on", *heads),
        rows=tuple((*key, *(cells.get(n, NONE) for n in range(len(found)))) for key, cells in systems.items()),
        note=" ".join(["In brackets: 95 % confidence interval. No test compares two data sets.", *notes]),
        left=2,
    )
