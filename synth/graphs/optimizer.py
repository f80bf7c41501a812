"""The optimizer graph: rewrite, check, review (MUSE §3.4)."""

from __future__ import annotations

from functools import cache
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from synth.agents import reviewer, rewriter
from synth.graphs.context import Context


class State(TypedDict, total=False):
    accepted: bool


async def rewrite(state: State, runtime: Runtime[Context]) -> State:
    """Rewrites every turn and keeps the drafts of those whose facts changed."""
    context = runtime.context
    colloquial = context.rules.colloquial
    context.texts = await rewriter.rewrite(
        context.dialogue, context.ask, colloquial=colloquial, rng=context.random("register")
    )
    return {}


async def review(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    assert context.ended_by is not None
    context.review = await reviewer.review(
        context.dialogue,
        context.ask,
        context.texts,
        context.dialogue.last_shown,
        context.ended_by,
        context.rules.threshold,
    )
    return {"accepted": context.review.accepted}


@cache
def optimizer_graph() -> Any:
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("rewrite", rewrite)
    graph.add_node("review", review)
    graph.add_edge(START, "rewrite")
    graph.add_edge("rewrite", "review")
    graph.add_edge("review", END)
    return graph.compile()
