"""A part of a run that one machine makes: every n-th draw, and its share of the conversations."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from synth.errors import SynthError
from synth.graphs.settings import Settings, comparable
from synth.traces.run import RunFolder, write_atomically
from synth.traces.store import RunStore


class Shard(NamedTuple):
    """Part `part` of `of`, counted from 1; `1/1` is a whole run."""

    part: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """
        Raises:
            SynthError: it is no shard.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if found is None:
            raise SynthError(f"--shard {text!r} cannot be read.", "Write I/N, e.g. 2/3 for the second of three.")
        shard = cls(int(found[1]), int(found[2]))
        shard.check()
        return shard

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"

    def check(self) -> None:
        """
        Raises:
            SynthError: there is no such shard.
        """
        if not 1 <= self.part <= self.of:
            raise SynthError(f"There is no shard {self}.", f"--shard I/N goes from 1/{max(self.of, 1)} to N/N.")

    @property
    def whole(self) -> bool:
        return self.of == 1

    @property
    def suffix(self) -> str:
        """What its folder's name has after that of the whole run."""
        return "" if self.whole else f"-shard{self.part}of{self.of}"

    def number(self, drawn: int) -> int:
        """The number, in the whole run, of this shard's draw number `drawn`."""
        return self.part - 1 + drawn * self.of

    def share(self, convs: int) -> int:
        """Conversations that it makes of so many."""
        return math.ceil(convs / self.of)


def scenarios_source(path: Path, settings: Settings) -> RunFolder:
    """A run whose scenarios, and a model's captions, a run of these settings can start from.

    A live model does not write the same scenarios twice, and shards that are to be one run must have the same.

    Raises:
        SynthError: it has other settings, or has not got so far.
    """
    source = RunFolder.open(path)
    if differing := settings.differences(comparable(source.config())):
        raise SynthError(
            f"{path} has other settings ({', '.join(differing)}), so its scenarios are not this run's.",
            "Repeat its settings.",
        )
    wait = "Wait until it is at its conversations."
    if not (path / "scenarios.jsonl").is_file() or len(source.scenarios()) != settings.scenarios:
        raise SynthError(f"{path} has not all its scenarios yet.", wait)
    if settings.captions and not all("summary" in product.descriptions for product in source.catalogue()):
        raise SynthError(f"{path} has not all its captions yet.", wait)
    return source


def take_scenarios(source: RunFolder, run: RunFolder, store: RunStore, settings: Settings) -> None:
    """Starts a run from what `source` has.

    Raises:
        SynthError: the run has other scenarios already.
    """
    text, own = (source.path / "scenarios.jsonl").read_text("utf-8"), run.path / "scenarios.jsonl"
    if own.is_file() and own.read_text("utf-8") != text:
        raise SynthError(
            f"{run.path} has scenarios of its own.", f"Start it anew in another --out, from those of {source.path}."
        )
    if settings.captions:
        run.keep_catalogue(source.catalogue(), anew=True)
    write_atomically(own, text)
    store.set_meta("scenarios", settings.scenarios)
