"""Decisions in the order of the draws, whatever order things finish in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")


class Sequence(Generic[T, V]):
    """Calls `decide(number, value)` strictly by number from 0, each as soon as all before it have been.

    `offer` may be called in any order and returns what `decide` said of it.
    """

    def __init__(self, decide: Callable[[int, T], V]) -> None:
        self._decide = decide
        self._next = 0
        self._waiting: dict[int, tuple[T, asyncio.Future[V]]] = {}

    async def offer(self, number: int, value: T) -> V:
        decided: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (value, decided)
        while self._next in self._waiting:
            waiting, future = self._waiting.pop(self._next)
            verdict = self._decide(self._next, waiting)
            self._next += 1
            if not future.done():
                future.set_result(verdict)
        return await decided
