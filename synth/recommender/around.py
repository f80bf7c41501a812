"""What stands around a training loop: seeds, Ctrl-C, trackers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from types import FrameType
from typing import Any

from synth.errors import SynthError


class Stop:
    """Whether Ctrl-C was pressed."""

    wanted = False


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Within it a first Ctrl-C is only noted, so that work can end in order; a second one acts as always."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.wanted = True
        signal.signal(signal.SIGINT, before)

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def seed_of(*parts: int) -> int:
    """A seed that depends on all numbers and on nothing else."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=7).digest(), "big")


def check_trackers(names: tuple[str, ...]) -> None:
    """Accelerate leaves out in silence what is not installed; a user who asked for it should know.

    Raises:
        SynthError: one is not there.
    """
    from accelerate.tracking import get_available_trackers

    there = sorted(str(getattr(name, "value", name)) for name in get_available_trackers())
    for name in names:
        if name not in there:
            raise SynthError(
                f"The tracker {name!r} is not installed.",
                f"`pip install {name}`, or choose another with --tracker: {', '.join(there) or 'none'}.",
            )
