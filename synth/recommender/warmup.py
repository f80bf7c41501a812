"""Warm-up of a tower that knows nothing: attributes from [CLS] first, then captions.

Not in LaViC, which starts from a pretrained LLaVA: it stands in for that pretraining where a model is made from
nothing. A tower that has only ever been asked for captions loses the colour that a histogram keeps (the trial in the
reference), so it is asked for it directly, at the positions that the stages read: [CLS], and patches for stage 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from synth.errors import SynthError
from synth.recommender.architecture import Architecture
from synth.recommender.batches import pad
from synth.recommender.crops import crops, open_image
from synth.recommender.describe import prompt
from synth.recommender.flops import tower_forward
from synth.recommender.labelled import ATTRIBUTES, Labelled
from synth.recommender.method import Method, TrainSettings
from synth.recommender.prompts import Encoded, Tokens
from synth.recommender.scoring import label_losses

_RARE = 5
"""Values that fewer items have are not asked for."""
_IGNORED = -100


def _pixels(items: Sequence[Labelled], processor: Any) -> tuple[Tensor, list[int], list[tuple[int, int]]]:
    """Crops of all images one after the other, how many each has, and the images' heights and widths."""
    images = [open_image(item.image) for item in items]
    made = [crops(image, processor) for image in images]
    return torch.cat(made), [len(each) for each in made], [(image.height, image.width) for image in images]


class AttributeWarmup(Method):
    """Trains the tower to tell colour, type and gender.

    From [CLS], of the whole image and of the tiles' mean alike, and from the mean of all patches of the layer that
    LLaVA reads. Linear heads for each attribute read what a language model would read through the projector; they are
    thrown away. Images are mirrored at random. Figures: accuracy by attribute on the held-out images, by [CLS], and the
    mean of these; `patches`, the same mean by the patches.
    """

    name = "attributes"
    metric = "accuracy"
    higher = True

    def __init__(
        self, architecture: Architecture, train: Sequence[Labelled], valid: Sequence[Labelled], batch: int = 128
    ) -> None:
        """
        Args:
            batch: images at once in evaluation.

        Raises:
            SynthError: no attribute has two values that five training items each have.
        """
        self.architecture, self.batch = architecture, batch
        self._splits = {"train": list(train), "valid": list(valid)}
        self.values = _values(train)
        if not self.values:
            raise SynthError("No attribute has two values to tell apart.", "Give a catalogue that has colour or type.")
        width = architecture.vision_width
        self.heads = nn.ModuleDict({
            place: nn.ModuleList(
                nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(known))) for known in self.values.values()
            )
            for place in ("cls", "patches")
        }).to(architecture.device)  # fmt: skip
        tower = architecture.vision_tower.requires_grad_(True)
        self.model = nn.ModuleDict({"tower": tower, "heads": self.heads})

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Labelled]:
        return self._splits[split]

    def length(self, example: Labelled) -> int:
        return 1

    def collate(self, examples: list[Labelled]) -> dict[str, Any]:
        pixels, counts, _ = _pixels(examples, self.architecture.image_processor)
        labels = {
            name: torch.tensor([known.get(item.attributes.get(name, ""), _IGNORED) for item in examples])
            for name, known in self.values.items()
        }
        return {"pixels": pixels, "counts": counts, "labels": labels}

    def step(self, model: Any, batch: Any) -> tuple[Tensor, int]:
        pixels = batch["pixels"]
        mirrored = (torch.rand(len(batch["counts"])) < 0.5).repeat_interleave(torch.tensor(batch["counts"]))
        mirrored = mirrored.to(pixels.device)[:, None, None, None]
        scores = self._scores(torch.where(mirrored, pixels.flip(-1), pixels), batch["counts"])
        losses = [
            cross_entropy(view, batch["labels"][name], ignore_index=_IGNORED, reduction="sum") / len(views)
            for name, views in scores.items()
            for view in views
        ]
        return torch.stack(losses).sum(), sum(int((labels != _IGNORED).sum()) for labels in batch["labels"].values())

    def evaluate(self, model: Any) -> dict[str, float]:
        right, by_patches, asked = Counter[str](), Counter[str](), Counter[str]()
        held = self._splits["valid"]
        for start in range(0, len(held), self.batch):
            batch = self.collate(held[start : start + self.batch])
            for name, (whole, tiles, patches) in self._scores(batch["pixels"], batch["counts"]).items():
                labels = batch["labels"][name]
                right[name] += int(((whole + tiles).argmax(-1).cpu() == labels).sum())
                by_patches[name] += int((patches.argmax(-1).cpu() == labels).sum())
                asked[name] += int((labels != _IGNORED).sum())
        found = {name: right[name] / asked[name] for name in self.values if asked[name]}
        if not found:
            return {}
        told = sum(by_patches[name] / asked[name] for name in found) / len(found)
        return {**found, "accuracy": sum(found.values()) / len(found), "patches": told}

    def save(self, folder: Path) -> None:
        self.architecture.save(folder)

    def flops(self, batch: Any) -> float:
        return 3 * tower_forward(self.architecture.model.config.vision_config, len(batch["pixels"]))

    def signature(self) -> dict[str, Any]:
        return {"base": self.architecture.fingerprint, "values": {name: len(v) for name, v in self.values.items()}}

    def _scores(self, pixels: Tensor, counts: Sequence[int]) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """By attribute the scores (images, values) from the whole image, its tiles' mean, and all its patches' mean."""
        cls, patches = (seen.float().split(list(counts)) for seen in self.architecture.encode_both(pixels))
        whole = torch.stack([crops[0] for crops in cls])
        tiles = torch.stack([crops[1:].mean(0) for crops in cls])
        every = torch.stack([crops.mean((0, 1)) for crops in patches])
        heads = zip(self.values, self.heads["cls"], self.heads["patches"], strict=True)
        return {name: (first(whole), first(tiles), second(every)) for name, first, second in heads}


def _values(items: Iterable[Labelled]) -> dict[str, dict[str, int]]:
    """Number of each value by attribute, of those that are common enough to be learnt."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in ATTRIBUTES}
    for item in items:
        for name in ATTRIBUTES:
            if name in item.attributes:
                counted[name][item.attributes[name]] += 1
    kept = {name: sorted(v for v, n in values.items() if n >= _RARE) for name, values in counted.items()}
    return {name: {value: i for i, value in enumerate(values)} for name, values in kept.items() if len(values) > 1}


class CaptionWarmup(Method):
    """Trains the whole model to answer the request of stage 0 with the caption, from all of an image's tokens.

    Figures on the held-out images: `loss` and `perplexity` per token of the caption.
    """

    name = "captions"
    metric = "loss"
    higher = False

    def __init__(
        self, architecture: Architecture, train: Sequence[Labelled], valid: Sequence[Labelled], batch: int = 32
    ) -> None:
        """
        Args:
            batch: images at once in evaluation.

        Raises:
            SynthError: nothing has a caption.
        """
        self.architecture, self.batch = architecture, batch
        self._splits = {"train": [i for i in train if i.caption], "valid": [i for i in valid if i.caption]}
        if not self._splits["train"]:
            raise SynthError("No picture has a caption to learn.", "Give a catalogue with attributes.")
        tokens = Tokens(architecture.tokenizer, architecture.image_token_id)
        parts = [item for split in self._splits.values() for item in split]
        # Here, and not in the threads that collate: a tokenizer is not made for several at once.
        self._asked = {item.id: prompt(architecture, item.title, 1) for item in parts}
        self._answers = {item.id: tokens.answer(item.caption) for item in parts}
        self.model = architecture.model.requires_grad_(True)

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Labelled]:
        return self._splits[split]

    def length(self, example: Labelled) -> int:
        return len(self._asked[example.id]) + len(self._answers[example.id])

    def collate(self, examples: list[Labelled]) -> dict[str, Any]:
        pixels, _, sizes = _pixels(examples, self.architecture.image_processor)
        return {"pixels": pixels, "sizes": sizes, "ids": [example.id for example in examples]}

    def step(self, model: Any, batch: Any) -> tuple[Tensor, int]:
        architecture = self.architecture
        shown = architecture.image_tokens(batch["pixels"], batch["sizes"])
        prompts = [self._prompt(name, len(image)) for name, image in zip(batch["ids"], shown, strict=True)]
        padded = pad(prompts, int(architecture.tokenizer.pad_token_id))
        on_device = {k: v.to(architecture.device) if isinstance(v, Tensor) else v for k, v in padded.items()}
        losses = label_losses(architecture, on_device, torch.cat(shown))
        return losses.sum(), len(losses)

    def _prompt(self, name: str, image_tokens: int) -> Encoded:
        ids, place = self._asked[name], self.architecture.image_token_id
        at = ids.index(place)
        return Encoded((*ids[:at], *[place] * image_tokens, *ids[at + 1 :]), (), self._answers[name])

    def evaluate(self, model: Any) -> dict[str, float]:
        held = sorted(self._splits["valid"], key=self.length)
        sums = [self.step(model, self.collate(held[at : at + self.batch])) for at in range(0, len(held), self.batch)]
        if not sums:
            return {}
        mean: float = sum(float(loss) for loss, _ in sums) / sum(count for _, count in sums)
        return {"loss": mean, "perplexity": math.exp(min(mean, 700))}

    def save(self, folder: Path) -> None:
        self.architecture.save(folder)

    def signature(self) -> dict[str, Any]:
        return {"base": self.architecture.fingerprint, "valid": len(self._splits["valid"])}


CAPTION_SETTINGS = TrainSettings(
    epochs=4, batch=32, lr=1e-3, weight_decay=0.01, schedule="cosine", warmup=0.05, trackers=()
)
"""What the tiny preset learns to describe with."""
ATTRIBUTE_SETTINGS = TrainSettings(
    epochs=12, batch=64, lr=1e-3, weight_decay=0.05, schedule="cosine", warmup=0.05, grouped=False, trackers=()
)
"""What the tiny preset's tower is warmed up with."""
