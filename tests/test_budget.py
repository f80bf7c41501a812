"""The money cap: reservations, waiting for room, and what a killed run counts as spent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from synth.errors import Exit, SynthError
from synth.llm.budget import Budget
from synth.traces.store import CallRow, Place, Reservation, RunStore


def place(item: int) -> Place:
    return Place("conversation", item, "need")


def key(item: int) -> bytes:
    return item.to_bytes(16, "big")


async def reserve(budget: Budget, item: int, usd: float) -> Reservation:
    return await budget.reserve(key(item), place(item), "user.need", "openai:m", usd)


def answered(reservation: Reservation, usd: float) -> CallRow:
    here = reservation.place
    return CallRow(
        reservation.key, here, "user.need", "user", "", "openai:m", ["hi"], (), "{}", 9, 0, 0, 3, 0, usd, 0.1, 1
    )


def test_a_reservation_is_committed_before_the_call_leaves(store: RunStore, tmp_path: Path) -> None:
    asyncio.run(reserve(Budget(store), 1, 0.5))
    reader = RunStore(tmp_path / "run.db", readonly=True)
    [row] = reader.reservations()
    reader.close()
    assert (row.key, row.usd, row.state, row.place.item) == (key(1), 0.5, "open", 1)


def test_a_logged_reply_replaces_its_reservation(store: RunStore) -> None:
    async def run() -> Budget:
        budget = Budget(store, 1.0)
        reservation = await reserve(budget, 1, 0.5)
        budget.settle(reservation, 0.2)
        await store.log(answered(reservation, 0.2), settles=reservation.id)
        return budget

    assert asyncio.run(run()).spent == 0.2
    assert store.reservations() == []
    again = Budget(store, 1.0)
    assert (again.spent, again.wasted) == (0.2, 0.0)


def test_what_a_kill_left_open_counts_as_spent_on_every_later_start(store: RunStore) -> None:
    asyncio.run(reserve(Budget(store), 1, 0.5))
    for _ in range(3):
        budget = Budget(store)
        assert (budget.spent, budget.wasted) == (0.5, 0.5)
    assert [row.state for row in store.reservations()] == ["lost"]


def test_a_reply_that_was_billed_and_not_yet_committed_counts_at_its_worst(store: RunStore) -> None:
    async def run() -> None:
        budget = Budget(store)
        budget.settle(await reserve(budget, 1, 0.5), 0.2)  # and here the process dies

    asyncio.run(run())
    assert Budget(store).spent == 0.5


def test_a_batched_call_stays_reserved(store: RunStore) -> None:
    asyncio.run(reserve(Budget(store), 1, 0.5))
    budget = Budget(store, 0.9, batched={key(1)})
    assert budget.spent == 0 and list(budget.adopted) == [key(1)]
    with pytest.raises(SynthError, match="cap"):  # nobody waits for its batch
        asyncio.run(asyncio.wait_for(reserve(budget, 2, 0.5), 0.5))
    claimed = budget.adopted.pop(key(1))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(reserve(budget, 2, 0.5), 0.1))
    budget.settle(claimed, 0.1)
    assert asyncio.run(reserve(budget, 2, 0.5)).usd == 0.5


def test_failures_count_what_they_cost(store: RunStore) -> None:
    async def run() -> Budget:
        budget = Budget(store)
        one, two, three = [await reserve(budget, n, 0.5) for n in (1, 2, 3)]
        budget.fail(one, 0.0, "status 503", lost=False)
        budget.fail(two, 0.1, "the model's answer is empty", lost=False)
        budget.fail(three, 0.5, "no answer within 5 s", lost=True)
        return budget

    budget = asyncio.run(run())
    assert budget.spent == budget.wasted == pytest.approx(0.6)
    assert [(row.usd, row.state) for row in store.reservations()] == [(0.1, "failed"), (0.5, "lost")]
    assert Budget(store).spent == pytest.approx(0.6)


def test_no_call_leaves_over_the_cap_and_cheap_replies_make_room(store: RunStore) -> None:
    most = 0.0

    async def call(budget: Budget, item: int) -> None:
        nonlocal most
        reservation = await reserve(budget, item, 0.4)
        most = max(most, budget.spent + sum(r.usd for r in budget.open.values()))
        await asyncio.sleep(0.001)
        budget.settle(reservation, 0.05)

    async def run() -> None:
        budget = Budget(store, 1.0)
        await asyncio.gather(*(call(budget, item) for item in range(12)))
        assert budget.spent == pytest.approx(0.6)

    asyncio.run(run())
    assert 0.8 <= most <= 1.0


def test_older_items_go_first(store: RunStore) -> None:
    order: list[int] = []

    async def call(budget: Budget, item: int) -> None:
        reservation = await reserve(budget, item, 1.0)
        order.append(item)
        await asyncio.sleep(0)
        budget.settle(reservation, 0.0)

    async def run() -> None:
        budget = Budget(store, 1.0)
        await asyncio.gather(*(call(budget, item) for item in (9, 5, 7, 1)))

    asyncio.run(run())
    assert order == [9, 1, 5, 7]


def test_the_cap_is_said_once_nothing_can_make_room(store: RunStore) -> None:
    async def run() -> None:
        budget = Budget(store, 1.0)
        reservation = await reserve(budget, 1, 0.9)
        blocked = asyncio.create_task(reserve(budget, 2, 0.9))
        await asyncio.sleep(0.1)
        assert not blocked.done(), "a call under way may still make room"
        budget.settle(reservation, 0.9)
        with pytest.raises(SynthError, match=r"cap of 1\.00 USD is reached.*--max-usd") as stopped:
            await blocked
        assert stopped.value.exit_code == Exit.LIMIT

    asyncio.run(run())


def test_a_waiter_that_is_cancelled_takes_nothing_along(store: RunStore) -> None:
    async def run() -> None:
        budget = Budget(store, 1.0)
        reservation = await reserve(budget, 1, 0.9)
        waiting = [asyncio.create_task(reserve(budget, n, 0.9)) for n in (2, 3)]
        await asyncio.sleep(0)
        budget.settle(reservation, 0.0)
        waiting[0].cancel()  # admitted, not yet resumed
        third = await waiting[1]
        assert [r.place.item for r in budget.open.values()] == [third.place.item] == [3]

    asyncio.run(run())


def test_a_reservation_cancelled_while_it_commits_is_none(store: RunStore) -> None:
    async def run() -> None:
        budget = Budget(store, 1.0)
        committing = asyncio.create_task(reserve(budget, 1, 0.9))
        await asyncio.sleep(0)
        assert len(budget.open) == 1
        committing.cancel()
        await asyncio.wait({committing})
        other = await reserve(budget, 2, 0.9)
        assert [r.id for r in store.reservations()] == list(budget.open) == [other.id]

    asyncio.run(run())


def test_as_much_of_a_wave_as_the_cap_allows(store: RunStore) -> None:
    async def run() -> None:
        budget = Budget(store, 1.0)
        tries = [(key(n), place(n), "user.need", "openai:m", 0.3) for n in range(5)]
        taken = await budget.reserve_all(tries)
        assert [r.key for r in taken] == [key(0), key(1), key(2)]
        assert len(store.reservations()) == 3

    asyncio.run(run())
