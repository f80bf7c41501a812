"""The paper's tables, as text: data, title generation, selection, chain-of-imagery, and Fig. 3 as a table.

The released notebook shows which figures stand together; columns and order are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from synth.analysis.statistics.table import Table
from synth.recommender.imagery.data import Domain
from synth.recommender.imagery.outputs import COI, IMAGE, NONE
from synth.recommender.imagery.published import DESCRIBERS, PUBLISHED
from synth.recommender.imagery.scoring import DEPTHS, Score

HITS = tuple(f"hit@{depth}" for depth in DEPTHS)
ACCURACY = "accuracy"
_NONE = "–"
_HEADS = {**{f"hit@{depth}": f"Hit@{depth}" for depth in DEPTHS}, ACCURACY: "accuracy"}
PAPER = "paper"


@dataclass(frozen=True)
class Row:
    """A system on a domain."""

    model: str
    modality: str
    domain: str
    source: str
    """`paper`, or the mode by which it was scored."""
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """95 %; none for the paper's."""
    unparsable: dict[str, int] = field(default_factory=dict)
    """By figure."""


def rows_of(scores: Iterable[Score], paper: bool = False) -> list[Row]:
    """A row for each system and domain, both tasks together.

    Args:
        paper: also the paper's own figures.
    """
    found: dict[tuple[str, str, str, str], Row] = {}
    for score in scores:
        output = score.output
        key = (output.model, output.modality, output.domain, score.mode)
        row = found.setdefault(key, Row(*key, {}))
        row.figures.update(score.figures)
        row.intervals.update(score.intervals)
        row.unparsable.update(dict.fromkeys(score.figures, score.unparsable))
    ours = list(found.values())
    if not paper:
        return ours
    return ours + [
        Row(one.model, one.modality, one.domain, PAPER, {name: one.figure(name) for name in (*HITS, ACCURACY)})
        for one in PUBLISHED
    ]


def score_table(scores: Sequence[Score]) -> Table:
    """One line for each file and set of rules."""
    names = [name for name in (*HITS, ACCURACY) if any(name in score.figures for score in scores)]
    lines = []
    for score in scores:
        output, figures, ends = score.output, score.figures, score.intervals
        cells = [
            f"{figures[name]:.4f} [{ends[name][0]:.3f}, {ends[name][1]:.3f}]" if name in figures else _NONE
            for name in names
        ]
        counts = (f"{score.n:,}", *cells, f"{score.unparsable:,}", f"{score.missing:,}")
        lines.append((output.model, output.domain, _seen(output.modality), score.mode, *counts))
    columns = ("model", "domain", "shown", "rules", "n", *(_HEADS[name] for name in names), "unparsable", "missing")
    note = "In brackets: 95 % confidence interval (Wilson). Unparsable and missing answers count as wrong."
    return Table("Imagery as Inquiry", columns, tuple(lines), note, left=4)


def data_table(domains: Sequence[Domain]) -> Table:
    """What the data hold, one column a domain (Table 1)."""
    columns = []
    for domain in domains:
        recs, requests = domain.recs(), domain.requests()
        listed = [entry for rated in recs.values() for entry in rated]
        pictures = [len(request.images) for request in requests.values()]
        columns.append(
            (
                f"{len(requests):,}",
                f"{sum(pictures):,}",
                f"{sum(count > 1 for count in pictures):,}",
                f"{len(domain.items()):,}",
                f"{len(listed):,}",
                f"{len(listed) / len(recs):.1f}",
                f"{sum(' - ' not in entry for entry in listed):,}",
            )
        )
    names = (
        *("requests", "pictures, at most four each", "requests with several", "different titles", "recommendations"),
        *("recommendations a request", "recommended creators, without a title"),
    )
    rows = tuple((name, *cells) for name, cells in zip(names, zip(*columns, strict=True), strict=True))
    return Table("Imagery as Inquiry: the data (Table 1)", ("", *(domain.name for domain in domains)), rows)


def generation_table(rows: Sequence[Row]) -> Table:
    """Title generation: Hit@1, Hit@10 and Hit@20 by what was shown, model and domain (Table 2)."""
    return _by_system("Title generation (Table 2)", rows, HITS, intervals=False)


def selection_table(rows: Sequence[Row]) -> Table:
    """Selection of one in five: accuracy by what was shown, model and domain (Table 3)."""
    return _by_system("Selection of one in five (Table 3)", rows, (ACCURACY,), intervals=True)


def coi_table(rows: Sequence[Row]) -> Table:
    """Standard prompts against chain-of-imagery, for the systems that have both (Table 4)."""
    lines = []
    for thought in rows:
        plain = standard_of(thought, rows)
        if plain is None:
            continue
        for name in (*HITS, ACCURACY):
            if name in thought.figures and name in plain.figures:
                one, other = plain.figures[name], thought.figures[name]
                cells = (f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}")
                lines.append((plain.model, _seen(plain.modality), plain.domain, plain.source, _HEADS[name], *cells))
    columns = ("model", "shown", "domain", "by", "figure", "standard", "chain-of-imagery", "gain")
    return Table(
        "Chain-of-imagery (Table 4)",
        columns,
        tuple(lines),
        "Whether a gain is more than chance: `synth eval compare` on the two runs." if lines else "No system has both.",
        left=5,
    )


def standard_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The same system with the standard prompt; the paper's names differ in more than their ending."""
    if not row.model.endswith(COI):
        return None
    base = row.model.removesuffix(COI)
    alike = [
        one
        for one in rows
        if (one.modality, one.domain, one.source) == (row.modality, row.domain, row.source)
        and (one.model == base or one.model.startswith(f"{base}-"))
        and not one.model.endswith(COI)
    ]
    return min(alike, key=lambda one: len(one.model), default=None)


def figure_table(rows: Sequence[Row]) -> Table:
    """Fig. 3 as a table: each model along the descriptions, from the weakest describer to the strongest, and with the
    pictures themselves."""
    present = {row.modality for row in rows}
    others = sorted(present - {IMAGE, NONE, *DESCRIBERS})
    along = [name for name in (NONE, *DESCRIBERS, *others, IMAGE) if name in present]
    by: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for row in rows:
        for name in (HITS[0], HITS[1], ACCURACY):
            if name in row.figures:
                by.setdefault((name, row.domain, row.model, row.source), {})[row.modality] = row.figures[name]
    lines = tuple(
        (_HEADS[name], domain, model, source, *(f"{cells[one]:.4f}" if one in cells else _NONE for one in along))
        for (name, domain, model, source), cells in sorted(by.items(), key=_order)
    )
    return Table(
        "By what describes the pictures (Fig. 3)",
        ("figure", "domain", "model", "by", *map(_seen, along)),
        lines,
        left=4,
    )


def _order(entry: tuple[tuple[str, str, str, str], dict[str, float]]) -> tuple[int, str, str, str]:
    name, domain, model, source = entry[0]
    return (*HITS, ACCURACY).index(name), domain, model.lower(), source


def _by_system(title: str, rows: Sequence[Row], names: Sequence[str], *, intervals: bool) -> Table:
    wanted = [row for row in rows if any(name in row.figures for name in names)]
    domains = sorted({row.domain for row in wanted})
    systems: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in sorted(wanted, key=lambda row: (_place(row.modality), row.model.lower(), row.source)):
        systems.setdefault((row.modality, row.model, row.source), {})[row.domain] = row
    lines = [
        (
            _seen(modality),
            model,
            source,
            *(_cell(by.get(domain), name, intervals) for domain in domains for name in names),
        )
        for (modality, model, source), by in systems.items()
    ]
    columns = [f"{domain} {_HEADS[name]}" for domain in domains for name in names]
    return Table(title, ("shown", "model", "by", *columns), tuple(lines), _note(wanted, names, intervals), left=3)


def _cell(row: Row | None, name: str, intervals: bool) -> str:
    if row is None or name not in row.figures:
        return _NONE
    value = f"{row.figures[name]:.4f}"
    if not intervals or name not in row.intervals:
        return value
    low, high = row.intervals[name]
    return f"{value} [{low:.3f}, {high:.3f}]"


def _note(rows: Sequence[Row], names: Sequence[str], intervals: bool) -> str:
    parts = ["In brackets: 95 % confidence interval (Wilson)."] if intervals else []
    unread = [
        f"{row.model}, {_seen(row.modality)}, {row.domain} ({row.source}): {row.unparsable[names[0]]:,}"
        for row in rows
        if row.unparsable.get(names[0])
    ]
    if unread:
        parts.append(f"Answers that could not be parsed, and count as wrong: {'; '.join(unread)}.")
    if any(row.source == PAPER for row in rows):
        parts.append("`paper`: the paper's released figures, by its original rules, which drop a bare A.")
    return " ".join(parts)


def _place(modality: str) -> tuple[int, str]:
    order = (NONE, *DESCRIBERS)
    if modality in order:
        return order.index(modality), ""
    return len(order) + (modality == IMAGE), modality


def _seen(modality: str) -> str:
    return {IMAGE: "pictures", NONE: "words only"}.get(modality, f"descriptions, {modality}")
