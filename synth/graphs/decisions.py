"""What is decided strictly by the draws' numbers: duplicates, acceptance, and the rows that go on file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from synth.analysis.dedup import Deduplicator
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Rejected, UserProfile
from synth.traces.events import Event, FilterEvent, ItemSpan
from synth.traces.run import RowWriter, RunFolder, row
from synth.traces.store import RunStore

_LEAST_YIELD = 0.02
_YIELD_WINDOW = 400
"""Draws without one acceptance, or a yield under `_LEAST_YIELD` after as many, after which a run gives up."""


@dataclass
class Totals:
    """What became of the draws, by filter or ending."""

    accepted: int = 0
    drawn: int = 0
    since_accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    turns: int = 0


class Decisions:
    """Takes profiles and outcomes, each strictly in the order of the draws, and writes the run's rows.

    Args:
        catalogue: where the pictures of accepted conversations are.
        threshold: BLEU-4 above which a backstory repeats an earlier one.
        convs: conversations wanted.
    """

    def __init__(self, run: RunFolder, catalogue: Catalogue, threshold: float, convs: int) -> None:
        self.totals = Totals()
        self.convs = convs
        self.dry = ""
        """Why the run gives up: too little comes through."""
        self._run = run
        self._catalogue = catalogue
        self._duplicates = Deduplicator(threshold)
        self._writers = {
            name: RowWriter(run.path / f"{name}.jsonl") for name in ("profiles", "conversations", "rejected")
        }

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    @property
    def enough(self) -> bool:
        return self.totals.accepted >= self.convs

    def profile(self, profile: UserProfile) -> str | None:
        """Why the profile repeats an earlier one, if it does."""
        duplicate = self._duplicates.offer(profile.backstory)
        if duplicate is None:
            self._writers["profiles"].write(row(profile))
            return None
        return f"BLEU-4 {duplicate.bleu:.3f} with an earlier backstory"

    def outcome(self, outcome: Conversation | Rejected) -> None:
        """Counts and writes an outcome; what is beyond the wanted number stays in the store."""
        if self.enough:
            return
        totals = self.totals
        totals.drawn += 1
        if isinstance(outcome, Rejected):
            totals.rejected[outcome.filter] += 1
            totals.since_accepted += 1
            self._judge_yield()
            self._writers["rejected"].write(row(outcome))
            return
        totals.accepted += 1
        totals.since_accepted = 0
        totals.endings[outcome.ended_by] += 1
        totals.turns += len(outcome.turns)
        keep_pictures(self._run, self._catalogue, outcome)
        self._writers["conversations"].write(row(outcome))

    def _judge_yield(self) -> None:
        """Notes when too little comes through; by number, so that it does not depend on what is in flight."""
        totals = self.totals
        if totals.since_accepted >= _YIELD_WINDOW:
            self.dry = f"the last {totals.since_accepted} draws were all rejected"
        elif totals.drawn >= _YIELD_WINDOW and totals.accepted < _LEAST_YIELD * totals.drawn:
            self.dry = f"only {totals.accepted} of {totals.drawn} draws were accepted"


def keep_pictures(run: RunFolder, catalogue: Catalogue, conversation: Conversation) -> None:
    """Copies what a conversation shows into the run."""
    shown = {conversation.target_id, *(i for turn in conversation.turns for i in turn.products)}
    for product_id in sorted(shown):
        for picture in catalogue[product_id].images[:1]:
            run.keep_picture(catalogue, picture)


def refuse(profile: UserProfile, duplicate: str) -> Rejected:
    """A draw whose backstory repeats an earlier one."""
    return Rejected(id=profile.id, filter="duplicate", reason=duplicate, profile=profile)


def put_right(store: RunStore, number: int, body: str, result: UserProfile | Rejected) -> None:
    """Mends the events of a profile that a shard, which does not know the other shards' profiles, decided otherwise.

    Args:
        body: the profile as stored.
    """
    events = store.events("profile", number)
    outcome = verdict(result)
    if all(event.outcome == outcome for event in events if isinstance(event, ItemSpan)):
        return
    mended: list[Event] = [event for event in events if not isinstance(event, FilterEvent | ItemSpan)]
    if isinstance(result, Rejected):
        mended.append(FilterEvent(filter=result.filter, reason=result.reason))
    mended += [event.model_copy(update={"outcome": outcome}) for event in events if isinstance(event, ItemSpan)]
    store.finish("profile", number, body, mended)


def verdict(made: UserProfile | Conversation | Rejected) -> str:
    """`accepted`, or the filter that refused it."""
    return made.filter if isinstance(made, Rejected) else "accepted"


def read_profile(body: str) -> UserProfile | Rejected:
    """A profile as the store has it: without the verdict on duplicates."""
    return Rejected.model_validate_json(body) if '"filter":' in body[:60] else UserProfile.model_validate_json(body)


def read_outcome(body: str) -> Conversation | Rejected:
    """A conversation as the store has it."""
    return Rejected.model_validate_json(body) if '"filter":' in body[:60] else Conversation.model_validate_json(body)
