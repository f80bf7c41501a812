"""One conversation under examination, and what a check finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from synth.analysis.checks.goods import Goods
from synth.corpora.records import Conversation, Turn


class Finding(NamedTuple):
    """One thing that should not be."""

    check: str
    conversation: str
    turn: int | None
    """None where it is about the conversation or its profile."""
    what: str


class Words(NamedTuple):
    """A turn with the text under examination."""

    turn: Turn
    text: str
    plain: str
    """The text with the titles of the turn's products replaced by `it`: what the speaker said of their own."""


@dataclass(frozen=True)
class Case:
    """A conversation with its surroundings.

    Args:
        texts: the texts under examination, by turn: the final ones, or the drafts.
        drafts: whether they are the drafts.
    """

    conversation: Conversation
    goods: Goods
    scenario: str
    texts: tuple[str, ...]
    drafts: bool = False

    @cached_property
    def turns(self) -> list[Words]:
        return [
            Words(turn, text, self._without_titles(turn, text))
            for turn, text in zip(self.conversation.turns, self.texts, strict=False)
        ]

    @property
    def user_turns(self) -> Iterator[Words]:
        return (words for words in self.turns if words.turn.speaker == "user")

    @cached_property
    def recommendations(self) -> list[Turn]:
        return [turn for turn in self.conversation.turns if turn.act == "recommend"]

    def found(self, check: str, turn: int | None, what: str) -> Finding:
        return Finding(check, self.conversation.id, turn, f"draft: {what}" if self.drafts else what)

    def _without_titles(self, turn: Turn, text: str) -> str:
        for product_id in turn.products:
            title = self.goods.title(product_id)
            if title and title not in text:
                # A model puts a title with doubled blanks into one line.
                title = " ".join(title.split())
            if title:
                text = text.replace(title, "it")
        return text
