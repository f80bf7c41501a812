"""What a model is asked, whichever API it came by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from tests.support.fakes.pictures import Picture

_REPAIR = "That does not fit the schema"
"""How our gateway begins when it asks again after an answer that could not be read."""
_BEGINS = "(The conversation begins.)"
"""What our gateway puts first where a model wants the user to speak first."""


class Block(NamedTuple):
    """A piece of a message: a text, or a picture."""

    role: str
    text: str = ""
    picture: Picture | None = None
    marked: bool = False
    """The prefix up to here is to be cached (Anthropic)."""


@dataclass(frozen=True)
class Ask:
    """One call.

    Attributes:
        messages: how many there are, the system's included.
        seed: None where the API has none, or the client sent none.
        schema: the JSON schema that the answer must keep to, from the body or from the system text.
    """

    model: str
    blocks: Sequence[Block]
    messages: int
    max_tokens: int | None
    seed: int | None = None
    schema: dict[str, Any] | None = field(default=None, repr=False)

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """Role and text of what a prompt says, without a schema in the system text, blanks and a repair's last two."""
        texts = [(block.role, block.text) for block in self.blocks if block.text.strip() and block.text != _BEGINS]
        if texts and texts[0][0] == "system":
            texts[0] = ("system", _without_schema(texts[0][1]))
        if len(texts) > 2 and texts[-1][1].startswith(_REPAIR):
            del texts[-2:]
        return texts

    @cached_property
    def asked(self) -> bytes:
        """Hash of what is asked, the same however messages are merged: equal ones have equal answers."""
        return prompt_hash([text for _, text in self.texts])

    @cached_property
    def key(self) -> str:
        """Hash of the call: model, messages with their pictures, and seed; 24 hex digits."""
        digest = hashlib.blake2b(f"{self.model}\0{self.seed}".encode(), digest_size=12)
        for block in self.blocks:
            digest.update(b"\0" + block.role.encode() + b"\0")
            digest.update(block.picture.digest if block.picture else block.text.encode("utf-8", "replace"))
        return digest.hexdigest()


def prompt_hash(texts: Sequence[str]) -> bytes:
    """Hash of a prompt's texts; 16 bytes."""
    spoken = [text.strip() for text in texts if text.strip()]
    return hashlib.blake2b("\n\n".join(spoken).encode("utf-8", "replace"), digest_size=16).digest()


def schema_in(system: str) -> dict[str, Any] | None:
    """The JSON schema in the last line of a system text, for servers that are told of it only there."""
    line = system.rpartition("\n")[2]
    if line.startswith("{"):
        try:
            schema = json.loads(line)
        except ValueError:
            return None
        if isinstance(schema, dict) and "properties" in schema:
            return schema
    return None


def _without_schema(system: str) -> str:
    return system.rpartition("\n\n")[0] if schema_in(system) else system


class Refused(Exception):
    """A request that gets an error for an answer.

    Args:
        status: HTTP status.
        message: in the API's own words.
        kind: the API's type of error.
        retry_after: seconds, told in the headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after
