"""Decisions in the order of the draws, whatever order things finish in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")


class Sequence(Generic[T, V]):
    """Calls `decide(number, value)` strictly by number, each as soon as all before it have been.

    `offer` may be called in any order and returns what `decide` said of it.

    Args:
        first: the first number.
        step: from one number to the next.
    """

    def __init__(self, decide: Callable[[int, T], V], first: int = 0, step: int = 1) -> None:
        self._decide = decide
        self._next = first
        self._step = step
        self._waiting: dict[int, tuple[T, asyncio.Future[V]]] = {}

    async def offer(self, number: int, value: T) -> V:
        decided: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (value, decided)
        while self._next in self._waiting:
            waiting, future = self._waiting.pop(self._next)
            verdict = self._decide(self._next, waiting)
            self._next += self._step
            if not future.done():
                future.set_result(verdict)
        return await decided
