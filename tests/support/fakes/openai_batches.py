"""OpenAI's files and batches."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from tests.support.fakes import openai
from tests.support.fakes.ask import Refused
from tests.support.fakes.batches import Batch, Batches, Result, Row, read_row
from tests.support.fakes.multipart import parts
from tests.support.fakes.protocol import Exchange

if TYPE_CHECKING:
    from tests.support.fakes.server import Server

_DAY = 24 * 3600
_CHAT_PATH = "/v1/chat/completions"
_PURPOSES = ("batch", "assistants", "fine-tune", "vision", "user_data", "evals")


class OpenAIBatches(Batches):
    """`/v1/files` and `/v1/batches`."""

    api = openai
    prefix = "batch_"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        """A file's record and its content, by id."""
        self._numbers = itertools.count()

    def handle(self, exchange: Exchange) -> bool:
        """Answers a request, if it is for this.

        Raises:
            Refused: it is, and not valid.
        """
        body: dict[str, Any] | None = None
        match exchange.method, *exchange.path.split("/")[2:]:
            case ["POST", "files"]:
                body = self._upload(exchange)
            case ["GET", "files", id_]:
                body = self._file(id_)[0]
            case ["DELETE", "files", id_]:
                self._file(id_)
                del self._files[id_]
                body = {"id": id_, "object": "file", "deleted": True}
            case ["GET", "files", id_, "content"]:
                self.server.note(exchange, "200")
                exchange.send(200, self._file(id_)[1], kind="application/octet-stream")
                return True
            case ["POST", "batches"]:
                batch = self._create(exchange)
                if batch is None:
                    return True
                body = self._record(batch)
            case ["GET", "batches"]:
                found, more = self.page(exchange, "after")
                data = [self._record(batch) for batch in found]
                ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
                body = {"object": "list", "data": data, "has_more": more, **ends}
            case ["GET", "batches", id_]:
                body = self._record(self.find(id_))
            case ["POST", "batches", id_, "cancel"]:
                if self.find(id_).ended:
                    raise Refused(409, "Cannot cancel a batch that has ended.")
                self.cancel(self.find(id_))
                body = self._record(self.find(id_))
        if body is None:
            return False
        self.server.answer(exchange, openai, body)
        return True

    def _upload(self, exchange: Exchange) -> dict[str, Any]:
        fields = parts(exchange.headers.get("content-type", ""), exchange.body)
        purpose = fields["purpose"].content.decode() if "purpose" in fields else ""
        if purpose not in _PURPOSES:
            raise Refused(400, f"'{purpose}' is not one of {list(_PURPOSES)} - 'purpose'")
        if "file" not in fields:
            raise Refused(400, "Missing required parameter: 'file'.", param="file")
        return self._store(fields["file"].content, fields["file"].filename, purpose)

    def _store(self, content: bytes, name: str, purpose: str) -> dict[str, Any]:
        id_ = f"file-{next(self._numbers):04d}{hashlib.blake2b(content, digest_size=6).hexdigest()}"
        record = {
            "id": id_,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "expires_at": None,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        self._files[id_] = (record, content)
        return record

    def _file(self, id_: str) -> tuple[dict[str, Any], bytes]:
        if id_ not in self._files:
            raise Refused(404, f"No such File object: {id_}", param="id")
        return self._files[id_]

    def _create(self, exchange: Exchange) -> Batch | None:
        try:
            given = json.loads(exchange.body)
        except ValueError:
            given = {}
        if given.get("endpoint") != _CHAT_PATH:
            raise Refused(400, f"Invalid value: '{given.get('endpoint')}'.", param="endpoint", code="invalid_value")
        if given.get("completion_window") != "24h":
            raise Refused(400, "Invalid value for 'completion_window'.", param="completion_window")
        metadata = given.get("metadata") or {}
        if len(metadata) > 16 or not all(
            isinstance(value, str) and len(name) <= 64 and len(value) <= 512 for name, value in metadata.items()
        ):
            raise Refused(400, "Invalid 'metadata'.", param="metadata")
        record, content = self._file(str(given.get("input_file_id")))
        if record["purpose"] != "batch":
            raise Refused(400, "The file's purpose must be 'batch'.", param="input_file_id")
        rows, problems = self._rows(content)
        waiting = sum(batch.tokens for batch in self.batches.values() if not batch.ended)
        batch = self.add(exchange, rows, input_file_id=record["id"], metadata=metadata)
        stored = batch or self.made[-1]
        most = self.server.settings.batch_tokens
        if not problems and most and waiting + stored.tokens > most:
            message = (
                f"Enqueued token limit reached. Limit: {most:,} enqueued tokens. "
                "Please try again once some in_progress batches have been completed."
            )
            problems = [_problem("token_limit_exceeded", message)]
        if stored.fault == "batch_failed":
            problems = problems or [_problem("server_error", "The batch failed.")]
        stored.problems = problems
        return batch

    def _rows(self, content: bytes) -> tuple[list[Row], list[dict[str, Any]]]:
        rows: list[Row] = []
        problems: list[dict[str, Any]] = []
        models: set[str] = set()
        seen: set[str] = set()
        for number, line in enumerate(content.splitlines(), 1):
            try:
                given = json.loads(line)
                id_, body = given["custom_id"], given["body"]
                valid = given["method"] == "POST" and given["url"] == _CHAT_PATH and isinstance(id_, str)
            except (ValueError, KeyError, TypeError):
                problems.append(_problem("invalid_json_line", "This line is not parseable as valid JSON.", number))
                continue
            if not valid:
                problems.append(_problem("invalid_url", "The URL provided does not match the batch's.", number))
            if id_ in seen:
                problems.append(_problem("duplicate_custom_id", f"The custom_id '{id_}' is not unique.", number))
            seen.add(id_)
            models.add(str(body.get("model")))
            if len(models) > 1:
                problems.append(_problem("mismatched_model", "All lines must have the same model.", number))
            rows.append(Row(id_, read_row(openai, body, self.server)))
        if not rows and not problems:
            problems.append(_problem("empty_file", "The input file is empty."))
        if len(rows) > self.server.settings.batch_rows:
            problems.append(_problem("too_many_tasks", "The batch has too many requests."))
        return rows, problems

    def work(self, batch: Batch) -> None:
        if batch.problems:
            batch.ended = batch.ended or time.time()
        else:
            super().work(batch)

    def end(self, batch: Batch) -> None:
        if batch.ended:
            return
        super().end(batch)
        good = [result for result in batch.results if result.kind == "succeeded"]
        bad = [result for result in batch.results if result.kind != "succeeded"]
        if good:
            lines = b"".join(map(_line, good))
            batch.output = self._store(lines, f"{batch.id}_output.jsonl", "batch_output")["id"]
        if bad:
            lines = b"".join(map(_line, bad))
            batch.errors = self._store(lines, f"{batch.id}_error.jsonl", "batch_output")["id"]

    def _record(self, batch: Batch) -> dict[str, Any]:
        counts = batch.counts
        at = int(batch.ended) if batch.ended else None
        now = asyncio.get_running_loop().time()
        early = now < batch.ends - 0.8 * self.server.settings.batch_delay
        if batch.ended:
            status = "cancelled" if batch.canceled else "expired" if counts["expired"] else "completed"
            status = "failed" if batch.problems else status
        else:
            status = "cancelling" if batch.canceled else "validating" if early else "in_progress"
        shown = counts if batch.ended else dict.fromkeys(counts, 0)
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": _CHAT_PATH,
            "errors": {"object": "list", "data": batch.problems} if status == "failed" else None,
            "input_file_id": batch.fields["input_file_id"],
            "completion_window": "24h",
            "status": status,
            "output_file_id": batch.output,
            "error_file_id": batch.errors,
            "created_at": int(batch.created),
            "in_progress_at": None if status in ("validating", "failed") else int(batch.created),
            "expires_at": int(batch.created + _DAY),
            "finalizing_at": at if status == "completed" else None,
            "completed_at": at if status == "completed" else None,
            "failed_at": at if status == "failed" else None,
            "expired_at": at if status == "expired" else None,
            "cancelling_at": int(batch.canceled) if batch.canceled else None,
            "cancelled_at": at if status == "cancelled" else None,
            "request_counts": {
                "total": 0 if status in ("validating", "failed") else len(batch.rows),
                "completed": shown["succeeded"],
                "failed": shown["errored"] + shown["expired"] + shown["canceled"],
            },
            "metadata": batch.fields["metadata"] or None,
        }


def _problem(code: str, message: str, line: int | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": line}


def _line(result: Result) -> bytes:
    """A line of OpenAI's output or error file."""
    id_ = result.row.id
    error = None
    response: dict[str, Any] | None = None
    if result.kind in ("succeeded", "errored"):
        response = {"status_code": result.status, "request_id": f"req_{id_}", "body": result.body}
    elif result.kind == "expired":
        message = "This request could not be executed before the completion window expired."
        error = {"code": "batch_expired", "message": message}
    else:
        error = {"code": "batch_cancelled", "message": "This request was not executed: the batch was cancelled."}
    line = {"id": f"batch_req_{id_}", "custom_id": id_, "response": response, "error": error}
    return json.dumps(line).encode() + b"\n"
