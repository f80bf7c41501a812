"""Which files a model is: a folder or a hub's name resolved to one, checked before anything is loaded from it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SHAPE = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "intermediate_size",
    "vocab_size",
    "image_size",
    "patch_size",
)
_SAMPLE = 1 << 16
"""Bytes of each weight file, at its start, middle and end, that go into its fingerprint."""


@dataclass(frozen=True, slots=True)
class Base:
    """Which model this is. An adapter keeps it of the one it was trained on, and fits no other."""

    name: str
    """Folder name or hub name, for messages only: the folder may move."""
    config: str
    """Hash of what fixes the tensors' shapes."""
    weights: str
    """Hash of the weight files' sizes and of samples of their bytes."""

    @property
    def fingerprint(self) -> str:
        """Equal for the same model, wherever its files lie."""
        return f"{self.config}-{self.weights}"


def is_hub_name(name: str) -> bool:
    """Whether a name that is no folder can be one of a model hub's, `owner/name`."""
    return bool(_HUB_NAME.fullmatch(name)) and not Path(name).parent.is_dir()


def shown_name(name: str) -> str:
    """A folder or a hub's name as tables show it."""
    return Path(name).resolve().name if Path(name).is_dir() else name.rpartition("/")[2]


def check_folder(folder: Path) -> None:
    """Checks that a folder can be a model: a configuration, weights, a tokenizer, an image processor.

    Raises:
        SynthError: it is missing, an adapter, or incomplete.
    """
    if not folder.is_dir():
        raise SynthError(f"There is no folder {folder}.", "Give a model's folder, or a hub's name such as owner/name.")
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise SynthError(f"{folder} is an adapter, not a model.", "Give the model it was trained on as --model.")
    if not (folder / "config.json").is_file():
        raise SynthError(f"{folder} is not a checkpoint (no config.json in it).", "Name the folder that has it.")
    if not weight_files(folder):
        raise SynthError(f"{folder} has no weights (*.safetensors).", "Get the checkpoint again, whole.")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise SynthError(f"{folder} has no tokenizer.", "Save the tokenizer into it.")
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        raise SynthError(f"{folder} has no image processor.", "Save the processor into it.")


def weight_files(folder: Path) -> list[Path]:
    """Weight files of a folder, in the order of their names."""
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def read_base(name: str, folder: Path, config: Any) -> Base:
    """The identity of a model's files. Reads at most 192 KiB of each."""
    return Base(name, config_hash(config), weights_hash(folder))


def config_hash(config: Any) -> str:
    """16 hex digits over the sizes in a configuration; formats and defaults of a library's version are not in it."""
    shape = [{key: getattr(part, key, None) for key in _SHAPE} for part in (config.vision_config, config.text_config)]
    text = json.dumps([config.model_type, *shape], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_hash(folder: Path) -> str:
    """16 hex digits over the weight files: their sizes, and bytes at their start, middle and end."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        size = path.stat().st_size
        digest.update(f"{size}\n".encode())
        with path.open("rb") as file:
            for start in (0, size // 2, max(size - _SAMPLE, 0)):
                file.seek(start)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]
