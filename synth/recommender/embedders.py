"""Dense encoders beyond the index's own: sentence-transformers models, and embeddings from an OpenAI-style server."""

from __future__ import annotations

import hashlib
import importlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.index.encoders import CHUNK, Progress
from synth.index.vectors import DenseVectors, QueryVector, Vectors
from synth.llm.endpoint import Endpoint
from synth.recommender.extras import quiet

Pooling: TypeAlias = Literal["own", "cls", "mean"]
"""How token vectors become one: as the model's own configuration says, the first, or their mean."""

NAMED: dict[str, tuple[str, Pooling]] = {
    "bge-m3": ("BAAI/bge-m3", "own"),
    "roberta": ("FacebookAI/roberta-large", "mean"),
    "simcse": ("princeton-nlp/sup-simcse-roberta-large", "cls"),
    "blair": ("hyp1231/blair-roberta-large", "cls"),
}
"""The published models that LaViC compares with, by name: where they are found and how they pool."""

_REQUEST = 128
"""Texts in one request for embeddings."""
_MOST_CHARACTERS = 24_000
"""Of a text sent for embedding, as models take some 8,000 tokens; of a longer one the end is kept, being the newest."""


class Sentences:
    """A sentence-transformers model, by name or folder; vectors of unit length.

    Texts longer than the model takes are cut at their end, by the model's own tokenizer.

    Args:
        name: what the retriever is called.
        model: a folder, or a name on a model hub.
    """

    def __init__(self, name: str, model: str, pooling: Pooling = "own") -> None:
        self.name = name
        self.signature = f"{model} {pooling}"
        self._model = _load(model, pooling)

    def encode_items(self, texts: Sequence[str], progress: Progress | None) -> Mapping[str, Vectors]:
        parts = []
        for start in range(0, len(texts), CHUNK):
            parts.append(self._encode(list(texts[start : start + CHUNK])))
            if progress:
                progress(self.name, min(start + CHUNK, len(texts)), len(texts))
        return {self.name: DenseVectors(np.concatenate(parts))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        vector: NDArray[np.float32] = self._encode([text])[0]
        return {self.name: vector}

    def save(self, folder: Path) -> None:
        """Nothing is learnt."""

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._model.encode(
            texts, batch_size=32, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors.astype(np.float32)


def _load(model: str, pooling: Pooling) -> Any:
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise SynthError(
            "This retriever needs sentence-transformers, which is not installed.",
            "Install it with `pip install 'synth-crs[minilm]'`, or use bm25.",
        ) from error
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise SynthError(f"{model} is not a model's folder: it has no config.json.")
    try:
        with quiet():
            if pooling == "own":
                return library.SentenceTransformer(model)
            parts = importlib.import_module("sentence_transformers.models")
            words = parts.Transformer(model)
            pooled = parts.Pooling(words.get_word_embedding_dimension(), pooling_mode=pooling)
            return library.SentenceTransformer(modules=[words, pooled])
    except (OSError, ValueError, RuntimeError) as error:
        raise SynthError(
            f"The model {model} cannot be loaded: {str(error).splitlines()[0]}",
            "Name a folder with st:FOLDER, or a model that can be downloaded.",
        ) from error


class OpenAIEmbeddings:
    """Embeddings from OpenAI, or from a server of the same protocol (`OPENAI_BASE_URL`); vectors of unit length.

    Args:
        model: e.g. `text-embedding-3-large`.
        cache: a file in which every embedding is kept before it is used, so that none is paid twice.
    """

    def __init__(self, model: str, cache: Path | None = None) -> None:
        self.name = f"openai:{model}"
        self.signature = self.name
        self.tokens = 0
        """Paid so far, as the server counts them."""
        self._model = model
        endpoint = Endpoint.find("openai", None)
        openai = importlib.import_module("openai")
        self._errors: type[Exception] = openai.OpenAIError
        self._client = openai.OpenAI(
            api_key=endpoint.key, base_url=endpoint.url, default_headers=endpoint.headers, max_retries=5, timeout=120
        )
        self._secrets = endpoint.secrets
        self._place = endpoint.url or "https://api.openai.com/v1"
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
        self._store = sqlite3.connect(cache or ":memory:")
        self._store.execute("CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL)")

    def encode_items(self, texts: Sequence[str], progress: Progress | None) -> Mapping[str, Vectors]:
        parts = []
        for start in range(0, len(texts), _REQUEST):
            parts.append(self._embed(list(texts[start : start + _REQUEST])))
            if progress:
                progress(self.name, min(start + _REQUEST, len(texts)), len(texts))
        return {self.name: DenseVectors(np.concatenate(parts))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        return {self.name: self._embed([text])[0]}

    def save(self, folder: Path) -> None:
        """Nothing is learnt."""

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions)."""
        texts = [text[-_MOST_CHARACTERS:] or " " for text in texts]
        keys = [self._key(text) for text in texts]
        found = {key: vector for key in keys if (vector := self._known(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            vectors = self._ask(list(missing.values()))
            with self._store:
                for key, vector in zip(missing, vectors, strict=True):
                    self._store.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (key, vector.tobytes()))
            found.update(zip(missing, vectors, strict=True))
        return np.stack([found[key] for key in keys])

    def _ask(self, texts: list[str]) -> list[NDArray[np.float32]]:
        try:
            reply = self._client.embeddings.create(model=self._model, input=texts, encoding_format="float")
        except self._errors as error:
            said = str(error)
            for secret in self._secrets:
                said = said.replace(secret, "…")
            raise SynthError(f"{self._place} gave no embeddings by {self._model}: {said[:300]}") from error
        if len(reply.data) != len(texts):
            raise SynthError(f"{self._place} gave {len(reply.data)} embeddings for {len(texts)} texts.")
        self.tokens += reply.usage.total_tokens if reply.usage else 0
        vectors = [np.array(entry.embedding, dtype=np.float32) for entry in sorted(reply.data, key=lambda e: e.index)]
        return [vector / max(float(np.linalg.norm(vector)), 1e-12) for vector in vectors]

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self._place}\x1f{self._model}\x1f{text}".encode()).hexdigest()

    def _known(self, key: str) -> NDArray[np.float32] | None:
        row = self._store.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype=np.float32)
