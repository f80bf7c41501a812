"""Products and pictures as a page shows them."""

from __future__ import annotations

from typing import NamedTuple

from synth.corpora.records import Product
from synth.view.run import ViewedRun

_ATTRIBUTES = 6
_SECOND = frozenset({"type", "brand"})
"""Attributes that the title or the category mostly says already."""


class Thumb(NamedTuple):
    """A picture by content hash, there or not."""

    hash: str
    there: bool


class Card(NamedTuple):
    """A product for sale, or what is known of one whose record is gone."""

    id: str
    title: str
    price: str
    category: str
    attributes: tuple[tuple[str, str], ...]
    picture: Thumb | None
    """None for a product that never had one."""


class Shelf:
    """Cards of one run's products, each made once a page."""

    def __init__(self, run: ViewedRun) -> None:
        self._reader = run.reader
        self._cards: dict[str, Card] = {}

    def card(self, product_id: str) -> Card:
        if product_id not in self._cards:
            self._cards[product_id] = self._made(product_id, self._reader.product(product_id))
        return self._cards[product_id]

    def thumb(self, hash_: str) -> Thumb:
        return Thumb(hash_, self._reader.picture(hash_) is not None)

    def _made(self, product_id: str, product: Product | None) -> Card:
        if product is None:
            return Card(product_id, "not in the run's catalogue", "", "", (), None)
        attributes = [item for item in product.attributes.items() if item[0] not in _SECOND and item[1]]
        return Card(
            id=product.id,
            title=product.title,
            price=price(product),
            category=" › ".join(product.categories),
            attributes=tuple(attributes[:_ATTRIBUTES]),
            picture=self.thumb(product.images[0].hash) if product.images else None,
        )


def price(product: Product) -> str:
    """With its currency; empty where the record has none."""
    return "" if product.price is None else f"{product.price:,.2f} {product.currency or ''}".strip()
