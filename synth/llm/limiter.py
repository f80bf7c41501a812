"""When a model call may leave: one limiter per provider and model, on one event loop.

The limit on calls in flight is found, not configured. The rules are those of congestion control:

- *Slow start* (TCP): from 8, every answer that comes while all slots are in use adds a slot; that doubles the limit per
  round trip.
- *Saturation* is judged by throughput gained, as BBR does, not by latency alone. By Little's law the calls in flight
  are answers per second times latency. So when latencies strain (as they also do behind a server that batches, or as
  conversations get longer), the limit is tried at half, and at half again while that costs hardly any answers per
  second (trials of rates against each other are from PCC). Where the server does saturate, its slots are the best
  throughput seen times the calm latency, and the limit becomes half as much again: the queue is short and never empty.
  Where it does not, the limit returns to where it was. From time to time a settled limit is tried half as large again.
- *Refusals* (429, 529): multiplicative decrease, once per round trip, and a remembered ceiling (as in NeMo Data
  Designer), raised in small steps, each a while after the last, that double as long as nothing is refused. A provider
  that refuses nearly everything is left alone for longer and longer; afterwards slow start leads back to the ceiling.

Latencies are compared within each kind of call, whose usual ones differ tenfold, and as logarithms, since single
answers may be later than that. Rounds are counted in answers; seconds matter for pauses and caps per minute only.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_START = 8
"""Calls in flight at first."""
_STRAIN = math.log(1.75)
"""Rise of latency (logarithm) over the calm one from which a growing limit is tried at half."""
_STRAIN_SETTLED = math.log(2.1)
"""The same for a limit that has settled and so has a queue of its own."""
_EASE = math.log(1.25)
"""Rise of latency below which a trial of a settled limit goes no lower."""
_RELIEF = math.log(0.75)
"""Rise of latency below which what was taken for calm was not."""
_WORTH = 0.65
"""Growth pays while latency grows by less than this power of the calls in flight: twice as many calls give a quarter
more answers per second, the measure by which BBR ends its start."""
_TELLING = math.log(1.2)
"""Change of load (logarithm) from which two rounds can be compared."""
_HEADROOM = 1.5
"""Settled limit per slot of the server."""
_SAMPLE = 8
"""Answers in a round, at least; and of each kind for the first calm latency."""
_LARGEST_SAMPLE = 48
"""Answers after which a trial is decided, sure or not."""
_SURE = 2.0
"""Standard errors between what a trial measured and the mark that decides it."""
_DOWN, _UP = 0.5, 1.5
_PROBE_ROUNDS, _PROBE_ANSWERS = 20, 100
"""Round trips and answers, at least, between two tries of more than what is known to work."""
_PROBE = 0.05
"""Share by which the first such try raises the ceiling."""
_RECOVERY = 1 / 8
"""Slots added per answer after a decrease."""
_DECREASE = 0.8
_RECENT = 16
"""Calls over which shares are taken."""
_OUTAGE = 0.6
"""Share of refused calls from which the provider takes none at the moment."""
_MANY_FAILED = 0.3
"""Share of failed calls from which failures count as overload: single ones happen at any load."""
_LONGEST_PAUSE = 30.0
"""Seconds, where the provider names none."""
_MINUTE = 60.0
_BURST = 3.0
"""Seconds' worth of a cap per minute that may leave at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user allows; 0 for no limit."""

    max_concurrency: int = 0
    """Calls in flight."""
    rpm: int = 0
    """Calls in any minute."""
    tpm: int = 0
    """Tokens in any minute, by estimate before the call."""


class Limiter:
    """Lets calls leave, older conversations first. To be used within one event loop.

    Every `acquire` that returned is followed by exactly one of `answered`, `throttled`, `failed` and `released`.

    Args:
        clock: seconds; monotonic.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = _Window(limits.max_concurrency or math.inf)
        self._requests = _Cap(limits.rpm) if limits.rpm else None
        self._tokens = _Cap(limits.tpm) if limits.tpm else None
        self._queue: list[tuple[int, int, int, asyncio.Future[float]]] = []
        """Heap of priority, order of arrival, tokens, and what becomes the time of leaving."""
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._open_at = -math.inf
        self._spread = 0
        self.in_flight = 0
        """Calls that left and did not come back."""
        self.waiting = 0
        """Calls that want to leave."""
        self.peak = 0
        """Most calls that were in flight at once."""
        self.pauses = 0
        """Times that everyone had to wait because the provider refused a call."""

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._window.limit)

    async def acquire(self, priority: int, tokens: int) -> None:
        """Returns when the call may leave.

        Args:
            priority: lower numbers first, then in order of arrival; the number of the item the call belongs to.
            tokens: input and output, estimated.
        """
        if not self.waiting and self.in_flight < self.limit and self._delay(tokens) <= 0:
            self._leave(tokens)
            return
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._queue, (priority, self._arrivals, tokens, turn))
        self.waiting += 1
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self.waiting -= 1
            else:
                # Its turn came in the same step of the loop: it never left.
                self._take_back(turn.result(), tokens)
            self._admit()
            raise

    def answered(self, kind: str, seconds: float) -> None:
        """An answer came.

        Args:
            kind: name of the agent call; latencies are compared within one kind.
            seconds: from leaving to the last byte.
        """
        self._window.answered(kind, seconds, self.in_flight, self._clock())
        self.released()

    def throttled(self, retry_after: float | None) -> None:
        """The provider gets too many calls (429, 529). Nobody leaves until it wants calls again.

        Args:
            retry_after: seconds that the provider asks to wait; None where it names none.
        """
        now = self._clock()
        pause = self._window.throttled(retry_after, self.in_flight, now)
        # Those next leave over one usual round trip: not as one burst, and no faster where refusals come at once.
        self._spread = self.limit
        self._open_at = max(self._open_at, now + pause)
        self.pauses += pause > 0
        self.released()

    def failed(self) -> None:
        """The server failed (5xx), was too late, or the connection broke."""
        self._window.failed(self.in_flight, self._clock())
        self.released()

    def released(self) -> None:
        """The call is over and says nothing about load: cancelled, or refused for what it was (400)."""
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        """Lets those leave whose turn it is."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._queue and self.in_flight < self.limit:
            _, _, tokens, turn = self._queue[0]
            if turn.cancelled():
                heapq.heappop(self._queue)
                continue
            delay = self._delay(tokens)
            if delay > 0:
                self._timer = turn.get_loop().call_later(delay, self._admit)
                return
            heapq.heappop(self._queue)
            self.waiting -= 1
            turn.set_result(self._leave(tokens))

    def _delay(self, tokens: int) -> float:
        """Seconds until caps and pauses let a call leave."""
        if not (self._requests or self._tokens or self._spread):
            return 0.0
        now = self._clock()
        delay = self._open_at - now if self._spread else 0.0
        if self._requests:
            delay = max(delay, self._requests.delay(now, 1))
        if self._tokens:
            delay = max(delay, self._tokens.delay(now, tokens))
        return delay

    def _leave(self, tokens: int) -> float:
        """Counts a call as in flight; the time, where a cap needs it."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        if not (self._requests or self._tokens or self._spread):
            return 0.0
        now = self._clock()
        if self._requests:
            self._requests.take(now, 1)
        if self._tokens:
            self._tokens.take(now, tokens)
        if self._spread:
            self._spread -= 1
            self._open_at = now + self._window.usual / self.limit
        return now

    def _take_back(self, left: float, tokens: int) -> None:
        self.in_flight -= 1
        if self._requests:
            self._requests.give_back(left, 1)
        if self._tokens:
            self._tokens.give_back(left, tokens)


class _Latencies:
    """Logarithms of latencies by kind of call, and how many calls were in flight when they were seen."""

    __slots__ = ("_in_flight", "_kinds", "count")

    def __init__(self) -> None:
        self.count = 0
        self._in_flight = 0
        self._kinds: dict[str, tuple[int, float, float]] = {}
        """Count, sum and sum of squares."""

    def add(self, kind: str, log_seconds: float, in_flight: int) -> None:
        self.count += 1
        self._in_flight += in_flight
        count, total, squares = self._kinds.get(kind, (0, 0.0, 0.0))
        self._kinds[kind] = count + 1, total + log_seconds, squares + log_seconds * log_seconds

    def knows(self, kind: str) -> bool:
        """Whether there are enough of a kind to compare with."""
        return kind in self._kinds and self._kinds[kind][0] >= _SAMPLE

    @property
    def load(self) -> float:
        """Mean calls in flight."""
        return self._in_flight / self.count

    def rise(self, other: _Latencies) -> tuple[float, float]:
        """How much longer calls took here than there, as a logarithm, and its standard error; 0 for no common kind.

        Kinds weigh by how well they are known and by the time they take: that is how they fill slots.
        """
        weights = longer = variance = scatter = 0.0
        freedom = 0
        for kind, (count, total, squares) in self._kinds.items():
            if kind in other._kinds:
                count_, total_, squares_ = other._kinds[kind]
                known = count * count_ / (count + count_)
                weight = known * math.exp(total_ / count_)
                weights += weight
                longer += weight * math.exp(total / count - total_ / count_)
                variance += weight * weight / known
                scatter += squares - total * total / count + squares_ - total_ * total_ / count_
                freedom += count + count_ - 2
        if not weights:
            return 0.0, 0.0
        return math.log(longer / weights), math.sqrt(max(scatter, 0.0) / max(freedom, 1) * variance) / weights


class _Window:
    """The limit on calls in flight, as the provider's answers move it.

    Everywhere, `in_flight` counts the call that just came back, and `now` is in seconds.

    Args:
        cap: the most the user allows.
    """

    def __init__(self, cap: float) -> None:
        self.limit = min(float(_START), cap)
        self._cap = cap
        self._ceiling = math.inf
        """The highest limit thought not to be refused."""
        self._boost = _PROBE
        self._step = 1.0
        """Slots per answer: 1 from the start, fewer after a decrease, none where the server is saturated."""
        self._at_rest = 0
        """Answers since the limit stopped growing though all of it was used."""
        self._calm = _Latencies()
        """Latencies at the load from which growth last paid."""
        self._round = _Latencies()
        self._unsettled = 0
        """Answers still to come of calls that left before the limit changed."""
        self._trial = 0.0
        """Factor of the trial going on (`_DOWN` or `_UP`); 0 for none."""
        self._levels: list[_Latencies] = []
        """What the trial has measured: the limit as it was, then each tried one at which the server was saturated."""
        self._before = self.limit
        self.usual = 0.0
        """Seconds that calls took recently; 0 before the first answer."""
        self._refused = self._failed = 0.0
        """Shares of recent calls."""
        self._refused_alone = 0.0
        """Share of calls that were refused with no other in flight: not for the load we make, and so tolerated."""
        self._decreased_at = -math.inf
        self._answered = True
        """Whether a call was answered that left after the last decrease."""
        self._shows_at = -math.inf
        """When the last decrease shows: refusals before are still of calls that left before it."""
        self._outages = 0
        """Decreases one after the other at which nearly everything was refused."""

    def answered(self, kind: str, seconds: float, in_flight: int, now: float) -> None:
        self.usual += (seconds - self.usual) / _RECENT if self.usual else seconds
        self._returned(in_flight)
        if now - seconds >= self._decreased_at:
            self._answered = True
            self._outages = 0
        log_seconds = math.log(max(seconds, 1e-6))
        if not self._calm.knows(kind):
            self._calm.add(kind, log_seconds, in_flight)
        if not self._trial and in_flight >= int(self.limit):
            self._grow(in_flight)
        if self._unsettled:
            self._unsettled -= 1
            return
        self._round.add(kind, log_seconds, in_flight)
        if self._trial:
            size = max(2 * _SAMPLE, in_flight)
        else:
            size = max(_SAMPLE, in_flight // 4) if self._step == 1.0 else max(4 * _SAMPLE, in_flight)
        if self._round.count >= size:
            self._judge(in_flight)

    def throttled(self, retry_after: float | None, in_flight: int, now: float) -> float:
        """Seconds for which nobody may leave."""
        self._returned(in_flight, refused=True)
        pause = retry_after or 0.0
        if now < self._shows_at:
            return pause
        if self._refused <= min(2 * self._refused_alone, _OUTAGE):
            # As many are refused when one call is in flight: decreases are in vain.
            self._ceiling = math.inf
            return pause
        outage = self._refused > _OUTAGE
        if in_flight == 1 and not outage:
            return pause  # one is not too many: it came too early
        if outage:
            if retry_after is None:
                pause = min(2.0**self._outages, _LONGEST_PAUSE)
            self._outages += 1
        if self._answered and in_flight > 1:
            # Only then does the refusal say how many calls are too many: some are answered, this one is not.
            tried = min(self.limit, float(in_flight))
            self._ceiling = max(1.0, min(tried * 0.95, tried - 1))
            self._boost = _PROBE
        self._decrease(0.5 if self._step == 1.0 else min(_DECREASE, max(0.5, 1 - self._refused)), in_flight, now)
        if outage:
            self._step = 1.0
        self._shows_at = now + (pause if outage and pause else max(pause, self.usual or 1.0))
        return pause

    def failed(self, in_flight: int, now: float) -> None:
        self._returned(in_flight, failed=True)
        if self._failed > _MANY_FAILED and now >= self._shows_at:
            self._decrease(_DECREASE, in_flight, now)
            self._shows_at = now + self.usual

    def _returned(self, in_flight: int, *, refused: bool = False, failed: bool = False) -> None:
        self._refused += (refused - self._refused) / _RECENT
        self._failed += (failed - self._failed) / _RECENT
        if in_flight > 1:
            self._refused_alone += (min(self._refused, self._refused_alone) - self._refused_alone) / (16 * _RECENT)
        elif self._refused <= _OUTAGE:
            self._refused_alone += (refused - self._refused_alone) / _RECENT

    def _decrease(self, factor: float, in_flight: int, now: float) -> None:
        self._set(min(self.limit, float(in_flight)) * factor, in_flight)
        self._step = _RECOVERY
        self._trial = 0.0
        self._levels = []
        self._at_rest = 0
        self._answered = False
        self._decreased_at = now

    def _grow(self, in_flight: int) -> None:
        """An answer came while the whole limit was in use."""
        top = min(self._cap, self._ceiling)
        if self._step and self.limit < top:
            self.limit = min(top, self.limit + self._step)
            self._at_rest = 0
            return
        if self._step:
            self._step = _RECOVERY
        self._at_rest += 1
        if self.limit >= self._cap or self._at_rest < max(_PROBE_ROUNDS * self.limit, _PROBE_ANSWERS):
            return
        self._at_rest = 0
        if self._step:
            self._ceiling = max(self._ceiling * (1 + self._boost), self._ceiling + 1)
            self._boost = min(1.0, self._boost * 2)
        elif self.limit < top:
            self._try(_UP, in_flight)

    def _judge(self, in_flight: int) -> None:
        """Draws the conclusion from a full round."""
        measured = self._round
        if self._levels:
            pays = _pays(self._levels[-1], measured)
            if self._trial == _DOWN and not self._step and measured.rise(self._calm)[0] < _EASE:
                pays = True  # as calm as when the limit settled: lower ones only cost answers
            if pays is None:
                return
            self._conclude(measured, pays, in_flight)
        elif self._trial == _UP:
            self._levels.append(measured)
            self._set(max(self.limit * _UP, self.limit + 1), in_flight)
        elif (rise := measured.rise(self._calm)[0]) <= (_STRAIN if self._step else _STRAIN_SETTLED):
            self._trial = 0.0
            if rise < _RELIEF:
                self._calm = measured
        elif not self._trial:
            self._try(_DOWN, in_flight)
        else:  # strained at a limit that stood still
            self._levels.append(measured)
            self._set(min(self.limit, measured.load) * _DOWN, in_flight)
        self._round = _Latencies()

    def _try(self, factor: float, in_flight: int) -> None:
        """Begins a trial; the limit stands still first, so that there is a round to compare with."""
        self._trial = factor
        self._before = self.limit
        self._set(self.limit, in_flight)

    def _conclude(self, measured: _Latencies, pays: bool, in_flight: int) -> None:
        """Ends a trial, or goes on with it one level down."""
        limit = self._before
        if self._trial == _UP:
            if pays:
                limit = self.limit
                self._step = _RECOVERY
        elif pays:
            self._calm = measured
            if len(self._levels) > 1:
                slots = max(level.load / math.exp(level.rise(measured)[0]) for level in self._levels)
                limit = min(limit, float(round(max(slots * _HEADROOM, slots + 1))))
                self._step = 0.0
        else:
            self._levels.append(measured)
            self._set(measured.load * _DOWN, in_flight)
            return
        self._trial = 0.0
        self._levels = []
        self._at_rest = 0
        self._set(limit, in_flight)

    def _set(self, limit: float, in_flight: int) -> None:
        """A new limit; the answers to calls that left under the old one are not judged."""
        self.limit = max(1.0, min(limit, self._cap, self._ceiling))
        self._unsettled = max(in_flight, int(self.limit))
        self._round = _Latencies()


def _pays(one: _Latencies, other: _Latencies) -> bool | None:
    """Whether the higher of two loads gives clearly more answers per second; None where that is not sure yet.

    Loads too near each other cannot be compared: then nothing is held against the higher one.
    """
    low, high = sorted((one, other), key=lambda level: level.load)
    growth = math.log(high.load / low.load)
    if growth < _TELLING:
        return True
    rise, error = high.rise(low)
    doubt = abs(rise - _WORTH * growth) < _SURE * error
    return None if doubt and other.count < _LARGEST_SAMPLE else rise < _WORTH * growth


class _Cap:
    """An amount per minute: a bucket that refills continuously, for evenness, within a window that is never exceeded.

    Args:
        per_minute: calls or tokens.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._rate = per_minute / _MINUTE
        self._size = max(1.0, self._rate * _BURST)
        self._level = self._size
        self._filled_at = -math.inf
        self._taken: deque[tuple[float, int]] = deque()
        """Time and amount of what left within the last minute."""
        self._sum = 0

    def delay(self, now: float, amount: int) -> float:
        """Seconds until the amount may leave; one above the cap leaves alone in its minute."""
        taken = self._taken
        while taken and taken[0][0] <= now - _MINUTE:
            self._sum -= taken.popleft()[1]
        missing = min(amount, self._size) - self._level_at(now)
        delay = missing / self._rate if missing > 0 else 0.0
        excess = self._sum + min(amount, self._per_minute) - self._per_minute
        for left, part in taken:
            if excess <= 0:
                break
            excess -= part
            delay = max(delay, left + _MINUTE - now)
        # Far below any wait that matters, and rounding cannot make the timer ring again and again.
        return max(delay, 1e-3) if delay > 0 else 0.0

    def take(self, now: float, amount: int) -> None:
        self._level = self._level_at(now) - amount
        self._filled_at = now
        self._taken.append((now, amount))
        self._sum += amount

    def give_back(self, left: float, amount: int) -> None:
        """What was taken at a time did not leave."""
        self._level += amount
        if (left, amount) in self._taken:
            self._taken.remove((left, amount))
            self._sum -= amount

    def _level_at(self, now: float) -> float:
        return min(self._size, self._level + (now - self._filled_at) * self._rate)
