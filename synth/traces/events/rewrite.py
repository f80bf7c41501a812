"""What became of one turn's draft."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record


class RewriteEvent(Record):
    """The rewriter's text and the check's verdict; the draft and the final text are in the conversation."""

    kind: Literal["rewrite"] = "rewrite"
    turn: int
    kept: bool
    """True if the draft was kept because the check failed."""
    rewrite: str
    reason: str
