"""The assistant's voice: it sees the conversation and the product the querier chose, nothing else (MUSE §3.3.2)."""

from __future__ import annotations

from synth.agents.dialogue import Ask, Dialogue
from synth.corpora.records import Retrieval
from synth.prompts import calls
from synth.prompts.calls import ChatReplyInput, ProductCard, RecommendInput, TalkInput


async def greet(dialogue: Dialogue, ask: Ask) -> None:
    reply = await ask(calls.GREET, TalkInput(dialogue.assistant_view()), f"{dialogue.step}.greet")
    dialogue.say("assistant", "greet", reply.text)


async def ask_back(dialogue: Dialogue, ask: Ask) -> None:
    reply = await ask(calls.ASK, TalkInput(dialogue.assistant_view()), f"{dialogue.step}.ask")
    dialogue.say("assistant", "ask", reply.text)


async def recommend(dialogue: Dialogue, ask: Ask, product: ProductCard, retrieval: Retrieval | None) -> None:
    """Recommends a product; without a retrieval it is the manager's hand-over."""
    given = RecommendInput(dialogue.assistant_view(), product, handed_over=retrieval is None)
    reply = await ask(calls.RECOMMEND, given, f"{dialogue.step}.recommend")
    dialogue.say("assistant", "recommend", reply.text, product=product, retrieval=retrieval)


async def chit_chat(dialogue: Dialogue, ask: Ask) -> None:
    shown = dialogue.last_shown
    given = ChatReplyInput(dialogue.assistant_view(), shown)
    reply = await ask(calls.CHAT_REPLY, given, f"{dialogue.step}.chit_chat")
    dialogue.say("assistant", "chit_chat", reply.text, product=shown)
