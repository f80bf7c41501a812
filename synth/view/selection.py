"""Selections of draws in SQL: which rows, in what order, and how many there are by facet."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from synth.traces.reader import ACCEPTED
from synth.view.query import Query

_SCORES = (15, 18, 20, 22, 24, 25, 26, 27, 28, 29, 29.5)
COLUMNS = (
    "d.number, d.verdict, d.reason, d.scenario, d.family, d.category, d.opening, d.ending, d.score, d.turns, d.round, "
    "d.target, d.picture, d.first, d.outfit, d.calls, d.tokens, d.usd, d.seconds, d.errors, coalesce(j.verdict, '')"
)
FROM = "draws d LEFT JOIN judged j ON j.number = d.number"
_GROUPS = {
    "verdict": f"CASE d.verdict WHEN '{ACCEPTED}' THEN d.verdict ELSE 'rejected' END",
    "filter": f"nullif(d.verdict, '{ACCEPTED}')",
    "ending": "nullif(d.ending, '')",
    "opening": "nullif(d.opening, '')",
    "family": "nullif(d.family, '')",
    "category": "nullif(d.category, '')",
    "scenario": "nullif(d.scenario, '')",
    "judged": "coalesce(j.verdict, 'none')",
}
"""What a draw counts under, by facet; `model`, `score` and `errors` are counted in their own ways."""
FACETS = (*_GROUPS, "model", "score", "errors")
_ORDERS = {"draw": "d.number", **{name: f"d.{name}" for name in ("score", "turns", "round", "tokens", "calls", "usd")}}
_ORDERS |= {"seconds": "d.seconds", "errors": "d.errors"}


class Row(NamedTuple):
    """A draw in a list."""

    number: int
    verdict: str
    """`accepted`, or the filter that refused it."""
    reason: str
    scenario: str
    """Id."""
    family: str
    category: str
    """Of the target: its last category, or its type."""
    opening: str
    ending: str
    """Empty for a draw refused before its conversation, as are opening, first line and score."""
    score: float | None
    turns: int
    round: int
    """Recommendations; where it ended in a hit, the round of the hit."""
    target: str
    """Title."""
    picture: str
    """Hash of the target's picture; empty where there is none."""
    first: str
    """The user's first line."""
    outfit: str
    """Id of the product the user showed."""
    calls: int | None
    """None until its calls are indexed, as are the next four."""
    tokens: int | None
    usd: float | None
    seconds: float | None
    errors: int | None
    """Tries that failed, and calls that were repeated or repaired."""
    judged: str
    """A human's verdict, if any."""

    @property
    def id(self) -> str:
        return f"c{self.number:06d}"

    @property
    def accepted(self) -> bool:
        return self.verdict == ACCEPTED


class Value(NamedTuple):
    """One value of a facet."""

    value: str
    draws: int
    """Draws that choosing it leaves."""
    selected: bool


def facet(db: sqlite3.Connection, name: str, query: Query) -> list[Value]:
    """How many draws each value of a facet would leave."""
    condition, values = where(query, name)
    chosen = getattr(query, name)
    if name == "score":
        sums = ", ".join(f"count(*) FILTER (WHERE d.score >= {score})" for score in _SCORES)
        counts = db.execute(f"SELECT {sums} FROM {FROM} WHERE {condition}", values).fetchone()
        steps = [(f"{score:g}", count) for score, count in zip(_SCORES, counts, strict=True)]
        # Of scores that leave the same draws, the highest says most.
        rows = [step for n, step in enumerate(steps) if step[1] and counts[n + 1 :][:1] != (step[1],)]
        chosen = f"{chosen:g}" if chosen else ""
    elif name == "errors":
        count = db.execute(f"SELECT count(*) FROM {FROM} WHERE {condition} AND d.errors > 0", values).fetchone()[0]
        rows = [("1", count)] if count else []
        chosen = "1" if chosen else ""
    else:
        source = f"{FROM} JOIN models m ON m.number = d.number" if name == "model" else FROM
        expression = "m.model" if name == "model" else _GROUPS[name]
        rows = db.execute(
            f"SELECT {expression} AS value, count(*) AS n FROM {source} WHERE {condition} GROUP BY 1 "
            "HAVING value IS NOT NULL ORDER BY n DESC, value",
            values,
        ).fetchall()
    if chosen and chosen not in (value for value, _ in rows):
        rows = [*rows, (chosen, 0)]
    return [Value(value, count, value == chosen) for value, count in rows]


def where(query: Query, without: str = "") -> tuple[str, list[Any]]:
    """The SQL condition of a selection, all facets but one."""
    conditions = ["1"]
    values: list[Any] = []
    if query.match():
        conditions.append("d.number IN (SELECT number FROM hits)")
    for name, expression in _GROUPS.items():
        value = getattr(query, name)
        if value and name != without:
            conditions.append(f"{expression} = ?")
            values.append(value)
    if query.model and without != "model":
        conditions.append("d.number IN (SELECT number FROM models WHERE model = ?)")
        values.append(query.model)
    if query.score and without != "score":
        conditions.append("d.score >= ?")
        values.append(query.score)
    if query.errors and without != "errors":
        conditions.append("d.errors > 0")
    return " AND ".join(conditions), values


def order(query: Query) -> str:
    """The SQL order of a selection; what has no value comes last either way."""
    places = "d.file, d.number"
    if not query.sort:
        return places
    column = _ORDERS[query.sort.removeprefix("-")]
    return f"{column} IS NULL, {column} {'DESC' if query.sort.startswith('-') else 'ASC'}, {places}"
