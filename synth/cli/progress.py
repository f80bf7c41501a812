"""The progress bar of long work: stage, rate, time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from synth.graphs.progress import Progress


class _Rate(ProgressColumn):
    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "–/s", style="progress.data.speed")


class _Cost(ProgressColumn):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Any) -> Text:
        return Text(self._progress.cost())


class Bar(Progress):
    """Shows stages on a terminal as bars, otherwise as a line now and then; notes on both. Tells the log as well."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__()
        console = Console(stderr=True, quiet=quiet)
        self._bars = RichProgress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            _Cost(self),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._console = console
        self._task: Any = None

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the bars off the terminal while somebody is asked something."""
        self._bars.stop()
        yield
        self._bars.start()

    def stage(self, name: str, total: int) -> None:
        self._task = self._bars.add_task(name, total=total)
        super().stage(name, total)

    def advance(self, done: int) -> None:
        self._bars.update(self._task, completed=done)
        super().advance(done)

    def note(self, text: str) -> None:
        super().note(text)
        self._console.print(text, highlight=False, markup=False)

    def _line(self, text: str) -> None:
        # On a terminal the bar says it.
        if self._console.is_terminal:
            super().note(text)
        else:
            self.note(text)
