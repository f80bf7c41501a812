"""Pictures and what is known of them: what a tower that knows nothing is warmed up on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.corpora.attributes import facets, wearer
from synth.corpora.catalogue import Catalogue
from synth.corpora.looks import look
from synth.corpora.records import Product
from synth.randomness import rng
from synth.recommender.crops import open_image
from synth.recommender.items import Item

ATTRIBUTES = ("colour", "type", "gender")
"""What the tower is asked for, where the items have it."""


@dataclass(frozen=True)
class Labelled:
    """A picture and what is known of it."""

    id: str
    image: Path
    title: str
    attributes: Mapping[str, str]
    """Any of `ATTRIBUTES`; one that is not known is absent."""
    caption: str
    """A sentence to learn to write; empty for none."""


def labelled(catalogue: Catalogue) -> list[Labelled]:
    """Every product of a catalogue that has a picture, with its attributes in lower case and a caption made of them."""
    return [
        Labelled(p.id, catalogue.image_path(p.images[0]), p.title, known, caption(known))
        for p in catalogue
        if p.images and (known := _known(p))
    ]


def _known(product: Product) -> dict[str, str]:
    known = facets(product)
    worn = wearer(product)
    if worn is not None:
        known["gender"] = {("female", False): "women", ("male", False): "men", ("female", True): "girls"}.get(
            (worn.gender or "", worn.child), "boys" if worn.gender else "everyone"
        )
    return known


def caption(attributes: Mapping[str, str]) -> str:
    """One sentence of what the attributes say, the colour first."""
    first = [attributes[name] for name in ("colour", "pattern", "usage") if name in attributes]
    words = " ".join([*first, attributes.get("type", "product")])
    wearer = f" for {attributes['gender']}" if "gender" in attributes else ""
    season = f", for {attributes['season']}" if "season" in attributes else ""
    return f"The picture shows a {words}{wearer}{season}."


def of_items(items: Iterable[Item]) -> list[Labelled]:
    """The same of items whose attributes nobody has written down: from the title, and the colour from the picture.

    The caption is the item's description where it has one.
    """
    found = []
    for item in items:
        if item.images:
            known = _known(Product(id=item.id, title=item.title or item.id))
            seen = look(open_image(item.images[0])) if "colour" not in known else {}
            if "main_colour" in seen:
                known["colour"] = seen["main_colour"]
            written = item.descriptions.get(item.images[0].name, "")
            found.append(Labelled(item.id, item.images[0], item.title, known, written or caption(known)))
    return found


def held_out(items: Sequence[Labelled], share: float, seed: int = 0) -> tuple[list[Labelled], list[Labelled]]:
    """(train, valid): a fixed share is held out, the same items whatever their order."""
    order = sorted(items, key=lambda item: item.id)
    rng(seed, "warm-up").shuffle(order)
    count = round(len(order) * share)
    return order[count:], order[:count]
