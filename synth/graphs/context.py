"""What a conversation's graphs work with; the graphs' own state is only ids and counters."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from synth.agents.dialogue import Ask, Dialogue
from synth.agents.manager import Schedule
from synth.agents.querier import Search
from synth.agents.user import Compare
from synth.corpora.records import Ending, Retrieval
from synth.llm.gateway import Gateway
from synth.prompts.calls import DIFFER, Difference, DifferInput, ProductCard
from synth.prompts.cards import Cards
from synth.randomness import rng
from synth.traces.events import AgentSpan, Choice, ChoiceEvent, Event, ItemSpan, ReviewEvent
from synth.traces.store import RunStore


@dataclass(frozen=True, slots=True)
class Rules:
    """The run's settings that the graphs follow."""

    accept: str
    """`fit` or `target`."""
    rerank: bool
    k: int
    colloquial: float
    threshold: float


@dataclass(slots=True)
class Context:
    """One conversation's surroundings. Not part of the graph's state: nothing here is copied between steps."""

    dialogue: Dialogue
    ask: Ask
    search: Search
    cards: Cards
    product_ids: list[str]
    schedule: Schedule
    rules: Rules
    seed: int
    item: int
    compare: Compare | None = None
    retrieval: Retrieval | None = None
    texts: list[str] = field(default_factory=list)
    review: ReviewEvent | None = None
    ended_by: Ending | None = None

    def note(self, choice: Choice, reason: str) -> None:
        """Puts a decision of the manager on record."""
        step = str(self.dialogue.step)
        self.dialogue.events.append(ChoiceEvent(step=step, choice=choice, reason=reason))

    def random(self, *place: str | int) -> random.Random:
        return rng(self.seed, "conversation", self.item, *place)


class Recorder(list[Event]):
    """The events of one item; each goes to the run's store as it happens."""

    def __init__(self, store: RunStore, stage: str, item: int) -> None:
        super().__init__()
        self._store = store
        self._stage = stage
        self._item = item
        self.started = time.time()
        self.calls = self.logged = 0

    def append(self, event: Event) -> None:
        self._store.note(self._stage, self._item, len(self), event)
        super().append(event)

    def step(self, agent: str, step: str, started: float, *, logged: bool) -> None:
        """Puts one agent's step on record."""
        self.calls += 1
        self.logged += logged
        seconds = time.time() - started
        self.append(AgentSpan(step=step, agent=agent, started=started, seconds=seconds, logged=logged))

    def finish(self, body: str, outcome: str) -> None:
        """Commits the item with all its events.

        Args:
            outcome: `accepted`, or the filter that refused it.
        """
        seconds = time.time() - self.started
        self.append(
            ItemSpan(started=self.started, seconds=seconds, outcome=outcome, calls=self.calls, logged=self.logged)
        )
        self._store.finish(self._stage, self._item, body, self)


def asker(gateway: Gateway, stage: str, item: int, recorder: Recorder | None = None) -> Ask:
    """The gateway, bound to one item; its agents' steps are put on record."""

    async def ask(call: Any, given: Any, step: str) -> Any:
        started = time.time()
        answer = await gateway.answer(call, given, stage, item, step)
        if recorder is not None:
            recorder.step(call.agent, step, started, logged=answer.logged)
        return answer.output

    return ask


def comparer(gateway: Gateway) -> Compare:
    """Compares two products in a call that all conversations with the pair share."""

    async def compare(target: ProductCard, shown: ProductCard) -> tuple[Difference, ...]:
        output = await gateway.ask_shared(DIFFER, DifferInput(target, shown), f"differ.{target.id}.{shown.id}")
        return tuple(output.differences)

    return compare
