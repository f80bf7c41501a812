"""Batches of either API: taken, worked on for a while, ended with their results shuffled."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.fakes.ask import Ask, Refused
from tests.support.fakes.protocol import Exchange

if TYPE_CHECKING:
    from tests.support.fakes.server import Server

_ROWS_AT_ONCE = 50
"""Answered before other requests get their turn."""


class Row(NamedTuple):
    """A request of a batch."""

    id: str
    ask: Ask | Refused


class Result(NamedTuple):
    """What became of a row: `kind` is `succeeded`, `errored`, `expired` or `canceled`."""

    row: Row
    kind: str
    body: dict[str, Any]
    """A message, or an error."""
    status: int = 200


@dataclass
class Batch:
    """A batch of either API."""

    id: str
    rows: list[Row]
    tokens: int
    """Of its prompts."""
    created: float
    """Seconds since the epoch."""
    ends: float
    """On the event loop's clock."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What the client gave with it."""
    results: list[Result] = field(default_factory=list)
    fault: str | None = None
    canceled: float | None = None
    ended: float | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    """Why it failed as a whole (OpenAI)."""
    output: str | None = None
    errors: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        return {
            kind: sum(result.kind == kind for result in self.results)
            for kind in ("succeeded", "errored", "expired", "canceled")
        }

    def as_json(self) -> dict[str, Any]:
        state = "ended" if self.ended else "canceling" if self.canceled else "open"
        return {"id": self.id, "rows": len(self.rows), "state": state, **self.counts, **self.fields}


class Batches:
    """What the two APIs' batches have in common."""

    api: Any
    prefix: str
    """Of ids."""
    not_found = "invalid_request_error"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.batches: dict[str, Batch] = {}
        self.made: list[Batch] = []
        """All there ever were; a client can delete some."""

    def as_json(self) -> list[dict[str, Any]]:
        return [batch.as_json() for batch in self.made]

    def stop(self) -> None:
        """Works on nothing any more."""
        for batch in self.made:
            batch.ended = batch.ended or time.time()

    def add(self, exchange: Exchange, rows: list[Row], **fields: Any) -> Batch | None:
        """Takes a batch and starts it; None where the client is not to learn of it."""
        server = self.server
        keys = [row.ask.key if isinstance(row.ask, Ask) else row.id for row in rows]
        key = hashlib.blake2b(" ".join(sorted(keys)).encode(), digest_size=12).hexdigest()
        loop = asyncio.get_running_loop()
        batch = Batch(
            id=f"{self.prefix}{len(self.made):04d}{key[:12]}",
            rows=rows,
            tokens=sum(self.api.prompt_tokens(row.ask) for row in rows if isinstance(row.ask, Ask)),
            created=time.time(),
            ends=loop.time() + server.settings.batch_delay,
            fields=fields,
            fault=server.faults.batch(key),
        )
        self.batches[batch.id] = batch
        self.made.append(batch)
        loop.call_later(server.settings.batch_delay, self.work, batch)
        if batch.fault:
            server.ledger.faults[batch.fault] += 1
        if batch.fault == "batch_lost":
            server.note(exchange, "dropped")
            exchange.drop()
            return None
        return batch

    def work(self, batch: Batch) -> None:
        """Answers some rows, then lets other requests have their turn."""
        if batch.ended:
            return
        done = len(batch.results)
        for row in batch.rows[done : done + _ROWS_AT_ONCE]:
            batch.results.append(self._result(row, batch.fault))
        if len(batch.results) < len(batch.rows):
            asyncio.get_running_loop().call_soon(self.work, batch)
        else:
            self.end(batch)

    def _result(self, row: Row, fault: str | None) -> Result:
        server = self.server
        if isinstance(row.ask, Refused):
            return Result(row, "errored", self.api.error(row.ask), row.ask.status)
        if fault == "batch_failed":
            refused = self.api.refusal("500", row.ask.model, "")
            return Result(row, "errored", self.api.error(refused), refused.status)
        drawn = server.faults.row(row.ask.key)
        if drawn == "row_expired":
            server.ledger.faults[drawn] += 1
            return Result(row, "expired", {})
        try:
            if drawn == "row_errored":
                server.ledger.faults[drawn] += 1
                raise self.api.refusal("500", row.ask.model, "")
            made = server.make(self.api, row.ask, drawn, batch=True)
        except Refused as refused:
            return Result(row, "errored", self.api.error(refused), refused.status)
        # A row's answer waits at the provider; it counts as arrived.
        server.ledger.arrive(row.ask.key, made.usd, usable=made.usable)
        return Result(row, "succeeded", made.body)

    def cancel(self, batch: Batch) -> None:
        """What has been worked off by the clock is kept, the rest is never answered."""
        if batch.ended or batch.canceled:
            return
        batch.canceled = time.time()
        loop = asyncio.get_running_loop()
        left = max(0.0, batch.ends - loop.time()) / (self.server.settings.batch_delay or 1.0)
        done = int(len(batch.rows) * (1 - min(1.0, left)))
        batch.results += [self._result(row, batch.fault) for row in batch.rows[len(batch.results) : done]]
        batch.results += [Result(row, "canceled", {}) for row in batch.rows[len(batch.results) :]]
        loop.call_later(0.05, self.end, batch)

    def end(self, batch: Batch) -> None:
        if not batch.ended:
            batch.ended = time.time()
            random.Random(batch.id).shuffle(batch.results)

    def find(self, id_: str) -> Batch:
        batch = self.batches.get(id_)
        if batch is None:
            raise Refused(404, f"No batch found with id '{id_}'.", self.not_found)
        return batch

    def page(self, exchange: Exchange, after: str) -> tuple[list[Batch], bool]:
        """The newest first, after the batch named in the query; and whether there are more."""
        newest = list(reversed(self.batches.values()))
        start = exchange.query.get(after)
        if start is not None:
            newest = newest[1 + [batch.id for batch in newest].index(self.find(start).id) :]
        try:
            limit = int(exchange.query.get("limit", 20))
        except ValueError:
            limit = 0
        if not 1 <= limit <= 1000:
            raise Refused(400, "Invalid 'limit': integer out of range.", param="limit")
        return newest[:limit], len(newest) > limit


def read_row(api: Any, body: Any, server: Server) -> Ask | Refused:
    """A row's request; one that is not valid is an errored row."""
    try:
        ask: Ask = api.read(body, server.settings)
    except Refused as refused:
        return refused
    return ask
