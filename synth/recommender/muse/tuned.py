"""A tuned model as it is asked: opened from its folder alone, as the writer that it was tuned to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.recommender.adapters import Lora, attach_trained, check_base, find, fingerprint, read_card
from synth.recommender.architecture import Quantise, load
from synth.recommender.muse.learnt import Learnt
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
    settings, card = read_tuned(folder)
    architecture = load(_base(folder, settings.model), precision, device, quantise)
    check_base(card, architecture, folder)
    attach_trained(architecture, folder)
    reading = Reading(architecture, settings, f"{architecture.fingerprint} {fingerprint(folder)}")
    return Tuned(LocalWriter(reading.speaker, folder.resolve().name, batch), reading, card)


def read_tuned(folder: Path) -> tuple[MuseSettings, dict[str, Any]]:
    """How a tuned model is asked, and its card.

    Raises:
        SynthError: it is no such checkpoint.
    """
    card = read_card(folder, STAGE)
    try:
        names = ("task", "model", "pictures", "max_length", "evaluation_batch")
        return MuseSettings(**{name: card[name] for name in names}, lora=Lora(**card["lora"])), card
    except (KeyError, TypeError) as error:
        raise SynthError(f"{folder} was written by another version: {error}.", "Train it again.") from error


def learnt_of(folder: Path) -> Learnt:
    """What a tuned model and its base have learnt from.

    Raises:
        SynthError: it is no such checkpoint, or does not say.
    """
    return Learnt.parse(read_card(folder, STAGE).get("learnt"), folder)


def _base(folder: Path, model: str) -> str:
    """The base by its name, or where it was made beside the checkpoint, which may have been moved."""
    for place in (folder / BASE, find(folder).parent / BASE):
        if place.is_dir():
            return str(place)
    return model
