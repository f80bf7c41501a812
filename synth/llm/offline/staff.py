"""The offline staff behind a run: scenario writer, matcher, story writer, stylist, captioner."""

from __future__ import annotations

import random
import re

from synth.corpora.records import Person, Recipient, Requirement
from synth.corpora.summary import compose
from synth.llm.offline.grammar import grammar
from synth.llm.offline.nouns import noun
from synth.llm.offline.phrases import postmodifier
from synth.llm.offline.shop import SILENT, Shop, card_facets
from synth.llm.offline.shopper import event
from synth.llm.offline.wishes import RELATIONS
from synth.prompts.calls import (
    BackstoryInput,
    BackstoryOutput,
    CaptionInput,
    CaptionOutput,
    ExpandInput,
    LookInput,
    LookOutput,
    MatchInput,
    MatchOutput,
    OutfitInput,
    ProductCard,
    ScenariosOutput,
    VerdictOutput,
)

GIFTS = "gifts"
_CHILD_FAMILIES = frozenset(
    {"gifts", "family", "seasons", "study", "celebrations", "sport", "travel", "everyday", "home", "outdoors"}
)
_SUITED: dict[str, frozenset[str]] = {
    "sport": frozenset({"sports", "casual", "outdoor", "everyday", "travel"}),
    "work": frozenset({"formal", "casual", "smart casual", "work", "everyday", "travel", "ethnic"}),
    "dates": frozenset({"casual", "smart casual", "party", "formal", "ethnic", "everyday"}),
    "occasions": frozenset({"formal", "party", "ethnic", "smart casual", "casual"}),
    "celebrations": frozenset({"formal", "party", "ethnic", "smart casual", "casual"}),
    "outdoors": frozenset({"sports", "casual", "outdoor", "travel", "everyday", "beach"}),
    "travel": frozenset({"travel", "casual", "sports", "outdoor", "everyday", "beach", "smart casual"}),
}
"""Uses that suit a family of scenarios; families not named here suit any."""
_SEASON_WORDS = {
    "winter": """
    winter snow snowy frost frosty frozen ice icy december january february ski skiing sledging christmas blizzard
    """.split(),
    "summer": "summer heatwave beach july august june heat sunscreen lido seaside scorching".split(),
    "autumn": ["autumn", "october", "november", "leaves", "harvest", "bonfire"],
    "spring": ["spring", "april", "march", "easter", "blossom"],
}
_OPPOSITE = {"winter": {"summer", "beach"}, "summer": {"winter", "fall", "autumn"}}
_WORN_WITH = frozenset(["usage", "season"])
_NEUTRAL = frozenset(
    """
    black white grey gray beige cream navy brown tan khaki silver gold steel off charcoal camel taupe ivory denim
    olive
    """.split()
)
_CLASHES = {
    frozenset(pair.split("-"))
    for pair in "red-pink red-green orange-pink purple-yellow green-purple red-orange red-purple orange-purple".split()
}
_ROLES = {
    "feet": "shoe shoes sneakers sandals heels flats boots loafers flops slippers pumps trainers".split(),
    "legs": "jeans trousers shorts skirt leggings capris pants chinos culottes tights".split(),
    "whole": "dress saree kurta kurti jumpsuit suit gown dungarees swimsuit".split(),
    "upper": """
    t-shirt shirt top blouse jumper hoodie sweater sweatshirt tunic tee polo cardigan waistcoat
    """.split(),
    "over": ["jacket", "coat", "blazer", "raincoat", "parka"],
    "carry": "bag handbag backpack clutch tote wallet duffel satchel rucksack".split(),
    "wrist": ["watch", "bracelet", "bangle"],
    "head": ["cap", "hat", "beanie"],
    "neck": "scarf tie necklace pendant stole dupatta muffler".split(),
    "eyes": ["sunglasses", "glasses"],
    "waist": ["belt"],
    "ears": ["earrings"],
}  # fmt: skip
_ROLE = {word: role for role, words in _ROLES.items() for word in words}
_REQUIREMENT_LATE = {"pattern": 1.5, "colour": 2.5, "tone": 3.5, "lightness": 4.0, "contrast": 5.0, "shape": 4.0}
"""Requirements rest on what a thing is for and made of, before they rest on its looks."""


_WORKING = frozenset("job placement internship office shift commute client interview colleagues promotion".split())
_STUDYING = frozenset("semester exchange campus freshers dormitory lectures undergraduate".split())
_OLDEST_STUDENT = 45


class Staff:
    """Answers `scenario.*`, `profile.*`, `manager.*` and `captioner.*` calls."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def expand(self, given: ExpandInput, rng: random.Random) -> ScenariosOutput:
        section = f"scenario.{given.family}"
        relations = sorted(RELATIONS)
        return ScenariosOutput(
            scenarios=[
                _lower_first(grammar().say(section, rng, {"relation": "a " + rng.choice(relations)}))
                .replace("a aunt", "an aunt")
                .replace("a uncle", "an uncle")
                for _ in range(given.count)
            ]
        )

    def match(self, given: MatchInput, rng: random.Random) -> MatchOutput:
        card, person = given.product, given.person
        worn = card.wearer
        if worn and worn.conflict:
            return _no_person("Title and attributes of the product contradict each other on who it is for.")
        recipient: Recipient | None = None
        if problem := _life_problem(person, given.family, given.scenario):
            return _no_person(problem)
        if given.family == GIFTS:
            relation = _relation(given.scenario)
            if relation is None:
                return _no_person("The scenario is a present, but does not say for whom.")
            gender, child = RELATIONS[relation]
            if worn and (
                (worn.gender and gender and worn.gender != gender)
                or (worn.child != child and (worn.gender or worn.child))
            ):
                return _no_person(f"Nobody would give this to a {relation}.")
            if relation in ("wife", "husband") and person.age < 24:
                return _no_person(f"At {person.age}, a {relation} is unlikely.")
            recipient = Recipient(relation=relation, gender=gender, child=child)
        elif worn and worn.child:
            if given.family not in _CHILD_FAMILIES:
                return _no_person("It is made for a child, and the scenario has none in it.")
            recipient = _child(person.age, worn.gender, rng)
        elif worn and worn.gender and person.gender and worn.gender != person.gender:
            return _no_person(
                f"It is made for {'women' if worn.gender == 'female' else 'men'}, and the person buys for themselves."
            )
        if recipient and recipient.relation in ("grandson", "granddaughter") and person.age < 45:
            return _no_person(f"At {person.age}, a {recipient.relation} is unlikely.")
        if recipient and recipient.relation in ("son", "daughter") and person.age < 22:
            return _no_person(f"At {person.age}, a {recipient.relation} of that age is unlikely.")
        if recipient and recipient.relation in ("grandmother", "grandfather") and person.age > 55:
            return _no_person(f"At {person.age}, a {recipient.relation} to shop for is unlikely.")
        problem = self._scenario_problem(card, given.family, given.scenario)
        if problem:
            return MatchOutput(person_fits=True, recipient=recipient, scenario_fits=False, reason=problem)
        whom = f"their {recipient.relation}" if recipient else "the person"
        return MatchOutput(
            person_fits=True, recipient=recipient, scenario_fits=True, reason=f"It suits {whom}, and the occasion."
        )

    def backstory(self, given: BackstoryInput, rng: random.Random) -> BackstoryOutput:
        person, card = given.person, given.product
        they, them, their = {"female": ("she", "her", "her"), "male": ("he", "him", "his")}.get(
            person.gender or "", ("they", "them", "their")
        )
        requirements = self.requirements(card, rng)
        article = "an" if person.profession[0].lower() in "aeiou" else "a"
        _, _, detail = given.scenario.partition(",")
        slots = {
            "name": person.name.split()[0],
            "age": str(person.age),
            "job": f"{article} {person.profession}",
            "they": they,
            "them": them,
            "their": their,
            "event": event(given.scenario),
            "detail": detail.strip().rstrip("."),
            "recipient": f"{their} {given.recipient.relation}" if given.recipient else "",
            "req1": requirements[0][0],
            "req2": requirements[1][0],
        }
        sections = ["story.person", "story.event", "story.feeling", "story.need", "story.close"]
        if given.recipient:
            sections[1] = "story.event.gift"
        text = " ".join(grammar().say(section, rng, slots) for section in sections)
        return BackstoryOutput(backstory=text, requirements=[requirement for _, requirement in requirements])

    def requirements(self, card: ProductCard, rng: random.Random) -> list[tuple[str, Requirement]]:
        """Two things the product shares with many others: what it is for and made of comes before its looks."""
        facets = [
            (a, v)
            for a, v in card_facets(card).items()
            if a not in SILENT and a not in ("accent", "detail") and len(v) <= 30
        ]
        order = sorted(
            facets,
            key=lambda f: _REQUIREMENT_LATE.get(f[0], 0.0) + 2.5 * self.shop.rarity(card, f[0]) + rng.random(),
        )
        found: list[tuple[str, Requirement]] = []
        for attribute, value in order[:2]:
            phrase = postmodifier(attribute, value, rng)
            text = grammar().say("requirement", rng, {"req": phrase})
            found.append((phrase, Requirement(text=text.rstrip("."), attribute=attribute, value=value)))
        spare = ["that lasts", "that is easy to look after", "that feels right at once", "of decent quality"]
        rng.shuffle(spare)
        while len(found) < 2:
            phrase = spare.pop()
            found.append((phrase, Requirement(text=f"something {phrase}")))
        return found

    def outfit(self, given: OutfitInput, rng: random.Random) -> VerdictOutput:
        """Different kinds of things for the same wearer, use and season, in colours that go together."""
        one, other = given.target, given.item
        role, other_role = outfit_role(one.kind), outfit_role(other.kind)
        if (
            not role
            or not other_role
            or role == other_role
            or {role, other_role} in ({"whole", "upper"}, {"whole", "legs"})
        ):
            return VerdictOutput(verdict=False, reason="The two are not worn together.")
        if one.wearer and other.wearer:
            if one.wearer.child != other.wearer.child:
                return VerdictOutput(verdict=False, reason="One is for a child, the other for an adult.")
            if one.wearer.gender and other.wearer.gender and one.wearer.gender != other.wearer.gender:
                return VerdictOutput(verdict=False, reason="They are made for different wearers.")
        for attribute in sorted(_WORN_WITH):
            a, b = one.facets.get(attribute), other.facets.get(attribute)
            if a and b and a != b and {a, b} != {"casual", "smart casual"}:
                return VerdictOutput(verdict=False, reason=f"{attribute.capitalize()} differs: {a} and {b}.")
        a, b = _hue(one), _hue(other)
        if a and b and frozenset((a, b)) in _CLASHES:
            return VerdictOutput(verdict=False, reason=f"{a} and {b} clash.")
        if (
            "pattern" in one.facets
            and "pattern" in other.facets
            and not {one.facets["pattern"], other.facets["pattern"]} & {"plain", "solid"}
        ):
            return VerdictOutput(verdict=False, reason="Two patterns at once.")
        return VerdictOutput(verdict=True, reason="Same wearer and occasion, colours that go together.")

    def caption(self, given: CaptionInput, rng: random.Random) -> CaptionOutput:
        """The summary composed from the record (MUSE A.1 has a vision-language model write it)."""
        return CaptionOutput(summary=compose(given.product))

    def look(self, given: LookInput, rng: random.Random) -> LookOutput:
        """What the import measured in the picture; this simulator has no eyes of its own."""
        product = self.shop.pictured.get(given.image)
        seen = ", ".join(f"{name} {value}" for name, value in product.visual.items()) if product else ""
        return LookOutput(description=f"A picture of one product; {seen or 'nothing about it was measured'}.")

    def _scenario_problem(self, card: ProductCard, family: str, scenario: str) -> str | None:
        usage = card.facets.get("usage")
        suited = _SUITED.get(family)
        if usage and suited and usage not in suited and usage in frozenset().union(*_SUITED.values()):
            return f"A thing for {usage} use does not answer a {family} scenario."
        season = card.facets.get("season")
        if season:
            words = set(re.findall(r"[a-z]+", scenario.lower()))
            for named, clues in _SEASON_WORDS.items():
                if words.intersection(clues) and season in _OPPOSITE.get(named, set()):
                    return f"The scenario is in {named}, the product is for {season}."
        return None


def outfit_role(kind: str) -> str | None:
    """Where on a person a kind of thing is worn; None for what is not worn."""
    for word in reversed(noun(kind).bare.lower().split()):
        if word in _ROLE:
            return _ROLE[word]
    return None


def _life_problem(person: Person, family: str, scenario: str) -> str | None:
    """Why somebody of this age and profession would not be in this situation."""
    words = set(re.findall(r"[a-z]+", scenario.lower()))
    if person.profession.startswith("retired") and (family == "work" or words & _WORKING):
        return f"A {person.profession} has no such working life any more."
    if person.age > _OLDEST_STUDENT and (family == "study" or words & _STUDYING):
        return f"At {person.age}, a student's life is unlikely."
    return None


def _relation(scenario: str) -> str | None:
    for word in re.findall(r"[a-z]+(?:-in-law)?", scenario.lower()):
        if word in RELATIONS:
            return str(word)
    return None


def _child(age: int, gender: str | None, rng: random.Random) -> Recipient:
    girl = gender == "female" if gender else rng.random() < 0.5
    if age >= 50:
        relation = "granddaughter" if girl else "grandson"
    elif age >= 27:
        relation = rng.choice(["daughter", "niece"] if girl else ["son", "nephew"])
    else:
        relation = "niece" if girl else "nephew"
    return Recipient(relation=relation, gender="female" if girl else "male", child=True)


def _hue(card: ProductCard) -> str | None:
    words = card.facets.get("colour", "").split()
    if not words or _NEUTRAL.intersection(words):
        return None
    return str(words[-1])


def _no_person(reason: str) -> MatchOutput:
    return MatchOutput(person_fits=False, recipient=None, scenario_fits=True, reason=reason)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
