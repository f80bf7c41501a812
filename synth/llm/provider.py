"""What a provider of models must do, and how one is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel

from synth.errors import SynthError
from synth.prompts.calls import Call
from synth.prompts.templates import Message
from synth.traces.store import Place


class ImageData(NamedTuple):
    """A picture as the catalogue has it."""

    data: bytes
    mime: str


ImageLoader = Callable[[str], ImageData]
"""Content hash → picture."""


class Usage(NamedTuple):
    """Tokens of one answer by the provider's own count; 0 where it counts none."""

    input: int = 0
    """All that was read: text, pictures, and what came from the provider's prefix cache."""
    cached: int = 0
    """Of `input`: read from the provider's prefix cache."""
    written: int = 0
    """Of `input`: written to that cache at a price of its own (Anthropic)."""
    output: int = 0
    """All that was written, reasoning included."""


@dataclass(frozen=True, slots=True)
class Request:
    """One model call, complete."""

    model: str
    messages: list[Message]
    schema: type[BaseModel]
    temperature: float
    max_tokens: int
    seed: int
    place: Place
    call: Call[Any, Any]
    given: Any
    """The typed input the prompt was rendered from; only the offline simulator reads it."""


class Reply(NamedTuple):
    """A provider's answer."""

    text: str
    usage: Usage = Usage()


class ModelError(Exception):
    """A call that failed at the provider.

    Args:
        message: one line without key, header or prompt.
        retry: whether the same call may work later (408, 409, 429, 5xx, timeouts, broken connections).
        fatal: whether no call can work (wrong key, unknown model, out of quota): the run stops.
        throttled: whether the provider said that it gets too many calls (429, 529).
        retry_after: seconds the provider asks to wait.
        cut: whether the answer was cut at `max_tokens`.
        usage: what an unusable answer used; None where no answer came.
        lost: whether an answer may have been made, and billed, that never arrived (timeout, broken connection).
    """

    def __init__(
        self,
        message: str,
        *,
        retry: bool = False,
        fatal: bool = False,
        throttled: bool = False,
        retry_after: float | None = None,
        cut: bool = False,
        usage: Usage | None = None,
        lost: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.fatal = fatal
        self.throttled = throttled
        self.retry_after = retry_after
        self.cut = cut
        self.usage = usage
        self.lost = lost


class Provider(Protocol):
    """One way to reach models. Implementations do no retrying of their own."""

    name: str

    async def complete(self, request: Request) -> Reply:
        """Answers one call with JSON text for `request.schema`.

        Raises:
            ModelError: the call failed.
        """
        ...

    async def close(self) -> None: ...


class ModelName(NamedTuple):
    """`PROVIDER:MODEL` as given on the command line; `offline` alone has no model."""

    provider: str
    model: str

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """
        Raises:
            SynthError: the provider is unknown or the model is missing.
        """
        provider, _, model = text.strip().partition(":")
        if provider == "offline":
            if model:
                raise SynthError(f"The offline simulator has no models: {text!r}.", "Use --llm offline.")
            return cls("offline", "offline")
        if provider not in ("openai", "anthropic"):
            raise SynthError(
                f"Unknown model provider in --llm {text!r}.", "Use offline, openai:MODEL or anthropic:MODEL."
            )
        if not model:
            raise SynthError(f"--llm {text!r} names no model.", f"Use {provider}:MODEL.")
        return cls(provider, model)

    def __str__(self) -> str:
        return "offline" if self.provider == "offline" else f"{self.provider}:{self.model}"
