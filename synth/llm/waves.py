"""Calls sent in waves: whatever all live conversations wait for goes to the provider as one batch, at half price.

The graphs do not know: a call is asked for, and its answer comes. A wave is on record before it is submitted, with
the calls in it, so a killed run finds its batches again and joins their results to the calls by key.
"""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from synth.errors import Exit, SynthError
from synth.llm.batch import BatchClient, batch_line
from synth.llm.batch_wire import NotThere
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
_LISTED = 10.0
"""Seconds after which a batch whose creation was not answered is in the provider's list, if there is one."""
_PATIENCE = 6 * 3600.0
"""Seconds that a batch cannot be asked for before the run stops; it is paid, so it is not given up for an outage."""
_FAREWELL = 10.0
"""Seconds that the end of a run waits for files to be deleted at the provider."""
_GROWTH = 8
"""What may wait at a provider grows by this part with every batch that it took."""
_SLICE = 1000
"""Calls worked on before other things of the process get their turn."""


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
        self._found = {wave.id: wave for wave in waves if wave.state == "open"}
        """Open waves of an earlier process."""
        self._home = {key: wave.id for wave in self._found.values() for key in wave.keys if store.reply(key) is None}
        """Calls of these waves that nobody has asked for yet."""
        self._attached: dict[str, list[_Entry]] = {}
        """Calls that wait for one of these waves, until somebody looks for it."""
        self._busy: set[str] = set()
        """Those of these waves that are looked for or waited for."""
        self._turn: defaultdict[ModelName, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._most: dict[ModelName, int] = {}
        """Calls that may wait at the provider, once it has said that there were too many."""
        self._under_way: Counter[ModelName] = Counter()
        """Calls that wait at the provider."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None] | None] = set()
        """Tasks whose replies are all delivered."""
        self._closing = False

    async def send(self, key: bytes, name: ModelName, request: Request) -> Delivered:
        entry = _Entry(key, name, request, asyncio.get_running_loop().create_future(), time.perf_counter())
        home = self._home.pop(key, None)
        if home is None:
            self._queue.append(entry)
        else:
            entry.reservation = self._budget.adopted.pop(key, None)
            self._attached.setdefault(home, []).append(entry)
        self._flush_soon()
        return await entry.done

    async def aclose(self) -> None:
        """Ends all that is under way; open waves are left to the next start."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks - self._ending:
            task.cancel()
        for wave in self._found.values():
            if wave.id not in self._busy and wave.batch is not None:
                self._start(self._finish(wave, self._clients[wave.provider][1]), ())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FAREWELL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- out

    def _flush_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._closing:
            self._timer = asyncio.get_running_loop().call_later(QUIET, self._flush)

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
        for wave_id in [wave_id for wave_id in self._attached if wave_id not in self._busy]:
            self._busy.add(wave_id)
            entries = self._attached.pop(wave_id)
            self._start(self._adopt(self._found[wave_id], entries), entries)

    def _start(self, work: Coroutine[Any, Any, None], entries: Sequence[_Entry]) -> asyncio.Task[None]:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._ending.discard(task)
            if not task.cancelled() and isinstance(error := task.exception(), Exception):
                # Whatever it is, those who wait must hear of it.
                for entry in entries:
                    _raise_to(entry, error)

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)
        return task

    async def _send_directly(self, direct: Courier, entry: _Entry) -> None:
        delivered = await direct.send(entry.key, entry.name, entry.request)
        if not entry.done.done():
            entry.done.set_result(delivered)

    async def _submit(self, name: ModelName, entries: Sequence[_Entry]) -> None:
        _, client = self._clients[name.provider]
        rest = list(entries)
        async with self._turn[name]:
            while rest := [entry for entry in rest if not entry.done.done()]:
                wave_id = uuid.uuid4().hex[:16]
                lines = await self._lines(wave_id, rest[: self._most.get(name, client.max_requests)])
                members = await self._affordable(name, rest[: len(lines)])
                # From here to the record of the wave nothing may wait: a kill would leave reservations of no wave.
                rest = rest[len(members) :]
                wave = Wave(wave_id, name.provider, None, "open", time.time(), tuple(entry.key for entry in members))
                self._store.put_wave(wave)
                self.count += 1
                number, short = self.count, len(members) < len(lines)
                lines = dict(islice(lines.items(), len(members)))
                submitted = await self._create(wave, client, members, lines)
                del lines  # up to hundreds of megabytes
                if submitted is not None:
                    self._note(f"wave {number}: {len(members)} calls of {name} as batch {submitted.batch}")
                    collection = self._start(self._collect(submitted, client, members), members)
                    if name in self._most:
                        await asyncio.wait({collection})
                if short:  # the rest goes with the next wave, when replies have made room below the cap
                    self._queue += rest
                    if submitted is None:
                        self._flush_soon()
                    return

    async def _lines(self, wave_id: str, entries: Sequence[_Entry]) -> dict[str, bytes]:
        """The first of the calls, as many as one batch takes."""
        provider, client = self._clients[entries[0].name.provider]
        lines: dict[str, bytes] = {}
        size = 0
        for number, entry in enumerate(entries):
            custom_id = f"{wave_id}-{number}"
            line = batch_line(provider, custom_id, entry.request)
            size += len(line) + 1
            if lines and size > client.max_bytes:
                break
            lines[custom_id] = line
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        return lines

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

    async def _create(
        self, wave: Wave, client: BatchClient, members: Sequence[_Entry], lines: Mapping[str, bytes]
    ) -> Wave | None:
        """The wave with its batch; None where there is none, and the calls have failed."""
        try:
            batch = await client.submit(wave.id, lines)
        except ModelError as error:
            found = None
            if error.lost:
                self._note(f"whether the batch of wave {wave.id} was created is not known; looking for it")
                await asyncio.sleep(_LISTED)
                found = await self._find(wave, client)
            if found is None:
                self._close(wave)
                for entry in members:
                    self._fail(entry, error, lost=False)
                return None
            batch = found
        return self._with_batch(wave, batch)

    def _with_batch(self, wave: Wave, batch: str) -> Wave:
        wave = wave._replace(batch=batch)
        self._store.put_wave(wave)
        return wave

    # ---- found again

    async def _adopt(self, wave: Wave, entries: Sequence[_Entry]) -> None:
        """Goes on with a batch of an earlier process."""
        _, client = self._clients[wave.provider]
        if wave.batch is None:
            batch = await self._find(wave, client)
            if batch is None:
                self._close(wave)
                never = ModelError("the run was killed before its batch was created", retry=True)
                for entry in [*entries, *self._attached.pop(wave.id, [])]:
                    self._fail(entry, never, lost=False)
                return
            wave = self._found[wave.id] = self._with_batch(wave, batch)
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

    # ---- back

    async def _collect(self, wave: Wave, client: BatchClient, entries: Sequence[_Entry]) -> None:
        outcomes = await self._outcomes(wave, client, entries)
        # All at once, so that what is paid is in the log before one of these calls can end the run.
        for number, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
            self._deliver(entry, outcome)
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        self._ending.add(asyncio.current_task())
        if await self._logged(entries):
            await self._finish(wave, client)
            self._busy.discard(wave.id)
        # For calls that have come for this wave meanwhile, and those that the cap had no room for.
        self._flush_soon()

    async def _outcomes(
        self, wave: Wave, client: BatchClient, entries: Sequence[_Entry]
    ) -> Sequence[Reply | ModelError]:
        """What became of each call, once the batch has ended.

        Raises:
            SynthError: it cannot be asked for, for hours or for good.
        """
        assert wave.batch is not None
        position = {key: n for n, key in enumerate(wave.keys)}
        custom_ids = [f"{wave.id}-{position[entry.key]}" for entry in entries]
        waiting = {custom_id: entry.request for custom_id, entry in zip(custom_ids, entries, strict=True)}
        outcomes: dict[str, Reply | ModelError] = {}
        wait, answered = _FIRST_POLL, time.monotonic()
        name = entries[0].name
        self._under_way[name] += len(wave.keys)
        while True:
            try:
                state = await client.state(wave.batch)
                if not state.running:
                    if state.problem:
                        self._note(f"batch {wave.batch} failed: {state.problem}")
                    async for custom_id, outcome in client.results(wave.batch, waiting):
                        outcomes[custom_id] = _of_failed_batch(outcome) if state.problem else outcome
                    self._judge_size(name, failed=state.problem != "", outcomes=outcomes.values())
                    break
                answered = time.monotonic()
            except NotThere as error:
                self._note(f"batch {wave.batch}: {error}")
                gone = ModelError("the provider has no such batch any more", retry=True, lost=True)
                outcomes = dict.fromkeys(custom_ids, gone)
                break
            except ModelError as error:
                if not error.retry or time.monotonic() - answered > _PATIENCE:
                    raise SynthError(
                        f"{wave.provider}: batch {wave.batch} cannot be asked for: {error}.",
                        "Run the same command again once that is mended; the batch is found again, not sent twice.",
                        Exit.LIMIT,
                    ) from error
                self._note(f"batch {wave.batch}: {error}; it is asked for again")
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_POLL)
        self._under_way[name] -= len(wave.keys)
        return [outcomes[custom_id] for custom_id in custom_ids]

    def _judge_size(self, name: ModelName, outcomes: Iterable[Reply | ModelError], *, failed: bool) -> None:
        """Halves what may wait at a provider that has refused a batch for being too much, and lets it grow again."""
        if failed and all(isinstance(outcome, ModelError) and outcome.throttled for outcome in outcomes):
            self._most[name] = max(1, self._under_way[name] // 2)
        elif name in self._most:
            self._most[name] += self._most[name] // _GROWTH + 1

    def _deliver(self, entry: _Entry, outcome: Reply | ModelError) -> None:
        if isinstance(outcome, ModelError):
            self._fail(entry, outcome, lost=outcome.lost)
        elif not entry.done.done():
            usd = self._tariff.cost(entry.name, entry.request, outcome.usage, batch=True)
            if entry.reservation is not None:
                self._budget.settle(entry.reservation, usd)
            entry.done.set_result(Delivered(outcome, usd, time.perf_counter() - entry.queued, entry.reservation))

    def _fail(self, entry: _Entry, error: ModelError, *, lost: bool) -> None:
        if entry.reservation is not None:
            usd = entry.reservation.usd if lost else 0.0
            if error.usage is not None:
                usd = self._tariff.cost(entry.name, entry.request, error.usage, batch=True)
            self._budget.fail(entry.reservation, usd, str(error), lost=lost)
            entry.reservation = None
        _raise_to(entry, error)

    async def _logged(self, entries: Sequence[_Entry]) -> bool:
        """Returns when every reply is committed, or False where one never will be because its asker was stopped."""
        left = [entry for entry in entries if entry.done.cancelled() or entry.done.exception() is None]
        while left:
            if self._store.reply(left[-1].key) is not None:
                left.pop()
            elif self._closing or left[-1].done.cancelled():
                return False
            else:
                await asyncio.sleep(_LOGGED_POLL)
        return True

    async def _finish(self, wave: Wave, client: BatchClient) -> None:
        """Deletes at the provider what is safe here, unless there are calls that nobody has asked for again yet."""
        if wave.id in self._attached or any(self._home.get(key) == wave.id for key in wave.keys):
            return
        assert wave.batch is not None
        await client.forget(wave.batch)
        self._close(wave)

    def _close(self, wave: Wave) -> None:
        """Closes a wave; calls in it that nobody has asked for again are free."""
        for key in wave.keys:
            if self._home.get(key) == wave.id:
                del self._home[key]
                if reservation := self._budget.adopted.pop(key, None):
                    self._budget.fail(reservation, 0.0, "", lost=False)
        self._store.put_wave(wave._replace(state="done"))
        self._found.pop(wave.id, None)


def _of_failed_batch(outcome: Reply | ModelError) -> Reply | ModelError:
    """A batch that failed as a whole says nothing of its single calls: they can be asked again."""
    if isinstance(outcome, ModelError) and not (outcome.retry or outcome.fatal):
        return ModelError(str(outcome), retry=True)
    return outcome


def _raise_to(entry: _Entry, error: Exception) -> None:
    """Has the call's asker raise the error: a copy of its own, since every raise adds to the one it raises."""
    if not entry.done.done():
        entry.done.set_exception(copy.copy(error) if isinstance(error, ModelError | SynthError) else error)
