"""One conversation: as a shop chat, with its buyer beside it and its agents' steps under each turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.corpora.records import Conversation, Turn
from synth.errors import SynthError
from synth.traces.events import Event, ItemSpan, ReviewEvent, RewriteEvent
from synth.traces.reader import ACCEPTED, Draw, Step
from synth.view.app import page, run_of
from synth.view.copies import as_json, as_markdown
from synth.view.detail import Detail, clarified_wishes, detail
from synth.view.diff import Piece, word_diff
from synth.view.product import Card, Shelf
from synth.view.query import Query
from synth.view.run import ViewedRun
from synth.view.seen import Barrier, Column
from synth.view.step import Entry, Totals, rewrites, timeline, totals

TextView = Literal["final", "draft", "diff"]
SeenBy = Literal["", "both", "user", "assistant"]
ACTS = {
    "greet": "greets",
    "need": "says what they need",
    "ask": "asks back",
    "answer": "answers",
    "chit_chat": "chats",
    "recommend": "recommends",
    "reject": "turns it down",
    "accept": "takes it",
}
ENDINGS = {
    "hit": ("hit", "The user took the very product they had in mind."),
    "fit": ("fit", "The user took another product that meets what they asked for."),
    "forced": ("forced", "At the round limit the target was handed over."),
}
_OWN = ("text", "seen", "open")
"""This page's parameters; all others are the list's."""
_BEFORE, _AFTER = -1, 10_000


class Version(NamedTuple):
    """A turn's text, one way of reading it."""

    name: TextView
    label: str
    pieces: Sequence[Piece]


class TurnView(NamedTuple):
    """A turn with all that the page shows of it."""

    turn: Turn
    act: str
    versions: Sequence[Version]
    """One where the rewriter changed nothing."""
    chosen: TextView
    kept: RewriteEvent | None
    """Why the draft was kept, where it was."""
    cards: Sequence[Card]
    """Shown with this turn, by the assistant or, in an opening, by the user."""
    about: Sequence[Card]
    """Spoken of, and shown before."""
    entries: Sequence[Entry]
    totals: Totals
    columns: Sequence[Column]


class Loaded(NamedTuple):
    """A draw with its steps and events."""

    draw: Draw
    steps: list[Step]
    events: list[Event]
    entries: dict[int, list[Entry]]
    shelf: Shelf

    def detail(self, entry: Entry) -> Detail:
        target = self.draw.profile.target_id if self.draw.profile else ""
        return detail(entry, self.shelf, target, clarified_wishes(self.steps), self.review)

    def foldable(self) -> list[Entry]:
        """Entries with something inside, in order."""
        return [entry for turn in sorted(self.entries) for entry in self.entries[turn] if entry.kind != "choice"]

    @property
    def review(self) -> ReviewEvent | None:
        return next((event for event in self.events if isinstance(event, ReviewEvent)), None)


def routes() -> list[Route]:
    return [
        Route("/c/{id}.json", json_copy, name="conversation_json"),
        Route("/c/{id}.md", markdown_copy, name="conversation_markdown"),
        Route("/c/{id}/steps/{anchor}", step, name="step"),
        Route("/c/{id}", conversation, name="conversation"),
    ]


async def conversation(request: Request) -> Response:
    """The page; `?text=` chooses drafts or changes, `?seen=` a side's sight, `?open=` steps that stand open."""
    run = run_of(request)
    loaded = load(run, request.path_params["id"])
    return page(request, "conversation.html", values(run, loaded, request.query_params))


async def step(request: Request) -> Response:
    """One step, as a page of its own; a script takes its inside into the fold."""
    run, anchor = run_of(request), request.path_params["anchor"]
    loaded = load(run, request.path_params["id"])
    entry = next((e for e in loaded.foldable() if e.anchor == anchor), None)
    if entry is None:
        raise SynthError(f"{loaded.draw.id} has no step {anchor!r}.")
    return page(request, "step.html", step_values(run, loaded, entry, request.query_params))


async def json_copy(request: Request) -> Response:
    run = run_of(request)
    draw, steps, events, *_ = load(run, request.path_params["id"])
    return Response(as_json(run.reader, draw, steps, events), media_type="application/json")


async def markdown_copy(request: Request) -> Response:
    run = run_of(request)
    draw, steps, events, *_ = load(run, request.path_params["id"])
    return Response(as_markdown(run.reader, draw, steps, events), media_type="text/markdown")


def load(run: ViewedRun, draw_id: str) -> Loaded:
    """
    Raises:
        SynthError: the run has no such draw.
    """
    draw = run.reader.draw(draw_id)
    steps = run.reader.steps(draw.number)
    if draw.conversation is not None:
        steps = _with(steps, run.reader.comparisons(draw.conversation, steps))
    events = run.reader.events("conversation", draw.number)
    return Loaded(draw, steps, events, timeline(steps, events), Shelf(run))


def step_values(run: ViewedRun, loaded: Loaded, entry: Entry, params: Mapping[str, str]) -> dict[str, Any]:
    """What `step.html` shows."""
    found = {"run": run, "draw": loaded.draw, "entry": entry, "detail": loaded.detail(entry)}
    return {**found, "at": Address(run, params)}


def values(run: ViewedRun, loaded: Loaded, params: Mapping[str, str], *, copy: bool = False) -> dict[str, Any]:
    """What `conversation.html` shows.

    Args:
        params: of the address: this page's own, and the list's query that led here.
        copy: with both sides' sights and without neighbours, for a copy that no server stands behind.
    """
    draw, talk, entries = loaded.draw, loaded.draw.conversation, loaded.entries
    at = Address(run, params)
    barrier = Barrier(run.reader, talk, loaded.steps) if talk and (at.seen or copy) else None
    wanted = set(params.get("open", "").split(","))
    opened = {entry.anchor: loaded.detail(entry) for entry in loaded.foldable() if entry.anchor in wanted}
    turns = talk.turns if talk else ()
    lost = sorted(turn for turn in entries if turn not in (_BEFORE, _AFTER) and turn >= len(turns))
    previous, following = ("", "") if copy else _neighbours(run, draw.id, at)
    return {
        "run": run,
        "draw": draw,
        "at": at,
        "accepted": draw.verdict == ACCEPTED,
        "ending": ENDINGS[talk.ended_by] if talk else None,
        "review": loaded.review,
        "profile": draw.profile,
        "scenario": run.reader.scenarios.get(draw.profile.scenario_id) if draw.profile else None,
        "target": loaded.shelf.card(draw.profile.target_id) if draw.profile else None,
        "turns": [_turn(loaded, talk, turn, at, barrier) for turn in turns] if talk else [],
        "before": entries.get(_BEFORE, []),
        "after": entries.get(_AFTER, []),
        "lost": [(turn, entries[turn]) for turn in lost],
        "totals": totals(loaded.foldable()),
        "total_of": totals,
        "span": next((event for event in loaded.events if isinstance(event, ItemSpan)), None),
        "models": sorted({s.call.model for s in loaded.steps}),
        "opened": opened,
        "wanted": set(opened),
        "barrier": barrier,
        "shown_target": _first_shown(talk),
        "previous": previous,
        "next": following,
    }


class Address:
    """This page's parameters, and links that change one of them and keep the rest, the list's query included."""

    def __init__(self, run: ViewedRun, params: Mapping[str, str]) -> None:
        text, seen = params.get("text", ""), params.get("seen", "")
        self.text: TextView = text if text in get_args(TextView) else "final"  # type: ignore[assignment]
        self.seen: SeenBy = seen if seen in get_args(SeenBy) else ""  # type: ignore[assignment]
        self.list: dict[str, str] = {name: value for name, value in params.items() if name not in _OWN}
        if run.number:
            self.list["run"] = str(run.number)

    def __call__(self, **changes: str) -> str:
        """`?…` with this page's parameters changed; empty ones fall away."""
        own = {"text": self.text if self.text != "final" else "", "seen": self.seen, **changes}
        return self._query({**{name: value for name, value in own.items() if value}, **self.list})

    @property
    def query(self) -> str:
        """`?…` with the list's parameters alone."""
        return self._query(self.list)

    @staticmethod
    def _query(params: Mapping[str, str]) -> str:
        return f"?{urlencode(params)}" if params else ""


def _with(steps: list[Step], comparisons: list[Step]) -> list[Step]:
    """Steps with each comparison before the rejection that it was made for."""
    found: list[Step] = []
    for step in steps:
        if step.call.call == "user.reject":
            found += [other for other in comparisons if other.turn == step.turn and other not in found]
        found.append(step)
    return found


def _turn(loaded: Loaded, talk: Conversation, turn: Turn, at: Address, barrier: Barrier | None) -> TurnView:
    event = rewrites(loaded.events).get(turn.index)
    versions = _versions(turn.text, talk.drafts[turn.index] if turn.index < len(talk.drafts) else turn.text, event)
    if at.seen:  # the page is long enough then
        versions = [version for version in versions if version.name == at.text] or versions[:1]
    entries = loaded.entries.get(turn.index, [])
    cards = [loaded.shelf.card(product_id) for product_id in turn.products]
    shows = turn.act == "recommend" or bool(turn.images)
    return TurnView(
        turn=turn,
        act=ACTS[turn.act],
        versions=versions,
        chosen=at.text if any(version.name == at.text for version in versions) else "final",
        kept=event if event and event.kept else None,
        cards=cards if shows else [],
        about=[] if shows else cards,
        entries=entries,
        totals=totals(entries),
        columns=[c for c in barrier.at(turn.index) if at.seen in ("", "both", c.side)] if barrier else [],
    )


def _versions(final: str, draft: str, event: RewriteEvent | None) -> list[Version]:
    versions = [Version("final", "Final", [Piece("same", final)])]
    if draft != final:
        versions.append(Version("draft", "Draft", [Piece("same", draft)]))
        versions.append(Version("diff", "Changes", word_diff(draft, final)))
    elif event and event.kept:
        versions.append(Version("diff", "Refused", word_diff(draft, event.rewrite)))
    return versions


def _first_shown(talk: Conversation | None) -> int | None:
    """The turn in which the assistant first showed the target."""
    shown = (t.index for t in talk.turns if t.act == "recommend" and talk.target_id in t.products) if talk else iter(())
    return next(shown, None)


def _neighbours(run: ViewedRun, draw_id: str, at: Address) -> tuple[str, str]:
    """Addresses of the draws before and after this one in the list that led here; empty at its ends."""
    before, after = run.index.neighbours(draw_id, Query.of(at.list))
    return tuple(f"/c/{other}{at()}" if other else "" for other in (before, after))  # type: ignore[return-value]
