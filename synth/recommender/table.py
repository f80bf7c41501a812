"""Results, and the tables that show them: a data set in detail, or several in the layouts of LaViC's Tables 3 to 8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from synth.analysis.statistics.table import Table as TextTable
from synth.errors import SynthError

NONE = "–"
TESTS = {"mcnemar": "McNemar, exact", "permutation": "permutation, paired", "bootstrap": "bootstrap, paired"}
"""How tables name the tests of `Comparison`."""
_WIDTH = 200
"""Columns where the output is no terminal."""
_LABELS = {
    "lavic.hr1_micro": "HR@1",
    "lavic.hr1_macro": "HR@1 macro",
    "lavic.valid_ratio": "ValidRatio",
    "hr1_given_hit": "HR@1 | hit",
    "mrr": "MRR",
    "ndcg@10": "nDCG@10",
}
"""Column heads; a head without `macro` is micro over pairs, and ValidRatio is over conversations."""


@dataclass(frozen=True)
class Figure:
    """A metric's value with its 95 % confidence interval, where one is defined."""

    value: float
    low: float | None
    high: float | None
    interval: str
    """`wilson`, `bca` or `percentile` (both clustered by conversation), or empty."""


@dataclass(frozen=True)
class System:
    """One run's figures."""

    name: str
    figures: dict[str, Figure]
    """By metric; those that the run does not allow are missing."""
    hits_by_place: tuple[int, ...]
    """Examples answered right, by the right answer's place in the list."""
    missing: int
    """Queries it did not answer."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One run against another on one metric."""

    metric: str
    system: str
    against: str
    gain: float
    """Mean of the system less that of the other."""
    apart: tuple[int, int] | None
    """For McNemar's test: examples only the one got right, and only the other."""
    p: float
    """Two-sided."""
    p_holm: float
    """Adjusted for the number of systems."""
    test: str
    """`mcnemar` (exact), `permutation` or `bootstrap` (both paired, by conversation)."""


@dataclass(frozen=True)
class Table:
    """All that is known of several systems on one set of questions."""

    systems: dict[str, System]
    comparisons: list[Comparison]
    ceiling: Figure
    """Share of pairs whose right answer is among the candidates."""
    chance: float
    """HR@1 of a random pick from the candidates."""
    places: tuple[int, ...]
    """How many right answers stand at each place of the lists."""
    conversations: int
    pairs: int
    unique_pairs: int
    data: str
    split: str
    generator: str
    """What made synthetic data; empty for real data."""
    against: str

    def json(self) -> dict[str, Any]:
        """Everything, as JSON knows it."""
        return asdict(self)

    def tables(self) -> list[TextTable]:
        """The figures, the tests and the hits by place, as tables of text."""
        found = [self._figures()]
        if self.comparisons:
            found.append(
                tests_table(self.comparisons, self.against, [(_LABELS[one.metric], 4) for one in self.comparisons])
            )
        return [*found, self.by_place()]

    def _figures(self) -> TextTable:
        rows = []
        for system in self.systems.values():
            row = [system.name, *(_with_interval(system.figures.get(metric)) for metric in _LABELS)]
            rows.append((*row[:3], _with_interval(self.ceiling), *row[3:]))
        heads = list(_LABELS.values())
        # The ceiling stands beside the HR@1 it bounds.
        return TextTable(
            title=title_of(self.data, self.split, self.generator),
            columns=("system", *heads[:2], "ceiling", *heads[2:]),
            rows=tuple(rows),
            note=self._note(),
        )

    def _note(self) -> str:
        parts = [
            f"{self.conversations:,} conversations, {self.pairs:,} pairs"
            + (f" ({self.unique_pairs:,} different)" if self.unique_pairs != self.pairs else "")
            + f"; a random pick scores {self.chance:.4f}.",
            "In brackets: 95 % confidence interval.",
        ]
        parts += [
            f"{system.name} left {system.missing:,} unanswered; they count as wrong and invalid."
            for system in self.systems.values()
            if system.missing
        ]
        if self.generator:
            parts.append(f"Synthetic data, made by {self.generator}: no figure here is about people.")
        return " ".join(parts)

    def by_place(self) -> TextTable:
        """How often each system is right, by the right answer's place in the list: a favoured place shows."""
        rows = [("right answers there", *map(str, self.places))]
        rows += [(system.name, *map(str, system.hits_by_place)) for system in self.systems.values()]
        return TextTable(
            title="Answered right, by the right answer's place in the list",
            columns=("system", *(str(place + 1) for place in range(len(self.places)))),
            rows=tuple(rows),
            note=f"{title_of(self.data, self.split, self.generator)}. A system that favours a place shows it here."
            + ("" if max(self.places) - min(self.places) <= 1 else " Right answers are not spread evenly over places."),
        )


def overview(results: Sequence[Table]) -> TextTable:
    """Systems by row in their families, data sets side by side with HR@1 and ValidRatio (LaViC, Tables 3 to 6)."""
    families: dict[str, dict[str, None]] = {}
    for table in results:
        for system in table.systems.values():
            families.setdefault(str(system.facts.get("family", "")), {})[system.name] = None
    rows = [
        (family, name, *(cell for table in results for cell in _pair(table.systems.get(name))))
        for family, names in families.items()
        for name in names
    ]
    ceilings = [cell for table in results for cell in (f"{table.ceiling.value:.4f}", NONE)]
    columns = [head for table in results for head in (f"{table.data} HR@1", f"{table.data} ValidRatio")]
    return TextTable(
        title="Systems",
        columns=("family", "system", *columns),
        rows=(*rows, ("", "ceiling", *ceilings)),
        note=_asked(results),
        left=2,
    )


def ablation(results: Sequence[Table]) -> TextTable:
    """Variants by row, data sets side by side: HR@1 with its interval, and its p against the run that all are compared
    with (Table 7)."""
    names = list(dict.fromkeys(name for table in results for name in table.systems))
    rows = [(name, *(cell for table in results for cell in _tested(table, name))) for name in names]
    columns = [head for table in results for head in (f"{table.data} HR@1", "p (Holm)")]
    parts = ["In brackets: 95 % confidence interval."]
    for table in results:
        used = {one.test for one in table.comparisons if one.metric == "lavic.hr1_micro"}
        parts += [f"{table.data}: p against {table.against}, {TESTS[test]}, Holm." for test in sorted(used)]
    return TextTable("Ablations", ("variant", *columns), tuple(rows), " ".join([*parts, _asked(results)]))


def domains(results: Sequence[Table]) -> TextTable:
    """Training on one domain or on all by row, the domain tested on by column (Table 8).

    Raises:
        SynthError: no run says what it was trained on.
    """
    trained: dict[tuple[str, str], dict[str, System]] = {}
    for table in results:
        for system in table.systems.values():
            listed = system.facts.get("trained")
            if listed:
                several = f"combined ({', '.join(listed)})" if len(listed) > 1 else f"{listed[0]} alone"
                how = "separate" if list(listed) == [table.data] else several
                trained.setdefault((system.name, how), {})[table.data] = system
    if not trained:
        raise SynthError("No run says which domains it was trained on.", "Its run.json needs `trained` in its facts.")
    names = [table.data for table in results]
    rows = [(name, how, *(_pair(found.get(data))[0] for data in names)) for (name, how), found in trained.items()]
    columns = [f"{name} HR@1" for name in names]
    return TextTable(
        "Separate and combined domains", ("system", "trained", *columns), tuple(rows), _asked(results), left=2
    )


LAYOUTS = {"overview": overview, "ablation": ablation, "domains": domains}


def print_tables(tables: Sequence[TextTable]) -> None:
    """Prints tables to standard output; what names in them say is no markup and steers no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    for table in tables:
        drawn = RichTable(title=Text(_plain(table.title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            drawn.add_column(Text(_plain(column)), justify="left" if number < table.left else "right", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(Text(_plain(cell)) for cell in row))
        console.print(drawn)
        if table.note:
            console.print(Text(_plain(table.note), style="dim"))


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _pair(system: System | None) -> tuple[str, str]:
    if system is None:
        return NONE, NONE
    return tuple(f"{system.figures[m].value:.4f}" for m in ("lavic.hr1_micro", "lavic.valid_ratio"))  # type: ignore[return-value]


def _tested(table: Table, name: str) -> tuple[str, str]:
    found = [one for one in table.comparisons if one.system == name and one.metric == "lavic.hr1_micro"]
    system = table.systems.get(name)
    figure = _with_interval(system.figures["lavic.hr1_micro"]) if system else NONE
    return figure, p_text(found[0].p_holm) if found else NONE


def _with_interval(figure: Figure | None) -> str:
    if figure is None:
        return NONE
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} [{figure.low:.3f}, {figure.high:.3f}]"


def tests_table(comparisons: Sequence[Comparison], against: str, metrics: Sequence[tuple[str, int]]) -> TextTable:
    """What the tests say, a row for each comparison.

    Args:
        metrics: of each comparison the metric's name as shown, and how many places its figures have after the point.
    """
    rows = tuple(
        (
            name,
            one.system,
            f"{one.gain:+.{places}f}",
            f"{one.apart[0]} / {one.apart[1]}" if one.apart else NONE,
            p_text(one.p),
            p_text(one.p_holm),
            TESTS[one.test],
        )
        for one, (name, places) in zip(comparisons, metrics, strict=True)
    )
    return TextTable(
        title=f"Against {against}",
        columns=("metric", "system", "gain", "only it / only the other", "p", "p (Holm)", "test"),
        rows=rows,
        note=f"Holm's adjustment is over the systems compared with {against}, for each metric.",
        left=2,
    )


def p_text(p: float) -> str:
    """A p value in four digits."""
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def title_of(data: str, split: str, generator: str) -> str:
    """Names data, and what made them where they are synthetic."""
    name = ", ".join(part for part in (data, split) if part) or "Results"
    return f"{name} (synthetic: {generator})" if generator else name


def _asked(results: Sequence[Table]) -> str:
    """Of each data set, how much was asked, and what made it where it is synthetic."""
    parts = []
    for table in results:
        parts.append(f"{table.data or 'Asked'}: {table.conversations:,} conversations, {table.pairs:,} pairs.")
        if table.generator:
            parts.append(f"{table.data} is synthetic, made by {table.generator}.")
    return " ".join(parts)
