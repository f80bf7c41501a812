"""The judge: evaluation of finished conversations, never a filter (MUSE §4, Table 3)."""

from __future__ import annotations

from synth.agents.dialogue import Ask
from synth.prompts import calls
from synth.prompts.calls import AspectsInput, AspectsOutput, CompareInput, CompareOutput, Line


async def aspects(lines: tuple[Line, ...], ask: Ask, round_: int) -> AspectsOutput:
    """The five aspects, one independent round."""
    pictures = any(line.shown and line.shown.image for line in lines)
    return await ask(calls.ASPECTS, AspectsInput(lines, pictures), f"aspects.{round_}")


async def compare(first: tuple[Line, ...], second: tuple[Line, ...], ask: Ask, round_: int) -> CompareOutput:
    """Blind pairwise A/B, one order."""
    return await ask(calls.COMPARE, CompareInput(first, second), f"compare.{round_}")
