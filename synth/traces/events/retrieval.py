"""The querier's search and the reranker's choice."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record, Retrieval


class RetrievalEvent(Record):
    """Query, candidates with ranks and scores, excluded ids, and the one chosen."""

    kind: Literal["retrieval"] = "retrieval"
    step: str
    retrieval: Retrieval
    target_rank: int | None
    """Where the target stood among the candidates, from 0; None if it was not there."""
