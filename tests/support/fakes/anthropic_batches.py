"""Anthropic's message batches."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.fakes import anthropic
from tests.support.fakes.ask import Refused
from tests.support.fakes.batches import Batch, Batches, Result, Row, read_row
from tests.support.fakes.protocol import Exchange

_DAY = timedelta(days=1)
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class AnthropicBatches(Batches):
    """`/v1/messages/batches`."""

    api = anthropic
    prefix = "msgbatch_"
    not_found = "not_found_error"

    def handle(self, exchange: Exchange) -> bool:
        """See `OpenAIBatches.handle`."""
        head = "/v1/messages/batches"
        if not exchange.path.startswith(head):
            return False
        rest = exchange.path[len(head) :].strip("/").split("/")
        body: dict[str, Any] | None = None
        match exchange.method, rest:
            case "POST", [""]:
                batch = self._create(exchange)
                if batch is None:
                    return True
                body = self._record(batch, exchange)
            case "GET", [""]:
                found, more = self.page(exchange, "after_id")
                data = [self._record(batch, exchange) for batch in found]
                first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
                body = {"data": data, "has_more": more, "first_id": first, "last_id": last}
            case "GET", [id_]:
                body = self._record(self.find(id_), exchange)
            case "POST", [id_, "cancel"]:
                self.cancel(self.find(id_))
                body = self._record(self.find(id_), exchange)
            case "DELETE", [id_]:
                if not self.find(id_).ended:
                    raise Refused(400, f"Batch {id_} cannot be deleted: it is still being processed.")
                del self.batches[id_]
                body = {"id": id_, "type": "message_batch_deleted"}
            case "GET", [id_, "results"]:
                batch = self.find(id_)
                if not batch.ended:
                    raise Refused(400, f"Batch {id_} has no results: it is still being processed.")
                self.server.note(exchange, "200")
                lines = b"".join(map(_individual, batch.results))
                exchange.send(200, lines, anthropic.headers(0), "application/x-jsonl")
                return True
        if body is None:
            return False
        self.server.answer(exchange, anthropic, body)
        return True

    def _create(self, exchange: Exchange) -> Batch | None:
        try:
            requests = json.loads(exchange.body).get("requests")
        except (ValueError, AttributeError):
            requests = None
        if not isinstance(requests, list) or not requests:
            raise Refused(400, "requests: Field required")
        if len(requests) > self.server.settings.batch_rows:
            raise Refused(413, "Request exceeds the maximum number of requests", "request_too_large")
        rows: list[Row] = []
        seen: set[str] = set()
        for number, given in enumerate(requests):
            id_ = given.get("custom_id") if isinstance(given, dict) else None
            if not isinstance(id_, str) or not _CUSTOM_ID.fullmatch(id_):
                raise Refused(
                    400, f"requests.{number}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
                )
            if id_ in seen:
                raise Refused(400, f"requests.{number}.custom_id: Duplicate custom_id found: {id_}")
            seen.add(id_)
            rows.append(Row(id_, read_row(anthropic, given.get("params"), self.server)))
        return self.add(exchange, rows)

    def _record(self, batch: Batch, exchange: Exchange) -> dict[str, Any]:
        counts = batch.counts if batch.ended else dict.fromkeys(batch.counts, 0)
        status = "ended" if batch.ended else "canceling" if batch.canceled else "in_progress"
        results = f"{exchange.base}/v1/messages/batches/{batch.id}/results"
        created = datetime.fromtimestamp(batch.created, UTC)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {"processing": 0 if batch.ended else len(batch.rows), **counts},
            "created_at": created.isoformat(),
            "expires_at": (created + _DAY).isoformat(),
            "ended_at": _iso(batch.ended),
            "cancel_initiated_at": _iso(batch.canceled),
            "archived_at": None,
            "results_url": results if batch.ended else None,
        }


def _individual(result: Result) -> bytes:
    """A line of Anthropic's results."""
    inner: dict[str, Any] = {"type": result.kind}
    if result.kind == "succeeded":
        inner["message"] = result.body
    elif result.kind == "errored":
        inner["error"] = result.body
    return json.dumps({"custom_id": result.row.id, "result": inner}).encode() + b"\n"


def _iso(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
