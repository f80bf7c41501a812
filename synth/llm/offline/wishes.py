"""What a customer wants, understood from the words of the conversation alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from synth.corpora.records import Gender
from synth.llm.offline.nouns import noun
from synth.llm.offline.shop import Shop, card_facets, tokens
from synth.prompts.calls import Line, ProductCard

RELATIONS: dict[str, tuple[Gender | None, bool]] = {
    **dict.fromkeys(
        """
    sister mother mum aunt grandmother wife girlfriend mother-in-law sister-in-law
    """.split(),
        ("female", False),
    ),
    **dict.fromkeys(
        "brother father dad uncle grandfather husband boyfriend father-in-law brother-in-law".split(), ("male", False)
    ),
    **dict.fromkeys(["daughter", "niece", "granddaughter", "goddaughter", "stepdaughter"], ("female", True)),
    **dict.fromkeys(["son", "nephew", "grandson", "godson", "stepson"], ("male", True)),
    **dict.fromkeys("friend colleague cousin neighbour partner flatmate teacher mentor boss".split(), (None, False)),
}
_WEARER_WORDS: dict[str, tuple[Gender | None, bool]] = {
    **dict.fromkeys(("women", "women's", "womens", "ladies"), ("female", False)),
    **dict.fromkeys(("men", "men's", "mens", "gents"), ("male", False)),
    **dict.fromkeys(("girls", "girls'", "girl"), ("female", True)),
    **dict.fromkeys(("boys", "boys'", "boy"), ("male", True)),
    **dict.fromkeys(("kids", "kids'", "children", "children's", "child"), (None, True)),
}
_EVENT_HEADS = frozenset(
    """
    wedding trip weekend dinner lunch brunch breakfast holiday interview festival concert party picnic hike walk
    class course exam graduation reunion anniversary birthday christening funeral ceremony ball gala premiere show
    exhibition match race marathon tournament training camp retreat cruise flight journey tour visit move job start
    week month term semester conference meeting presentation fair market barbecue celebration engagement date
    evening night afternoon morning day summer winter season opening launch play opera recital lesson workshop
    commute shift garden kitchen flat house allotment parade carnival feast supper tea wake swim ride climb game
    final regatta
    """.split()
)
_DETERMINERS = frozenset("a an the my our his her their some this that".split())


@dataclass
class Wishes:
    """The state of the conversation from the shop's side."""

    kind: str | None = None
    wearer: tuple[Gender | None, bool] | None = None
    stated: dict[str, str] = field(default_factory=dict)
    """Wanted value by attribute, the latest wish last."""
    denied: dict[str, set[str]] = field(default_factory=dict)
    """Values turned down, by attribute."""
    latest: list[tuple[str, str]] = field(default_factory=list)
    """New wishes of the user's last message with any."""
    event: str | None = None
    outfit: str | None = None
    """What the user's photo shows, as a noun phrase."""


def understand(lines: tuple[Line, ...], shop: Shop) -> Wishes:
    """Reads the user's messages. A value that the product just shown has is what is being turned down."""
    wishes = Wishes()
    shown: ProductCard | None = None
    for line in lines:
        if line.speaker == "assistant":
            shown = line.shown or shown
            continue
        text = line.text
        if line.act == "need":
            if line.outfit:
                wishes.outfit = outfit_phrase(line.outfit)
                text = text.replace(wishes.outfit, " ")
            wishes.kind = shop.kind_named(text)
            wishes.wearer = wearer_named(text)
            wishes.event = event_named(text)
        if line.act in ("need", "answer"):
            _take(wishes, shop.mentions(text, False), {})
        elif line.act == "reject":
            _take(wishes, shop.mentions(text, True), card_facets(shown) if shown else {})
    return wishes


def _take(wishes: Wishes, mentions: tuple[tuple[str, str], ...], shown: dict[str, str]) -> None:
    latest = []
    for attribute, value in mentions:
        if shown.get(attribute) == value:
            wishes.denied.setdefault(attribute, set()).add(value)
            continue
        wishes.stated.pop(attribute, None)
        wishes.stated[attribute] = value
        latest.append((attribute, value))
    if latest:
        wishes.latest = latest


def meets(card: ProductCard, attribute: str, value: str) -> bool | None:
    """Whether a product has what is wished for; None where its record and picture do not say."""
    have = card.facets.get(attribute) or card.visual.get(attribute)
    return None if have is None else have == value


def suits_wearer(card: ProductCard, wanted: tuple[Gender | None, bool] | None) -> bool:
    """Whether a product is for whom it is wanted, as far as both are known."""
    worn = card.wearer
    if wanted is None or worn is None:
        return True
    gender, child = wanted
    if worn.child != child and (worn.gender is not None or worn.child):
        return False
    return worn.gender is None or gender is None or worn.gender == gender


def score(card: ProductCard, wishes: Wishes, shop: Shop) -> float:
    """How well a product meets the wishes: overlap of attributes, later wishes a little heavier."""
    total = 0.0
    if wishes.kind and card.kind != wishes.kind:
        total -= 6
    if not suits_wearer(card, wishes.wearer):
        total -= 6
    for n, (attribute, value) in enumerate(wishes.stated.items()):
        met = meets(card, attribute, value)
        weight = 1 + 0.05 * n
        total += weight if met else (-1.5 * weight if met is False else 0.0)
    have = card_facets(card)
    total -= sum(1.0 for attribute, values in wishes.denied.items() if have.get(attribute) in values)
    return total


def outfit_phrase(card: ProductCard) -> str:
    """What a photo of an item shows: `navy blazer`."""
    named = noun(card.facets.get("type") or (card.categories[-1] if card.categories else "piece"))
    return f"{card.facets.get('colour', '')} {named.bare}".strip()


def wearer_named(text: str) -> tuple[Gender | None, bool] | None:
    """Whom a message says the product is for."""
    found: tuple[Gender | None, bool] | None = None
    for token in re.findall(r"[a-z]+(?:-in-law)?'?s?", text.lower().replace("’", "'")):
        if token in _WEARER_WORDS:
            return _WEARER_WORDS[token]
        if token in RELATIONS and found is None:
            found = RELATIONS[token]
    return found


def event_named(text: str) -> str | None:
    """The occasion in a message, as the assistant would take it up: `your cousin's outdoor wedding`."""
    first = re.split(r"[.!?;:,]", text)
    for part in first[:3]:
        words = part.split()
        for end, word in enumerate(words):
            if word.lower().strip("'’") not in _EVENT_HEADS:
                continue
            for start in range(end - 1, max(end - 6, -1), -1):
                if words[start].lower() in _DETERMINERS:
                    if end - start < 2:
                        break
                    phrase = " ".join(words[start + 1 : end + 1])
                    return f"the {phrase}" if words[start].lower() in ("the", "this", "that") else f"your {phrase}"
    return None


def question_about(text: str) -> str | None:
    """Which attribute the assistant's question is about."""
    named = set(tokens(text))
    for attribute, words in (
        ("colour", ("colour", "colours", "shade", "shades")),
        ("pattern", ("pattern", "patterned", "patterns", "print")),
        ("material", ("material", "fabric", "materials")),
        ("fit", ("fit", "cut")),
        ("usage", ("occasion", "use", "used", "using")),
    ):
        if named.intersection(words):
            return attribute
    return None
