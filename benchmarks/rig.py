"""What the benchmarks of training share: models of three sizes with random weights, drawn data, and clocks.

Words, ids and pictures are drawn; the code that is timed is the package's own: prompts, batches, steps, scoring.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synth.recommender.adapters import Lora
from synth.recommender.answering import Pictures, PromptSettings, Recommender
from synth.recommender.architecture import Architecture
from synth.recommender.base import Base
from synth.recommender.batches import pad
from synth.recommender.crops import crops, open_image
from synth.recommender.data import RecExample, Utterance
from synth.recommender.distill import DescribedImage, Distill, DistillSettings
from synth.recommender.extras import quiet
from synth.recommender.flops import tower_forward
from synth.recommender.items import Item
from synth.recommender.precision import autocast, peak_memory
from synth.recommender.presets import SMALL_TOWER, TINY_TOWER, TowerShape
from synth.recommender.prompts import DESCRIBE, TASK, Encoded
from synth.recommender.recommend import Recommend, RecommendSettings
from synth.recommender.scoring import label_losses
from synth.recommender.tokenizer import IMAGE, build_tokenizer

CROPS = 5
"""Of every picture here, as of most in LaViC's data."""
CANDIDATES = 10
LAVIC_TOWER = TowerShape(crop=336, patch=14, width=1024, layers=24, heads=16)
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Size:
    """A model's shape, and how long what it reads is."""

    tower: TowerShape
    language: dict[str, Any]
    family: str
    title: int
    """Words of a title, in the middle."""
    talk: int
    """Words of a conversation, in the middle."""
    picture: int
    """Side of a picture in pixels."""


SIZES = {
    # llava-v1.6-mistral-7b. Lengths as measured on the Reddit-Amazon data.
    "7b": Size(
        LAVIC_TOWER,
        {
            "vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768,
            "sliding_window": None,
        },
        "mistral", 37, 170, 500,
    ),
    # SmolLM2-135M's shape.
    "small": Size(
        SMALL_TOWER,
        {
            "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
            "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
        "llama", 8, 60, 200,
    ),
    "tiny": Size(
        TINY_TOWER,
        {
            "vocab_size": 2400, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 4096,
            "sliding_window": None, "tie_word_embeddings": True,
        },
        "mistral", 6, 40, 80,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """Items, conversations about them, and the words all are made of."""

    items: dict[str, Item]
    examples: list[RecExample]
    words: list[str]


def draw(size: Size, examples: int, folder: Path | None = None, seed: int = 0) -> Drawn:
    """Data of realistic lengths.

    Args:
        folder: where pictures are written; None: items name pictures that are not there, for features of their own.
    """
    chance = random.Random(seed)
    words = ["".join(chance.choices("aeioubdfgklmnprst", k=chance.randint(3, 7))) for _ in range(400)]

    def text(middle: int, spread: float) -> str:
        count = min(max(4, round(chance.lognormvariate(0, spread) * middle)), 6 * middle)
        return " ".join(chance.choices(words, k=count))

    items = {}
    for number in range(max(4 * CANDIDATES, examples)):
        name = "B0" + "".join(chance.choices(_LETTERS, k=8))
        path = (folder or Path("drawn")) / f"{name}_0.jpg"
        if folder is not None:
            pixels = np.random.default_rng(seed + number).integers(0, 256, (size.picture, size.picture, 3), np.uint8)
            Image.fromarray(pixels).save(path, quality=85)
        items[name] = Item(name, text(size.title, 0.4), (path,), {path.name: text(90, 0.2)})
    made = []
    for number in range(examples):
        listed = chance.sample(sorted(items), CANDIDATES)
        talk = (Utterance("user", text(size.talk, 0.8)), Utterance("assistant", text(12, 0.3)))
        gt = listed[number % CANDIDATES]
        made.append(RecExample(f"train:{number}#0", f"train:{number}", talk, gt, frozenset(), tuple(listed)))
    return Drawn(items, made, words)


def make_architecture(size: Size, data: Drawn, device: torch.device, dtype: torch.dtype) -> Architecture:
    """The model, its random weights made on the device in their format; no file is read."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        MistralConfig,
    )
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    ids = " ".join(data.items)
    tokenizer = build_tokenizer([TASK, DESCRIBE, ids, *([" ".join(data.words)] * 40)], 2000, lower=False)
    tower = size.tower
    vision = CLIPVisionConfig(
        hidden_size=tower.width, intermediate_size=4 * tower.width, num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads, image_size=tower.crop, patch_size=tower.patch, projection_dim=tower.width,
    )  # fmt: skip
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    language = {"mistral": MistralConfig, "llama": LlamaConfig}[size.family](**size.language, **special)
    config = LlavaNextConfig(
        vision_config=vision,
        text_config=language,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        image_grid_pinpoints=tower.pinpoints,
        tie_word_embeddings=bool(size.language.get("tie_word_embeddings")),
    )
    torch.manual_seed(0)
    with torch.device(device), quiet():
        model = LlavaNextForConditionalGeneration._from_config(config, dtype=dtype)
    model.eval().requires_grad_(False)
    side = {"height": tower.crop, "width": tower.crop}
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": tower.crop}, crop_size=side, image_grid_pinpoints=tower.pinpoints
    )
    return Architecture(model, tokenizer, processor, Base("random weights", "drawn", "drawn"))


class DrawnFeatures:
    """Features of every picture, drawn; what a cache would give."""

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        self._rows = torch.randn(CROPS, width).to(dtype)

    def get(self, image_hash: str, /) -> Any:
        return self._rows


class UncachedAnswers(Recommender):
    """A recommender that sends every candidate's crops through the tower for every example."""

    pool: torch.Tensor | None = None
    """Crops that are on the device already, taken in the place of pictures; None: pictures are opened and cropped."""

    def pixels(self, examples: Sequence[RecExample]) -> torch.Tensor:
        """The crops of all candidates, in the slots' order."""
        listed = [item for example in examples for item in example.candidates]
        if self.pool is not None:
            return self.pool[torch.arange(CROPS * len(listed), device=self.pool.device) % len(self.pool)]
        processor = self.architecture.image_processor
        return torch.cat([crops(open_image(self.prompt.items[item].images[0]), processor) for item in listed])

    def _images(self, examples: Sequence[RecExample], prompts: Sequence[Encoded]) -> torch.Tensor:
        return self.embed(self.architecture.encode(self.pixels(examples)))


class Uncached(Recommend):
    """Stage 2 as the released code has it: every candidate's crops go through the frozen tower for every example."""

    recommender: UncachedAnswers

    def collate(self, examples: list[Any]) -> dict[str, Any]:
        batch = pad([entry.prompt for entry in examples], self.recommender.filler)
        return {**batch, "pixels": self.recommender.pixels([entry.example for entry in examples])}

    def step(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, int]:
        with torch.no_grad():
            features = self.architecture.encode(batch["pixels"])
        losses = label_losses(self.architecture, batch, self.recommender.embed(features))
        return losses.sum(), len(losses)

    def flops(self, batch: dict[str, Any]) -> float:
        return super().flops(batch) + tower_forward(self.architecture.model.config.vision_config, len(batch["pixels"]))


class DrawnDistill(Distill):
    """Stage 1 on crops that are on the device already."""

    pool: torch.Tensor

    def collate(self, examples: list[DescribedImage]) -> dict[str, Any]:
        prompts = [self._prompt.with_crops(self._parts[example], CROPS) for example in examples]
        pixels = self.pool[torch.arange(CROPS * len(examples), device=self.pool.device) % len(self.pool)]
        return {**pad(prompts, self._filler), "pixels": pixels}


def stage_2(architecture: Architecture, data: Drawn, kind: type[Recommend] = Recommend) -> Recommend:
    """Stage 2 on drawn features, LoRA as LaViC has it."""
    features = DrawnFeatures(architecture.vision_width, architecture.dtype)
    pictures = Pictures(features, {item: item for item in data.items})
    settings = RecommendSettings(PromptSettings(labels="text"), Lora())
    return kind(architecture, data.examples, [], data.items, pictures, settings)


def twin(method: Recommend, pool: torch.Tensor | None) -> Uncached:
    """The same stage 2, on the same weights, without a cache."""
    other = Uncached.__new__(Uncached)
    other.__dict__.update(method.__dict__)
    other.recommender = UncachedAnswers.__new__(UncachedAnswers)
    other.recommender.__dict__.update(method.recommender.__dict__)
    other.recommender.pool = pool
    return other


def stage_1(architecture: Architecture, data: Drawn, pool: torch.Tensor | None) -> Distill:
    """Stage 1 on drawn descriptions; on pictures where there is no pool of crops."""
    images = [
        DescribedImage(item.id, item.title, item.images[0], next(iter(item.descriptions.values())))
        for item in data.items.values()
    ]
    if pool is None:
        return Distill(architecture, images, [], DistillSettings())
    method = DrawnDistill(architecture, images, [], DistillSettings())
    method.pool = pool
    return method


def crop_pool(size: Size, count: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(count, 3, side, side) crops, drawn on the device."""
    return torch.randn(count, 3, size.tower.crop, size.tower.crop, device=device, dtype=dtype)


def bare(architecture: Architecture, method: Any) -> None:
    """Takes a stage's adapters out of the model again."""
    method.model.unload()
    architecture.model.requires_grad_(False)
    if hasattr(architecture.model, "peft_config"):
        del architecture.model.peft_config


class Steps:
    """Optimizer steps as the training loop makes them, one batch each."""

    def __init__(self, method: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.trained = [p for p in method.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-5)

    def __call__(self, method: Any, batch: dict[str, Any]) -> float:
        """One step; returns the operations its mathematics needs."""
        batch = {name: v.to(self.device) if isinstance(v, torch.Tensor) else v for name, v in batch.items()}
        method.model.train()
        with autocast(self.device, self.dtype):
            loss, labels = method.step(method.model, batch)
        loss.backward()
        for parameter in self.trained:
            if parameter.grad is not None:
                parameter.grad /= labels
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(method.flops(batch))


def clock(do: Callable[[], Any], device: torch.device) -> float:
    """Seconds that it takes until the device is done."""
    wait(device)
    start = time.perf_counter()
    do()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def free(device: torch.device) -> None:
    """Forgets what nothing refers to, and starts the count of peak memory anew."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int:
    return peak_memory(device)


def alike(method: Any, count: int) -> list[Any]:
    """Examples nearest the middle in length, so that batches of every size are of like examples."""
    examples: Sequence[Any] = method.examples("train")
    ordered = sorted(examples, key=method.length)
    start = max(0, (len(ordered) - count) // 2)
    return ordered[start : start + count]
