"""The one way to call a model: reply log → budget → limiter → provider (with retry) → log → typed output.

A reply is committed to the log before anyone uses it, and its key is what was asked and where, never when: the
same call after a crash finds its reply and costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from synth.errors import Exit, SynthError
from synth.llm.budget import Budget
from synth.llm.courier import LONGEST_WAIT, Courier, Delivered, Tariff
from synth.llm.provider import ModelError, ModelName, Request
from synth.prompts.calls import LOOK, Call, LookInput, Output, Role
from synth.prompts.templates import Message, Prompts
from synth.randomness import rng
from synth.traces.store import KEY, CallRow, Place, RunStore, text_hash

O = TypeVar("O", bound=Output)  # noqa: E741

MAX_TRIES = 6
"""Tries of one call; those that the provider turned away for being too many do not count."""
MAX_TURNED_AWAY = 60
"""How often one call may be turned away by rate limits before it counts as failed."""
MAX_GIVEN_UP = 4
"""Calls given up one after the other, with no answer between them, after which the provider counts as down."""
MAX_EQUAL = 8
"""Calls refused for the same reason, with no answer between them, after which the run stops with that reason."""
MAX_REFUSED = 2
"""Tries of a call that the model refuses to answer: the next sample may be none."""
MAX_FATAL = 3
"""Failures in a row that no retry can mend (revoked key, out of quota) in a run that had answers before."""
SHARED = "shared"
"""Stage of calls that belong to no single item."""
_FIRST_WAIT = 1.0
_LONGER = 4
"""How many times the room an answer gets that was cut, once."""
_GO_ON = "Run the same command again once that is mended."


class CallFailed(Exception):
    """A call that could not be brought to a usable answer; the item it belongs to is given up, the run goes on."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[O]):
    """What an agent call came to."""

    output: O
    logged: bool
    """Whether its last reply was in the log already."""


class Gateway:
    """Every model call of a run goes through one of these.

    Args:
        models: which model plays which role.
        courier: how calls go out.
        temperatures: by role, where it is another than each call's own (the paper's).
        described: whether pictures go out as descriptions, each made once, instead of as pictures.
        thinking: tokens that a reasoning model may think before each answer.
    """

    def __init__(
        self,
        prompts: Prompts,
        models: Mapping[Role, ModelName],
        courier: Courier,
        tariff: Tariff,
        budget: Budget,
        store: RunStore,
        *,
        seed: int,
        temperatures: Mapping[Role, float] | None = None,
        described: bool = False,
        thinking: int = 0,
    ) -> None:
        self.prompts = prompts
        self.models = models
        self.courier = courier
        self.tariff = tariff
        self.budget = budget
        self.store = store
        self.seed = seed
        self.temperatures = temperatures or {}
        self.described = described
        self.thinking = thinking
        self.counts: Counter[str] = Counter()
        """`asked` of a provider, `answered`, `logged` (from the log), `retried`, `repaired`."""
        self._outages: defaultdict[ModelName, _Outage] = defaultdict(_Outage)
        self._shared: dict[str, asyncio.Task[Any]] = {}

    async def ask(self, call: Call[Any, O], given: Any, stage: str, item: int, step: str) -> O:
        """Makes one agent call and returns its validated output; raises what `answer` raises."""
        return (await self.answer(call, given, stage, item, step)).output

    async def answer(self, call: Call[Any, O], given: Any, stage: str, item: int, step: str) -> Answer[O]:
        """Makes one agent call.

        Raises:
            CallFailed: no usable answer after retries and one repair.
            SynthError: no call can work (wrong key, unknown model, cap reached), or the store cannot be written.
        """
        messages = self.prompts.render(call, given)
        if self.described and call is not LOOK:
            messages = [await self._in_words(message) for message in messages]
        problem = ""
        for attempt in (0, 1):
            reply, logged = await self._reply(call, given, messages, Place(stage, item, step, attempt))
            try:
                return Answer(call.output.model_validate_json(reply), logged)
            except ValidationError as error:
                problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            if attempt == 0:
                self.counts["repaired"] += 1
                messages = [
                    *messages,
                    Message("assistant", reply),
                    Message("user", f"That does not fit the schema ({problem}). Answer again, as JSON only."),
                ]
        raise CallFailed(f"{call.name}: the model's answer does not fit the schema ({problem})")

    async def ask_shared(self, call: Call[Any, O], given: Any, step: str) -> O:
        """The same for a call that several items need: it is made once, whoever comes first.

        Args:
            step: names what is asked; equal steps are one call.
        """
        task = self._shared.get(step)
        if task is None:
            task = self._shared[step] = asyncio.create_task(self.ask(call, given, SHARED, 0, step))
            # One that failed may be asked for again, by another item.
            task.add_done_callback(lambda done: self._forget(step, done))
        return await asyncio.shield(task)

    def _forget(self, step: str, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._shared.pop(step, None)

    async def aclose(self) -> None:
        await self.courier.aclose()
        for task in self._shared.values():
            task.cancel()
        await asyncio.gather(*self._shared.values(), return_exceptions=True)

    async def _in_words(self, message: Message) -> Message:
        if not message.images:
            return message
        looks = await asyncio.gather(
            *(self.ask_shared(LOOK, LookInput(image), f"look.{image}") for image in message.images)
        )
        if len(looks) == 1:
            said = [f"The picture shows: {looks[0].description}"]
        else:
            said = [f"Picture {n} shows: {look.description}" for n, look in enumerate(looks, 1)]
        return Message(message.role, "\n".join([*said, "", message.text]))

    async def _reply(self, call: Call[Any, O], given: Any, messages: list[Message], place: Place) -> tuple[str, bool]:
        name = self.models[call.role]
        temperature = self.temperatures.get(call.role, call.temperature)
        key = call_key(str(name), call, temperature, messages, place, self.seed)
        logged = self.store.reply(key)
        if logged is not None:
            self.counts["logged"] += 1
            return logged, True
        request = Request(
            model=name.model,
            messages=messages,
            schema=call.output,
            temperature=temperature,
            max_tokens=call.max_tokens + self.thinking,
            seed=self.seed,
            place=place,
            call=call,
            given=given,
        )
        delivered, request, tries = await self._deliver(key, name, request)
        reply, usage = delivered.reply.text, delivered.reply.usage
        await self.store.log(
            CallRow(
                key=key,
                place=place,
                call=call.name,
                side=call.side,
                prompt=self.prompts.prompts[call.name].hash,
                model=str(name),
                messages=[message.text for message in messages],
                images=[image for message in messages for image in message.images],
                reply=reply,
                input_tokens=usage.input,
                cached_tokens=usage.cached,
                written_tokens=usage.written,
                output_tokens=usage.output,
                image_tokens=self.tariff.image_tokens(name, request),
                usd=delivered.usd,
                seconds=delivered.seconds,
                tries=tries,
                roles="".join(message.role[0] for message in messages),
                temperature=temperature,
                max_tokens=request.max_tokens,
                ended=time.time(),
            ),
            settles=delivered.reservation.id if delivered.reservation else None,
        )
        return reply, False

    async def _deliver(self, key: bytes, name: ModelName, request: Request) -> tuple[Delivered, Request, int]:
        failed = turned_away = refused = 0
        while True:
            self.counts["asked"] += 1
            try:
                delivered = await self.courier.send(key, name, request)
            except ModelError as error:
                if error.throttled and turned_away < MAX_TURNED_AWAY and not error.fatal:
                    turned_away += 1
                elif _refused(error):
                    refused += 1
                else:
                    failed += 1
                tries = failed + turned_away + refused
                if error.cut and request.max_tokens < _LONGER * (request.call.max_tokens + self.thinking):
                    request = _with_room(request)
                elif not self._may_retry(name, error, failed, refused):
                    raise CallFailed(f"{request.call.name}: {error} (after {tries} tries)") from error
                else:
                    await asyncio.sleep(_wait(request, tries, error.retry_after))
                self.counts["retried"] += 1
                continue
            self._outages[name].answered()
            self.counts["answered"] += 1
            # A lone surrogate is valid JSON and no valid text.
            text = delivered.reply.text.encode("utf-8", "replace").decode()
            delivered = delivered._replace(reply=delivered.reply._replace(text=text))
            return delivered, request, failed + turned_away + refused + 1

    def _may_retry(self, name: ModelName, error: ModelError, failed: int, refused: int) -> bool:
        """
        Raises:
            SynthError: the provider is down, or no call can work.
        """
        outage = self._outages[name]
        if error.fatal:
            if outage.fatal():
                code = Exit.LIMIT if outage.answers else Exit.BAD_INPUT
                raise SynthError(f"{name.provider}: {_sentence(error)}", _GO_ON, code) from error
            return failed < MAX_TRIES
        if (error.retry and failed < MAX_TRIES) or (_refused(error) and refused < MAX_REFUSED):
            return True
        if reason := outage.gave_up(error):
            raise SynthError(f"{name.provider}: {reason}", _GO_ON, Exit.LIMIT) from error
        return False


class _Outage:
    """Tells a model that is down, or refuses everything, from a call that failed."""

    def __init__(self) -> None:
        self.answers = 0
        self._given_up = 0
        self._fatal = 0
        self._equal = 0
        self._reason = ""

    def answered(self) -> None:
        self.answers += 1
        self._given_up = self._fatal = self._equal = 0

    def fatal(self) -> bool:
        """Whether the run must stop; a key that has worked before gets a few more chances."""
        self._fatal += 1
        return not self.answers or self._fatal >= MAX_FATAL

    def gave_up(self, error: ModelError) -> str:
        """The reason to stop the run, if this makes one."""
        if error.retry:
            self._given_up += 1
            if self._given_up >= MAX_GIVEN_UP:
                return f"{self._given_up} calls running failed {MAX_TRIES} times each: {_sentence(error)}"
        reason = re.sub(r"\d+", "#", str(error))
        self._equal = self._equal + 1 if reason == self._reason else 1
        self._reason = reason
        return f"{self._equal} calls running were refused: {_sentence(error)}" if self._equal >= MAX_EQUAL else ""


def call_key(
    model: str, call: Call[Any, Any], temperature: float, messages: list[Message], place: Place, seed: int
) -> bytes:
    """Key of a call: model, parameters, messages with their pictures, and place; 16 bytes."""
    digest = hashlib.blake2b(digest_size=KEY)
    digest.update(f"{model}\0{call.name}\0{temperature}\0{seed}\0{place!r}".encode())
    for message in messages:
        digest.update(message.role.encode() + text_hash(message.text) + ",".join(message.images).encode())
    return digest.digest()


def _refused(error: ModelError) -> bool:
    """Whether an answer came in which the model refuses."""
    return error.usage is not None and not (error.retry or error.cut)


def _sentence(error: ModelError) -> str:
    """The error with a full stop: what a server said may end with one."""
    return f"{str(error).rstrip('.')}."


def _with_room(request: Request) -> Request:
    return replace(request, max_tokens=request.max_tokens * _LONGER)


def _wait(request: Request, tries: int, asked: float | None) -> float:
    """Seconds before the next try: what the provider asks for, else exponential with jitter."""
    if asked is not None:
        return min(asked, LONGEST_WAIT)
    jitter = rng(request.seed, *map(str, request.place), tries).uniform(0.5, 1.0)
    return float(min(_FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT) * jitter)
