"""The gateway, with a provider that does what each test scripts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import model_validator

from synth.errors import Exit, SynthError
from synth.llm import gateway as gateway_module
from synth.llm.budget import Budget
from synth.llm.courier import Direct, Tariff
from synth.llm.gateway import MAX_GIVEN_UP, MAX_TRIES, CallFailed, Gateway
from synth.llm.limiter import Limits
from synth.llm.pricing import Price
from synth.llm.provider import ModelError, ModelName, Reply, Request, Usage
from synth.prompts.calls import GREET, AssistantView, Line, Role, TalkInput, UtteranceOutput
from synth.prompts.templates import Prompts
from synth.traces.store import RunStore

GIVEN = TalkInput(AssistantView(()))
HELLO = '{"text": "Hello"}'
MODEL = ModelName("openai", "tiny-1")

Step = str | ModelError | Callable[[Request], Awaitable[str]]


class Scripted:
    """A provider that plays its steps in turn, the last one for ever."""

    name = "scripted"

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, ModelError):
            raise step
        return Reply(step if isinstance(step, str) else await step(request), Usage(input=11, cached=3, output=5))

    async def close(self) -> None:
        return None


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the gateway would have slept between tries."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def no_sleep(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(gateway_module.asyncio, "sleep", no_sleep)
    return slept


def make(
    prompts: Prompts,
    store: RunStore,
    provider: Scripted,
    *,
    model: ModelName = MODEL,
    limits: Limits | None = None,
    price: Price | None = None,
    cap: float | None = None,
    **options: Any,
) -> Gateway:
    roles: tuple[Role, ...] = ("simulator", "rewriter", "checker", "judge", "captioner")
    budget = Budget(store, cap)
    tariff = Tariff({str(model): price} if price else {}, None)
    courier = Direct({model.provider: provider}, limits or Limits(), budget, tariff)
    models = dict.fromkeys(roles, model)
    return Gateway(prompts, models, courier, tariff, budget, store, **{"seed": 1, **options})


def greet(gateway: Gateway, item: int = 0, step: str = "greet", stage: str = "conversations") -> str:
    return asyncio.run(gateway.ask(GREET, GIVEN, stage, item, step)).text


# ---- the reply log ----------------------------------------------------------------------------------------------


def test_reply_is_committed_before_it_is_used(prompts: Prompts, store: RunStore) -> None:
    seen: list[str] = []

    class Watched(UtteranceOutput):
        @model_validator(mode="before")
        @classmethod
        def look(cls, data: Any) -> Any:
            with sqlite3.connect(store.path) as other:
                seen.extend(reply for (reply,) in other.execute("SELECT reply FROM calls"))
            other.close()
            return data

    call = replace(GREET, output=Watched)
    asyncio.run(make(prompts, store, Scripted(HELLO)).ask(call, GIVEN, "conversations", 0, "greet"))
    assert seen == [HELLO]


def test_logged_call_is_not_asked_again(prompts: Prompts, store: RunStore, tmp_path: Path) -> None:
    first = make(prompts, store, Scripted(HELLO))
    assert greet(first) == greet(first) == "Hello"
    assert first.counts == {"asked": 1, "answered": 1, "logged": 1}
    store.close()
    reopened = RunStore(tmp_path / "run.db")
    again = make(prompts, reopened, Scripted(ModelError("asked again", fatal=True)))
    assert greet(again) == "Hello"
    assert again.counts == {"logged": 1}
    reopened.close()


def test_whole_call_is_logged(prompts: Prompts, store: RunStore) -> None:
    provider = Scripted(HELLO)
    greet(make(prompts, store, provider), item=4)
    [call] = store.calls()
    assert (call.place.stage, call.place.item, call.place.step, call.place.attempt) == ("conversations", 4, "greet", 0)
    assert (call.call, call.side, call.model, call.reply) == ("chatter.greet", "assistant", "openai:tiny-1", HELLO)
    assert list(call.messages) == [message.text for message in provider.asked[0].messages]
    with sqlite3.connect(store.path) as other:
        row = other.execute("SELECT input_tokens, output_tokens, cached_tokens, tries, prompt FROM calls").fetchone()
    other.close()
    assert row == (11, 5, 3, 1, prompts.prompts["chatter.greet"].hash)


@pytest.mark.parametrize(
    "other",
    [
        {"item": 1},
        {"step": "greet-2"},
        {"stage": "profiles"},
    ],
)
def test_equal_calls_at_two_places_are_two_samples(prompts: Prompts, store: RunStore, other: dict[str, Any]) -> None:
    provider = Scripted(HELLO, '{"text": "Good day"}')
    gateway = make(prompts, store, provider)
    assert (greet(gateway), greet(gateway, **other)) == ("Hello", "Good day")
    assert (greet(gateway), greet(gateway, **other)) == ("Hello", "Good day")
    assert provider.asked[0].messages == provider.asked[1].messages
    assert len(provider.asked) == 2


def test_what_is_asked_and_of_whom_is_part_of_the_key(prompts: Prompts, store: RunStore) -> None:
    provider = Scripted(HELLO)
    greet(make(prompts, store, provider))
    greet(make(prompts, store, provider, model=ModelName("openai", "tiny-2")))
    greet(make(prompts, store, provider, seed=2))
    warmer = replace(GREET, temperature=0.9)
    asyncio.run(make(prompts, store, provider).ask(warmer, GIVEN, "conversations", 0, "greet"))
    longer = replace(GREET, history=lambda given: given.view.lines)
    spoken = TalkInput(AssistantView((Line("user", "need", "I need a coat."),)))
    asyncio.run(make(prompts, store, provider).ask(longer, spoken, "conversations", 0, "greet"))
    assert len(provider.asked) == 5


def test_concurrent_replies_share_a_transaction(prompts: Prompts, store: RunStore) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    gateway = make(prompts, store, Scripted(HELLO))

    async def run() -> None:
        await asyncio.gather(*(gateway.ask(GREET, GIVEN, "conversations", item, "greet") for item in range(20)))

    asyncio.run(run())
    assert sum(statement.startswith("BEGIN") for statement in statements) == 1
    assert sum(store.call_counts().values()) == 20


def test_reply_that_cannot_be_logged_is_not_used(prompts: Prompts, store: RunStore) -> None:
    gateway = make(prompts, store, Scripted(HELLO))
    store._db.execute("PRAGMA query_only=ON")
    with pytest.raises(SynthError, match=r"run\.db cannot be written"):
        greet(gateway)


# ---- retries ----------------------------------------------------------------------------------------------------


def test_retryable_errors_are_retried(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    provider = Scripted(ModelError("busy", retry=True), ModelError("busy", retry=True), HELLO)
    gateway = make(prompts, store, provider)
    assert greet(gateway) == "Hello"
    assert gateway.counts == {"asked": 3, "answered": 1, "retried": 2}
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2


def test_waits_grow_and_the_last_try_fails(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    provider = Scripted(ModelError("status 503", retry=True))
    with pytest.raises(CallFailed, match=rf"chatter\.greet: status 503 \(after {MAX_TRIES} tries\)"):
        greet(make(prompts, store, provider))
    assert len(provider.asked) == MAX_TRIES == len(waits) + 1
    assert waits == sorted(waits)
    assert not list(store.calls())


def test_waits_of_two_calls_differ(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    busy = ModelError("busy", retry=True)
    greet(make(prompts, store, Scripted(busy, HELLO)), item=1)
    greet(make(prompts, store, Scripted(busy, HELLO)), item=2)
    assert waits[0] != waits[1]


@pytest.mark.parametrize(("asked", "waited"), [(17.0, 17.0), (0.0, 0.0), (3600.0, 60.0)])
def test_retry_after_is_honoured(
    prompts: Prompts, store: RunStore, waits: list[float], asked: float, waited: float
) -> None:
    greet(make(prompts, store, Scripted(ModelError("slow down", retry=True, retry_after=asked), HELLO)))
    assert waits == [waited]


def test_other_errors_are_not_retried(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    provider = Scripted(ModelError("status 400"), HELLO)
    with pytest.raises(CallFailed, match="status 400"):
        greet(make(prompts, store, provider))
    assert len(provider.asked) == 1 and not waits


def test_fatal_error_stops_the_run(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    provider = Scripted(ModelError("the server refused the key (401)", fatal=True), HELLO)
    with pytest.raises(SynthError, match=r"^openai: the server refused the key"):
        greet(make(prompts, store, provider))
    assert len(provider.asked) == 1 and not waits


# ---- typed output -----------------------------------------------------------------------------------------------


def test_one_repair(prompts: Prompts, store: RunStore) -> None:
    provider = Scripted('{"utterance": "Hi"}', HELLO)
    gateway = make(prompts, store, provider)
    assert greet(gateway) == "Hello"
    assert gateway.counts["repaired"] == 1
    first, second = provider.asked
    assert (first.place.attempt, second.place.attempt) == (0, 1)
    assert second.messages[: len(first.messages)] == first.messages
    answer, order = second.messages[len(first.messages) :]
    assert (answer.role, answer.text, order.role) == ("assistant", '{"utterance": "Hi"}', "user")
    assert "text: Field required" in order.text
    assert greet(gateway) == "Hello"
    assert len(provider.asked) == 2, "both replies come from the log"


@pytest.mark.parametrize("reply", ["no JSON", "{}", '{"text": ""}', '{"text": "Hi", "more": 1}'])
def test_second_misfit_gives_the_call_up(prompts: Prompts, store: RunStore, reply: str) -> None:
    provider = Scripted(reply)
    with pytest.raises(CallFailed, match=r"chatter\.greet: the model's answer does not fit the schema"):
        greet(make(prompts, store, provider))
    assert len(provider.asked) == 2


# ---- concurrency ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3)])
def test_calls_at_once(prompts: Prompts, store: RunStore, limit: int, most: int) -> None:
    running = 0
    highest = 0

    async def step(_: Request) -> str:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        for _turn in range(20):
            await asyncio.sleep(0)
        running -= 1
        return HELLO

    gateway = make(prompts, store, Scripted(step), limits=Limits(max_concurrency=limit))

    async def run() -> None:
        await asyncio.gather(*(gateway.ask(GREET, GIVEN, "conversations", item, "greet") for item in range(12)))

    asyncio.run(run())
    assert highest == most


def test_a_provider_that_is_down_stops_the_run(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    """A call or two may fail for good; several running, with no answer between them, mean that nobody is there."""
    gateway = make(prompts, store, Scripted(ModelError("connection refused", retry=True)))
    for item in range(MAX_GIVEN_UP - 1):
        with pytest.raises(CallFailed):
            greet(gateway, item)
    with pytest.raises(SynthError, match="connection refused") as stopped:
        greet(gateway, MAX_GIVEN_UP)
    assert stopped.value.exit_code == Exit.LIMIT


def test_an_answer_between_failures_counts(prompts: Prompts, store: RunStore, waits: list[float]) -> None:
    down = [ModelError("busy", retry=True)] * MAX_TRIES
    gateway = make(prompts, store, Scripted(*[*down, HELLO] * (MAX_GIVEN_UP + 1)))
    for item in range(MAX_GIVEN_UP):
        with pytest.raises(CallFailed):
            greet(gateway, 2 * item)
        assert greet(gateway, 2 * item + 1) == "Hello"


def test_half_a_surrogate_pair_is_no_reason_to_hang(prompts: Prompts, store: RunStore) -> None:
    gateway = make(prompts, store, Scripted('{"text": "Hello \ud83d"}'))
    assert greet(gateway).startswith("Hello")
