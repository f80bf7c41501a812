"""Anthropic's message batches: the requests are the body of one call, the results one file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any
from urllib.parse import quote

from synth.llm.batch import BatchState, Collector, check_lines, no_result
from synth.llm.batch_wire import Wire
from synth.llm.provider import ModelError, Reply, Request
from synth.llm.remote import RemoteProvider

_BATCHES = "/v1/messages/batches"
_HEAD, _TAIL = b'{"requests":[', b"]}"
_PAGE = 1000
_PIECE = 1 << 20
_POLL = 30.0
"""Seconds between two looks at a batch that may be ours and has not ended."""
_SKEW = 3600.0
"""Seconds that our clock may be ahead of the server's."""
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Status with which an online call answers each type of error: https://docs.claude.com/en/api/errors"""


class AnthropicBatches:
    """`/v1/messages/batches`.

    Limits are those of Anthropic's guide: https://docs.claude.com/en/docs/build-with-claude/batch-processing
    """

    max_requests = 100_000
    max_bytes = 256_000_000 - len(_HEAD + _TAIL)

    def __init__(self, provider: RemoteProvider) -> None:
        self._provider = provider
        self._wire = Wire(provider)

    async def available(self) -> bool:
        return await self._wire.has(_BATCHES)

    async def submit(self, wave: str, lines: Mapping[str, bytes]) -> str:
        check_lines(self, lines)
        size = len(_HEAD) + sum(map(len, lines.values())) + len(lines) - 1 + len(_TAIL)
        return await self._wire.create(_BATCHES, content=_body(lines.values()), size=size, lines=lines.values())

    async def find(self, wave: str, custom_ids: Collection[str], since: float) -> str | None:
        """Batches have no names here: among those of the right age and size the custom ids of the results tell.

        There are results once a batch has ended, so this waits while one that may be ours is running: up to a day.
        """
        others: set[str] = set()
        while True:
            running = False
            for record in await self._made_since(since - _SKEW):
                batch = record["id"]
                if batch in others or sum(_counts(record).values()) != len(custom_ids):
                    continue
                if record.get("processing_status") != "ended":
                    running = True
                elif await self._has_one_of(batch, custom_ids):
                    return str(batch)
                else:
                    others.add(batch)
            if not running:
                return None
            await asyncio.sleep(_POLL)

    async def state(self, batch: str) -> BatchState:
        record = await self._wire.get(_batch(batch))
        counts = _counts(record)
        total, done = sum(counts.values()), counts.get("succeeded", 0)
        failed = total - done - counts.get("processing", 0)
        problem = "its results are no longer kept" if record.get("archived_at") else ""
        return BatchState(record.get("processing_status") != "ended", done, failed, total, problem)

    async def results(
        self, batch: str, requests: Mapping[str, Request]
    ) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        if (await self.state(batch)).running:
            raise ValueError(f"batch {batch} is still running")
        collector = Collector(self._provider, requests)
        async for row in self._wire.rows(_results(batch)):
            if taken := collector.take(row):
                custom_id, request = taken
                yield custom_id, self._outcome(row.get("result"), request, collector)
        for custom_id in collector.missing:
            yield custom_id, no_result("missing", lost=True)

    async def cancel(self, batch: str) -> None:
        try:
            await self._wire.post(f"{_batch(batch)}/cancel")
        except ModelError:
            if (await self.state(batch)).running:
                raise

    async def forget(self, batch: str) -> None:
        await self._wire.delete(_batch(batch))

    async def _made_since(self, since: float) -> list[dict[str, Any]]:
        """Records of batches, the newest first, which is the order in which the server lists them."""
        made: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = await self._wire.get(_BATCHES, **query)
            records = page.get("data") or []
            for record in records:
                if datetime.fromisoformat(record["created_at"]).timestamp() < since:
                    return made
                made.append(record)
            if not page.get("has_more") or not records:
                return made
            query["after_id"] = records[-1]["id"]

    async def _has_one_of(self, batch: str, custom_ids: Collection[str]) -> bool:
        """Whether the first result is one of these; custom ids name their wave, so it speaks for all."""
        try:
            async with aclosing(self._wire.rows(_results(batch))) as rows:
                async for row in rows:
                    return row.get("custom_id") in custom_ids
        except ModelError as error:
            if error.retry or error.fatal:
                raise
        return False  # results that are no longer kept

    def _outcome(self, result: Any, request: Request, collector: Collector) -> Reply | ModelError:
        result = result if isinstance(result, dict) else {}
        kind = result.get("type")
        if kind == "succeeded":
            return collector.read(result.get("message"), request)
        if kind == "errored":
            body = result.get("error")
            error = body.get("error") if isinstance(body, dict) else None
            status = _STATUS.get(str(error.get("type")), 500) if isinstance(error, dict) else 500
            return self._provider.failure(status, body, request)
        return no_result(self._wire.shown(str(kind)), lost=kind not in ("expired", "canceled"))


async def _body(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The body of a batch in pieces of about a megabyte, so that no second copy of it is ever in memory."""
    piece = bytearray(_HEAD)
    for number, line in enumerate(lines):
        if number:
            piece += b","
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    piece += _TAIL
    yield bytes(piece)


def _counts(record: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name, count in (record.get("request_counts") or {}).items() if isinstance(count, int)}


def _batch(batch: str) -> str:
    return f"{_BATCHES}/{quote(batch, safe='')}"


def _results(batch: str) -> str:
    return f"{_batch(batch)}/results"
