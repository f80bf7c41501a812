"""The one way to call a model: reply log → limiter → provider (with retry) → log → typed output.

A reply is committed to the log before anyone uses it, and its key is what was asked and where, never when: the
same call after a crash finds its reply and costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from synth.errors import Exit, SynthError
from synth.llm.provider import ModelError, ModelName, Provider, Reply, Request
from synth.prompts.calls import Call, Output, Role
from synth.prompts.templates import Message, Prompts
from synth.randomness import rng
from synth.traces.store import CallRow, Place, RunStore, text_hash

O = TypeVar("O", bound=Output)  # noqa: E741

MAX_TRIES = 6
MAX_GIVEN_UP = 4
"""Calls given up one after the other, with no answer between them, after which the provider counts as down."""
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_MAX_TOKENS = 2048


class CallFailed(Exception):
    """A call that could not be brought to a usable answer; the item it belongs to is given up, the run goes on."""


class Gateway:
    """Every model call of a run goes through one of these.

    Args:
        models: which model plays which role.
        providers: an opened provider by provider name.
        max_concurrency: model calls at once; 0 for no limit.
    """

    def __init__(
        self,
        prompts: Prompts,
        models: Mapping[Role, ModelName],
        providers: Mapping[str, Provider],
        store: RunStore,
        *,
        seed: int,
        max_concurrency: int = 0,
    ) -> None:
        self.prompts = prompts
        self.models = models
        self.providers = providers
        self.store = store
        self.seed = seed
        self.counts: Counter[str] = Counter()
        """`asked` of a provider, `logged` (answered from the log), `retried`, `repaired`."""
        self._given_up = 0
        self._slots = asyncio.Semaphore(max_concurrency) if max_concurrency else None

    async def ask(self, call: Call[Any, O], given: Any, stage: str, item: int, step: str) -> O:
        """Makes one agent call and returns its validated output.

        Raises:
            CallFailed: no usable answer after retries and one repair.
            SynthError: no call can work (wrong key, unknown model), or the store cannot be written.
        """
        messages = self.prompts.render(call, given)
        for attempt in (0, 1):
            reply = await self._reply(call, given, messages, Place(stage, item, step, attempt))
            try:
                return call.output.model_validate_json(reply)
            except ValidationError as error:
                problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
                self.counts["repaired"] += 1
                messages = [
                    *messages,
                    Message("assistant", reply),
                    Message("user", f"That does not fit the schema ({problem}). Answer again, as JSON only."),
                ]
        raise CallFailed(f"{call.name}: the model's answer does not fit the schema ({problem})")

    async def close(self) -> None:
        for provider in self.providers.values():
            await provider.close()

    async def _reply(self, call: Call[Any, O], given: Any, messages: list[Message], place: Place) -> str:
        model = self.models[call.role]
        key = call_key(str(model), call, messages, place, self.seed)
        logged = self.store.reply(key)
        if logged is not None:
            self.counts["logged"] += 1
            return logged
        request = Request(
            model=model.model,
            messages=messages,
            schema=call.output,
            temperature=call.temperature,
            max_tokens=_MAX_TOKENS,
            seed=self.seed,
            place=place,
            call=call,
            given=given,
        )
        provider = self.providers[model.provider]
        if self._slots:
            async with self._slots:
                reply, seconds, tries = await self._complete(provider, request)
        else:
            reply, seconds, tries = await self._complete(provider, request)
        images = [image for message in messages for image in message.images]
        await self.store.log(
            CallRow(
                key,
                place,
                call.name,
                call.side,
                self.prompts.prompts[call.name].hash,
                str(model),
                [message.text for message in messages],
                images,
                *reply,
                seconds,
                tries,
            )
        )
        return reply.text

    async def _complete(self, provider: Provider, request: Request) -> tuple[Reply, float, int]:
        for tries in range(1, MAX_TRIES + 1):
            self.counts["asked"] += 1
            started = time.perf_counter()
            try:
                reply = await provider.complete(request)
            except ModelError as error:
                if error.fatal:
                    raise SynthError(f"{provider.name}: {error}") from error
                if tries == MAX_TRIES:
                    self._given_up += 1
                if self._given_up >= MAX_GIVEN_UP:
                    raise SynthError(
                        f"{provider.name}: {self._given_up} calls running failed {MAX_TRIES} times each: {error}.",
                        "Run the same command again once the provider answers.",
                        Exit.LIMIT,
                    ) from error
                if not error.retry or tries == MAX_TRIES:
                    raise CallFailed(f"{request.call.name}: {error} (after {tries} tries)") from error
                self.counts["retried"] += 1
                await asyncio.sleep(_wait(request, tries, error.retry_after))
                continue
            self._given_up = 0
            # A lone surrogate is valid JSON and no valid text.
            text = reply.text.encode("utf-8", "replace").decode()
            return reply._replace(text=text), time.perf_counter() - started, tries
        raise AssertionError("unreachable: the last try returns or raises")


def call_key(model: str, call: Call[Any, Any], messages: list[Message], place: Place, seed: int) -> bytes:
    """Key of a call: model, parameters, messages with their pictures, and place; 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{model}\0{call.name}\0{call.temperature}\0{seed}\0{place!r}".encode())
    for message in messages:
        digest.update(message.role.encode() + text_hash(message.text) + ",".join(message.images).encode())
    return digest.digest()


def _wait(request: Request, tries: int, asked: float | None) -> float:
    """Seconds before the next try: what the provider asks for, else exponential with jitter."""
    if asked is not None:
        return min(asked, _LONGEST_WAIT)
    jitter = rng(request.seed, *map(str, request.place), tries).uniform(0.5, 1.0)
    return float(min(_FIRST_WAIT * 2 ** (tries - 1), _LONGEST_WAIT) * jitter)
