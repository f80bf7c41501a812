"""The offline user simulator: an agenda of needs that come out one after the other (after Schatzmann et al., 2007).

The two requirements come first, in the opening and the answer; what else the target has comes out in rejections,
two true differences at a time.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from synth.corpora.records import Gender, Person, Recipient
from synth.llm.offline.grammar import grammar
from synth.llm.offline.phrases import COMPARED, NOUN_PHRASES, adjective, postmodifier
from synth.llm.offline.shop import SILENT, Shop, card_facets
from synth.llm.offline.wishes import Wishes, meets, outfit_phrase, question_about, suits_wearer, understand
from synth.prompts import calls
from synth.prompts.calls import (
    AcceptInput,
    AnswerInput,
    DifferInput,
    DifferOutput,
    JudgeFitInput,
    NeedInput,
    ProductCard,
    Reason,
    RejectInput,
    RejectOutput,
    UserChatInput,
    UserView,
    UtteranceOutput,
    VerdictOutput,
)
from synth.randomness import rng as seeded
from synth.text import opening, sentences

_UNSPOKEN = SILENT | {"accent"}
"""Facets that a rejection does not name: an accent's colour would be heard as the wish for another colour."""


_READINESS = {"lightness": 0.3, "contrast": 0.15, "shape": 0.3, "detail": 0.3, "print": 0.3, "tone": 0.5}
"""How readily people give a reason that is about the picture alone; 1 for what a shop's filter has."""
POSSESSIVES: dict[tuple[Gender | None, bool], str] = {
    ("female", False): "women's",
    ("male", False): "men's",
    ("female", True): "girls'",
    ("male", True): "boys'",
    (None, True): "children's",
}


_COMPOSITIONS = 12
"""Tries to say it in three sentences, with an opening not used before."""
_MANY_FACETS = 8
_RESERVE = {True: 0.85, False: 0.2}
"""Chance that a reason says only what is wrong: who could say much about what they have in mind says less at once."""


class Voice(NamedTuple):
    """How much a shopper talks; the same throughout a conversation."""

    talkative: float
    """0 to 1."""
    life: str
    """A clause about themselves that they come back to."""


class Difference(NamedTuple):
    attribute: str
    want: str
    have: str | None


class Shopper:
    """Answers every `user.*` call."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def need(self, given: NeedInput, rng: random.Random) -> UtteranceOutput:
        view = given.view
        first = view.requirements[0]
        slots = {
            "event": event(view.scenario),
            "who": f"my {view.recipient.relation}" if view.recipient else "me",
            "type": self._type_phrase(view, rng),
            "req": _said(first.attribute, first.value, first.text, rng),
        }
        for _ in range(_COMPOSITIONS):
            parts = [grammar().say("need.event", rng, slots, needed={"who"} if view.recipient else None)]
            if given.outfit:
                outfit = {**slots, "outfit": outfit_phrase(given.outfit)}
                parts.append(grammar().say("need.outfit", rng, outfit))
                parts.append(grammar().say("need.want", rng, {**slots, "type": "something"}))
            else:
                parts.append(grammar().say("need.want", rng, slots))
            text = " ".join(parts)
            if sentences(text) <= 3:
                break
        return UtteranceOutput(text=text)

    def answer(self, given: AnswerInput, rng: random.Random) -> UtteranceOutput:
        view = given.view
        second = view.requirements[1]
        asked = question_about(view.lines[-1].text)
        slots = {**_person(view), "req": _said(second.attribute, second.value, second.text, rng), "dim": asked or ""}
        section = "answer.open" if asked and asked != second.attribute else "answer.direct"
        parts = [grammar().say(section, rng, slots)]
        if rng.random() < voice(view).talkative:
            parts.append(grammar().say("answer.why", rng, slots))
        return UtteranceOutput(text=" ".join(parts))

    def judge(self, given: JudgeFitInput, rng: random.Random) -> VerdictOutput:
        """Both requirements met, and nothing contradicted that was said."""
        card = given.shown
        wishes = understand(given.lines, self.shop)
        if wishes.kind and card.kind != wishes.kind:
            return VerdictOutput(
                verdict=False, reason=f"It is a different kind of thing than the {wishes.kind} asked for."
            )
        if not suits_wearer(card, wishes.wearer) or not suits_wearer(card, _wearer(given.person, given.recipient)):
            return VerdictOutput(verdict=False, reason="It is made for somebody else.")
        for requirement in given.requirements:
            attribute, value = requirement.attribute, requirement.value
            if attribute and value and not meets(card, attribute, value):
                return VerdictOutput(verdict=False, reason=f"It does not meet the requirement: {requirement.text}.")
        for attribute, value in wishes.stated.items():
            if meets(card, attribute, value) is False:
                return VerdictOutput(verdict=False, reason=f"The customer asked for {attribute} {value}.")
        for attribute, values in wishes.denied.items():
            if card_facets(card).get(attribute) in values:
                return VerdictOutput(verdict=False, reason=f"The customer turned down {attribute} {sorted(values)[0]}.")
        return VerdictOutput(verdict=True, reason="Both requirements are met and nothing said is contradicted.")

    def reject(self, given: RejectInput, rng: random.Random) -> RejectOutput:
        view, shown = given.view, given.shown
        wishes = understand(view.lines, self.shop)
        chosen = choose(self.differences(view.target, shown), view.target, wishes, self.shop, rng)
        if not chosen:
            return RejectOutput(reasons=[], text="")
        slots = self.shop.noun(shown).agreement()
        for _ in range(_COMPOSITIONS):
            first = grammar().say("reject.open", rng, slots)
            reasons = [self._give(difference, view, wishes, slots, rng) for difference in chosen]
            text = _joined(first, [reason.text for reason in reasons])
            if sentences(text) <= 3 and opening(text) not in given.openings:
                break
        if rng.random() < 0.5:
            longer = f"{text} {grammar().say('reject.close', rng, slots)}"
            text = longer if sentences(longer) <= 3 else text
        return RejectOutput(reasons=reasons, text=text)

    def differ(self, given: DifferInput, rng: random.Random) -> DifferOutput:
        seen = given.target.visual.keys() | given.shown.visual.keys()
        found = [
            calls.Difference(attribute=attribute, target=want, shown=have or "none", in_picture=attribute in seen)
            for attribute, want, have in self.differences(given.target, given.shown)
        ]
        return DifferOutput(differences=found[:8])

    def accept(self, given: AcceptInput, rng: random.Random) -> UtteranceOutput:
        view, shown = given.view, given.shown
        wishes = understand(view.lines, self.shop)
        noun = self.shop.noun(shown)
        liked = [a for a, v in wishes.stated.items() if meets(shown, a, v)] or ["colour", "pattern", "usage", "season"]
        features = [a for a in liked if a in card_facets(shown)]
        feature = features[-1] if features else ""
        requirement = next((r for r in view.requirements if r.attribute != feature), view.requirements[0])
        slots = {
            **_person(view),
            **noun.agreement(),
            "noun": noun.bare,
            "feature": postmodifier(feature, card_facets(shown)[feature], rng, plural=noun.plural) if feature else "",
            "req": _said(requirement.attribute, requirement.value, requirement.text, rng),
            "who": f"my {view.recipient.relation}" if view.recipient else "me",
        }
        for _ in range(_COMPOSITIONS):
            parts = [grammar().say("accept.open", rng, slots)]
            if features:
                parts.append(grammar().say("accept.feature", rng, slots))
            parts.append(grammar().say("accept.why", rng, slots))
            if len(parts) < 3 or rng.random() < 0.3 * voice(view).talkative:
                parts.append(grammar().say("accept.close", rng, slots))
            text = " ".join(parts)
            if sentences(text) <= 4:
                break
        return UtteranceOutput(text=text)

    def chit_chat(self, given: UserChatInput, rng: random.Random) -> UtteranceOutput:
        view, shown = given.view, given.shown
        noun = self.shop.noun(shown)
        seen = [(a, v) for a, v in card_facets(shown).items() if a in ("colour", "pattern", "tone", "detail", "accent")]
        slots = {**_person(view), **noun.agreement(), "noun": noun.bare}
        if seen and rng.random() < 0.5:
            slots["feature"] = postmodifier(*rng.choice(seen), rng, plural=noun.plural)
            return UtteranceOutput(text=grammar().say("chat.picture", rng, slots))
        return UtteranceOutput(text=grammar().say("chat.life", rng, slots))

    def differences(self, target: ProductCard, shown: ProductCard) -> list[Difference]:
        """What the target has and the shown product has not, by attribute; pictures only where both were measured."""
        wanted, had = card_facets(target), card_facets(shown)
        return [
            Difference(attribute, value, had.get(attribute))
            for attribute, value in wanted.items()
            if attribute not in _UNSPOKEN
            and had.get(attribute) != value
            and len(value) <= 40
            and (attribute in had or attribute not in COMPARED)
        ]

    def _give(
        self, difference: Difference, view: UserView, wishes: Wishes, slots: dict[str, str], rng: random.Random
    ) -> Reason:
        """One reason: what is wanted instead, or, now and then, only what is wrong."""
        repeated = wishes.stated.get(difference.attribute) == difference.want
        speakable = card_facets(view.target).keys() - _UNSPOKEN
        reserve = _RESERVE[len(speakable) >= _MANY_FACETS]
        if difference.have is None or repeated or rng.random() >= reserve:
            text = self._reason(difference, slots, rng)
            return Reason(text=text, attribute=difference.attribute, wanted=difference.want)
        unwanted = postmodifier(difference.attribute, difference.have, rng)
        text = grammar().say("reject.dislike", rng, {**slots, "not": unwanted})
        return Reason(text=text, attribute=difference.attribute, wanted=None)

    def _reason(self, difference: Difference, slots: dict[str, str], rng: random.Random) -> str:
        attribute, want, have = difference
        filled = {**slots, "want": adjective(attribute, want), "attribute": attribute.replace("_", " ")}
        if attribute in NOUN_PHRASES and " " in want:
            return grammar().say("reject.detail", rng, {**filled, "want": want})
        if have is None:
            return grammar().say("reject.missing", rng, filled)
        filled["have"] = adjective(attribute, have)
        if filled["attribute"] in filled["want"] or filled["attribute"] in filled["have"]:
            filled["attribute"] = "style"  # not "the block-heel heel"
        section = f"reject.{attribute}"
        return grammar().say(section if section in grammar() else "reject.other", rng, filled)

    def _type_phrase(self, view: UserView, rng: random.Random) -> str:
        worn = view.target.wearer
        possessive = plain = ""
        if worn and self.shop.says_wearer(view.target):
            who = (worn.gender, worn.child) if worn.gender or worn.child else _wearer(view.person, view.recipient)
            possessive = POSSESSIVES.get(who, "")
            plain = possessive.removesuffix("'").removesuffix("'s")
        return self.shop.noun(view.target).wanted(possessive, plain, rng)


def choose(
    differences: list[Difference], target: ProductCard, wishes: Wishes, shop: Shop, rng: random.Random
) -> list[Difference]:
    """Two reasons: one broken wish first, if there is one, then what has not been said yet.

    Of these, what many products have comes before what gives the target away.
    """
    broken = [d for d in differences if wishes.stated.get(d.attribute) == d.want]
    fresh = [d for d in differences if d.attribute not in wishes.stated]

    def weight(difference: Difference) -> float:
        often = 1 / (0.3 + shop.rarity(target, difference.attribute)) ** 2
        return often * _READINESS.get(difference.attribute, 1.0) * (1.0 if difference.have else 0.4)

    fresh.sort(key=lambda d: rng.random() ** (1 / weight(d)), reverse=True)
    rng.shuffle(broken)
    return (broken[:1] + fresh + broken[1:])[:2]


def _joined(first: str, rest: list[str]) -> str:
    """An opening that ends in a comma runs on into the first reason."""
    if first.endswith((",", ":", ";")) and not rest[0].startswith(("I ", "I'")):
        rest = [rest[0][0].lower() + rest[0][1:], *rest[1:]]
    return " ".join([first, *rest])


def that_event(scenario: str) -> str:
    """The occasion once it is known: `the first week in a new job`, `my cousin's wedding`."""
    phrase = event(scenario)
    article, _, rest = phrase.partition(" ")
    if article not in ("a", "an"):
        return phrase
    return f"{'my' if rest.split(' ')[0].endswith(chr(39) + 's') else 'the'} {rest}"


def event(scenario: str) -> str:
    """The occasion a scenario opens with."""
    return scenario.partition(",")[0].rstrip(" .")


def voice(view: UserView) -> Voice:
    """A shopper's way of talking, from who they are."""
    own = seeded(0, "voice", view.person.name, view.person.age, view.backstory)
    return Voice(own.random(), grammar().say("life", own))


def _wearer(person: Person, recipient: Recipient | None) -> tuple[Gender | None, bool]:
    return (recipient.gender, recipient.child) if recipient else (person.gender, False)


def _person(view: UserView) -> dict[str, str]:
    job = view.person.profession
    article = "an" if job[0].lower() in "aeiou" else "a"
    who = f"my {view.recipient.relation}" if view.recipient else "me"
    life = voice(view).life
    life = life if life.startswith("I") else life[0].lower() + life[1:]
    if any(life.lower() in line.text.lower() for line in view.lines):
        life = ""  # said before
    return {
        "event": that_event(view.scenario),
        "job": f"{article} {job}",
        "life": life,
        "who": who,
    }


def _said(attribute: str | None, value: str | None, text: str, rng: random.Random) -> str:
    return postmodifier(attribute, value, rng) if attribute and value else text.removeprefix("something ")
