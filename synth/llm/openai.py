"""OpenAI, and every server that speaks its chat completions: vLLM, llama.cpp, Ollama and others."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from synth.llm.endpoint import Endpoint, Proxy
from synth.llm.pictures import Pictures
from synth.llm.provider import ModelName, Reply, Request, Usage
from synth.llm.remote import SCHEMA, TEMPERATURE, RemoteProvider, cut, refusal
from synth.llm.roles import alternating
from synth.llm.structured import strict_schema
from synth.prompts.templates import Message
from synth.randomness import rng

SEED = "seed"
_NAMED_SCHEMA = "json_schema"
_OLD_LIMIT = "max_tokens"
_FREE_ROLES = "roles"


class OpenAIProvider(RemoteProvider):
    """Calls `/chat/completions`.

    Args:
        base_url: address of a compatible server, which usually ends in `/v1`; else `OPENAI_BASE_URL`, else OpenAI's.
        pictures: prepares the pictures that messages name.
        timeout: seconds for one call, from connecting to the last byte.

    Raises:
        SynthError: `OPENAI_API_KEY` is not set and there is no base URL, or calls cannot go through the proxy set.
    """

    name = "openai"
    path = "/chat/completions"
    models = "/models"
    traits = {
        # The older form, a `json_object` with a schema, is tried next; llama-cpp-python knows no other.
        _NAMED_SCHEMA: re.compile(r"json_schema"),
        SCHEMA: re.compile(r"response_format|json[_ ]schema|structured output|grammar", re.IGNORECASE),
        TEMPERATURE: re.compile(r"\btemperature\b"),
        SEED: re.compile(r"\bseed\b"),
        _OLD_LIMIT: re.compile(r"max_completion_tokens"),
        _FREE_ROLES: re.compile(r"roles must alternate", re.IGNORECASE),
    }

    def __init__(self, *, base_url: str | None, pictures: Pictures, timeout: float) -> None:
        endpoint = Endpoint.find(self.name, base_url)
        url = endpoint.url or "https://api.openai.com/v1"
        proxy = Proxy.find(url)
        import openai

        client = openai.AsyncOpenAI(
            api_key=endpoint.key,
            base_url=url,
            default_headers=endpoint.headers,
            max_retries=0,
            timeout=None,
            http_client=openai.DefaultAioHttpClient(timeout=None),
        )
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        super().__init__(endpoint, url + self.path, proxy, headers, openai, client, pictures=pictures, timeout=timeout)

    def body(self, request: Request, messages: list[Message], refused: frozenset[str]) -> dict[str, Any]:
        if _FREE_ROLES in refused:
            messages = [messages[0], *map(_merged, alternating(messages))]
        # OpenAI's newer models take the newer name only, older servers the older.
        newer = self.endpoint.url is None or _OLD_LIMIT in refused
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [self._message(message, request.model) for message in messages],
            "max_completion_tokens" if newer else "max_tokens": request.max_tokens,
        }
        if TEMPERATURE not in refused:
            body["temperature"] = request.temperature
        if SEED not in refused:
            # By place: equal prompts at two places are two samples.
            body["seed"] = rng(request.seed, *request.place[:3]).getrandbits(31)
        if SCHEMA not in refused:
            body["response_format"] = _format(request.schema, named=_NAMED_SCHEMA not in refused)
        return body

    def reply(self, answer: Any, request: Request) -> Reply:
        usage = _usage(answer.get("usage"))
        choices = answer.get("choices") or [{}]
        choice = choices[0]
        message = choice.get("message") or {}
        reason = choice.get("finish_reason")
        if reason == "length":
            raise cut(request, usage)
        if reason == "content_filter" or message.get("refusal"):
            raise refusal(usage)
        text = message.get("content")
        return Reply(text if isinstance(text, str) else "", usage)

    def _message(self, message: Message, model: str) -> dict[str, Any]:
        if not message.images:
            return {"role": message.role, "content": message.text}
        parts: list[dict[str, Any]] = []
        for picture in self._pictures.prepare(message.images, ModelName(self.name, model)):
            url = f"data:{picture.mime};base64,{picture.base64}"
            parts.append({"type": "image_url", "image_url": {"url": url, "detail": picture.detail}})
        return {"role": message.role, "content": [*parts, {"type": "text", "text": message.text}]}


def _format(output: type[BaseModel], *, named: bool) -> dict[str, Any]:
    schema = strict_schema(output)
    if not named:
        return {"type": "json_object", "schema": schema}
    return {"type": "json_schema", "json_schema": {"name": output.__name__, "schema": schema, "strict": True}}


def _merged(group: list[Message]) -> Message:
    images = tuple(image for message in group for image in message.images)
    return Message(group[0].role, "\n\n".join(message.text for message in group), images)


def _usage(usage: Any) -> Usage:
    if not usage:
        return Usage()
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(int(usage.get("prompt_tokens") or 0), int(cached), 0, int(usage.get("completion_tokens") or 0))
