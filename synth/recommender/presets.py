"""Small models for machines without a large GPU: a LLaVA-NeXT from nothing, or a tower grafted on a small real LM.

Both are written as ordinary checkpoint folders, so everything that loads LLaVA-NeXT loads them: the code path is the
one of the full model. Their towers know nothing yet; `warmup` teaches them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from synth.errors import SynthError
from synth.recommender.extras import quiet, require_train
from synth.recommender.tokenizer import BEGIN, END, IMAGE, LETTERS, PAD, build_tokenizer

Labels = Literal["letters", "tokens", "text"]
"""How a model names a candidate: a letter by its place, an own token for each item id, or the id's characters."""
_FILE = "preset.json"


@dataclass(frozen=True, slots=True)
class TowerShape:
    """A CLIP vision tower and the crops it looks at."""

    crop: int
    """Side of a crop, in pixels."""
    patch: int
    width: int
    layers: int
    heads: int
    grid: tuple[tuple[int, int], ...] = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
    """Grids of tiles, rows by columns, to choose from by an image's shape: those of LLaVA-NeXT 7B."""

    @property
    def pinpoints(self) -> list[list[int]]:
        return [[rows * self.crop, columns * self.crop] for rows, columns in self.grid]


@dataclass(frozen=True, slots=True)
class LanguageShape:
    """A Mistral decoder made from nothing."""

    width: int
    layers: int
    heads: int
    vocabulary: int
    positions: int = 4096
    spread: float = 0.08
    """Standard deviation of its first weights. The usual 0.02 starts so flat at this width that attention does not
    learn to match (the trial in the reference)."""


TINY_TOWER = TowerShape(crop=32, patch=8, width=128, layers=4, heads=4)
TINY_LANGUAGE = LanguageShape(width=128, layers=4, heads=4, vocabulary=2000)
SMALL_TOWER = TowerShape(crop=96, patch=12, width=384, layers=6, heads=6)


@dataclass(frozen=True, slots=True)
class PresetInfo:
    """What a preset's folder says about itself, in `preset.json`."""

    preset: Literal["tiny", "small"]
    seed: int
    labels: Labels
    language: str = ""
    """Name of the language model's folder; empty where it was made from nothing."""

    def write(self, folder: Path) -> None:
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


def preset_of(folder: Path) -> PresetInfo | None:
    """What a folder says of the preset it was built from; None for any other model."""
    path = folder / _FILE
    return PresetInfo(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def build_tiny(
    dataset_texts: Iterable[str],
    folder: Path,
    seed: int = 0,
    *,
    labels: Labels = "letters",
    item_ids: Sequence[str] = (),
    tower: TowerShape = TINY_TOWER,
    language: LanguageShape = TINY_LANGUAGE,
) -> Path:
    """Writes a LLaVA-NeXT of about two million parameters, its tokenizer trained on the given texts.

    Args:
        dataset_texts: titles, descriptions and conversations of the data it will be used on.
        folder: where to; must not exist.
        labels: how candidates are named. `tokens` makes a token of every id in `item_ids`; `text` keeps case.

    Raises:
        SynthError: the folder exists, or there is no text.
    """
    require_train()
    from transformers import LlavaNextConfig, MistralConfig

    texts = [text for text in dataset_texts if text.strip()]
    if not texts:
        raise SynthError("There is no text to train a tokenizer on.", "Check the data.")
    whole = {"letters": LETTERS, "tokens": tuple(item_ids), "text": ()}[labels]
    tokenizer = build_tokenizer(texts, language.vocabulary, whole, lower=labels != "text")
    special = {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": END}
    text_config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=language.width,
        intermediate_size=4 * language.width,
        num_hidden_layers=language.layers,
        num_attention_heads=language.heads,
        num_key_value_heads=language.heads,
        max_position_embeddings=language.positions,
        sliding_window=None,
        initializer_range=language.spread,
        tie_word_embeddings=True,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in special.items()},
    )
    config = LlavaNextConfig(
        vision_config=_clip(tower),
        text_config=text_config,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        image_grid_pinpoints=tower.pinpoints,
        tie_word_embeddings=True,
    )
    model = _initialised(config, seed)
    return _save(folder, model, tokenizer, tower, PresetInfo("tiny", seed, labels))


def build_small(
    language: Path,
    folder: Path,
    seed: int = 0,
    *,
    labels: Labels = "letters",
    item_ids: Sequence[str] = (),
    tower: TowerShape = SMALL_TOWER,
) -> Path:
    """Writes a LLaVA-NeXT whose language model is a real one, e.g. SmolLM2-135M, and whose tower is new.

    Args:
        language: a folder with a causal language model of `transformers` (Llama, Mistral, Qwen2, …) and its tokenizer.
        folder: where to; must not exist.
        labels: how candidates are named; `tokens` adds a token for every id in `item_ids`.

    Raises:
        SynthError: the folder exists, or `language` is no language model.
    """
    require_train()
    if not (language / "config.json").is_file():
        raise SynthError(
            f"{language} is not a language model (no config.json in it).",
            "Give --lm the folder of a transformers model, e.g. of SmolLM2-135M.",
        )
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlavaNextConfig

    try:
        causal = AutoModelForCausalLM.from_pretrained(language, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(language)
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise SynthError(f"{language} cannot be loaded as a language model: {said}", "Check the folder.") from error
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    if labels == "tokens":
        tokenizer.add_tokens(list(item_ids))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(seed)
    causal.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config = LlavaNextConfig(
        vision_config=_clip(tower),
        text_config=causal.config,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        image_grid_pinpoints=tower.pinpoints,
        tie_word_embeddings=causal.config.tie_word_embeddings,
    )
    model = _initialised(config, seed)
    model.model.language_model.load_state_dict(causal.model.state_dict())
    model.lm_head.load_state_dict(causal.lm_head.state_dict())
    return _save(folder, model, tokenizer, tower, PresetInfo("small", seed, labels, language.name))


def _clip(shape: TowerShape) -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=shape.width,
        intermediate_size=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        image_size=shape.crop,
        patch_size=shape.patch,
        projection_dim=shape.width,
    )


def _initialised(config: Any, seed: int) -> Any:
    """A model with random weights that depend on the seed alone."""
    from transformers import LlavaNextForConditionalGeneration

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlavaNextForConditionalGeneration(config)


def _save(folder: Path, model: Any, tokenizer: Any, tower: TowerShape, info: PresetInfo) -> Path:
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    side = {"height": tower.crop, "width": tower.crop}
    processor = LlavaNextImageProcessorPil(
        size={"shortest_edge": tower.crop}, crop_size=side, image_grid_pinpoints=tower.pinpoints
    )
    with _whole(folder) as staging, quiet():
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        processor.save_pretrained(staging)
        info.write(staging)
    return folder


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete."""
    if folder.exists():
        raise SynthError(f"{folder} exists already.", "Choose another folder or remove it.")
    staging = folder.with_name(folder.name + ".partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
