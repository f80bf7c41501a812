"""E-mail addresses and @handles are masked in every text that leaves a run.

Synthetic conversations need none, and what looks like one came from a catalogue or from a model's memory.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel

R = TypeVar("R", bound=BaseModel)

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HANDLE = re.compile(r"(?<![\w@/.])@[A-Za-z_][\w.]*\w")
_NOT_TEXT = frozenset(
    {
        *("id", "scenario_id", "target_id", "accepted_id", "outfit_id", "chosen", "excluded", "products", "images"),
        *("parents", "hash", "url", "provenance", "licence"),
    }
)
"""Fields that name things; masking them would break the links between records."""


def mask(text: str) -> str:
    """The text with `[email]` and `[handle]` where there was one."""
    if "@" not in text:
        return text
    return _HANDLE.sub("[handle]", _EMAIL.sub("[email]", text))


def masked(record: R) -> R:
    """The record with all its texts masked."""
    if "@" not in record.model_dump_json():
        return record
    return type(record).model_validate(_masked(record.model_dump()))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: part if name in _NOT_TEXT else _masked(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_masked(part) for part in value)
    return value
