"""Calls sent in waves: whatever all live conversations wait for goes to the provider as one batch, at half price.

The graphs do not know: a call is asked for, and its answer comes. A wave is on record before it is submitted, with
the calls in it, so a killed run finds its batches again and joins their results to the calls by key.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.errors import Exit, SynthError
from synth.llm.batch import BatchClient, batch_line
from synth.llm.budget import Budget
from synth.llm.courier import Courier, Delivered, Tariff
from synth.llm.provider import ModelError, ModelName, Reply, Request
from synth.llm.remote import RemoteProvider
from synth.traces.store import Reservation, RunStore, Wave

FEW = 32
"""Calls in a wave below which the rest is finished one by one, where that is allowed."""
QUIET = 1.0
"""Seconds without a new call after which a wave is complete."""
_FIRST_POLL, _LONGEST_POLL = 1.0, 60.0
"""Seconds between looks at a batch; they grow by half each time."""
_LOGGED_POLL = 0.05


@dataclass(slots=True, eq=False)
class _Entry:
    key: bytes
    name: ModelName
    request: Request
    done: asyncio.Future[Delivered]
    queued: float
    reservation: Reservation | None = None


def batched_keys(store: RunStore) -> set[bytes]:
    """Calls that open waves of the run hold."""
    return {key for wave in store.waves() if wave.state == "open" for key in wave.keys}


class Waves:
    """Sends calls in batches.

    Args:
        clients: provider and batches by provider name.
        direct: finishes the last few calls one by one; None leaves them to batches too.
        note: told what goes out and what comes back.
    """

    def __init__(
        self,
        store: RunStore,
        budget: Budget,
        tariff: Tariff,
        clients: Mapping[str, tuple[RemoteProvider, BatchClient]],
        direct: Courier | None,
        note: Callable[[str], None],
    ) -> None:
        self._store = store
        self._budget = budget
        self._tariff = tariff
        self._clients = clients
        self._direct = direct
        self._note = note
        self._queue: list[_Entry] = []
        waves = store.waves()
        self.count = len(waves)
        """Batches submitted so far, over all starts of the run."""
        self._open = {wave.id: wave for wave in waves if wave.state == "open"}
        self._home = {key: wave.id for wave in self._open.values() for key in wave.keys if store.reply(key) is None}
        self._attached: dict[str, list[_Entry]] = {}
        self._collecting: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, key: bytes, name: ModelName, request: Request) -> Delivered:
        loop = asyncio.get_running_loop()
        entry = _Entry(key, name, request, loop.create_future(), time.perf_counter())
        home = self._home.pop(key, None)
        if home is None:
            self._queue.append(entry)
        else:
            entry.reservation = self._budget.adopted.pop(key, None)
            self._attached.setdefault(home, []).append(entry)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(QUIET, self._flush)
        return await entry.done

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _flush(self) -> None:
        queue = [entry for entry in self._queue if not entry.done.done()]
        self._queue = []
        if self._direct is not None and len(queue) < FEW:
            for entry in queue:
                self._start(self._send_directly(self._direct, entry), [entry])
        else:
            groups: dict[ModelName, list[_Entry]] = {}
            # OpenAI takes one model a batch.
            for entry in sorted(queue, key=lambda entry: entry.request.place):
                groups.setdefault(entry.name, []).append(entry)
            for name, entries in groups.items():
                self._start(self._submit(name, entries), entries)
        for wave_id in list(self._attached):
            if wave_id not in self._collecting:
                entries = self._attached.pop(wave_id)
                self._start(self._adopt(self._open[wave_id], entries), entries)

    def _start(self, work: Coroutine[Any, Any, None], entries: Sequence[_Entry]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:  # whatever it is, those who wait must hear of it
                for entry in entries:
                    if not entry.done.done():
                        entry.done.set_exception(error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_directly(self, direct: Courier, entry: _Entry) -> None:
        delivered = await direct.send(entry.key, entry.name, entry.request)
        if not entry.done.done():
            entry.done.set_result(delivered)

    async def _submit(self, name: ModelName, entries: Sequence[_Entry]) -> None:
        provider, client = self._clients[name.provider]
        rest = list(entries)
        while rest:
            entries = await self._affordable(name, rest)
            wave_id = uuid.uuid4().hex[:16]
            lines: dict[str, bytes] = {}
            size = 0
            for entry in entries[: client.max_requests]:
                custom_id = f"{wave_id}-{len(lines)}"
                line = batch_line(provider, custom_id, entry.request)
                if lines and size + len(line) + 1 > client.max_bytes:
                    break
                lines[custom_id] = line
                size += len(line) + 1
            for entry in entries[len(lines) :]:
                self._refund(entry)
            members, rest = rest[: len(lines)], rest[len(lines) :]
            wave = Wave(wave_id, name.provider, None, "open", time.time(), tuple(entry.key for entry in members))
            self._store.put_wave(wave)
            self._open[wave_id] = wave
            self.count += 1
            self._start(self._fly(wave, client, members, lines), members)

    async def _affordable(self, name: ModelName, entries: Sequence[_Entry]) -> Sequence[_Entry]:
        """The first of the calls, as far as the money reaches, with it reserved."""
        tries = [
            (e.key, e.request.place, e.request.call.name, str(name), self._tariff.worst(name, e.request, batch=True))
            for e in entries
        ]
        if not any(usd for *_, usd in tries):
            return entries
        reserved = await self._budget.reserve_all(tries)
        for entry, reservation in zip(entries, reserved, strict=False):
            entry.reservation = reservation
        return entries[: len(reserved)]

    async def _fly(
        self, wave: Wave, client: BatchClient, members: Sequence[_Entry], lines: Mapping[str, bytes]
    ) -> None:
        try:
            batch = await client.submit(wave.id, lines)
        except ModelError as error:
            found = await self._find(wave, client) if error.lost else None
            if found is None:
                self._close(wave)
                for entry in members:
                    self._fail(entry, error, lost=False)
                return
            batch = found
        wave = wave._replace(batch=batch)
        self._store.put_wave(wave)
        self._open[wave.id] = wave
        self._note(f"wave {self.count}: {len(members)} calls of {members[0].name} as batch {batch}")
        await self._collect(wave, client, members)

    async def _adopt(self, wave: Wave, entries: Sequence[_Entry]) -> None:
        """Goes on with a batch of an earlier process."""
        _, client = self._clients[wave.provider]
        if wave.batch is None:
            batch = await self._find(wave, client)
            if batch is None:
                self._close(wave)
                never = ModelError("the run was killed before its batch was created", retry=True)
                for entry in entries:
                    self._fail(entry, never, lost=False)
                return
            wave = wave._replace(batch=batch)
            self._store.put_wave(wave)
            self._open[wave.id] = wave
        self._note(f"found batch {wave.batch} again, {len(entries)} calls wait for it")
        await self._collect(wave, client, entries)

    async def _find(self, wave: Wave, client: BatchClient) -> str | None:
        custom_ids = [f"{wave.id}-{n}" for n in range(len(wave.keys))]
        try:
            return await client.find(wave.id, custom_ids, wave.created)
        except ModelError as error:
            raise SynthError(
                f"{wave.provider}: whether a batch was created cannot be asked: {error}.",
                "Run the same command again; it will be looked for, not sent twice.",
                Exit.LIMIT,
            ) from error

    async def _collect(self, wave: Wave, client: BatchClient, entries: Sequence[_Entry]) -> None:
        assert wave.batch is not None
        self._collecting.add(wave.id)
        try:
            await self._landed(client, wave.batch)
            position = {key: n for n, key in enumerate(wave.keys)}
            waiting = {f"{wave.id}-{position[entry.key]}": entry for entry in entries}
            requests = {custom_id: entry.request for custom_id, entry in waiting.items()}
            async for custom_id, outcome in client.results(wave.batch, requests):
                self._deliver(waiting[custom_id], outcome)
            await self._logged(entries)
        finally:
            self._collecting.discard(wave.id)
        if not any(self._home.get(key) == wave.id for key in wave.keys) and wave.id not in self._attached:
            self._close(wave)
            await client.forget(wave.batch)

    async def _landed(self, client: BatchClient, batch: str) -> None:
        wait = _FIRST_POLL
        while True:
            state = await client.state(batch)
            if not state.running:
                if state.problem:
                    self._note(f"batch {batch} failed: {state.problem}")
                return
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_POLL)

    def _deliver(self, entry: _Entry, outcome: Reply | ModelError) -> None:
        if isinstance(outcome, ModelError):
            self._fail(entry, outcome, lost=outcome.lost)
            return
        usd = self._tariff.cost(entry.name, entry.request, outcome.usage, batch=True)
        if entry.reservation is not None:
            self._budget.settle(entry.reservation, usd)
        if not entry.done.done():
            seconds = time.perf_counter() - entry.queued
            entry.done.set_result(Delivered(outcome, usd, seconds, entry.reservation))

    def _fail(self, entry: _Entry, error: ModelError, *, lost: bool) -> None:
        if entry.reservation is not None:
            usd = entry.reservation.usd if lost else 0.0
            if error.usage is not None:
                usd = self._tariff.cost(entry.name, entry.request, error.usage, batch=True)
            self._budget.fail(entry.reservation, usd, str(error), lost=lost)
            entry.reservation = None
        if not entry.done.done():
            entry.done.set_exception(error)

    def _refund(self, entry: _Entry) -> None:
        if entry.reservation is not None:
            self._budget.fail(entry.reservation, 0.0, "", lost=False)
            entry.reservation = None

    async def _logged(self, entries: Sequence[_Entry]) -> None:
        """Returns when every reply is committed: only then may a wave be closed and its files be deleted."""
        keys = [entry.key for entry in entries if entry.done.exception() is None]
        while any(self._store.reply(key) is None for key in keys):
            await asyncio.sleep(_LOGGED_POLL)

    def _close(self, wave: Wave) -> None:
        """Closes a wave; calls in it that nobody has asked for again are free."""
        for key in wave.keys:
            if self._home.get(key) == wave.id:
                del self._home[key]
                if reservation := self._budget.adopted.pop(key, None):
                    self._budget.fail(reservation, 0.0, "", lost=False)
        self._store.put_wave(wave._replace(state="done"))
        self._open.pop(wave.id, None)
