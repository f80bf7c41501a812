"""The page about the run itself: its state, its funnel, how its conversations went, what its calls took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.traces.cost import Cost, Spending
from synth.view.app import page, run_of
from synth.view.chart import Column, bar, columns, graph
from synth.view.figures import Figures, Latency, figures_of
from synth.view.page import percent
from synth.view.run import ViewedRun
from synth.view.tally import END, START, Tally

_WAIT = 0.3
"""Seconds that a page waits for numbers."""
_ENDS = {START: "start", END: "end"}
_ENDINGS = (("hit", "hits"), ("fit", "fits"), ("forced", "handed over"))
_STAGES = (
    ("match", "Person, scenario and product go together", "match"),
    ("backstory", "Backstory gives nothing away", "backstory"),
    ("profile failed", "Profile could be made", "failed"),
    ("duplicate", "Backstory is new", "duplicate"),
    ("failed", "Conversation came to an end", "failed"),
    ("review", "Reviewer's scores suffice", "review"),
)
"""What a draw must pass, in order: key of the count, what it means, the list's name for it."""
_SECRET = ("key", "token", "secret", "password", "credential")
_TICKS = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 3)]
"""Upper ends of the latency chart's columns, seconds."""


class Stage(NamedTuple):
    """One filter of the funnel."""

    name: str
    passed: int
    share: float
    """Of all draws that passed it, in [0, 1]."""
    refused: int
    query: str
    """Of the list that shows those it refused."""
    reasons: tuple[tuple[str, int], ...]
    """The commonest."""


class Line(NamedTuple):
    """One row of the table of calls."""

    name: str
    spending: Spending
    share: float
    """Of the run's money, of its tokens where it cost none, or of its calls where it had none; in [0, 1]."""
    latency: Latency | None


def routes() -> list[Route]:
    return [Route("/run", overview)]


async def overview(request: Request) -> Response:
    run = run_of(request)
    figures = await run_in_threadpool(figures_of, run, _WAIT)
    return page(request, "overview.html", {"run": run, **values_of(run, figures)})


def values_of(run: ViewedRun, figures: Figures) -> dict[str, Any]:
    """What the page shows."""
    running = run.reader.folder.running()
    with figures.lock:
        tally, cost = figures.tally, figures.cost
        return {
            "state": "running" if running else _rest(figures),
            "accepted": max(figures.accepted or 0, tally.accepted),
            "counting": figures.counting,
            "poll": "every 1s" if figures.counting else "every 4s" if running or figures.behind else "",
            "progress": figures.progress,
            "problem": figures.problem,
            "broken": figures.broken,
            "wanted": figures.wanted,
            "starts": [
                (span, time.strftime("%Y-%m-%d %H:%M", time.localtime(span.started))) for span in figures.starts
            ],
            "tally": tally,
            "funnel": funnel(tally),
            "cost": cost,
            "shared": shared(cost) if cost else "",
            "agents": list(agents(cost, figures.latency)) if cost else [],
            "models": list(_lines(cost.by_model, cost, {})) if cost else [],
            "retried": sum(line.retried for line in figures.latency.values()),
            "repaired": sum(line.repaired for line in figures.latency.values()),
            "settings": settings(run.reader.config),
            "judged": (run.reader.path / "judgements.jsonl").is_file(),
            "bar": bar,
            "charts": {
                "graph": graph(figures.edges, tally.moves, _ENDS, "The conversation graph") if figures.edges else "",
                "rounds": _rounds(tally),
                "ranks": _ranks(tally),
                "scores": _scores(tally),
                "latency": _latency(figures.latency),
            },
            "first_ranks": _first_ranks(tally),
        }


def _rest(figures: Figures) -> str:
    """The state of a run that no process works on; empty while it is not known."""
    if figures.accepted is None:
        return ""
    if figures.finished and figures.accepted >= (figures.wanted or 0):
        return "finished"
    return "" if figures.behind else "stopped"


def funnel(tally: Tally) -> list[Stage]:
    """What became of the draws, filter by filter; a filter this page does not know stands before the reviewer."""
    drawn = left = len(tally.draws)
    known = {key for key, _, _ in _STAGES}
    unknown = [(key, key, key) for key in tally.refused if key not in known]
    stages = []
    for key, name, filter_name in (*_STAGES[:-1], *unknown, _STAGES[-1]):
        refused = tally.refused[key]
        left -= refused
        query = urlencode({"filter": filter_name})
        stages.append(
            Stage(name, left, left / drawn if drawn else 0, refused, query, tuple(tally.reasons[key].most_common(3)))
        )
    return stages


def agents(cost: Cost, latency: Mapping[str, Latency]) -> Iterator[tuple[str, Line, list[Line]]]:
    """Agents by name, each with the sum of its calls, and the calls."""
    lines = list(_lines(cost.by_call, cost, latency))
    for agent in sorted({line.name.partition(".")[0] for line in lines}):
        own = [line for line in lines if line.name.partition(".")[0] == agent]
        together = Spending(
            **{field: sum(getattr(line.spending, field) for line in own) for field in Spending.model_fields}
        )
        yield agent, Line(agent, together, sum(line.share for line in own), None), own


def settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A run's settings as names and values, without what could be a secret."""
    found = []
    for name, value in config.items():
        if any(word in name.lower() for word in _SECRET):
            continue
        if isinstance(value, Mapping):
            found += [(f"{name}.{inner}", text) for inner, text in settings(value)]
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append((name, _without_user(text)))
    return found


def _without_user(text: str) -> str:
    parts = urlsplit(text) if "://" in text and "@" in text else None
    return text.replace(f"{parts.netloc.rpartition('@')[0]}@", "") if parts and "@" in parts.netloc else text


def shared(cost: Cost) -> str:
    """What shares are taken of."""
    tokens = cost.all.input_tokens + cost.all.output_tokens
    return "cost" if cost.all.usd else "tokens" if tokens else "calls"


def _lines(spendings: Mapping[str, Spending], cost: Cost, latency: Mapping[str, Latency]) -> Iterator[Line]:
    def amount(spent: Spending) -> float:
        amounts = {"cost": spent.usd, "tokens": spent.input_tokens + spent.output_tokens, "calls": spent.calls}
        return amounts[shared(cost)]

    whole = amount(cost.all) or 1
    for name, spent in spendings.items():
        yield Line(name, spent, amount(spent) / whole, latency.get(name))


def _rounds(tally: Tally) -> Markup:
    data = []
    for number, hits in _hits_by_round(tally):
        parts = tuple((ending, tally.rounds[number, ending]) for ending, _ in _ENDINGS)
        told = ", ".join(f"{tally.rounds[number, ending]} {name}" for ending, name in _ENDINGS)
        said = f"Ended at recommendation {number}: {told}. Hits by then: {percent(hits)} of all"
        data.append(Column(str(number), parts, said, f"{100 * hits:.0f}%"))
    return columns(data, "Conversations by the recommendation they ended at, and how")


def _hits_by_round(tally: Tally) -> Iterator[tuple[int, float]]:
    """Share of all accepted conversations that had hit the target by each recommendation."""
    hits = 0
    for number in range(1, max((number for number, _ in tally.rounds), default=0) + 1):
        hits += tally.rounds[number, "hit"]
        yield number, hits / tally.accepted


def _ranks(tally: Tally) -> Markup:
    ranks = [rank for rank in tally.ranks if rank is not None]
    searches = tally.ranks.total() or 1
    data = [
        Column(
            str(rank + 1),
            (("accent", tally.ranks[rank]),),
            f"The target was candidate {rank + 1} in {tally.ranks[rank]} of {searches} searches",
        )
        for rank in range(max(ranks, default=-1) + 1)
    ]
    missing = tally.ranks[None]
    if tally.ranks:
        data.append(
            Column("none", (("muted", missing),), f"The target was not found in {missing} of {searches} searches")
        )
    return columns(data, "Searches by the target's place among the candidates")


def _first_ranks(tally: Tally) -> tuple[float, float]:
    """Shares of the searches with the target first, and with it among the candidates."""
    searches = tally.ranks.total() or 1
    return tally.ranks[0] / searches, 1 - tally.ranks[None] / searches


def _scores(tally: Tally) -> Markup:
    whole: Counter[int] = Counter()
    for total, number in tally.scores.items():
        whole[int(total)] += number
    data = [
        Column(str(total), (("accent", whole[total]),), f"{whole[total]} conversations with a total of {total} or more")
        for total in range(min(whole, default=0), max(whole, default=-1) + 1)
    ]
    return columns(data, "Conversations by the reviewer's total of 30")


def _latency(latency: Mapping[str, Latency]) -> Markup:
    bins: Counter[int] = Counter()
    for line in latency.values():
        for took, number in line.spread:
            bins[next((place for place, top in enumerate(_TICKS) if took <= top), len(_TICKS) - 1)] += number
    data = [
        Column(
            _tick(_TICKS[place]), (("accent", bins[place]),), f"{bins[place]} calls took up to {_tick(_TICKS[place])}"
        )
        for place in range(min(bins, default=0), max(bins, default=-1) + 1)
    ]
    return columns(data, "Model calls by the time they took")


def _tick(value: float) -> str:
    return f"{value:g}s" if value >= 0.1 else f"{1000 * value:g}ms"
