"""The user simulator: says why they shop, answers, turns down, chats, takes (MUSE §3.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from synth.agents.dialogue import Ask, Dialogue
from synth.llm.gateway import CallFailed
from synth.prompts import calls
from synth.prompts.calls import (
    AcceptInput,
    AnswerInput,
    Difference,
    JudgeFitInput,
    NeedInput,
    ProductCard,
    RejectInput,
    UserChatInput,
    records_differ,
)
from synth.text import opening

Compare = Callable[[ProductCard, ProductCard], Awaitable[tuple[Difference, ...]]]
"""(target, shown) → differences."""


async def need(dialogue: Dialogue, ask: Ask) -> None:
    given = NeedInput(dialogue.user_view(), dialogue.outfit)
    reply = await ask(calls.NEED, given, f"{dialogue.step}.need")
    dialogue.say("user", "need", reply.text, outfit=dialogue.outfit)


async def answer(dialogue: Dialogue, ask: Ask) -> None:
    reply = await ask(calls.ANSWER, AnswerInput(dialogue.user_view()), f"{dialogue.step}.answer")
    dialogue.say("user", "answer", reply.text)


async def chit_chat(dialogue: Dialogue, ask: Ask) -> None:
    shown = dialogue.last_shown
    reply = await ask(calls.USER_CHAT, UserChatInput(dialogue.user_view(), shown), f"{dialogue.step}.chit_chat")
    dialogue.say("user", "chit_chat", reply.text, product=shown)


async def fits(dialogue: Dialogue, ask: Ask) -> bool:
    """Whether the product on the table would do, judged by what was asked for, the target out of sight."""
    profile = dialogue.profile
    given = JudgeFitInput(
        profile.person, profile.recipient, profile.requirements, tuple(dialogue.lines), dialogue.last_shown
    )
    return (await ask(calls.JUDGE_FIT, given, f"{dialogue.step}.judge")).verdict


async def reject(dialogue: Dialogue, ask: Ask, compare: Compare | None = None) -> bool:
    """Turns the product down with its differences; False where there is none that matters.

    Args:
        compare: compares the pair once for all conversations, where one has to look; without it, and where the records
            alone show enough, the rejection compares for itself.
    """
    shown = dialogue.last_shown
    looks = compare is not None and not records_differ(dialogue.target, shown)
    differences = await compare(dialogue.target, shown) if compare and looks else None
    given = RejectInput(dialogue.user_view(), shown, tuple(dialogue.openings), differences)
    reply = await ask(calls.REJECT, given, f"{dialogue.step}.reject")
    if reply.reasons and opening(reply.text) in dialogue.openings:
        reply = await ask(calls.REJECT, given, f"{dialogue.step}.reject.again")
        if opening(reply.text) in dialogue.openings:
            raise CallFailed("user: two rejections open alike, and again when asked anew")
    if not reply.reasons or not reply.text.strip():
        return False
    dialogue.openings.append(opening(reply.text))
    dialogue.say("user", "reject", reply.text, product=shown)
    return True


async def accept(dialogue: Dialogue, ask: Ask) -> None:
    shown = dialogue.last_shown
    reply = await ask(calls.ACCEPT, AcceptInput(dialogue.user_view(), shown), f"{dialogue.step}.accept")
    dialogue.say("user", "accept", reply.text, product=shown)
