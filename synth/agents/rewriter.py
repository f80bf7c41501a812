"""The rewriter and its check: a turn's rewrite is kept only if it says the same (MUSE §3.4)."""

from __future__ import annotations

import random

from synth.agents.dialogue import Ask, Dialogue
from synth.llm.gateway import CallFailed
from synth.prompts import calls
from synth.prompts.calls import CheckInput, RewriteInput, Utterance
from synth.text import opening
from synth.traces.events import RewriteEvent


async def rewrite(dialogue: Dialogue, ask: Ask, *, colloquial: float, rng: random.Random) -> list[str]:
    """The conversation's texts after rewriting, by turn.

    Args:
        colloquial: chance that a user turn is rewritten in a colloquial register; assistants get a third of it.

    Raises:
        CallFailed: the rewriter or the check answered for another number of turns.
    """
    utterances = []
    for turn in dialogue.turns:
        titles = tuple(dialogue.cards[i].title for i in turn.products if dialogue.cards[i].title in turn.text)
        share = colloquial if turn.speaker == "user" else colloquial / 3
        utterances.append(Utterance(turn.speaker, turn.act, turn.text, rng.random() < share, titles))
    drafts = [u.text for u in utterances]
    texts = (await ask(calls.REWRITE, RewriteInput(tuple(utterances)), "rewrite")).texts
    if len(texts) != len(drafts):
        raise CallFailed(f"rewriter: {len(texts)} messages came back for {len(drafts)}")
    given = CheckInput(tuple(zip(drafts, texts, strict=True)), tuple(u.keep for u in utterances))
    checks = (await ask(calls.CHECK, given, "check")).checks
    if len(checks) != len(drafts):
        raise CallFailed(f"checker: {len(checks)} verdicts came back for {len(drafts)} pairs")
    final = []
    openings = {opening(turn.text) for turn in dialogue.turns if turn.act == "reject"}
    for turn, text, check in zip(dialogue.turns, texts, checks, strict=True):
        problem = ""
        if not check.same or not text.strip():
            problem = check.reason or ("the check failed" if text.strip() else "the rewrite is empty")
        if turn.act == "reject" and not problem and opening(text) != opening(turn.text):
            problem = "it opens like another rejection" if opening(text) in openings else ""
            openings.add(opening(text))
        final.append(turn.text if problem else text.strip())
        if problem or text != turn.text:
            dialogue.events.append(RewriteEvent(turn=turn.index, kept=bool(problem), rewrite=text, reason=problem))
    return final
