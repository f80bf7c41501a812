"""The funnel of all filters with their pass rates (MUSE, Fig. 9), read from a run's rows and log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from synth.corpora.records import Rejected
from synth.prompts.calls import EXPAND, OUTFIT, ScenariosOutput
from synth.traces.events import ChoiceEvent, RewriteEvent
from synth.traces.judgements import latest_verdicts
from synth.traces.run import RunFolder
from synth.traces.store import RunStore

Level = Literal["scenario", "profile", "conversation", "outfit", "turn"]
_REASONS = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """One filter."""

    name: str
    what: str
    """What it asks, in a few words."""
    level: Level
    """What goes through it."""
    entered: int
    passed: int
    reasons: dict[str, int] = field(default_factory=dict)
    """The commonest reasons for refusing."""
    filters: bool = True
    """False for choices that throw nothing away."""

    @property
    def rate(self) -> float | None:
        """Share that passed; None where nothing entered."""
        return self.passed / self.entered if self.entered else None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "what": self.what,
            "level": self.level,
            "entered": self.entered,
            "passed": self.passed,
            "rate": self.rate,
            "filters": self.filters,
            "reasons": self.reasons,
        }


@dataclass(frozen=True, slots=True)
class Funnel:
    """All filters of a run, in the order in which they are met."""

    stages: tuple[Stage, ...]
    draws: int
    """Persons, scenarios and products drawn together."""
    profiles: int
    """Of them: became a profile."""
    conversations: int
    """Of them: became an accepted conversation."""

    @property
    def profile_yield(self) -> float | None:
        return self.profiles / self.draws if self.draws else None

    @property
    def conversation_yield(self) -> float | None:
        return self.conversations / self.draws if self.draws else None

    def to_json(self) -> dict[str, Any]:
        return {
            "stages": [stage.to_json() for stage in self.stages],
            "draws": self.draws,
            "profiles": self.profiles,
            "conversations": self.conversations,
            "profile_yield": self.profile_yield,
            "conversation_yield": self.conversation_yield,
        }


@dataclass(slots=True)
class Counts:
    """What is counted over a run's conversations as they are read: `add` each that came to an end."""

    ended: int = 0
    turns: int = 0
    kept_drafts: int = 0
    openings: Counter[str] = field(default_factory=Counter)
    """Of conversations whose target can go with an outfit item."""
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, store: RunStore, number: int, turns: int) -> None:
        self.ended += 1
        self.turns += turns
        for event in store.events("conversation", number):
            if isinstance(event, RewriteEvent) and event.kept:
                self.kept_drafts += 1
                self.problems[event.reason] += 1
            elif isinstance(event, ChoiceEvent) and event.step == "0":
                self.openings[event.choice] += 1


def read_funnel(run: RunFolder, accepted: list[tuple[int, int]]) -> Funnel:
    """The funnel of a run.

    Args:
        accepted: draw number and turns of each accepted conversation.

    Raises:
        SynthError: the run's log or rows cannot be read.
    """
    refused: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    counts = Counts()
    with closing(run.store()) as store:
        for rejected in _rejected(run):
            name = _filter_of(rejected)
            refused[name] += 1
            reasons.setdefault(name, Counter())[rejected.reason] += 1
            if rejected.conversation is not None:
                counts.add(store, int(rejected.id[1:]), len(rejected.conversation.turns))
        for number, turns in accepted:
            counts.add(store, number, turns)
        scenarios = _scenarios(run, store)
        outfits = store.call_counts().get(OUTFIT.name, 0)
    verdicts = Counter(latest_verdicts(run.path).values())

    def stage(name: str, what: str, level: Level, entered: int) -> Stage:
        top = dict(reasons.get(name, Counter[str]()).most_common(_REASONS))
        return Stage(name, what, level, entered, entered - refused[name], top)

    draws = len(accepted) + refused.total()
    stages = [scenarios]
    left = draws
    for name, what in _PROFILE:
        stages.append(stage(name, what, "profile", left))
        left -= refused[name]
    profiles = left
    worn = counts.openings.total()
    multimodal = counts.openings["multimodal"]
    stages += [
        Stage(
            "outfit", "does the item go with the target?", "outfit", outfits, min(multimodal, outfits), filters=False
        ),
        Stage("multimodal opening", "was such an item found?", "conversation", worn, multimodal, filters=False),
        stage("failed", "was the conversation brought to an end?", "conversation", left),
    ]
    left -= refused["failed"]
    problems = dict(counts.problems.most_common(_REASONS))
    kept = counts.turns - counts.kept_drafts
    stages += [
        Stage("rewrite check", "does the rewrite say the same?", "turn", counts.turns, kept, problems, filters=False),
        stage("review", "do the reviewer's scores reach the threshold?", "conversation", left),
        Stage(
            "people", "good, in the last verdict of a person?", "conversation", verdicts.total(), verdicts["good"],
            filters=False,
        ),
    ]  # fmt: skip
    return Funnel(tuple(stages), draws, profiles, len(accepted))


_PROFILE = (
    ("match", "do person and scenario fit the product?"),
    ("backstory", "does the backstory keep the product to itself?"),
    ("profile failed", "did the model give a usable answer?"),
    ("duplicate", "is the backstory unlike all earlier ones?"),
)


def _rejected(run: RunFolder) -> Iterator[Rejected]:
    return run.rejected() if (run.path / "rejected.jsonl").is_file() else iter(())


def _filter_of(rejected: Rejected) -> str:
    """`failed` is told apart by what failed: a draw without a profile never came to a conversation."""
    early = rejected.filter == "failed" and rejected.profile is None and rejected.conversation is None
    return "profile failed" if early else rejected.filter


def _scenarios(run: RunFolder, store: RunStore) -> Stage:
    """Generated scenarios, up to the last one that was needed."""
    generated = {scenario.text for scenario in run.scenarios() if scenario.origin == "generated"}
    offered = needed = 0
    for call in store.calls("scenario"):
        if call.call != EXPAND.name:
            continue
        try:
            texts = ScenariosOutput.model_validate_json(call.reply).scenarios
        except ValidationError:
            continue  # asked again
        for text in texts:
            offered += 1
            if " ".join(text.split()) in generated:
                needed = offered
    return Stage("scenario", "is the scenario unlike all earlier ones?", "scenario", needed, len(generated))
