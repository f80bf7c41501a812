"""The profile generator: a person, a scenario and a product that fit, and the story that ties them (MUSE §3.2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from synth.agents.dialogue import Ask
from synth.agents.persons import draw_person
from synth.corpora.naming import names_product
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
    named = names_product(text, drawn.target.title, brand)
    return Story(text, (first, second), f"the backstory names the product ({named})" if named else None)
