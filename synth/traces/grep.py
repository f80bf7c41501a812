"""Where a text occurs in a run: in what was said, or in what the agents were asked and replied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from synth.corpora.records import Record
from synth.errors import SynthError
from synth.traces.reader import Draw, RunReader

Where = Literal["turns", "messages", "all"]
_AROUND = 60
"""Characters shown on each side of a match."""


class Match(Record):
    """One match."""

    id: str
    """The draw's."""
    place: str
    """`turn 4`, or the anchor of a step."""
    part: str
    """The speaker of a turn; `system`, `user`, `assistant` or `reply` of a step."""
    before: str
    match: str
    after: str


def pattern(text: str, *, regex: bool, ignore_case: bool) -> re.Pattern[str]:
    """
    Raises:
        SynthError: nothing is looked for, or the regular expression is none.
    """
    if not text:
        raise SynthError("There is nothing to look for.", "Give a text.")
    try:
        return re.compile(text if regex else re.escape(text), re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise SynthError(
            f"{text!r} is no regular expression: {error}.", "Leave out --regex to look for it as it is."
        ) from error


def grep(reader: RunReader, draw: Draw, wanted: re.Pattern[str], where: Where) -> Iterator[Match]:
    """Matches in a draw, in order. A message that several prompts repeat counts at the first of them."""
    if where != "messages" and draw.conversation is not None:
        for turn in draw.conversation.turns:
            yield from _matches(wanted, turn.text, draw.id, f"turn {turn.index}", turn.speaker)
    if where != "turns":
        seen: set[str] = set()
        for step in reader.steps(draw.number):
            roles = step.call.roles.ljust(len(step.call.messages))
            for role, text in zip(roles, step.call.messages, strict=True):
                if text not in seen:
                    seen.add(text)
                    yield from _matches(wanted, text, draw.id, step.anchor, _PARTS.get(role, "user"))
            yield from _matches(wanted, step.call.reply, draw.id, step.anchor, "reply")


_PARTS = {"s": "system", "u": "user", "a": "assistant"}


def _matches(wanted: re.Pattern[str], text: str, draw: str, place: str, part: str) -> Iterator[Match]:
    for found in wanted.finditer(text):
        start, end = found.span()
        if start == end:
            continue  # of an expression that nothing at all fulfils
        before = ("…" if start > _AROUND else "") + text[max(0, start - _AROUND) : start]
        after = text[end : end + _AROUND] + ("…" if len(text) > end + _AROUND else "")
        yield Match(id=draw, place=place, part=part, before=before, match=found.group(), after=after)
