"""The scenarios graph: expand from the pool, drop near-duplicates, until there are enough (MUSE §3.1).

Calls go out in rounds of a fixed number, and a round's examples come from earlier rounds only; so the pool does not
depend on how many calls are in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from synth.agents.scenario import Draft, expand, seeds
from synth.analysis.dedup import Deduplicator
from synth.corpora.records import Scenario
from synth.errors import Exit, SynthError
from synth.graphs.context import asker
from synth.llm.gateway import CallFailed, Gateway
from synth.randomness import rng

CALLS_PER_ROUND = 16
_IDLE_ROUNDS = 25
"""Rounds in a row without one new scenario after which the run stops."""


class State(TypedDict, total=False):
    round: int
    idle: int


@dataclass(slots=True)
class Pool:
    """The scenarios kept so far."""

    gateway: Gateway
    seed: int
    wanted: int
    duplicates: Deduplicator
    progress: Callable[[int], None]
    kept: list[Scenario] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    refused: int = 0


async def write(state: State, runtime: Runtime[Pool]) -> State:
    """One round of calls, all with examples from the pool as it was before it."""
    pool = runtime.context
    number = state["round"]
    known = list(pool.kept)

    async def one(call: int) -> list[Draft]:
        item = number * CALLS_PER_ROUND + call
        try:
            return await expand(
                known, asker(pool.gateway, "scenario", item), rng(pool.seed, "scenario", item), "expand"
            )
        except CallFailed:
            return []

    rounds = await asyncio.gather(*(one(call) for call in range(CALLS_PER_ROUND)))
    pool.drafts = [draft for drafts in rounds for draft in drafts]
    return {"round": number + 1}


async def keep(state: State, runtime: Runtime[Pool]) -> State:
    """Keeps what repeats nothing, in the order of the calls."""
    pool = runtime.context
    before = len(pool.kept)
    for draft in pool.drafts:
        if len(pool.kept) >= pool.wanted:
            break
        if pool.duplicates.offer(draft.text) is not None:
            pool.refused += 1
            continue
        number = f"s{len(pool.kept):05d}"
        pool.kept.append(
            Scenario(id=number, text=draft.text, family=draft.family, origin="generated", parents=draft.parents)
        )
    pool.progress(len(pool.kept))
    return {"idle": 0 if len(pool.kept) > before else state.get("idle", 0) + 1}


async def enough(state: State, runtime: Runtime[Pool]) -> Literal["write", "__end__"]:
    return (
        "__end__" if len(runtime.context.kept) >= runtime.context.wanted or state["idle"] >= _IDLE_ROUNDS else "write"
    )


@cache
def scenarios_graph() -> Any:
    graph = StateGraph(State, context_schema=Pool)
    graph.add_node("write", write)
    graph.add_node("keep", keep)
    graph.add_edge(START, "write")
    graph.add_edge("write", "keep")
    graph.add_conditional_edges("keep", enough, {"write": "write", "__end__": END})
    return graph.compile()


async def make_scenarios(
    gateway: Gateway, seed: int, wanted: int, threshold: float, progress: Callable[[int], None]
) -> list[Scenario]:
    """Seeds first, then generated ones, `wanted` in all.

    Raises:
        SynthError: the generator has run dry.
    """
    pool = Pool(gateway, seed, wanted, Deduplicator(threshold), progress)
    for scenario in seeds()[:wanted]:
        pool.duplicates.add(scenario.text)
        pool.kept.append(scenario)
    if len(pool.kept) < wanted:
        await scenarios_graph().ainvoke({"round": 0, "idle": 0}, context=pool, config={"recursion_limit": 1_000_000})
    if len(pool.kept) < wanted:
        raise SynthError(
            f"The scenario generator ran dry at {len(pool.kept)} of {wanted}: {pool.refused} repeated earlier ones.",
            "Ask for fewer --scenarios, or raise --duplicate.",
            Exit.LIMIT,
        )
    return pool.kept
