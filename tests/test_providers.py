"""The providers of real models, against servers on the loopback interface that answer as the real ones do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from PIL import Image

from synth.errors import SynthError
from synth.llm.endpoint import Endpoint, public_url
from synth.llm.failures import retry_after
from synth.llm.pictures import Pictures
from synth.llm.provider import ImageData, ModelError, ModelName, Reply, Request, Usage
from synth.llm.providers import open_provider
from synth.llm.roles import alternating
from synth.llm.structured import has_shape, only_json, strict_schema
from synth.prompts.calls import (
    BACKSTORY,
    CALLS,
    REJECT,
    BackstoryOutput,
    MatchOutput,
    RejectOutput,
    ReviewOutput,
    UtteranceOutput,
)
from synth.prompts.templates import Message
from synth.traces.store import Place
from tests.support.served import Served, reply

KEY = "sk-planted-0123456789abcdef"
PROMPT = "The customer is called Aurelia Quill and wants a teal raincoat for the regatta."


def _png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(data, "PNG")
    return data.getvalue()


PICTURE = ImageData(_png(), "image/png")
PICTURES = Pictures(lambda _: PICTURE, "full")
TEXT = '{"text": "Hello there"}'


class Answer:
    """What the fake server sends back once."""

    def __init__(self, body: Any, status: int = 200, headers: dict[str, str] | None = None, delay: float = 0.0) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = {"Content-Type": "application/json", **(headers or {})}
        self.delay = delay


class FakeServer(Served):
    """Sends the scripted answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[Answer | Callable[[dict[str, Any]], Answer]] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

    def serve(self, http: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        asked = json.loads(body)
        self.asked.append(asked)
        self.paths.append(http.path)
        self.headers.append({name.lower(): value for name, value in http.headers.items()})
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        answer = step(asked) if callable(step) else step
        time.sleep(answer.delay)
        with contextlib.suppress(OSError):
            reply(http, answer.status, answer.body, answer.headers)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)


def completion(content: Any = TEXT, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": choice.pop("refusal", None)}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
        "usage": {
            "prompt_tokens": 40,
            "completion_tokens": 7,
            "total_tokens": 47,
            "prompt_tokens_details": {"cached_tokens": 32},
        },
    }


def answer_message(text: str = TEXT, stop_reason: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 8,
            "output_tokens": 7,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 2,
        },
    }


def openai_error(status: int, message: str, **fields: Any) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return Answer({"error": error}, status)


def anthropic_error(status: int, message: str, kind: str = "invalid_request_error") -> Answer:
    return Answer({"type": "error", "error": {"type": kind, "message": message}}, status)


def error_for(provider: str, status: int, message: str) -> Answer:
    return openai_error(status, message) if provider == "openai" else anthropic_error(status, message)


def good(provider: str) -> Answer:
    return Answer(completion() if provider == "openai" else answer_message())


def request(
    messages: list[Message] | None = None, schema: Any = UtteranceOutput, place: Place | None = None, **fields: Any
) -> Request:
    values: dict[str, Any] = {
        "model": "tiny-1",
        "messages": messages or [Message("system", "You are brief."), Message("user", PROMPT, ("abc",))],
        "schema": schema,
        "temperature": 0.2,
        "max_tokens": 100,
        "seed": 7,
        "place": place or Place("conversations", 3, "need"),
        "call": BACKSTORY,
        "given": None,
    }
    return Request(**{**values, **fields})


def address(provider: str, server: FakeServer) -> str:
    return f"{server.url}/v1" if provider == "openai" else server.url


def ask(
    provider: str, server: FakeServer, *requests: Request, timeout: float = 5.0, base_url: str | None = None
) -> list[Reply]:
    """Sends requests one after the other through one provider; to the server, where no other address is given."""

    async def run() -> list[Reply]:
        opened = open_provider(
            ModelName(provider, "tiny-1"),
            base_url=base_url or address(provider, server),
            pictures=PICTURES,
            timeout=timeout,
        )
        try:
            return [await opened.complete(one) for one in requests or (request(),)]
        finally:
            await opened.close()

    return asyncio.run(run())


def failures(provider: str, server: FakeServer, count: int = 1, timeout: float = 5.0) -> list[ModelError]:
    """The errors of calls that must fail, after a look for what no error may give away."""

    async def run() -> list[ModelError]:
        opened = open_provider(
            ModelName(provider, "tiny-1"),
            base_url=address(provider, server),
            pictures=PICTURES,
            timeout=timeout,
        )
        errors = []
        for _ in range(count):
            with pytest.raises(ModelError) as caught:
                await opened.complete(request())
            errors.append(caught.value)
        await opened.close()
        return errors

    errors = asyncio.run(run())
    for error in errors:
        everything = "".join(traceback.format_exception(error))
        assert "\n" not in str(error)
        assert KEY not in everything and KEY[3:12] not in everything
        assert "Aurelia" not in everything and base64.b64encode(PICTURE.data).decode()[:24] not in everything
    return errors


def failure(provider: str, server: FakeServer, timeout: float = 5.0) -> ModelError:
    [error] = failures(provider, server, 1, timeout)
    return error


BOTH = pytest.mark.parametrize("provider", ["openai", "anthropic"])


# ---- what is sent -----------------------------------------------------------------------------------------------


def test_openai_request(server: FakeServer) -> None:
    server.script = [good("openai")]
    [reply] = ask("openai", server)
    assert reply == Reply(TEXT, Usage(40, 32, 0, 7))
    [sent] = server.asked
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert sent["model"] == "tiny-1" and sent["temperature"] == 0.2 and sent["max_tokens"] == 100
    assert sent["response_format"]["json_schema"] == {
        "name": "UtteranceOutput",
        "schema": strict_schema(UtteranceOutput),
        "strict": True,
    }
    assert sent["messages"][0] == {"role": "system", "content": "You are brief."}
    url = "data:image/png;base64," + base64.b64encode(PICTURE.data).decode()
    assert sent["messages"][1] == {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
            {"type": "text", "text": PROMPT},
        ],
    }


def test_openai_seed_depends_on_the_place(server: FakeServer) -> None:
    server.script = [good("openai")]
    here, there = Place("s", 1, "need"), Place("s", 2, "need")
    ask("openai", server, request(place=here), request(place=here), request(place=there))
    first, again, other = (sent["seed"] for sent in server.asked)
    assert first == again != other
    assert 0 <= first < 2**31


def test_anthropic_request(server: FakeServer) -> None:
    server.script = [good("anthropic")]
    messages = [
        Message("system", "You are brief."),
        Message("assistant", "Hi!"),
        Message("user", "I need shoes."),
        Message("user", PROMPT, ("abc",)),
    ]
    [reply] = ask("anthropic", server, request(messages))
    assert reply == Reply(TEXT, Usage(40, 30, 2, 7))
    [sent] = server.asked
    assert server.paths == ["/v1/messages"]
    assert KEY in " ".join(server.headers[0].values())
    assert sent["system"] == "You are brief." and sent["max_tokens"] == 100 and sent["temperature"] == 0.2
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": strict_schema(UtteranceOutput)}}
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    picture = {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(PICTURE.data).decode(),
    }
    assert sent["messages"][2]["content"] == [
        {"type": "text", "text": "I need shoes."},
        {"type": "image", "source": picture},
        {"type": "text", "text": PROMPT},
    ]


def test_anthropic_base_url_with_v1(server: FakeServer) -> None:
    server.script = [good("anthropic")]

    async def run() -> None:
        provider = open_provider(
            ModelName("anthropic", "m"), base_url=f"{server.url}/v1/", pictures=PICTURES, timeout=5
        )
        await provider.complete(request())
        await provider.close()

    asyncio.run(run())
    assert server.paths == ["/v1/messages"]


def test_alternating_groups() -> None:
    groups = alternating(
        [Message("system", "s"), Message("assistant", "a"), Message("user", "  "), Message("assistant", "b")]
    )
    assert [[message.text for message in group] for group in groups] == [["(The conversation begins.)"], ["a", "b"]]
    assert [group[0].role for group in groups] == ["user", "assistant"]


# ---- structured output ------------------------------------------------------------------------------------------

ALLOWED = {"type", "enum", "const", "description", "properties", "required", "additionalProperties", "items", "anyOf"}


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict) and ({"type", "anyOf", "$ref", "enum", "const"} & node.keys()):
        yield node
        children = [*node.get("properties", {}).values(), *node.get("$defs", {}).values(), *node.get("anyOf", [])]
        for child in [*children, node.get("items")]:
            yield from _objects(child)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_schema_is_strict(name: str) -> None:
    schema = strict_schema(CALLS[name].output)
    assert schema["type"] == "object"
    for node in _objects(schema):
        assert node.keys() <= ALLOWED | {"$defs"} or node.keys() == {"$ref"}
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False


def test_schema_keeps_what_validation_will_ask() -> None:
    schema = strict_schema(BackstoryOutput)
    assert schema["properties"]["requirements"]["description"] == "(at least 2 items, at most 2 items)"
    assert schema["$defs"]["Requirement"]["required"] == ["text", "attribute", "value"]
    assert "at most 10" in strict_schema(ReviewOutput)["properties"]["logical_fluency"]["description"]
    assert strict_schema(MatchOutput)["properties"]["recipient"]["anyOf"][1] == {"type": "null"}


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (TEXT, TEXT),
        (f"  {TEXT}\n", TEXT),
        (f"```json\n{TEXT}\n```", TEXT),
        (f"<think>The set {{a}} or {{}}?</think>\n{TEXT}", TEXT),
        (f"reasoning without its opening tag</think>{TEXT}", TEXT),
        (f"Here you are: {TEXT} I hope it helps.", TEXT),
        (f"{TEXT}\nI hope it helps.", TEXT),
        ('{"text": "say <think> and ```"}', '{"text": "say <think> and ```"}'),
        ('{"text": "a </think> b"}', '{"text": "a </think> b"}'),
        ('{"text": "broken", "inner": {"a": 1}', '{"text": "broken", "inner": {"a": 1}'),
        ("<think>cut while thinking", ""),
        ("no object", "no object"),
    ],
)
def test_only_json(reply: str, wanted: str) -> None:
    assert only_json(reply) == wanted


def test_has_shape() -> None:
    assert has_shape('{"text": ""}', UtteranceOutput)
    assert not has_shape('{"text": "a", "more": 1}', UtteranceOutput)
    assert not has_shape('["text"]', UtteranceOutput)
    assert not has_shape("text", UtteranceOutput)


@pytest.mark.parametrize(
    ("provider", "refusal", "field"),
    [
        ("openai", openai_error(400, "This response_format type is unavailable now"), "response_format"),
        ("openai", openai_error(422, "unsupported", param="response_format"), "response_format"),
        ("openai", openai_error(400, "Unsupported value", param="temperature"), "temperature"),
        ("openai", openai_error(400, "Unknown parameter: 'seed'."), "seed"),
        ("openai", openai_error(400, "Unsupported: use 'max_completion_tokens' instead."), "max_tokens"),
        ("anthropic", anthropic_error(400, "'tiny-1' does not support output format."), "output_config"),
        ("anthropic", anthropic_error(400, "`temperature` is deprecated for this model."), "temperature"),
    ],
)
def test_refused_trait_is_left_out_for_the_rest_of_the_run(
    server: FakeServer, provider: str, refusal: Answer, field: str
) -> None:
    server.script = [refusal, good(provider)]
    replies = ask(provider, server, request(), request())
    assert [reply.text for reply in replies] == [TEXT, TEXT]
    assert [field in sent for sent in server.asked] == [True, False, False]
    in_prompt = "additionalProperties" in json.dumps(server.asked[1])
    assert in_prompt or field not in ("response_format", "output_config")


def test_older_servers_get_the_older_limit_and_newer_ones_the_newer(server: FakeServer) -> None:
    server.script = [openai_error(400, "Use 'max_completion_tokens' instead."), good("openai")]
    ask("openai", server)
    assert [("max_tokens" in sent, "max_completion_tokens" in sent) for sent in server.asked] == [
        (True, False),
        (False, True),
    ]


def test_templates_that_want_roles_to_alternate(server: FakeServer) -> None:
    server.script = [openai_error(500, "Jinja: Conversation roles must alternate user/assistant/..."), good("openai")]
    messages = [
        Message("system", "s"),
        Message("assistant", "Hi"),
        Message("user", "Shoes"),
        Message("user", "Task"),
    ]
    ask("openai", server, request(messages))
    assert [(m["role"], m["content"]) for m in server.asked[1]["messages"]] == [
        ("system", "s"),
        ("user", "(The conversation begins.)"),
        ("assistant", "Hi"),
        ("user", "Shoes\n\nTask"),
    ]


def test_trait_refused_twice_is_an_error(server: FakeServer) -> None:
    server.script = [openai_error(400, "response_format and all the rest are wrong")]
    error = failure("openai", server)
    assert len(server.asked) == 2
    assert not error.retry and not error.fatal


@BOTH
def test_server_that_ignores_the_schema(server: FakeServer, provider: str) -> None:
    chat = "Sure! The user needs a raincoat."
    fenced = f"```json\n{TEXT}\n```"
    said = (chat, chat, fenced)
    bodies = map(completion, said) if provider == "openai" else map(answer_message, said)
    server.script = [Answer(body) for body in bodies]

    async def run() -> Reply:
        opened = open_provider(
            ModelName(provider, "m"), base_url=address(provider, server), pictures=PICTURES, timeout=5
        )
        try:
            # Once may be chance: the gateway asks for a repair.
            assert (await opened.complete(request())).text == chat and opened.keeps_schema
            with pytest.raises(ModelError, match="ignores JSON schemas") as caught:
                await opened.complete(request())
            assert caught.value.retry and not opened.keeps_schema
            return await opened.complete(request())
        finally:
            await opened.close()

    assert asyncio.run(run()).text == TEXT
    assert "Answer with one JSON object" in json.dumps(server.asked[2])


# ---- what goes wrong --------------------------------------------------------------------------------------------


@BOTH
def test_statuses(server: FakeServer, provider: str) -> None:
    statuses = [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529]
    server.script = [error_for(provider, status, "the server says why") for status in statuses]
    errors = dict(zip(statuses, failures(provider, server, len(statuses)), strict=True))
    assert [status for status, error in errors.items() if error.retry] == [408, 409, 429, 500, 503, 529]
    assert [status for status, error in errors.items() if error.fatal] == [401, 402, 403, 404]
    for status, error in errors.items():
        assert str(status) in str(error)
        assert "says why" in str(error) or status == 401
    assert len(server.asked) == len(statuses), "the client library retried"


@BOTH
def test_unknown_model_says_so(server: FakeServer, provider: str) -> None:
    server.script = [error_for(provider, 404, "no such thing")]
    assert "'tiny-1'" in str(failure(provider, server))


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        ("openai", openai_error(429, "You exceeded your current quota", code="insufficient_quota")),
        ("anthropic", anthropic_error(400, "Your credit balance is too low to access the API.")),
    ],
)
def test_out_of_money_is_fatal(server: FakeServer, provider: str, answer: Answer) -> None:
    server.script = [answer]
    error = failure(provider, server)
    assert error.fatal and not error.retry


@BOTH
def test_retry_after_is_passed_on(server: FakeServer, provider: str) -> None:
    answer = error_for(provider, 429, "slow down")
    answer.headers["Retry-After"] = "17"
    server.script = [answer]
    assert failure(provider, server).retry_after == 17


def test_retry_after_forms() -> None:
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after({"retry-after": soon}) or 0) <= 30
    assert retry_after({"retry-after": format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)}) == 0
    for unreadable in ("soon", "-3", "nan", ""):
        assert retry_after({"retry-after": unreadable}) is None
    assert retry_after({}) is None


@BOTH
def test_timeout_covers_the_whole_call(server: FakeServer, provider: str) -> None:
    slow = good(provider)
    slow.delay = 3
    server.script = [slow]
    started = time.perf_counter()
    error = failure(provider, server, timeout=0.2)
    assert error.retry and "0.2 s" in str(error)
    assert time.perf_counter() - started < slow.delay


@BOTH
def test_no_server(server: FakeServer, provider: str) -> None:
    with FakeServer() as closed:
        pass
    error = failure(provider, closed)
    assert error.retry and not error.fatal
    assert closed.url in str(error)


@pytest.mark.parametrize(
    ("body", "said", "retry"),
    [
        (completion(""), "empty", True),
        (completion(None), "empty", True),
        (completion("<think>hm</think>  "), "empty", True),
        (completion('{"te', finish_reason="length"), "cut at 100 tokens", False),
        (completion("", finish_reason="length"), "cut at 100 tokens", False),
        (completion("", finish_reason="content_filter"), "refused", False),
        (completion(None, refusal="I cannot help with that."), "refused", False),
        ({**completion(), "choices": []}, "empty", True),
        ({"object": "chat.completion"}, "empty", True),
    ],
)
def test_openai_unusable_answers(server: FakeServer, body: dict[str, Any], said: str, retry: bool) -> None:
    server.script = [Answer(body)]
    error = failure("openai", server)
    assert said in str(error)
    assert error.retry is retry and not error.fatal


@pytest.mark.parametrize(
    ("body", "said", "retry"),
    [
        (answer_message(""), "empty", True),
        (answer_message('{"te', "max_tokens"), "cut at 100 tokens", False),
        (answer_message("", "refusal"), "refused", False),
        (answer_message("", "model_context_window_exceeded"), "too long", False),
        ({"type": "message"}, "empty", True),
    ],
)
def test_anthropic_unusable_answers(server: FakeServer, body: dict[str, Any], said: str, retry: bool) -> None:
    server.script = [Answer(body)]
    error = failure("anthropic", server)
    assert said in str(error)
    assert error.retry is retry and not error.fatal


@BOTH
@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>busy</html>", headers={"Content-Type": "text/html"}),
        Answer(b'{"id": "c1", "choi'),
        Answer([1, 2]),
        Answer("text"),
    ],
)
def test_answers_that_are_none(server: FakeServer, provider: str, answer: Answer) -> None:
    server.script = [answer]
    assert failure(provider, server).retry


def test_answer_without_usage_counts_nothing(server: FakeServer) -> None:
    body = completion()
    del body["usage"]
    server.script = [Answer(body)]
    assert ask("openai", server) == [Reply(TEXT)]


def test_anthropic_thinking_is_no_part_of_the_reply(server: FakeServer) -> None:
    body = answer_message()
    body["content"].insert(0, {"type": "thinking", "thinking": "hm {}", "signature": "s"})
    server.script = [Answer(body)]
    assert ask("anthropic", server)[0].text == TEXT


# ---- secrets ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "echo",
    [
        pytest.param(lambda body: f"Incorrect key {KEY}", id="key"),
        pytest.param(lambda body: f"Incorrect key {KEY[:10]}*****{KEY[-4:]}", id="masked key"),
        pytest.param(lambda body: json.dumps(body), id="body"),
        pytest.param(lambda body: f"bad input: {PROMPT[20:60]}", id="prompt"),
        pytest.param(lambda body: f"bad\npicture {json.dumps(body['messages'][-1])[:150]}", id="picture"),
    ],
)
def test_echoed_secrets_are_not_repeated(
    server: FakeServer, provider: str, echo: Callable[[dict[str, Any]], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    statuses = [400, 401, 403, 404, 422, 429, 500]
    # Some of these echoes name a trait of the request, which is then sent once more without it.
    sent: list[int] = []

    def answer(body: dict[str, Any]) -> Answer:
        sent.append(statuses[len(sent) % len(statuses)])
        return error_for(provider, sent[-1], echo(body))

    server.script = [answer]
    failures(provider, server, len(statuses))
    assert set(sent) == set(statuses)
    assert KEY not in caplog.text and "Aurelia" not in caplog.text


def test_password_of_the_base_url_is_used_and_never_shown(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "httpx2")
    url = server.url.replace("http://", "http://me:hunter-2-secret@") + "/v1"

    async def run() -> str:
        provider = open_provider(ModelName("openai", "m"), base_url=url, pictures=PICTURES, timeout=5)
        assert "hunter" not in repr(vars(provider))
        try:
            await provider.complete(request())
        except ModelError as error:
            return str(error)
        finally:
            await provider.close()
        raise AssertionError("the server refused")

    server.script = [openai_error(404, "user me:hunter-2-secret is not known")]
    said = asyncio.run(run())
    assert "hunter" not in said and server.url in said
    assert "hunter" not in caplog.text
    [sent] = server.headers
    assert sent["authorization"] == "Basic " + base64.b64encode(b"me:hunter-2-secret").decode()
    assert public_url("https://me:pw@host:8000/v1/") == "https://host:8000/v1"


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host", "http://", "http://host:port/hunter", "me:hunter@host", "http://h/?k=hunter"],
)
def test_base_url_that_is_none(url: str) -> None:
    with pytest.raises(SynthError, match="base URL") as caught:
        Endpoint.find("openai", url)
    assert "hunter" not in str(caught.value)


@BOTH
def test_missing_key(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{provider.upper()}_API_KEY"
    for value in (None, "", "  \n"):
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
        with pytest.raises(SynthError, match=rf"^{name} is not set\. "):
            open_provider(ModelName(provider, "m"), base_url=None, pictures=PICTURES)


@BOTH
@pytest.mark.parametrize("key", [f"{KEY}\nx", f'"{KEY} "', f"{KEY}é"])
def test_key_that_cannot_be_one(provider: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", key)
    with pytest.raises(SynthError, match="characters that no key has") as caught:
        open_provider(ModelName(provider, "m"), base_url=None, pictures=PICTURES)
    assert KEY not in str(caught.value)


@BOTH
def test_own_server_needs_no_key(server: FakeServer, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{provider.upper()}_API_KEY")
    server.script = [good(provider), error_for(provider, 401, "no key")]
    assert ask(provider, server)[0].text == TEXT
    assert "wants a key" in str(failure(provider, server))


@BOTH
def test_address_from_the_environment(server: FakeServer, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", address(provider, server))
    server.script = [good(provider)]

    async def run() -> None:
        opened = open_provider(ModelName(provider, "m"), base_url=None, pictures=PICTURES, timeout=5)
        await opened.complete(request())
        await opened.close()

    asyncio.run(run())
    assert len(server.asked) == 1


def test_neither_client_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, synth.llm.providers, synth.llm.openai, synth.llm.anthropic, synth.llm.gateway, synth.cli.doctor;"
        "sys.exit(any(m in sys.modules for m in ('openai', 'anthropic', 'httpx2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reject_schema_round_trip(server: FakeServer) -> None:
    """A nested output goes there and back."""
    text = '{"reasons": [{"text": "too dark", "attribute": "colour", "wanted": "white"}], "text": "No."}'
    server.script = [Answer(completion(text))]
    [reply] = ask("openai", server, request(schema=RejectOutput, call=REJECT))
    assert RejectOutput.model_validate_json(reply.text).reasons[0].wanted == "white"
