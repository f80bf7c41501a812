"""Products as prompts show them, made once each."""

from __future__ import annotations

import re

from synth.corpora.attributes import facets, wearer
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Product
from synth.corpora.summary import summary
from synth.prompts.calls import ProductCard

_TITLE_END = re.compile(r"[,(|/\[–]| - |\d")
_WORD = re.compile(r"[^\W\d_]+")


def product_kind(product: Product, own: dict[str, str]) -> str:
    """What kind of thing a product is: its type, its last category, or the head of its title; lower case.

    Args:
        own: its facets.
    """
    if own.get("type"):
        return own["type"]
    if product.categories:
        return product.categories[-1].lower()
    words = _WORD.findall(_TITLE_END.split(product.title, maxsplit=1)[0].lower())
    return words[-1] if words else "item"


def product_card(product: Product) -> ProductCard:
    own = facets(product)
    price = f"{product.price:.2f} {product.currency or ''}".strip() if product.price is not None else ""
    return ProductCard(
        id=product.id,
        title=product.title,
        kind=product_kind(product, own),
        attributes=product.attributes,
        facets=own,
        visual=product.visual,
        wearer=wearer(product),
        features=product.features,
        categories=product.categories,
        summary=summary(product),
        price=price,
        image=product.images[0].hash if product.images else None,
        product=product,
    )


class Cards:
    """The cards of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._cards: dict[str, ProductCard] = {}

    def __getitem__(self, product_id: str) -> ProductCard:
        card = self._cards.get(product_id)
        if card is None:
            card = self._cards[product_id] = product_card(self._catalogue[product_id])
        return card
