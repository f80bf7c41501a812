"""CLIP and its like: pictures and texts in one space, so that words find what a picture shows."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synth.errors import SynthError
from synth.index.bge import WEIGHTS
from synth.index.encoder import Items
from synth.index.models import alone, device, digest, in_batches, loading, locate, need, pretrained, require, working
from synth.index.parts import Parts
from synth.index.vectors import QueryVector, unit, write_dense

_FILES = (
    ("config.json",),
    WEIGHTS,
    ("tokenizer.json", "vocab.json", "spiece.model"),
    ("preprocessor_config.json", "processor_config.json"),
)
_BATCH = 32


class Clip:
    """The first picture of every product, by any model of transformers with `get_image_features` (CLIP, SigLIP, …).

    Args:
        model: a folder with its files, or a name in the hub's cache on this machine.
    """

    name = "clip"
    names: tuple[str, ...] = (name,)
    MODEL = "openai/clip-vit-base-patch32"

    def __init__(self, model: str = MODEL) -> None:
        need(self.name, "bge", ("transformers", "torch"))
        self._folder = locate(self.name, model)
        weights = digest(require(self.name, self._folder, _FILES))
        self.signature = f"clip {weights}"
        self.frozen = f"{self.name}#{weights}"
        self._model: Any = None
        self._tokenizer: Any = None
        self._pictures: Any = None
        self._device = "cpu"

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        if not any(items.pictures):
            raise SynthError("No product has a picture to encode.", "Leave out --encoder clip.")

        def encode(rows: slice) -> dict[str, NDArray[Any]]:
            with working():
                return {"dense": self._encode_pictures(list(items.pictures[rows]))}

        stored = parts.encode(self.name, self.signature, encode)
        return {self.name: write_dense(folder, self.name, parts.count, (dense for (dense,) in stored.each("dense")))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        with alone():
            self._open()
            config = self._model.config
            longest = getattr(config, "text_config", config).max_position_embeddings
            # SigLIP was trained on texts padded to its full length, and without a mask.
            padding = "max_length" if config.model_type.startswith("siglip") else True
            inputs = self._tokenizer(
                [text], padding=padding, truncation=True, max_length=longest, return_tensors="pt"
            ).to(self._device)
            (vector,) = self._features(self._model.get_text_features(**inputs))
        return {self.name: vector}

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _encode_pictures(self, paths: list[Path | None]) -> NDArray[np.float32]:
        """A row for each; zeros where there is no picture."""
        self._open()
        there = [i for i, path in enumerate(paths) if path]
        encoded = list(in_batches([path for path in paths if path], _BATCH, self._forward))
        width = encoded[0].shape[1] if encoded else self._model.config.projection_dim
        rows = np.zeros((len(paths), width), dtype=np.float32)
        if encoded:
            rows[there] = np.concatenate(encoded)
        return rows

    def _forward(self, paths: list[Path]) -> NDArray[np.float32]:
        pictures = []
        for path in paths:
            try:
                with Image.open(path) as picture:
                    pictures.append(picture.convert("RGB"))
            except OSError as error:
                raise SynthError(
                    f"The picture {path} cannot be read: {error}", "Import the catalogue again."
                ) from error
        inputs = self._pictures(images=pictures, return_tensors="pt").to(self._device)
        return self._features(self._model.get_image_features(**inputs))

    def _features(self, made: Any) -> NDArray[np.float32]:
        """Unit vectors; some models of transformers give a tensor, some an output around it."""
        return unit(getattr(made, "pooler_output", made).float().cpu().numpy())

    def _open(self) -> None:
        if self._model is not None:
            return
        with loading(self.name, self._folder):
            library = importlib.import_module("transformers")
            folder = str(self._folder)
            # Pillow resizes, not torchvision, which breaks beside torch's wheels for the CPU.
            self._pictures = library.AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            self._tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = pretrained(self.name, self._folder)
            if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
                raise SynthError(f"The model in {folder} encodes no pictures and texts.", "Give a CLIP-like one.")
            self._device = device()
            self._model = model.to(self._device)
