"""A run as its readers see it: draws with their turns, and under each turn what the agents did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from pydantic import ValidationError

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Picture, Product, Rejected, Scenario, UserProfile
from synth.errors import SynthError
from synth.traces.events import AgentSpan, Event
from synth.traces.run import RunFolder
from synth.traces.store import LoggedCall, Place, RunStore

ACCEPTED = "accepted"
_ID = re.compile(r"[cp]\d{6,}\Z")
_ROW = re.compile(rb'\{"id":"[cp](\d+)"')
_BEFORE, _AFTER = -1, 10_000
"""Where the profile's steps and the optimizer's stand, seen from the turns."""


class Draw(NamedTuple):
    """One draw, accepted or not."""

    id: str
    """`c000123`; a draw refused before its conversation is named `p000123` in the run's files."""
    number: int
    verdict: str
    """`accepted`, or the filter that refused it."""
    reason: str
    profile: UserProfile | None
    conversation: Conversation | None


class Step(NamedTuple):
    """One model call of a draw, and where it belongs."""

    anchor: str
    """Fragment of a deep link to it; the same in every start of the run."""
    turn: int
    """Index of the turn it led to; -1 for the profile's, 10,000 for what came after the last turn."""
    call: LoggedCall
    span: AgentSpan | None
    """The agent's step; None for a call that was repaired or is shared, and in a run that is going on."""

    @property
    def shared(self) -> bool:
        """Whether several conversations have this call in common, so that it adds to none's cost."""
        return self.call.place.stage == "shared"

    @property
    def phase(self) -> Literal["profile", "conversation", "optimizer"]:
        return "profile" if self.turn == _BEFORE else "optimizer" if self.turn == _AFTER else "conversation"


class RunReader:
    """Reads a run, also one that is being written.

    Raises:
        SynthError: the folder is no run, or holds nothing yet.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder.open(path)
        self.path = path
        self.name = path.resolve().name
        self.config: dict[str, Any] = self.folder.config()
        self.store: RunStore = self.folder.store()
        self._rows = [_Rows(path / "conversations.jsonl"), _Rows(path / "rejected.jsonl")]

    def close(self) -> None:
        self.store.close()

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """By id; empty while they are being made."""
        try:
            return {scenario.id: scenario for scenario in self.folder.scenarios()}
        except SynthError:
            return {}

    @cached_property
    def catalogue(self) -> Catalogue | None:
        """The run's own copy of the catalogue's records; None if it is gone."""
        try:
            return self.folder.catalogue()
        except SynthError:
            return None

    @cached_property
    def _pictures(self) -> dict[str, Picture]:
        products = self.catalogue or ()
        return {picture.hash: picture for product in products for picture in product.images}

    def product(self, product_id: str) -> Product | None:
        """A product's record; None where the run's copy of the catalogue has none."""
        if self.catalogue is None or product_id not in self.catalogue:
            return None
        return self.catalogue[product_id]

    def picture(self, hash_: str) -> Path | None:
        """A picture's file; None where the hash is none of the catalogue's, or the file is not there."""
        picture = self._pictures.get(hash_)
        if picture is None or self.catalogue is None:
            return None
        path = self.catalogue.image_path(picture)
        return path if path.is_file() else None

    def draws(self) -> Iterator[Draw]:
        """Accepted conversations, then refused draws, each in order."""
        for rows in self._rows:
            if rows.path.is_file():
                with rows.path.open("rb") as file:
                    for line in file:
                        if line.endswith(b"\n"):
                            yield read_draw(line, rows.path)

    def draw(self, draw_id: str) -> Draw:
        """
        Raises:
            SynthError: the run has no such draw, or not yet.
        """
        if _ID.match(draw_id):
            for anew in (False, True):
                for rows in self._rows:
                    if line := rows.find(draw_id[1:].encode(), anew=anew):
                        return read_draw(line, rows.path)
        raise SynthError(f"{self.name} has no conversation {draw_id!r}.", "See `synth trace list`.")

    def steps(self, number: int) -> list[Step]:
        """All model calls of a draw in the order they were made, the profile's first."""
        steps: list[Step] = []
        for stage in ("profile", "conversation"):
            spans = {event.step: event for event in self.events(stage, number) if isinstance(event, AgentSpan)}
            for call in self.store.calls(stage, item=number):
                place = call.place
                steps.append(Step(anchor_of(place), turn_of(stage, place.step), call, spans.get(place.step)))
        return steps

    def comparisons(self, conversation: Conversation, steps: list[Step]) -> list[Step]:
        """Calls that compared a product with the target once for all conversations, for those this one asked for.

        Args:
            steps: its own.
        """
        if self.config.get("comparisons") != "shared":
            return []
        found = []
        for turn in dict.fromkeys(step.turn for step in steps if step.call.call == "user.reject"):
            shown = [id_ for t in conversation.turns[:turn] if t.act == "recommend" for id_ in t.products]
            step = f"differ.{conversation.target_id}.{shown[-1]}" if shown else ""
            for call in self.store.calls("shared", item=0, step=step):
                anchor = f"c-{turn}-differ" + (f"-{call.place.attempt}" if call.place.attempt else "")
                found.append(Step(anchor, turn, call, None))
        return found

    def events(self, stage: str, number: int) -> list[Event]:
        return self.store.events(stage, number)


class _Rows:
    """A file of draws, and where each row of it starts, found out once; the file may grow or be written anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts: dict[bytes, int] = {}
        self._end = 0

    def find(self, digits: bytes, *, anew: bool) -> bytes | None:
        """The row with these digits in its id; None where there is none.

        Args:
            anew: forgets what is known of the file, which may be another by now.
        """
        if anew:
            self._starts, self._end = {}, 0
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            if digits not in self._starts:
                self._read_on(file)
            if digits not in self._starts:
                return None
            file.seek(self._starts[digits])
            line = file.readline()
        found = _ROW.match(line)
        return line if found and found[1] == digits and line.endswith(b"\n") else None

    def _read_on(self, file: BinaryIO) -> None:
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                break  # still being written
            if found := _ROW.match(line):
                self._starts.setdefault(found[1], self._end)
            self._end += len(line)


def read_draw(line: bytes, where: Path) -> Draw:
    """A row of `conversations.jsonl` or `rejected.jsonl`.

    Raises:
        SynthError: the row is broken.
    """
    try:
        if b'"filter":' in line[:60]:
            refused = Rejected.model_validate_json(line)
            profile = refused.conversation.profile if refused.conversation else refused.profile
            number = int(refused.id[1:])
            return Draw(f"c{number:06d}", number, refused.filter, refused.reason, profile, refused.conversation)
        conversation = Conversation.model_validate_json(line)
    except (ValidationError, ValueError) as error:
        raise SynthError(f"{where} has a broken row.", "Run the same command again to mend it.") from error
    number = int(conversation.id[1:])
    return Draw(conversation.id, number, ACCEPTED, "", conversation.profile, conversation)


def anchor_of(place: Place) -> str:
    """The fragment of a deep link to a call."""
    return f"{place.stage[0]}-{place.step.replace('.', '-')}" + (f"-{place.attempt}" if place.attempt else "")


def turn_of(stage: str, step: str) -> int:
    """The turn that a step led to: steps begin with the number of turns there were."""
    if stage == "profile":
        return _BEFORE
    head = step.partition(".")[0]
    if not head.isdigit():
        return _AFTER
    # The outfit is looked for before the opening, once the assistant has said hello.
    return 1 if step.startswith("0.outfit") else int(head)
