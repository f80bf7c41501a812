"""`python -m tests.support.fakes`: prints its address as the first line and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import os
import sys

from tests.support.fakes.server import Server
from tests.support.fakes.settings import Settings

_POLL = 0.5
"""Seconds between looks at the parent."""


async def _serve(settings: Settings, port: int, parent: int) -> None:
    server = Server(settings, die=lambda: os._exit(1))
    listening = await server.start(port)
    print(server.url, flush=True)
    async with listening:
        # On Windows a process keeps the number of a parent that has died: there it must be ended by hand.
        while not parent or os.getppid() == parent:
            await asyncio.sleep(_POLL)


def main() -> None:
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m tests.support.fakes", description="Fake OpenAI and Anthropic.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this parent has died")
    for one in dataclasses.fields(Settings):
        parser.add_argument(f"--{one.name.replace('_', '-')}", help="see settings.py")
    given = vars(parser.parse_args())
    for one in dataclasses.fields(Settings):
        if given[one.name] is not None:
            try:
                settings.change(one.name, given[one.name])
            except ValueError as error:
                parser.error(f"--{one.name}: {error}")
    gc.freeze()  # requests make no cycles: collections would only take time
    gc.set_threshold(50_000, 50, 50)
    try:
        asyncio.run(_serve(settings, given["port"], given["parent_pid"]))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
