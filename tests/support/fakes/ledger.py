"""What a server was asked, and what it billed, also for answers that never arrived."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple


class Usage(NamedTuple):
    """Tokens of one answer."""

    text: int
    """Of the prompt's texts."""
    image: int
    """Of its pictures."""
    cached: int
    """Of text and image: read from the prefix cache."""
    written: int
    """Of text and image: written to the prefix cache at a price of its own (Anthropic)."""
    output: int

    @property
    def input(self) -> int:
        return self.text + self.image


class Ledger:
    """Counts since the start or the last reset."""

    def __init__(self) -> None:
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)
        """By method and path, then by status; `dropped`, `half sent` and `left` (by the client) are statuses too."""
        self.faults: Counter[str] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.tokens: Counter[str] = Counter()
        self.usd = 0.0
        self.answers = 0
        """Billed."""
        self.in_batches = 0
        """Of `answers`."""
        self.arrived = 0
        """Of `answers`: those whose client was there to get all of it."""
        self.arrived_usd = 0.0
        self.missing = 0
        """Calls that the replayed run has no reply for."""
        self.calls: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        """By `Ask.key`: answers billed, and of these the usable ones that arrived."""

    def enter(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def leave(self) -> None:
        self.in_flight -= 1

    def bill(self, key: str, usage: Usage, prices: tuple[float, float, float], *, batch: bool = False) -> float:
        """Bills an answer and returns its US dollars. Cache writes cost a quarter more than input (Anthropic)."""
        full, cached, output = prices
        plain = usage.input - usage.cached - usage.written
        usd = (plain * full + usage.cached * cached + usage.written * full * 1.25 + usage.output * output) / 1e6
        usd *= 0.5 if batch else 1.0
        self.usd += usd
        self.answers += 1
        self.in_batches += batch
        self.calls[key][0] += 1
        self.tokens.update({"input": usage.input, **usage._asdict()})
        return usd

    def arrive(self, key: str, usd: float, *, usable: bool) -> None:
        """A billed answer has reached its client."""
        self.arrived += 1
        self.arrived_usd += usd
        self.calls[key][1] += usable

    def as_json(self) -> dict[str, Any]:
        """
        Returns:
            `requests` {method and path: {status: count}}; `faults` {name: count}; `in_flight` {now, most};
            `billed` {answers, in_batches, arrived, lost, usd, lost_usd, input, text, image, cached, written, output};
            `missing`; `calls` {key: [answers billed, usable ones that arrived]}; `repeated`, how many calls were
            asked again although a usable answer had arrived (Anthropic's have no seed, so equal prompts at two
            places of a run, as its greetings are, count as one call).
        """
        billed: dict[str, Any] = {
            "answers": self.answers,
            "in_batches": self.in_batches,
            "arrived": self.arrived,
            "lost": self.answers - self.arrived,
            "usd": self.usd,
            "lost_usd": self.usd - self.arrived_usd,
        }
        for name in ("input", *Usage._fields):
            billed[name] = self.tokens[name]
        return {
            "requests": {path: dict(counts) for path, counts in self.requests.items()},
            "faults": dict(self.faults),
            "in_flight": {"now": self.in_flight, "most": self.most_in_flight},
            "billed": billed,
            "missing": self.missing,
            "repeated": sum(usable > 1 for _, usable in self.calls.values()),
            "calls": dict(self.calls),
        }
