"""OpenAI's batches: a file of requests goes up, a batch is made of it, files of answers and errors come down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any
from urllib.parse import quote

from synth.llm.batch import BatchState, Collector, check_lines, endpoint_path, no_result
from synth.llm.batch_wire import Wire
from synth.llm.provider import ModelError, Reply, Request
from synth.llm.remote import RemoteProvider

_WAVE = "synth_wave"
_PAGE = 100
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_LATER = frozenset({"token_limit_exceeded", "rate_limit_exceeded"})
"""Codes of batches that failed because too much is waiting already."""


class OpenAIBatches:
    """`/files` and `/batches` of OpenAI, and of servers that have them too.

    Limits are those of OpenAI's guide: https://platform.openai.com/docs/guides/batch
    """

    max_requests = 50_000
    max_bytes = 200_000_000

    def __init__(self, provider: RemoteProvider) -> None:
        self._provider = provider
        self._wire = Wire(provider)

    async def available(self) -> bool:
        return await self._wire.has("/batches")

    async def submit(self, wave: str, lines: Mapping[str, bytes]) -> str:
        check_lines(self, lines)
        content = b"".join(line + b"\n" for line in lines.values())
        file = await self._wire.upload("/files", f"{wave}.jsonl", content, purpose="batch")
        body = {
            "input_file_id": file,
            "endpoint": endpoint_path(self._provider),
            "completion_window": "24h",
            "metadata": {_WAVE: wave},
        }
        try:
            return await self._wire.create("/batches", body=body)
        except ModelError as error:
            if not error.lost:
                await self._wire.delete(_file(file))
            raise

    async def find(self, wave: str, custom_ids: Collection[str], since: float) -> str | None:
        """The newest batch that carries the wave's name; neither ids nor time are needed to know it."""
        found: list[tuple[float, str]] = []
        query: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = await self._wire.get("/batches", **query)
            batches = page.get("data") or []
            for batch in batches:
                if (batch.get("metadata") or {}).get(_WAVE) == wave:
                    found.append((batch.get("created_at") or 0, batch["id"]))
            if not page.get("has_more") or not batches:
                return max(found)[1] if found else None
            query["after"] = batches[-1]["id"]

    async def state(self, batch: str) -> BatchState:
        record = await self._wire.get(_batch(batch))
        counts = record.get("request_counts") or {}
        done, failed, total = (counts.get(name) or 0 for name in ("completed", "failed", "total"))
        return BatchState(record.get("status") not in _ENDED, done, failed, total, self._problem(record))

    async def results(
        self, batch: str, requests: Mapping[str, Request]
    ) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        record = await self._wire.get(_batch(batch))
        status = record.get("status")
        if status not in _ENDED:
            raise ValueError(f"batch {batch} is still running")
        collector = Collector(self._provider, requests)
        for file in (record.get("output_file_id"), record.get("error_file_id")):
            if not file:
                continue
            async for row in self._wire.rows(f"{_file(file)}/content"):
                if taken := collector.take(row):
                    custom_id, request = taken
                    yield custom_id, self._outcome(row, request, collector)
        for custom_id, request in collector.missing.items():
            if status == "failed":
                yield custom_id, self._refused(record, request)
            else:
                yield custom_id, no_result(str(status), lost=status == "completed")

    async def cancel(self, batch: str) -> None:
        try:
            await self._wire.post(f"{_batch(batch)}/cancel")
        except ModelError:
            if (await self.state(batch)).running:
                raise

    async def forget(self, batch: str) -> None:
        try:
            record = await self._wire.get(_batch(batch))
        except ModelError:
            return
        for name in ("input_file_id", "output_file_id", "error_file_id"):
            if record.get(name):
                await self._wire.delete(_file(record[name]))

    def _outcome(self, row: Mapping[str, Any], request: Request, collector: Collector) -> Reply | ModelError:
        response = row.get("response")
        if isinstance(response, dict):
            status = response.get("status_code")
            if status == 200:
                return collector.read(response.get("body"), request)
            return self._provider.failure(status if isinstance(status, int) else 500, response.get("body"), request)
        error = row.get("error")
        code = str(error.get("code")) if isinstance(error, dict) else ""
        return no_result(self._wire.shown(code) or "no reason given")

    def _problem(self, record: Mapping[str, Any]) -> str:
        if record.get("status") != "failed":
            return ""
        errors = _errors(record)
        if not errors:
            return "the provider refused the batch and gave no reason"
        first = errors[0]
        said = self._wire.shown(str(first.get("message") or "")) or self._wire.shown(str(first.get("code")))
        line = f" (line {first['line']})" if isinstance(first.get("line"), int) else ""
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        return f"{said}{line}{more}"

    def _refused(self, record: Mapping[str, Any], request: Request) -> ModelError:
        """The error of every request in a batch that failed before any was made."""
        first = next(iter(_errors(record)), {})
        return self._provider.failure(429 if first.get("code") in _LATER else 400, {"error": first}, request)


def _errors(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    errors = (record.get("errors") or {}).get("data") or []
    return [error for error in errors if isinstance(error, dict)]


def _batch(batch: str) -> str:
    return f"/batches/{quote(batch, safe='')}"


def _file(file: str) -> str:
    return f"/files/{quote(file, safe='')}"
