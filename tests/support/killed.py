"""Runs `synth` in this process and kills it (SIGKILL) at a named moment; also writes down every call it asks for.

Usage: python -m tests.support.killed MOMENT N ASKED_LOG -- ARGS…

MOMENT is one of the keys of `MOMENTS`; the process dies the Nth time it comes. `none` never kills.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from synth.llm.budget import Budget
from synth.llm.offline import OfflineProvider
from synth.llm.provider import Reply, Request
from synth.llm.remote import RemoteProvider
from synth.traces import run as run_module
from synth.traces.store import Reservation, RunStore

ON_ITS_WAY = 0.005
"""Seconds after which a request is at the server; a server that answers later is caught in between."""


class Killer:
    def __init__(self, moment: str, count: int) -> None:
        self.moment, self.left = moment, count

    def due(self, moment: str) -> bool:
        self.left -= moment == self.moment
        return moment == self.moment and self.left == 0

    def pass_by(self, moment: str) -> None:
        if self.due(moment):
            self.kill()

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def install(killer: Killer, asked: Path, provider: type[OfflineProvider] | type[RemoteProvider]) -> None:
    """
    Args:
        provider: the run's; a capped run first plays a sample with the offline one, which is not meant.
    """
    log = asked.open("a", encoding="utf-8")
    settle, commit, finish = Budget.settle, RunStore._commit, RunStore.finish
    replace, write = os.replace, run_module.RowWriter.write

    complete: Callable[[Any, Request], Awaitable[Reply]] = provider.complete

    async def completes(self: Any, request: Request) -> Reply:
        if killer.moment == "milliseconds after a call":
            threading.Timer(killer.left / 1000, killer.kill).start()
            killer.moment = "none"
        killer.pass_by("reserved, not sent")
        log.write(" ".join(map(str, (*request.place, request.call.name))) + "\n")
        log.flush()
        if killer.due("request in flight"):
            asyncio.get_running_loop().call_later(ON_ITS_WAY, killer.kill)
        reply = await complete(self, request)
        killer.pass_by("reply not committed")
        return reply

    def settles(self: Budget, reservation: Reservation, usd: float) -> None:
        settle(self, reservation, usd)
        killer.pass_by("settled, not committed")

    def commits(self: RunStore) -> None:
        replies = bool(self._pending)
        commit(self)
        if replies:
            killer.pass_by("reply committed, not used")

    def finishes(self: RunStore, *args: Any) -> None:
        killer.pass_by("item done, not stored")
        finish(self, *args)
        killer.pass_by("item stored")

    def replaces(source: Any, target: Any) -> None:
        killer.pass_by("before a rename")
        replace(source, target)
        killer.pass_by("after a rename")

    def writes(self: run_module.RowWriter, row: str) -> None:
        write(self, row)
        if not self._known and killer.due("half a row written"):
            self._file.truncate(self._file.tell() - len(row) // 2)
            killer.kill()

    provider.complete = completes  # type: ignore[method-assign]
    Budget.settle = settles  # type: ignore[method-assign]
    RunStore._commit = commits  # type: ignore[method-assign]
    RunStore.finish = finishes  # type: ignore[method-assign,assignment]
    os.replace = replaces  # type: ignore[assignment]
    run_module.RowWriter.write = writes  # type: ignore[method-assign]


MOMENTS = (
    "none",
    "reply not committed",
    "reply committed, not used",
    "item done, not stored",
    "item stored",
    "before a rename",
    "after a rename",
    "half a row written",
)
PAID_MOMENTS = (
    "reserved, not sent",
    "request in flight",
    "settled, not committed",
    "milliseconds after a call",
)
"""Those that only a run with a priced model comes by; of the last, N is how many, from the process' first call."""


if __name__ == "__main__":
    moment, count, asked, _, *arguments = sys.argv[1:]
    assert moment in MOMENTS + PAID_MOMENTS, moment
    install(Killer(moment, int(count)), Path(asked), RemoteProvider if "--llm" in arguments else OfflineProvider)
    sys.argv = ["synth", *arguments]
    from synth.cli import main

    main()
