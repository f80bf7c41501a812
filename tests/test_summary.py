"""The composed summary, which is what the index searches where no model has written one."""

from __future__ import annotations

from synth.corpora.records import Product
from synth.corpora.summary import summary


def test_a_written_summary_stands() -> None:
    assert summary(Product(id="1", title="Tee", descriptions={"summary": "A red tee."})) == "A red tee."


def test_composed_from_record_and_picture() -> None:
    product = Product(
        id="1",
        title="Tee",
        features=("Soft.",),
        categories=("Apparel", "Tops"),
        attributes={"colour": "Red", "gender": "Women", "usage": "Casual"},
        visual={"lightness": "dark"},
        descriptions={"source": "From the shop."},
    )
    text = summary(product)
    assert text.startswith(
        "Tee. red tops for women. usage: casual. In the picture: dark lightness. Soft. From the shop."
    )
    assert ".." not in text


def test_a_bare_title_is_enough() -> None:
    assert summary(Product(id="1", title="Blue Mug")) == "Blue Mug. blue."
