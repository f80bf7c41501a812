"""The list of a run's conversations: search, facets, order, pages; everything in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.view.app import page, run_of
from synth.view.index import Page, RunIndex
from synth.view.indexer import Progress
from synth.view.query import SORTS, Query
from synth.view.selection import FACETS, Value

_MOST = 10
"""Values of a facet that are shown at once."""
_ALL = 40
_LABEL = 60
"""Characters of a label; a scenario's text is cut."""
_TITLES = {
    "verdict": "Verdict",
    "filter": "Refused by",
    "ending": "Ending",
    "opening": "Opening",
    "family": "Scenario",
    "category": "Category of the target",
    "scenario": "One scenario",
    "judged": "Judged by people",
    "model": "Model",
    "score": "Score at least",
    "errors": "Errors",
}
_WORDS = {
    ("judged", "none"): "not yet",
    ("errors", "1"): "repeated or repaired calls",
    ("ending", "hit"): "hit: took the target",
    ("ending", "fit"): "fit: took another",
    ("ending", "forced"): "forced: handed over",
    ("filter", "failed"): "failed: no end",
}
_ORDERS = {
    "": "accepted first",
    "draw": "draw",
    "-score": "best score",
    "score": "worst score",
    "-turns": "most turns",
    "turns": "fewest turns",
    "-round": "most rounds",
    "-tokens": "most tokens",
    "-usd": "dearest",
    "-seconds": "slowest",
    "-errors": "most errors",
}


class Choice(NamedTuple):
    """One value of a facet as a link."""

    label: str
    draws: int
    selected: bool
    href: str
    """The list with it, or without it where it is selected."""


class Facet(NamedTuple):
    """A facet beside the list."""

    name: str
    title: str
    choices: list[Choice]
    more: list[Choice]
    """Those shown on demand."""

    @property
    def narrows(self) -> bool:
        """Whether there is something to choose; errors are there or not, and have one choice."""
        least = 1 if self.name == "errors" or any(choice.selected for choice in self.choices) else 2
        return len(self.choices) >= least


class Chip(NamedTuple):
    """A choice that is in force, and the list without it."""

    name: str
    label: str
    href: str


class Column(NamedTuple):
    """A column by which the list can be ordered."""

    name: str
    title: str
    href: str
    direction: str
    """`ascending`, `descending`, or empty."""


def routes() -> list[Route]:
    return [Route("/", conversations, name="conversations")]


async def conversations(request: Request) -> Response:
    """The list; for HTMX its results only."""
    run = run_of(request)
    query = Query.of(request.query_params)
    part = "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
    values = list_values(run.index, query, run.number)
    response = page(request, "_rows.html" if part else "list.html", values)
    if part and request.headers.get("hx-trigger") != "poll":
        response.headers["HX-Push-Url"] = str(values["here"])
    response.headers["Vary"] = "HX-Request"
    response.headers["Cache-Control"] = "no-store" if part else "no-cache"
    return response


def list_values(index: RunIndex, query: Query, number: int = 0) -> Mapping[str, Any]:
    """What the templates of a list show.

    Args:
        number: the run's, 1 for the second of two.
    """
    found = index.page(query)
    query = found.query
    link = _Link(number)
    progress = index.progress
    scenarios = index.scenarios([value.value for value in found.facets["scenario"][:_ALL]])
    facets = [_facet(name, found, link, scenarios) for name in _TITLES if name in FACETS]
    return {
        "page": found,
        "query": query,
        "noun": _noun(query, found.total),
        "number": number,
        "snippets": index.snippets(query, found.rows),
        "facets": [facet for facet in facets if facet.narrows],
        "chips": _chips(query, link, scenarios),
        "columns": [
            _column(query, link, *column)
            for column in (("score", "Score"), ("turns", "Turns"), ("tokens", "Tokens"), ("usd", "Cost"))
        ],
        "orders": _ORDERS if query.sort in _ORDERS else {**_ORDERS, query.sort: query.sort},
        "pages": [(n, link(query, page=n)) for n in _near(query.page, found.pages)],
        "here": link(query, page=query.page),
        "clear": link(Query(within=query.within)),
        "within": {"turns": link(query, within="turns"), "messages": link(query, within="messages")},
        "suffix": _suffix(query, number),
        "progress": progress,
        "poll": _poll(progress),
    }


class _Link:
    """Addresses of this list with another selection."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, query: Query, **changes: Any) -> str:
        return "/" + _suffix(query.but(**changes) if changes else query, self._number)


def _suffix(query: Query, number: int) -> str:
    """The query part of an address that keeps the selection and the run."""
    text = "&".join(filter(None, (f"run={number}" if number else "", query.string())))
    return f"?{text}" if text else ""


def _poll(progress: Progress) -> str:
    """How often a list that is not at its end asks anew; empty if it is."""
    if progress.growing and not progress.problem:
        return "every 1s"
    return "every 3s" if progress.running or progress.growing else ""


def _noun(query: Query, total: int) -> str:
    """What is listed: a draw is a conversation, or was refused, some before they became one."""
    whole = query.ending or query.opening or query.score or (query.q and query.within == "turns")
    one = "conversation" if query.verdict == "accepted" or whole else "draw"
    if query.filter or query.verdict == "rejected":
        one = "refused draw"
    return one if total == 1 else f"{one}s"


def _near(number: int, last: int) -> list[int]:
    """Pages that are worth a link."""
    return [n for n in sorted({1, number - 1, number, number + 1, last}) if 0 < n <= last]


def _facet(name: str, found: Page, link: _Link, scenarios: Mapping[str, str]) -> Facet:
    values = found.facets[name]
    if name in ("score", "ending", "judged", "verdict"):
        shown, more = values, []
    else:
        # What is chosen stays in sight.
        shown = values[:_MOST] + [value for value in values[_MOST:] if value.selected]
        more = [value for value in values[_MOST:_ALL] if not value.selected]
    choices = [[_choice(name, value, found.query, link, scenarios) for value in part] for part in (shown, more)]
    return Facet(name, _TITLES[name], *choices)


def _choice(name: str, value: Value, query: Query, link: _Link, scenarios: Mapping[str, str]) -> Choice:
    default = Query.__dataclass_fields__[name].default
    chosen: Any = {"score": float, "errors": bool}.get(name, str)(value.value)
    href = link(query, **{name: default if value.selected else chosen})
    return Choice(_label(name, value.value, scenarios), value.draws, value.selected, href)


def _label(name: str, value: str, scenarios: Mapping[str, str]) -> str:
    if name == "scenario":
        text = scenarios.get(value) or value
        return text if len(text) <= _LABEL else f"{text[:_LABEL].rstrip()}…"
    return _WORDS.get((name, value), value)


def _chips(query: Query, link: _Link, scenarios: Mapping[str, str]) -> list[Chip]:
    chips = []
    if query.q:
        place = "messages" if query.within == "messages" else "turns"
        chips.append(Chip("q", f"“{query.q}” in {place}", link(query, q="")))
    for name, title in _TITLES.items():
        value = getattr(query, name)
        default = Query.__dataclass_fields__[name].default
        if value != default:
            text = f"{value:g}" if name == "score" else "1" if name == "errors" else value
            label = _label(name, text, scenarios)
            chips.append(
                Chip(name, label if name == "errors" else f"{title.lower()}: {label}", link(query, **{name: default}))
            )
    return chips


def _column(query: Query, link: _Link, name: str, title: str) -> Column:
    """A heading that orders by its column, the largest first, and the other way round when it is clicked again."""
    assert name in SORTS
    direction = {name: "ascending", f"-{name}": "descending"}.get(query.sort, "")
    return Column(name, title, link(query, sort=name if direction == "descending" else f"-{name}"), direction)
