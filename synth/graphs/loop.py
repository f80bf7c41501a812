"""The event loop of a run: how it is started, stopped from outside, and kept from collecting garbage all the time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_STOP_POLL = 0.5
"""Seconds between looks for a stop request."""
_COLLECT_AFTER = (50_000, 20, 100)
"""Thresholds of Python's garbage collector. The usual ones (700, 10, 10) cost a quarter of the CPU of a call: hundreds
of conversations in flight are many objects that live, and each collection looks at all of them."""


def run_until_stopped(work: Coroutine[Any, Any, T], stop: Path) -> T:
    """Runs a coroutine until it is done.

    Args:
        stop: a file that, once it is there, stops the work.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C, SIGTERM or the file.
    """

    async def watched() -> T:
        task = asyncio.create_task(work)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        while not stop.exists():
            finished, _ = await asyncio.wait({task}, timeout=_STOP_POLL)
            if finished:
                return task.result()
        task.cancel()
        return await task

    try:
        with _seldom_collected():
            return in_loop(watched())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end; a notebook has a running loop of its own in this thread."""
    return ThreadPoolExecutor(1).submit(asyncio.run, work).result() if _loop_is_running() else asyncio.run(work)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.set_threshold(*_COLLECT_AFTER)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
