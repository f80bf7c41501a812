"""The reviewer's verdict."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record, Scores


class ReviewEvent(Record):
    """Three scores, and whether their total reaches the run's threshold."""

    kind: Literal["review"] = "review"
    scores: Scores
    accepted: bool
    problems: tuple[str, ...]
