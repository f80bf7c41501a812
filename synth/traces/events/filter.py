"""A draw that was refused."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record


class FilterEvent(Record):
    """The filter that refused a draw, or `failed`: its conversation could not be brought to an end."""

    kind: Literal["filter"] = "filter"
    filter: str
    reason: str
