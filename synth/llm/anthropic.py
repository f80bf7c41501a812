"""Anthropic's Messages API."""

from __future__ import annotations

import re
from typing import Any

from synth.llm.endpoint import Endpoint, Proxy
from synth.llm.pictures import Pictures
from synth.llm.provider import ModelError, ModelName, Reply, Request, Usage
from synth.llm.remote import SCHEMA, TEMPERATURE, RemoteProvider, cut, refusal
from synth.llm.roles import alternating
from synth.llm.structured import strict_schema
from synth.prompts.templates import Message

_VERSION = "2023-06-01"
"""Of the API, as its reference names it."""


class AnthropicProvider(RemoteProvider):
    """Calls `/v1/messages`. There is no seed: equal calls may differ.

    Args:
        base_url: address of a compatible server; else `ANTHROPIC_BASE_URL`, else Anthropic's.
        pictures: prepares the pictures that messages name.
        timeout: seconds for one call, from connecting to the last byte.

    Raises:
        SynthError: `ANTHROPIC_API_KEY` is not set and there is no base URL, or calls cannot go through the proxy set.
    """

    name = "anthropic"
    path = "/v1/messages"
    models = "/v1/models"
    traits = {
        SCHEMA: re.compile(r"output[_ ](config|format)|json[_ ]schema|structured output", re.IGNORECASE),
        TEMPERATURE: re.compile(r"\btemperature\b"),
    }

    def __init__(self, *, base_url: str | None, pictures: Pictures, timeout: float) -> None:
        endpoint = Endpoint.find(self.name, base_url)
        url = (endpoint.url or "https://api.anthropic.com").removesuffix("/v1")
        proxy = Proxy.find(url)
        import anthropic

        client = anthropic.AsyncAnthropic(
            api_key=endpoint.key,
            base_url=url,
            default_headers=endpoint.headers,
            max_retries=0,
            timeout=None,
            http_client=anthropic.DefaultAioHttpClient(timeout=None),
            open_telemetry=False,
        )
        headers = {"x-api-key": endpoint.key, "anthropic-version": _VERSION}
        super().__init__(
            endpoint, url + self.path, proxy, headers, anthropic, client, pictures=pictures, timeout=timeout
        )

    def body(self, request: Request, messages: list[Message], refused: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": messages[0].text,
            "messages": [
                {
                    "role": group[0].role,
                    "content": [block for message in group for block in self._blocks(message, request.model)],
                }
                for group in alternating(messages)
            ],
        }
        if TEMPERATURE not in refused:
            body["temperature"] = min(request.temperature, 1.0)
        if SCHEMA not in refused:
            body["output_config"] = {"format": {"type": "json_schema", "schema": strict_schema(request.schema)}}
        return body

    def reply(self, answer: Any, request: Request) -> Reply:
        usage = _usage(answer.get("usage"))
        reason = answer.get("stop_reason")
        if reason == "max_tokens":
            raise cut(request, usage)
        if reason == "refusal":
            raise refusal(usage)
        if reason == "model_context_window_exceeded":
            raise ModelError("the call is too long for the model's context window", usage=usage)
        blocks = answer.get("content") or ()
        return Reply("".join(block["text"] for block in blocks if block.get("type") == "text"), usage)

    def _blocks(self, message: Message, model: str) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for picture in self._pictures.prepare(message.images, ModelName(self.name, model)):
            source = {"type": "base64", "media_type": picture.mime, "data": picture.base64}
            blocks.append({"type": "image", "source": source})
        if message.text.strip():
            blocks.append({"type": "text", "text": message.text})
        return blocks


def _usage(usage: Any) -> Usage:
    """Anthropic counts cached tokens apart; a `Usage` has them among its input, as OpenAI counts."""
    if not usage:
        return Usage()
    cached = int(usage.get("cache_read_input_tokens") or 0)
    written = int(usage.get("cache_creation_input_tokens") or 0)
    read = int(usage.get("input_tokens") or 0) + written + cached
    return Usage(read, cached, written, int(usage.get("output_tokens") or 0))
