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

from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.graphs.shard import Shard
from synth.llm.gateway import SHARED
from synth.llm.provider import Usage
from synth.llm.structured import schema_text
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens
from synth.prompts.calls import CALLS, DIFFER, LOOK
from synth.prompts.templates import Prompts
from synth.traces.run import RunFolder

SAMPLE_CONVS = 100
_LATENCY = (0.7, 0.012)
"""Seconds of a reply: to the first token, and for each token; a hosted small model's, for the hours named."""
_SURPLUS = 1.1
"""Draws of a run in batches for each that it needs: replacements for rejections are drawn before those are known."""
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
    """Scenarios, captions and one accepted conversation."""
    waves: int
    """Batches of a generation of conversations, if sent in batches; descriptions and comparisons apart."""
    hours_online: float
    hours_batch: float
    batch: bool
    unpriced: tuple[str, ...]
    """Models that cost something, and nobody here knows how much; counted as nothing."""

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
    from synth.graphs.generation import generate, open_catalogue, settle
    from synth.graphs.models import open_pictures, open_providers, run_prices, unpriced_models

    catalogue = open_catalogue(options, progress)
    options, settings, run, resumed = settle(options, catalogue, Prompts(options.prompts, options.images))
    left = max(options.wanted - run.accepted(), 0) if resumed else options.wanted
    pictures = open_pictures(catalogue, settings)
    models = settings.model_names()
    names = {call: models[CALLS[call].role] for call in CALLS if CALLS[call].role in models}
    providers = open_providers(settings, catalogue, pictures, options)
    frozen = run.config().get("prices") if resumed else None
    prices = run_prices(settings, providers, replace(options, max_usd=None), frozen)
    unpriced = unpriced_models(settings, providers, options, frozen)
    sample = min(max(left, 1), SAMPLE_CONVS)
    progress.stage("estimating, with the offline simulator", sample)
    tally = _Tally()
    with tempfile.TemporaryDirectory(prefix="synth-estimate-", ignore_cleanup_errors=True) as folder:
        offline = replace(
            options,
            convs=sample,
            out=Path(folder) / "run",
            fresh=False,
            shard=Shard(),
            scenarios_from=None,
            llm="offline",
            rewriter=None,
            checker=None,
            judge=None,
            captioner="offline" if options.captioner else None,
            base_url=None,
            mode="online",
            max_usd=None,
            max_concurrency=0,
            rpm=0,
            tpm=0,
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
    # What is shared is needed once, however many conversations come: a catalogue runs out of new pictures, and a
    # target of products to be compared with.
    distinct = {LOOK.name: len(catalogue), DIFFER.name: len(catalogue) * options.k}
    batch = options.mode != "online"
    surplus = _SURPLUS if batch else 1.0

    def come_to(call: str, convs: float, once: float) -> Line:
        """What so many conversations need of a call, with `once` times what comes before them all."""
        sums = [0.0, 0.0, 0.0, 0.0]
        for stage, counts in tally.by_stage(call).items():
            factor = once
            if stage in ("profile", "conversation"):
                factor = surplus * convs / sample
            elif stage == SHARED:
                factor = _growth(counts[0], surplus * convs / sample, distinct[call])
            sums = [known + factor * count for known, count in zip(sums, counts, strict=True)]
        calls, read, seen, written = sums
        price = prices.get(str(names[call]))
        usd = price.cost(Usage(input=round(read), output=round(written)), batch=batch) if price else 0.0
        return Line(call, str(names[call]), calls, read, seen, written, usd)

    lines = tuple(come_to(call, left, 0.0 if resumed else 1.0) for call in tally.calls)
    waves = tally.depth("profile") + tally.depth("conversation")
    calls = sum(line.calls for line in lines)
    seconds = calls * _LATENCY[0] + sum(line.output_tokens for line in lines) * _LATENCY[1]
    at_once = min(options.in_flight, options.max_concurrency or options.in_flight)
    in_texts = sum(line.input_tokens - line.image_tokens for line in lines)
    minutes = max(calls / options.rpm if options.rpm else 0.0, in_texts / options.tpm if options.tpm else 0.0)
    generations = 1 + math.log(max(left, 1)) / math.log(10) * (1 - sample / max(drawn, 1))
    return Estimate(
        convs=left,
        sample=sample,
        lines=lines,
        usd_first=sum(come_to(call, 1, 1.0).usd for call in tally.calls),
        waves=waves,
        hours_online=max(seconds / at_once / 3600, minutes / 60),
        hours_batch=waves * generations * _BATCH_MINUTES / 60,
        batch=batch,
        unpriced=tuple(unpriced),
    )


class _Tally:
    """Calls, tokens read, image tokens and tokens written of a sample, by call and stage."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, list[int]]] = {}
        self._calls: dict[str, Counter[int]] = defaultdict(Counter)

    @property
    def calls(self) -> list[str]:
        return sorted(self._sums)

    def by_stage(self, call: str) -> dict[str, list[int]]:
        return self._sums[call]

    def add(self, stage: str, item: int, call: str, read: int, seen: int, written: int) -> None:
        sums = self._sums.setdefault(call, {}).setdefault(stage, [0, 0, 0, 0])
        for n, count in enumerate((1, read, seen, written)):
            sums[n] += count
        self._calls[stage][item] += 1

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
