"""Two runs side by side: their totals, and pairs of their conversations by scenario or by draw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.analysis.diversity import diversity
from synth.corpora.records import Conversation, Turn
from synth.traces.reader import ACCEPTED, Draw
from synth.view.app import page
from synth.view.diff import Piece, word_diff
from synth.view.figures import Figures, figures_of
from synth.view.page import count, percent, usd
from synth.view.product import Shelf
from synth.view.run import ViewedRun
from synth.view.tally import Digest, Tally

_WAIT = 0.3
_PAGE = 50
_MEASURED = 300
"""Conversations of each run that Distinct is taken of: it falls with their number, so both runs give as many."""
_ALIKE = 0.3
"""Share of two texts that must be common before their words are compared: marks all over help nobody."""
BY = {"draw": "draw number", "scenario": "scenario"}


class Fact(NamedTuple):
    """One total of both runs, ready to be shown."""

    name: str
    a: str
    b: str
    change: str
    """From the first to the second; empty where it says nothing."""


class Pair(NamedTuple):
    """Two draws that belong together; None where one run has no counterpart."""

    label: str
    a: Digest | None
    b: Digest | None

    @property
    def differs(self) -> bool:
        """Whether they were said, ended or judged differently."""
        if self.a is None or self.b is None:
            return True
        return (self.a.verdict, self.a.ended_by, self.a.said) != (self.b.verdict, self.b.ended_by, self.b.said)

    @property
    def query(self) -> str:
        """Of the pair's page."""
        return urlencode({name: digest.id for name, digest in (("a", self.a), ("b", self.b)) if digest})


class Row(NamedTuple):
    """Turns beside each other; where both are there, the words of each that the other does not have are marked."""

    a: Turn | None
    b: Turn | None
    pieces: Sequence[Piece]
    """From the one to the other; empty where they have too little in common."""

    @property
    def same(self) -> bool:
        return self.a is not None and self.b is not None and self.a.text == self.b.text


def routes() -> list[Route]:
    return [Route("/compare", compare), Route("/compare/pair", pair), Route("/compare/distinct", distinct)]


async def compare(request: Request) -> Response:
    """Totals and pairs; `?by=draw|scenario`, `?differ=1` leaves out pairs that are alike."""
    one, other = _both(request)
    figures = [await run_in_threadpool(figures_of, run, _WAIT) for run in (one, other)]
    by = request.query_params.get("by", "draw")
    by = by if by in BY else "draw"
    differ = request.query_params.get("differ") == "1"
    found = list(pairs(one, other, figures, by))
    kept = [entry for entry in found if entry.differs] if differ else found
    last = max((len(kept) - 1) // _PAGE + 1, 1)
    asked = request.query_params.get("page", "1")
    number = min(max(int(asked), 1), last) if asked.isdecimal() else 1
    values = {
        "by": by,
        "ways": BY,
        "differ": differ,
        "pairs": kept[(number - 1) * _PAGE : number * _PAGE],
        "total": len(found),
        "differing": sum(entry.differs for entry in found),
        "shown": len(kept),
        "page": number,
        "last": last,
        "facts": list(facts(figures)),
        "counting": any(numbers.counting for numbers in figures),
        "settings": list(_differing(one.reader.config, other.reader.config)),
        "address": lambda **changes: _address(by, differ, number, changes),
    }
    return page(request, "compare.html", values)


async def pair(request: Request) -> Response:
    """Two conversations in two columns; `?a=` of the first run, `?b=` of the second."""
    viewed = _both(request)
    sides: list[tuple[ViewedRun, Draw, Shelf] | None] = []
    for run, name in zip(viewed, "ab", strict=True):
        asked = request.query_params.get(name)
        sides.append((run, run.reader.draw(asked), Shelf(run)) if asked else None)
    if not any(sides):
        raise HTTPException(404, "Which pair? The address names none.")
    talks = [side[1].conversation if side else None for side in sides]
    rows = list(aligned(*talks))
    values = {
        "sides": list(zip(viewed, sides, strict=True)),
        "rows": rows,
        "alike": sum(row.same for row in rows),
        "scenarios": [_scenario(side[0], side[1]) if side else "" for side in sides],
    }
    return page(request, "compare_pair.html", values)


async def distinct(request: Request) -> Response:
    """Distinct-n of as many conversations of each run; asked for by the totals, for it takes seconds."""
    measured = await run_in_threadpool(_distinct, _both(request))
    return page(request, "compare_distinct.html", measured)


def pairs(one: ViewedRun, other: ViewedRun, figures: Sequence[Figures], by: str) -> Iterator[Pair]:
    """Draws of both runs that belong together.

    Args:
        by: `draw`: of the same number, which stand for the same person and product where catalogue and seed are the
            same. `scenario`: of the same scenario text, the first accepted one with the first, and so on.
    """
    tables = []
    for numbers in figures:
        with numbers.lock:
            tables.append(dict(numbers.tally.draws))
    if by == "draw":
        for number in sorted(tables[0].keys() | tables[1].keys()):
            yield Pair(f"{number}", tables[0].get(number), tables[1].get(number))
        return
    grouped = [_by_scenario(run, table) for run, table in zip((one, other), tables, strict=True)]
    for text in grouped[0]:
        if text in grouped[1]:
            for a, b in zip(grouped[0][text], grouped[1][text], strict=False):
                yield Pair(text, a, b)


def facts(figures: Sequence[Figures]) -> Iterator[Fact]:
    """Totals of both runs."""
    (a, cost_a), (b, cost_b) = ((numbers.tally, numbers.cost) for numbers in figures)
    yield _fact("Accepted conversations", a.accepted, b.accepted, count)
    yield _fact("Draws", len(a.draws), len(b.draws), count)
    yield _share("Accepted of all draws", (a.accepted, len(a.draws)), (b.accepted, len(b.draws)))
    for name in sorted(a.refused.keys() | b.refused.keys()):
        yield _share(f"Refused: {name}", (a.refused[name], len(a.draws)), (b.refused[name], len(b.draws)))
    for name in ("hit", "fit", "forced"):
        yield _share(f"Ended in a {name}" if name != "forced" else "Forced", *_of(a, b, name))
    yield _share("Opened with a photo", (a.openings["multimodal"], a.accepted), (b.openings["multimodal"], b.accepted))
    yield _mean("Recommendations a conversation", (_recommended(a), a.accepted), (_recommended(b), b.accepted))
    yield _mean("Utterances a conversation", (a.turns, a.accepted), (b.turns, b.accepted))
    yield _mean("Words an utterance", (a.words, a.turns), (b.words, b.turns))
    yield _share("Target first in a search", (a.ranks[0], a.ranks.total()), (b.ranks[0], b.ranks.total()))
    yield _share("Drafts kept", (a.kept_drafts, a.rewritten), (b.kept_drafts, b.rewritten))
    if cost_a and cost_b:
        yield _fact("Model calls", cost_a.all.calls, cost_b.all.calls, count)
        sums = [cost.all.input_tokens + cost.all.output_tokens for cost in (cost_a, cost_b)]
        yield _mean("Tokens a conversation", (sums[0], a.accepted), (sums[1], b.accepted))
        yield _fact("Cost", cost_a.usd, cost_b.usd, usd)


def aligned(one: Conversation | None, other: Conversation | None) -> Iterator[Row]:
    """Turns of both, beside each other where the same speaker does the same at the same point."""
    a, b = (conversation.turns if conversation else () for conversation in (one, other))
    acts = [[(turn.speaker, turn.act) for turn in turns] for turns in (a, b)]
    for _, i, i_end, j, j_end in SequenceMatcher(None, acts[0], acts[1], autojunk=False).get_opcodes():
        for step in range(max(i_end - i, j_end - j)):
            left, right = (
                turns[start + step] if start + step < end else None
                for turns, start, end in ((a, i, i_end), (b, j, j_end))
            )
            pieces: Sequence[Piece] = ()
            if left and right and left.act == right.act:
                pieces = word_diff(left.text, right.text)
                common = sum(len(piece.text) for piece in pieces if piece.kind == "same")
                if 2 * common < _ALIKE * (len(left.text) + len(right.text)):
                    pieces = ()
            yield Row(left, right, pieces)


def _both(request: Request) -> tuple[ViewedRun, ViewedRun]:
    runs: list[ViewedRun] = request.app.state.runs
    if len(runs) < 2:
        raise HTTPException(404, "One run is open. Open two with: synth view RUN RUN2")
    return runs[0], runs[1]


def _by_scenario(run: ViewedRun, table: Mapping[int, Digest]) -> dict[str, list[Digest]]:
    """Draws with a conversation by their scenario's text, accepted ones first."""
    groups: defaultdict[str, list[Digest]] = defaultdict(list)
    for digest in sorted(table.values(), key=lambda digest: (digest.verdict != ACCEPTED, digest.number)):
        scenario = run.reader.scenarios.get(digest.scenario or "")
        if scenario is not None and digest.turns:
            groups[scenario.text].append(digest)
    return groups


def _distinct(runs: tuple[ViewedRun, ViewedRun]) -> dict[str, Any]:
    samples = []
    for run in runs:
        accepted = (draw.conversation for draw in run.reader.draws() if draw.verdict == ACCEPTED)
        samples.append([talk for _, talk in zip(range(_MEASURED), accepted, strict=False) if talk])
    smaller = min(map(len, samples))
    return {"conversations": smaller, "measures": [diversity(sample[:smaller]) for sample in samples]}


def _scenario(run: ViewedRun, draw: Draw) -> str:
    scenario = run.reader.scenarios.get(draw.profile.scenario_id) if draw.profile else None
    return scenario.text if scenario else ""


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    from synth.view.overview import settings

    a, b = dict(settings(one)), dict(settings(other))
    for name in [*a, *(name for name in b if name not in a)]:
        if a.get(name) != b.get(name):
            yield name, a.get(name, "–"), b.get(name, "–")


def _address(by: str, differ: bool, number: int, changes: Mapping[str, Any]) -> str:
    """Another way of looking at the pairs; it starts on its first page."""
    asked = {"by": by, "differ": int(differ), "page": number if "page" in changes else 1, **changes}
    default = {"by": "draw", "differ": 0, "page": 1}
    return "/compare?" + urlencode({name: value for name, value in asked.items() if value != default[name]})


def _recommended(tally: Tally) -> int:
    return sum(number * conversations for (number, _), conversations in tally.rounds.items())


def _of(a: Tally, b: Tally, ending: str) -> tuple[tuple[int, int], tuple[int, int]]:
    return (a.endings[ending], a.accepted), (b.endings[ending], b.accepted)


def _fact(name: str, a: float, b: float, shown: Any) -> Fact:
    change = (b - a) / a if a else 0.0
    return Fact(name, shown(a), shown(b), f"{100 * change:+.0f}\u202f%" if abs(change) >= 0.005 else "")


def _share(name: str, a: tuple[int, int], b: tuple[int, int]) -> Fact:
    one, other = (part / whole if whole else 0.0 for part, whole in (a, b))
    points = f"{100 * (other - one):+.1f} pts"
    return Fact(name, percent(one), percent(other), points if abs(other - one) >= 0.0005 else "")


def _mean(name: str, a: tuple[float, float], b: tuple[float, float]) -> Fact:
    one, other = (total / number if number else 0.0 for total, number in (a, b))
    return _fact(name, one, other, lambda value: f"{value:,.1f}" if value < 1000 else count(value))
