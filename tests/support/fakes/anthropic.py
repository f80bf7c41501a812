"""Anthropic's messages: requests validated and read, answers and errors in its shapes and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.fakes.ask import Ask, Block, Refused, schema_in
from tests.support.fakes.cache import PrefixCache
from tests.support.fakes.ledger import Usage
from tests.support.fakes.pictures import NoPicture, Picture, decode
from tests.support.fakes.protocol import Headers
from tests.support.fakes.settings import Settings
from tests.support.fakes.tokens import anthropic_image_tokens, count_tokens

NAME = "anthropic"
DEFAULT_MODEL = "claude-haiku-4-5"
_PER_MESSAGE, _PER_PROMPT = 3, 4
_CONTEXT, _LONGEST_ANSWER = 200_000, 64_000
_KINDS = {
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def key(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def read(body: Any, settings: Settings) -> Ask:
    """
    Raises:
        Refused: the request is not valid.
    """
    if not isinstance(body, dict):
        raise Refused(400, "The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise Refused(400, f"{name}: Field required")
    model, messages, most = body["model"], body["messages"], body["max_tokens"]
    if settings.models and model not in settings.models:
        raise no_model(str(model))
    if not isinstance(most, int) or most < 1:
        raise Refused(400, "max_tokens: Input should be greater than or equal to 1")
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        raise Refused(400, "temperature: range: 0..1")
    for name in settings.refuse:
        if name in body:
            raise Refused(400, f"{name}: Extra inputs are not permitted")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: at least one message is required")
    system = body.get("system") or []
    parts = [{"type": "text", "text": system}] if isinstance(system, str) else system
    blocks = [_block("system", part, f"system.{n}", blind=True) for n, part in enumerate(parts)]
    for number, message in enumerate(messages):
        blocks += _blocks(message, number, model in settings.blind)
    if messages[0]["role"] != "user":
        raise Refused(400, 'messages: first message must use the "user" role')
    if "cache_control" in body:
        blocks[-1] = blocks[-1]._replace(marked=True)
    schema = _schema(body.get("output_config")) or schema_in(blocks[0].text)
    return Ask(str(model), blocks, len(messages) + bool(parts), most, None, schema)


def usage(ask: Ask, cache: PrefixCache) -> Usage:
    """Tokens of the prompt, texts as OpenAI's o200k_base; the schema counts nothing."""
    tokens = [block_tokens(ask.model, block) for block in ask.blocks]
    image = sum(count for count, block in zip(tokens, ask.blocks, strict=True) if block.picture)
    cached = cache.anthropic(ask, tokens)
    around = ask.messages * _PER_MESSAGE + _PER_PROMPT
    return Usage(sum(tokens) - image + around, image, cached.read, cached.written, 0)


def prompt_tokens(ask: Ask) -> int:
    """Of texts and pictures."""
    return sum(block_tokens(ask.model, block) for block in ask.blocks)


def block_tokens(model: str, block: Block) -> int:
    picture = block.picture
    return anthropic_image_tokens(picture.width, picture.height) if picture else count_tokens(block.text)


def too_long(ask: Ask, tokens: int, limit: int) -> Refused:
    return Refused(400, f"prompt is too long: {tokens} tokens > {limit} maximum")


def answer(ask: Ask, text: str, outcome: str, usage: Usage, number: int) -> dict[str, Any]:
    """A message.

    Args:
        outcome: `good`, `refused` or `cut`.
    """
    reason = {"refused": "refusal", "cut": "max_tokens"}.get(outcome, "end_turn")
    return {
        "id": f"msg_fake{number:08d}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [{"type": "text", "text": text}] if text and outcome != "refused" else [],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input - usage.cached - usage.written,
            "cache_creation_input_tokens": usage.written,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.output,
            "service_tier": "standard",
        },
    }


def error(refused: Refused) -> dict[str, Any]:
    return {"type": "error", "error": {"type": refused.kind, "message": refused.message}, "request_id": "req_fake"}


def headers(number: int, refused: Refused | None = None) -> Headers:
    found = [("request-id", f"req_fake{number:08d}")]
    if refused and refused.retry_after is not None:
        found.append(("retry-after", f"{refused.retry_after:.3f}".rstrip("0").rstrip(".")))
    return found


def refusal(fault: str, model: str, given: str, retry_after: float | None = None) -> Refused:
    """The error of a fault; see `openai.refusal`. Anthropic says nothing of the key it was given."""
    if fault == "401":
        return Refused(401, "invalid x-api-key", _KINDS[401])
    if fault == "quota":
        return Refused(400, "Your credit balance is too low to access the Anthropic API.")
    if fault == "429":
        message = "This request would exceed your organization's rate limit of requests per minute."
        return Refused(429, message, _KINDS[429], retry_after=retry_after)
    status = int(fault)
    message = "Overloaded" if status in (503, 529) else "Internal server error"
    return Refused(status, message, _KINDS.get(status, "api_error"))


def no_model(model: str) -> Refused:
    return Refused(404, f"model: {model}", _KINDS[404])


def model_info(model: str, settings: Settings) -> dict[str, Any]:
    supported = {"image_input": model not in settings.blind, "structured_outputs": not settings.refuse}
    return {
        "type": "model",
        "id": model,
        "display_name": model,
        "created_at": "2025-10-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": settings.context or _CONTEXT,
        "max_tokens": _LONGEST_ANSWER,
        "capabilities": {name: {"supported": value} for name, value in supported.items()},
    }


def model_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": models, "has_more": False, "first_id": models[0]["id"], "last_id": models[-1]["id"]}


def _blocks(message: Any, number: int, blind: bool) -> list[Block]:
    at = f"messages.{number}"
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("user", "assistant"):
        raise Refused(400, f"{at}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise Refused(400, f"{at}: {role} messages must have non-empty content")
    return [_block(role, part, f"{at}.content.{n}", blind) for n, part in enumerate(content)]


def _block(role: str, part: Any, at: str, blind: bool) -> Block:
    kind = part.get("type") if isinstance(part, dict) else None
    marked = isinstance(part, dict) and part.get("cache_control") is not None
    if kind == "text" and isinstance(part.get("text"), str):
        if not part["text"].strip():
            raise Refused(400, f"{at}: text content blocks must be non-empty")
        return Block(role, part["text"], marked=marked)
    if kind != "image":
        raise Refused(400, f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if blind:
        raise Refused(400, f"{at}: this model does not support image input")
    return Block(role, picture=_picture(part.get("source"), at), marked=marked)


def _picture(source: Any, at: str) -> Picture:
    if not isinstance(source, dict) or source.get("type") != "base64" or not isinstance(source.get("data"), str):
        raise Refused(400, f"{at}.image.source: Field required")
    try:
        picture = decode(source["data"])
    except NoPicture:
        raise Refused(400, f"{at}.image.source.base64: Could not process image") from None
    said = source.get("media_type")
    if said != picture.mime:
        raise Refused(
            400,
            f"{at}.image.source.base64: The image was specified using the {said} media type, "
            f"but the image appears to be a {picture.mime} image",
        )
    return picture


def _schema(config: Any) -> dict[str, Any] | None:
    """The schema of an `output_config`."""
    wanted = config.get("format") if isinstance(config, dict) else None
    if wanted is None:
        return None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict) or wanted.get("type") != "json_schema":
        raise Refused(400, "output_config.format.schema: Field required")
    _hold_closed(schema)
    return schema


def _hold_closed(node: Any) -> None:
    """Objects must say that they take no other properties; limits on values are not taken."""
    if isinstance(node, list):
        for inner in node:
            _hold_closed(inner)
    if not isinstance(node, dict):
        return
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        raise Refused(
            400,
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        )
    for name in ("minimum", "maximum", "minLength", "maxLength", "maxItems"):
        if name in node and "type" in node:
            raise Refused(400, f"output_config.format.schema: property '{name}' is not supported")
    for part in ("properties", "$defs"):
        _hold_closed(list(node.get(part, {}).values()))
    for part in ("items", "anyOf"):
        _hold_closed(node.get(part))
