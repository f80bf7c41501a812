"""The profiles graph: match the draw, write its backstory (MUSE §3.2). De-duplication is decided by the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from synth.agents import profile as agent
from synth.agents.dialogue import Ask
from synth.corpora.records import Recipient, UserProfile


class State(TypedDict, total=False):
    fits: bool


@dataclass(slots=True)
class Surroundings:
    """One draw, and what becomes of it."""

    id: str
    drawn: agent.Draw
    brand: str | None
    ask: Ask
    recipient: Recipient | None = None
    profile: UserProfile | None = None
    filter: str = ""
    reason: str = ""


async def match(state: State, runtime: Runtime[Surroundings]) -> State:
    here = runtime.context
    verdict = await agent.match(here.drawn, here.ask)
    here.recipient = verdict.recipient
    if not verdict.fits:
        here.filter, here.reason = "match", verdict.reason
    return {"fits": verdict.fits}


async def backstory(state: State, runtime: Runtime[Surroundings]) -> State:
    here = runtime.context
    story = await agent.backstory(here.drawn, here.recipient, here.brand, here.ask)
    if story.problem:
        here.filter, here.reason = "backstory", story.problem
        return {}
    here.profile = UserProfile(
        id=here.id,
        person=here.drawn.person,
        scenario_id=here.drawn.scenario.id,
        target_id=here.drawn.target.id,
        recipient=here.recipient,
        backstory=story.backstory,
        requirements=story.requirements,
    )
    return {}


async def after_match(state: State) -> Literal["backstory", "__end__"]:
    return "backstory" if state["fits"] else "__end__"


@cache
def profiles_graph() -> Any:
    graph = StateGraph(State, context_schema=Surroundings)
    graph.add_node("match", match)
    graph.add_node("backstory", backstory)
    graph.add_edge(START, "match")
    graph.add_conditional_edges("match", after_match, {"backstory": "backstory", "__end__": END})
    graph.add_edge("backstory", END)
    return graph.compile()
