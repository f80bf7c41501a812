"""Fake OpenAI and Anthropic: servers for tests, kill tests, fault storms and benchmarks of the gateway.

Both APIs are on one port, chat and batches and files, with their own shapes, words and rules. What they were asked
and what they would have billed is in a ledger. `python -m tests.support.fakes` starts one from a shell.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.fakes.server import Server
from tests.support.fakes.settings import Settings

__all__ = ["Fake", "Settings"]

_ROOT = Path(__file__).parents[3]


class Fake:
    """A fake server while the `with` block lasts, in a process of its own or in a thread.

    Args:
        in_thread: in a thread of this process: starts at once, but shares its time.
        port: 0 for a free one; one that an earlier server had, to bring that server back up.
        settings: fields of `Settings`, as values or as their text.

    Attributes:
        url: without `/v1`, as Anthropic's client wants it.
    """

    def __init__(self, *, in_thread: bool = False, port: int = 0, **settings: Any) -> None:
        self.url = ""
        self._in_thread = in_thread
        self._port = port
        self._given = settings
        self._process: subprocess.Popen[str] | None = None
        self._thread: _Thread | None = None

    @property
    def openai_url(self) -> str:
        """With `/v1`, as OpenAI's client wants it."""
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> Fake:
        settings = Settings()
        for name, value in self._given.items():
            settings.change(name, value)
        if self._in_thread:
            self._thread = _Thread(settings, self._port)
            self.url = self._thread.url
        else:
            self._start(settings)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server; what it was asked is forgotten."""
        if self._thread:
            self._thread.stop()
        if self._process:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None

    def wait(self, seconds: float = 10.0) -> None:
        """Returns when the server has died.

        Raises:
            TimeoutError: it lives on.
        """
        if self._thread:
            self._thread.join(seconds)
        elif self._process:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise TimeoutError("the fake server lives on") from None

    def ledger(self) -> dict[str, Any]:
        """See `ledger.Ledger.as_json`, and `batches`: id, rows, state, counts and metadata of each."""
        return dict(self._control("ledger"))

    def reset(self) -> None:
        """Forgets requests, bills, files, batches and caches; settings stay."""
        self._control("reset", {})

    def set(self, **settings: Any) -> None:
        """Changes settings; faults begin to count anew."""
        self._control("set", settings)

    def _start(self, settings: Settings) -> None:
        flags = [f"--port={self._port}", f"--parent-pid={os.getpid()}"]
        for one in dataclasses.fields(settings):
            flags.append(f"--{one.name.replace('_', '-')}={_text(getattr(settings, one.name))}")
        command = [sys.executable, "-m", "tests.support.fakes", *flags]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self.close()
            raise RuntimeError("the fake server did not start")

    def _control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_fake/{what}", data)
        # Without a proxy: the environment may name one.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)


class _Thread:
    """A server in a thread of this process."""

    def __init__(self, settings: Settings, port: int) -> None:
        self.url = ""
        self.problem = "it took too long"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(settings, port), daemon=True)
        self._thread.start()
        self._ready.wait(30)
        if not self.url:
            raise RuntimeError(f"the fake server did not start: {self.problem}")

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self.join(10)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError("the fake server lives on")

    def _run(self, settings: Settings, port: int) -> None:
        async def serve() -> None:
            server = Server(settings, die=self._stop.set)
            try:
                listening = await server.start(port)
            except OSError as error:
                self.problem = str(error)
                return
            finally:
                self.url = server.url
                self._ready.set()
            await self._stop.wait()
            listening.close()
            for connection in tuple(server.connections):
                connection.close()
            while server.connections:
                await asyncio.sleep(0.001)

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()


def _text(value: Any) -> str:
    """A setting as its flag has it."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple):
        floats = [one for one in value if isinstance(one, float)]
        return (":" if len(floats) == 2 else ",").join(str(one) for one in value)
    return str(value)
