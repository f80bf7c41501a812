"""Opens the providers of real models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.llm.provider import ModelName

if TYPE_CHECKING:
    from synth.llm.pictures import Pictures
    from synth.llm.remote import RemoteProvider

TIMEOUT = 120.0
"""Seconds for one call, by default."""


def open_provider(
    name: ModelName, *, base_url: str | None, pictures: Pictures, timeout: float = TIMEOUT
) -> RemoteProvider:
    """The provider of a model on a server; nothing is sent yet. One provider serves all models of its name.

    Args:
        name: `openai:…` or `anthropic:…`.
        base_url: address of a compatible server; None for the provider's own.
        pictures: prepares the pictures that messages name.
        timeout: seconds for one call.

    Raises:
        SynthError: the key is not set, or the address is none.
    """
    # Imported here so that offline runs load neither client library.
    if name.provider == "openai":
        from synth.llm.openai import OpenAIProvider

        return OpenAIProvider(base_url=base_url, pictures=pictures, timeout=timeout)
    if name.provider == "anthropic":
        from synth.llm.anthropic import AnthropicProvider

        return AnthropicProvider(base_url=base_url, pictures=pictures, timeout=timeout)
    raise ValueError(f"{name.provider} is not on a server")
