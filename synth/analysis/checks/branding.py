"""Brands in the mouths of users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from synth.analysis.checks.case import Case, Finding
from synth.analysis.checks.goods import Goods
from synth.corpora.lexicon import COLOURS, DESCRIPTORS, WEARERS

BRAND = "user turns with a brand"
CHECKS = (BRAND,)

_PLAIN_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?!\w)")


class Branding:
    """Collects user turns that name a brand, and decides at the end which of these names are ordinary words.

    A brand of one word (`Status`, `Basics`) is an ordinary word if people who speak of other brands' products use it
    in lower case, or texts of other brands' products do. Longer brands never are.
    """

    def __init__(self, goods: Goods) -> None:
        self._goods = goods
        self._names = {brand.lower() for brand in goods.brands.values() if " " not in brand}
        self._ordinary = {name for name in self._names if name in COLOURS or name in DESCRIPTORS or name in WEARERS}
        self._pending: list[tuple[str, Finding]] = []

    def see(self, case: Case) -> None:
        conversation = case.conversation
        about = [conversation.target_id]
        own = {self._goods.brands.get(i, "") for i in (conversation.target_id, conversation.outfit_id or "")}
        own |= {self._goods.brands.get(i, "") for turn in conversation.turns for i in turn.products}
        for words in case.turns:
            about += words.turn.products
            if words.turn.speaker != "user":
                continue
            named = {self._goods.brands[i] for i in about if i in self._goods.brands}
            for brand in sorted(named):
                if brand in words.text and _whole(brand).search(words.text):
                    self._pending.append((brand, case.found(BRAND, words.turn.index, repr(brand))))
            self._learn(words.text, own)
        self._learn(case.scenario, own)
        self._learn(conversation.profile.backstory, own)

    def findings(self) -> Iterator[Finding]:
        suspects = {brand.lower() for brand, _ in self._pending} & self._names - self._ordinary
        if suspects:
            self._read_catalogue(suspects)
        return (finding for brand, finding in self._pending if brand.lower() not in self._ordinary)

    def _learn(self, text: str, own: set[str]) -> None:
        """Words in lower case that are names of brands, but not of those this text could be about."""
        for word in self._names.intersection(_PLAIN_WORD.findall(text)):
            if not any(word in brand.lower() for brand in own):
                self._ordinary.add(word)

    def _read_catalogue(self, suspects: set[str]) -> None:
        for product in self._goods.products:
            own = {self._goods.brands.get(product.id, "")}
            for text in (*product.features, product.descriptions.get("source", "")):
                if any(name in text for name in suspects):
                    self._learn(text, own)


@lru_cache(maxsize=4096)
def _whole(brand: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(brand)}(?!\w)")
