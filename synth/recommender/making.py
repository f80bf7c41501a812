"""A preset made ready for use: built, its tower warmed up on attributes, the whole model on captions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from synth.errors import SynthError
from synth.recommender.architecture import load
from synth.recommender.checkpoint import check_same, replacing, write_json
from synth.recommender.labelled import Labelled
from synth.recommender.method import Progress, TrainSettings, digest
from synth.recommender.presets import Labels, build_small, build_tiny
from synth.recommender.training import train
from synth.recommender.warmup import ATTRIBUTE_SETTINGS, CAPTION_SETTINGS, AttributeWarmup, CaptionWarmup

Preset = Literal["tiny", "small"]


@dataclass(frozen=True)
class Recipe:
    """How a preset is made."""

    preset: Preset = "tiny"
    language: Path | None = None
    """The language model of `small`."""
    labels: Labels = "letters"
    seed: int = 0
    attributes: TrainSettings = ATTRIBUTE_SETTINGS
    captions: TrainSettings = CAPTION_SETTINGS
    device: str = "auto"

    def identity(self) -> dict[str, Any]:
        """What changes the model that is made."""
        return {
            "preset": self.preset,
            "lm": str(self.language.resolve()) if self.language else "",
            "labels": self.labels,
            "seed": self.seed,
            "attributes": self.attributes.identity(),
            "captions": self.captions.identity(),
        }


@dataclass(frozen=True)
class Made:
    """A model that can describe."""

    folder: Path
    metrics: dict[str, dict[str, Any]]
    """`best` of each warm-up."""


def make(
    recipe: Recipe,
    train_on: Sequence[Labelled],
    valid: Sequence[Labelled],
    texts: Iterable[str],
    item_ids: Sequence[str],
    out: Path,
    progress: Progress | None = None,
) -> Made:
    """Makes a checkpoint folder `out`; stopped anywhere, the same call goes on.

    What is in the making lies in `out`.work, which is removed at the end; `recipe.json` there says what it is.

    Args:
        texts: what the tiny preset's tokenizer learns from.
        item_ids: tokens of their own with the labels `tokens`.

    Raises:
        SynthError: `out` is there, nothing to learn from, `small` without a language model, or a model of another
            recipe or other data is in the making.
    """
    if out.exists():
        raise SynthError(f"{out} exists already.", "Choose another --out or remove it.")
    if not train_on:
        raise SynthError("There is no picture to warm up on.", "Check the data: the items need pictures.")
    work = out.with_name(out.name + ".work")
    base = work / "base"
    note = work / "recipe.json"
    texts = list(texts)
    data = digest([texts, list(item_ids), list(train_on), list(valid)])
    identity = {**recipe.identity(), "data": data}
    if note.is_file():
        check_same(work, json.loads(note.read_text("utf-8")), identity)
    else:
        shutil.rmtree(base, ignore_errors=True)
        if recipe.preset == "tiny":
            build_tiny(texts, base, recipe.seed, labels=recipe.labels, item_ids=item_ids)
        elif recipe.language is None:
            raise SynthError("--preset small needs a language model.", "Name its folder with --lm.")
        else:
            build_small(recipe.language, base, recipe.seed, labels=recipe.labels, item_ids=item_ids)
        write_json(note, identity)
    metrics = {}
    seeing = load(base, "fp32", recipe.device)
    first = AttributeWarmup(seeing, train_on, valid)
    seen = train(first, replace(recipe.attributes, seed=recipe.seed), work / "attributes", progress)
    metrics["attributes"] = seen.metrics["best"]
    writing = load(seen.best, "fp32", recipe.device)
    second = CaptionWarmup(writing, train_on, valid)
    written = train(second, replace(recipe.captions, seed=recipe.seed), work / "captions", progress)
    metrics["captions"] = written.metrics["best"]
    with replacing(out) as folder:
        writing.save(folder)
        (folder / "warmup.json").write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
    shutil.rmtree(work)
    return Made(out, metrics)
