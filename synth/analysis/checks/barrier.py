"""Whether the assistant's side was shown what only the user may know.

Every logged prompt of an assistant-side call is read. What it may contain: the conversation so far, the call's own
fixed text, and the records of products that the assistant has retrieved or shown. What is left of it is searched for
runs of words of the backstory, the requirements, the scenario and the target's title, for the target's id, and for
the buyer's full name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from synth.analysis.checks.case import Case, Finding
from synth.analysis.checks.goods import Goods
from synth.analysis.checks.shape import number
from synth.corpora.attributes import words
from synth.corpora.records import Conversation
from synth.traces.store import LoggedCall, RunStore

LEAK = "hidden text in an assistant-side prompt"
CHECKS = (LEAK,)

_RUN = 8
"""Words in a row that make a leak; shorter texts count as a whole."""
_SHORTEST_REQUIREMENT = 6
_SHORTEST_TITLE = 4
"""Words; shorter titles (`Leather Belt`) are looked for letter by letter, one word says nothing."""
_SHORTEST_ID = 4
"""Characters; an id must also have a digit in it, for `shirt` would be found in any prompt."""
_FILLERS = frozenset("a an the my your his her their its of to for in on at and with is".split())
_CUT = "\n\x00\n"
"""Stands where a product's record was, so that no run reaches across it. `words` sees a gap: `_GAP`."""
_GAP = "\x00"


class Barrier:
    """Reads the log beside the conversations, which both come in the order of their draws."""

    def __init__(self, store: RunStore, goods: Goods) -> None:
        self.prompts = 0
        """How many were read."""
        self._store = store
        self._goods = goods
        self._read_from_start()

    def findings(self, case: Case) -> Iterator[Finding]:
        draw = number(case.conversation.id)
        if draw is None:
            return
        if draw < self._next:
            self._read_from_start()
        for item, calls in self._items:
            self._next = item + 1
            if item == draw:
                yield from self._leaks(case, calls)
            if item >= draw:
                # A larger item is lost here only if this draw has no calls; it is then found by reading again.
                self._next = item + 1 if item == draw else item + 1
                return

    def _read_from_start(self) -> None:
        calls = self._store.calls(stage="conversation", side="assistant")
        self._items = groupby(calls, key=lambda call: call.place.item)
        self._next = 0
