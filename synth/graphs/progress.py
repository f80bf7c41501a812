"""What a run tells whoever watches it; by itself it only tells the log."""

from __future__ import annotations

import logging
import time

_LOG_EVERY = 10.0
"""Seconds between lines about a stage."""


class Progress:
    """Stages one after the other, each with a total; lines go to the run's log."""

    def __init__(self) -> None:
        self._log = logging.getLogger("synth")
        self._name, self._total, self._logged, self._started = "", 0, 0.0, 0.0

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._logged, self._started = name, total, time.monotonic(), time.monotonic()
        self.note(f"{name}: {total}")

    def advance(self, done: int) -> None:
        now = time.monotonic()
        if done >= self._total or now - self._logged >= _LOG_EVERY:
            self._logged = now
            rate = done / max(now - self._started, 1e-9)
            self.note(f"{self._name}: {done} of {self._total} ({rate:.1f}/s)")

    def note(self, text: str) -> None:
        self._log.info(text)
