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
from synth.recommender.compare import allows, check_metrics, compare
from synth.recommender.compared import Compared, figure_text
from synth.recommender.questions import require_equal
from synth.recommender.ranking_metrics import held_pairs
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
        metrics: any of docs/evaluation.md, each shown for the tasks that allow it; None for the first two of each
            task.

    Raises:
        SynthError: as `read_groups`, or there is no such metric, or no task has it.
    """
    check_metrics(metrics or ())
    groups = read_groups(paths)
    found = []
    for group in groups:
        own = [name for name in metrics or () if allows(group.runs, group.queries, name)]
        found.append((group, compare(group.runs, group.queries, own, seed=seed)))
    missing = [name for name in metrics or () if not any(compared.figures.get(name) for _, compared in found)]
    if missing:
        raise SynthError(f"None of these runs has {' or '.join(missing)}.", "Leave it out of --metrics.")
    tables = [_data(found)]
    for task in dict.fromkeys(group.task for group in groups):
        here = [(group, compared) for group, compared in found if group.task == task]
        there = list(dict.fromkeys(name for _, compared in here for name in compared.figures))
        chosen = [name for name in metrics if name in there] if metrics else there[:HEADLINES]
        tables += [_table(task, name, here) for name in chosen]
    return tables


def _data(found: Sequence[tuple[Group, Compared]]) -> TextTable:
    rows = []
    for group, compared in found:
        coverage: dict[str, int] = next(
            (run.facts["coverage"] for run in group.runs.values() if "coverage" in run.facts), {}
        )
        titled = f"{coverage['with_titles']:,} of {coverage['examples']:,}" if coverage else NONE
        listed = any(query.candidates for query in group.queries)
        ceiling = f"{held_pairs(group.queries) / compared.pairs:.4f}" if listed else NONE
        kind = f"synthetic: {compared.generator}" if compared.generator else "real"
        numbers = (f"{compared.conversations:,}", f"{compared.queries:,}", ceiling, titled)
        rows.append((group.task, f"{group.data}, {group.split}".strip(", "), kind, *numbers))
    return TextTable(
        title="Data",
        columns=("task", "data", "made by", "conversations", "questions", "ceiling", "with all titles"),
        rows=tuple(rows),
        note="Ceiling: share of pairs with a right answer among the candidates. With all titles: examples that "
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
