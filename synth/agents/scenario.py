"""The scenario generator: self-instruct from hand-written seeds, without near-duplicates (MUSE §3.1)."""

from __future__ import annotations

import random
from functools import cache
from importlib import resources
from typing import NamedTuple

from synth.agents.dialogue import Ask
from synth.corpora.records import Scenario
from synth.prompts import calls
from synth.prompts.calls import ExpandInput

EXAMPLES = 5
PER_CALL = 4
_LONGEST = 60
"""Words."""


class Draft(NamedTuple):
    """A generated scenario before de-duplication."""

    text: str
    family: str
    parents: tuple[str, ...]


@cache
def seeds() -> tuple[Scenario, ...]:
    """The hand-written pool: a few scenarios in each family, the families taking turns."""
    text = (resources.files(__package__) / "seeds.txt").read_text("utf-8")
    families: dict[str, list[str]] = {}
    family = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("@"):
            family = line[1:]
        elif not line.startswith("#"):
            families.setdefault(family, []).append(line)
    turns = [
        (name, lines[n])
        for n in range(max(map(len, families.values())))
        for name, lines in families.items()
        if n < len(lines)
    ]
    return tuple(Scenario(id=f"s{n:05d}", text=t, family=f, origin="seed") for n, (f, t) in enumerate(turns))


async def expand(pool: list[Scenario], ask: Ask, rng: random.Random, step: str) -> list[Draft]:
    """New scenarios of one family, after examples from the pool: mostly of that family, one from another."""
    family = rng.choice(sorted({scenario.family for scenario in pool}))
    same = [s for s in pool if s.family == family]
    other = [s for s in pool if s.family != family]
    examples = rng.sample(same, min(EXAMPLES - 1, len(same))) + rng.sample(other, min(1, len(other)))
    given = ExpandInput(family, tuple(s.text for s in examples), PER_CALL)
    reply = await ask(calls.EXPAND, given, step)
    parents = tuple(s.id for s in examples)
    texts = (" ".join(text.split()) for text in reply.scenarios[:PER_CALL])
    return [Draft(text, family, parents) for text in texts if 3 <= len(text.split()) <= _LONGEST]
