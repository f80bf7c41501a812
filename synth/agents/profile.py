"""The profile generator: a person, a scenario and a product that fit, and the story that ties them (MUSE §3.2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from synth.agents.dialogue import Ask
from synth.agents.persons import draw_person
from synth.corpora.attributes import words
from synth.corpora.records import Gender, Person, Recipient, Requirement, Scenario
from synth.prompts import calls
from synth.prompts.calls import BackstoryInput, MatchInput, ProductCard

_SAME_GENDER = 0.9
"""Share of draws in which the buyer has the wearer's gender, where the product has one."""


class Draw(NamedTuple):
    """Who, why, and which product: drawn, not yet judged."""

    person: Person
    scenario: Scenario
    target: ProductCard


class Match(NamedTuple):
    fits: bool
    recipient: Recipient | None
    reason: str


class Story(NamedTuple):
    backstory: str
    requirements: tuple[Requirement, Requirement]
    problem: str | None
    """Why it cannot be used, if so."""


def draw(rng: random.Random, scenarios: Sequence[Scenario], target: ProductCard) -> Draw:
    worn = target.wearer
    gender: Gender | None = None
    if worn and worn.gender and not worn.child:
        other: Gender = "male" if worn.gender == "female" else "female"
        gender = worn.gender if rng.random() < _SAME_GENDER else other
    return Draw(draw_person(rng, gender), rng.choice(scenarios), target)


async def match(drawn: Draw, ask: Ask) -> Match:
    """Judges person and product, scenario and product, with the product itself in view."""
    given = MatchInput(drawn.person, drawn.scenario.text, drawn.scenario.family, drawn.target)
    reply = await ask(calls.MATCH, given, "match")
    return Match(reply.person_fits and reply.scenario_fits, reply.recipient, reply.reason)


async def backstory(drawn: Draw, recipient: Recipient | None, brand: str | None, ask: Ask) -> Story:
    """The purchase backstory with its two requirements; one that names the product is not used."""
    given = BackstoryInput(drawn.person, recipient, drawn.scenario.text, drawn.target)
    reply = await ask(calls.BACKSTORY, given, "backstory")
    first, second = reply.requirements
    text = " ".join(reply.backstory.split())
    named = names_product(text, drawn.target, brand)
    return Story(text, (first, second), f"the backstory names the product ({named})" if named else None)


def names_product(text: str, card: ProductCard, brand: str | None) -> str | None:
    """What of the product a backstory gives away: its title, its brand, or four words of its title in a row."""
    ours = words(text)
    joined = f" {' '.join(ours)} "
    title = words(card.title)
    if brand and len(brand) > 2 and f" {' '.join(words(brand))} " in joined and brand in text:
        return f"brand {brand}"
    runs = [title] if len(title) < 4 else [title[i : i + 4] for i in range(len(title) - 3)]
    for run in runs:
        if len(run) > 1 and f" {' '.join(run)} " in joined:
            return " ".join(run)
    return None
