"""What happened besides model calls: typed events, one per decision, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from synth.corpora.records import Record, Retrieval, Scores

Choice = Literal["multimodal", "text", "chit_chat", "react", "settle", "hand_over"]


class RetrievalEvent(Record):
    """The querier's search and the reranker's choice."""

    kind: Literal["retrieval"] = "retrieval"
    step: str
    retrieval: Retrieval
    target_rank: int | None
    """Where the target stood among the candidates, from 0; None if it was not there."""


class ChoiceEvent(Record):
    """A decision of the manager."""

    kind: Literal["choice"] = "choice"
    step: str
    choice: Choice
    reason: str


class RewriteEvent(Record):
    """What became of one turn's draft."""

    kind: Literal["rewrite"] = "rewrite"
    turn: int
    kept: bool
    """True if the draft was kept because the check failed."""
    rewrite: str
    reason: str


class ReviewEvent(Record):
    """The reviewer's verdict."""

    kind: Literal["review"] = "review"
    scores: Scores
    accepted: bool
    problems: tuple[str, ...]


class FilterEvent(Record):
    """A draw that was refused, or whose conversation could not be brought to an end."""

    kind: Literal["filter"] = "filter"
    filter: str
    reason: str


Event = Annotated[RetrievalEvent | ChoiceEvent | RewriteEvent | ReviewEvent | FilterEvent, Field(discriminator="kind")]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
