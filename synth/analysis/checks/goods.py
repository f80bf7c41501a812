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
        """All that the record says, by name: attributes and facets (canonical names), and what the picture shows."""
        found = self._values.get(product_id)
        if found is None:
            product = self.get(product_id)
            named: dict[str, set[str]] = {}
            if product:
                stated = [(canonical(name), value) for name, value in product.attributes.items()]
                for name, value in (*stated, *facets(product).items(), *product.visual.items()):
                    named.setdefault(name, set()).add(value.strip().lower())
            found = self._values[product_id] = {name: frozenset(values) for name, values in named.items()}
        return found

    def has(self, product_id: str, requirement: Requirement) -> bool:
        """Whether the record bears a requirement out. One that rests on no attribute is borne out by any product."""
        value = requirement.value
        if requirement.attribute is None and value is None:
            return True
        values = self._asked(product_id, requirement)
        if values:
            return value is None or any(agree(value, have) for have in values)
        # A model may rest a requirement on the product's text instead of on one of its attributes.
        product = self.get(product_id)
        if product is None or value is None:
            return False
        texts = (product.title, *product.categories, *product.features, *product.descriptions.values())
        return any(_within(words(value), words(text)) for text in texts)

    def meets(self, product_id: str, requirement: Requirement) -> bool:
        """Whether an attribute says that the product has what is required."""
        value = requirement.value
        return bool(value) and any(agree(value or "", have) for have in self._asked(product_id, requirement))

    def contradicts(self, product_id: str, requirement: Requirement) -> bool:
        """Whether an attribute says that the product has something else than what is required."""
        name, value = canonical(requirement.attribute or ""), requirement.value
        have = self._asked(product_id, requirement)
        if name in _WHO or not value or not have or self.meets(product_id, requirement):
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

    def _asked(self, product_id: str, requirement: Requirement) -> frozenset[str]:
        """The product's values of the attribute that a requirement rests on."""
        if requirement.attribute is None:
            return frozenset()
        name = requirement.attribute.strip().removeprefix(_SEEN)
        values = self.values(product_id)
        return values.get(name) or values.get(canonical(name)) or frozenset()


def agree(one: str, other: str) -> bool:
    """Whether two values are the same, or one says more exactly what the other says (`navy` and `navy blue`)."""
    a, b = words(one), words(other)
    if not a or not b:
        return one.strip().lower() == other.strip().lower()
    return _within(a, b) or _within(b, a)


def _within(part: list[str], whole: list[str]) -> bool:
    """Whether the words stand in the text, in a row."""
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(whole)} "
