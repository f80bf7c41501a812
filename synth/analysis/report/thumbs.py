"""A run's pictures as small data URIs, so that the report needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

from PIL import Image

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Picture

_SIDES = (320, 240, 160, 96)
"""Pixels of the longer side; smaller ones where many pictures would make the file large."""
_MOST = 1_300_000
"""Bytes of all pictures together; a third more as text, and up to twice that where each stands on the page twice."""
_QUALITY = 72


def thumbs(catalogue: Catalogue, pictures: Iterable[Picture]) -> dict[str, str]:
    """Data URIs by the pictures' hashes; those that are gone or broken are left out."""
    wanted = {picture.hash: picture for picture in pictures}
    found: dict[str, bytes] = {}
    for side in _SIDES:
        found = {hash_: small for hash_, picture in wanted.items() if (small := _small(catalogue, picture, side))}
        if sum(map(len, found.values())) <= _MOST:
            break
    return {hash_: f"data:image/webp;base64,{base64.b64encode(data).decode()}" for hash_, data in found.items()}


def _small(catalogue: Catalogue, picture: Picture, side: int) -> bytes | None:
    try:
        with Image.open(catalogue.image_path(picture), formats=("JPEG", "PNG", "WEBP")) as opened:
            opened.draft("RGB", (side, side))
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=4)
    return stream.getvalue()
