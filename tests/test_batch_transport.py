"""Batches of both providers, against a server on the loopback interface that keeps files and batches as they do."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from synth.llm import anthropic_batch, batch_wire
from synth.llm.batch import BatchClient, batch_client, batch_line
from synth.llm.pictures import Pictures
from synth.llm.provider import ImageData, ModelError, ModelName, Reply, Request
from synth.llm.providers import open_provider
from synth.llm.remote import RemoteProvider
from synth.prompts.calls import BACKSTORY, UtteranceOutput
from synth.prompts.templates import Message
from synth.traces.store import Place
from tests.support.served import Served

KEY = "sk-planted-0123456789abcdef"
PROMPT = "The customer is called Aurelia Quill and wants a teal raincoat for the regatta."
PROVIDERS = ("openai", "anthropic")
ODD = "a\u2028b\u0085c"
"""Ends a line for `str.splitlines`, and stands unescaped in JSON."""

T = TypeVar("T")
Outcome = Callable[[str], Any]


class Server(Served):
    """Files and batches of both providers. A batch ends when `ended` is set, with `outcome(custom_id)` for each line.

    An outcome is a text (answered), a pair of status and error (refused), a word (`expired`, `missing`), or a whole
    row.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ended = True
        self.outcome: Outcome = lambda custom_id: said(f"I am {custom_id} {ODD}")
        self.failed: list[dict[str, Any]] = []
        """Errors of a batch that does not pass OpenAI's validation."""
        self.faults: list[tuple[str, str, Any]] = []
        """Method, end of the path, and a status with an error, `drop` (before or after doing it) or `half`."""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.page = 1000
        self.gate: threading.Event | None = None
        """Where set, only the first row of a file is sent until the gate opens."""

    def count(self, call: str) -> int:
        return sum(done.startswith(call) for done in self.log)

    def serve(self, http: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        parts = urlsplit(http.path)
        self.log.append(f"{method} {parts.path}")
        fault = next((f for f in self.faults if f[0] == method and parts.path.endswith(f[1])), None)
        if fault:
            self.faults.remove(fault)
        what = fault[2] if fault else None
        if what == "drop":
            http.close_connection = True
            return
        if isinstance(what, tuple):
            return self.send(http, what[0], {"type": "error", "error": what[1]})
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, answer = self.answer(method, parts.path, query, body, http.headers)
        if what == "drop after":
            http.close_connection = True
            return None
        return self.send(http, status, answer, half=what == "half")

    def send(self, http: BaseHTTPRequestHandler, status: int, answer: Any, half: bool = False) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        http.send_response(status)
        http.send_header("Content-Type", kind)
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        if self.gate and isinstance(answer, bytes):
            first = data.index(b"\n") + 1
            http.wfile.write(data[:first])
            http.wfile.flush()
            assert self.gate.wait(5)
            data = data[first:]
        http.wfile.write(data[: len(data) // 2] if half else data)
        http.close_connection = half

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: Any) -> tuple[int, Any]:
        steps = [*path.strip("/").split("/")[1:], "", ""]
        if steps[0] == "messages":
            return self.anthropic(method, steps[2], steps[3], query, body)
        if steps[0] == "files":
            if method == "POST":
                name = f"file-{len(self.files)}"
                boundary = headers["Content-Type"].partition("boundary=")[2].encode()
                fields = [part for part in body.split(b"--" + boundary) if b'name="file"' in part]
                assert b'name="purpose"\r\n\r\nbatch\r\n' in body
                self.files[name] = fields[0].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
                return 200, {"id": name, "object": "file"}
            if steps[1] not in self.files:
                return 404, {"error": {"message": "No such File object"}}
            if method == "DELETE":
                del self.files[steps[1]]
                return 200, {"id": steps[1], "deleted": True}
            return 200, self.files[steps[1]]
        if steps[0] == "batches":
            return self.openai(method, steps[1], steps[2], query, body)
        return 404, {"error": {"message": "Not here"}}

    def openai(self, method: str, id_: str, verb: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if method == "POST" and not id_:
            record = {**json.loads(body), "id": f"batch_{len(self.batches)}", "created_at": time.time()}
            self.batches[record["id"]] = record
            return 200, {**record, "status": "validating"}
        if not id_:
            return 200, self.paged("after", query)
        if id_ not in self.batches:
            return 404, {"error": {"message": f"No batch found with id {id_}"}}
        record = self.batches[id_]
        if verb == "cancel":
            if self.ended:
                return 409, {"error": {"message": "Cannot cancel a batch with status 'completed'."}}
            self.ended, self.outcome = True, lambda _: "cancelled"
        if self.ended and "status" not in record:
            self.end_openai(record)
        return 200, {"status": "in_progress", **record}

    def end_openai(self, record: dict[str, Any]) -> None:
        if self.failed:
            record |= {"status": "failed", "errors": {"object": "list", "data": self.failed}}
            return
        lines = [json.loads(line) for line in self.files[record["input_file_id"]].split(b"\n") if line]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        good, bad = [], []
        outcomes = [(line["custom_id"], self.outcome(line["custom_id"])) for line in lines]
        for custom_id, outcome in outcomes:
            row: dict[str, Any] = {"id": "r", "custom_id": custom_id, "response": None, "error": None}
            if isinstance(outcome, str) and outcome.startswith("{"):
                good.append({**row, "response": {"status_code": 200, "body": completion(outcome)}})
            elif isinstance(outcome, dict):
                good.append({**row, "response": {"status_code": 200, "body": outcome}})
            elif isinstance(outcome, tuple):
                bad.append({**row, "response": {"status_code": outcome[0], "body": {"error": outcome[1]}}})
            elif outcome != "missing":
                bad.append({**row, "error": {"code": f"batch_{outcome}", "message": "not executed in time"}})
        ended = [outcome for _, outcome in outcomes if outcome in ("expired", "cancelled")]
        for name, rows in (("output_file_id", good), ("error_file_id", bad)):
            record[name] = self.keep(rows) if rows else None
        record["request_counts"] = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        record["status"] = ended[0] if ended else "completed"

    def anthropic(self, method: str, id_: str, verb: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if method == "POST" and not id_:
            requests = json.loads(body)["requests"]
            return 200, self.public(self.add_anthropic(requests))
        if not id_:
            page = self.paged("after_id", query)
            return 200, {**page, "data": [self.public(record) for record in page["data"]]}
        if id_ not in self.batches:
            return 404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}
        record = self.batches[id_]
        if method == "DELETE":
            return 200, {"id": self.batches.pop(id_)["id"]}
        if verb == "cancel":
            if self.ended:
                return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "It has ended."}}
            self.ended, self.outcome = True, lambda _: "canceled"
        if verb == "results":
            assert self.ended
            return 200, self.files[self.keep([self.anthropic_row(r["custom_id"]) for r in record["requests"]])]
        return 200, self.public(record)

    def add_anthropic(self, requests: list[dict[str, Any]], age: float = 0.0) -> dict[str, Any]:
        assert len({r["custom_id"] for r in requests}) == len(requests)
        made = datetime.fromtimestamp(time.time() - age, UTC).isoformat().replace("+00:00", "Z")
        record = {"id": f"msgbatch_{len(self.batches)}", "created_at": made, "requests": requests}
        self.batches[record["id"]] = record
        return record

    def public(self, record: dict[str, Any]) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for request in record["requests"]:
            kind = self.anthropic_row(request["custom_id"]).get("result", {}).get("type")
            counts[kind or "succeeded" if self.ended else "processing"] += 1
        status = "ended" if self.ended else "in_progress"
        return {**record, "requests": None, "processing_status": status, "request_counts": counts, "archived_at": None}

    def anthropic_row(self, custom_id: str) -> dict[str, Any]:
        outcome = self.outcome(custom_id)
        if isinstance(outcome, str) and outcome.startswith("{"):
            outcome = message(outcome)
        if isinstance(outcome, dict):
            return {"custom_id": custom_id, "result": {"type": "succeeded", "message": outcome}}
        if isinstance(outcome, tuple):
            error = {"type": "error", "error": outcome[1]}
            return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
        if outcome == "missing":
            return {"lost": True}
        return {"custom_id": custom_id, "result": {"type": outcome}}

    def paged(self, cursor: str, query: dict[str, str]) -> dict[str, Any]:
        newest = list(self.batches.values())[::-1]
        ids = [record["id"] for record in newest]
        start = ids.index(query[cursor]) + 1 if cursor in query else 0
        size = min(self.page, int(query["limit"]))
        page = newest[start : start + size]
        return {"object": "list", "data": page, "has_more": start + size < len(newest)}

    def keep(self, rows: list[dict[str, Any]]) -> str:
        random.Random(5).shuffle(rows)
        name = f"file-{len(self.files)}"
        self.files[name] = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        return name


def said(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False)


def completion(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, "refusal": None}}
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 32}},
    }


def message(text: str, stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop,
        "usage": {
            "input_tokens": 8,
            "output_tokens": 7,
            "cache_read_input_tokens": 32,
            "cache_creation_input_tokens": 0,
        },
    }


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as fake:
        yield fake


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(batch_wire, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(anthropic_batch, "_POLL", 0.01)


def picture(_: str) -> ImageData:
    data = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(data, "PNG")
    return ImageData(data.getvalue(), "image/png")


def requests(wave: str, count: int, text: str = PROMPT) -> dict[str, Request]:
    """Requests by custom id."""
    return {
        f"{wave}_{n}": Request(
            model="tiny-1",
            messages=[Message("system", "You are brief."), Message("user", f"{text} {n}", ("abc",))],
            schema=UtteranceOutput,
            temperature=0.2,
            max_tokens=100,
            seed=7,
            place=Place("conversations", n, "need"),
            call=BACKSTORY,
            given=None,
        )
        for n in range(count)
    }


def run(provider: str, server: Server, use: Callable[[RemoteProvider, BatchClient], Awaitable[T]]) -> T:
    async def main() -> T:
        address = f"{server.url}/v1" if provider == "openai" else server.url
        opened = open_provider(
            ModelName(provider, "tiny-1"), base_url=address, pictures=Pictures(picture, "full"), timeout=5.0
        )
        try:
            return await use(opened, batch_client(opened))
        finally:
            await opened.close()

    return asyncio.run(main())


def encoded(provider: RemoteProvider, wave: dict[str, Request]) -> dict[str, bytes]:
    return {custom_id: batch_line(provider, custom_id, request) for custom_id, request in wave.items()}


async def outcomes(batches: BatchClient, id_: str, wave: dict[str, Request]) -> dict[str, Reply | ModelError]:
    """Results by custom id; each came once."""
    found = [pair async for pair in batches.results(id_, wave)]
    assert sorted(custom_id for custom_id, _ in found) == sorted(wave)
    return dict(found)


def collected(provider: str, server: Server, wave: dict[str, Request]) -> dict[str, Reply | ModelError]:
    async def use(opened: RemoteProvider, batches: BatchClient) -> dict[str, Reply | ModelError]:
        return await outcomes(batches, await batches.submit("w1", encoded(opened, wave)), wave)

    return run(provider, server, use)


def failure(result: Reply | ModelError) -> ModelError:
    assert isinstance(result, ModelError)
    for secret in (KEY, KEY[:12], "Aurelia", "teal raincoat"):
        assert secret not in str(result)
    assert "\n" not in str(result)
    return result


@pytest.mark.parametrize("provider", PROVIDERS)
def test_round_trip(provider: str, server: Server) -> None:
    wave = requests("w1", 7)
    server.ended = False

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        id_ = await batches.submit("w1", encoded(opened, wave))
        assert (await batches.state(id_)).running
        with pytest.raises(ValueError, match="still running"):
            await outcomes(batches, id_, wave)
        server.ended = True
        state = await batches.state(id_)
        assert state == (False, 7, 0, 7, "")
        for custom_id, reply in (await outcomes(batches, id_, wave)).items():
            assert isinstance(reply, Reply)
            assert json.loads(reply.text) == {"text": f"I am {custom_id} {ODD}"}
            assert reply.usage == (40, 32, 0, 7)
        assert await outcomes(batches, id_, wave), "they can be read again"

    run(provider, server, use)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_line_has_the_body_of_an_online_call(provider: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    (custom_id, request), *_ = requests("w1", 1).items()

    async def use(opened: RemoteProvider, _: BatchClient) -> None:
        sent = []

        async def post(body: Any, _: Request) -> tuple[int, dict[str, str], bytes]:
            sent.append((opened.path, body))
            return 200, {}, json.dumps((completion if provider == "openai" else message)(said("Hello"))).encode()

        monkeypatch.setattr(opened, "_post", post)
        for refused in ((), ("schema", "temperature")):
            opened._refused.update(refused)
            await opened.complete(request)
            line = json.loads(batch_line(opened, custom_id, request))
            assert line.pop("custom_id") == custom_id
            path, body = sent.pop()
            if provider == "openai":
                assert line == {"method": "POST", "url": f"/v1{path}", "body": body}
            else:
                assert line == {"params": body}

    run(provider, server, use)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_kind_of_row(provider: str, server: Server) -> None:
    wave = requests("w1", 9)
    answer = completion if provider == "openai" else message
    cut, refused = ("length", "content_filter") if provider == "openai" else ("max_tokens", "refusal")
    kinds: list[Any] = [
        said("fine"),
        (400, {"type": "invalid_request_error", "message": f"max_tokens is wrong in {PROMPT}"}),
        (429, {"type": "rate_limit_error", "message": "slower, please"}),
        (500, {"type": "api_error", "message": "oops"}),
        "expired",
        "missing",
        answer('{"te', cut),
        answer("", refused),
        answer(""),
    ]
    server.outcome = lambda custom_id: kinds[int(custom_id[3:])]
    results = collected(provider, server, wave)
    assert isinstance(results["w1_0"], Reply)
    errors = {int(custom_id[3:]): failure(result) for custom_id, result in results.items() if custom_id != "w1_0"}
    assert [n for n, error in sorted(errors.items()) if error.retry] == [2, 3, 4, 5, 8]
    assert not any(error.fatal for error in errors.values())
    assert "400" in str(errors[1]) and "429" in str(errors[2]) and errors[2].throttled
    assert "expired" in str(errors[4]) and not errors[4].lost
    assert errors[6].cut and errors[6].usage is not None and errors[6].usage.output == 7
    assert "refused" in str(errors[7]) and "empty" in str(errors[8])
    assert errors[8].usage is not None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_row_of_a_finished_batch_may_have_been_billed(provider: str, server: Server) -> None:
    server.outcome = lambda custom_id: "missing" if custom_id == "w1_1" else said("fine")
    error = failure(collected(provider, server, requests("w1", 3))["w1_1"])
    assert error.retry and error.lost


@pytest.mark.parametrize(
    ("provider", "row"),
    [
        ("openai", (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"})),
        ("anthropic", (400, {"type": "billing_error", "message": "Your credit balance is too low"})),
    ],
)
def test_no_credit_is_fatal(provider: str, row: Any, server: Server) -> None:
    server.outcome = lambda _: row
    error = failure(collected(provider, server, requests("w1", 1))["w1_0"])
    assert error.fatal and "credit" in str(error)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rows_that_are_strange_or_come_twice(provider: str, server: Server) -> None:
    wave = requests("w1", 2)

    async def use(opened: RemoteProvider, batches: BatchClient) -> dict[str, Reply | ModelError]:
        id_ = await batches.submit("w1", encoded(opened, wave))
        keep = server.keep

        def more(rows: list[dict[str, Any]]) -> str:
            name = keep(rows)
            strange = b'\n[1]\nnot json\n{"custom_id": 3}\n{"custom_id": "w1_99", "result": null}\n'
            server.files[name] = strange + server.files[name] * 2 + b'{"custom_id": "w1'
            return name

        server.keep = more  # type: ignore[method-assign]
        return await outcomes(batches, id_, wave)

    assert all(isinstance(result, Reply) for result in run(provider, server, use).values())


@pytest.mark.parametrize(
    ("code", "text", "retry"),
    [
        ("invalid_json_line", "This line is not parseable as valid JSON.", False),
        ("token_limit_exceeded", "Enqueued token limit reached for tiny-1.", True),
    ],
)
def test_a_batch_that_fails_as_a_whole(code: str, text: str, retry: bool, server: Server) -> None:
    wave = requests("w1", 3)
    server.failed = [{"code": code, "line": 2, "message": text, "param": None}, {"code": code, "line": 3}]

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        id_ = await batches.submit("w1", encoded(opened, wave))
        state = await batches.state(id_)
        assert not state.running
        assert state.problem == f"{text} (line 2), and 1 more"
        for result in (await outcomes(batches, id_, wave)).values():
            assert failure(result).retry == retry
            assert text in str(result)
            assert not failure(result).lost

    run("openai", server, use)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["drop after", (503, {"type": "api_error", "message": "try later"})])
def test_a_creation_without_an_answer_is_found_and_not_repeated(provider: str, fault: Any, server: Server) -> None:
    wave = requests("w1", 3)
    server.faults = [("POST", "/batches", fault)]
    server.page = 2

    async def use(opened: RemoteProvider, batches: BatchClient) -> str | None:
        lines = encoded(opened, wave)
        since = time.time()
        with pytest.raises(ModelError) as caught:
            await batches.submit("w1", lines)
        assert failure(caught.value).lost and caught.value.retry
        assert server.count("POST /v1/messages/batches" if provider == "anthropic" else "POST /v1/batches") == 1
        for other in ("w2", "w3", "w4"):
            await batches.submit(other, encoded(opened, requests(other, 3)))
        return await batches.find("w1", list(wave), since)

    found = run(provider, server, use)
    if fault == "drop after":
        assert found == next(iter(server.batches))
    else:
        assert found is None


def test_find_takes_the_newest_batch_of_a_wave(server: Server) -> None:
    wave = requests("w1", 2)

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        assert await batches.find("w1", list(wave), time.time()) is None
        for _ in range(2):
            newest = await batches.submit("w1", encoded(opened, wave))
        assert await batches.find("w1", list(wave), time.time()) == newest

    run("openai", server, use)


def test_find_waits_for_the_results_of_anthropic(server: Server) -> None:
    wave = requests("w1", 3)
    mine = [{"custom_id": custom_id} for custom_id in wave]
    server.add_anthropic(mine, age=90_000)
    server.add_anthropic([{"custom_id": f"w0_{n}"} for n in range(3)])
    right = server.add_anthropic(mine)
    server.add_anthropic([{"custom_id": f"w1_{n}"} for n in range(2)])
    server.add_anthropic([{"custom_id": f"w2_{n}"} for n in range(3)])
    server.ended = False

    async def use(_: RemoteProvider, batches: BatchClient) -> None:
        search = asyncio.create_task(batches.find("w1", list(wave), time.time()))
        await asyncio.sleep(0.1)
        assert not search.done()
        server.ended = True
        assert await asyncio.wait_for(search, 5) == right["id"]
        assert await batches.find("w9", ["w9_0", "w9_1", "w9_2"], time.time()) is None
        del server.batches[right["id"]]
        assert await batches.find("w1", list(wave), time.time()) is None, "the other is of yesterday"

    run("anthropic", server, use)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_a_refused_creation_leaves_nothing_behind(provider: str, status: int, server: Server) -> None:
    said = f"Incorrect API key provided: {KEY[:10]}***; {PROMPT}"
    server.faults = [("POST", "/batches", (status, {"type": "invalid_request_error", "message": said}))]

    async def use(opened: RemoteProvider, batches: BatchClient) -> ModelError:
        with pytest.raises(ModelError) as caught:
            await batches.submit("w1", encoded(opened, requests("w1", 2)))
        return caught.value

    error = failure(run(provider, server, use))
    assert not error.lost and str(status) in str(error)
    assert error.fatal == (status == 401) and error.retry == (status == 429)
    assert not server.files and not server.batches


def test_a_harmless_message_of_a_refused_creation_is_shown(server: Server) -> None:
    said = "requests.0.custom_id: String should have at most 64 characters"
    prompt = "The customer wants a raincoat for the regatta."
    error = {"type": "invalid_request_error", "message": said}
    server.faults = [("POST", "/batches", (400, error)), ("POST", "/batches", (400, {**error, "message": prompt}))]

    async def use(opened: RemoteProvider, batches: BatchClient) -> list[str]:
        lines = encoded(opened, requests("w1", 2, prompt))
        errors = []
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await batches.submit("w1", lines)
            errors.append(str(caught.value))
        return errors

    assert run("anthropic", server, use) == [f"status 400: {said}", "status 400"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_only_reads_is_tried_again(provider: str, server: Server) -> None:
    wave = requests("w1", 5)
    busy = (529, {"type": "overloaded_error", "message": "overloaded"})
    content = "/content" if provider == "openai" else "/results"

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        server.faults = [("POST", "/files", "drop"), ("POST", "/files", busy)]
        id_ = await batches.submit("w1", encoded(opened, wave))
        server.faults = [("GET", id_, "drop"), ("GET", id_, busy), ("GET", id_, "half")]
        assert (await batches.state(id_)).done == 5
        server.faults = [("GET", content, "drop"), ("GET", content, "half"), ("GET", content, busy)]
        assert all(isinstance(result, Reply) for result in (await outcomes(batches, id_, wave)).values())
        assert not server.faults
        server.faults = [("GET", id_, busy)] * batch_wire.TRIES
        with pytest.raises(ModelError, match="529") as caught:
            await batches.state(id_)
        assert caught.value.retry
        with pytest.raises(batch_wire.NotThere, match="404"):
            await batches.state("gone")

    run(provider, server, use)
    assert server.count("POST /v1/files") == (3 if provider == "openai" else 0)
    assert len(server.batches) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_cancel(provider: str, server: Server) -> None:
    wave = requests("w1", 3)
    server.ended = False

    async def use(opened: RemoteProvider, batches: BatchClient) -> dict[str, Reply | ModelError]:
        id_ = await batches.submit("w1", encoded(opened, wave))
        for _ in range(2):
            await batches.cancel(id_)
        assert sum(done.endswith("/cancel") for done in server.log) == 2, "one that has ended is not asked again"
        state = await batches.state(id_)
        assert (state.running, state.done, state.failed, state.total, state.problem) == (False, 0, 3, 3, "")
        return await outcomes(batches, id_, wave)

    for result in run(provider, server, use).values():
        assert failure(result).retry and not failure(result).lost


@pytest.mark.parametrize("provider", PROVIDERS)
def test_forget_deletes_what_was_sent_and_answered(provider: str, server: Server) -> None:
    wave = requests("w1", 3)
    server.outcome = lambda custom_id: "expired" if custom_id == "w1_2" else said("fine")

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        ids = [await batches.submit(name, encoded(opened, wave)) for name in ("w1", "w2")]
        for id_ in ids:
            await outcomes(batches, id_, wave)
        for id_ in (*ids, "unknown"):
            server.faults = [("DELETE", "", (500, {"type": "api_error", "message": "no"}))] if id_ == ids[1] else []
            await batches.forget(id_)

    run(provider, server, use)
    if provider == "openai":
        assert len(server.files) == 1, "three of each, and one could not be deleted"
        assert server.count("DELETE") == 6
    else:
        assert len(server.batches) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_lines_that_make_no_batch(provider: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = requests("w1", 2)

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        for bad in ("", "a" * 65, "w1/0", "w1 0", "wé", "w1_0\n"):
            with pytest.raises(ValueError, match="custom id"):
                batch_line(opened, bad, wave["w1_0"])
        lines = encoded(opened, wave)
        assert max(map(len, lines)) <= 64
        with pytest.raises(ValueError, match="another custom id"):
            await batches.submit("w1", {"w1_0": lines["w1_0"], "w1_1": lines["w1_0"]})
        with pytest.raises(ValueError, match="0 requests"):
            await batches.submit("w1", {})
        for limit, value in (("max_requests", 1), ("max_bytes", sum(map(len, lines.values())))):
            with monkeypatch.context() as patched:
                patched.setattr(batches, limit, value)
                with pytest.raises(ValueError, match="2 requests of"):
                    await batches.submit("w1", lines)

    run(provider, server, use)
    assert not server.log


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whether_a_server_has_batches(provider: str, server: Server) -> None:
    async def use(_: RemoteProvider, batches: BatchClient) -> None:
        assert await batches.available()
        for status in (404, 405, 501):
            server.faults = [("GET", "/batches", (status, {"message": "File Not Found"}))] * batch_wire.TRIES
            assert not await batches.available()
        server.faults = [("GET", "/batches", (401, {"message": f"bad key {KEY}"}))]
        with pytest.raises(ModelError) as caught:
            await batches.available()
        assert failure(caught.value).fatal

    run(provider, server, use)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_results_are_read_as_they_arrive(provider: str, server: Server) -> None:
    wave = requests("w1", 3)

    async def use(opened: RemoteProvider, batches: BatchClient) -> int:
        id_ = await batches.submit("w1", encoded(opened, wave))
        server.gate = threading.Event()
        count = 0
        async for _ in batches.results(id_, wave):
            count += 1
            server.gate.set()
        return count

    assert run(provider, server, use) == 3


@pytest.mark.parametrize("provider", PROVIDERS)
def test_memory_does_not_grow_with_the_results(provider: str, server: Server) -> None:
    wave = requests("w1", 400)
    text = said("x" * 50_000)
    server.outcome = lambda custom_id: text if custom_id in wave else "missing"

    async def use(opened: RemoteProvider, batches: BatchClient) -> int:
        id_ = await batches.submit("w1", encoded(opened, wave))
        if provider == "openai":
            await batches.state(id_)
            stored = list(server.files.values())[-1]
        else:
            stored = server.files[server.keep([server.anthropic_row(custom_id) for custom_id in wave])]
            server.keep = lambda _: "stored"  # type: ignore[method-assign,assignment]
            server.files["stored"] = stored
            server.anthropic_row = lambda _: {}  # type: ignore[method-assign]
        assert len(stored) > 20_000_000
        tracemalloc.start()
        try:
            async for _, result in batches.results(id_, wave):
                assert isinstance(result, Reply)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert run(provider, server, use) < 4_000_000


def test_limits_are_the_published_ones(server: Server) -> None:
    async def use(_: RemoteProvider, batches: BatchClient) -> tuple[int, int]:
        return batches.max_requests, batches.max_bytes

    assert run("openai", server, use) == (50_000, 200_000_000)
    assert run("anthropic", server, use) == (100_000, 256_000_000 - len('{"requests":[]}'))


def test_the_body_of_anthropic_is_what_its_length_says(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic_batch, "_PIECE", 700)
    wave = requests("w1", 9)

    async def use(opened: RemoteProvider, batches: BatchClient) -> None:
        lines = encoded(opened, wave)
        await batches.submit("w1", lines)
        (record,) = server.batches.values()
        assert record["requests"] == [json.loads(line) for line in lines.values()]

    run("anthropic", server, use)
    assert re.fullmatch(r"POST /v1/messages/batches", server.log[0])
