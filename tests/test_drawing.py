"""The drawn sample catalogue: same seed, same bytes; coherent records; pictures that show what the records say."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from synth.corpora.catalogue import Catalogue
from synth.corpora.drawing import contact_sheet, draw_catalogue
from synth.corpora.drawing.assortment import decide
from synth.corpora.drawing.brands import BRANDS
from synth.corpora.drawing.design import Design
from synth.corpora.drawing.details import DETAILS, shows_accent
from synth.corpora.drawing.geometry import path
from synth.corpora.drawing.grammar import say
from synth.corpora.drawing.palette import COLOURS, METALS, distance
from synth.corpora.drawing.records import ATTRIBUTES, accented, product
from synth.corpora.drawing.shapes import SHAPES, draw
from synth.corpora.drawing.styles import KINDS
from synth.corpora.records import Product
from synth.errors import SynthError
from synth.randomness import rng

DESIGNS = [decide(0, i) for i in range(600)]
RECORDS = [product(d) for d in DESIGNS]


Pixels = NDArray[np.int32]


def pixels(design: Design) -> Pixels:
    return np.asarray(draw(design), np.int32)


def foreground(picture: Pixels) -> Pixels:
    """Pixels that are neither the pale ground nor the grey shadow on it: n × 3."""
    spread = picture.max(axis=2) - picture.min(axis=2)
    ground = (picture.min(axis=2) > 195) & (spread < 9)
    shown: Pixels = picture[~ground]
    return shown


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return draw_catalogue(tmp_path_factory.mktemp("drawn") / "forty", products=40, seed=3)


def test_same_seed_same_bytes(small: Catalogue, tmp_path: Path) -> None:
    again = draw_catalogue(tmp_path / "again", products=40, seed=3)
    assert files(again.folder) == files(small.folder)
    assert again.info.source == "drawn (seed 3)" and again.info.licence == "CC0-1.0" and again.info.name == "sample"


def test_a_larger_range_begins_with_the_smaller_one(small: Catalogue, tmp_path: Path) -> None:
    fewer = draw_catalogue(tmp_path / "fewer", products=12, seed=3)
    assert fewer.products == small.products[:12]


def test_another_seed_is_another_range() -> None:
    assert [product(decide(4, i)).title for i in range(10)] != [r.title for r in RECORDS[:10]]


def test_pictures_are_small_and_complete(small: Catalogue) -> None:
    sizes = []
    for p in small:
        (picture,) = p.images
        data = small.image_path(picture).read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.size == (320, 400) == (picture.width, picture.height)
            assert np.asarray(opened)[1, 1].min() > 240
        sizes.append(len(data))
    assert np.mean(sizes) < 12_000 and max(sizes) < 40_000


def test_progress_counts_every_product(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw_catalogue(tmp_path / "c", products=3, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_catalogue(tmp_path / "c", products=3, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [0, -1])
def test_no_products_is_refused_and_leaves_nothing(tmp_path: Path, count: int) -> None:
    with pytest.raises(SynthError):
        draw_catalogue(tmp_path / "none", products=count)
    assert list(tmp_path.iterdir()) == []


def test_every_kind_has_a_shape_and_comes_early() -> None:
    assert {k.type for k in KINDS} == set(SHAPES)
    assert {d.kind.type for d in DESIGNS[: sum(k.share for k in KINDS)]} == set(SHAPES)
    assert len(SHAPES) >= 30


def test_colours_can_be_told_apart() -> None:
    plain = [c for name, c in COLOURS.items() if name not in METALS]
    close = [(a.name, b.name) for i, a in enumerate(plain) for b in plain[:i] if distance(a.rgb, b.rgb) < 45]
    assert close == []


def test_titles_are_distinct_and_leave_things_out() -> None:
    assert len({r.title for r in RECORDS}) > 0.95 * len(RECORDS)
    said = [r.attributes["colour"] in r.title for r in RECORDS]
    assert 0.3 < np.mean(said) < 0.6
    patterned = [(r, d) for r, d in zip(RECORDS, DESIGNS, strict=True) if d.pattern not in ("Plain", "Fair Isle")]
    silent = [d.pattern.split()[0].rstrip("s").lower() not in r.title.lower() for r, d in patterned]
    assert 0.3 < np.mean(silent) < 0.7


def test_products_can_be_told_apart() -> None:
    keys = [(d.kind.type, d.gender, d.colour, d.pattern, *list(d.cut.items())[:3]) for d in DESIGNS]
    shared = Counter(keys)
    assert np.mean([shared[k] < 3 for k in keys]) > 0.7


def test_records_are_whole() -> None:
    for r in RECORDS:
        assert 6 <= len(r.attributes) <= ATTRIBUTES and all(r.attributes.values())
        assert {"type", "gender", "colour", "material", "usage", "brand"} <= r.attributes.keys()
        assert 2 <= len(r.features) <= 4 and len(set(r.features)) == len(r.features)
        assert 2 <= len(r.visual) <= 4
        assert r.categories[-1] == r.attributes["type"] and len(r.categories) == 3
        assert r.currency == "EUR" and r.licence == "CC0-1.0"
        text = " ".join((*r.features, r.descriptions["source"], *r.visual.values()))
        assert not set(text) & set("[]{}|")
        assert "  " not in text and " ," not in text


def coherent(r: Product) -> list[str]:
    """What is odd about a product."""
    a, odd = r.attributes, []
    warm = ("Wool", "Cashmere", "Fleece", "Merino Wool", "Cotton Flannel", "Velvet")
    if "Swimwear" in r.categories and (a["material"] in (*warm, "Leather", "Denim") or a.get("season") != "Summer"):
        odd.append("swimwear")
    if a["type"] == "Sandals" and a.get("season") in ("Winter", "Autumn"):
        odd.append("winter sandals")
    if a["material"] in warm and a.get("season") == "Summer":
        odd.append("warm material in summer")
    if a["type"] in ("Hoodies", "T-shirts", "Jeans", "Sneakers", "Shorts") and a["usage"] == "Formal":
        odd.append("too casual to be formal")
    if a["gender"] in ("Girls", "Boys") and (a["usage"] == "Work" or a["material"] in ("Cashmere", "Silk")):
        odd.append("not for a child")
    if a["material"] == "Denim" and a.get("pattern", "Plain") != "Plain":
        odd.append("printed denim")
    if a["type"] in ("Ties", "Swim shorts") and a["gender"] in ("Women", "Girls"):
        odd.append("gender")
    if a["material"] == "Sterling Silver" and a["colour"] != "Silver":
        odd.append("silver that is not")
    return odd


def test_records_are_coherent() -> None:
    assert [(r.title, odd) for r in RECORDS if (odd := coherent(r))] == []


def test_brands_sell_what_they_are_said_to_sell() -> None:
    by_name = {b.name: b for b in BRANDS}
    for r in RECORDS:
        brand = by_name[r.attributes["brand"]]
        assert r.attributes["usage"] in brand.usages and r.attributes["gender"] in brand.genders
        assert r.categories[0] in brand.groups


def test_prices_are_price_points_and_follow_quality() -> None:
    for r in RECORDS:
        assert r.price is not None and 3 < r.price < 700
        assert round(r.price % 1, 2) == 0.9 or r.price % 5 == 0
    median = {t: np.median([d.price for d in DESIGNS if d.kind.type == t]) for t in ("Socks", "T-shirts", "Coats")}
    assert median["Socks"] < median["T-shirts"] < median["Coats"]
    ratio = [d.price / d.kind.price / d.style.factor for d in DESIGNS if not d.child]
    level = [d.brand.level for d in DESIGNS if not d.child]
    assert np.corrcoef(ratio, level)[0, 1] > 0.7


def test_wording_varies() -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    for r in RECORDS:
        words = " ".join(r.features).lower().split()
        seen.update({tuple(words[i : i + 4]) for i in range(len(words) - 3)})
    assert seen.most_common(1)[0][1] <= 0.05 * len(RECORDS)


def test_plain_products_have_their_colour() -> None:
    """The median pixel of a plain garment or bag is near its palette colour, shading allowed for."""
    types = ("T-shirts", "Shirts", "Dresses", "Trousers", "Coats", "Tote bags", "Skirts", "Hoodies", "Socks")
    plain = [d for d in DESIGNS if d.pattern == "Plain" and d.kind.type in types]
    checked = [d for d in plain if d.colour not in ("White", "Cream", "Grey")][:40]
    assert len(checked) >= 30
    for d in checked:
        r, g, b = (int(v) for v in np.median(foreground(pixels(d)), axis=0))
        assert distance((r, g, b), COLOURS[d.colour].rgb) < 90, (d.kind.type, d.colour, r, g, b)


def test_every_pattern_changes_the_picture() -> None:
    tried: dict[str, Design] = {}
    for d in DESIGNS:
        if d.pattern != "Plain":
            tried.setdefault(d.pattern, d)
    assert len(tried) >= 11
    for pattern, d in tried.items():
        changed = np.abs(pixels(d) - pixels(replace(d, pattern="Plain", motif=""))).max(axis=2) > 20
        assert changed.sum() > 500, pattern


def test_details_that_are_named_are_drawn() -> None:
    """Without the detail the picture is another; one in the second colour brings that colour."""
    always = {"cable", "quilted", "pleats", "side_gore", "hat_band", "brim_stitching", "tassel_bead", "drop_stone"}
    always |= {"dark_lenses", "black_dial", "batons", "silver_buckle", "silver_frame", "pendant_plain", "bar_pendant"}
    always |= {"bow_band"}
    tried: dict[str, Design] = {}
    for d in DESIGNS:
        for detail in d.details:
            if detail not in always:
                tried.setdefault(detail, d)
    for detail, d in sorted(tried.items())[::2]:
        with_it, without = pixels(d), pixels(replace(d, details=tuple(x for x in d.details if x != detail)))
        changed = np.abs(with_it - without).max(axis=2) > 10
        assert changed.sum() > 25, (detail, d.kind.type)
        if shows_accent(detail) and d.pattern == "Plain":
            away = np.abs(with_it[changed] - COLOURS[d.accent].rgb).sum(axis=1)
            assert away.min() < 110, (detail, d.kind.type, d.accent)


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("T-shirts", "neck"), ("Dresses", "length"), ("Dresses", "sleeve"), ("Jeans", "fit"), ("Heels", "heel"),
        ("Boots", "length"), ("Watches", "dial"), ("Sunglasses", "frame"), ("Skirts", "length"), ("Hats", "brim"),
        ("Handbags", "strap"), ("Blazers", "closure"),
    ],
)  # fmt: skip
def test_the_cut_can_be_seen(kind: str, attribute: str) -> None:
    d = next(
        d for d in (decide(1, i) for i in range(3000))
        if d.kind.type == kind and len(set(d.style.cut.get(attribute, ()))) > 1
    )  # fmt: skip
    values = sorted(set(d.style.cut[attribute]))
    drawn = [pixels(replace(d, cut={**d.cut, attribute: v})) for v in values]
    for i, a in enumerate(drawn):
        for b in drawn[:i]:
            assert (np.abs(a - b).max(axis=2) > 15).sum() > 150, (kind, attribute)


def test_visual_facts_are_about_what_is_drawn() -> None:
    for d, r in zip(DESIGNS, RECORDS, strict=True):
        assert r.visual["tone"] == COLOURS[d.colour].tone
        assert ("accent" in r.visual) == accented(d)
        assert all(detail in DETAILS for detail in d.details)
        if "accent" in r.visual:
            assert r.visual["accent"] == d.accent.lower() and d.accent != d.colour


def test_contact_sheet_shows_the_pictures(small: Catalogue) -> None:
    page = contact_sheet(small, 24, 8)
    assert page.size == (8 * 160, 3 * 200)
    tiles = np.asarray(page).reshape(3, 200, 8, 160, 3).transpose(0, 2, 1, 3, 4).reshape(24, -1)
    assert (tiles.std(axis=1) > 5).all()


def test_path_reads_lines_and_curves() -> None:
    assert path("M0,0 L4,0 4,3", 1, 1) == [(1, 1), (5, 1), (5, 4)]
    curve = path("M0,0 Q5,10 10,0 C10,5 0,5 0,0")
    assert max(y for _, y in curve[:11]) == pytest.approx(5) and curve[-1] == (0, 0)


def test_grammar_nests_and_fills() -> None:
    said = {say("[a|b [c|d]] {x}", rng(0, i), {"x": "e"}) for i in range(60)}
    assert said == {"a e", "b c e", "b d e"}
