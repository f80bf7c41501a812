"""The judge: evaluation of finished conversations, never a filter (MUSE §4, Table 3)."""

from __future__ import annotations

from synth.agents.dialogue import Ask
from synth.prompts import calls
from synth.prompts.calls import AspectsInput, AspectsOutput, CompareInput, CompareOutput, Talk


async def score(talk: Talk, ask: Ask, round_: int) -> AspectsOutput:
    """The five aspects, one independent round; without pictures there is nothing to say of the fifth."""
    scores = await ask(calls.ASPECTS, AspectsInput(talk), f"aspects.{round_}")
    return scores if talk.pictures else scores.model_copy(update={"image_text": None})


async def compare(first: Talk, second: Talk, ask: Ask, order: str) -> CompareOutput:
    """Which of two is better, in one order.

    Args:
        order: `ab`, or `ba` for the same pair the other way round.
    """
    return await ask(calls.COMPARE, CompareInput(first, second), f"compare.{order}")
