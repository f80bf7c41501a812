"""What a fake server can be told, at its start or while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Settings:
    """Every field is a flag of the command line, an argument of `Fake`, and a key of `POST /_fake/set`."""

    latency: tuple[float, float] = (0.0, 0.0)
    """Seconds from a request to its answer, drawn evenly between the two; `0.2` or `0.1:0.4`."""
    answers: str = "scripted"
    """`scripted` or `replay`."""
    replay: str = ""
    """The run.db to answer from; its run's config.toml lies beside it."""
    faults: dict[str, Any] = field(default_factory=dict)
    """See `faults.Faults`."""
    key: str = ""
    """The only key that is let in; empty for any."""
    capacity: int = 0
    """Calls answered at the same time, others queue, as at a self-hosted server; 0 for any number."""
    rpm: float = 0.0
    """Calls a minute, above which come 429s; 0 for any number."""
    models: tuple[str, ...] = ()
    """The only models there are; empty for any."""
    blind: tuple[str, ...] = ()
    """Models that take no pictures."""
    context: int = 0
    """Tokens that prompt and answer may have together; 0 for any number."""
    refuse: tuple[str, ...] = ()
    """Fields of a body that are refused with a 400, e.g. `response_format`, `temperature`, `seed`."""
    prices: tuple[float, float, float] = (0.15, 0.075, 0.60)
    """US dollars a million tokens: input, cached input, output. Batches cost half."""
    batch_delay: float = 0.2
    """Seconds from a batch's creation to its end."""
    batch_rows: int = 50_000
    """Rows that a batch may have."""
    batch_tokens: int = 0
    """Input tokens that all unfinished batches may have together; 0 for any number."""

    def change(self, name: str, value: Any) -> None:
        """Sets a field from its text, or from JSON.

        Raises:
            ValueError: there is no such field, or it cannot have this value.
        """
        if name not in _READ:
            raise ValueError(f"no such setting: {name}")
        setattr(self, name, _READ[name](value))


def _pair(value: Any) -> tuple[float, float]:
    if isinstance(value, str):
        value = [float(part) for part in value.split(":")]
    low, high = (value, value) if isinstance(value, int | float) else (value[0], value[-1])
    return float(low), float(high)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, value.split(",") if isinstance(value, str) else value))


def _prices(value: Any) -> tuple[float, float, float]:
    cash = [float(part) for part in (value.split(",") if isinstance(value, str) else value)]
    full, cached, output = cash
    return full, cached, output


def _object(value: Any) -> dict[str, Any]:
    return dict(json.loads(value) if isinstance(value, str) else value)


_READERS: dict[str, Callable[[Any], Any]] = {"latency": _pair, "faults": _object, "prices": _prices}
_BY_TYPE: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float, "tuple[str, ...]": _names}
_READ = {one.name: _READERS.get(one.name) or _BY_TYPE[str(one.type)] for one in fields(Settings)}
