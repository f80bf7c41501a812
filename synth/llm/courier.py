"""Brings one try of a call to its provider and back: limiter → budget → provider."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from synth.llm.budget import Budget
from synth.llm.limiter import Limiter, Limits
from synth.llm.pictures import Pictures
from synth.llm.pricing import Price
from synth.llm.provider import ModelError, ModelName, Provider, Reply, Request, Usage
from synth.llm.structured import schema_text
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens, most_tokens
from synth.traces.store import Reservation

LONGEST_WAIT = 60.0
"""Seconds that a provider's own word makes anybody wait at most, before the next look."""


class Delivered(NamedTuple):
    """A reply, what it cost, and the reservation that logging it settles."""

    reply: Reply
    usd: float
    seconds: float
    reservation: Reservation | None


class Courier(Protocol):
    """One way for calls to go out: one by one, or in batches."""

    async def send(self, key: bytes, name: ModelName, request: Request) -> Delivered:
        """
        Raises:
            ModelError: the try came to nothing; its reservation is settled.
            SynthError: the money cap is reached.
        """
        ...

    async def aclose(self) -> None: ...


class Tariff:
    """What calls cost: prices by model, and the most that a call can come to.

    Args:
        prices: by `PROVIDER:MODEL`; a model that is not in it costs nothing.
    """

    def __init__(self, prices: Mapping[str, Price], pictures: Pictures | None) -> None:
        self.prices = prices
        self._pictures = pictures

    def image_tokens(self, name: ModelName, request: Request) -> int:
        if self._pictures is None or name.provider == "offline":
            return 0
        return sum(self._pictures.tokens(m.images, name) for m in request.messages if m.images)

    def worst(self, name: ModelName, request: Request, *, batch: bool = False) -> float:
        """USD that one try can cost at most."""
        price = self.prices.get(str(name))
        if price is None:
            return 0.0
        texts = sum(most_tokens(message.text) + MESSAGE_TOKENS for message in request.messages)
        read = texts + most_tokens(schema_text(request.schema)) + self.image_tokens(name, request)
        return price.worst(read, request.max_tokens, batch=batch)

    def cost(self, name: ModelName, request: Request, usage: Usage | None, *, batch: bool = False) -> float:
        """USD that a try has cost; where the server did not count, the most it can be."""
        price = self.prices.get(str(name))
        if price is None:
            return 0.0
        if usage is None or not (usage.input or usage.output):
            return self.worst(name, request, batch=batch)
        return price.cost(usage, batch=batch)


class Direct:
    """Calls go out one by one, as fast as each model's limiter lets them.

    Args:
        providers: an opened provider by provider name.
        limits: caps that hold for each model by itself.
    """

    def __init__(self, providers: Mapping[str, Provider], limits: Limits, budget: Budget, tariff: Tariff) -> None:
        self._providers = providers
        self._limits = limits
        self._budget = budget
        self._tariff = tariff
        self.limiters: dict[ModelName, Limiter] = {}

    async def send(self, key: bytes, name: ModelName, request: Request) -> Delivered:
        limiter = self.limiters.get(name)
        if limiter is None:
            limiter = self.limiters[name] = Limiter(self._limits)
        expected = sum(estimate_tokens(m.text) for m in request.messages) if self._limits.tpm else 0
        await limiter.acquire(request.place.item, expected)
        reservation = None
        try:
            worst = self._tariff.worst(name, request)
            if worst:
                reservation = await self._budget.reserve(key, request.place, request.call.name, str(name), worst)
        except BaseException:
            limiter.released()
            raise
        started = time.perf_counter()
        try:
            reply = await self._providers[name.provider].complete(request)
        except ModelError as error:
            if error.throttled:
                limiter.throttled(None if error.retry_after is None else min(error.retry_after, LONGEST_WAIT))
            elif error.usage is not None:
                limiter.answered(request.call.name, time.perf_counter() - started)
            else:
                limiter.failed()
            self._give_back(name, request, reservation, error)
            raise
        except BaseException:
            limiter.released()
            raise
        seconds = time.perf_counter() - started
        limiter.answered(request.call.name, seconds)
        usd = self._tariff.cost(name, request, reply.usage)
        if reservation is not None:
            self._budget.settle(reservation, usd)
        return Delivered(reply, usd, seconds, reservation)

    async def aclose(self) -> None:
        return None

    def _give_back(self, name: ModelName, request: Request, reservation: Reservation | None, error: ModelError) -> None:
        if reservation is None:
            return
        usd = 0.0
        if error.lost:
            usd = reservation.usd
        elif error.usage is not None:
            usd = self._tariff.cost(name, request, error.usage)
        self._budget.fail(reservation, usd, str(error), lost=error.lost)
