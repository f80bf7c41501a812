"""Anthropic's Messages API."""

from __future__ import annotations

import base64
import re
from typing import Any

from synth.llm.endpoint import Endpoint
from synth.llm.provider import ImageLoader, ModelError, Reply, Request
from synth.llm.remote import SCHEMA, TEMPERATURE, RemoteProvider, cut, refusal
from synth.llm.roles import alternating
from synth.llm.structured import strict_schema
from synth.prompts.templates import Message


class AnthropicProvider(RemoteProvider):
    """Calls `/v1/messages`. There is no seed: equal calls may differ.

    Args:
        base_url: address of a compatible server; else `ANTHROPIC_BASE_URL`, else Anthropic's.
        image: loads the pictures that messages name.
        timeout: seconds for one call, from connecting to the last byte.

    Raises:
        SynthError: `ANTHROPIC_API_KEY` is not set and there is no base URL.
    """

    name = "anthropic"
    path = "/v1/messages"
    traits = {
        SCHEMA: re.compile(r"output[_ ](config|format)|json[_ ]schema|structured output", re.IGNORECASE),
        TEMPERATURE: re.compile(r"\btemperature\b"),
    }

    def __init__(self, *, base_url: str | None, image: ImageLoader, timeout: float) -> None:
        endpoint = Endpoint.find(self.name, base_url)
        import anthropic

        self.answer = anthropic.types.Message
        client = anthropic.AsyncAnthropic(
            api_key=endpoint.key,
            base_url=(endpoint.url or "https://api.anthropic.com").removesuffix("/v1"),
            default_headers=endpoint.headers,
            max_retries=0,
            timeout=None,
            open_telemetry=False,
        )
        super().__init__(endpoint, anthropic, client, image=image, timeout=timeout)

    def body(self, request: Request, messages: list[Message], refused: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": messages[0].text,
            "messages": [
                {"role": group[0].role, "content": [block for message in group for block in self._blocks(message)]}
                for group in alternating(messages)
            ],
        }
        if TEMPERATURE not in refused:
            body["temperature"] = min(request.temperature, 1.0)
        if SCHEMA not in refused:
            body["output_config"] = {"format": {"type": "json_schema", "schema": strict_schema(request.schema)}}
        return body

    def reply(self, answer: Any, request: Request) -> Reply:
        if answer.stop_reason == "max_tokens":
            raise cut(request)
        if answer.stop_reason == "refusal":
            raise refusal()
        if answer.stop_reason == "model_context_window_exceeded":
            raise ModelError("the call is too long for the model's context window")
        text = "".join(block.text for block in answer.content or () if block.type == "text")
        usage = answer.usage
        if not usage:
            return Reply(text)
        cached = usage.cache_read_input_tokens or 0
        # Anthropic counts cached tokens apart; a `Reply` has them among its input, as OpenAI counts.
        read = (usage.input_tokens or 0) + (usage.cache_creation_input_tokens or 0) + cached
        return Reply(text, read, usage.output_tokens or 0, cached)

    def explain(self, error: Any) -> tuple[str, str]:
        return error.api_message or "", error.type or ""

    def _blocks(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for hash_ in message.images:
            picture = self._image(hash_)
            data = base64.b64encode(picture.data).decode()
            source = {"type": "base64", "media_type": picture.mime, "data": data}
            blocks.append({"type": "image", "source": source})
        if message.text.strip():
            blocks.append({"type": "text", "text": message.text})
        return blocks
