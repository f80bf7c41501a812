"""A run's texts made safe for a terminal: what would steer it is shown instead."""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters and escape sequences, and marks that turn the direction of what is written round."""


def safe(text: str) -> str:
    """The text with every steering character as its escape, `\\x1b`; lines stay lines."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def line(text: str) -> str:
    """The text in one line, safe."""
    return " ".join(safe(text).split())


def flat(text: str) -> str:
    """The text in one line, safe, its spaces as they are."""
    return safe(text).replace("\n", " ").replace("\t", " ")


def cut(text: str, length: int) -> str:
    """The text in one line of at most so many characters."""
    short = line(text)
    return short if len(short) <= length else short[: length - 1].rstrip() + "…"
