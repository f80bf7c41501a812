"""Pictures in requests: what they are by their bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from functools import lru_cache
from typing import NamedTuple


class Picture(NamedTuple):
    """A picture as a request has it."""

    mime: str
    width: int
    height: int
    digest: bytes
    low: bool = False
    """At low detail (OpenAI)."""


class NoPicture(Exception):
    """The data cannot be decoded, or is not of the kind it says it is."""


@lru_cache(1024)
def decode(data: str) -> Picture:
    """Reads a base64 picture; kept, since runs show the same pictures again and again.

    Raises:
        NoPicture: the data is not base64, or no picture of a known kind.
    """
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise NoPicture("not base64") from None
    try:
        mime, width, height = _measure(raw)
    except (struct.error, IndexError):
        raise NoPicture("cut off") from None
    return Picture(mime, width, height, hashlib.blake2b(raw, digest_size=12).digest())


def _measure(raw: bytes) -> tuple[str, int, int]:
    """Kind, width and height from a file's first bytes."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png", *struct.unpack(">II", raw[16:24])
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", *_jpeg_size(raw)
    if raw[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif", *struct.unpack("<HH", raw[6:10])
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "image/webp", *_webp_size(raw)
    raise NoPicture("of no known kind")


def _jpeg_size(raw: bytes) -> tuple[int, int]:
    at = 2
    while raw[at] == 0xFF:
        marker, length = raw[at + 1], int.from_bytes(raw[at + 2 : at + 4], "big")
        # Start-of-frame markers; C4, C8 and CC are tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            return width, height
        at += 2 + length
    raise NoPicture("a JPEG without a frame")


def _webp_size(raw: bytes) -> tuple[int, int]:
    if raw[12:16] == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if raw[12:16] == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", raw[26:30])
    return width & 0x3FFF, height & 0x3FFF
