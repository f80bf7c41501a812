"""How many calls to a model may be in flight, found from how its answers come.

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

import math

_START = 8
"""Calls in flight at first."""
_STRAIN = math.log(1.75)
"""Rise of latency (logarithm) over the calm one from which a growing limit is tried at half."""
_STRAIN_SETTLED = math.log(2.1)
"""The same for a limit that has settled and so has a queue of its own, and the most that a higher one may bring."""
_EASE = math.log(1.25)
"""Rise of latency below which a trial after the first goes no lower."""
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
_PROBE_ROUNDS, _PROBE_ANSWERS = 20, 64
"""Round trips and answers, at least, between two tries of more than what is known to work."""
_PROBE = 0.05
"""Share by which the first such try raises the ceiling."""
_RECOVERY = 1 / 8
"""Slots added per answer after a decrease."""
_DECREASE = 0.8
_RECENT = 16
"""Calls over which shares are taken."""
_FORGOTTEN = 256
"""Calls after which what is known of refusals without load fades."""
_OUTAGE = 0.6
"""Share of refused calls from which the provider takes none at the moment."""
_MANY_FAILED = 0.3
"""Share of failed calls from which failures count as overload: single ones happen at any load."""
_LONGEST_PAUSE = 30.0
"""Seconds, where the provider names none."""


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


class Window:
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
            self._refused_alone -= self._refused_alone / _FORGOTTEN
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
            rise = measured.rise(self._calm)[0]
            if self._trial == _DOWN and self._step < 1 and rise < _EASE:
                pays = True  # as calm as when the limit last settled: lower ones only cost answers
            elif self._trial == _UP and rise > _STRAIN_SETTLED:
                pays = False
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
