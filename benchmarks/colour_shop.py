"""A shop whose customers want a colour: what `lavic_cpu.py` trains and tests on.

Only pictures tell the candidates of a conversation apart: they are of one type and for the same wearers, none of the
right one's coarse colour, and colour words are taken out of all titles. So who sees no picture is left with chance, but
for what titles give away of colours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from synth.corpora.catalogue import Catalogue
from synth.corpora.lexicon import COLOURS
from synth.errors import SynthError
from synth.randomness import rng
from synth.recommender.candidates import shuffle_balanced
from synth.recommender.data import RecExample, Utterance
from synth.recommender.items import Item
from synth.recommender.labelled import Labelled, caption, labelled
from synth.recommender.probe import COARSE, coarse_colour

_WORDS = 5
"""Of a title that are kept."""
_COLOUR_WORDS = {word for phrase in (*COLOURS, *COARSE.values()) for word in phrase.replace("-", " ").split()}
_OPENINGS = (
    "Hello, I am looking for {type} for {gender}.",
    "Hi! Can you help me to find {type} for {gender}?",
    "I need {type} for {gender}.",
    "Good morning. Do you have {type} for {gender}?",
)
_ASK = ("Which colour would you like?", "Of course. What colour should it be?", "Sure. Any colour in mind?")
_WANT = ("{colour}, please.", "I would like {colour}.", "It should be {colour}.", "In {colour}, if you have it.")
_AT_ONCE = ("It should be {colour}.", "I want something {colour}.", "In {colour}, please.")
_OFFER = ("How about this one in {wrong}?", "We have a nice one in {wrong}.", "Would {wrong} do?")
_REFUSE = ("No, not {wrong}. I want {colour}.", "I do not like {wrong}, I prefer {colour}.", "Rather {colour}.")


@dataclass(frozen=True)
class Shop:
    """Products with a picture and a colour, a part of them held out of everything that is trained."""

    items: dict[str, Item]
    """With colour words taken out of the titles."""
    known: dict[str, Labelled]
    """The same as pictures to learn from; colours are coarse ones."""
    named: dict[str, str]
    """The shop's own name of the colour."""
    train: tuple[str, ...]
    valid: tuple[str, ...]
    """To choose checkpoints by."""
    held: tuple[str, ...]
    """For the test alone."""

    def labelled(self, ids: Sequence[str]) -> list[Labelled]:
        return [self.known[item] for item in ids]

    def colour(self, item: str) -> str:
        """The coarse colour."""
        return self.known[item].attributes["colour"]

    def kind(self, item: str) -> tuple[str, str]:
        """Type and wearer."""
        attributes = self.known[item].attributes
        return attributes.get("type", "product"), attributes.get("gender", "everyone")


def open_shop(catalogue: Catalogue, held: int, valid: int, seed: int) -> Shop:
    """A catalogue's products that have a picture and a known colour, so many of them held out."""
    found = sorted((each for each in labelled(catalogue) if _coarse(each)), key=lambda each: each.id)
    rng(seed, "shop").shuffle(found)
    items, known, named = {}, {}, {}
    for each in found:
        attributes = {name: value for name, value in each.attributes.items() if name in ("type", "gender")}
        attributes["colour"] = _coarse(each)
        title = without_colours(each.title)
        items[each.id] = Item(each.id, title, (each.image,), {})
        known[each.id] = replace(each, title=title, attributes=attributes, caption=caption(attributes))
        named[each.id] = each.attributes["colour"]
    ids = tuple(items)
    return Shop(items, known, named, ids[held + valid :], ids[held : held + valid], ids[:held])


def without_colours(title: str) -> str:
    """A title's first words, those that can mean a colour left out."""
    words = title.replace("-", " ").split()
    return " ".join([word for word in words if word.lower().strip(".,()&/") not in _COLOUR_WORDS][:_WORDS])


def _coarse(each: Labelled) -> str:
    return coarse_colour(each.attributes.get("colour", "")) or ""


def conversations(
    shop: Shop,
    ids: Sequence[str],
    count: int,
    place: str,
    seed: int,
    *,
    fewest: int = 10,
    most: int = 10,
    own: float = 0.25,
) -> list[RecExample]:
    """Conversations about products, with candidates of the same kind and other coarse colours.

    Args:
        ids: what the right answer and the candidates are drawn from.
        place: names the conversations; the same name and seed give the same ones.
        fewest, most: candidates of each.
        own: share that names the colour as the shop does, e.g. navy blue, and not as one of the twelve coarse ones.
    """
    by_kind: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in ids:
        by_kind[shop.kind(item)].append(item)
    colours = {kind: Counter(map(shop.colour, items)) for kind, items in by_kind.items()}
    # Only what has as many others of its kind, in other colours, as the longest list wants.
    targets = [i for i in ids if colours[shop.kind(i)].total() - colours[shop.kind(i)][shop.colour(i)] >= most - 1]
    if not targets:
        raise SynthError(f"No product of {len(ids):,} has {most - 1} others of its kind in other colours.")
    made: list[RecExample] = []
    chance = rng(seed, "conversations", place)
    while len(made) < count:
        target = chance.choice(targets)
        others = [item for item in by_kind[shop.kind(target)] if shop.colour(item) != shop.colour(target)]
        drawn = chance.sample(others, chance.randint(min(fewest, most), most) - 1)
        name = f"{place}:{len(made)}"
        context = _talk(shop, target, drawn, own, chance)
        made.append(RecExample(f"{name}#0", name, context, target, frozenset(), (target, *drawn)))
    return shuffle_balanced(made, seed)


def _talk(shop: Shop, target: str, others: Sequence[str], share: float, chance: Random) -> tuple[Utterance, ...]:
    """What is said: 4 of 10 in one turn, 3 in two, 3 with an offer of another colour that is refused."""
    kind, wearer = shop.kind(target)
    own, wrong = shop.named[target], shop.colour(chance.choice(others))
    colour = own if chance.random() < share else shop.colour(target)
    words = {"type": kind, "gender": wearer, "colour": colour, "wrong": wrong}
    opening = chance.choice(_OPENINGS)
    way = chance.random()
    if way < 0.4:
        said = [("user", f"{opening} {chance.choice(_AT_ONCE)}")]
    elif way < 0.7:
        said = [("user", opening), ("assistant", chance.choice(_ASK)), ("user", chance.choice(_WANT))]
    else:
        said = [("user", opening), ("assistant", chance.choice(_OFFER)), ("user", chance.choice(_REFUSE))]
    return tuple(Utterance(who, text.format(**words)) for who, text in said)  # type: ignore[arg-type]
