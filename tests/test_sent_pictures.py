"""Pictures as they are sent: sizes, sharing, formats, memory, and damaged files."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw

from synth.errors import SynthError
from synth.llm import pictures
from synth.llm.pictures import Level, Pictures, SentPicture
from synth.llm.provider import ImageData, ModelName
from synth.llm.vision import image_tokens

MINI = ModelName("openai", "gpt-4o-mini")
PATCHES = ModelName("openai", "gpt-5-mini")
CLAUDE = ModelName("anthropic", "claude-haiku-4-5")
MODELS = (MINI, PATCHES, CLAUDE)
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (40, 50, 190)


class Shop:
    """Pictures by name, and how often each was loaded."""

    def __init__(self) -> None:
        self.pictures: dict[str, ImageData] = {}
        self.loads: Counter[str] = Counter()

    def add(self, image: Image.Image, kind: str = "JPEG", **options: Any) -> str:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return self.put(stream.getvalue(), f"image/{kind.lower()}")

    def put(self, data: bytes, mime: str = "image/jpeg") -> str:
        name = hashlib.sha256(data).hexdigest()[:32]
        self.pictures[name] = ImageData(data, mime)
        return name

    def load(self, name: str) -> ImageData:
        self.loads[name] += 1
        return self.pictures[name]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def plain(size: tuple[int, int], colour: tuple[int, int, int] = RED) -> Image.Image:
    """One colour, with a darker frame so that it is not blank."""
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=(20, 20, 20))
    return image


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.effect_noise(size, 80).convert("RGB")


def opened(sent: SentPicture) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(sent.base64)))
    assert image.size == (sent.width, sent.height)
    assert Image.MIME[str(image.format)] == sent.mime
    return image.convert("RGB")


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 25 for a, b in zip(pixel, colour, strict=True))


def only(shop: Shop, level: Level, images: tuple[str, ...], name: ModelName) -> SentPicture:
    (sent,) = Pictures(shop.load, level).prepare(images, name)
    return sent


@pytest.mark.parametrize("name", MODELS)
def test_full_sends_a_picture_as_it_is(shop: Shop, name: ModelName) -> None:
    for kind, mime in (("JPEG", "image/jpeg"), ("PNG", "image/png")):
        image = shop.add(noise((300, 400)), kind)
        sent = only(shop, "full", (image,), name)
        assert base64.b64decode(sent.base64) == shop.pictures[image].data
        assert sent[2:] == (300, 400, "high", image_tokens(name, 300, 400, "high"))
        assert sent.mime == mime


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (MINI, (768, 1024)),  # its shorter side is seen at 768
        (ModelName("openai", "gpt-5.2"), (1056, 1408)),
        (CLAUDE, (952, 1270)),  # 34 x 46 patches of 28, the most of this shape in 1,568
    ],
)
def test_full_sends_no_more_than_the_model_sees(shop: Shop, name: ModelName, seen: tuple[int, int]) -> None:
    image = shop.add(plain((1800, 2400)))
    sent = only(shop, "full", (image,), name)
    assert (sent.width, sent.height) == seen
    assert sent.tokens == image_tokens(name, 1800, 2400, "high")
    assert near(opened(sent).getpixel((400, 500)), RED)


def test_full_sends_every_picture_by_itself(shop: Shop) -> None:
    images = shop.add(plain((300, 400))), shop.add(plain((400, 300), BLUE))
    sent = Pictures(shop.load, "full").prepare(images, MINI)
    assert [(s.width, s.height) for s in sent] == [(300, 400), (400, 300)]


@pytest.mark.parametrize(
    ("name", "size", "detail", "tokens"),
    [(MINI, (384, 512), "low", 2833), (PATCHES, (336, 448), "high", 250), (CLAUDE, (336, 448), "high", 192)],
)
def test_low_sends_a_small_picture(
    shop: Shop, name: ModelName, size: tuple[int, int], detail: str, tokens: int
) -> None:
    sent = only(shop, "low", (shop.add(noise((768, 1024))),), name)
    assert sent[2:] == (*size, detail, tokens)
    opened(sent)
    small = shop.add(noise((90, 120)))
    sent = only(shop, "low", (small,), name)
    assert base64.b64decode(sent.base64) == shop.pictures[small].data


@pytest.mark.parametrize("name", MODELS)
def test_low_sends_two_pictures_as_one(shop: Shop, name: ModelName) -> None:
    first, second = shop.add(plain((600, 800))), shop.add(plain((800, 800), BLUE))
    sent = only(shop, "low", (first, second), name)
    image = opened(sent)
    assert max(image.size) <= (512 if name == MINI else 672)
    assert sent.height >= 280
    # Both have the picture's height; 3:4 is left, 1:1 is right, white is between.
    left = round(sent.height * 0.75)
    middle = sent.height // 2
    assert near(image.getpixel((left // 2, middle)), RED)
    assert near(image.getpixel((left + 4, middle)), (255, 255, 255))
    assert near(image.getpixel((left + 8 + sent.height // 2, middle)), BLUE)
    assert sent.width == pytest.approx(left + 8 + sent.height, abs=2)
    assert sent.tokens == image_tokens(name, sent.width, sent.height, sent.detail)
    if name == MINI:
        assert (sent.tokens, sent.detail) == (2833, "low")
    other = only(shop, "low", (second, first), name)
    assert near(opened(other).getpixel((20, middle)), BLUE)


def test_small_pictures_are_not_blown_up_to_share_one(shop: Shop) -> None:
    sent = only(shop, "low", (shop.add(plain((60, 80))), shop.add(plain((30, 40), BLUE))), CLAUDE)
    assert (sent.width, sent.height) == (60 + 8 + 60, 80)


def test_three_pictures_share_one_and_five_take_two(shop: Shop) -> None:
    images = tuple(shop.add(plain((300, 400), colour)) for colour in (RED, GREEN, BLUE, (90, 90, 90), (0, 120, 120)))
    three = opened(only(shop, "low", images[:3], MINI))
    width, height = three.size
    assert near(three.getpixel((width // 4, height // 4)), RED)
    assert near(three.getpixel((3 * width // 4, height // 4)), GREEN)
    assert near(three.getpixel((width // 4, 3 * height // 4)), BLUE)
    assert near(three.getpixel((3 * width // 4, 3 * height // 4)), (255, 255, 255))
    assert len(Pictures(shop.load, "low").prepare(images, MINI)) == 2
    assert Pictures(shop.load, "low").prepare((), MINI) == ()


def _turned(image: Image.Image) -> dict[str, Any]:
    exif = image.getexif()
    exif[0x0112] = 6
    return {"exif": exif}


@pytest.mark.parametrize(
    ("make", "kind", "size"),
    [
        (lambda i: (i, _turned(i)), "JPEG", (400, 300)),
        (lambda i: (i, _turned(i)), "PNG", (400, 300)),
        (lambda i: (i.convert("CMYK"), {}), "JPEG", (300, 400)),
        (lambda i: (i.quantize(8), {}), "GIF", (300, 400)),
        (lambda i: (i, {"lossless": True}), "WEBP", (300, 400)),
        (lambda i: (i.quantize(8), {}), "PNG", (300, 400)),
    ],
)
@pytest.mark.parametrize("level", ["full", "low"])
def test_any_format_is_sent_upright_as_jpeg_or_png(
    shop: Shop, make: Callable[[Image.Image], Any], kind: str, size: tuple[int, int], level: Level
) -> None:
    image, options = make(plain((300, 400)))
    sent = only(shop, level, (shop.add(image, kind, **options),), CLAUDE)
    assert (sent.width, sent.height) == size
    assert near(opened(sent).getpixel((150, 150)), RED)


def test_transparency_becomes_white(shop: Shop) -> None:
    image = plain((300, 400)).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 150, 400))
    name = shop.add(image, "PNG")
    for level, images in (("full", (name,)), ("low", (name,)), ("low", (name, name))):
        sent = opened(only(shop, level, images, MINI))  # type: ignore[arg-type]
        assert near(sent.getpixel((20, 100)), (255, 255, 255))


def test_an_animation_is_sent_as_its_first_frame(shop: Shop) -> None:
    name = shop.add(plain((300, 400)), "GIF", save_all=True, append_images=[plain((300, 400), BLUE)])
    assert near(opened(only(shop, "low", (name,), MINI)).getpixel((150, 150)), RED)


def test_a_drawing_stays_without_loss_where_that_is_smaller(shop: Shop) -> None:
    assert only(shop, "low", (shop.add(plain((768, 1024)), "PNG"),), MINI).mime == "image/png"
    assert only(shop, "low", (shop.add(noise((768, 1024)), "PNG"),), MINI).mime == "image/jpeg"


@pytest.mark.parametrize("level", ["full", "low"])
@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_those_of_what_is_sent(shop: Shop, level: Level, name: ModelName) -> None:
    sizes = [(320, 400), (1000, 700), (900, 1000), (64, 900), (511, 513)]
    images = tuple(shop.add(noise(size)) for size in sizes)
    for group in [(i,) for i in images] + [images[:2], images[1:4], images]:
        sent = Pictures(shop.load, level).prepare(group, name)
        assert Pictures(shop.load, level).tokens(group, name) == sum(s.tokens for s in sent)
        assert all(s.tokens == image_tokens(name, s.width, s.height, s.detail) for s in sent)


def test_a_picture_is_prepared_once(shop: Shop) -> None:
    image, other = shop.add(noise((600, 800))), shop.add(noise((800, 600)))
    ready = Pictures(shop.load, "low")
    first = ready.prepare((image,), MINI), ready.prepare((image, other), MINI)
    loads = shop.loads.copy()
    assert (ready.prepare((image,), MINI), ready.prepare((image, other), MINI)) == first
    assert ready.prepare((image,), ModelName("openai", "gpt-4o-mini-2024-07-18")) == first[0]
    ready.tokens((image, other), MINI)
    assert shop.loads == loads


def test_memory_is_bounded_by_bytes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [shop.add(noise((200 + n, 200))) for n in range(4)]
    ready = Pictures(shop.load, "full")
    length = len(ready.prepare((images[0],), MINI)[0].base64)
    monkeypatch.setattr(pictures, "_MEMORY", length * 5 // 2)
    ready = Pictures(shop.load, "full")
    shop.loads.clear()
    for n in (0, 1, 2, 3, 2, 0, 2):
        ready.prepare((images[n],), MINI)
    # Loaded for its size and for each time it was made. There is room for two: the last 0 pushed out 3, not 2.
    assert [shop.loads[image] for image in images] == [3, 2, 2, 2]


def test_the_same_pictures_give_the_same_bytes(shop: Shop) -> None:
    images = shop.add(noise((600, 800))), shop.add(noise((800, 600)))
    assert only(shop, "low", images, MINI) == only(shop, "low", images, MINI)


@pytest.mark.parametrize("level", ["full", "low"])
def test_a_damaged_picture_is_named(shop: Shop, level: Level) -> None:
    jpeg, png = shop.add(noise((400, 600))), shop.add(noise((400, 600)), "PNG")
    damaged = [shop.put(shop.pictures[name].data[:-400]) for name in (jpeg, png)]
    damaged += [shop.put(b""), shop.put(b"<html>not found</html>"), shop.put(shop.pictures[jpeg].data[:30])]
    for name in damaged:
        for images in ((name,), (jpeg, name)):
            with pytest.raises(SynthError, match=name):
                Pictures(shop.load, level).prepare(images, MINI)


def test_a_picture_of_too_many_pixels_is_refused(shop: Shop) -> None:
    name = shop.add(Image.new("L", (9000, 6000)), "PNG", compress_level=1)
    with pytest.raises(SynthError, match=name):
        Pictures(shop.load, "low").tokens((name,), MINI)


def test_a_picture_that_is_gone_is_named() -> None:
    def load(image: str) -> ImageData:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(SynthError, match=r"Picture abc cannot be sent: .*No such file"):
        Pictures(load, "low").prepare(("abc",), MINI)
