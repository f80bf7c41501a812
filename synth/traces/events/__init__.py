"""What happened in a run: typed events, told apart by `kind`, one noun a file.

Model calls are events too: the reply log holds them (`RunStore.calls`), with prompt, messages, pictures by hash,
parameters, usage, cost, latency and tries; an `AgentSpan` points at them by its step.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from synth.traces.events.choice import Choice, ChoiceEvent
from synth.traces.events.filter import FilterEvent
from synth.traces.events.retrieval import RetrievalEvent
from synth.traces.events.review import ReviewEvent
from synth.traces.events.rewrite import RewriteEvent
from synth.traces.events.span import AgentSpan, ItemSpan, RunSpan

__all__ = [
    "EVENT",
    "EVENTS",
    "AgentSpan",
    "Choice",
    "ChoiceEvent",
    "Event",
    "FilterEvent",
    "ItemSpan",
    "RetrievalEvent",
    "ReviewEvent",
    "RewriteEvent",
    "RunSpan",
]

Event = Annotated[
    RunSpan | ItemSpan | AgentSpan | RetrievalEvent | ChoiceEvent | RewriteEvent | ReviewEvent | FilterEvent,
    Field(discriminator="kind"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])
