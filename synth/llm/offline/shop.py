"""What the shop's staff know by heart: which attributes and values their catalogue has, and how people say them."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeVar

from synth.corpora.attributes import wearer
from synth.corpora.records import Product
from synth.llm.offline.nouns import Noun, noun
from synth.llm.offline.phrases import bare_surfaces, surfaces
from synth.prompts.calls import ProductCard
from synth.prompts.cards import product_kind

_TOKEN = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
SILENT = frozenset({"type", "gender", "age_group", "department", "brand", "size", "outline", "main_colour", "surface"})
"""Facets that are no wish of their own: said with the noun, or not said at all."""
_PRIORITY = ("colour", "pattern", "material", "usage", "season", "fit", "neck", "sleeve", "length", "tone", "accent")
_LONGEST_VALUE = 40


class Mention(NamedTuple):
    """A facet named in a text."""

    attribute: str
    value: str


class Shop:
    """The vocabulary of a catalogue."""

    def __init__(self, products: Iterable[Product], facets: dict[str, dict[str, str]]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        wearers: dict[str, set[tuple[str | None, bool]]] = defaultdict(set)
        self._by_kind: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self._kind_sizes: Counter[str] = Counter()
        self.pictured: dict[str, Product] = {}
        """The product on a picture, by content hash."""
        for product in products:
            self.pictured.update((picture.hash, product) for picture in product.images)
            own = {**product.visual, **facets[product.id]}
            for attribute, value in own.items():
                counts[attribute][value] += 1
            kind = product_kind(product, own)
            self._kind_sizes[kind] += 1
            self._by_kind[kind].update(own.items())
            worn = wearer(product)
            wearers[kind].add((worn.gender, worn.child) if worn else (None, False))
        self.counts = counts
        self._mixed = {kind for kind, who in wearers.items() if len({w for w in who if w != (None, False)}) > 1}
        self._kinds = _table((tokens(form), kind) for kind in sorted(self._kind_sizes) for form in _noun_forms(kind))
        strict: list[tuple[tuple[str, ...], Mention]] = []
        loose: list[tuple[tuple[str, ...], Mention]] = []
        order = sorted(counts, key=lambda a: (_PRIORITY.index(a) if a in _PRIORITY else len(_PRIORITY), a))
        for attribute in order:
            if attribute in SILENT:
                continue
            for value in sorted(counts[attribute]):
                if len(value) > _LONGEST_VALUE:
                    continue
                mention = Mention(attribute, value)
                forms = sorted(surfaces(attribute, value))
                strict += [(tokens(form), mention) for form in forms]
                loose += [(tokens(form), mention) for form in (*forms, *sorted(bare_surfaces(attribute, value)))]
        self._strict, self._loose = _table(strict), _table(loose)
        self.mentions = lru_cache(maxsize=65_536)(self._mentions)
        self.kind_named = lru_cache(maxsize=16_384)(self._kind_named)

    def noun(self, card: ProductCard) -> Noun:
        return noun(card.kind)

    def says_wearer(self, card: ProductCard) -> bool:
        """Whether the wearer has to be said: this kind of thing is sold for different people."""
        return card.kind in self._mixed

    def rarity(self, card: ProductCard, attribute: str) -> float:
        """-log of the share of products of this kind with this product's value: what naming it gives away."""
        kind = card.kind
        value = card_facets(card).get(attribute, "")
        n = self._by_kind[kind].get((attribute, value), 0)
        return -math.log((n + 1) / (self._kind_sizes[kind] + 1))

    def _mentions(self, text: str, loose: bool) -> tuple[Mention, ...]:
        """Facets named in a text, in order, longest match first; `loose` also takes bare values."""
        return tuple(_scan(tokens(text), self._loose if loose else self._strict))

    def _kind_named(self, text: str) -> str | None:
        """The kind of product that a text names; the last one, since the event comes first."""
        found = list(_scan(tokens(text), self._kinds))
        return found[-1] if found else None


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    return tuple(token.replace("’", "'").removesuffix("'s") for token in _TOKEN.findall(text.lower()))


def card_facets(card: ProductCard) -> dict[str, str]:
    """Facets and what the picture shows, in one."""
    return {**card.visual, **card.facets}


def _noun_forms(kind: str) -> set[str]:
    named = noun(kind)
    bare = named.bare.lower()
    return {kind, bare, bare if named.plural else bare + "s"}


T = TypeVar("T")
Table = dict[str, list[tuple[tuple[str, ...], T]]]
"""Surfaces by their first token, the longest first."""


def _table(entries: Iterable[tuple[tuple[str, ...], T]]) -> Table[T]:
    """The first meaning given to a surface stands."""
    table: Table[T] = {}
    seen: set[tuple[str, ...]] = set()
    for surface, meaning in entries:
        if surface and surface not in seen:
            seen.add(surface)
            table.setdefault(surface[0], []).append((surface, meaning))
    for surfaces_ in table.values():
        surfaces_.sort(key=lambda entry: -len(entry[0]))
    return table


def _scan(text: tuple[str, ...], table: Table[T]) -> Iterator[T]:
    position = 0
    while position < len(text):
        for surface, meaning in table.get(text[position], ()):
            if text[position : position + len(surface)] == surface:
                yield meaning
                position += len(surface)
                break
        else:
            position += 1
