"""The limiter against model servers, in simulated time: the real asyncio code on a loop whose clock jumps."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

from synth.llm.limiter import Limiter, Limits


class _Jump(selectors.SelectSelector):
    """Waits by moving the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everyone waits for each other"
        self.now += timeout
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def simulate(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class Refused(Exception):
    def __init__(self, retry_after: float | None = None) -> None:
        self.retry_after = retry_after


class Flat:
    """Latency does not depend on load."""

    in_flight = 0

    async def serve(self, service: float) -> None:
        await asyncio.sleep(service)


class Drifting(Flat):
    """Latency grows with time, as conversations get longer: it is five times as long after a minute."""

    async def serve(self, service: float) -> None:
        await asyncio.sleep(service * (1 + now() / 15))


class Slots(Flat):
    """A queue before a number of slots, which may change once."""

    def __init__(self, slots: int, later: int = 0, at: float = float("inf")) -> None:
        self._slots, self._later, self._at = slots, later, at
        self._busy = 0
        self._queue: list[asyncio.Future[None]] = []
        self._work: list[tuple[float, float]] = []

    def used(self, start: float) -> float:
        """Share of the slots' time from a time on that was used."""
        first, last = (max(start, self._work[index][0]) for index in (0, -1))
        return sum(service for end, service in self._work if end >= start) / (last - first) / self.slots_now

    @property
    def slots_now(self) -> int:
        return self._slots if self._work[-1][0] < self._at else self._later

    async def serve(self, service: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._start()
        await turn
        await asyncio.sleep(service)
        self._work.append((now(), service))
        self._busy -= 1
        self._start()

    def _start(self) -> None:
        while self._queue and self._busy < (self._slots if now() < self._at else self._later):
            self._busy += 1
            self._queue.pop(0).set_result(None)


class Batching(Flat):
    """Twice the latency at 128 in flight, three times at 255: throughput keeps growing."""

    async def serve(self, service: float) -> None:
        await asyncio.sleep(service * self.slowdown(self.in_flight))

    @staticmethod
    def slowdown(in_flight: int) -> float:
        return 1 + (in_flight - 1) / 127


class HardLimit(Flat):
    """Refuses what is above its slots, and in an outage everything."""

    def __init__(self, slots: int, refusal_seconds: float, outage: tuple[float, float] = (0, 0)) -> None:
        self._slots, self._refusal_seconds, self._outage = slots, refusal_seconds, outage
        self._busy = 0

    async def serve(self, service: float) -> None:
        if self._busy >= self._slots or self._outage[0] <= now() < self._outage[1]:
            await asyncio.sleep(self._refusal_seconds)
            raise Refused
        self._busy += 1
        await asyncio.sleep(service)
        self._busy -= 1


class RateLimit(Flat):
    """A bucket with a second's worth of calls, and the wait until the next one with each refusal."""

    def __init__(self, per_second: float) -> None:
        self._rate = self._level = per_second
        self._filled_at = 0.0

    async def serve(self, service: float) -> None:
        self._level = min(self._rate, self._level + (now() - self._filled_at) * self._rate)
        self._filled_at = now()
        if self._level < 1:
            missing = 1 - self._level
            await asyncio.sleep(0.02)
            raise Refused(missing / self._rate)
        self._level -= 1
        await asyncio.sleep(service)


class Failing(Flat):
    """Fails for a share of the calls."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random(1)

    async def serve(self, service: float) -> None:
        await asyncio.sleep(service)
        if self._random.random() < self._share:
            raise ConnectionError


class Capricious(HardLimit):
    """Refuses three calls in ten for a while, whatever the load, besides those above its slots."""

    def __init__(self, slots: int, until: float) -> None:
        super().__init__(slots, 0.02)
        self._until = until
        self._random = random.Random(1)

    async def serve(self, service: float) -> None:
        if now() < self._until and self._random.random() < 0.3:
            raise Refused
        await super().serve(service)


ONE_KIND = {"need": 1.0}
KINDS = {"greet": 0.2, "need": 1.0, "review": 2.0}
RANDOM_MEAN = 1.082
"""Mean of a factor whose logarithm is uniform between that of 1/2 and that of 2."""


class Run:
    """Callers that call without a break.

    Args:
        kinds: usual seconds of service by kind of call; callers mix them evenly.
        scattered: service takes from half to twice the usual.
    """

    def __init__(
        self,
        server: Flat,
        callers: int,
        seconds: float,
        *,
        limits: Limits | None = None,
        kinds: dict[str, float] = ONE_KIND,
        scattered: bool = False,
        seed: int = 0,
        tokens: int = 1,
    ) -> None:
        self.seconds = seconds
        self.left: list[float] = []
        self.answers: list[float] = []
        self.refusals: list[float] = []
        self.levels: list[tuple[float, int]] = []
        simulate(self._run(server, callers, limits or Limits(), kinds, scattered, seed, tokens))

    def rate(self, start: float) -> float:
        """Answers per second from a time on."""
        return sum(time >= start for time in self.answers) / (self.seconds - start)

    def refused(self, start: float) -> float:
        """Share of calls that were refused from a time on."""
        refused = sum(time >= start for time in self.refusals)
        return refused / (refused + sum(time >= start for time in self.answers))

    def in_flight(self, start: float) -> float:
        """Mean calls in flight from a time on."""
        levels = [level for time, level in self.levels if time >= start]
        return sum(levels) / len(levels)

    async def _run(
        self,
        server: Flat,
        callers: int,
        limits: Limits,
        kinds: dict[str, float],
        scattered: bool,
        seed: int,
        tokens: int,
    ) -> None:
        limiter = self.limiter = Limiter(limits, clock=asyncio.get_running_loop().time)

        async def call(number: int) -> None:
            draw = random.Random(1000 * seed + number)
            while True:
                kind = draw.choice(list(kinds))
                service = kinds[kind] * (2 ** draw.uniform(-1, 1) if scattered else 1)
                await limiter.acquire(number, tokens)
                left = now()
                self.left.append(left)
                server.in_flight += 1
                try:
                    await server.serve(service)
                except Refused as refusal:
                    self.refusals.append(now())
                    limiter.throttled(refusal.retry_after)
                except ConnectionError:
                    limiter.failed()
                else:
                    self.answers.append(now())
                    limiter.answered(kind, now() - left)
                finally:
                    server.in_flight -= 1

        tasks = [asyncio.create_task(call(number)) for number in range(callers)]
        while now() < self.seconds:
            self.levels.append((now(), limiter.in_flight))
            await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# ---- slow start, and staying where callers want to be


def test_ramp_doubles_to_what_callers_want_and_stays() -> None:
    run = Run(Flat(), 256, 25)
    assert run.levels[0][1] == 0 and run.levels[1][1] == 8
    assert next(time for time, level in run.levels if level == 256) <= 5.5
    assert run.rate(7) >= 0.97 * 256
    assert run.limiter.peak == 256
    assert run.limiter.limit <= 260


@pytest.mark.parametrize("kinds", [ONE_KIND, KINDS])
def test_scattered_latencies_of_several_kinds_hold_nobody_back(kinds: dict[str, float]) -> None:
    run = Run(Flat(), 128, 60, kinds=kinds, scattered=True)
    ideal = 128 / RANDOM_MEAN / (sum(kinds.values()) / len(kinds))
    assert run.rate(10) >= 0.97 * ideal
    assert run.in_flight(10) == 128


def test_the_limit_grows_only_while_it_is_used() -> None:
    run = Run(Flat(), 3, 60)
    assert run.limiter.limit == 8
    assert run.limiter.peak == 3


def test_latency_that_grows_by_itself_lowers_the_limit_for_a_moment_only() -> None:
    run = Run(Drifting(), 64, 120, scattered=True)
    assert run.in_flight(10) >= 0.85 * 64


def test_caller_cap_holds() -> None:
    run = Run(Flat(), 100, 20, limits=Limits(max_concurrency=20))
    assert run.limiter.peak == 20
    assert run.rate(5) >= 0.97 * 20
    assert Run(Flat(), 100, 5, limits=Limits(max_concurrency=3)).limiter.peak == 3


# ---- a server of one's own


@pytest.mark.parametrize(
    ("slots", "seconds", "scattered"),
    [(2, 700, False), (4, 400, True), (20, 150, False), (20, 150, True), (50, 80, True)],
)
def test_queue_before_slots_stays_short_and_never_empty(slots: int, seconds: float, scattered: bool) -> None:
    server = Slots(slots)
    run = Run(server, 8 * slots + 60, seconds, scattered=scattered, seed=1)
    assert server.used(seconds / 2) >= 0.95
    assert 1.2 * slots <= run.in_flight(seconds / 2) <= 2.5 * slots


def test_queue_before_slots_with_several_kinds() -> None:
    server = Slots(20)
    run = Run(server, 256, 200, kinds=KINDS, scattered=True)
    assert server.used(100) >= 0.95
    assert 1.2 * 20 <= run.in_flight(100) <= 2.5 * 20


@pytest.mark.parametrize("callers", [128, 256])
def test_a_server_that_batches_is_used_up_to_what_it_gains(callers: int) -> None:
    run = Run(Batching(), callers, 90, scattered=True)
    assert run.rate(40) >= 0.97 * callers / Batching.slowdown(callers) / RANDOM_MEAN


@pytest.mark.parametrize(("before", "after"), [(10, 30), (30, 10)])
def test_a_server_that_changes_its_slots_is_followed(before: int, after: int) -> None:
    server = Slots(before, after, at=60)
    run = Run(server, 150, 300, scattered=True)
    assert server.used(200) >= 0.95
    assert run.in_flight(200) <= 3 * after


# ---- refusals


@pytest.mark.parametrize("slots", [4, 50])
@pytest.mark.parametrize("refusal_seconds", [0.02, 1.0])
def test_hard_limit_is_found_and_remembered(slots: int, refusal_seconds: float) -> None:
    run = Run(HardLimit(slots, refusal_seconds), 128, 200, scattered=True)
    assert run.refused(100) <= 0.02
    assert run.rate(100) >= 0.85 * slots / RANDOM_MEAN


def test_rate_limit_is_found() -> None:
    run = Run(RateLimit(20), 128, 160, scattered=True)
    assert run.refused(60) <= 0.02
    assert run.rate(60) >= 0.85 * 20


def test_outage_is_waited_for_and_what_was_known_before_is_kept() -> None:
    run = Run(HardLimit(60, 0.05, outage=(30, 60)), 128, 150, scattered=True)
    assert sum(30 <= time < 60 for time in run.refusals) <= 120
    assert run.limiter.pauses >= 3
    assert run.rate(90) >= 0.85 * 60 / RANDOM_MEAN


def test_refusals_for_no_load_of_ours_do_not_end_at_one_call_at_a_time() -> None:
    run = Run(Capricious(64, until=150), 64, 150)
    assert run.rate(50) >= 1.5


def test_refusals_for_our_load_are_not_tolerated_after_others() -> None:
    run = Run(Capricious(10, until=100), 64, 400)
    assert run.refused(250) <= 0.02
    assert run.rate(250) >= 0.85 * 10


def test_retry_after_holds_everyone_and_they_come_back_spread() -> None:
    left: list[float] = []

    async def main() -> None:
        limiter = Limiter(Limits(), clock=asyncio.get_running_loop().time)

        async def call(number: int) -> None:
            await limiter.acquire(number, 1)
            left.append(now())
            await asyncio.sleep(1)
            limiter.answered("need", 1)

        await asyncio.gather(*(call(number) for number in range(24)))
        await asyncio.gather(*(limiter.acquire(number, 1) for number in range(8)))
        limiter.throttled(5)
        for _ in range(7):
            limiter.answered("need", 1)
        assert limiter.pauses == 1
        assert limiter.limit == 4
        left.clear()
        refused_at = now()
        await asyncio.gather(*(call(number) for number in range(8)))
        # Four may be in flight, so that in each second four leave, and not together.
        assert [round(time - refused_at, 2) for time in left[:5]] == [5, 5.25, 5.5, 5.75, 6]

    simulate(main())


def test_a_refusal_of_the_only_call_is_not_for_too_many() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(), clock=asyncio.get_running_loop().time)
        for _ in range(8):
            await limiter.acquire(0, 1)
        for _ in range(8):
            limiter.throttled(None)
        assert limiter.limit == 4
        await asyncio.sleep(2)
        await limiter.acquire(0, 1)
        limiter.throttled(3)
        assert limiter.limit == 4
        await limiter.acquire(0, 1)
        assert now() >= 5

    simulate(main())


def test_decreases_once_per_round_trip() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(), clock=asyncio.get_running_loop().time)
        for _ in range(8):
            await limiter.acquire(0, 1)
        for _ in range(4):
            limiter.throttled(None)
        assert limiter.limit == 4
        assert limiter.in_flight == 4

    simulate(main())


# ---- failures


def test_single_failures_change_nothing() -> None:
    run = Run(Failing(share=0.05), 64, 60)
    assert run.in_flight(10) >= 60


def test_many_failures_are_overload() -> None:
    run = Run(Failing(share=0.6), 64, 60)
    assert run.in_flight(20) <= 8


# ---- caps per minute


def heaviest_minute(left: list[float]) -> int:
    """Most calls that left within any minute, its end excluded."""
    return max(sum(start <= time < start + 60 for time in left[i : i + 2000]) for i, start in enumerate(left))


def test_calls_per_minute() -> None:
    run = Run(Flat(), 30, 200, limits=Limits(rpm=120))
    assert heaviest_minute(run.left) <= 120
    assert len(run.left) >= 0.97 * 120 * 200 / 60
    assert sum(time < 5 for time in run.left) <= 6 + 11  # a few seconds' worth, then evenly


def test_one_call_per_minute() -> None:
    run = Run(Flat(), 3, 190, limits=Limits(rpm=1))
    assert len(run.left) == 4
    assert heaviest_minute(run.left) == 1


@pytest.mark.parametrize("tokens", [90, 1500])  # below and above a few seconds' worth
def test_tokens_per_minute(tokens: int) -> None:
    run = Run(Flat(), 30, 300, limits=Limits(tpm=9000), tokens=tokens)
    assert heaviest_minute(run.left) * tokens <= 9000
    assert len(run.left) * tokens >= 0.9 * 9000 * 300 / 60


def test_a_call_above_the_cap_leaves_alone_in_its_minute() -> None:
    run = Run(Flat(), 4, 250, limits=Limits(tpm=1000), tokens=1200)
    assert 3 <= len(run.left) <= 4
    assert heaviest_minute(run.left) == 1


# ---- turns


def test_older_conversations_first_then_in_order_of_arrival() -> None:
    order: list[str] = []

    async def main() -> None:
        limiter = Limiter(Limits(max_concurrency=1))

        async def call(name: str, priority: int) -> None:
            await limiter.acquire(priority, 1)
            order.append(name)
            limiter.released()

        await limiter.acquire(0, 1)
        tasks = [asyncio.create_task(call(name, int(name[0]))) for name in ("7a", "3a", "7b", "1a", "3b")]
        await asyncio.sleep(0)
        assert limiter.waiting == 5
        limiter.released()
        await asyncio.gather(*tasks)
        assert limiter.in_flight == limiter.waiting == 0

    simulate(main())
    assert order == ["1a", "3a", "3b", "7a", "7b"]


@pytest.mark.parametrize("its_turn_came", [False, True])
def test_a_cancelled_wait_loses_nothing(its_turn_came: bool) -> None:
    async def main() -> None:
        limiter = Limiter(Limits(max_concurrency=1, rpm=2, tpm=200), clock=asyncio.get_running_loop().time)
        await limiter.acquire(0, 100)
        first, second = (asyncio.create_task(limiter.acquire(number, 100)) for number in (1, 2))
        await asyncio.sleep(30)
        if its_turn_came:
            limiter.released()
        first.cancel()
        await asyncio.sleep(0)
        if not its_turn_came:
            limiter.released()
        await second
        assert first.cancelled()
        assert (limiter.in_flight, limiter.waiting) == (1, 0)
        assert now() == pytest.approx(30)  # two may leave in a minute, and the cancelled one was none of them
        limiter.released()
        await limiter.acquire(3, 100)
        assert now() == pytest.approx(60)

    simulate(main())


def test_the_same_answers_give_the_same_limits() -> None:
    one, two = (Run(Slots(8), 64, 60, kinds=KINDS, scattered=True, seed=5) for _ in range(2))
    assert one.levels == two.levels
    assert one.left == two.left
