"""The progress bar of long work: stage, rate, time left."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

_LOG_EVERY = 10.0
"""Seconds between lines in the log."""


class _Rate(ProgressColumn):
    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "–/s", style="progress.data.speed")


class Bar:
    """Shows stages one after the other, on a terminal as bars, otherwise as a line each; logs the same."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True, quiet=quiet)
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._plain = not quiet and not console.is_terminal
        self._console = console
        self._log = logging.getLogger("synth")
        self._task: Any = None
        self._name, self._total, self._logged, self._started = "", 0, 0.0, 0.0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._name, self._total, self._logged, self._started = name, total, time.monotonic(), time.monotonic()
        self._task = self._progress.add_task(name, total=total, completed=done)
        self.note(f"{name}: {total}")

    def advance(self, done: int) -> None:
        self._progress.update(self._task, completed=done)
        now = time.monotonic()
        if done >= self._total or now - self._logged >= _LOG_EVERY:
            self._logged = now
            rate = done / max(now - self._started, 1e-9)
            self._line(f"{self._name}: {done} of {self._total} ({rate:.1f}/s)")

    def note(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        self._log.info(text)
        if self._plain:
            self._console.print(text, highlight=False, markup=False)
