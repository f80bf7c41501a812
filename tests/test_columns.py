"""The column map."""

from __future__ import annotations

from typing import Any

import pytest

from synth.corpora.columns import ColumnMap, guess, language
from synth.errors import SynthError


def of(*rows: dict[str, Any], **given: str) -> ColumnMap:
    return guess(list(dict.fromkeys(name for row in rows for name in row)), rows, given)


FASHION = {
    "id": "1529", "productDisplayName": "Ferrari Tee", "gender": "Men", "masterCategory": "Apparel",
    "subCategory": "Topwear", "articleType": "Tshirts", "baseColour": "Red", "season": "Fall", "usage": "Casual",
    "image": "images/1529.jpg",
}  # fmt: skip


def test_fashion() -> None:
    found = of(FASHION)
    assert found.fields == {
        "id": ("id",),
        "title": ("productDisplayName",),
        "categories": ("masterCategory", "subCategory", "articleType"),
        "images": ("image",),
    }
    assert found.attributes == {
        "gender": "gender", "type": "articleType", "colour": "baseColour", "season": "season", "usage": "usage",
    }  # fmt: skip
    assert found.by_column()["articleType"] == "categories, type"
    assert not found.ignored


def test_amazon() -> None:
    found = of(
        {
            "main_category": "AMAZON FASHION", "title": "Dress", "average_rating": 4.1, "rating_number": 12,
            "features": ["soft"], "description": ["Nice."], "price": None, "videos": [], "store": "Gnu",
            "images": [{"large": "https://a/b.jpg"}], "categories": ["Clothing", "Women"], "parent_asin": "B01",
            "details": {"Department": "womens"}, "bought_together": None,
        },
        {"price": "$3"},
    )  # fmt: skip
    assert found.fields == {
        "id": ("parent_asin",), "title": ("title",), "description": ("description",), "features": ("features",),
        "categories": ("main_category", "categories"), "price": ("price",), "images": ("images",),
        "details": ("details",),
    }  # fmt: skip
    assert found.attributes == {"brand": "store"}


def test_german_and_french() -> None:
    found = of(
        {"Artikelnummer": "7", "Bezeichnung": "Stuhl", "Farbe": "rot", "Marke": "X", "Preis": "3 €", "Bild": "7.png"}
    )
    assert found.by_column() == {
        "Artikelnummer": "id", "Bezeichnung": "title", "Preis": "price", "Bild": "images", "Farbe": "colour",
        "Marke": "brand",
    }  # fmt: skip
    found = of({"Référence": "7", "Titre": "Chaise", "Couleur": "rouge", "Prix": "3", "Matière": "bois"})
    assert found.attributes == {"colour": "Couleur", "material": "Matière"} and found.column("id") == "Référence"


def test_other_columns_by_their_contents() -> None:
    rows = [
        {
            "title": f"Lamp {n}", "heelHeight": "high", "about us": "word " * 40, "page": f"https://shop/{n}",
            "hash": f"{n:x}ffe{n}", "nothing": "", "rating": 4.2,
        }
        for n in range(40)
    ]  # fmt: skip
    found = of(*rows)
    assert found.attributes == {"heel_height": "heelHeight"}
    assert found.fields["description"] == ("about us",)
    assert found.ignored == {
        "page": "web addresses", "hash": "differs in nearly every row", "nothing": "empty",
        "rating": "not what a shopper asks for",
    }  # fmt: skip


def test_given_columns_win() -> None:
    found = of({"Name": "a", "Titel": "b", "Foto": "a.jpg", "X": "c"}, title="Name", shape="X", images="")
    assert found.fields == {"title": ("Name",)} and found.attributes["shape"] == "X"
    found = of(FASHION, categories="masterCategory>articleType", type="subcategory")
    assert found.fields["categories"] == ("masterCategory", "articleType") and found.attributes["type"] == "subCategory"


def test_the_map_can_be_given_again() -> None:
    found = of(FASHION)
    assert of(FASHION, **dict(entry.split("=", 1) for entry in found.given())) == found


def test_wrong_maps() -> None:
    with pytest.raises(SynthError, match="There is no column 'Name' for title; the columns are id, .*articleType"):
        of(FASHION, title="Name")
    with pytest.raises(SynthError, match="No column looks like the product's title; the columns are a, b"):
        of({"a": "1", "b": "2"})
    with pytest.raises(SynthError, match="can only be one column"):
        of(FASHION, title="productDisplayName>season")


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["Puma Women's shoe with a strap"], "en"),
        (["Stuhl aus Holz für die Küche", "Tisch mit Lampe"], "de"),
        (["Robe pour femme avec des fleurs"], "fr"),
        (["Silla para el comedor con cojín"], "es"),
        (["XZ-300"], "en"),
    ],
)
def test_language(texts: list[str], code: str) -> None:
    assert language(texts) == code
