"""What a comparison found, and how it is shown: tables of text, CSV and JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import Any

from synth.analysis.statistics.table import Table as TextTable
from synth.recommender.table import NONE, Comparison, Figure, tests_table, title_of

_LONG = ("bleu", "words")
"""Metrics that are no numbers between 0 and 1, with or without a mode."""
_COLUMNS = (
    "task data split generator system metric value low high interval against gain only_it only_other p p_holm test"
).split()


@dataclass(frozen=True)
class Compared:
    """Several systems on one set of questions."""

    task: str
    data: str
    split: str
    generator: str
    """What made synthetic data; empty for real data."""
    systems: tuple[str, ...]
    figures: dict[str, dict[str, Figure]]
    """By metric and system; what a run does not allow is missing."""
    comparisons: list[Comparison]
    against: str
    conversations: int
    queries: int
    pairs: int
    """Queries, each as often as it stands in the released data."""
    missing: dict[str, int]
    """Queries that a system did not answer."""
    notes: tuple[str, ...]
    """What limits the figures."""
    signatures: dict[str, str]
    """How sacrebleu computed its metrics."""

    def json(self) -> dict[str, Any]:
        """Everything, as JSON knows it."""
        return asdict(self)

    def tables(self) -> list[TextTable]:
        """The figures and the tests as tables of text; metrics stand in rows where there are more of them."""
        cells = {
            (metric, system): figure_text(metric, own.get(system))
            for metric, own in self.figures.items()
            for system in self.systems
        }
        upright = len(self.figures) > len(self.systems)
        rows, columns = (tuple(self.figures), self.systems) if upright else (self.systems, tuple(self.figures))
        shown = TextTable(
            title=self.title(),
            columns=("metric" if upright else "system", *columns),
            rows=tuple((row, *(cells[(row, one) if upright else (one, row)] for one in columns)) for row in rows),
            note=self._note(),
        )
        if not self.comparisons:
            return [shown]
        metrics = [(one.metric, digits(one.metric)) for one in self.comparisons]
        return [shown, tests_table(self.comparisons, self.against, metrics)]

    def csv(self) -> str:
        """A line for each system and metric: the figure, its interval, and the test against the one compared with."""
        tests = {(one.metric, one.system): one for one in self.comparisons}
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for metric, own in self.figures.items():
            for system, figure in own.items():
                row: list[Any] = [self.task, self.data, self.split, self.generator, system, metric]
                row += [figure.value, figure.low, figure.high, figure.interval]
                test = tests.get((metric, system))
                if test:
                    row += [test.against, test.gain, *(test.apart or ("", "")), test.p, test.p_holm, test.test]
                writer.writerow([*row, *[""] * (len(_COLUMNS) - len(row))])
        return out.getvalue()

    def title(self) -> str:
        """The data, the task, and what made the data."""
        return f"{self.task}: {title_of(self.data, self.split, self.generator)}"

    def _note(self) -> str:
        parts = [
            f"{self.conversations:,} conversations, {self.queries:,} queries"
            + (f", {self.pairs:,} pairs." if self.pairs != self.queries else "."),
            "In brackets: 95 % confidence interval.",
        ]
        parts += [
            f"{system} left {missing:,} unanswered; they count as wrong, invalid and empty."
            for system, missing in self.missing.items()
            if missing
        ]
        parts += [*self.notes, *(f"{metric}: {signature}." for metric, signature in self.signatures.items())]
        if self.generator:
            parts.append(f"Synthetic data, made by {self.generator}: no figure here is about people.")
        return " ".join(parts)


def digits(metric: str) -> int:
    """Places after the point."""
    return 2 if metric.split(".")[0] in _LONG else 4


def figure_text(metric: str, figure: Figure | None) -> str:
    """A figure with its interval, in the metric's digits."""
    if figure is None:
        return NONE
    places = digits(metric)
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{places}f}"
    short = max(places - 1, 2)
    return f"{figure.value:.{places}f} [{figure.low:.{short}f}, {figure.high:.{short}f}]"
