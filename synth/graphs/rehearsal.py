"""What a survey will come to, before a cent is spent: every prompt is rendered, and the offline simulator answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from synth.agents.dialogue import Ask
from synth.corpora.records import Product
from synth.graphs.estimate import Line
from synth.graphs.progress import Progress
from synth.graphs.settings import Settings
from synth.llm.gateway import call_key
from synth.llm.offline import OfflineProvider
from synth.llm.pictures import Pictures
from synth.llm.pricing import Price
from synth.llm.provider import ModelName, Request, Usage
from synth.llm.structured import schema_text
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens
from synth.prompts.calls import CALLS, LOOK, Call, LookInput
from synth.prompts.templates import Message, Prompts
from synth.traces.store import Place, RunStore

T = TypeVar("T")
_DESCRIPTION = 80
"""Tokens that a model's description of a picture has, about."""
_SHOWN = 50
"""Questions between looks at how far it is."""


@dataclass(frozen=True)
class Question(Generic[T]):
    """One thing to ask, and where its calls stand in the log."""

    stage: str
    item: int
    put: Callable[[Ask], Awaitable[T]]


@dataclass(frozen=True)
class Expected:
    """What a survey is expected to come to, without what is in its log."""

    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    """Models that cost something, and nobody here knows how much; counted as nothing."""
    batch: bool

    @property
    def calls(self) -> float:
        return sum(line.calls for line in self.lines)

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)


class Rehearsal:
    """Counts what calls would come to; what follows an answer is asked too."""

    def __init__(self, settings: Settings, prompts: Prompts, pictures: Pictures, products: Sequence[Product]) -> None:
        self._settings = settings
        self._names = settings.model_names()
        self._prompts = prompts
        self._pictures = pictures
        self._offline = OfflineProvider(products)
        self._sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._looks: set[str] = set()

    async def play(self, questions: Sequence[Question[Any]], store: RunStore | None, progress: Progress) -> None:
        """Counts the calls that the log does not have yet."""
        for done, question in enumerate(questions, 1):
            await question.put(self._asker(question, store))
            if done % _SHOWN == 0 or done == len(questions):
                progress.advance(done)

    def lines(self, prices: Mapping[str, Price], *, batch: bool) -> tuple[Line, ...]:
        """What each call comes to."""
        found = []
        for call, sums in sorted(self._sums.items()):
            name = str(self._names[CALLS[call].role])
            price = prices.get(name)
            usage = Usage(input=sums["read"], output=sums["written"])
            usd = price.cost(usage, batch=batch) if price else 0.0
            found.append(Line(call, name, sums["calls"], sums["read"], sums["seen"], sums["written"], usd))
        return tuple(found)

    def _asker(self, question: Question[Any], store: RunStore | None) -> Ask:
        temperatures = self._settings.role_temperatures()
        described = self._settings.images == "described"

        async def ask(call: Any, given: Any, step: str) -> Any:
            messages = self._prompts.render(call, given)
            place = Place(question.stage, question.item, step)
            name = self._names[call.role]
            request = Request(name.model, messages, call.output, 0.0, 0, self._settings.seed, place, call, given)
            reply = (await self._offline.complete(request)).text
            temperature = temperatures.get(call.role, call.temperature)
            key = call_key(str(name), call, temperature, messages, place, self._settings.seed)
            # How pictures are described is not known before they are; such calls count as new.
            if described or store is None or store.reply(key) is None:
                self._count(call, messages, estimate_tokens(reply), name)
            return call.output.model_validate_json(reply)

        return ask

    def _count(self, call: Call[Any, Any], messages: Iterable[Message], written: int, name: ModelName) -> None:
        output: type[BaseModel] = call.output
        read, seen = estimate_tokens(schema_text(output)), 0
        for message in messages:
            read += estimate_tokens(message.text) + MESSAGE_TOKENS
            if message.images and self._settings.images == "described" and call is not LOOK:
                read += _DESCRIPTION * len(message.images)
                self._look(message.images)
            elif message.images and name.provider != "offline":
                seen += self._pictures.tokens(message.images, name)
        self._sums[call.name].update(calls=1, read=read + seen, seen=seen, written=written)

    def _look(self, images: Iterable[str]) -> None:
        for image in images:
            if image not in self._looks:
                self._looks.add(image)
                self._count(LOOK, self._prompts.render(LOOK, LookInput(image)), _DESCRIPTION, self._names["captioner"])
