"""Everything the report says of a run, read in one go: figures, samples, and how the run came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from synth.analysis.evaluation import FILE as JUDGEMENT
from synth.analysis.evaluation import Evaluation, read_evaluations
from synth.analysis.report.samples import Drawing, Sample, samples
from synth.analysis.statistics import SAMPLE, Statistics, statistics
from synth.corpora.catalogue import Catalogue, CatalogueInfo
from synth.corpora.readers import Dialogue, read
from synth.corpora.readers.run import dialogue
from synth.corpora.records import Conversation, Scenario
from synth.errors import SynthError
from synth.traces.cost import Cost, read_cost
from synth.traces.events import RunSpan
from synth.traces.judgements import latest_verdicts
from synth.traces.run import RunFolder

State = Literal["finished", "unfinished", "running"]
JUDGED = 4
"""Evaluations that are shown at most."""
SCORES = ("content_quality", "logical_fluency", "user_consistency")


@dataclass
class Review:
    """The reviewer's scores of the accepted conversations."""

    sums: Counter[str] = field(default_factory=Counter)
    totals: Counter[float] = field(default_factory=Counter)
    """Conversations by their total of 30."""

    def add(self, conversation: Conversation) -> None:
        for name in SCORES:
            self.sums[name] += getattr(conversation.scores, name)
        self.totals[conversation.scores.total] += 1

    def means(self) -> dict[str, float]:
        """Each of 10."""
        return {name: self.sums[name] / self.totals.total() for name in SCORES}


@dataclass(frozen=True)
class Log:
    """What the run's log knows of its making."""

    finished: bool
    wanted: int | None
    """`--convs`; None before the run knew it."""
    cost: Cost
    prompts: dict[str, str]
    """Hash of the prompt by agent call."""
    starts: tuple[RunSpan, ...]


@dataclass(frozen=True)
class Facts:
    """What the page is made of."""

    name: str
    state: State
    config: Mapping[str, Any]
    statistics: Statistics
    log: Log
    review: Review
    samples: list[Sample]
    catalogue: CatalogueInfo | None
    """None where the run's copy of it is gone."""
    people: Counter[str]
    """People's verdicts on conversations."""
    judged: list[Evaluation]
    """What judges said of it, the latest first."""

    @property
    def accepted(self) -> int:
        return self.statistics.size.conversations


def collect(run: RunFolder, *, tokens: int = SAMPLE) -> Facts:
    """
    Args:
        tokens: of the statistics' sample.

    Raises:
        SynthError: the run cannot be read, or has no conversation yet.
    """
    running = run.running()
    config = run.config()
    drawing, review = Drawing(int(config.get("seed", 0))), Review()

    def dialogues() -> Iterator[Dialogue]:
        for conversation in run.conversations():
            drawing.add(conversation)
            review.add(conversation)
            yield dialogue(conversation)

    # The rows are read once for everything, so that all figures are of the same conversations.
    figures = statistics(replace(read(run.path, "run"), dialogues=dialogues), tokens=tokens)
    shop = _catalogue(run)
    log = _log(run, running=running)
    return Facts(
        name=run.path.resolve().name,
        state="running" if running else "finished" if log.finished else "unfinished",
        config=config,
        statistics=figures,
        log=log,
        review=review,
        samples=samples(drawing.drawn(), _scenarios(run), shop),
        catalogue=shop.info if len(shop) else None,
        people=Counter(latest_verdicts(run.path).values()),
        judged=read_evaluations(run.path)[::-1][:JUDGED],
    )


def mark(run: Path) -> str:
    """What a report is of: the sizes of the files it reads, as it stands in the page."""
    names = ("conversations.jsonl", "rejected.jsonl", JUDGEMENT)
    return " ".join(str(path.stat().st_size) if (path := run / name).is_file() else "0" for name in names)


def _log(run: RunFolder, *, running: bool) -> Log:
    with closing(run.store()) as store:
        events = [event for n in store.results("run") for event in store.events("run", n)]
        return Log(
            finished=bool(store.meta("finished")) and run.accepted() >= (store.meta("convs") or 0),
            wanted=store.meta("convs"),
            cost=read_cost(store, running=running),
            prompts=dict(store.sums("group_concat(DISTINCT prompt)", "call")),
            starts=tuple(event for event in events if isinstance(event, RunSpan)),
        )


def _scenarios(run: RunFolder) -> dict[str, Scenario]:
    return {scenario.id: scenario for scenario in run.scenarios()}


def _catalogue(run: RunFolder) -> Catalogue:
    """The run's own copy; an empty one where it is gone."""
    try:
        return run.catalogue()
    except SynthError:
        return Catalogue(run.path / "catalogue", CatalogueInfo(name="", source=""), [], run.path / "images")
