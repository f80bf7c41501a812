"""What a kind of product is called in a sentence: number, pairs, articles, agreement."""

from __future__ import annotations

import random
from functools import cache
from typing import NamedTuple

_PAIRS = frozenset(
    """
    shoes sneakers trainers boots sandals heels flats flops loafers slippers pumps espadrilles brogues oxfords mules
    clogs ballerinas moccasins jeans trousers shorts leggings tights capris pants joggers chinos culottes jeggings
    pyjamas socks stockings gloves mittens sunglasses glasses earrings cufflinks studs goggles trunks dungarees
    briefs boxers bottoms jodhpurs
    """.split()
)
_IRREGULAR = {
    "tshirts": "T-shirt",
    "t-shirts": "T-shirt",
    "tees": "tee",
    "ties": "tie",
    "bow ties": "bow tie",
    "hoodies": "hoodie",
    "beanies": "beanie",
    "scarves": "scarf",
    "dresses": "dress",
    "watches": "watch",
    "clutches": "clutch",
    "necklace and chains": "necklace",
    "bra": "bra",
    "innerwear": "undergarment",
    "jewellery": "piece of jewellery",
    "jewellery set": "jewellery set",
    "lounge shorts": "lounge shorts",
    "rain trousers": "rain trousers",
}
_VOWELS = "aeio"


class Noun(NamedTuple):
    """A product noun and the words that agree with it."""

    bare: str
    """`dress`, `sneakers`."""
    plural: bool

    def phrase(self, before: str = "") -> str:
        """With article: `a dress`, `a pair of sneakers`; `before` is put in front of the noun."""
        words = f"{before} {self.bare}".strip()
        return f"a pair of {words}" if self.plural else with_article(words)

    def wanted(self, possessive: str, plain: str, rng: random.Random) -> str:
        """As a shopper asks for one: `some men's sneakers`, `a decent pair of sneakers for men`, `a new dress`.

        Args:
            possessive: for whom, as in `men's`; empty where it goes without saying.
            plain: the same as in `for men`.
        """
        quality = rng.choice(("", "", "", "new", "good", "decent", "nice"))
        if possessive and rng.random() < 0.3:
            noun, after = self.bare, f" for {plain}"
        else:
            noun, after = f"{possessive} {self.bare}".strip(), ""
        if not self.plural:
            return with_article(f"{quality} {noun}".strip()) + after
        if rng.random() < 0.5:
            return f"{with_article(f'{quality} pair'.strip())} of {noun}{after}"
        return " ".join(f"some {quality} {noun}".split()) + after

    def agreement(self) -> dict[str, str]:
        """The grammar's agreement slots."""
        return _PLURAL if self.plural else _SINGULAR


def with_article(words: str) -> str:
    return f"{'an' if words[0].lower() in _VOWELS else 'a'} {words}"


_SINGULAR = dict(
    zip(
        "it them this that is was has looks does goes suits feels one s".split(),
        "it it this that is was has looks does goes suits feels one s".split(),
        strict=True,
    )
)
_PLURAL = {
    **dict(
        zip(
            "it them this that is was has looks does goes suits feels one".split(),
            "they them these those are were have look do go suit feel pair".split(),
            strict=True,
        )
    ),
    "s": "",
}


@cache
def noun(kind: str) -> Noun:
    """The noun for a product type or category name, in any case and number."""
    name = " ".join(kind.lower().replace("_", " ").split())
    if not name:
        return Noun("piece", False)
    last = name.rpartition(" ")[2]
    if last in _PAIRS:
        return Noun(_spelling(name), True)
    if name in _IRREGULAR:
        return Noun(_IRREGULAR[name], False)
    return Noun(_spelling(_singular(name)), False)


def _singular(name: str) -> str:
    head, _, last = name.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif last.endswith(("ches", "shes", "sses", "xes")):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")):
        last = last[:-1]
    return f"{head} {last}".strip()


def _spelling(name: str) -> str:
    return name.replace("tshirt", "T-shirt").replace("t-shirt", "T-shirt")
