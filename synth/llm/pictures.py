"""Pictures as they are sent: no larger than the model can use, and cheaper where that will do."""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, TypeVar

from PIL import Image

from synth.corpora.pictures import MAX_PIXELS, PictureError, clean, is_bare_jpeg
from synth.errors import SynthError
from synth.llm.provider import ImageData, ImageLoader, ModelName
from synth.llm.vision import Detail, Rule, Size, Tiles, fitted, vision_rule

Level = Literal["full", "low"]

_QUALITY = 85
_GAP = 8
"""Pixels of white between pictures that share one."""
_TOGETHER = 4
"""Pictures in one at most: in a fourth of it, a product can still be made out."""
_MEMORY = 64 << 20
"""Bytes of prepared pictures that are kept, and again of decoded ones."""

V = TypeVar("V")


class SentPicture(NamedTuple):
    """A picture, or several that share one, ready to go into a request."""

    mime: str
    base64: str
    width: int
    height: int
    detail: Detail
    """For OpenAI; Anthropic knows no such thing."""
    tokens: int
    """By the provider's rule."""


class Pictures:
    """Prepares the pictures of a call.

    `full`: each picture as it is, unless it is larger than what the model sees.

    `low`: OpenAI's models that count tiles get 512 pixels at low detail, which costs the same whatever is on it. For
    models that count patches a picture has at most 448 pixels a side (196 patches of 32, 256 of 28: a few hundred
    tokens; below about 200 pixels Anthropic finds that models see worse). The pictures of one call become one: the
    first left, the second right, of one height, with a white gap; a third and fourth below them; further ones in a
    picture of their own.

    Args:
        load: a picture by its content hash.
    """

    def __init__(self, load: ImageLoader, level: Level) -> None:
        self._load = load
        self._level = level
        self._sizes: dict[str, Size] = {}
        self._plans = lru_cache(maxsize=1 << 16)(self._make_plans)
        self._sent: _Memory[SentPicture] = _Memory()
        self._parts: _Memory[Image.Image] = _Memory()

    def prepare(self, images: tuple[str, ...], name: ModelName) -> tuple[SentPicture, ...]:
        """The pictures of one message as they are sent to a model.

        Raises:
            SynthError: a picture is gone or damaged.
        """
        return tuple(self._picture(plan) for plan in self._plans(images, name))

    def tokens(self, images: tuple[str, ...], name: ModelName) -> int:
        """Input tokens of the same, without making them.

        Raises:
            SynthError: a picture is gone or damaged.
        """
        return sum(plan.tokens for plan in self._plans(images, name))

    def _make_plans(self, images: tuple[str, ...], name: ModelName) -> tuple[_Plan, ...]:
        rule = vision_rule(name)
        if self._level == "full":
            return tuple(_single(image, rule.seen(self._size(image)), rule, "high") for image in images)
        side, highest, detail = _low(rule)
        if len(images) == 1:
            return (_single(images[0], fitted(self._size(images[0]), highest, highest), rule, detail),)
        groups = [images[start : start + _TOGETHER] for start in range(0, len(images), _TOGETHER)]
        return tuple(_collage([(i, self._size(i)) for i in group], side, highest, rule, detail) for group in groups)

    def _size(self, image: str) -> Size:
        size = self._sizes.get(image)
        if size is None:
            size = self._sizes[image] = self._source(image).size
        return size

    def _source(self, image: str) -> _Source:
        try:
            data = self._load(image)
            return _plain(data) or _cleaned(data)
        except (OSError, PictureError) as error:
            raise _unusable(image, error) from error

    def _picture(self, plan: _Plan) -> SentPicture:
        sent = self._sent.get(plan)
        if sent is None:
            sent = self._made(plan)
            self._sent.put(plan, sent, len(sent.base64))
        return sent

    def _made(self, plan: _Plan) -> SentPicture:
        if len(plan.parts) == 1:
            data, mime = self._one(plan.parts[0].image, plan.size)
        else:
            canvas = Image.new("RGB", plan.size, "white")
            for part in plan.parts:
                canvas.paste(self._part(part), (part.left, part.top))
            data, mime = _jpeg(canvas), "image/jpeg"
        return SentPicture(mime, base64.b64encode(data).decode(), *plan.size, plan.detail, plan.tokens)

    def _one(self, image: str, size: Size) -> tuple[bytes, str]:
        source = self._source(image)
        if size == source.size:
            return source.data, source.mime
        small = _decoded(image, source, size)
        data = _jpeg(small)
        if source.mime == "image/png" and 2 * len(source.data) < source.size[0] * source.size[1]:
            # Under four bits a pixel it is a drawing or lettering, which may be smaller without loss.
            lossless = io.BytesIO()
            small.save(lossless, "PNG")
            if lossless.tell() < len(data):
                return lossless.getvalue(), "image/png"
        return data, "image/jpeg"

    def _part(self, part: _Part) -> Image.Image:
        key = (part.image, part.size)
        small = self._parts.get(key)
        if small is None:
            small = _decoded(part.image, self._source(part.image), part.size)
            self._parts.put(key, small, 3 * small.width * small.height)
        return small


class _Part(NamedTuple):
    image: str
    left: int
    top: int
    size: Size


class _Plan(NamedTuple):
    """One picture to be sent: its size, and which pictures lie where on it."""

    size: Size
    detail: Detail
    tokens: int
    parts: tuple[_Part, ...]


class _Source(NamedTuple):
    """A picture as it can be sent: upright, RGB or grey, without transparency or metadata."""

    data: bytes
    mime: str
    size: Size


class _Memory(Generic[V]):
    """The most recently used values, up to so many bytes of them."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> V | None:
        entry = self._values.get(key)
        if entry is None:
            return None
        self._values.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        self._values[key] = value, size
        self._bytes += size
        while self._bytes > _MEMORY:
            self._bytes -= self._values.popitem(last=False)[1][1]


def _low(rule: Rule) -> tuple[int, int, Detail]:
    """Pixels a side of a shared picture, and of a single one, and the detail, at level `low`.

    Patches are paid for by area, so sharing saves nothing there: the shared picture is larger, and the prompts can
    speak of left and right all the same. 448 and 672 are multiples of 28 and of 32.
    """
    return (512, 512, "low") if isinstance(rule, Tiles) else (672, 448, "high")


def _single(image: str, size: Size, rule: Rule, detail: Detail) -> _Plan:
    return _Plan(size, detail, rule.tokens(size, detail), (_Part(image, 0, 0, size),))


def _collage(images: list[tuple[str, Size]], side: int, highest: int, rule: Rule, detail: Detail) -> _Plan:
    """Rows of two, each of one height."""
    rows = [images[start : start + 2] for start in range(0, len(images), 2)]
    top = right = 0
    parts = []
    for row in rows:
        shapes = [width / height for _, (width, height) in row]
        room = (side - _GAP * (len(row) - 1)) / sum(shapes), (side - _GAP * (len(rows) - 1)) / len(rows)
        height = max(int(min(*room, highest, max(size[1] for _, size in row))), 1)
        left = 0
        for (image, _), shape in zip(row, shapes, strict=True):
            size = max(int(height * shape), 1), height
            parts.append(_Part(image, left, top, size))
            left += size[0] + _GAP
        right = max(right, left - _GAP)
        top += height + _GAP
    size = right, top - _GAP
    return _Plan(size, detail, rule.tokens(size, detail), tuple(parts))


def _plain(picture: ImageData) -> _Source | None:
    """The picture, if it can be sent as it is. The catalogue's can: they were cleaned when they were imported."""
    try:
        with Image.open(io.BytesIO(picture.data), formats=("JPEG", "PNG")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None
            if opened.format == "JPEG":
                return _Source(picture.data, "image/jpeg", opened.size) if is_bare_jpeg(picture.data) else None
            opened.verify()
            plain = opened.mode in ("RGB", "L") and not {"transparency", "exif"} & opened.info.keys()
            return _Source(picture.data, "image/png", opened.size) if plain else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _cleaned(picture: ImageData) -> _Source:
    """
    Raises:
        PictureError: it is no picture, or a damaged one.
    """
    made = clean(picture.data)
    return _Source(made.data, made.mime, made.image.size)


def _decoded(image: str, source: _Source, size: Size) -> Image.Image:
    try:
        with Image.open(io.BytesIO(source.data)) as opened:
            # A large JPEG is decoded at a fraction of its size.
            opened.draft("RGB", size)
            # Hamming: as sharp as bicubic when shrinking, at little more than half the time.
            return opened.convert("RGB").resize(size, Image.Resampling.HAMMING)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unusable(image, error) from error


def _jpeg(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()


def _unusable(image: str, error: Exception) -> SynthError:
    return SynthError(f"Picture {image} cannot be sent: {error}.", "Import the catalogue again.")
