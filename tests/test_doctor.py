"""`synth doctor`: what it finds out about a server, and what it says a run will do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.cli import app
from tests.support.served import Served, reply

KEY = "sk-planted-0123456789abcdef"
SEEN = '{"left": "red", "right": "blue"}'
BOTH = pytest.mark.parametrize("provider", ["openai", "anthropic"])

Answer = tuple[int, dict[str, Any]]


class Server(Served):
    """Answers calls with `answer`, and `GET` from `pages` by path."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Callable[[dict[str, Any]], Answer] = lambda _: (200, completion())
        self.pages: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []

    def serve(self, http: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        if method == "POST":
            self.asked.append(json.loads(body))
            status, answer = self.answer(self.asked[-1])
        else:
            page = self.pages.get(http.path)
            status, answer = (404 if page is None else 200), page or error("not found")
        reply(http, status, json.dumps(answer).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as fake:
        yield fake


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)


def completion(content: str = SEEN, *, reason: str = "stop", written: int = 12, **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **message}
    usage = {"prompt_tokens": 200, "completion_tokens": written, "total_tokens": 200 + written}
    return {"choices": [{"index": 0, "finish_reason": reason, "message": message}], "usage": usage}


def anthropic_message(text: str = SEEN) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": 200, "output_tokens": 12}
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn", "usage": usage}


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}}


def doctor(server: Server, model: str = "openai:tiny-1", exit_code: int = 0) -> dict[str, Any]:
    """What the command tells about the server, as JSON."""
    base_url = f"{server.url}/v1" if model.startswith("openai") else server.url
    run = CliRunner().invoke(app, ["doctor", "--llm", model, "--base-url", base_url, "--json"])
    assert run.exit_code == exit_code, run.output
    assert KEY not in run.output
    seen: dict[str, Any] = json.loads(run.output)["server"]
    return seen


def test_without_a_model_it_tells_what_there_is() -> None:
    run = CliRunner().invoke(app, ["doctor", "--json"])
    assert run.exit_code == 0
    report = json.loads(run.output)
    assert report["versions"]["python"].count(".") == 2
    assert report["parts"]["core"]["pydantic"]
    assert report["disk"]["free_gb"] > 0
    assert report["keys"] == {"OPENAI_API_KEY": True, "ANTHROPIC_API_KEY": True}
    assert report["server"] is None
    assert report["generate"]["model"] == "offline"
    assert KEY not in run.output
    plain = CliRunner().invoke(app, ["doctor"])
    assert plain.exit_code == 0 and "OPENAI_API_KEY" in plain.output and KEY not in plain.output


@BOTH
def test_a_model_that_can_do_everything(server: Server, provider: str) -> None:
    server.answer = lambda _: (200, completion() if provider == "openai" else anthropic_message())
    seen = doctor(server, f"{provider}:tiny-1")
    assert seen["answers"] and seen["sees_pictures"] and seen["problem"] == ""
    assert seen["keeps_schema"] and seen["fits_schema"] and seen["counts_tokens"] and not seen["thinks"]
    assert seen["takes_temperature"] and seen["takes_seed"] is (provider == "openai")
    assert seen["will_use"]["schema"] == "the server holds replies to it"
    assert seen["will_use"]["pictures"].startswith("sent")
    assert len(server.asked) == 1
    assert "json" not in json.dumps(server.asked[0]["messages"]).lower(), "only the schema may ask for JSON"


def test_a_model_without_eyes_or_schemas(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        if "response_format" in body:
            return 400, error("response_format is not supported")
        if "image_url" in json.dumps(body):
            return 400, error("tiny-1 is not a multimodal model")
        return 200, completion('{"left": "none", "right": "none"}')

    server.answer = model
    seen = doctor(server)
    assert seen["answers"] and not seen["sees_pictures"] and not seen["keeps_schema"] and seen["fits_schema"]
    assert "multimodal" in seen["problem"]
    assert "--images described" in seen["will_use"]["pictures"]
    assert "prompt carries it" in seen["will_use"]["schema"]


def test_text_templates_of_llama_cpp(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        if isinstance(body["messages"][-1]["content"], list):
            return 500, error('can only concatenate str (not "list") to str')
        return 200, completion('{"left": "none", "right": "none"}')

    server.answer = model
    seen = doctor(server)
    assert seen["answers"] and not seen["sees_pictures"] and "takes no pictures" in seen["problem"]


def test_schemas_in_the_older_form(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        if body["response_format"]["type"] != "json_object":
            return 500, error("'response_format', 'type': 'json_schema' should be 'text' or 'json_object'")
        assert body["response_format"]["schema"]["required"] == ["left", "right"]
        return 200, completion()

    server.answer = model
    seen = doctor(server)
    assert seen["keeps_schema"] and seen["sees_pictures"]
    assert len(server.asked) == 2


def test_a_server_that_ignores_schemas(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        in_prompt = "additionalProperties" in body["messages"][0]["content"]
        return 200, completion(SEEN if in_prompt else "Left it is red, right it is blue.")

    server.answer = model
    seen = doctor(server)
    assert seen["answers"] and not seen["keeps_schema"] and seen["fits_schema"] and seen["sees_pictures"]


def test_a_model_that_never_writes_what_is_asked_for(server: Server) -> None:
    server.answer = lambda _: (200, completion("What a lovely picture!"))
    seen = doctor(server)
    assert seen["answers"] and not seen["fits_schema"]
    assert "expect many failed calls" in seen["will_use"]["schema"]


def test_a_model_that_takes_pictures_and_sees_nothing(server: Server) -> None:
    server.answer = lambda _: (200, completion('{"left": "red", "right": "red"}'))
    seen = doctor(server)
    assert not seen["sees_pictures"] and "did not see" in seen["problem"]


def test_refused_settings(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        for name in ("temperature", "seed"):
            if name in body:
                return 400, error(f"Unsupported value: '{name}'", param=name)
        return 200, completion()

    server.answer = model
    seen = doctor(server)
    assert not seen["takes_temperature"] and not seen["takes_seed"]


@pytest.mark.parametrize(
    "answer",
    [
        completion(f"<think>Hm, red?</think>{SEEN}", written=700),
        completion(reasoning_content="Hm, red?", written=700),
        completion(reasoning="Hm, red?", written=700),
    ],
)
def test_thoughts(server: Server, answer: dict[str, Any]) -> None:
    server.answer = lambda _: (200, answer)
    seen = doctor(server)
    assert seen["thinks"] and seen["thought"] == 700 and seen["sees_pictures"]
    assert "--thinking-tokens 3072" in seen["will_use"]["thinking"]


def test_thoughts_longer_than_the_room_for_them(server: Server) -> None:
    def model(body: dict[str, Any]) -> Answer:
        long = body["max_tokens"] < 3000
        return 200, completion("", reason="length") if long else completion(written=3000)

    server.answer = model
    seen = doctor(server)
    assert seen["thinks"] and seen["sees_pictures"]
    assert "--thinking-tokens 12288" in seen["will_use"]["thinking"]


def test_a_server_that_counts_no_tokens(server: Server) -> None:
    server.answer = lambda _: (200, {**completion(), "usage": None})
    assert not doctor(server)["counts_tokens"]


LISTED: dict[str, Any] = {"object": "list", "data": [{"id": "other"}, {"id": "tiny-1", "max_model_len": 32768}]}


@pytest.mark.parametrize(
    ("pages", "context"),
    [
        pytest.param({"/v1/models": LISTED}, 32768, id="vLLM"),
        pytest.param({"/props": {"default_generation_settings": {"n_ctx": 16384}}}, 16384, id="llama.cpp"),
        pytest.param(
            {"/v1/models": {"data": [{"id": "tiny-1", "meta": {"n_ctx_train": 8192}}]}}, 8192, id="llama.cpp, no props"
        ),
        pytest.param({"/api/ps": {"models": [{"name": "tiny-1:latest", "context_length": 4096}]}}, 4096, id="Ollama"),
        pytest.param({"/api/ps": {"models": [{"name": "other", "context_length": 4096}]}}, None, id="not loaded"),
        pytest.param({"/props": {"default_generation_settings": None}, "/v1/models": {"data": 3}}, None, id="odd"),
    ],
)
def test_context(server: Server, pages: dict[str, Any], context: int | None) -> None:
    server.pages = pages
    seen = doctor(server)
    assert seen["context"] == context and seen["context_source"] == ("server" if context else "")
    said = seen["will_use"]["context"]
    if context is None:
        assert said.startswith("not told")
    else:
        assert f"{context:,} tokens {'are enough' if context > 9000 else 'may not do'}" in said


def test_context_as_published(server: Server) -> None:
    seen = doctor(server, "openai:gpt-4o-mini")
    assert (seen["context"], seen["context_source"]) == (128_000, "published")


def test_a_server_that_refuses_the_key(server: Server) -> None:
    server.answer = lambda _: (401, error(f"Incorrect key {KEY}"))
    seen = doctor(server, exit_code=1)
    assert not seen["answers"] and "OPENAI_API_KEY" in seen["problem"] and seen["will_use"] == {}


def test_an_unknown_model_and_what_there_is_instead(server: Server) -> None:
    server.pages = {"/v1/models": {"data": [{"id": "tiny-11"}, {"id": "large"}]}}
    server.answer = lambda _: (404, error("model not found"))
    seen = doctor(server, exit_code=1)
    assert "no model 'tiny-1'" in seen["problem"] and seen["problem"].endswith("the server has tiny-11 and 1 more")


def test_no_server(server: Server) -> None:
    with Server() as closed:
        pass
    seen = doctor(closed, exit_code=1)
    assert "no connection" in seen["problem"] and closed.url in seen["problem"]


def test_the_report_in_words(server: Server) -> None:
    server.pages = {"/v1/models": {"data": [{"id": "large"}]}}
    run = CliRunner().invoke(
        app, ["doctor", "--llm", "openai:tiny-1", "--base-url", f"{server.url}/v1"], env={"COLUMNS": "200"}
    )
    assert run.exit_code == 0
    for said in ("the server lists large, not tiny-1", "takes temperature and seed", "not told", "counted by the"):
        assert said in run.output
    server.answer = lambda _: (403, error("no"))
    run = CliRunner().invoke(app, ["doctor", "--llm", "openai:tiny-1", "--base-url", f"{server.url}/v1"])
    assert run.exit_code == 1 and "does not answer" in run.output
