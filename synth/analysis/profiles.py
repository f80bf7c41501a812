"""`synth check FILE`: contradictions in the profiles of a data set that is no run, such as the 20 that MUSE released.

Such a profile has no recipient on record, so whom the product is for can only be guessed from the story. That a person
and a product are of opposite gender is counted, therefore, and of these apart those whose story has nobody else in it,
neither relative nor gift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from synth.analysis.checks.case import Finding
from synth.analysis.checks.profiles import MINOR, NAMED
from synth.corpora.attributes import brand, wearer, words
from synth.corpora.naming import names_product
from synth.corpora.readers import Buyer, Data
from synth.corpora.records import Product
from synth.errors import SynthError

OPPOSITE = "persons of a gender opposite to the product's"
ALONE = "of these, with nobody else in their story"
CHILDS = "things for children with no child in the story"
UNKNOWN = "products without a record"
CHECKS = (OPPOSITE, ALONE, CHILDS, MINOR, NAMED, UNKNOWN)
"""In the order of printing."""

_ADULT = 18
_CHILDREN = frozenset(
    "son daughter child children kid baby toddler niece nephew grandson granddaughter grandchild grandchildren "
    "godchild goddaughter godson boy girl".split()
)
_OTHERS = _CHILDREN | frozenset(
    "gift present family husband wife partner spouse boyfriend girlfriend fiance fiancee mother mum mom mam mama mummy "
    "father dad papa daddy parent brother sister sibling grandmother grandma granny nan grandfather grandpa granddad "
    "grandparent aunt uncle cousin twin".split()
)


@dataclass
class Report:
    """What was read, and what was found in it."""

    profiles: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    examples: dict[str, list[Finding]] = field(default_factory=lambda: {name: [] for name in CHECKS})
    """The first findings of each check."""

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())


def check_profiles(data: Data, *, show: int = 3) -> Report:
    """Counts contradictions in the profiles of a data set.

    Args:
        show: examples to keep of each check.

    Raises:
        SynthError: it cannot be read, or says nothing of who buys.
    """
    report = Report()
    for dialogue in data.dialogues():
        if dialogue.buyer is None:
            continue
        report.profiles += 1
        product = data.product(dialogue.target) if dialogue.target is not None else None
        for check, what in _contradictions(dialogue.buyer, product):
            report.counts[check] += 1
            if len(report.examples[check]) < show:
                report.examples[check].append(Finding(check, dialogue.id, None, what))
    if not report.profiles:
        raise SynthError(f"{data.path} has no profile in it.", "Its form has none, or nobody is described in it.")
    return report


def _contradictions(buyer: Buyer, product: Product | None) -> Iterator[tuple[str, str]]:
    """(check, what is the matter)"""
    who = f"{buyer.name}, {buyer.gender or 'no gender'}, {'no age' if buyer.age is None else buyer.age}"
    if buyer.age is not None and buyer.age < _ADULT:
        yield MINOR, who
    if product is None:
        yield UNKNOWN, who
        return
    worn, said = wearer(product), _forms(buyer.backstory)
    if worn and worn.gender and buyer.gender and worn.gender != buyer.gender:
        yield OPPOSITE, f"{who}: {product.title}"
        if not said & _OTHERS:
            yield ALONE, f"{who}: {product.title}"
    if worn and worn.child and not said & _CHILDREN:
        yield CHILDS, f"{who}: {product.title}"
    named = names_product(buyer.backstory, product.title, brand(product))
    if named:
        yield NAMED, f"{who}: {named}"


def _forms(text: str) -> set[str]:
    """The words of a text, with and without an `s` at their end."""
    return {form for word in words(text) for form in (word, word.removesuffix("s"))}
