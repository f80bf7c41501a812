"""How long things took: the run, a draw's part of it, one agent's step."""

from __future__ import annotations

from typing import Literal

from synth.corpora.records import Record


class RunSpan(Record):
    """One start of the run, until it ended or was stopped."""

    kind: Literal["run"] = "run"
    synth: str
    """Version."""
    started: float
    """Unix time."""
    seconds: float
    accepted: int
    """Conversations at its end."""
    ended: Literal["finished", "stopped", "failed"]
    reason: str = ""


class ItemSpan(Record):
    """A profile's or a conversation's making in one process; after a kill, the last process's."""

    kind: Literal["item"] = "item"
    started: float
    seconds: float
    outcome: str
    """`accepted`, or the filter that refused it."""
    calls: int
    logged: int
    """Of the calls: answered from the log, since an earlier process had asked."""


class AgentSpan(Record):
    """One agent's step: a call, its repair where one was needed, and the output it came to."""

    kind: Literal["agent"] = "agent"
    step: str
    """Turn and name, as in the call's place; `querier` works before the turn it belongs to is said."""
    agent: str
    started: float
    seconds: float
    """Waiting for a slot and for the reply included."""
    logged: bool
    """Whether the reply came from the log."""
