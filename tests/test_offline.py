"""The offline simulator: what it says, what it understands, and what it decides."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from synth.corpora.attributes import facets
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Person, Product, Recipient, Requirement
from synth.llm.offline.grammar import Grammar, grammar, tidy
from synth.llm.offline.nouns import noun
from synth.llm.offline.optimizer import Optimizer
from synth.llm.offline.paraphrase import Lexicon, lexicon
from synth.llm.offline.phrases import adjective, postmodifiers
from synth.llm.offline.shop import SILENT, Shop
from synth.llm.offline.shopper import Shopper
from synth.llm.offline.staff import Staff
from synth.llm.offline.wishes import event_named, question_about, understand, wearer_named
from synth.prompts.calls import CheckInput, JudgeFitInput, Line, MatchInput, ProductCard
from synth.prompts.cards import Cards, product_card

ANN = Person(name="Ann Lee", gender="female", age=34, profession="nurse")


def product(n: int, **attributes: str) -> Product:
    given = {"type": "Dresses", "gender": "Women", "colour": "Red", "usage": "Casual", "season": "Summer"} | attributes
    return Product(id=f"d{n}", title=f"Model {n}", attributes=given)


def shop_of(*products: Product) -> Shop:
    return Shop(products, {p.id: facets(p) for p in products})


def card(n: int, **attributes: str) -> ProductCard:
    return product_card(product(n, **attributes))


SHOP = shop_of(
    product(0),
    product(1, colour="Navy Blue", pattern="Striped"),
    product(2, usage="Formal", season="Winter", material="Silk"),
    product(3, type="Casual Shoes", gender="Men", colour="Black"),
    product(4, type="Casual Shoes", gender="Women"),
)


# ---- grammar and lexicon


def test_alternatives_slots_and_articles() -> None:
    small = Grammar(["@a\n[Hi|Hello[ there|]], a* {thing} .\n# a comment\n"])
    said = {small.say("a", random.Random(n), {"thing": "orange"}) for n in range(40)}
    assert said == {"Hi, an orange.", "Hello, an orange.", "Hello there, an orange."}


def test_templates_without_their_slots_are_passed_over() -> None:
    small = Grammar(["@a\nWith {x}.\nWithout."])
    assert {small.say("a", random.Random(n)) for n in range(20)} == {"Without."}
    assert {small.say("a", random.Random(n), {"x": "it"}, needed={"x"}) for n in range(20)} == {"With it."}
    with pytest.raises(KeyError):
        Grammar(["@a\nWith {x}."]).say("a", random.Random(0))


@pytest.mark.parametrize("text", ["[a|b", "a]"])
def test_unbalanced_templates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        Grammar([f"@s\n{text}"])


def test_tidy() -> None:
    assert tidy("well ,  yes . a* hour? a* unit") == "Well, yes. A hour? A unit"
    assert tidy("i see . so") == "I see. So"


def test_no_fixed_text_of_the_grammar_names_a_colour() -> None:
    """Such words would be heard as wishes."""
    colours = {"red", "blue", "green", "yellow", "purple", "pink", "brown", "beige", "burgundy", "navy", "teal"}
    for name, templates in grammar().sections.items():
        if name.startswith("scenario."):
            continue
        for template in templates:
            words = {w.strip(".,;:!?[]|'").lower() for w in _fixed(template.nodes).split()}
            assert not words & colours, (name, words & colours)


def _fixed(nodes: object) -> str:
    if isinstance(nodes, str):
        return nodes
    if isinstance(nodes, tuple):
        return " ".join(_fixed(node) for node in nodes)
    return " ".join(_fixed(option) for option in getattr(nodes, "options", ()))


def test_paraphrase_swaps_the_longest_and_keeps_names() -> None:
    words = Lexicon("have a look = take a peek\nlook = glance\n@colloquial.lead\nWell,\n")
    assert words.swap("Have a look, then look.", "", 1.0, random.Random(0)) == "Take a peek, then glance."
    kept = words.swap_around("Look at the Look Bag", ["Look Bag"], "", 1.0, random.Random(0))
    assert kept == "Glance at the Look Bag"
    assert words.swap("look", "", 0.0, random.Random(0)) == "look"


def test_the_lexicon_neither_adds_nor_removes_a_negation() -> None:
    def negated(words: list[str], more: tuple[str, ...] = ()) -> bool:
        return any(w in ("not", "never", "cannot", *more) or w.endswith("n't") for w in words)

    weak = ("no", "nothing", "without", "neither", "nor", "none", "hardly", "dunno")
    for phrases in lexicon().swaps.values():
        for entries in phrases.values():
            for phrase, alternatives in entries:
                for alternative in alternatives:
                    words = alternative.lower().split()
                    assert not negated(words) or negated(list(phrase), weak), (phrase, alternative)
                    assert not negated(list(phrase)) or negated(words, weak), (phrase, alternative)


# ---- nouns and phrases


@pytest.mark.parametrize(
    ("kind", "bare", "plural"),
    [
        ("Dresses", "dress", False),
        ("Tshirts", "T-shirt", False),
        ("Casual Shoes", "casual shoes", True),
        ("Watches", "watch", False),
        ("Scarves", "scarf", False),
        ("Jeans", "jeans", True),
        ("Necklace and Chains", "necklace", False),
        ("Stühle", "stühle", False),
    ],
)
def test_nouns(kind: str, bare: str, plural: bool) -> None:
    assert noun(kind) == (bare, plural)
    assert noun(kind).agreement()["is"] == ("are" if plural else "is")


def test_what_is_said_is_understood(catalogue: Path) -> None:
    """Every facet of a catalogue, in every way it is said, is heard as that facet."""
    products = Catalogue.open(catalogue)
    shop = Shop(products, {p.id: facets(p) for p in products})
    missed, said = [], 0
    for attribute, values in shop.counts.items():
        for value in values if attribute not in SILENT else ():
            for phrase in postmodifiers(attribute, value):
                said += 1
                heard = shop.mentions(f"I want something {phrase}.", False)
                if (attribute, value) not in heard:
                    missed.append((attribute, value, phrase, heard))
    assert said > 300
    assert len(missed) <= 0.04 * said, missed[:10]


def test_adjectives() -> None:
    assert adjective("fit", "slim fit") == "slim-fit"
    assert adjective("neck", "v-neck") == "V-necked"
    assert adjective("colour", "navy blue") == "navy blue"


# ---- understanding


def lines(*said: tuple[str, str, str]) -> tuple[Line, ...]:
    return tuple(Line(speaker, act, text) for speaker, act, text in said)  # type: ignore[arg-type]


def test_wishes_come_from_words() -> None:
    wishes = understand(
        lines(
            ("user", "need", "I'm off to a cousin's outdoor wedding. I need a women's dress in silk."),
            ("assistant", "ask", "Any colour?"),
            ("user", "answer", "No idea, but for winter weather, please."),
        ),
        SHOP,
    )
    assert wishes.kind == "dresses" and wishes.wearer == ("female", False)
    assert wishes.stated == {"material": "silk", "season": "winter"}
    assert wishes.event == "your cousin's outdoor wedding"


def test_what_the_shown_product_has_is_what_is_turned_down() -> None:
    shown = Line("assistant", "recommend", "The Model 0.", card(0))
    talk = (
        *lines(("user", "need", "A dress.")),
        shown,
        *lines(("user", "reject", "Not red, navy blue would be better.")),
    )
    wishes = understand(talk, SHOP)
    assert wishes.stated == {"colour": "navy blue"} and wishes.denied == {"colour": {"red"}}


def test_later_wishes_override_earlier_ones() -> None:
    shown = Line("assistant", "recommend", "The Model 2.", card(2))
    talk = (
        *lines(("user", "need", "A dress in red.")),
        shown,
        *lines(("user", "reject", "Make it navy blue after all.")),
    )
    assert understand(talk, SHOP).stated["colour"] == "navy blue"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("for my brother", ("male", False)),
        ("a women's dress", ("female", False)),
        ("something for my niece", ("female", True)),
        ("boys' shoes for my sister", ("male", True)),
        ("something nice", None),
    ],
)
def test_whom_it_is_for(text: str, who: tuple[str | None, bool] | None) -> None:
    assert wearer_named(text) == who


def test_events_and_questions() -> None:
    assert event_named("I'm here this afternoon") is None
    assert event_named("There is the first week in a new job") == "the first week"
    assert question_about("Which fabric do you like?") == "material"
    assert question_about("Anything else?") is None


# ---- verdicts


def judged(
    shown: ProductCard, *requirements: tuple[str, str], said: str = "A women's dress.", person: Person = ANN
) -> bool:
    first, second = (Requirement(text=f"something {v}", attribute=a, value=v) for a, v in requirements)
    given = JudgeFitInput(person, None, (first, second), lines(("user", "need", said)), shown)
    return Shopper(SHOP).judge(given, random.Random(0)).verdict


def test_fit_needs_both_requirements_and_no_contradiction() -> None:
    needs = (("usage", "casual"), ("season", "summer"))
    assert judged(card(0), *needs)
    assert not judged(card(2, usage="Formal", season="Winter"), *needs)
    assert not judged(card(0), ("usage", "casual"), ("material", "silk")), "a requirement that is left open is not met"
    assert not judged(card(0), *needs, said="A women's dress in navy blue.")
    assert not judged(card(3, type="Casual Shoes"), *needs), "another kind of thing"
    man = ANN.model_copy(update={"gender": "male"})
    assert not judged(card(0), *needs, said="A dress.", person=man)


@pytest.mark.parametrize(
    ("person", "family", "scenario", "attributes", "fits"),
    [
        (ANN, "travel", "a weekend in Rome, with late suppers.", {}, True),
        (ANN.model_copy(update={"gender": "male"}), "travel", "a weekend in Rome, with late suppers.", {}, False),
        (ANN.model_copy(update={"gender": "male"}), "gifts", "a present for a sister, for Sunday.", {}, True),
        (ANN, "gifts", "a present for a brother, for Sunday.", {}, False),
        (ANN, "seasons", "the first snow of January, with icy roads.", {}, False),
        (ANN, "sport", "a half-marathon, along the sea.", {"usage": "Formal"}, False),
        (ANN, "family", "a day at the zoo, with cousins.", {"gender": "Girls"}, True),
        (ANN.model_copy(update={"age": 70, "profession": "retired nurse"}), "work", "a new job, in town.", {}, False),
        (ANN.model_copy(update={"age": 60}), "study", "a semester abroad, in Rome.", {}, False),
        (ANN, "work", "a client meeting, on the top floor.", {"gender": "Girls"}, False),
    ],
)
def test_the_matcher(person: Person, family: str, scenario: str, attributes: dict[str, str], fits: bool) -> None:
    reply = Staff(SHOP).match(MatchInput(person, scenario, family, card(9, **attributes)), random.Random(0))
    assert (reply.person_fits and reply.scenario_fits) == fits, reply.reason


def test_presents_name_their_recipient() -> None:
    given = MatchInput(ANN, "a present for a sister, for Sunday.", "gifts", card(0))
    assert Staff(SHOP).match(given, random.Random(0)).recipient == Recipient(
        relation="sister", gender="female", child=False
    )


@pytest.mark.parametrize(
    ("rewrite", "same"),
    [
        ("I'd sooner have it in navy blue, not red.", True),
        ("I'd like it in red.", False),
        ("I'd like it in navy blue and silk, not red.", False),
        ("I'd like it in navy blue, red.", False),
        ("I'd like it in navy blue, not red, for 3 days.", False),
    ],
)
def test_the_check_compares_facts(rewrite: str, same: bool) -> None:
    given = CheckInput((("I'd like it in navy blue, not red.", rewrite),), ((),))
    assert Optimizer(SHOP).check(given, random.Random(0)).checks[0].same is same


def test_the_check_guards_product_names() -> None:
    given = CheckInput((("Try the Model 0 today.", "Try the model today."),), (("Model 0",),))
    assert not Optimizer(SHOP).check(given, random.Random(0)).checks[0].same


def test_cards_are_made_once(catalogue: Path) -> None:
    cards = Cards(Catalogue.open(catalogue))
    first = next(iter(Catalogue.open(catalogue))).id
    assert cards[first] is cards[first]
