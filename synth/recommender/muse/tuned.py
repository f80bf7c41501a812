"""A tuned model as it is asked: opened from its folder alone, as the writer that it was tuned to be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.recommender.adapters import CARD, Lora, attach_trained, check_base, find, fingerprint, read_card
from synth.recommender.architecture import Quantise, load
from synth.recommender.muse.data import MuseData
from synth.recommender.muse.tuning import STAGE, MuseSettings, Reading
from synth.recommender.precision import PrecisionName
from synth.recommender.writer import LocalWriter

BASE = "base"
"""Folder of a base that was made for the training, beside its checkpoint."""


@dataclass(frozen=True)
class Tuned:
    """A tuned model."""

    writer: LocalWriter
    reading: Reading
    card: dict[str, Any]

    def check(self, data: MuseData, asked: Collection[str]) -> None:
        """
        Raises:
            SynthError: it has learnt from conversations that are asked about.
        """
        learnt = {*self.card["conversations"], *self.card["chosen_by"]}
        seen = learnt & set(asked) if self.card["fingerprint"] == data.fingerprint else ()
        if seen:
            raise SynthError(
                f"{self.writer.name} has learnt from {len(seen):,} of the conversations that it would be tested on.",
                f"Test it with its own split: --convs {self.card['convs']} --seed {self.card['split_seed']}.",
            )


def is_tuned(folder: Path) -> bool:
    """Whether a folder has what `synth train muse` leaves."""
    return (find(folder) / CARD).is_file()


def open_tuned(
    folder: Path,
    precision: PrecisionName = "auto",
    device: str = "auto",
    quantise: Quantise | None = None,
    batch: int = 8,
) -> Tuned:
    """
    Raises:
        SynthError: it is no such checkpoint, or its base is gone or another.
    """
    card = read_card(folder, STAGE)
    try:
        names = ("task", "model", "pictures", "max_length", "evaluation_batch")
        settings = MuseSettings(**{name: card[name] for name in names}, lora=Lora(**card["lora"]))
    except (KeyError, TypeError) as error:
        raise SynthError(f"{folder} was written by another version: {error}.", "Train it again.") from error
    architecture = load(_base(folder, settings.model), precision, device, quantise)
    check_base(card, architecture, folder)
    attach_trained(architecture, folder)
    reading = Reading(architecture, settings, f"{architecture.fingerprint} {fingerprint(folder)}")
    return Tuned(LocalWriter(reading.speaker, folder.resolve().name, batch), reading, card)


def _base(folder: Path, model: str) -> str:
    """The base by its name, or where it was made beside the checkpoint, which may have been moved."""
    for place in (folder / BASE, find(folder).parent / BASE):
        if place.is_dir():
            return str(place)
    return model
