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
    everything = _spending(store.sums(_SUMS, "''")).get("", Spending())
    return Cost(
        usd=everything.usd + sum(map(sum, without.values())),
        all=everything,
        by_call=_spending(store.sums(_SUMS, "call")),
        by_model=_spending(store.sums(_SUMS, "model")),
        by_stage=_spending(store.sums(_SUMS, "stage")),
        by_draw=_spending(
            store.sums(_SUMS, "printf('c%06d', item)", "stage IN ('profile', 'conversation')"),
        ),
        without_reply={kind: Spending(calls=len(costs), usd=sum(costs)) for kind, costs in sorted(without.items())},
        batches=len(store.waves()),
    )


def _spending(rows: Iterable[tuple[Any, ...]]) -> dict[str, Spending]:
    return {name: Spending(**dict(zip(Spending.model_fields, sums, strict=True))) for name, *sums in rows}
