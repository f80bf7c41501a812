"""Items' pictures in a feature cache: which are there, which cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from synth.errors import SynthError
from synth.recommender.crops import image_hash, open_image

if TYPE_CHECKING:
    from synth.recommender.items import Item


class Cache(Protocol):
    """Knows which pictures it has."""

    def __contains__(self, image: str, /) -> bool: ...


@dataclass(frozen=True)
class Pictured:
    """First pictures of items."""

    hashes: dict[str, str]
    """Hash by item id, of those in the cache."""
    without: int
    """Items that have no picture."""
    unreadable: int
    """Items whose picture is damaged; they count as without one."""


def pictured(items: Iterable[Item], cache: Cache) -> Pictured:
    """Finds each item's first picture in a cache.

    Raises:
        SynthError: a picture that can be read is not in it: the cache is not complete.
    """
    listed = list(items)
    having = [item for item in listed if item.images]
    hashes: dict[str, str] = {}
    unreadable = 0
    with ThreadPoolExecutor(4) as threads:
        for item, found in zip(having, threads.map(_hash, having), strict=True):
            if found in cache:
                hashes[item.id] = found
            elif _readable(item):
                raise SynthError(
                    f"The picture {item.images[0]} is not in the feature cache.",
                    "Run `synth train features` again: only what is missing is encoded.",
                )
            else:
                unreadable += 1
    return Pictured(hashes, len(listed) - len(having), unreadable)


def _hash(item: Item) -> str:
    try:
        return image_hash(item.images[0])
    except SynthError:
        return ""


def _readable(item: Item) -> bool:
    try:
        open_image(item.images[0])
    except SynthError:
        return False
    return True
