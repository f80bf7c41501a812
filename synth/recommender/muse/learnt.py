"""Which conversations a model has learnt from: hashes of their words, by which any run or export of them is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.recommender.muse.data import MuseData

FILE = "learnt.json"
"""In the folder of a model that was made; a tuned model's card has the same under `learnt`."""


@dataclass(frozen=True)
class Learnt:
    """What a model has learnt from, or was chosen by."""

    conversations: frozenset[str]
    """Hashes, as `MuseData.hash` makes them."""
    split: str
    """The options that draw the split it was made for."""

    @classmethod
    def of(cls, data: MuseData, names: Iterable[str], split: str) -> Learnt:
        return cls(frozenset(map(data.hash, names)), split)

    @classmethod
    def parse(cls, told: Any, where: Path) -> Learnt:
        """
        Raises:
            SynthError: it is nothing that `json` gave.
        """
        try:
            return cls(frozenset(map(str, told["conversations"])), str(told["split"]))
        except (KeyError, TypeError) as error:
            raise SynthError(f"{where} does not say what it has learnt from.", "Make it again.") from error

    @classmethod
    def read(cls, folder: Path) -> Learnt | None:
        """Of a model's folder; None where nothing is known of it.

        Raises:
            SynthError: the file is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            told = json.loads(path.read_text("utf-8"))
        except ValueError:
            told = None
        return cls.parse(told, path)

    def json(self) -> Mapping[str, Any]:
        return {"split": self.split, "conversations": sorted(self.conversations)}

    def check(self, name: str, data: MuseData, asked: Iterable[str]) -> None:
        """
        Raises:
            SynthError: the model has learnt from conversations that it would be asked about.
        """
        seen = sum(data.hash(conversation) in self.conversations for conversation in asked)
        if seen:
            raise SynthError(
                f"{name} has learnt from {seen:,} of the conversations that it would be tested on.",
                f"Test it with its own split, and on the run that it was made from: {self.split}.",
            )
