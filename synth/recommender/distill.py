"""Stage 1: vision self-distillation (LaViC §4.1).

The model's own descriptions, made from all of an image's tokens, are learnt from a few: one [CLS] embedding for each
crop. LoRA adapts the vision tower and the projector; the language model is frozen and says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from synth.errors import SynthError
from synth.randomness import rng
from synth.recommender.adapters import Lora, adapt, write_adapter
from synth.recommender.batches import everyones, mine, pad, prefetch
from synth.recommender.crops import crops, open_image
from synth.recommender.flops import decoder_forward, tower_forward
from synth.recommender.method import Method, digest
from synth.recommender.prompts import DescribePrompt, Tokens
from synth.recommender.scoring import label_losses

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture
    from synth.recommender.items import Item

HELD_OUT = 512
"""Images that LaViC keeps for validation."""
_CROPS = 5
"""What most images have; only for grouping by length before they are opened."""


@dataclass(frozen=True)
class DescribedImage:
    """A picture and what the model wrote of it."""

    item: str
    """Id."""
    title: str
    image: Path
    description: str


@dataclass(frozen=True)
class DistillSettings:
    """What stage 1 trains."""

    lora: Lora = Lora()
    max_answer: int = 128
    """Tokens of a description."""
    end_token: bool = True
    """Learn where a description ends; False is LaViC's way."""
    evaluation_batch: int = 8
    workers: int = 2
    """Threads that open pictures for evaluation."""


def described_images(items: Mapping[str, Item]) -> tuple[list[DescribedImage], int]:
    """All pictures of all items that have a description, in the items' order; and how many have none."""
    found, without = [], 0
    for item in items.values():
        for image in item.images:
            description = item.descriptions.get(image.name, "").strip()
            if description:
                found.append(DescribedImage(item.id, item.title, image, description))
            else:
                without += 1
    return found, without


def hold_out(
    images: Sequence[DescribedImage], count: int = HELD_OUT, seed: int = 0
) -> tuple[list[DescribedImage], list[DescribedImage]]:
    """(train, valid): whole items are held out, until `count` images or a tenth of all are."""
    most = min(count, len(images) // 10)
    items = sorted({image.item for image in images})
    rng(seed, "held-out images").shuffle(items)
    sizes: dict[str, int] = {}
    for image in images:
        sizes[image.item] = sizes.get(image.item, 0) + 1
    chosen: set[str] = set()
    total = 0
    for item in items:
        if total + sizes[item] <= most:
            chosen.add(item)
            total += sizes[item]
    train = [image for image in images if image.item not in chosen]
    return train, [image for image in images if image.item in chosen]


class Distill(Method):
    """Trains the tower and the projector to say in one embedding per crop what the description says.

    Figure on the held-out images: `perplexity` per token of the description (Fig. 3), and `loss`, its logarithm.
    """

    name = "distill"
    metric = "perplexity"
    higher = False

    def __init__(
        self,
        architecture: Architecture,
        train: Sequence[DescribedImage],
        valid: Sequence[DescribedImage],
        settings: DistillSettings | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """
        Raises:
            SynthError: an empty description: before anything is trained.
        """
        self.settings = settings or DistillSettings()
        self.architecture, self.seed = architecture, seed
        self._splits = {"train": list(train), "valid": list(valid)}
        tokens = Tokens(architecture.tokenizer, architecture.image_token_id, end_token=self.settings.end_token)
        self._prompt = DescribePrompt(tokens, max_answer=self.settings.max_answer)
        # Here, and not in the threads that collate: a tokenizer is not made for several at once.
        self._parts = {image: self._prompt.encode(image.title, image.description, 0) for image in {*train, *valid}}
        filler = architecture.tokenizer.pad_token_id
        self._filler = int(filler if filler is not None else architecture.tokenizer.eos_token_id or 0)
        self.model = adapt(architecture, "vision", self.settings.lora, seed)

    def examples(self, split: Literal["train", "valid"]) -> Sequence[DescribedImage]:
        return self._splits[split]

    def length(self, example: DescribedImage) -> int:
        return len(self._parts[example]) + _CROPS

    def collate(self, examples: list[DescribedImage]) -> dict[str, Any]:
        pixels = [crops(open_image(example.image), self.architecture.image_processor) for example in examples]
        prompts = [
            self._prompt.with_crops(self._parts[example], len(made))
            for example, made in zip(examples, pixels, strict=True)
        ]
        return {**pad(prompts, self._filler), "pixels": torch.cat(pixels)}

    def step(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, int]:
        images = self.architecture.project(self.architecture.encode(batch["pixels"]))
        losses = label_losses(self.architecture, batch, images)
        return losses.sum(), len(losses)

    def evaluate(self, model: Any) -> dict[str, float]:
        held = sorted(mine(self._splits["valid"]), key=self.length)
        size = self.settings.evaluation_batch
        batches = [held[start : start + size] for start in range(0, len(held), size)]
        loss, labels = 0.0, 0
        for batch in prefetch(batches, self.collate, self.settings.workers):
            batch = {k: v.to(self.architecture.device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            summed, count = self.step(model, batch)
            loss, labels = loss + float(summed), labels + count
        shares = everyones([(loss, labels)])
        labels = sum(count for _, count in shares)
        if not labels:
            return {}
        mean = sum(share for share, _ in shares) / labels
        return {"perplexity": math.exp(min(mean, 700)), "loss": mean}

    def save(self, folder: Path) -> None:
        card = {
            "stage": self.name,
            "lora": asdict(self.settings.lora),
            "layer": -1,
            "pooling": "cls",
            "max_answer": self.settings.max_answer,
            "end_token": self.settings.end_token,
        }
        write_adapter(self.architecture, self.model, folder, card)

    def flops(self, batch: dict[str, Any]) -> float:
        config = self.architecture.model.config
        decoder = decoder_forward(config.text_config, batch["lengths"], len(batch["labels"]))
        share = 2 if self.settings.lora.rank else 3
        return 2 * decoder + share * tower_forward(config.vision_config, len(batch["pixels"]))

    def signature(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        for aside in ("workers", "evaluation_batch"):
            del settings[aside]
        return {
            "base": self.architecture.fingerprint,
            "stage": settings,
            "lora_seed": self.seed,
            "valid": len(self._splits["valid"]),
            "data": digest(map(self._known, (*self._splits["train"], *self._splits["valid"]))),
        }

    def _known(self, image: DescribedImage) -> object:
        """What of a picture decides what is learnt: its name, its file's size, and its words."""
        size = image.image.stat().st_size if image.image.is_file() else 0
        parts = self._parts[image]
        return image.item, image.image.name, size, parts.ids, parts.answer


def check_described(images: Sequence[DescribedImage]) -> None:
    """Raises SynthError where there is no described picture to learn from."""
    if not images:
        raise SynthError("No picture has a description.", "Make them with `synth train describe`.")
