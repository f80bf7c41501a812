"""Cells made into values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synth.corpora.values import path, price, references, text, texts


@pytest.mark.parametrize(
    ("cell", "amount", "currency"),
    [
        (None, None, None),
        ("None", None, None),
        ("", None, None),
        (9.5, 9.5, None),
        (float("nan"), None, None),
        (0, None, None),
        ("$12.99", 12.99, "USD"),
        ("from 9.99", 9.99, None),
        ("12,99 €", 12.99, "EUR"),
        ("1.299,00 €", 1299.0, "EUR"),
        ("$1,299.00", 1299.0, "USD"),
        ("1,299", 1299.0, None),
        ("GBP 3.456", 3.46, "GBP"),
        ("9.99 - 19.99", 9.99, None),
        ("1 299,50 zł", 1299.5, "PLN"),
        ("on request", None, None),
    ],
)
def test_price(cell: Any, amount: float | None, currency: str | None) -> None:
    assert price(cell) == (amount, currency)


def test_text() -> None:
    assert text("  Men&#39;s <b>Shoe</b>\n\u200b size &lt; 9 ".replace("\u200b", "")) == "Men's Shoe size < 9"
    assert [text(cell) for cell in (None, "NaN", "N/A", float("nan"), 42.0, True)] == ["", "", "", "", "42", "yes"]
    assert texts('["soft", "light", ""]') == ("soft", "light")
    assert texts(["soft", None]) == ("soft",)


def test_category_paths() -> None:
    assert path("Clothing > Women > Dresses") == ("Clothing", "Women", "Dresses")
    assert path(["Clothing, Shoes & Jewelry", "Women"]) == ("Clothing, Shoes & Jewelry", "Women")
    assert path('["Clothing >> Women\'s Clothing"]') == ("Clothing", "Women's Clothing")
    assert path("Coats/Jackets") == ("Coats/Jackets",)


LIST = [
    {"thumb": "t1", "large": "https://a/l1.jpg", "hi_res": None, "variant": "PT01"},
    {"thumb": "t2", "large": "https://a/l2.jpg", "hi_res": "https://a/h2.jpg", "variant": "MAIN"},
]
COLUMNS = {
    "hi_res": [None, "https://a/h2.jpg"],
    "large": ["https://a/l1.jpg", "https://a/l2.jpg"],
    "thumb": ["t1", "t2"],
    "variant": ["PT01", "MAIN"],
}


@pytest.mark.parametrize("cell", [LIST, COLUMNS, json.dumps(LIST), json.dumps(COLUMNS), repr(LIST)])
def test_both_shapes_of_amazon_images(cell: Any) -> None:
    assert references(cell) == ["https://a/h2.jpg", "https://a/l1.jpg"]


def test_references() -> None:
    assert references("images/a b.jpg") == ["images/a b.jpg"]
    assert references("a.jpg, b.png") == ["a.jpg", "b.png"]
    assert references("https://a/x,1.jpg|https://a/y.jpg, https://a/z.jpg") == [
        "https://a/x,1.jpg", "https://a/y.jpg", "https://a/z.jpg",
    ]  # fmt: skip
    assert references({"bytes": b"\xff", "path": "x.jpg"}) == [b"\xff"]
    assert references(None) == references("nan") == references({}) == references([]) == []
