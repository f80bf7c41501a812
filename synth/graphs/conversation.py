"""The conversation graph: a ring of acts, one super-step each (MUSE Fig. 2).

`greet → need → ask → answer → query → recommend → (judge → accept | reject) → …`, with chit-chat now and then after
a recommendation, and the target handed over at the round limit.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from synth.agents import chatter, manager, querier, user
from synth.corpora.records import Ending
from synth.graphs.context import Context
from synth.llm.gateway import CallFailed

MAX_STEPS = 60
"""Super-steps a conversation can have at most, with a margin; LangGraph stops one that exceeds it."""


class State(TypedDict, total=False):
    """Ids and counters only."""

    recommended: int
    product: str
    verdict: Literal["accept", "reject"]
    ended_by: Ending


async def greet(state: State, runtime: Runtime[Context]) -> State:
    await chatter.greet(runtime.context.dialogue, runtime.context.ask)
    return {"recommended": 0}


async def need(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    rng = context.random("outfit")
    await manager.open_with_outfit(context.dialogue, context.ask, context.cards, context.product_ids, rng)
    await user.need(context.dialogue, context.ask)
    return {}


async def ask(state: State, runtime: Runtime[Context]) -> State:
    await chatter.ask_back(runtime.context.dialogue, runtime.context.ask)
    return {}


async def answer(state: State, runtime: Runtime[Context]) -> State:
    await user.answer(runtime.context.dialogue, runtime.context.ask)
    return {}


async def query(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    rules = context.rules
    found = await querier.choose(context.dialogue, context.ask, context.search, k=rules.k, rerank=rules.rerank)
    context.retrieval = found
    return {"product": found.chosen}


async def recommend(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    product = context.cards[state["product"]]
    await chatter.recommend(context.dialogue, context.ask, product, context.retrieval)
    return {"recommended": state["recommended"] + 1}


async def chit_chat(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    context.note("chit_chat", "drawn beforehand")
    await user.chit_chat(context.dialogue, context.ask)
    return {}


async def reply(state: State, runtime: Runtime[Context]) -> State:
    await chatter.chit_chat(runtime.context.dialogue, runtime.context.ask)
    return {}


async def judge(state: State, runtime: Runtime[Context]) -> State:
    """`hit` is a matter of ids; `fit` is judged, once the manager's schedule lets the user settle."""
    context = runtime.context
    if state["product"] == context.dialogue.target.id:
        return {"verdict": "accept", "ended_by": "hit"}
    settles = context.rules.accept == "fit" and state["recommended"] >= context.schedule.settle_from
    context.note("settle" if settles else "react", f"may settle from recommendation {context.schedule.settle_from} on")
    if settles and await user.fits(context.dialogue, context.ask):
        return {"verdict": "accept", "ended_by": "fit"}
    return {"verdict": "reject"}


async def reject(state: State, runtime: Runtime[Context]) -> State:
    """A user who finds no difference that matters takes the product after all, if it meets what they asked for."""
    context = runtime.context
    if await user.reject(context.dialogue, context.ask, context.compare):
        return {"verdict": "reject"}
    if context.rules.accept == "target" or not await user.fits(context.dialogue, context.ask):
        raise CallFailed("user: neither rejects nor accepts the product")
    return {"verdict": "accept", "ended_by": "fit"}


async def accept(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    await user.accept(context.dialogue, context.ask)
    context.ended_by = state["ended_by"]
    return {}


async def hand_over(state: State, runtime: Runtime[Context]) -> State:
    """The round limit: the manager gives the assistant the target, and the conversation is marked as forced."""
    context = runtime.context
    context.note("hand_over", "round limit")
    await chatter.recommend(context.dialogue, context.ask, context.dialogue.target, None)
    return {"ended_by": "forced", "product": context.dialogue.target.id}


async def after_recommendation(state: State, runtime: Runtime[Context]) -> Literal["chit_chat", "judge"]:
    return "chit_chat" if runtime.context.schedule.chit_chat[state["recommended"] - 1] else "judge"


async def after_judgement(state: State) -> Literal["accept", "reject"]:
    return state["verdict"]


async def after_rejection(state: State, runtime: Runtime[Context]) -> Literal["accept", "query", "hand_over"]:
    if state["verdict"] == "accept":
        return "accept"
    return "query" if state["recommended"] < runtime.context.schedule.recommendations - 1 else "hand_over"


@cache
def conversation_graph() -> Any:
    """The compiled graph: no checkpointer and no retry policy, both live in the gateway."""
    graph = StateGraph(State, context_schema=Context)
    nodes = (greet, need, ask, answer, query, recommend, chit_chat, reply, judge, reject, accept, hand_over)
    for node in nodes:
        graph.add_node(node.__name__, node)
    for one, next_one in (
        (START, "greet"),
        ("greet", "need"),
        ("need", "ask"),
        ("ask", "answer"),
        ("answer", "query"),
        ("query", "recommend"),
        ("chit_chat", "reply"),
        ("reply", "judge"),
        ("hand_over", "accept"),
        ("accept", END),
    ):
        graph.add_edge(one, next_one)
    graph.add_conditional_edges("recommend", after_recommendation)
    graph.add_conditional_edges("judge", after_judgement)
    graph.add_conditional_edges("reject", after_rejection)
    return graph.compile()
