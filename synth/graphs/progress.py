"""What a run tells whoever watches it; by itself it only tells the log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.llm.gateway import Gateway

_LOG_EVERY = 10.0
"""Seconds between lines about a stage."""


class Progress:
    """Stages one after the other, each with a total; lines go to the run's log."""

    def __init__(self) -> None:
        self._log = logging.getLogger("synth")
        self._name, self._total, self._logged, self._started = "", 0, 0.0, 0.0
        self._gateway: Gateway | None = None

    def watch(self, gateway: Gateway) -> None:
        """Has what the gateway spends shown beside what is done."""
        self._gateway = gateway

    def cost(self) -> str:
        """Money so far, or empty where none is spent."""
        usd = self._gateway.budget.spent if self._gateway else 0.0
        return f"${usd:.2f}" if usd else ""

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._logged, self._started = name, total, time.monotonic(), time.monotonic()
        self._line(f"{name}: {total}")

    def advance(self, done: int) -> None:
        now = time.monotonic()
        if done >= self._total or now - self._logged >= _LOG_EVERY:
            self._logged = now
            rate = done / max(now - self._started, 1e-9)
            cost = f", {self.cost()}" if self.cost() else ""
            self._line(f"{self._name}: {done} of {self._total} ({rate:.1f}/s{cost})")

    def note(self, text: str) -> None:
        """Says something that no stage shows."""
        self._log.info(text)

    def _line(self, text: str) -> None:
        """Says how far a stage is."""
        self.note(text)
