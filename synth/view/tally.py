"""What became of a run's draws, and how its conversations went: counts that only grow."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from synth.corpora.records import Conversation
from synth.traces.events import AgentSpan, Event, RewriteEvent
from synth.traces.reader import ACCEPTED, Draw

START, END = "start", "done"
"""Names of the graph's ends, as `synth.graphs.picture` draws them."""


class Digest(NamedTuple):
    """A draw in a few bytes, to be paired with another run's."""

    id: str
    number: int
    verdict: str
    scenario: str | None
    target: str | None
    ended_by: str | None
    turns: int
    said: bytes
    """Hash of the turns' texts; empty where there are none."""


class Tally:
    """Counts that only grow."""

    def __init__(self) -> None:
        self.draws: dict[int, Digest] = {}
        self.refused: Counter[str] = Counter()
        """By filter; `profile failed` apart from `failed`, a conversation's."""
        self.reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.accepted = self.turns = self.words = self.kept_drafts = self.rewritten = 0
        self.endings: Counter[str] = Counter()
        self.openings: Counter[str] = Counter()
        self.rounds: Counter[tuple[int, str]] = Counter()
        """Accepted conversations by the number of recommendations they took, and their ending."""
        self.ranks: Counter[int | None] = Counter()
        """Where the target stood in each search of an accepted conversation, from 0; None where it did not."""
        self.scores: Counter[float] = Counter()
        """Accepted and refused conversations by the reviewer's total."""
        self.moves: Counter[tuple[str, str]] = Counter()
        """Edges of the conversation graph, over all conversations that came to an end."""

    def add(self, draw: Draw, events: list[Event]) -> None:
        conversation = draw.conversation
        if draw.verdict == ACCEPTED:
            self.accepted += 1
        else:
            early = draw.verdict == "failed" and draw.profile is None
            stage = "profile failed" if early else draw.verdict
            self.refused[stage] += 1
            self.reasons[stage][draw.reason] += 1
        said = b""
        if conversation is not None:
            texts = "\0".join(turn.text for turn in conversation.turns)
            said = hashlib.blake2b(texts.encode(), digest_size=8).digest()
            self._follow(conversation, events)
            self.scores[conversation.scores.total] += 1
            if draw.verdict == ACCEPTED:
                self._measure(conversation, events)
        self.draws[draw.number] = Digest(
            draw.id,
            draw.number,
            draw.verdict,
            draw.profile.scenario_id if draw.profile else None,
            draw.profile.target_id if draw.profile else None,
            conversation.ended_by if conversation else None,
            len(conversation.turns) if conversation else 0,
            said,
        )

    def _measure(self, conversation: Conversation, events: list[Event]) -> None:
        self.turns += len(conversation.turns)
        self.words += sum(len(turn.text.split()) for turn in conversation.turns)
        self.endings[conversation.ended_by] += 1
        self.openings[conversation.opening] += 1
        self.rounds[sum(turn.act == "recommend" for turn in conversation.turns), conversation.ended_by] += 1
        for turn in conversation.turns:
            if turn.retrieval is not None:
                places = (found.rank for found in turn.retrieval.candidates if found.id == conversation.target_id)
                self.ranks[next(places, None)] += 1
        for event in events:
            if isinstance(event, RewriteEvent):
                self.rewritten += 1
                self.kept_drafts += event.kept

    def _follow(self, conversation: Conversation, events: list[Event]) -> None:
        steps = {event.step for event in events if isinstance(event, AgentSpan)}
        path = list(walk(conversation, steps))
        self.moves.update(zip(path, path[1:], strict=False))


def walk(conversation: Conversation, steps: set[str]) -> Iterator[str]:
    """The graph's nodes that a conversation went through.

    Args:
        steps: of its agents: a user who finds nothing to reject takes the product after all, and no turn tells.
    """
    yield START
    handed_over = False
    for turn in conversation.turns:
        match turn.act:
            case "recommend":
                handed_over = turn.retrieval is None
                yield from ("hand_over",) if handed_over else ("query", "recommend")
            case "chit_chat":
                yield "chit_chat" if turn.speaker == "user" else "reply"
            case "reject":
                yield from ("judge", "reject")
            case "accept":
                if not handed_over:
                    yield "judge"
                    if f"{turn.index}.reject" in steps:
                        yield "reject"
                yield "accept"
            case act:
                yield act
    yield END
