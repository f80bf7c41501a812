"""Kinds of products: which ones are bought and shown (MUSE, Fig. 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from synth.corpora.attributes import facets
from synth.corpora.readers import Dialogue
from synth.corpora.records import Product
from synth.prompts.cards import product_kind

UNKNOWN = "unknown"


class Kinds:
    """A product's kind by its id, worked out once each: its type, its last category, or the head of its title."""

    def __init__(self, product: Callable[[str], Product | None]) -> None:
        self._product = product
        self._kinds: dict[str, str] = {}

    def __getitem__(self, product_id: str) -> str:
        """`unknown` for a product without a record."""
        kind = self._kinds.get(product_id)
        if kind is None:
            product = self._product(product_id)
            if product is None:
                return UNKNOWN  # a later row may bring its record
            kind = self._kinds[product_id] = product_kind(product, facets(product))
        return kind


@dataclass(slots=True)
class Types:
    """Products by kind."""

    targets: Counter[str] = field(default_factory=Counter)
    """Conversations and profiles by the kind of their target."""
    recommended: Counter[str] = field(default_factory=Counter)
    """Recommendations by the kind of what was recommended: each product once a conversation."""

    def add(self, dialogue: Dialogue, kinds: Kinds) -> None:
        if dialogue.target is not None:
            self.targets[kinds[dialogue.target]] += 1
        shown = {item for turn in dialogue.turns if turn.speaker == "assistant" for item in turn.items}
        self.recommended.update(kinds[item] for item in sorted(shown))

    def to_json(self) -> dict[str, Any]:
        return {"targets": dict(self.targets.most_common()), "recommended": dict(self.recommended.most_common())}
