"""Products as prompts show them, made once each."""

from __future__ import annotations

from synth.corpora.attributes import facets, wearer
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Product
from synth.corpora.summary import summary
from synth.prompts.calls import ProductCard


def product_card(product: Product) -> ProductCard:
    price = f"{product.price:.2f} {product.currency or ''}".strip() if product.price is not None else ""
    return ProductCard(
        id=product.id,
        title=product.title,
        attributes=product.attributes,
        facets=facets(product),
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
