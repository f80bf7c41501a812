"""What stands inside one folded line: a call's prompt, pictures and reply, or a search's candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from synth.corpora.records import Candidate
from synth.traces.events import RetrievalEvent, ReviewEvent
from synth.traces.reader import Step
from synth.view.product import Card, Shelf, Thumb
from synth.view.step import Entry, Message, messages, parsed, pretty


class Found(NamedTuple):
    """A candidate of a search."""

    candidate: Candidate
    card: Card
    chosen: bool
    target: bool


class Check(NamedTuple):
    """The check's verdict on one turn's rewrite."""

    turn: int
    same: bool
    reason: str


class Detail(NamedTuple):
    """Empty where a line has no such thing."""

    system: Sequence[Message] = ()
    history: Sequence[Message] = ()
    task: Sequence[Message] = ()
    pictures: Sequence[Thumb] = ()
    reply: str = ""
    raw: str = ""
    """The reply as it came, where that is not how it is shown."""
    checks: Sequence[Check] = ()
    review: ReviewEvent | None = None
    found: Sequence[Found] = ()
    excluded: Sequence[Card] = ()
    clarified: Sequence[str] = ()


def detail(
    entry: Entry, shelf: Shelf, target: str, clarified: Mapping[int, Sequence[str]], review: ReviewEvent | None
) -> Detail:
    """
    Args:
        target: id of the product the user has in mind.
        clarified: the wishes that the querier read from the conversation, by turn.
        review: of the draw, if it came to one.
    """
    if isinstance(entry.event, RetrievalEvent):
        return _search(entry.event, shelf, target, clarified)
    if entry.step is None:
        return Detail()
    call = entry.step.call
    system, history, task = messages(entry.step)
    shown = pretty(call.reply)
    return Detail(
        system=system,
        history=history,
        task=task,
        pictures=[shelf.thumb(hash_) for hash_ in call.images],
        reply=shown,
        raw=call.reply if call.reply != shown else "",
        checks=_checks(call.reply) if call.call == "rewriter.check" else (),
        review=review if call.call == "reviewer.review" else None,
    )


def clarified_wishes(steps: Sequence[Step]) -> dict[int, Sequence[str]]:
    """By turn, as the querier's replies have them."""
    wishes: dict[int, Sequence[str]] = {}
    for step in steps:
        found = parsed(step.call.reply).get("clarified") if step.call.call == "querier.query" else None
        if isinstance(found, list):
            wishes[step.turn] = [str(wish) for wish in found]
    return wishes


def _search(event: RetrievalEvent, shelf: Shelf, target: str, clarified: Mapping[int, Sequence[str]]) -> Detail:
    retrieval = event.retrieval
    return Detail(
        found=[Found(c, shelf.card(c.id), c.id == retrieval.chosen, c.id == target) for c in retrieval.candidates],
        excluded=[shelf.card(id_) for id_ in retrieval.excluded],
        clarified=clarified.get(int(event.step), ()),
    )


def _checks(reply: str) -> list[Check]:
    checks = parsed(reply).get("checks")
    rows = [row for row in checks if isinstance(row, dict)] if isinstance(checks, list) else []
    return [Check(turn, bool(row.get("same")), str(row.get("reason", ""))) for turn, row in enumerate(rows)]
