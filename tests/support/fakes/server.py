"""The server: lets requests in, delays, answers, bills, and goes wrong on demand."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from tests.support.fakes import anthropic, openai
from tests.support.fakes.allowance import Allowance
from tests.support.fakes.answers import scripted
from tests.support.fakes.anthropic_batches import AnthropicBatches
from tests.support.fakes.ask import Ask, Refused
from tests.support.fakes.cache import PrefixCache
from tests.support.fakes.faults import CONTENT, STATUS, Faults
from tests.support.fakes.ledger import Ledger, Usage
from tests.support.fakes.openai_batches import OpenAIBatches
from tests.support.fakes.protocol import Connection, Exchange
from tests.support.fakes.replay import Replay
from tests.support.fakes.settings import Settings
from tests.support.fakes.spoil import spoil
from tests.support.fakes.tokens import count_tokens

_CHAT = {"/v1/chat/completions": openai, "/v1/messages": anthropic}
_MODEL = re.compile(r"/v1/models/([^/].*)")
_CAN_HANG_UP = frozenset({"drop", "half", "hang"})


class Made(NamedTuple):
    """An answer, billed."""

    body: dict[str, Any]
    usd: float
    usable: bool


@dataclass(slots=True)
class Job:
    """A call online that is going to be answered."""

    exchange: Exchange
    api: ModuleType
    ask: Ask
    fault: str | None


class Server:
    """Both APIs on one port, and `/_fake/…` to control them.

    Args:
        die: ends the process, or the thread, at once.
    """

    def __init__(self, settings: Settings, die: Callable[[], None]) -> None:
        self.settings = settings
        self.url = ""
        self.connections: set[Connection] = set()
        self._die = die
        self._random = random.Random(0)
        self._replay = Replay(settings.replay) if settings.answers == "replay" else None
        self._running = 0
        self._queue: deque[Job] = deque()
        self._number = 0
        self.files = OpenAIBatches(self)
        self.batches = AnthropicBatches(self)
        self.reset()

    def reset(self) -> None:
        """Forgets all that has happened; settings stay."""
        self.ledger = Ledger()
        self.faults = Faults(self.settings.faults)
        self.cache = PrefixCache()
        self._allowance = Allowance(self.settings.rpm)
        self.files.stop()
        self.batches.stop()
        self.files = OpenAIBatches(self)
        self.batches = AnthropicBatches(self)

    async def start(self, port: int) -> asyncio.Server:
        """Listens on 127.0.0.1."""
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: Connection(self.handle, self.connections), "127.0.0.1", port, backlog=2048
        )
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        return listening

    def handle(self, exchange: Exchange) -> None:
        """Routes one request."""
        if exchange.path.startswith("/_fake/"):
            self._control(exchange)
            return
        of_anthropic = "anthropic-version" in exchange.headers or exchange.path.startswith("/v1/messages")
        api = anthropic if of_anthropic else openai
        try:
            self._let_in(exchange, api)
            chat = _CHAT.get(exchange.path)
            if chat and exchange.method == "POST":
                self._chat(exchange, chat)
            elif exchange.path == "/v1/models":
                names = self.settings.models or (api.DEFAULT_MODEL,)
                self.answer(exchange, api, api.model_list([api.model_info(name, self.settings) for name in names]))
            elif found := _MODEL.fullmatch(exchange.path):
                if self.settings.models and found[1] not in self.settings.models:
                    raise api.no_model(found[1])
                self.answer(exchange, api, api.model_info(found[1], self.settings))
            elif not (self.batches if of_anthropic else self.files).handle(exchange):
                raise Refused(404, f"Invalid URL ({exchange.method} {exchange.path})")
        except Refused as refused:
            self.fail(exchange, api, refused)
        except _Down:
            self.note(exchange, "dropped")
            exchange.drop()

    # ---- what batches need too

    def make(self, api: ModuleType, ask: Ask, fault: str | None, *, batch: bool = False) -> Made:
        """Makes and bills the answer of a call.

        Args:
            fault: one of `faults.CONTENT`, or another or none for a usable answer.

        Raises:
            Refused: the call has no room in the context, or the replayed run has no reply for it.
        """
        usage: Usage = api.usage(ask, self.cache)
        limit = self.settings.context
        if limit and usage.input >= limit:
            raise api.too_long(ask, usage.input, limit)
        if self._replay:
            text = self._replay.reply(ask)
            if text is None:
                self.ledger.missing += 1
                raise Refused(500, "the replayed run has no reply for these messages", "server_error")
        else:
            text = scripted(ask)
        outcome = "good"
        if fault in CONTENT:
            self.ledger.faults[str(fault)] += 1
            text = spoil(str(fault), text, ask)
            outcome = str(fault) if fault in ("refused", "cut") else "good"
        output = count_tokens(text) if text else 1
        most = ask.max_tokens
        if most is not None and (output > most or outcome == "cut"):
            text, outcome = (text[: len(text) * most // output] if output > most else text), "cut"
            output = most
        usage = usage._replace(output=output)
        usd = self.ledger.bill(ask.key, usage, self.settings.prices, batch=batch)
        self._number += 1
        return Made(
            api.answer(ask, text, outcome, usage, self._number), usd, fault not in CONTENT and outcome == "good"
        )

    def answer(self, exchange: Exchange, api: ModuleType, body: Any, status: int = 200) -> None:
        self.note(exchange, str(status))
        exchange.send(status, json.dumps(body).encode(), api.headers(self._number))

    def fail(self, exchange: Exchange, api: ModuleType, refused: Refused) -> None:
        self.note(exchange, str(refused.status))
        headers = api.headers(self._number, refused)
        if refused.status == 502:  # no API speaks here, but what stands before it
            page = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
            exchange.send(502, page, headers, "text/html")
        else:
            exchange.send(refused.status, json.dumps(api.error(refused)).encode(), headers)

    def note(self, exchange: Exchange, status: str) -> None:
        """Counts how a request ended; ids in paths are left out."""
        path = re.sub(r"(?<=/)(?:file|batch|msgbatch)[-_]\w+", "{id}", exchange.path)
        self.ledger.requests[f"{exchange.method} {path}"][status] += 1

    # ---- calls online

    def _let_in(self, exchange: Exchange, api: ModuleType) -> None:
        given = api.key(exchange.headers)
        state = self.faults.state(self.ledger.answers)
        if state == "die":
            self._die()
        if state in ("down", "die"):
            raise _Down
        if state is not None:
            raise api.refusal(state, "the model", given)
        if self.settings.key and given != self.settings.key:
            raise api.refusal("401", "", given)

    def _chat(self, exchange: Exchange, api: ModuleType) -> None:
        self.ledger.enter()
        try:
            body = json.loads(exchange.body)
        except ValueError:
            body = None
        exchange.on_end = self.ledger.leave
        ask = api.read(body, self.settings)
        fault = self.faults.call(ask.key)
        wait = self._allowance.wait()
        if wait:
            raise api.refusal("429", ask.model, "", wait)
        if fault in STATUS:
            self.ledger.faults[str(fault)] += 1
            told = self.faults.retry_after if fault == "429_retry_after" else None
            plain = str(fault).removesuffix("_retry_after")
            raise api.refusal(plain, ask.model, api.key(exchange.headers), told)
        job = Job(exchange, api, ask, fault)
        if self.settings.capacity and self._running >= self.settings.capacity:
            self._queue.append(job)
        else:
            self._run(job)

    def _run(self, job: Job) -> None:
        self._running += 1
        low, high = self.settings.latency
        if high <= 0:
            self._finish(job)
        else:
            delay = self._random.uniform(low, high)
            asyncio.get_running_loop().call_later(delay, self._finish, job)

    def _finish(self, job: Job) -> None:
        self._running -= 1
        exchange, api, fault = job.exchange, job.api, job.fault
        try:
            made = self.make(api, job.ask, fault)
        except Refused as refused:
            self.fail(exchange, api, refused)
        else:
            if fault in _CAN_HANG_UP:
                self.ledger.faults[str(fault)] += 1
            if fault == "drop":
                self.note(exchange, "dropped")
                exchange.drop()
            elif fault == "half":
                self.note(exchange, "half sent")
                exchange.send_half(200, json.dumps(made.body).encode(), api.headers(self._number))
            elif fault == "hang":
                asyncio.get_running_loop().call_later(self.faults.hang_s, self._deliver, job, made)
            else:
                self._deliver(job, made)
        if self._queue:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        while self._queue and not (self.settings.capacity and self._running >= self.settings.capacity):
            self._run(self._queue.popleft())

    def _deliver(self, job: Job, made: Made) -> None:
        there = job.exchange.send(200, json.dumps(made.body).encode(), job.api.headers(self._number))
        self.note(job.exchange, "200" if there else "left")
        if there:
            self.ledger.arrive(job.ask.key, made.usd, usable=made.usable)

    # ---- control

    def _control(self, exchange: Exchange) -> None:
        what = exchange.path.removeprefix("/_fake/")
        body: Any = {}
        try:
            if what == "ledger":
                body = {**self.ledger.as_json(), "batches": [*self.files.as_json(), *self.batches.as_json()]}
            elif what == "reset":
                self.reset()
            elif what == "set":
                self._change(json.loads(exchange.body))
            else:
                raise ValueError(f"no such page: {exchange.path}")
        except (ValueError, TypeError) as error:
            exchange.send(400, json.dumps({"error": str(error)}).encode())
        else:
            exchange.send(200, json.dumps(body).encode())

    def _change(self, changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            self.settings.change(name, value)
        if "faults" in changes:
            self.faults = Faults(self.settings.faults)
        if "rpm" in changes:
            self._allowance = Allowance(self.settings.rpm)
        if {"answers", "replay"} & changes.keys():
            self._replay = Replay(self.settings.replay) if self.settings.answers == "replay" else None
        asyncio.get_running_loop().call_soon(self._next)


class _Down(Exception):
    """Nobody answers any more."""
