"""When a model call may leave: one limiter per provider and model, on one event loop.

How many may be in flight is found by `window`; caps per minute are kept by `minute`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from synth.llm.minute import MinuteCap
from synth.llm.window import Window


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
        self._window = Window(limits.max_concurrency or math.inf)
        self._requests = MinuteCap(limits.rpm) if limits.rpm else None
        self._tokens = MinuteCap(limits.tpm) if limits.tpm else None
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
