"""Calls in waves: what goes out together, what is found again, and what is never sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

import pytest

from synth.errors import Exit, SynthError
from synth.llm import gateway as gateway_module
from synth.llm import waves as waves_module
from synth.llm.batch import BatchState
from synth.llm.batch_wire import NotThere
from synth.llm.budget import Budget
from synth.llm.courier import Delivered, Tariff
from synth.llm.gateway import CallFailed, Gateway
from synth.llm.pricing import Price
from synth.llm.provider import ModelError, ModelName, Reply, Request, Usage
from synth.llm.waves import Waves, batched_keys
from synth.prompts.calls import GREET, AssistantView, Role, TalkInput
from synth.prompts.templates import Prompts
from synth.traces.store import RunStore

MODEL = ModelName("openai", "tiny-1")
PRICE = Price(1000.0, 1000.0, 1000.0, 1000.0)
HELLO = Reply('{"text": "Hello"}', Usage(input=10, output=10))
DOWN = ModelError("no answer", retry=True)
Outcome = Reply | ModelError


class Desk:
    """A provider's batches, in this process. A batch ends when `ended` is set."""

    max_requests = 100
    max_bytes = 1_000_000

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self.batches: list[list[str]] = []
        """Custom ids."""
        self.names: list[str] = []
        """Waves of these batches."""
        self.forgotten: list[str] = []
        self.ended = asyncio.Event()
        self.ended.set()
        self.outcome: Callable[[int, int], Outcome] = lambda batch, row: HELLO
        self.creation: list[ModelError] = []
        """Errors of the next creations; where `lost` is set, the batch is created all the same if `keeps`."""
        self.keeps = True
        self.looks: list[ModelError] = []
        """Errors of the next looks at a batch."""
        self.breaks: list[int] = []
        """Rows after which the next readings of results break off."""
        self.most = 1000
        """Requests that may wait at the same time."""
        self.found = 0

    async def available(self) -> bool:
        return True

    async def submit(self, wave: str, lines: Mapping[str, bytes]) -> str:
        [on_record] = [one for one in self.store.waves() if one.id == wave]
        assert (on_record.batch, on_record.state, len(on_record.keys)) == (None, "open", len(lines))
        assert {row.key for row in self.store.reservations()} >= set(on_record.keys)
        await asyncio.sleep(0)
        error = self.creation.pop(0) if self.creation else None
        if error is None or (error.lost and self.keeps):
            self.names.append(wave)
            self.batches.append(list(lines))
        if error:
            raise error
        return f"b{len(self.batches) - 1}"

    async def find(self, wave: str, custom_ids: Collection[str], since: float) -> str | None:
        self.found += 1
        await asyncio.sleep(0.05)
        return f"b{self.names.index(wave)}" if wave in self.names else None

    async def state(self, batch: str) -> BatchState:
        if self.looks:
            raise self.looks.pop(0)
        size = len(self.batches[int(batch[1:])])
        problem = "too many" if size > self.most else ""
        return BatchState(not self.ended.is_set(), 0, 0, size, problem)

    async def results(self, batch: str, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Outcome]]:
        assert batch not in self.forgotten
        number = int(batch[1:])
        rows = self.batches[number]
        broken = self.breaks.pop(0) if self.breaks else None
        for row, custom_id in reversed(list(enumerate(rows))):
            if broken is not None and len(rows) - row > broken:
                raise DOWN
            if custom_id in requests:
                refused = len(rows) > self.most
                yield (
                    custom_id,
                    ModelError("too many", retry=True, throttled=True) if refused else self.outcome(number, row),
                )

    async def cancel(self, batch: str) -> None:
        raise AssertionError("nothing is cancelled")

    async def forget(self, batch: str) -> None:
        [wave] = [one for one in self.store.waves() if one.batch == batch]
        answered = [key for row, key in enumerate(wave.keys) if isinstance(self.outcome(int(batch[1:]), row), Reply)]
        assert len(self.batches[int(batch[1:])]) > self.most or all(map(self.store.reply, answered))
        self.forgotten.append(batch)


class Online:
    """Calls one by one."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, key: bytes, name: ModelName, request: Request) -> Delivered:
        self.sent += 1
        return Delivered(HELLO, 0.0, 0.0, None)

    async def aclose(self) -> None:
        return None


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("QUIET", 0.1), ("_FIRST_POLL", 0.01), ("_LONGEST_POLL", 0.02), ("_LOGGED_POLL", 0.01)):
        monkeypatch.setattr(waves_module, name, seconds)
    monkeypatch.setattr(waves_module, "_LISTED", 0.01)
    monkeypatch.setattr(gateway_module, "_FIRST_WAIT", 0.01)


@pytest.fixture
def desk(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(waves_module, "batch_line", lambda provider, custom_id, request: custom_id.encode())
    return Desk(store)


class Start:
    """One process' gateway: `ask` a number of calls, and whether each was answered."""

    def __init__(
        self, prompts: Prompts, store: RunStore, desk: Desk, cap: float | None = None, direct: Online | None = None
    ) -> None:
        roles: tuple[Role, ...] = ("simulator", "rewriter", "checker", "judge", "captioner")
        tariff = Tariff({str(MODEL): PRICE}, None)
        self.notes: list[str] = []
        self.budget = Budget(store, cap, batched_keys(store))
        clients: Any = {"openai": (None, desk)}
        self.waves = Waves(store, self.budget, tariff, clients, direct, self.notes.append)
        self.gateway = Gateway(prompts, dict.fromkeys(roles, MODEL), self.waves, tariff, self.budget, store, seed=1)

    async def one(self, item: int) -> str:
        given = TalkInput(AssistantView(()))
        return (await self.gateway.ask(GREET, given, "conversation", item, "greet")).text

    async def ask(self, *items: int) -> list[str | BaseException]:
        return list(await asyncio.gather(*map(self.one, items), return_exceptions=True))

    async def close(self) -> None:
        await self.gateway.aclose()


Begin = Callable[..., Start]


@pytest.fixture
def begin(prompts: Prompts, store: RunStore, desk: Desk) -> Begin:
    def start(**options: Any) -> Start:
        return Start(prompts, store, desk, **options)

    return start


def run(work: Callable[[], Any]) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(work(), 10)  # what hangs fails

    return asyncio.run(limited())


async def created(desk: Desk) -> None:
    """Waits until a wave on record has its batch."""
    while not any(wave.batch for wave in desk.store.waves()):
        await asyncio.sleep(0.01)


async def killed(begin: Begin, desk: Desk, *items: int) -> None:
    """A process that dies while these calls are in a batch: nothing is told, what is on record stays."""
    desk.ended.clear()
    start = begin()
    asked = asyncio.gather(*map(start.one, items), return_exceptions=True)
    await created(desk)
    for task in start.waves._tasks:
        task.cancel()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    desk.ended.set()


def states(store: RunStore) -> list[str]:
    return [wave.state for wave in store.waves()]


# ---- out and back -----------------------------------------------------------------------------------------------


def test_what_waits_goes_out_together_and_is_paid_once(store: RunStore, desk: Desk, begin: Begin) -> None:
    async def work() -> Start:
        start = begin()
        assert await start.ask(*range(20)) == ["Hello"] * 20
        await start.close()
        return start

    start = run(work)
    assert [len(batch) for batch in desk.batches] == [20]
    assert states(store) == ["done"] and desk.forgotten == ["b0"] and store.reservations() == []
    assert start.budget.spent == pytest.approx(20 * 20 * 1000 / 2 / 1e6) == pytest.approx(store.spent())


def test_a_batch_takes_what_the_provider_allows(desk: Desk, begin: Begin) -> None:
    desk.max_requests = 8
    run(lambda: begin().ask(*range(20)))
    assert [len(batch) for batch in desk.batches] == [8, 8, 4]
    desk.max_requests, desk.max_bytes = 100, 95  # a line is 18 bytes, or 19, and its end
    run(lambda: begin().ask(*range(20, 30)))
    assert [len(batch) for batch in desk.batches[3:]] == [5, 5]


def test_failed_rows_go_out_again_and_the_others_do_not(store: RunStore, desk: Desk, begin: Begin) -> None:
    expired = ModelError("expired", retry=True)
    desk.outcome = lambda batch, row: expired if batch < 2 and row % 2 else HELLO

    async def work() -> list[Any]:
        start = begin()
        answers = await start.ask(*range(8))
        await start.close()
        return answers

    assert run(work) == ["Hello"] * 8
    assert [len(batch) for batch in desk.batches] == [8, 4, 2]
    assert states(store) == ["done"] * 3 and store.reservations() == []


def test_the_last_few_go_one_by_one_where_that_is_allowed(
    desk: Desk, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves_module, "FEW", 5)
    online = Online()
    run(lambda: begin(direct=online).ask(*range(5)))
    assert (len(desk.batches), online.sent) == (1, 0)
    run(lambda: begin(direct=online).ask(*range(5, 9)))
    assert (len(desk.batches), online.sent) == (1, 4)


def test_everyone_who_waits_gets_an_error_of_their_own(desk: Desk, begin: Begin) -> None:
    desk.creation = [ModelError("this batch is refused")]
    errors = run(lambda: begin().ask(0, 1, 2))
    assert all(isinstance(error, CallFailed) for error in errors)
    assert len({id(error.__cause__) for error in errors}) == 3 and desk.batches == []


def test_a_provider_that_takes_less_gets_less(store: RunStore, desk: Desk, begin: Begin) -> None:
    desk.most = 7
    assert run(lambda: begin().ask(*range(24))) == ["Hello"] * 24
    taken = [len(batch) for batch in desk.batches if len(batch) <= 7]
    assert desk.batches[0] and len(desk.batches[0]) == 24 and sum(taken) == 24 and min(taken[:-1]) > 3


# ---- what a server does not answer ------------------------------------------------------------------------------


def test_an_outage_while_a_batch_is_waited_for_sends_nothing_twice(desk: Desk, begin: Begin) -> None:
    desk.looks = [DOWN] * 5
    desk.breaks = [3, 7]
    assert run(lambda: begin().ask(*range(10))) == ["Hello"] * 10
    assert len(desk.batches) == 1


@pytest.mark.parametrize("error", [DOWN, ModelError("wrong key", fatal=True)])
def test_a_batch_that_cannot_be_asked_for_stops_the_run_and_is_found_again(
    store: RunStore, desk: Desk, begin: Begin, monkeypatch: pytest.MonkeyPatch, error: ModelError
) -> None:
    monkeypatch.setattr(waves_module, "_PATIENCE", 0.05)

    async def work() -> None:
        desk.looks = [error] * 1000
        start = begin()
        errors = await start.ask(0, 1)
        assert all(isinstance(one, SynthError) and one.exit_code == Exit.LIMIT for one in errors)
        assert "Run the same command again" in str(errors[0])
        await start.close()
        assert states(store) == ["open"] and len(store.reservations()) == 2
        desk.looks = []
        again = begin()
        assert await again.ask(0, 1) == ["Hello"] * 2
        await again.close()

    run(work)
    assert len(desk.batches) == 1 and states(store) == ["done"] and store.reservations() == []


def test_a_batch_that_is_gone_is_paid_and_sent_again(store: RunStore, desk: Desk, begin: Begin) -> None:
    desk.looks = [NotThere("the server has no such batch (404)")]
    assert run(lambda: begin().ask(0, 1)) == ["Hello"] * 2
    assert len(desk.batches) == 2
    assert [row.state for row in store.reservations()] == ["lost"] * 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_creation_without_an_answer_is_looked_for(
    store: RunStore, desk: Desk, begin: Begin, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    desk.creation, desk.keeps = [ModelError("connection lost", retry=True, lost=True)], kept
    assert run(lambda: begin().ask(*range(4))) == ["Hello"] * 4
    assert len(desk.batches) == 1 and desk.found == 1
    assert len(store.waves()) == (1 if kept else 2) and store.reservations() == []


# ---- found again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_a_killed_runs_batch_is_found_by_calls_that_come_one_after_the_other(
    store: RunStore, desk: Desk, begin: Begin, known: bool
) -> None:
    async def work() -> None:
        await killed(begin, desk, *range(6))
        if not known:
            store.put_wave(store.waves()[0]._replace(batch=None))
        desk.ended.clear()
        start = begin()
        first = asyncio.create_task(start.ask(0, 1))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(start.ask(2, 3))
        await asyncio.sleep(0.1)
        desk.ended.set()
        assert await first == await second == ["Hello"] * 2
        assert states(store) == ["open"] and desk.forgotten == []
        assert await start.ask(4, 5) == ["Hello"] * 2
        await start.close()

    run(work)
    assert len(desk.batches) == 1 and states(store) == ["done"] and store.reservations() == []
    assert desk.found == (0 if known else 1)


def test_a_batch_that_was_never_created_is_sent_once(store: RunStore, desk: Desk, begin: Begin) -> None:
    async def work() -> None:
        await killed(begin, desk, *range(6))
        store.put_wave(store.waves()[0]._replace(batch=None))
        desk.batches.clear()
        desk.names.clear()
        start = begin()
        first = asyncio.create_task(start.ask(0, 1))
        await asyncio.sleep(0.05)
        # These come while the batch is looked for, those at the end after it was not found.
        assert await start.ask(2, 3) == ["Hello"] * 2 == await first
        assert await start.ask(4, 5) == ["Hello"] * 2
        await start.close()

    run(work)
    sent = [custom_id for batch in desk.batches for custom_id in batch]
    assert len(sent) == 6 and set(states(store)) == {"done"} and store.reservations() == []


def test_a_stopped_run_leaves_its_wave_to_the_next_start(store: RunStore, desk: Desk, begin: Begin) -> None:
    async def work() -> None:
        desk.ended.clear()
        start = begin()
        asked = asyncio.create_task(start.ask(*range(4)))
        await created(desk)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        desk.ended.set()
        await start.close()
        assert states(store) == ["open"] and desk.forgotten == []
        again = begin()
        assert await again.ask(*range(4)) == ["Hello"] * 4
        await again.close()

    run(work)
    assert len(desk.batches) == 1 and states(store) == ["done"] and store.reservations() == []


def test_a_wave_whose_replies_are_all_logged_is_closed_by_a_start_that_asks_nothing(
    store: RunStore, desk: Desk, begin: Begin
) -> None:
    async def work() -> None:
        start = begin()
        await start.ask(0, 1)
        await start.close()
        desk.forgotten.clear()
        store.put_wave(store.waves()[0]._replace(state="open"))  # as if it had died before that
        await begin().close()

    run(work)
    assert states(store) == ["done"] and desk.forgotten == ["b0"]


# ---- money ------------------------------------------------------------------------------------------------------


def test_a_wave_takes_only_what_the_cap_allows(store: RunStore, desk: Desk, begin: Begin) -> None:
    desk.outcome = lambda batch, row: HELLO._replace(usage=Usage(input=100, output=200))

    async def work() -> tuple[Start, list[Any]]:
        probe = begin()
        desk.ended.clear()
        asked = asyncio.create_task(probe.ask(99))
        await created(desk)
        [reservation] = store.reservations()
        desk.ended.set()
        await asked
        start = begin(cap=store.spent() + 2.5 * reservation.usd)
        answers = await start.ask(*range(40))
        await start.close()
        return start, answers

    start, answers = run(work)
    sizes = [len(batch) for batch in desk.batches[1:]]
    assert sizes[0] == 2 and start.budget.cap is not None and store.spent() <= start.budget.cap
    reached = [answer for answer in answers if isinstance(answer, SynthError)]
    assert len(reached) + answers.count("Hello") == 40 and 0 < len(reached) < 40
    assert all(error.exit_code == Exit.LIMIT and "--max-usd" in error.fix for error in reached)
    assert store.reservations() == [] and set(states(store)) == {"done"}


def test_calls_of_a_batch_that_nobody_asks_for_do_not_hold_up_the_cap(
    store: RunStore, desk: Desk, begin: Begin
) -> None:
    async def work() -> list[Any]:
        await killed(begin, desk, *range(3))
        set_aside = sum(row.usd for row in store.reservations())
        start = begin(cap=set_aside * 1.1)
        return await start.ask(7)

    [error] = run(work)
    assert isinstance(error, SynthError) and "cap" in str(error)
    assert len(store.reservations()) == 3 and states(store) == ["open"]


def test_a_run_that_is_stopped_as_a_wave_begins_leaves_no_warning(store: RunStore, begin: Begin) -> None:
    async def work() -> None:
        start = begin()
        asked = asyncio.create_task(start.ask(0))
        while not start.waves._tasks:
            await asyncio.sleep(0)
        await start.close()  # before the wave's first step
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    run(work)
    assert (store.waves(), store.reservations()) == ([], [])


def test_a_run_that_is_stopped_before_a_wave_leaves_keeps_nothing_reserved(store: RunStore, begin: Begin) -> None:
    async def work() -> None:
        start = begin()
        asked = asyncio.create_task(start.ask(*range(4)))
        while not start.budget.open:
            await asyncio.sleep(0)
        for task in start.waves._tasks:
            task.cancel()
        asked.cancel()
        await asyncio.gather(asked, *start.waves._tasks, return_exceptions=True)
        assert store.waves() == []
        await start.close()

    run(work)
    assert store.reservations() == [] and Budget(store).spent == 0
