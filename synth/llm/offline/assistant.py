"""The offline shop assistant and querier: they know the conversation and their own catalogue, nothing else."""

from __future__ import annotations

import random

from synth.corpora.orders import ORDER
from synth.corpora.records import Gender
from synth.llm.offline.grammar import grammar
from synth.llm.offline.nouns import noun
from synth.llm.offline.phrases import NOUN_PHRASES, postmodifier, postmodifiers
from synth.llm.offline.shop import Shop, card_facets
from synth.llm.offline.wishes import Wishes, meets, score, understand
from synth.prompts.calls import (
    ChatReplyInput,
    ProductCard,
    QueryInput,
    QueryOutput,
    RecommendInput,
    RerankInput,
    RerankOutput,
    TalkInput,
    UtteranceOutput,
)
from synth.text import sentences

_REASONS = ("usage", "season", "colour", "pattern", "material", "fit")
_COMPOSITIONS = 12
"""Tries to say it in three sentences."""
_BRIEF = 0.5
"""Chance that a recommendation which names the wish it answers leaves it at that and the picture."""
_UNREMARKABLE = frozenset({"mid-toned", "moderate", "compact", "elongated"})
"""Measures of a picture that are nothing to point at."""
_ASKABLE = {"usage": "use", "colour": "colour", "pattern": "pattern", "material": "material", "fit": "fit"}
_WEARER: dict[tuple[Gender | None, bool], str] = {
    ("female", False): "women",
    ("male", False): "men",
    ("female", True): "girls",
    ("male", True): "boys",
    (None, True): "kids",
}


class Assistant:
    """Answers every `chatter.*` and `querier.*` call."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def greet(self, given: TalkInput, rng: random.Random) -> UtteranceOutput:
        return UtteranceOutput(text=grammar().say("greet", rng))

    def ask(self, given: TalkInput, rng: random.Random) -> UtteranceOutput:
        """Asks for something the customer has not said."""
        wishes = understand(given.view.lines, self.shop)
        open_questions = [a for a in _ASKABLE if a not in wishes.stated and self.shop.counts.get(a)]
        slots = {"noun": _noun(wishes), "echo": _echo(wishes, rng), "outfit": wishes.outfit or ""}
        topic = rng.choice([*open_questions, "open"])
        question = grammar().say(f"ask.{_ASKABLE.get(topic, 'open')}", rng, slots)
        if wishes.outfit:
            question = f"{grammar().say('ask.outfit', rng, slots)} {question}"
        return UtteranceOutput(text=question)

    def query(self, given: QueryInput, rng: random.Random) -> QueryOutput:
        wishes = understand(given.view.lines, self.shop)
        wanted = [postmodifiers(a, v)[0] for a, v in wishes.stated.items()]
        words = [wishes.kind or "", _WEARER.get(wishes.wearer or (None, False), ""), *wishes.stated.values()]
        needs = grammar().say("needs", rng, {"type": _noun(wishes), "list": ", ".join(wanted) or "of any kind"})
        query = " ".join(" ".join(words).split()) or " ".join(line.text for line in given.view.lines)[-200:]
        return QueryOutput(needs=needs, clarified=wanted, query=query)

    def rerank(self, given: RerankInput, rng: random.Random) -> RerankOutput:
        """The candidate whose attributes overlap most with the wishes; chance decides between equals.

        The index' order would show everybody who asks alike the same one of many twins.
        """
        wishes = understand(given.view.lines, self.shop)
        best = max(given.candidates, key=lambda card: (score(card, wishes, self.shop), rng.random()))
        met = [postmodifiers(a, v)[0] for a, v in wishes.stated.items() if meets(best, a, v)]
        missed = [postmodifiers(a, v)[0] for a, v in wishes.stated.items() if meets(best, a, v) is False]
        unknown = [postmodifiers(a, v)[0] for a, v in wishes.stated.items() if meets(best, a, v) is None]
        slots = {"met": ", ".join(met) or "the kind of thing asked for", "unknown": ", ".join(unknown)}
        reason = grammar().say("why", rng, slots)
        if missed:
            reason += f" Missed: {', '.join(missed)}."
        return RerankOutput(id=best.id, reason=reason)

    def recommend(self, given: RecommendInput, rng: random.Random) -> UtteranceOutput:
        """Two or three sentences: the product, a reason that answers the customer, and what the picture shows."""
        card, lines = given.product, given.view.lines
        wishes = understand(lines, self.shop)
        slots = {**self.shop.noun(card).agreement(), "title": card.title, "because": wishes.event or ""}
        turned_down = any(line.act == "reject" for line in lines)
        last_met = [(a, v) for a, v in wishes.latest if meets(card, a, v)]
        slots["need"] = postmodifier(*rng.choice(last_met), rng) if turned_down and last_met else ""
        section = "recommend.forced" if given.handed_over else f"recommend.{'again' if turned_down else 'open'}"
        said = last_met[0][0] if slots["need"] else None
        for _ in range(_COMPOSITIONS):
            brief = said is not None and rng.random() < _BRIEF
            reason = None if brief else self._reason(card, wishes, said, slots, rng)
            parts = [grammar().say(section, rng, slots), *([reason] if reason else []), self._picture(card, slots, rng)]
            text = " ".join(parts)
            if sentences(text.replace(card.title, "")) <= 3:
                break
        if rng.random() < 0.3:
            longer = f"{text} {grammar().say('recommend.close', rng, slots)}"
            text = longer if sentences(longer.replace(card.title, "")) <= 3 else text
        return UtteranceOutput(text=text)

    def chit_chat(self, given: ChatReplyInput, rng: random.Random) -> UtteranceOutput:
        card, lines = given.product, given.view.lines
        wishes = understand(lines, self.shop)
        slots = {**self.shop.noun(card).agreement(), "title": card.title, "event": wishes.event or ""}
        seen = self.shop.mentions(lines[-1].text, True)
        look = looks(card, rng)
        if seen and look:
            slots["look"] = look
            reply = grammar().say("chat.replypicture", rng, slots)
        else:
            reply = grammar().say("chat.reply", rng, slots)
        if rng.random() < 0.5:
            slots["title"] = self.shop.noun(card).bare  # "the sandals": it has been introduced
        return UtteranceOutput(text=f"{reply} {grammar().say('chat.back', rng, slots)}")

    def _reason(
        self, card: ProductCard, wishes: Wishes, said: str | None, slots: dict[str, str], rng: random.Random
    ) -> str | None:
        have = card_facets(card)
        met = [a for a, v in wishes.stated.items() if a != said and meets(card, a, v)]
        points = [point.rstrip(".") for point in card.features if len(point) < 90 and not ORDER.search(point)]
        if points and (not met or rng.random() < 0.3):
            point = rng.choice(points)
            point = point[0].lower() + point[1:] if point[1:2].islower() else point
            return grammar().say("recommend.feature", rng, {**slots, "point": point})
        if met:
            attribute = rng.choice(met)
            section = f"recommend.{attribute if attribute in _REASONS else 'other'}"
            return grammar().say(section, rng, {**slots, "value": postmodifier(attribute, have[attribute], rng)})
        unasked = [a for a in _REASONS if a in have and a not in wishes.stated and a != "colour"]
        if not unasked:
            return None
        attribute = rng.choice(unasked)
        return grammar().say("recommend.note", rng, {**slots, "value": postmodifier(attribute, have[attribute], rng)})

    def _picture(self, card: ProductCard, slots: dict[str, str], rng: random.Random) -> str:
        """What the picture shows; that it shows one colour and nothing else is said of such products only."""
        colour = card.facets.get("colour")
        look = looks(card, rng) or (f"the {colour} colour" if colour else None)
        busy = {"print", "accent"} & card.visual.keys() or card.facets.get("pattern", "plain") not in ("plain", "solid")
        if colour and not busy and rng.random() < 0.2:
            return grammar().say("recommend.pictureplain", rng, {**slots, "shade": colour})
        if look:
            return grammar().say("recommend.picture", rng, {**slots, "look": look})
        return grammar().say("recommend.close", rng, slots)


def looks(card: ProductCard, rng: random.Random) -> str | None:
    """A noun phrase for something that can be seen in the picture."""
    seen: list[str] = []
    have = card_facets(card)
    if "accent" in have:
        seen += [f"touches of {have['accent']}", f"hints of {have['accent']}", f"the {have['accent']} accents"]
    for attribute in sorted(NOUN_PHRASES):
        if " " in have.get(attribute, ""):
            seen += [have[attribute]] * 2
    if "tone" in have:
        seen += [f"the {have['tone']} tone", f"its {have['tone']} look"]
    if have.get("pattern") in ("striped", "checked", "floral", "polka dots", "graphic"):
        words = {"striped": "stripes", "checked": "checks", "floral": "floral pattern", "graphic": "graphic"}
        seen += [f"the {words.get(have['pattern'], have['pattern'])}"] * 2
    for attribute in ("lightness", "contrast", "shape"):
        if attribute in have and have[attribute] not in _UNREMARKABLE:
            nouns = {
                "lightness": ("shade", "tone", "hue", "finish", "colour"),
                "contrast": ("contrast", "contrasts", "shading", "light and shade", "play of light"),
            }
            seen.append(f"the {have[attribute]} {rng.choice(nouns.get(attribute, ('shape', 'outline', 'silhouette')))}")
    if "neck" in have:
        seen.append(f"the {have['neck']}")
    if "sleeve" in have and have["sleeve"].endswith(("sleeve", "sleeves")):
        seen.append(f"the {have['sleeve'].removesuffix('s')}s")
    return rng.choice(seen) if seen else None


def _noun(wishes: Wishes) -> str:
    return noun(wishes.kind).bare if wishes.kind else "piece"


def _echo(wishes: Wishes, rng: random.Random) -> str:
    return postmodifier(*rng.choice(list(wishes.stated.items())), rng) if wishes.stated else ""
