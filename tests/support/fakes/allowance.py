"""How many calls a minute are let through."""

from __future__ import annotations

import time


class Allowance:
    """So many calls a minute, a second's worth at once.

    Args:
        rpm: 0 for no limit.
    """

    def __init__(self, rpm: float) -> None:
        self._rate = rpm / 60
        self._most = max(1.0, self._rate)
        self._left = self._most
        self._at = time.monotonic()

    def wait(self) -> float:
        """Takes one call; 0, or the seconds until there would be one to take."""
        if not self._rate:
            return 0.0
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0
