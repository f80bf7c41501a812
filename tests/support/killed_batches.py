"""Runs `synth` in this process, with short waits between batches, and kills it (SIGKILL) at a named moment.

Usage: python -m tests.support.killed_batches MOMENT N -- ARGS…

MOMENT is one of `MOMENTS`; the process dies the Nth time it comes. `none` never kills.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from synth.llm import waves
from synth.llm.anthropic_batch import AnthropicBatches
from synth.llm.openai_batch import OpenAIBatches
from synth.traces.store import RunStore, Wave

MOMENTS = (
    "none",
    "wave on record, not submitted",
    "submitted, id not on record",
    "waited for",
    "results read in part",
    "delivered in part",
    "delivered, not closed",
    "files deleted, not closed",
)


def shorten(setattr: Callable[[Any, str, Any], None]) -> None:
    """Waits that suit a fake server.

    Args:
        setattr: the built-in one, or a test's that is undone.
    """
    for name, seconds in (("QUIET", 0.06), ("_FIRST_POLL", 0.02), ("_LONGEST_POLL", 0.03), ("_LISTED", 0.05)):
        setattr(waves, name, seconds)


def install(moment: str, count: int) -> None:
    left = count

    def passes(here: str) -> None:
        nonlocal left
        left -= here == moment
        if here == moment and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    put_wave, deliver = RunStore.put_wave, waves.Waves._deliver

    def puts(self: RunStore, wave: Wave) -> None:
        put_wave(self, wave)
        if wave.batch is None and wave.state == "open":
            passes("wave on record, not submitted")

    def delivers(self: waves.Waves, *args: Any) -> None:
        passes("delivered in part")
        deliver(self, *args)

    RunStore.put_wave = puts  # type: ignore[method-assign]
    waves.Waves._deliver = delivers  # type: ignore[method-assign]
    for client in (OpenAIBatches, AnthropicBatches):
        _watch(client, passes)


def _watch(client: Any, passes: Callable[[str], None]) -> None:
    submit, state, results, forget = client.submit, client.state, client.results, client.forget

    async def submits(self: Any, *args: Any) -> str:
        batch: str = await submit(self, *args)
        passes("submitted, id not on record")
        return batch

    async def looks(self: Any, batch: str) -> Any:
        passes("waited for")
        return await state(self, batch)

    async def reads(self: Any, *args: Any) -> AsyncIterator[Any]:
        async for row in results(self, *args):
            passes("results read in part")
            yield row

    async def forgets(self: Any, batch: str) -> None:
        passes("delivered, not closed")
        await forget(self, batch)
        passes("files deleted, not closed")

    client.submit, client.state, client.results, client.forget = submits, looks, reads, forgets


if __name__ == "__main__":
    moment, count, _, *arguments = sys.argv[1:]
    assert moment in MOMENTS, moment
    shorten(setattr)
    install(moment, int(count))
    sys.argv = ["synth", *arguments]
    from synth.cli import main

    main()
