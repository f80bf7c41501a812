"""What a server tells about itself: the models it has, and how many tokens a call to one of them may take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from synth.llm.provider import ModelName
from synth.llm.remote import RemoteProvider

_TIMEOUT = 10.0
_NAMES = ("max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens")
"""How a model's record names its context: vLLM and SGLang, OpenRouter and Together, Groq, Mistral, Anthropic."""
_LLAMA_CPP = ("n_ctx", "n_ctx_train")
"""In `meta` of llama.cpp's record; the second is what the model was trained for, which a server may not serve."""


class Context(NamedTuple):
    """Tokens that one call may take, prompt and answer together; Anthropic counts the prompt alone."""

    tokens: int | None
    """None where nobody knows."""
    source: str
    """`server`; `published` for the model's name; or empty."""


async def listed_models(provider: RemoteProvider) -> dict[str, Mapping[str, Any]]:
    """The records of the models that a server lists, by name; empty where it lists none."""
    answer = await _told(provider, provider.models)
    records = answer.get("data") if isinstance(answer, dict) else None
    return {record["id"]: record for record in _records(records) if isinstance(record.get("id"), str)}


async def find_context(provider: RemoteProvider, name: ModelName, listed: Mapping[str, Mapping[str, Any]]) -> Context:
    """The context of a model as its server runs it, else as published.

    Ollama tells it for models in memory only, so ask after a call.

    Args:
        listed: what `listed_models` gave.
    """
    tokens = None
    if provider.endpoint.url is not None:
        root = provider.endpoint.url.removesuffix("/v1")
        tokens = _llama_cpp(await _told(provider, f"{root}/props"))
        tokens = tokens or _ollama(await _told(provider, f"{root}/api/ps"), name.model)
    tokens = tokens or _recorded(listed.get(name.model))
    if tokens:
        return Context(tokens, "server")
    tokens = _published(name)
    return Context(tokens, "published" if tokens else "")


async def _told(provider: RemoteProvider, path: str) -> Any:
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await provider.get(path)
    except Exception:  # an extra look: whatever goes wrong, the server does not tell
        return None


def _llama_cpp(props: Any) -> int | None:
    """The context of one slot, from llama.cpp's `/props`."""
    settings = props.get("default_generation_settings") if isinstance(props, dict) else None
    return _number(settings, ("n_ctx",))


def _ollama(running: Any, model: str) -> int | None:
    """The context a model was loaded with, from Ollama's `/api/ps`; it may be far less than what the model could."""
    for record in _records(running.get("models") if isinstance(running, dict) else None):
        if record.get("name") in (model, f"{model}:latest"):
            return _number(record, ("context_length",))
    return None


def _recorded(record: Any) -> int | None:
    return _number(record, _NAMES) or _number(record.get("meta") if record else None, _LLAMA_CPP)


def _published(name: ModelName) -> int | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name.model, None, name.provider, None)
    except LookupError:
        return None
    return model.context_window


def _records(value: Any) -> Iterable[dict[str, Any]]:
    return (record for record in value if isinstance(record, dict)) if isinstance(value, list) else ()


def _number(record: Any, names: Iterable[str]) -> int | None:
    values = [record.get(name) for name in names] if isinstance(record, dict) else []
    return next((value for value in values if isinstance(value, int) and value > 0), None)
