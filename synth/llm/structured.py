"""Structured output: the JSON schema a provider is asked to keep to, and the JSON object in a reply."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import BaseModel

from synth.prompts.templates import Message

_DECODER = json.JSONDecoder(strict=False)
_KEPT = frozenset({"type", "enum", "const", "description"})
_LIMITS = {
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
}


@cache
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of an output type in the subset that strict modes take everywhere.

    Every property is required, no others are allowed, and there are no defaults. Limits on numbers, lengths and counts
    are keywords that one server or another refuses, so they become descriptions; validation holds them. The result is
    shared: do not change it.
    """
    return _strict(model.model_json_schema())


@cache
def schema_text(model: type[BaseModel]) -> str:
    """The strict schema as compact JSON."""
    return json.dumps(strict_schema(model), ensure_ascii=False, separators=(",", ":"))


def with_schema(messages: list[Message], model: type[BaseModel]) -> list[Message]:
    """The same messages with the schema in the system text, for servers that cannot be made to keep to one."""
    order = (
        "Answer with one JSON object and nothing else: no introduction, no code fence. It fits this JSON schema:\n"
        + schema_text(model)
    )
    system, *rest = messages
    return [system._replace(text=f"{system.text}\n\n{order}"), *rest]


def only_json(text: str) -> str:
    """A reply without reasoning in `<think>…</think>`, code fence, or words around its JSON object.

    A reply with no JSON object in it comes back without its reasoning, otherwise as it was.
    """
    text = text.strip()
    if not text.startswith("{"):
        if "</think>" in text:
            text = text.rpartition("</think>")[2].strip()
        elif text.startswith("<think>"):
            return ""
    objects = [""]
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except ValueError:
            if start == 0:
                break  # a broken object: a whole one inside it is not the answer
            end = start + 1
        else:
            objects.append(_strict_json(text[start:end], value))
        start = text.find("{", end)
    return max(objects, key=len) or text


def _strict_json(text: str, value: Any) -> str:
    """The text, or its value written anew where it has bare line breaks in strings, as llama-cpp-python lets models."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(value, ensure_ascii=False)
    return text


def has_shape(text: str, model: type[BaseModel]) -> bool:
    """Whether a reply has exactly the fields of the output type, as every reply of a server has that keeps to a schema.

    Values are not looked at: limits are not part of the schema sent.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() == model.model_fields.keys()


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    strict = {key: value for key, value in node.items() if key in _KEPT}
    limits = [said.format(node[key]) for key, said in _LIMITS.items() if key in node]
    if limits:
        strict["description"] = " ".join(filter(None, [strict.get("description"), f"({', '.join(limits)})"]))
    if "properties" in node:
        strict["properties"] = {name: _strict(inner) for name, inner in node["properties"].items()}
        strict["required"] = list(node["properties"])
        strict["additionalProperties"] = False
    if "items" in node:
        strict["items"] = _strict(node["items"])
    if "anyOf" in node:
        strict["anyOf"] = [_strict(inner) for inner in node["anyOf"]]
    if "$defs" in node:
        strict["$defs"] = {name: _strict(inner) for name, inner in node["$defs"].items()}
    return strict
