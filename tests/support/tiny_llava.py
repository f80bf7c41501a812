"""A LLaVA-NeXT of a few thousand weights on disk, with pictures, items and conversations to go with it."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.recommender.data import RecExample, Utterance
from synth.recommender.extras import quiet
from synth.recommender.items import Item
from synth.recommender.prompts import DESCRIBE, TASK

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "green": (30, 160, 30), "black": (20, 20, 20)}
SIZES = [(40, 40), (90, 30), (30, 90), (60, 50), (200, 20), (17, 33)]
"""Widths and heights of the pictures: crops of several numbers."""
SIDE = 28


def write_model(folder: Path, texts: list[str], seed: int = 0, width: int = 32) -> Path:
    """The recipe of a model's folder: configuration, random weights, tokenizer, image processor."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        MistralConfig,
        PreTrainedTokenizerFast,
    )
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE], [3 * SIDE, SIDE], [SIDE, 3 * SIDE]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=14,
            projection_dim=24,
        ),
        text_config=MistralConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            sliding_window=None,
            initializer_range=0.2,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=3,
        image_grid_pinpoints=grid,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaNextForConditionalGeneration(config)
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = {"height": SIDE, "width": SIDE}
    LlavaNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=side, image_grid_pinpoints=grid).save_pretrained(
        folder
    )
    return folder


@dataclass(frozen=True)
class World:
    """Items, their pictures, and conversations about them."""

    model: Path
    items: dict[str, Item]
    train: list[RecExample]
    valid: list[RecExample]


def make_world(folder: Path, items: int = 12, examples: int = 14) -> World:
    """Items of a colour each; conversations name the colour of their answer and are of very different lengths."""
    chance = random.Random(5)
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Item] = {}
    for number in range(items):
        colour = list(COLOURS)[number % len(COLOURS)]
        name = f"B{number:09d}"
        paths = [folder / f"{name}_{n}.png" for n in range(1 + number % 2)]
        for n, path in enumerate(paths):
            noise = np.random.default_rng(number * 10 + n).integers(-15, 16, (*SIZES[number % len(SIZES)][::-1], 3))
            Image.fromarray(np.clip(noise + COLOURS[colour], 0, 255).astype(np.uint8)).save(path)
        title = " ".join(chance.choices(["plain", "summer", "cotton", "shirt", "coat", "shoes"], k=1 + number % 5))
        if number == items - 1:
            paths = []
        made[name] = Item(name, title, tuple(paths), {path.name: f"A {colour} thing, in {colour}." for path in paths})
    world = [
        _example(f"{'train' if n < examples else 'valid'}:{n}#0", n, list(made.values()), chance)
        for n in range(examples + 6)
    ]
    texts = [text for e in world for u in e.context for text in [u.text]] + [item.title for item in made.values()]
    texts += [text for item in made.values() for text in item.descriptions.values()]
    write_model(folder / "model", [*texts, TASK, DESCRIBE, "Candidates: Conversation: Answer: User: Assistant:"] * 3)
    return World(folder / "model", made, world[:examples], world[examples:])


def _example(name: str, number: int, items: list[Item], chance: random.Random) -> RecExample:
    candidates = chance.sample(items, 4)
    gt = candidates[number % 4]
    colour = next(iter(gt.descriptions.values()), "a black").split()[1]
    talk = [Utterance("user", f"I want something {colour}, please. " * chance.randint(1, 6))]
    for _ in range(chance.randint(0, 3)):
        talk += [Utterance("assistant", "What is it for?"), Utterance("user", f"For summer, {colour}.")]
    return RecExample(
        id=name,
        conversation=name.split("#")[0],
        context=tuple(talk),
        gt=gt.id,
        other_gts=frozenset(),
        candidates=tuple(item.id for item in candidates),
    )


def write_data(world: World, folder: Path) -> Path:
    """The world in the form of the released data, its validation examples as the test split too."""
    (folder / "images").mkdir(parents=True)
    meta = {}
    for item in world.items.values():
        for image in item.images:
            shutil.copy(image, folder / "images")
        meta[item.id] = {
            "title": item.title,
            "images": [f"images/{image.name}" for image in item.images],
            "image_descriptions_llava_cleaned": item.descriptions,
        }
    (folder / "item2meta.json").write_text(json.dumps(meta))
    tags = {"user": "submission", "assistant": "comment"}
    for split, examples in {"train": world.train, "valid": world.valid, "test": world.valid}.items():
        rows = [
            {
                "context": "".join(f"<{tags[u.speaker]}>{u.text}</{tags[u.speaker]}>\n" for u in example.context),
                "context_items": [],
                "gt": "Take this.",
                "gt_items": [example.gt],
                "candidates_retrieved": list(example.candidates),
            }
            for example in examples
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


class MemoryFeatures:
    """Features in memory, under the name of the picture's file, as the tower gives them now."""

    def __init__(self, architecture: Architecture, items: dict[str, Item]) -> None:
        import torch

        from synth.recommender.crops import crops, open_image

        self._kept: dict[str, Any] = {}
        with torch.no_grad():
            for item in items.values():
                for image in item.images[:1]:
                    pixels = crops(open_image(image), architecture.image_processor)
                    self._kept[image.name] = architecture.encode(pixels).cpu().numpy()

    def get(self, image_hash: str) -> Any:
        return self._kept[image_hash]


def hashes(items: dict[str, Item]) -> dict[str, str]:
    return {item.id: item.images[0].name for item in items.values() if item.images}
