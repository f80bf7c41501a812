"""The rewriter and its check: a turn's rewrite is kept only if it says the same (MUSE §3.4)."""

from __future__ import annotations

import random

from synth.agents.dialogue import Ask, Dialogue
from synth.llm.gateway import CallFailed
from synth.prompts import calls
from synth.prompts.calls import CheckInput, RewriteInput, Utterance
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
    for n, (draft, text, check) in enumerate(zip(drafts, texts, checks, strict=True)):
        same = check.same and bool(text.strip())
        final.append(text.strip() if same else draft)
        if not same or text != draft:
            dialogue.events.append(RewriteEvent(turn=n, kept=not same, rewrite=text, reason=check.reason))
    return final
