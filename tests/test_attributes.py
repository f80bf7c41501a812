"""What attributes and titles mean."""

from __future__ import annotations

import pytest

from synth.corpora.attributes import brand, brands, canonical, contradicts, facets, wearer
from synth.corpora.records import Product


def product(title: str, *categories: str, id: str = "1", **attributes: str) -> Product:
    return Product(id=id, title=title, categories=categories, attributes=attributes)


@pytest.mark.parametrize(
    ("title", "attributes", "gender", "child"),
    [
        ("Puma Shoe", {"gender": "Men"}, "male", False),
        ("Puma Shoe", {"gender": "Girls"}, "female", True),
        ("Puma Shoe", {"gender": "Unisex"}, None, False),
        ("Puma Women's Shoe", {}, "female", False),
        ("Puma Men Cap", {"gender": "Unisex"}, "male", False),
        ("Kids Cap", {"gender": "Unisex"}, None, True),
        ("Cap", {"age_group": "Kids-Boys"}, "male", True),
        ("Kleid für Damen", {}, "female", False),
        ("Cap for men and women", {}, None, False),
    ],
)
def test_wearer(title: str, attributes: dict[str, str], gender: str | None, child: bool) -> None:
    found = wearer(product(title, **attributes))
    assert found is not None
    assert (found.gender, found.child, found.conflict) == (gender, child, False)


def test_wearer_from_categories() -> None:
    found = wearer(product("Nice Dress", "Clothing, Shoes & Jewelry", "Girls", "Dresses"))
    assert found is not None and (found.gender, found.child) == ("female", True)


@pytest.mark.parametrize(
    "title", ["Oak Table", "Baby Blue Mug", "X-Men Poster", "Wonder Woman Comic", "Chaise en bois"]
)
def test_nothing_said_of_a_wearer(title: str) -> None:
    assert wearer(product(title)) is None


@pytest.mark.parametrize(
    ("title", "gender"), [("Mayhem Women Sunglasses", "Men"), ("Doodle Kids Girls Top", "Women"), ("Men Shirt", "Boys")]
)
def test_title_against_attribute_is_a_conflict(title: str, gender: str) -> None:
    found = wearer(product(title, gender=gender))
    assert found is not None and found.conflict


def test_facets_of_a_title() -> None:
    found = facets(product("Arrow Men Slim-Fit Striped Navy Blue Cotton V-Neck T-shirt, Half Sleeves", brand="Arrow"))
    assert found == {
        "colour": "navy blue",
        "fit": "slim fit",
        "pattern": "striped",
        "material": "cotton",
        "neck": "v-neck",
        "sleeve": "short sleeves",
    }


def test_attributes_come_before_the_title() -> None:
    assert facets(product("Striped shirt", Pattern="Checked", baseColour="Red")) == {
        "pattern": "checked",
        "colour": "red",
    }


@pytest.mark.parametrize(
    ("title", "stated", "kept"),
    [
        ("Track Black T-shirt", "Blue", None),
        ("Navy T-shirt", "Blue", "blue"),
        ("Red Tape Men Shoes", "Brown", "brown"),
        ("Black Men Shoes", "Brown", None),
        ("Blue and White Shoes", "White", "white"),
        ("Rainbow Red Scarf", "Multi", "multi"),
        ("Red Scarf", "Zinfandel", "zinfandel"),
    ],
)
def test_a_colour_the_title_contradicts_is_dropped(title: str, stated: str, kept: str | None) -> None:
    assert facets(product(title, colour=stated)).get("colour") == kept


def test_exact_descriptors_win_and_contradictory_ones_are_dropped() -> None:
    assert facets(product("Floral printed top"))["pattern"] == "floral"
    assert "pattern" not in facets(product("Striped and checked shirts, set of 2"))
    assert facets(product("Faux leather bag"))["material"] == "faux leather"
    assert "pattern" not in facets(product("Black silk tie"))
    assert "material" not in facets(product("Lace-up shoes"))


def test_type_falls_back_on_the_last_category() -> None:
    assert facets(product("X", "Clothing", "Dresses"))["type"] == "dresses"
    assert "type" not in facets(product("X", "Clothing", "Women"))


def test_facets_without_anything_to_say() -> None:
    assert facets(product("Обеденный стол")) == {}


def test_brands_are_stated_or_guessed() -> None:
    titles = ["Puma Men Shoe", "Puma Women Shoe", "Puma Ferrari Men Shoe", "Red Tape Men Shoe", "RED TAPE Women Shoe"]
    titles += ["Red Tape Boys Shoe", "Gnu Shop", "Puma Shoe with a long name"]
    products = [product(title, id=str(n)) for n, title in enumerate(titles)]
    found = brands([*products, product("Chair", id="c", store="IKEA")])
    assert [found.get(str(n)) for n in range(len(titles))] == ["Puma"] * 3 + ["Red Tape"] * 3 + [None, "Puma"]
    assert found["c"] == "IKEA" and brand(products[0]) is None


def test_names_and_colours() -> None:
    assert [canonical(name) for name in ("baseColour", "Farbe", "Größe", "Heel Height")] == [
        "colour", "colour", "size", "heel_height",
    ]  # fmt: skip
    assert contradicts("black", ["white"]) and not contradicts("charcoal", ["black"])
    assert not contradicts("zinfandel", ["black"])
