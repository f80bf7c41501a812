"""The reviewer: scores a finished conversation; a threshold on the total accepts or rejects it (MUSE §3.4)."""

from __future__ import annotations

from synth.agents.dialogue import Ask, Dialogue
from synth.corpora.records import Ending, Scores
from synth.prompts import calls
from synth.prompts.calls import Line, ProductCard, ReviewInput
from synth.traces.events import ReviewEvent


async def review(
    dialogue: Dialogue, ask: Ask, texts: list[str], accepted: ProductCard, ending: Ending, threshold: float
) -> ReviewEvent:
    """Reviews the rewritten conversation.

    Args:
        texts: the final text of every turn.
        threshold: smallest accepted total of the three scores, 0 to 30.
    """
    lines = tuple(
        Line(line.speaker, line.act, text, line.shown, line.outfit)
        for line, text in zip(dialogue.lines, texts, strict=True)
    )
    reply = await ask(calls.REVIEW, ReviewInput(dialogue.user_view(lines), accepted, ending), "review")
    scores = Scores(
        content_quality=reply.content_quality,
        logical_fluency=reply.logical_fluency,
        user_consistency=reply.user_consistency,
    )
    event = ReviewEvent(scores=scores, accepted=scores.total >= threshold, problems=tuple(reply.problems))
    dialogue.events.append(event)
    return event
