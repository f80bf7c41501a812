"""OpenAI's chat completions: requests validated and read, answers and errors in its shapes and words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.fakes.ask import Ask, Block, Refused, schema_in
from tests.support.fakes.cache import Cached, PrefixCache
from tests.support.fakes.ledger import Usage
from tests.support.fakes.pictures import NoPicture, Picture, decode
from tests.support.fakes.protocol import Headers
from tests.support.fakes.settings import Settings
from tests.support.fakes.tokens import count_tokens, openai_image_tokens

NAME = "openai"
DEFAULT_MODEL = "gpt-4o-mini"
CREATED = 1_700_000_000
_ROLES = ("system", "developer", "user", "assistant")
_PER_MESSAGE, _PER_PROMPT = 3, 3
"""Tokens around each message and before the answer, by OpenAI's cookbook."""


def key(headers: Mapping[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


def read(body: Any, settings: Settings) -> Ask:
    """
    Raises:
        Refused: the request is not valid.
    """
    if not isinstance(body, dict):
        raise _bad("We could not parse the JSON body of your request.")
    model = body.get("model")
    if not model or not isinstance(model, str):
        raise _bad("you must provide a model parameter")
    if settings.models and model not in settings.models:
        raise no_model(model)
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise _bad("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not messages:
        raise _bad("Invalid 'messages': empty array.", "messages", "empty_array")
    for name in settings.refuse:
        if name in body:
            raise _bad(
                f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
            )
    blind = model in settings.blind
    blocks = [block for number, message in enumerate(messages) for block in _blocks(message, number, blind)]
    system = blocks[0].text if blocks and blocks[0].role == "system" else ""
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    if most is not None and (not isinstance(most, int) or most < 1):
        raise _bad("Invalid 'max_tokens': integer below minimum value.", "max_tokens", "integer_below_min_value")
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise _bad("Invalid 'temperature': decimal out of range.", "temperature", "decimal_above_max_value")
    schema = _schema(body.get("response_format"))
    return Ask(model, blocks, len(messages), most, body.get("seed"), schema or schema_in(system))


def usage(ask: Ask, cache: PrefixCache) -> Usage:
    """Tokens of the prompt; the schema counts nothing."""
    tokens = [block_tokens(ask.model, block) for block in ask.blocks]
    image = sum(count for count, block in zip(tokens, ask.blocks, strict=True) if block.picture)
    around = ask.messages * _PER_MESSAGE + _PER_PROMPT
    cached: Cached = cache.openai(ask, tokens)
    return Usage(sum(tokens) - image + around, image, cached.read, 0, 0)


def prompt_tokens(ask: Ask) -> int:
    """Of texts and pictures."""
    return sum(block_tokens(ask.model, block) for block in ask.blocks)


def block_tokens(model: str, block: Block) -> int:
    picture = block.picture
    if picture is None:
        return count_tokens(block.text)
    return openai_image_tokens(model, picture.width, picture.height, low=picture.low)


def too_long(ask: Ask, tokens: int, limit: int) -> Refused:
    return _bad(
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages.",
        "messages",
        "context_length_exceeded",
    )


def answer(ask: Ask, text: str, outcome: str, usage: Usage, number: int) -> dict[str, Any]:
    """A chat completion.

    Args:
        outcome: `good`, `refused` or `cut`.
    """
    refusal = "I'm sorry, I can't assist with that request." if outcome == "refused" else None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refusal else text,
        "refusal": refusal,
        "annotations": [],
    }
    reason = "length" if outcome == "cut" else "stop"
    return {
        "id": f"chatcmpl-fake{number:08d}",
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def error(refused: Refused) -> dict[str, Any]:
    kind, code = refused.kind, refused.code
    return {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": code}}


def headers(number: int, refused: Refused | None = None) -> Headers:
    found = [("x-request-id", f"req_fake{number:08d}")]
    if refused and refused.retry_after is not None:
        found.append(("retry-after-ms", f"{refused.retry_after * 1000:.0f}"))
        found.append(("retry-after", f"{refused.retry_after:.3f}".rstrip("0").rstrip(".")))
    return found


def refusal(fault: str, model: str, given: str, retry_after: float | None = None) -> Refused:
    """The error of a fault.

    Args:
        fault: one of `faults.STATUS`, a plain status among them.
        given: the client's key.
    """
    if fault == "401":
        shown = f"{given[:8]}{'*' * max(0, len(given) - 12)}{given[-4:]}"
        message = f"Incorrect API key provided: {shown}. You can find your API key at the platform's settings."
        return Refused(401, message, code="invalid_api_key")
    if fault == "quota":
        message = "You exceeded your current quota, please check your plan and billing details."
        return Refused(429, message, "insufficient_quota", code="insufficient_quota")
    if fault == "429":
        message = f"Rate limit reached for {model} in organization org-fake on requests per min (RPM)."
        return Refused(429, message, "requests", code="rate_limit_exceeded", retry_after=retry_after)
    message = "The server had an error while processing your request. Sorry about that!"
    return Refused(int(fault), message, "server_error")


def no_model(model: str) -> Refused:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Refused(404, message, code="model_not_found")


def model_info(model: str, settings: Settings) -> dict[str, Any]:
    info: dict[str, Any] = {"id": model, "object": "model", "created": CREATED, "owned_by": "fake"}
    if settings.context:
        info["max_model_len"] = settings.context  # as vLLM says it
    return info


def model_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": models}


def _bad(message: str, param: str | None = None, code: str | None = None) -> Refused:
    return Refused(400, message, param=param, code=code)


def _blocks(message: Any, number: int, blind: bool) -> list[Block]:
    at = f"messages[{number}]"
    role = message.get("role") if isinstance(message, dict) else None
    if role not in _ROLES:
        raise _bad(
            f"Invalid value: '{role}'. Supported values are: {', '.join(_ROLES)}.", f"{at}.role", "invalid_value"
        )
    role = "system" if role == "developer" else role
    content = message.get("content")
    if isinstance(content, str):
        return [Block(role, content)]
    if not isinstance(content, list) or not content:
        raise _bad(
            f"Invalid value for 'content': expected a string, got {json.dumps(content)[:40]}.", f"{at}.content", None
        )
    blocks = []
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            blocks.append(Block(role, part["text"]))
        elif kind == "image_url":
            where = f"messages.[{number}].content.[{place}]"
            if blind:
                message_ = "Invalid content type. image_url is only supported by certain models."
                raise _bad(message_, f"{where}.type")
            if role != "user":
                raise _bad(f"Image URLs are only allowed for messages with role 'user', but this message has '{role}'.")
            blocks.append(Block(role, picture=_picture(part.get("image_url"), where)))
        else:
            raise _bad(f"Invalid value: '{kind}'. Supported values are: 'text' and 'image_url'.", f"{at}.content")
    return blocks


def _picture(value: Any, where: str) -> Picture:
    url = value.get("url") if isinstance(value, dict) else None
    detail = value.get("detail", "auto") if isinstance(value, dict) else None
    if not isinstance(url, str) or detail not in ("auto", "low", "high"):
        raise _bad(f"Invalid type for '{where}.image_url'.", f"{where}.image_url", "invalid_type")
    scheme, _, data = url.partition(",")
    if not scheme.startswith("data:image/") or not scheme.endswith(";base64"):
        raise _bad(f"Failed to download image from {url[:60]}.", f"{where}.image_url", "invalid_image_url")
    try:
        picture = decode(data)
    except NoPicture:
        picture = None
    if picture is None or scheme != f"data:{picture.mime};base64":
        raise _bad(
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            "['png', 'jpeg', 'gif', 'webp'].",
            None,
            "image_parse_error",
        )
    return picture._replace(low=detail == "low")


def _schema(wanted: Any) -> dict[str, Any] | None:
    """The schema of a `response_format`, held to the rules of strict mode."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind in ("text", "json_object"):
        return None
    named = wanted.get("json_schema") if kind == "json_schema" else None
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise _bad("Missing required parameter: 'response_format.json_schema'.", "response_format.json_schema")
    schema = named.get("schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _schema_error(named["name"], "schema must be a JSON Schema of 'type: \"object\"'")
    if named.get("strict"):
        _hold_strict(schema, named["name"], ())
    return {"title": named["name"], **schema}


def _hold_strict(node: Any, name: str, at: tuple[str, ...]) -> None:
    if isinstance(node, list):
        for inner in node:
            _hold_strict(inner, name, at)
    if not isinstance(node, dict):
        return
    if "properties" in node:
        where = f"In context={at!r}, "
        if node.get("additionalProperties") is not False:
            raise _schema_error(name, f"{where}'additionalProperties' is required to be supplied and to be false.")
        if sorted(node.get("required", ())) != sorted(node["properties"]):
            raise _schema_error(name, f"{where}'required' is required to be supplied and to include every property.")
    for field in ("default", "minLength", "maxLength", "allOf", "oneOf"):
        if field in node and "type" in node:
            raise _schema_error(name, f"In context={at!r}, '{field}' is not permitted.")
    for part in ("properties", "$defs"):
        for key_, inner in node.get(part, {}).items():
            _hold_strict(inner, name, (*at, part, key_))
    for part in ("items", "anyOf"):
        _hold_strict(node.get(part), name, (*at, part))


def _schema_error(name: str, problem: str) -> Refused:
    return _bad(f"Invalid schema for response_format '{name}': {problem}", "response_format", "invalid_json_schema")
