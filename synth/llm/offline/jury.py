"""The offline judge: rules for the paper's five aspects. It measures form, not taste, and says so where it is shown."""

from __future__ import annotations

import random

from synth.llm.offline.shop import Shop, tokens
from synth.llm.offline.wishes import meets, understand
from synth.prompts.calls import AspectsInput, AspectsOutput, CompareInput, CompareOutput, Line

_PICTURE_WORDS = frozenset("photo photograph picture pictures photos image images pictured shot snap".split())


class Jury:
    """Answers `judge.*` calls."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def aspects(self, given: AspectsInput, rng: random.Random) -> AspectsOutput:
        lines = given.lines
        wishes = understand(lines, self.shop)
        last = next((line.shown for line in reversed(lines) if line.shown), None)
        broken = sum(meets(last, a, v) is False for a, v in wishes.stated.items()) if last else 0
        talk = [tokens(line.text) for line in lines]
        share = len({t[:2] for t in talk}) / max(len(talk), 1)
        words = sum(map(len, talk)) / max(len(talk), 1)
        alternating = sum(a.speaker != b.speaker for a, b in zip(lines, lines[1:], strict=False))
        pictured = sum(bool(_PICTURE_WORDS.intersection(t)) for t in talk) / max(len(talk), 1)
        return AspectsOutput(
            consistency=_step(2 - 0.4 * broken),
            naturalness=_step(2 * share * min(1.0, words / 12) * min(1.0, 45 / max(words, 1))),
            coherence=_step(2 * alternating / max(len(lines) - 1, 1)),
            informativeness=_step(0.25 * len(wishes.stated) + words / 40),
            image_use=_step(5 * pictured) if given.pictures else None,
        )

    def compare(self, given: CompareInput, rng: random.Random) -> CompareOutput:
        first, second = (self._total(lines, rng) for lines in (given.first, given.second))
        if abs(first - second) < 0.1:
            return CompareOutput(winner="tie", reason="The rules score both alike.")
        winner = "first" if first > second else "second"
        return CompareOutput.model_validate(
            {"winner": winner, "reason": f"The rules score them {first:.2f} and {second:.2f}."}
        )

    def _total(self, lines: tuple[Line, ...], rng: random.Random) -> float:
        scores = self.aspects(AspectsInput(lines, False), rng)
        return scores.consistency + scores.naturalness + scores.coherence + scores.informativeness


def _step(value: float) -> float:
    """Into 0 to 2, in steps of 0.05."""
    return round(max(0.0, min(2.0, value)) * 20) / 20
