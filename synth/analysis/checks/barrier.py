"""Whether the assistant's side was shown what only the user may know.

Every logged prompt of an assistant-side call is read. What it may contain: the conversation so far, the call's own
fixed text, and the records of products that the assistant has retrieved or shown by then. What is left is searched
for runs of words of the backstory, the requirements, the scenario and the target's title, for the target's id, and
for the buyer's full name. A run of words that have all been said in the conversation tells the assistant nothing,
and is no leak: a summary of needs may put them in the same order by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from synth.analysis.checks.case import Case, Finding
from synth.analysis.checks.goods import Goods
from synth.analysis.checks.shape import STRUCTURE, number
from synth.corpora.attributes import words
from synth.corpora.records import Conversation
from synth.prompts.calls import RECOMMEND, RERANK
from synth.traces.store import LoggedCall, RunStore

LEAK = "hidden text in an assistant-side prompt"
CHECKS = (LEAK,)

_RUN = 8
"""Words in a row that make a leak. Shorter texts count as a whole, if they are not too short."""
_SHORTEST_TEXT = 6
_SHORTEST_TITLE = 4
"""Words; shorter titles (`Leather Belt`) are looked for letter by letter, single words not at all."""
_SHORTEST_ID = 4
"""Characters; an id must also have a digit in it, for `shirt` would be found in any prompt."""
_FILLERS = set("a an the my your his her their its of to for in on at and with is".split())


class Secret(NamedTuple):
    """Something the assistant's side must not read, as strings of lower-case words."""

    name: str
    runs: frozenset[str]
    whole: str
    """For a text too short for runs; empty if there are runs."""


class Hidden(NamedTuple):
    """What is hidden from the assistant's side in one conversation."""

    secrets: tuple[Secret, ...]
    title: Secret
    literals: tuple[re.Pattern[str], ...]
    """The target's id, and its title where that is short. Like `title`, no secret once the target has been found."""


class Barrier:
    """Reads the run's log beside the conversations; both come in the order of their draws."""

    def __init__(self, store: RunStore, goods: Goods) -> None:
        self.prompts = 0
        """How many were read."""
        self._store = store
        self._goods = goods
        self._last = -1
        self._open()

    def findings(self, case: Case) -> Iterator[Finding]:
        draw = number(case.conversation.id)
        if draw is None:
            return
        calls = self._calls(draw)
        if not calls:
            yield case.found(STRUCTURE, None, "run.db has no assistant-side prompt of it")
            return
        hidden = _hide(case)
        for call in calls:
            self.prompts += 1
            leak = self._leak(case.conversation, hidden, call)
            if leak:
                yield case.found(LEAK, _step(call, case.conversation), f"{call.call}: {leak}")

    def _open(self) -> None:
        calls = self._store.calls(stage="conversation", side="assistant")
        self._items: Iterator[tuple[int, list[LoggedCall]]] = (
            (item, list(group)) for item, group in groupby(calls, key=lambda call: call.place.item)
        )
        self._held: tuple[float, list[LoggedCall]] = (-1, [])

    def _calls(self, draw: int) -> list[LoggedCall]:
        if draw <= self._last:
            self._open()
        self._last = draw
        while self._held[0] < draw:
            self._held = next(self._items, (float("inf"), []))
        return self._held[1] if self._held[0] == draw else []

    def _leak(self, conversation: Conversation, hidden: Hidden, call: LoggedCall) -> str | None:
        """What of the hidden side stands in a prompt."""
        step = _step(call, conversation)
        drafts = conversation.drafts[:step]
        legitimate = _legitimate(conversation, call, step)
        found = conversation.target_id in legitimate
        said: set[str] = set()
        for message in call.messages:
            if message in drafts:
                continue
            for piece in self._pieces(message, legitimate):
                for name, run in _in_piece(piece, hidden, found):
                    said = said or self._said(drafts, legitimate)
                    if not said.issuperset(words(run)):
                        return f"{name}: {run!r}"
        return None

    def _pieces(self, message: str, legitimate: Iterable[str]) -> list[str]:
        """A message without the records that may stand in it."""
        pieces = [message]
        if "<product " in message:
            for product_id in legitimate:
                block = self._goods.block(product_id)
                if block:
                    pieces = [part for piece in pieces for part in piece.split(block)]
        return [piece for piece in pieces if piece and not piece.isspace()]

    def _said(self, drafts: Iterable[str], legitimate: Iterable[str]) -> set[str]:
        """All words that the assistant's side has read or can read in a product's record."""
        return _FILLERS.union(*map(words, drafts), *(words(self._goods.block(i)) for i in legitimate))


def _hide(case: Case) -> Hidden:
    profile = case.conversation.profile
    target = case.conversation.target_id
    title = case.goods.title(target)
    secrets = [
        _secret("backstory", profile.backstory, _SHORTEST_TEXT),
        _secret("scenario", case.scenario, _SHORTEST_TEXT),
        *(_secret("requirement", requirement.text, _SHORTEST_TEXT) for requirement in profile.requirements),
        _secret("name", profile.person.name, 2),
    ]
    literals = []
    if len(target) >= _SHORTEST_ID and any(c.isdigit() for c in target):
        literals.append(target)
    if 2 <= len(words(title)) < _SHORTEST_TITLE:
        literals.append(title)
    return Hidden(
        tuple(secret for secret in secrets if secret.runs or secret.whole),
        _secret("title of the target", title, _SHORTEST_TITLE),
        tuple(re.compile(rf"(?<!\w){re.escape(literal)}(?!\w)") for literal in literals),
    )


def _secret(name: str, text: str, shortest: int) -> Secret:
    ours = words(text)
    if len(ours) >= _RUN:
        return Secret(name, _runs(ours), "")
    return Secret(name, frozenset(), " ".join(ours) if len(ours) >= shortest else "")


def _in_piece(piece: str, hidden: Hidden, found: bool) -> Iterator[tuple[str, str]]:
    """(what, the words that give it away); the target's own are looked for until it is found."""
    joined, runs = _read(piece)
    for secret in hidden.secrets if found else (*hidden.secrets, hidden.title):
        if secret.whole and f" {secret.whole} " in joined:
            yield secret.name, secret.whole
        for run in sorted(secret.runs & runs, key=joined.find):
            yield secret.name, run
    if not found:
        for literal in hidden.literals:
            match = literal.search(piece)
            if match:
                yield "the target", match[0]


@lru_cache(maxsize=1024)
def _read(piece: str) -> tuple[str, frozenset[str]]:
    """The words of a text between blanks, and their runs. Fixed texts come again with every conversation."""
    ours = words(piece)
    return f" {' '.join(ours)} ", _runs(ours)


def _runs(ours: list[str]) -> frozenset[str]:
    return frozenset(" ".join(ours[i : i + _RUN]) for i in range(len(ours) - _RUN + 1))


def _step(call: LoggedCall, conversation: Conversation) -> int:
    """How many turns had been said when the call was made: what its step begins with."""
    head = call.place.step.partition(".")[0]
    return int(head) if head.isdigit() else len(conversation.turns)


def _legitimate(conversation: Conversation, call: LoggedCall, step: int) -> list[str]:
    """Products whose records the call may show: those recommended so far, and those it is about."""
    turns = conversation.turns
    ids = [product_id for turn in turns[:step] if turn.act == "recommend" for product_id in turn.products]
    if step < len(turns):
        turn = turns[step]
        if call.call == RECOMMEND.name:
            ids += turn.products
        elif call.call == RERANK.name and turn.retrieval:
            ids += (candidate.id for candidate in turn.retrieval.candidates)
    return ids
