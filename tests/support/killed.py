"""Runs `synth` in this process and kills it (SIGKILL) at a named moment; also writes down every call it asks for.

Usage: python -m tests.support.killed MOMENT N ASKED_LOG -- ARGS…

MOMENT is one of the keys of `MOMENTS`; the process dies the Nth time it comes. `none` never kills.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from synth.llm.offline import OfflineProvider
from synth.llm.provider import Reply, Request
from synth.traces import run as run_module
from synth.traces.store import RunStore


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


def install(killer: Killer, asked: Path) -> None:
    log = asked.open("a", encoding="utf-8")
    complete, commit, finish = OfflineProvider.complete, RunStore._commit, RunStore.finish
    replace, write = os.replace, run_module.RowWriter.write

    async def completes(self: OfflineProvider, request: Request) -> Reply:
        log.write(" ".join(map(str, (*request.place, request.call.name))) + "\n")
        log.flush()
        reply = await complete(self, request)
        killer.pass_by("reply not committed")
        return reply

    def commits(self: RunStore) -> None:
        commit(self)
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

    OfflineProvider.complete = completes  # type: ignore[method-assign]
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


if __name__ == "__main__":
    moment, count, asked, _, *arguments = sys.argv[1:]
    assert moment in MOMENTS, moment
    install(Killer(moment, int(count)), Path(asked))
    sys.argv = ["synth", *arguments]
    from synth.cli import main

    main()
