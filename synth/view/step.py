"""What the agents did for a turn, as a page shows it: calls, searches, and the manager's choices, in order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from synth.traces.events import ChoiceEvent, Event, RetrievalEvent, ReviewEvent, RewriteEvent
from synth.traces.reader import Step, turn_of

_ROLES = {"s": "system", "u": "user", "a": "assistant"}
_SHORT = 140
_OPENINGS = ("multimodal", "text")
CHOICES = {
    "multimodal": "opens with a photo",
    "text": "opens with words only",
    "chit_chat": "chit-chat first",
    "react": "the user reacts, and may not settle yet",
    "settle": "the user may settle for another product",
    "hand_over": "hands the target over",
}


class Message(NamedTuple):
    """A message of a prompt."""

    role: str
    text: str


class Entry(NamedTuple):
    """One line under a turn."""

    kind: Literal["call", "search", "choice"]
    anchor: str
    name: str
    outcome: str
    """What came of it, in a few words."""
    mood: Literal["", "good", "bad"]
    step: Step | None = None
    event: RetrievalEvent | ChoiceEvent | None = None
    repaired: bool = False
    """Whether the reply broke the schema, so that the call was repeated."""

    @property
    def side(self) -> str:
        return self.step.call.side if self.step else "assistant" if self.kind == "search" else "staff"


class Totals(NamedTuple):
    """Sums over calls, those aside that other conversations share."""

    calls: int
    input_tokens: int
    cached_tokens: int
    image_tokens: int
    output_tokens: int
    usd: float
    seconds: float
    """Latencies added up."""
    tries: int
    logged: int


def timeline(steps: Sequence[Step], events: Sequence[Event]) -> dict[int, list[Entry]]:
    """Entries by turn: -1 for the profile's, 10,000 for what came after the last turn.

    Args:
        events: of the conversation.
    """
    searches = {e.step: e for e in events if isinstance(e, RetrievalEvent)}
    review = next((e for e in events if isinstance(e, ReviewEvent)), None)
    again = {(s.call.place.stage, s.call.place.step) for s in steps if s.call.place.attempt}
    turns: dict[int, list[Entry]] = defaultdict(list)
    for number, choice in enumerate(e for e in events if isinstance(e, ChoiceEvent) and e.choice not in _OPENINGS):
        turns[turn_of("conversation", choice.step)].append(_choice(choice, number))
    for step in steps:
        place = step.call.place
        mended = not place.attempt and (place.stage, place.step) in again
        mood: Literal["", "good", "bad"]
        outcome, mood = ("broke the schema: asked again", "bad") if mended else _outcome(step, review)
        turns[step.turn].append(Entry("call", step.anchor, step.call.call, outcome, mood, step, repaired=mended))
        search = searches.get(place.step.partition(".")[0])
        if search and place.step.endswith(".query") and not mended:
            turns[step.turn].append(_search(search))
    for opening in (e for e in events if isinstance(e, ChoiceEvent) and e.choice in _OPENINGS):
        at = sum(entry.name == "manager.outfit" for entry in turns[1])
        turns[1].insert(at, _choice(opening, 0))
    return dict(turns)


def totals(entries: Sequence[Entry]) -> Totals:
    steps = [entry.step for entry in entries if entry.step and not entry.step.shared]
    calls = [step.call for step in steps]
    return Totals(
        calls=len(calls),
        input_tokens=sum(c.input_tokens for c in calls),
        cached_tokens=sum(c.cached_tokens for c in calls),
        image_tokens=sum(c.image_tokens for c in calls),
        output_tokens=sum(c.output_tokens for c in calls),
        usd=sum(c.usd for c in calls),
        seconds=sum(c.seconds for c in calls),
        tries=sum(c.tries for c in calls),
        logged=sum(bool(step.span and step.span.logged) for step in steps),
    )


def messages(step: Step) -> tuple[list[Message], list[Message], list[Message]]:
    """A prompt's messages: system, the conversation so far, and the task at its end."""
    texts, roles = step.call.messages, step.call.roles
    found = [Message(_ROLES.get(role, role), text) for role, text in zip(roles.ljust(len(texts)), texts, strict=False)]
    first = sum(message.role == "system" for message in found)
    return found[:first], found[first:-1], found[max(first, len(found) - 1) :]


def pretty(reply: str) -> str:
    """A reply as indented JSON, or as it is where it is none."""
    try:
        return json.dumps(json.loads(reply), indent=2, ensure_ascii=False)
    except ValueError:
        return reply


def parsed(reply: str) -> dict[str, Any]:
    """A reply's object; empty where it is none."""
    try:
        value = json.loads(reply)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def rewrites(events: Sequence[Event]) -> dict[int, RewriteEvent]:
    """By turn; turns that came back as they were have none."""
    return {event.turn: event for event in events if isinstance(event, RewriteEvent)}


def _choice(event: ChoiceEvent, number: int) -> Entry:
    name = f"c-{event.step}-choice-{event.choice}-{number}"
    return Entry("choice", name, "manager", f"{CHOICES[event.choice]}: {event.reason}", "", event=event)


def _search(event: RetrievalEvent) -> Entry:
    retrieval, rank = event.retrieval, event.target_rank
    stood = "the target not among them" if rank is None else f"the target at {rank + 1}"
    outcome = f"{len(retrieval.candidates)} candidates, {stood}"
    hit = rank is not None and retrieval.candidates[rank].id == retrieval.chosen
    return Entry("search", f"c-{event.step}-search", "search", outcome, "good" if hit else "", event=event)


def _outcome(step: Step, review: ReviewEvent | None) -> tuple[str, Literal["", "good", "bad"]]:
    """What a reply says in a few words, and whether it is a yes or a no."""
    reply = parsed(step.call.reply)
    name = step.call.call
    if name == "reviewer.review" and review is not None:
        verdict = "accepted" if review.accepted else "refused"
        return f"{verdict}: {review.scores.total:g} of 30", "good" if review.accepted else "bad"
    if isinstance(reply.get("checks"), list):
        same = sum(bool(isinstance(c, dict) and c.get("same")) for c in reply["checks"])
        return f"{same} of {len(reply['checks'])} rewrites say the same", ""
    if "verdict" in reply:
        yes = bool(reply["verdict"])
        return _cut(f"{'yes' if yes else 'no'}: {reply.get('reason', '')}"), "good" if yes else "bad"
    if "person_fits" in reply:
        fits = bool(reply["person_fits"] and reply.get("scenario_fits"))
        return _cut(f"{'fits' if fits else 'does not fit'}: {reply.get('reason', '')}"), "good" if fits else "bad"
    if isinstance(reply.get("differences"), list):
        return f"{len(reply['differences'])} differences between what was shown and what is in mind", ""
    if isinstance(reply.get("texts"), list):
        return f"{len(reply['texts'])} texts", ""
    if name == "querier.rerank":
        return _cut(f"{reply.get('id', '')}: {reply.get('reason', '')}"), ""
    told = reply.get("query") or reply.get("text") or reply.get("backstory") or ""
    return _cut(str(told)), ""


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1].rstrip() + "…"
