"""What a run has cost, from its reply log and its reservations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from synth.corpora.records import Record
from synth.traces.store import RunStore


class Spending(Record):
    """Calls and what they came to."""

    calls: int = 0
    input_tokens: int = 0
    """All that was read, cached and image tokens included."""
    cached_tokens: int = 0
    image_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    """Waiting for replies, summed."""
    usd: float = 0.0


class Cost(Record):
    """What a run has cost so far."""

    usd: float
    """All together: replies in the log, and tries that left none."""
    all: Spending
    """Replies in the log."""
    by_call: dict[str, Spending]
    by_model: dict[str, Spending]
    by_stage: dict[str, Spending]
    by_draw: dict[str, Spending]
    """Profile and conversation together, by the conversation's id."""
    without_reply: dict[str, Spending]
    """Tries that left no reply: `answered, of no use`, `lost (killed, timed out, connection broken)`, `under way`."""
    batches: int


_APART = "\x1f"
_SUMS = "count(*), sum(input_tokens), sum(cached_tokens), sum(image_tokens), sum(output_tokens), sum(seconds), sum(usd)"


def read_cost(store: RunStore, *, running: bool = False) -> Cost:
    """Adds up a run's store.

    Args:
        running: whether a process works on the run: what has no answer yet is then under way, and lost otherwise.
    """
    without: dict[str, list[float]] = {}
    for reservation in store.reservations():
        kind = {
            "failed": "answered, of no use",
            "lost": "lost (killed, timed out, connection broken)",
            "open": "under way" if running else "lost (killed, timed out, connection broken)",
        }[reservation.state]
        without.setdefault(kind, []).append(reservation.usd)
    # In one query, for a run that is at work writes between two.
    parts = store.sums(_SUMS, f"call || '{_APART}' || model || '{_APART}' || stage")
    everything = _spending(("all", *sums) for _, *sums in parts).get("all", Spending())
    by_call, by_model, by_stage = (
        _spending((name.split(_APART)[place], *sums) for name, *sums in parts) for place in range(3)
    )
    return Cost(
        usd=everything.usd + sum(map(sum, without.values())),
        all=everything,
        by_call=by_call,
        by_model=by_model,
        by_stage=by_stage,
        by_draw=_spending(
            store.sums(_SUMS, "printf('c%06d', item)", "stage IN ('profile', 'conversation')"),
        ),
        without_reply={kind: Spending(calls=len(costs), usd=sum(costs)) for kind, costs in sorted(without.items())},
        batches=len(store.waves()),
    )


def _spending(rows: Iterable[tuple[Any, ...]]) -> dict[str, Spending]:
    """Sums by name, in the names' order; rows of the same name are added up."""
    added: dict[str, list[Any]] = {}
    for name, *sums in rows:
        added[name] = [known + more for known, more in zip(added.get(name, [0] * len(sums)), sums, strict=True)]
    fields = Spending.model_fields
    return {name: Spending(**dict(zip(fields, sums, strict=True))) for name, sums in sorted(added.items())}
