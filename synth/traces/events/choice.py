"""A decision of the manager."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record

Choice = Literal["multimodal", "text", "chit_chat", "react", "settle", "hand_over"]


class ChoiceEvent(Record):
    """What the manager decided, and why."""

    kind: Literal["choice"] = "choice"
    step: str
    choice: Choice
    reason: str
