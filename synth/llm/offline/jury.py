"""The offline judge, labeller and writer: rules. They measure form, not taste, and say so where their word is shown."""

from __future__ import annotations

import random

from synth.llm.offline.shop import Shop, tokens
from synth.llm.offline.wishes import meets, understand
from synth.prompts.calls import (
    STEP,
    AspectsInput,
    AspectsOutput,
    Better,
    CompareInput,
    CompareOutput,
    ElementKind,
    ElementsInput,
    ElementsOutput,
    SentenceElements,
    Talk,
    WriteInput,
    WriteOutput,
)

_PICTURE_WORDS = frozenset("photo photograph picture pictures photos image images pictured shot snap".split())
_OWN: dict[str, ElementKind] = {"user": "requirement", "assistant": "explanation"}
_CLOSE = 0.1
"""Scores that are no further apart are a tie."""


class Jury:
    """Answers `judge.*`, `labeller.*` and `writer.*` calls."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def aspects(self, given: AspectsInput, rng: random.Random) -> AspectsOutput:
        return self._score(given.talk)

    def compare(self, given: CompareInput, rng: random.Random) -> CompareOutput:
        first, second = self._score(given.first), self._score(given.second)
        totals = [s.naturalness + s.coherence + s.informativeness + s.relevance for s in (first, second)]
        return CompareOutput(
            logical=_better(first.relevance, second.relevance),
            informative=_better(first.informativeness, second.informativeness),
            natural=_better(first.naturalness, second.naturalness),
            coherent=_better(first.coherence, second.coherence),
            overall=_better(*totals),
            reason=f"The rules score them {totals[0]:.2f} and {totals[1]:.2f}.",
        )

    def elements(self, given: ElementsInput, rng: random.Random) -> ElementsOutput:
        """What punctuation and speaker tell, and no more; the rules that statistics are made by read the words."""
        return ElementsOutput(
            sentences=[
                SentenceElements(number=s.number, elements=["question" if "?" in s.text else _OWN[s.speaker]])
                for s in given.sentences
            ]
        )

    def write(self, given: WriteInput, rng: random.Random) -> WriteOutput:
        """Words of the question at random, about half as many as there is room for: what knowing nothing scores."""
        words = given.text.split()
        return WriteOutput(answer=" ".join(rng.choices(words, k=max(1, given.max_tokens * 3 // 8))) if words else "")

    def _score(self, talk: Talk) -> AspectsOutput:
        lines = talk.lines
        wishes = understand(lines, self.shop)
        last = next((line.shown for line in reversed(lines) if line.shown), None)
        broken = sum(meets(last, a, v) is False for a, v in wishes.stated.items()) if last else 0
        said = [tokens(line.text) for line in lines]
        share = len({t[:2] for t in said}) / max(len(said), 1)
        words = sum(map(len, said)) / max(len(said), 1)
        alternating = sum(a.speaker != b.speaker for a, b in zip(lines, lines[1:], strict=False))
        pictured = sum(bool(_PICTURE_WORDS.intersection(t)) for t in said) / max(len(said), 1)
        return AspectsOutput(
            naturalness=_step(2 * share * min(1.0, words / 12) * min(1.0, 45 / max(words, 1))),
            coherence=_step(2 * alternating / max(len(lines) - 1, 1)),
            informativeness=_step(0.25 * len(wishes.stated) + words / 40),
            relevance=_step(2 - 0.4 * broken),
            image_text=_step(5 * pictured) if talk.pictures else None,
        )


def _better(first: float, second: float) -> Better:
    if abs(first - second) < _CLOSE:
        return "tie"
    return "first" if first > second else "second"


def _step(value: float) -> float:
    """Into 0 to 2, in steps."""
    return round(round(max(0.0, min(2.0, value)) / STEP) * STEP, 2)
