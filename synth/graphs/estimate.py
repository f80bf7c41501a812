"""What a run will cost, before a cent is spent: the offline simulator plays its first conversations.

Every prompt of the sample is rendered as it would be sent, so calls, prompts and pictures are the run's own. Lengths
of answers are the simulator's; a chattier model costs more, and a run that rejects more draws needs more of them.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from synth.graphs.options import Options, resolve
from synth.graphs.progress import Progress
from synth.llm.gateway import SHARED
from synth.llm.provider import Usage
from synth.llm.structured import schema_text
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens
from synth.prompts.calls import CALLS
from synth.prompts.templates import Prompts
from synth.traces.run import RunFolder

SAMPLE_CONVS = 100
_LATENCY = (0.7, 0.012)
"""Seconds of a reply: to the first token, and for each token; a hosted small model's, for the hours named."""
_BATCH_MINUTES = 20
"""Of one batch; both providers say that most end within the hour."""


@dataclass(frozen=True)
class Line:
    """What one agent call comes to over the whole run."""

    call: str
    model: str
    calls: float
    input_tokens: float
    image_tokens: float
    output_tokens: float
    usd: float


@dataclass(frozen=True)
class Estimate:
    """A run as it is expected."""

    convs: int
    """Conversations still to come."""
    sample: int
    lines: tuple[Line, ...]
    usd_first: float
    """Scenarios and one accepted conversation."""
    waves: int
    """Batches of a generation of conversations, if sent in batches."""
    hours_online: float
    hours_batch: float
    batch: bool
    known: bool
    """Whether the prices of all models are known."""

    @property
    def calls(self) -> float:
        return sum(line.calls for line in self.lines)

    @property
    def input_tokens(self) -> float:
        """Pictures included."""
        return sum(line.input_tokens for line in self.lines)

    @property
    def image_tokens(self) -> float:
        return sum(line.image_tokens for line in self.lines)

    @property
    def output_tokens(self) -> float:
        return sum(line.output_tokens for line in self.lines)

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)


def estimate(options: Options, progress: Progress) -> Estimate:
    """Plays a sample and counts.

    Raises:
        SynthError: the options are not those of a run that could start.
    """
    from synth.graphs.generation import find_run, generate, open_catalogue
    from synth.graphs.models import open_pictures, open_providers, run_prices

    catalogue = open_catalogue(options, progress)
    settings = resolve(options, catalogue, Prompts(options.prompts, options.images))
    run, resumed = find_run(options, settings, catalogue)
    left = max(options.convs - run.accepted(), 0) if resumed else options.convs
    pictures = open_pictures(catalogue, settings)
    models = settings.model_names()
    names = {call: models[CALLS[call].role] for call in CALLS if CALLS[call].role in models}
    prices = run_prices(
        settings,
        open_providers(settings, catalogue, pictures, options),
        replace(options, max_usd=None),
        run.config().get("prices") if resumed else None,
    )
    sample = min(max(left, 1), SAMPLE_CONVS)
    progress.stage("estimating, with the offline simulator", sample)
    tally = _Tally()
    with tempfile.TemporaryDirectory(prefix="synth-estimate-", ignore_cleanup_errors=True) as folder:
        offline = replace(
            options,
            convs=sample,
            out=Path(folder) / "run",
            fresh=False,
            llm="offline",
            rewriter=None,
            checker=None,
            captioner="offline" if options.captioner else None,
            base_url=None,
            mode="online",
            max_usd=None,
        )
        drawn = generate(offline, _Forward(progress)).totals.drawn
        with closing(RunFolder(offline.out or Path()).store()) as store:
            for row in store.calls():
                name = names[row.call]
                texts = sum(estimate_tokens(text) + MESSAGE_TOKENS for text in row.messages)
                seen = pictures.tokens(row.images, name) if name.provider != "offline" else 0
                output: type[BaseModel] = CALLS[row.call].output
                read = texts + estimate_tokens(schema_text(output)) + seen
                tally.add(row.place.stage, row.place.item, row.call, read, seen, estimate_tokens(row.reply))
    distinct = len(catalogue)
    batch = options.mode != "online"

    def line(call: str, factors: dict[str, float]) -> Line:
        counts = [0.0, 0.0, 0.0, 0.0]
        for stage, factor in factors.items():
            for n, count in enumerate(tally.sums[stage, call]):
                counts[n] += factor * count
        calls, read, seen, written = counts
        price = prices.get(str(names[call]))
        usd = price.cost(Usage(input=round(read), output=round(written)), batch=batch) if price else 0.0
        return Line(call, str(names[call]), calls, read, seen, written, usd)

    factors = {
        "scenario": 0.0 if resumed else 1.0,
        "caption": 0.0 if resumed else 1.0,
        "profile": left / sample,
        "conversation": left / sample,
        # What is shared is needed once, however many conversations come: a catalogue runs out of new pictures.
        SHARED: _growth(tally.items(SHARED), left / sample, distinct),
    }
    one = {**factors, "profile": 1 / sample, "conversation": 1 / sample, SHARED: 1 / sample}
    called = sorted({call for _, call in tally.sums})
    lines = tuple(line(call, factors) for call in called)
    waves = tally.depth("profile") + tally.depth("conversation")
    tokens = sum(line.output_tokens for line in lines)
    seconds = sum(line.calls for line in lines) * _LATENCY[0] + tokens * _LATENCY[1]
    at_once = min(options.in_flight, options.max_concurrency or options.in_flight)
    by_rate = sum(line.calls for line in lines) / options.rpm / 60 if options.rpm else 0.0
    generations = 1 + math.log(max(left, 1)) / math.log(10) * (1 - sample / max(drawn, 1))
    return Estimate(
        convs=left,
        sample=sample,
        lines=lines,
        usd_first=sum(line(call, one).usd for call in called),
        waves=waves,
        hours_online=max(seconds / at_once / 3600, by_rate),
        hours_batch=waves * generations * _BATCH_MINUTES / 60,
        batch=batch,
        known=all(name.provider == "offline" or str(name) in prices for name in models.values()),
    )


class _Tally:
    """Calls, tokens read, image tokens and tokens written of a sample, by stage and call."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._calls: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, stage: str, item: int, call: str, read: int, seen: int, written: int) -> None:
        for n, count in enumerate((1, read, seen, written)):
            self.sums[stage, call][n] += count
        self._calls[stage][item] += 1

    def items(self, stage: str) -> int:
        return sum(self._calls[stage].values())

    def depth(self, stage: str) -> int:
        """Calls of the item with the most: an item's calls follow each other."""
        return max(self._calls[stage].values(), default=0)


def _growth(seen: int, factor: float, distinct: int) -> float:
    """How many times more different things are met, if so many were in a sample and there are `distinct` in all."""
    if not seen:
        return 1.0
    share = min(seen / distinct, 0.999)
    met = -math.log(1 - share) * factor
    return (1 - math.exp(-met)) * distinct / seen


class _Forward(Progress):
    """Shows the sample's conversations only."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def advance(self, done: int) -> None:
        if self._name == "conversations":
            self._progress.advance(done)

    def note(self, text: str) -> None:
        return None
