"""The money cap: nothing leaves before the most it can cost is reserved, and no reserve goes over the cap.

A reservation is committed before its call leaves and replaced by the reply's own cost in the transaction that logs
the reply. One whose reply never came (killed, timed out, connection lost) counts as spent from then on, at its
worst case: the provider may have made, and billed, an answer.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from synth.errors import Exit, SynthError
from synth.traces.store import Place, Reservation, RunStore

_GRACE = 0.05
"""Seconds after the last call came back before the cap counts as reached: a reply may still free a conversation."""
_ROUNDING = 1e-9


@dataclass(order=True, slots=True)
class _Waiter:
    priority: int
    arrival: int
    usd: float = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


class Budget:
    """What a run has spent and set aside.

    Args:
        cap: USD that the run may spend over all its starts; None for no cap.
        batched: keys of calls that a batch of an earlier process still holds: their reservations stay open.
    """

    def __init__(self, store: RunStore, cap: float | None = None, batched: Collection[bytes] = ()) -> None:
        self._store = store
        self.cap = cap
        self.spent = store.spent()
        self.wasted = 0.0
        """Of `spent`: tries that left no reply in the log."""
        self.open: dict[int, Reservation] = {}
        self._set_aside = 0.0
        self._waiters: list[_Waiter] = []
        self._arrivals = 0
        self._next = 1
        self.adopted: dict[bytes, Reservation] = {}
        """Open reservations of batched calls, by key."""
        for reservation in store.reservations():
            self._next = max(self._next, reservation.id + 1)
            if reservation.state == "open" and reservation.key in batched:
                self.open[reservation.id] = reservation
                self._set_aside += reservation.usd
                self.adopted[reservation.key] = reservation
                continue
            if reservation.state == "open":
                store.release(reservation._replace(state="lost", reason="the run was killed or stopped"))
            self.spent += reservation.usd
            self.wasted += reservation.usd

    async def reserve(self, key: bytes, place: Place, call: str, model: str, usd: float) -> Reservation:
        """Sets the most that a try can cost aside; returns when that is committed.

        Where the cap has no room, it waits until calls under way have come back cheaper than feared; older items first.

        Raises:
            SynthError: the cap is reached and nothing is under way that could make room.
        """
        await self._admit(usd, place.item)
        reservation = Reservation(self._next, key, place, call, model, usd)
        self._next += 1
        self.open[reservation.id] = reservation
        await self._commit([reservation])
        return reservation

    async def reserve_all(self, tries: Sequence[tuple[bytes, Place, str, str, float]]) -> list[Reservation]:
        """Reserves for as many tries, from the front, as the cap has room for; at least one.

        Raises:
            SynthError: the cap is reached and nothing is under way that could make room.
        """
        await self._admit(tries[0][4], tries[0][1].item)
        taken: list[Reservation] = []
        for n, (key, place, call, model, usd) in enumerate(tries):
            if n and not self._fits(usd):
                break
            if n:
                self._set_aside += usd
            reservation = Reservation(self._next, key, place, call, model, usd)
            self._next += 1
            self.open[reservation.id] = reservation
            taken.append(reservation)
        await self._commit(taken)
        return taken

    async def _commit(self, taken: Sequence[Reservation]) -> None:
        try:
            await self._store.reserve(taken)
        except asyncio.CancelledError:
            # They would count as lost although nothing has left.
            for reservation in taken:
                self.fail(reservation, 0.0, "", lost=False)
            raise
        except BaseException:
            for reservation in taken:
                self._close(reservation)
            raise

    def settle(self, reservation: Reservation, usd: float) -> None:
        """The reply came and cost this; the log commits it together with the reply."""
        self._close(reservation)
        self.spent += usd
        self._make_room()

    def fail(self, reservation: Reservation, usd: float, reason: str, *, lost: bool) -> None:
        """The try left no reply that the log will hold; `usd` is what it cost."""
        self._close(reservation)
        self._store.release(reservation._replace(usd=usd, state="lost" if lost else "failed", reason=reason))
        self.spent += usd
        self.wasted += usd
        self._make_room()

    def _close(self, reservation: Reservation) -> None:
        del self.open[reservation.id]
        self._set_aside -= reservation.usd

    def _fits(self, usd: float) -> bool:
        return self.cap is None or self.spent + self._set_aside + usd <= self.cap + _ROUNDING

    def _under_way(self) -> bool:
        """Whether a reply may still make room; nobody waits for those of calls not yet asked for again."""
        return len(self.open) > len(self.adopted)

    async def _admit(self, usd: float, priority: int) -> None:
        if not self._waiters and self._fits(usd):
            self._set_aside += usd
            return
        waiter = _Waiter(priority, self._arrivals, usd, asyncio.get_running_loop().create_future())
        self._arrivals += 1
        heapq.heappush(self._waiters, waiter)
        self._make_room()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                heapq.heapify(self._waiters)
            elif not waiter.admitted.cancelled() and waiter.admitted.exception() is None:
                self._set_aside -= usd
            self._make_room()
            raise

    def _make_room(self) -> None:
        while self._waiters and self._fits(self._waiters[0].usd):
            waiter = heapq.heappop(self._waiters)
            self._set_aside += waiter.usd
            waiter.admitted.set_result(None)
        if self._waiters and not self._under_way():
            asyncio.get_running_loop().call_later(_GRACE, self._give_up)

    def _give_up(self) -> None:
        if self._under_way() or not self._waiters or self._fits(self._waiters[0].usd):
            return
        reached = SynthError(
            f"The cap of {self.cap:.2f} USD is reached: {self.spent:.4f} spent, and the next call may cost "
            f"{self._waiters[0].usd:.4f}.",
            "Run the same command with a higher --max-usd to go on; nothing that was paid is asked again.",
            Exit.LIMIT,
        )
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.admitted.set_exception(reached)
