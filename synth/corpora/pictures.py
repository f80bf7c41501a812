"""Pictures made safe to keep: decoded, turned upright, free of metadata, of a bounded size. And where they lie."""

from __future__ import annotations

import io
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from synth.errors import SynthError

MAX_BYTES = 20 << 20
"""Of a picture as it comes."""
MAX_PIXELS = 50_000_000
"""Of a picture as it comes: width times height."""
MAX_SIDE = 1024
"""Of a picture as it is kept, in pixels."""
MIN_SIDE = 16
"""Smaller ones are spacers and tracking pixels, not pictures of a product."""
_QUALITY = 90
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of the JPEG segment that says how many colour components there are."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


class PictureError(Exception):
    """A picture that cannot be used.

    Args:
        reason: a short, countable phrase.
        detail: which picture and what is wrong with it.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class CleanPicture:
    """A picture as it is kept."""

    data: bytes
    mime: Literal["image/jpeg", "image/png"]
    image: Image.Image
    """The same, decoded: RGB, at most `MAX_SIDE` pixels a side."""


class Album(Protocol):
    """Where a catalogue's pictures lie."""

    def read(self, reference: str, product_id: str) -> bytes:
        """The bytes of one picture.

        Raises:
            PictureError: it is not there or too large.
        """


def clean(data: bytes) -> CleanPicture:
    """Decodes a picture and makes it fit to keep.

    Orientation is applied, transparency is laid on white, colours become RGB, the longer side at most `MAX_SIDE`; a
    lossless picture stays one (PNG), all others become JPEG. A JPEG that is already as it should be, and carries
    nothing but the picture, keeps its bytes.

    Raises:
        PictureError: it is no picture, is broken off, too large, too small, or blank.
    """
    if len(data) > MAX_BYTES:
        raise PictureError("picture too large", f"{len(data)} bytes, {MAX_BYTES} at most")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise PictureError("picture too large", f"{width}x{height} pixels, {MAX_PIXELS} in all at most")
            if min(width, height) < MIN_SIDE:
                raise PictureError("picture too small", f"{width}x{height} pixels")
            source = opened.format
            # Decodes a large JPEG at a fraction of its size where that is all that will be kept.
            opened.draft("RGB", (MAX_SIDE, MAX_SIDE))
            opened.load()
            image = _upright(opened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("picture too large", str(error)) from error
    except UnidentifiedImageError as error:
        raise PictureError("not a picture", f"{len(data)} bytes that are no {', '.join(_FORMATS)}") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error) as error:
        raise PictureError("broken picture", str(error)) from error
    if all(high - low < 4 for low, high in _extrema(image)):
        raise PictureError("blank picture")
    if source == "JPEG" and image.size == (width, height) and max(image.size) <= MAX_SIDE and is_bare_jpeg(data):
        return CleanPicture(data, "image/jpeg", image)
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    target = io.BytesIO()
    if source in ("PNG", "GIF", "BMP"):
        image.save(target, "PNG", optimize=False)
        return CleanPicture(target.getvalue(), "image/png", image)
    image.save(target, "JPEG", quality=_QUALITY)
    return CleanPicture(target.getvalue(), "image/jpeg", image)


def is_bare_jpeg(data: bytes) -> bool:
    """Whether a JPEG holds the picture only: no EXIF, XMP, colour profile, comment, thumbnail, or bytes after its end.

    Of the application segments only a plain JFIF header is allowed; three colour components or one, since others would
    have to be converted.
    """
    if data[:2] != b"\xff\xd8" or not data.endswith(b"\xff\xd9"):
        return False
    at = 2
    while at + 4 <= len(data):
        marker, kind, length = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at + 4 : at + 2 + length]
        if marker != 0xFF or length < 2:
            return False
        if kind == 0xE0:
            if length != 16 or not segment.startswith(b"JFIF\0") or segment[-2:] != b"\0\0":
                return False
        elif 0xE1 <= kind <= 0xEF or kind == 0xFE or (kind in _FRAMES and segment[5:6] not in (b"\x01", b"\x03")):
            return False
        at += 2 + length
        if kind == 0xDA:
            at = _next_marker(data, at)
            if data[at + 1 : at + 2] == b"\xd9":
                return at + 2 == len(data)
    return False


def _next_marker(data: bytes, at: int) -> int:
    """Where the entropy-coded data that starts at `at` ends: at a marker that is neither stuffing nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] != 0 and data[at + 1] != 0xFF and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 1 if data[at + 1] == 0xFF else 2


def _upright(image: Image.Image) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    if turned.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in turned.info:
        layered = turned.convert("RGBA")
        ground = Image.new("RGBA", layered.size, "white")
        ground.alpha_composite(layered)
        turned = ground
    elif turned.mode.startswith(("I", "F")):
        # 16-bit grey: the plain conversion would clip it to white.
        turned = turned.point(lambda value: value / 256).convert("L") if turned.mode.startswith("I;16") else turned
    plain = turned.convert("RGB")
    plain.info.clear()
    return plain


def _extrema(image: Image.Image) -> Iterable[tuple[int, int]]:
    return ((int(low), int(high)) for low, high in image.getextrema())  # type: ignore[misc]


class _Names:
    """Finds the file a reference means: by its whole path, else by what no two files share: the end of its path, its
    name, its name without suffix.

    A reference is only ever looked up among the names that are there, never joined to a path.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._whole = {name.lower(): name for name in names}
        self._parts: dict[str, str | None] = {}
        for name in self._whole.values():
            folders = name.lower().split("/")
            keys = {"/".join(folders[n:]) for n in range(1, len(folders))}
            keys.add(folders[-1].rpartition(".")[0])
            for key in keys:
                self._parts[key] = None if key in self._parts else name

    def __len__(self) -> int:
        return len(self._whole)

    def find(self, reference: str, product_id: str) -> str:
        wanted = reference.replace("\\", "/").lower().removeprefix("./")
        base = wanted.rsplit("/", 1)[-1].partition("?")[0]
        for key in (wanted, base, base.rpartition(".")[0], product_id.lower()):
            name = self._whole.get(key) or self._parts.get(key)
            if key and name:
                return name
        raise PictureError("picture missing", reference or f"no picture is named {product_id}")


class Folder:
    """Pictures in a folder and the folders in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        found = (
            (Path(folder) / name).relative_to(root).as_posix()
            for folder, _, names in os.walk(root)
            for name in names
            if not name.startswith(".")
        )
        self._names = _Names(found)
        if not len(self._names):
            raise SynthError(f"There is no picture in {root}.", "Name the folder that has them with --images.")

    def read(self, reference: str, product_id: str) -> bytes:
        path = self._root / self._names.find(reference, product_id)
        try:
            with path.open("rb") as stream:
                return _within_limit(stream.read(MAX_BYTES + 1), path.name)
        except OSError as error:
            raise PictureError("picture missing", f"{path.name}: {error.strerror}") from error


class Zip:
    """Pictures in a zip file; each is read from it when asked for, and nothing is unpacked to disk.

    Raises:
        SynthError: the file is no zip, is damaged, or has an entry that points out of it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise SynthError(f"{path} cannot be read as a zip file: {error}.", "Get the file again.") from error
        for entry in self._zip.infolist():
            name = entry.filename.replace("\\", "/")
            if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
                self._zip.close()
                raise SynthError(
                    f"{path} has an entry that points out of it: {entry.filename!r}.", "Make the zip again without it."
                )
        self._names = _Names(
            entry.filename
            for entry in self._zip.infolist()
            if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")
        )
        if not len(self._names):
            self._zip.close()
            raise SynthError(f"There is no picture in {path}.", "Name the zip that has them with --images.")

    def read(self, reference: str, product_id: str) -> bytes:
        name = self._names.find(reference, product_id)
        try:
            with self._zip.open(name) as stream:
                return _within_limit(stream.read(MAX_BYTES + 1), name)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError) as error:
            raise PictureError("broken picture", f"{name}: {error}") from error

    def close(self) -> None:
        self._zip.close()


def _within_limit(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise PictureError("picture too large", f"{name} has more than {MAX_BYTES} bytes")
    return data
