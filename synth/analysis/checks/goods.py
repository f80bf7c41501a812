"""What the checks must know of the catalogue's products, worked out once each."""

from __future__ import annotations

from synth.corpora.attributes import brands, canonical, contradicts, facets, wearer, words
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Product, Requirement
from synth.prompts.cards import product_card
from synth.prompts.templates import card_text

_WHO = frozenset({"gender", "age_group", "department"})
"""Attributes that name a wearer: `unisex` and `women` differ and do not contradict, so persons are checked instead."""
_SEEN = "seen in the picture, "
"""How prompts introduce what a picture shows; a model may take it for part of the attribute's name."""


class Goods:
    """The products of a run's catalogue. Ids that it does not have are known of by no method but `get`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.products = list(catalogue)
        self.brands = brands(catalogue)
        self._catalogue = catalogue
        self._values: dict[str, dict[str, frozenset[str]]] = {}
        self._blocks: dict[str, str] = {}

    def get(self, product_id: str | None) -> Product | None:
        return self._catalogue[product_id] if product_id is not None and product_id in self._catalogue else None

    def title(self, product_id: str) -> str:
        product = self.get(product_id)
        return product.title if product else ""

    def block(self, product_id: str) -> str:
        """The product as prompts show it, fenced; empty for an unknown id."""
        text = self._blocks.get(product_id)
        if text is None:
            product = self.get(product_id)
            text = self._blocks[product_id] = card_text(product_card(product)) if product else ""
        return text

    def values(self, product_id: str) -> dict[str, frozenset[str]]:
        """All that the record says, by canonical attribute name: attributes, facets, and what the picture shows."""
        found = self._values.get(product_id)
        if found is None:
            product = self.get(product_id)
            named: dict[str, set[str]] = {}
            if product:
                for source in (product.attributes, facets(product), product.visual):
                    for name, value in source.items():
                        named.setdefault(canonical(name), set()).add(value.strip().lower())
            found = self._values[product_id] = {name: frozenset(values) for name, values in named.items()}
        return found

    def has(self, product_id: str, requirement: Requirement) -> bool:
        """Whether the record bears a requirement out. One that rests on no attribute is borne out by any product."""
        name, value = _attribute(requirement), requirement.value
        if name is None and value is None:
            return True
        values = self.values(product_id)
        if name in values:
            return value is None or any(agree(value, have) for have in values[name])
        # A model may rest a requirement on the product's text instead of on one of its attributes.
        product = self.get(product_id)
        if product is None or value is None:
            return False
        texts = (product.title, *product.categories, *product.features, *product.descriptions.values())
        return any(_within(words(value), words(text)) for text in texts)

    def meets(self, product_id: str, requirement: Requirement) -> bool:
        """Whether an attribute says that the product has what is required."""
        name, value = _attribute(requirement), requirement.value
        return bool(name and value) and any(
            agree(value or "", have) for have in self.values(product_id).get(name or "", ())
        )

    def contradicts(self, product_id: str, requirement: Requirement) -> bool:
        """Whether an attribute says that the product has something else than what is required."""
        name, value = _attribute(requirement), requirement.value
        have = self.values(product_id).get(name or "")
        if not name or name in _WHO or not value or not have or self.meets(product_id, requirement):
            return False
        return contradicts(value.strip().lower(), have) if name == "colour" else True

    def misfit(self, product_id: str, gender: str | None, child: bool) -> str | None:
        """Why somebody would not wear the product, as far as its record says for whom it is."""
        product = self.get(product_id)
        worn = wearer(product) if product else None
        if worn is None:
            return None
        if worn.child != child and (worn.gender or worn.child):
            return f"the product is for {'children' if worn.child else 'adults'}"
        if worn.gender and gender and worn.gender != gender:
            return f"the product is for {'women or girls' if worn.gender == 'female' else 'men or boys'}"
        return None


def agree(one: str, other: str) -> bool:
    """Whether two values are the same, or one says more exactly what the other says (`navy` and `navy blue`)."""
    a, b = words(one), words(other)
    if not a or not b:
        return one.strip().lower() == other.strip().lower()
    return _within(a, b) or _within(b, a)


def _attribute(requirement: Requirement) -> str | None:
    name = requirement.attribute
    return canonical(name.lower().removeprefix(_SEEN) if name.lower().startswith(_SEEN) else name) if name else None


def _within(part: list[str], whole: list[str]) -> bool:
    """Whether the words stand in the text, in a row."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(whole)} "
