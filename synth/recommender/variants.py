"""What an ablation compares: variants of LaViC, and what they have alike (KDD 2025, Tables 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synth.errors import SynthError
from synth.recommender.adapters import Lora
from synth.recommender.answering import PromptSettings
from synth.recommender.candidates import Others
from synth.recommender.data import Dataset
from synth.recommender.items import Item
from synth.recommender.method import TrainSettings
from synth.recommender.prompts import Show

if TYPE_CHECKING:
    from synth.recommender.architecture import Pooling


@dataclass(frozen=True)
class Variant:
    """One way to show the candidates' pictures."""

    name: str
    title: str
    """As tables show it."""
    show: Show = "features"
    distilled: bool = False
    """With stage 1's adapter in tower and projector."""
    layer: int = -1
    pooling: Pooling = "cls"


FULL = Variant("lavic", "LaViC", distilled=True)
VARIANTS = {
    variant.name: variant
    for variant in (
        FULL,
        Variant("without-images", "without images", show="nothing"),
        Variant("without-distillation", "without self-distillation"),
        # What LLaVA-NeXT itself reads, and what its projector was made for: patches of the last layer but one.
        Variant("entire-tokens", "entire tokens", layer=-2, pooling="patches"),
        Variant("descriptions", "descriptions in words", show="descriptions"),
    )
}
"""By name. The first four are the paper's."""


@dataclass(frozen=True)
class Study:
    """What all variants have alike."""

    datasets: tuple[Dataset, ...]
    settings: TrainSettings
    features: Path | None = None
    """Folder of feature caches; what a variant lacks in it is made."""
    distilled: Path | None = None
    """Checkpoint of stage 1."""
    prompt: PromptSettings = PromptSettings()
    """Its `show` and `apart` are the variants' own."""
    lora: Lora = Lora()
    metric: Literal["hr1", "mrr"] = "hr1"
    evaluation_batch: int = 8
    combined: bool = False
    """Train on all domains together as well, and test every model on every domain."""
    feature_batch: int = 64
    """Crops encoded at once."""
    candidates: str = "delivered"
    """Which lists the data sets hold, for tables."""
    others: Others = "out"
    """What becomes of other right answers in the lists that are answered."""

    @property
    def trainings(self) -> list[tuple[Dataset, ...]]:
        """Which data sets a model is trained on."""
        alone: list[tuple[Dataset, ...]] = [(dataset,) for dataset in self.datasets]
        return [*alone, self.datasets] if self.combined and len(self.datasets) > 1 else alone

    def check(self, variants: Sequence[Variant]) -> None:
        """Raises SynthError where what the variants need is not named, or a data set cannot be compared on."""
        if any(variant.distilled for variant in variants) and self.distilled is None:
            raise SynthError("The variant lavic needs stage 1.", "Give --distilled, or leave it out with --arms.")
        if any(variant.show == "features" for variant in variants) and self.features is None:
            raise SynthError("Variants that look at pictures need a folder for features.", "Give --features.")
        for dataset in self.datasets:
            if not dataset.examples["test"]:
                raise SynthError(f"{dataset.name} has no test split.", "Variants are compared on it.")


def merged_items(datasets: Sequence[Dataset]) -> dict[str, Item]:
    """The items of all data sets.

    Raises:
        SynthError: one id names two products, or two data sets have one name.
    """
    names = [dataset.name for dataset in datasets]
    if len(set(names)) < len(names):
        raise SynthError(f"Two data sets are named {max(names, key=names.count)}.", "Rename the folder of one.")
    items: dict[str, Item] = {}
    for dataset in datasets:
        for item in dataset.items.values():
            known = items.setdefault(item.id, item)
            if known.title and item.title and known.title != item.title:
                titles = f"{known.title[:40]!r} in one data set and {item.title[:40]!r} in {dataset.name}"
                raise SynthError(
                    f"Item {item.id} is {titles}.",
                    "Train on data sets of different catalogues one by one.",
                )
            if not known.images and not known.title:
                items[item.id] = item
    return items


def named_in(datasets: Sequence[Dataset]) -> set[str]:
    """Ids of the items that lists and answers name."""
    listed = [example for dataset in datasets for part in dataset.examples.values() for example in part]
    return {item for example in listed for item in (example.gt, *example.candidates)}
