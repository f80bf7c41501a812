"""Caps per minute."""

from __future__ import annotations

import math
from collections import deque

_MINUTE = 60.0
_BURST = 3.0
"""Seconds' worth of a cap per minute that may leave at once."""


class MinuteCap:
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
