"""The providers' prefix caches: how much of a prompt was read before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.fakes.ask import Ask

_SHORTEST = 1024
_STEP = 128
_MOST = 200_000
"""Prefixes kept."""


class Cached(NamedTuple):
    """Tokens of a prompt that come from the cache, and that go there at a price."""

    read: int
    written: int


class PrefixCache:
    """Knows which beginnings of prompts it has seen, block by block, without end of time."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def openai(self, ask: Ask, tokens: Sequence[int]) -> Cached:
        """By itself, from 1,024 tokens on, in steps of 128.

        Args:
            tokens: of each block.
        """
        best = 0
        for digest, total in _prefixes(ask, tokens):
            if total >= _SHORTEST:
                if digest in self._seen:
                    best = total
                self._keep(digest)
        return Cached(best // _STEP * _STEP, 0)

    def anthropic(self, ask: Ask, tokens: Sequence[int]) -> Cached:
        """Up to the blocks that carry a mark, from 1,024 tokens on."""
        if not any(block.marked for block in ask.blocks):
            return Cached(0, 0)
        read = marked = 0
        for block, (digest, total) in zip(ask.blocks, _prefixes(ask, tokens), strict=True):
            if total < _SHORTEST:
                continue
            if digest in self._seen:
                read = total
            if block.marked:
                marked = total
                self._keep(digest)
        return Cached(read, max(0, marked - read))

    def _keep(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)


def _prefixes(ask: Ask, tokens: Sequence[int]) -> list[tuple[bytes, int]]:
    """Hash and length of the prompt up to each of its blocks."""
    digest = hashlib.blake2b(ask.model.encode(), digest_size=12)
    total = 0
    prefixes = []
    for block, count in zip(ask.blocks, tokens, strict=True):
        digest.update(block.role.encode() + b"\0")
        digest.update(block.picture.digest if block.picture else block.text.encode("utf-8", "replace"))
        total += count
        prefixes.append((digest.digest(), total))
    return prefixes
