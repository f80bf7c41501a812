"""Randomness by place: the same seed and place give the same numbers, whatever ran before or beside it."""

from __future__ import annotations

import hashlib
import random


def rng(seed: int, *place: str | int) -> random.Random:
    """A generator of its own for one place in a run, e.g. `rng(7, "profile", 12, "person")`."""
    text = "\x1f".join([str(seed), *map(str, place)])
    return random.Random(hashlib.blake2b(text.encode(), digest_size=8).digest())
