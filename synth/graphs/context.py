"""What a conversation's graphs work with; the graphs' own state is only ids and counters."""

from __future__ import annotations

import random
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
from synth.traces.events import Choice, ChoiceEvent, ReviewEvent


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


def asker(gateway: Gateway, stage: str, item: int) -> Ask:
    """The gateway, bound to one item."""

    async def ask(call: Any, given: Any, step: str) -> Any:
        return await gateway.ask(call, given, stage, item, step)

    return ask


def comparer(gateway: Gateway) -> Compare:
    """Compares two products in a call that all conversations with the pair share."""

    async def compare(target: ProductCard, shown: ProductCard) -> tuple[Difference, ...]:
        output = await gateway.ask_shared(DIFFER, DifferInput(target, shown), f"differ.{target.id}.{shown.id}")
        return tuple(output.differences)

    return compare
