"""What pictures show."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from synth.corpora.looks import look


def drawn(fill: str, box: tuple[int, int, int, int] = (50, 50, 150, 150), ground: str = "white") -> Image.Image:
    image = Image.new("RGB", (200, 200), ground)
    ImageDraw.Draw(image).rectangle(box, fill=fill)
    return image


@pytest.mark.parametrize(
    ("fill", "name", "tone"),
    [
        ("#101010", "black", None),
        ("#808080", "grey", None),
        ("#e01020", "red", "bright"),
        ("#1040e0", "blue", "bright"),
        ("#102050", "blue", None),
        ("#20a030", "green", None),
        ("#f0d020", "yellow", "bright"),
        ("#f08010", "orange", "bright"),
        ("#8020c0", "purple", "bright"),
        ("#f8b8d0", "pink", None),
        ("#6b4423", "brown", None),
        ("#dcc8a0", "beige", None),
    ],
)
def test_colours_have_names(fill: str, name: str, tone: str | None) -> None:
    found = look(drawn(fill))
    assert found["main_colour"] == name
    assert found.get("tone") == tone or (tone is None and found.get("tone") in (None, "bright", "muted"))


def test_a_white_product_on_grey() -> None:
    assert look(drawn("#fafafa", ground="#b0b0b0"))["main_colour"] == "white"


def test_an_accent_has_a_real_share() -> None:
    image = drawn("#101010")
    ImageDraw.Draw(image).rectangle((60, 60, 140, 90), fill="#e01020")
    assert look(image)["accent"] == "red"
    image = drawn("#101010")
    ImageDraw.Draw(image).rectangle((60, 60, 70, 64), fill="#e01020")
    assert "accent" not in look(image)


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((85, 10, 115, 190), "slender"),
        ((60, 60, 140, 140), "compact"),
        ((50, 70, 150, 140), "broad"),
        ((10, 80, 190, 120), "elongated"),
    ],
)
def test_shapes(box: tuple[int, int, int, int], shape: str) -> None:
    assert look(drawn("#1040e0", box))["shape"] == shape


def test_lightness_and_contrast_come_in_steps() -> None:
    fills = ("#101010", "#404040", "#808080", "#b0b0b0", "#e0e0e0")
    found = [look(drawn(fill, ground="#ff00ff"))["lightness"] for fill in fills]
    assert found == ["very dark", "dark", "mid-toned", "light", "very light"]
    assert look(drawn("#808080"))["contrast"] == "soft"
    image = drawn("#101010")
    ImageDraw.Draw(image).rectangle((60, 60, 140, 100), fill="#c0c0c0")
    assert look(image)["contrast"] == "strong"


def test_plain_is_said_of_large_pictures_only() -> None:
    assert look(drawn("#1040e0"))["surface"] == "plain"
    assert "surface" not in look(drawn("#1040e0").resize((60, 60)))


def test_nothing_is_said_when_unsure() -> None:
    noise = random.Random(0)
    busy = Image.frombytes("RGB", (80, 80), bytes(noise.randrange(256) for _ in range(80 * 80 * 3)))
    assert look(busy) == {}
    assert look(drawn("white")) == {}
    assert "main_colour" not in look(drawn("#2a8a8a"))  # teal: neither green nor blue
    ring = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(ring).ellipse((30, 30, 170, 170), outline="#e01020", width=15)
    assert "main_colour" not in look(ring)  # a red ring, or a white plate with a red rim


@pytest.mark.real_data
def test_named_colours_agree_with_a_real_catalogue() -> None:
    root = os.environ.get("SYNTH_TEST_DATA")
    if not root:
        pytest.skip("SYNTH_TEST_DATA is not set")
    import csv

    from synth.corpora.attributes import contradicts

    with (Path(root) / "fashion" / "products.csv").open(encoding="utf-8", newline="") as stream:
        rows = random.Random(3).sample(list(csv.DictReader(stream)), 600)
    said = wrong = 0
    with zipfile.ZipFile(Path(root) / "fashion" / "images.zip") as file:
        for row in rows:
            found = look(Image.open(io.BytesIO(file.read(row["image"])))).get("main_colour")
            if found and row["baseColour"]:
                said += 1
                wrong += contradicts(row["baseColour"].lower(), [found])
    assert said > 150
    assert wrong / said < 0.2
