"""What each side could see at a turn: by the types of the agents' calls, and checked against the prompts sent.

The rules are those of `prompts.calls`: what a `UserView` has and an `AssistantView` has not is hidden from the
assistant's side. What the search found besides the product shown is hidden from the user's.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Literal, NamedTuple

from synth.corpora.records import Conversation
from synth.prompts.calls import CALLS, AssistantView, UserView
from synth.traces.reader import RunReader, Step

Side = Literal["user", "assistant"]
HIDDEN = tuple(f.name for f in fields(UserView) if f.name not in {g.name for g in fields(AssistantView)})
"""Names of what only the user's side sees."""
_SHINGLE = 7
"""Words in a row that no two people write by chance."""
_LEAST = 4
"""Words below which a text says too little to be looked for."""
_RECORD = re.compile(r"<product .*?</product>", re.DOTALL)
_SHORT = 64


class Sight(NamedTuple):
    """One thing, and whether a side had it before it."""

    name: str
    text: str
    visible: bool


class Leak(NamedTuple):
    """A hidden text that stands in a prompt all the same."""

    anchor: str
    name: str


class Column(NamedTuple):
    """One side at one turn."""

    side: Side
    sights: tuple[Sight, ...]
    notes: tuple[str, ...]
    """Calls of this turn that see less than their side."""
    prompts: int
    """Sent by this side for this turn."""
    leaks: tuple[Leak, ...]


class Secret(NamedTuple):
    name: str
    words: tuple[str, ...]


class Barrier:
    """The two sides of one conversation.

    Attributes:
        prompts: of each side's calls, how many were checked.
        leaks: what they should not have held.
    """

    def __init__(self, reader: RunReader, conversation: Conversation, steps: list[Step]) -> None:
        self._conversation = conversation
        self._reader = reader
        scenario = reader.scenarios.get(conversation.profile.scenario_id)
        self._scenario = scenario.text if scenario else ""
        target = reader.product(conversation.target_id)
        self._target = target.title if target else conversation.target_id
        self._steps = [s for s in steps if s.phase == "conversation" and s.call.side in ("user", "assistant")]
        self.prompts: dict[str, int] = {"user": 0, "assistant": 0}
        self._leaks: dict[str, list[str]] = {}
        for step in self._steps:
            self.prompts[step.call.side] += 1
            found = self._of_assistant(step) if step.call.side == "assistant" else self._of_user(step)
            if found:
                self._leaks[step.anchor] = found
        self.leaks = self._leaks_of(self._steps)

    def at(self, turn: int) -> tuple[Column, Column]:
        """The user's side and the assistant's, when a turn was made."""
        return self._column("user", self._user(turn), turn), self._column("assistant", self._assistant(turn), turn)

    def _column(self, side: Side, sights: list[Sight], turn: int) -> Column:
        steps = [s for s in self._steps if s.turn == turn and s.call.side == side]
        notes = tuple(note for note in map(_less, dict.fromkeys(s.call.call for s in steps)) if note)
        return Column(side, tuple(sights), notes, len(steps), tuple(self._leaks_of(steps)))

    def _leaks_of(self, steps: list[Step]) -> list[Leak]:
        return [Leak(s.anchor, name) for s in steps for name in self._leaks.get(s.anchor, ())]

    # ---- by the rules

    def _user(self, turn: int) -> list[Sight]:
        shown = self._shown(turn)
        sights = [Sight("the conversation so far", _messages(turn), True)]
        sights += [Sight(name, _cut(text), True) for name, text in self._private()]
        if shown:
            sights.append(Sight("the product shown last", _cut(self._title(shown[-1])), True))
        retrieval = self._conversation.turns[turn].retrieval
        if retrieval is not None:
            sights += [
                Sight("the search query", _cut(retrieval.query), False),
                Sight("the candidates", f"{len(retrieval.candidates)} products with their scores", False),
                Sight("why one was chosen", _cut(retrieval.reason), False),
            ]
        return sights

    def _assistant(self, turn: int) -> list[Sight]:
        conversation = self._conversation
        now = conversation.turns[turn]
        sights = [Sight("the conversation so far", _messages(turn), True)]
        if conversation.outfit_id and turn > 1:
            sights.append(Sight("the user's photo", "its picture, not its record", True))
        if self._shown(turn):
            sights.append(Sight("the product shown last", _cut(self._title(self._shown(turn)[-1])), True))
        if now.retrieval is not None:
            sights.append(Sight("the candidates", f"{len(now.retrieval.candidates)} products of the index", True))
        if now.act == "recommend" and now.products:
            sights.append(Sight("the product to show", _cut(self._title(now.products[0])), True))
        return sights + [Sight(name, _cut(text), False) for name, text in self._private()]

    def _private(self) -> list[tuple[str, str]]:
        """What only the user's side has, in the order of `UserView`."""
        profile = self._conversation.profile
        person = profile.person
        texts = {
            "person": [f"{person.name}, {person.gender or 'no gender'}, {person.age}, {person.profession}"],
            "recipient": [f"their {profile.recipient.relation}"] if profile.recipient else [],
            "scenario": [self._scenario] if self._scenario else [],
            "backstory": [profile.backstory],
            "requirements": [requirement.text for requirement in profile.requirements],
            "target": [self._target],
        }
        return [(name.removesuffix("s") if len(texts[name]) > 1 else name, t) for name in HIDDEN for t in texts[name]]

    def _shown(self, turn: int) -> list[str]:
        """Ids that were recommended before a turn."""
        return [i for t in self._conversation.turns[:turn] if t.act == "recommend" for i in t.products]

    def _title(self, product_id: str) -> str:
        product = self._reader.product(product_id)
        return product.title if product else product_id

    # ---- by the prompts

    def _of_assistant(self, step: Step) -> list[str]:
        """Names of the user's things that an assistant-side prompt holds, though nobody had said them."""
        conversation, prompt = self._conversation, "\n".join(step.call.messages)
        profile, now = conversation.profile, conversation.turns[step.turn] if self._has(step.turn) else None
        said = _plain(" ".join(conversation.drafts[: step.turn]))
        text = _plain(_RECORD.sub(" ", prompt))  # the shop's own words may happen to be those of a story
        found = [
            name
            for name, secret in [*self._private(), ("person", profile.person.name)]
            if name != "target" and _told(secret, text, said, least=2 if secret == profile.person.name else _LEAST)
        ]
        legal = {*self._shown(step.turn), *(now.products if now else ())}
        if now and now.retrieval:
            legal.update(candidate.id for candidate in now.retrieval.candidates)
        target = conversation.target_id
        # Titles can hold each other: "Inez Jeans" stands in "Driftlane Inez Jeans".
        titled = any(_plain(self._target) in _plain(self._title(product_id)) for product_id in legal)
        named = not titled and _plain(self._target) in _plain(prompt) and _plain(self._target) not in said
        if target not in legal and (named or f'"{target}"' in prompt):
            found.append("target")
        return found

    def _of_user(self, step: Step) -> list[str]:
        """Names of the search's things that a user-side prompt holds."""
        conversation, prompt = self._conversation, "\n".join(step.call.messages)
        said = _plain(" ".join(conversation.drafts[: step.turn]))
        legal = {*self._shown(step.turn), conversation.target_id, conversation.outfit_id}
        found: list[str] = []
        for turn in conversation.turns[: step.turn]:
            if turn.retrieval is None:
                continue
            if any(f'"{c.id}"' in prompt for c in turn.retrieval.candidates if c.id not in legal):
                found.append("the candidates")
            if _told(turn.retrieval.reason, _plain(prompt), said, least=_SHINGLE):
                found.append("why one was chosen")
        return list(dict.fromkeys(found))

    def _has(self, turn: int) -> bool:
        return 0 <= turn < len(self._conversation.turns)


def visible(call: str) -> frozenset[str]:
    """Names of what a call's typed input can hold, its view opened up."""
    kind = CALLS[call].input
    names = {f.name for f in fields(kind)}
    for view in (AssistantView, UserView):
        if any(f.name == "view" and view.__name__ in str(f.type) for f in fields(kind)):
            names.update(f.name for f in fields(view))
    return frozenset(names)


def _less(call: str) -> str:
    """What a user-side call is kept from; empty where that is nothing."""
    if call not in CALLS or CALLS[call].side != "user":
        return ""
    missing = [name for name in HIDDEN if name not in visible(call)]
    return f"{call} is not shown the {', '.join(missing)}" if missing else ""


def _told(secret: str, text: str, said: str, least: int) -> bool:
    """Whether some words in a row of a secret stand in a text, and were not said before."""
    words = _plain(secret).split()
    if len(words) < least:
        return False
    runs = (f" {' '.join(words[i : i + _SHINGLE])} " for i in range(max(1, len(words) - _SHINGLE + 1)))
    return any(run in text and run not in said for run in runs)


def _plain(text: str) -> str:
    """Lower-case words with one space between and around them."""
    return f" {' '.join(''.join(c.lower() if c.isalnum() else ' ' for c in text).split())} "


def _messages(turn: int) -> str:
    return f"{turn} message{'' if turn == 1 else 's'}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1].rstrip() + "…"
