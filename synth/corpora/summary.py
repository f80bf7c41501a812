"""The summary under which a product is found, composed from its record where no model has written one (MUSE A.1)."""

from __future__ import annotations

from synth.corpora.attributes import facets, wearer
from synth.corpora.records import Product

_FIRST = ("colour", "pattern", "material", "fit", "type")
_UNSAID = frozenset({"gender", "age_group", "department", "brand"})
_WEARERS = {("female", False): "women", ("male", False): "men", ("female", True): "girls", ("male", True): "boys"}


def summary(product: Product) -> str:
    """A written summary if there is one, else one composed from attributes, text and what the picture shows."""
    return product.descriptions.get("summary") or compose(product)


def compose(product: Product) -> str:
    """Plain sentences; nothing in them that the record or the picture does not say."""
    own = facets(product)
    worn = wearer(product)
    kind = " ".join(own[name] for name in _FIRST if name in own) or " ".join(product.categories[-1:])
    if worn and (worn.gender or worn.child):
        kind += f" for {_WEARERS.get((worn.gender or '', worn.child), 'children')}"
    parts = [product.title, kind.strip()]
    parts += [f"{name.replace('_', ' ')}: {value}" for name, value in own.items() if name not in (*_FIRST, *_UNSAID)]
    if product.visual:
        parts.append("In the picture: " + ", ".join(f"{value} {name}" for name, value in product.visual.items()))
    parts += [feature.rstrip(". ") for feature in product.features]
    parts += [text.rstrip(". ") for name, text in product.descriptions.items() if name == "source"]
    if product.categories:
        parts.append(" > ".join(product.categories))
    return ". ".join(part for part in parts if part) + "."
