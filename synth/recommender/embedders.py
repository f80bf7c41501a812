"""Dense encoders beyond the index's own: sentence-transformers models, and embeddings from an OpenAI-style server."""

from __future__ import annotations

import hashlib
import importlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.index.encoder import Items
from synth.index.models import alone, digest, loading, locate, working
from synth.index.models import require as require_files
from synth.index.parts import Parts
from synth.index.vectors import QueryVector, unit, write_dense
from synth.llm.endpoint import Endpoint
from synth.recommender.extras import require

Pooling: TypeAlias = Literal["own", "cls", "mean"]
"""How token vectors become one: as the model's own configuration says, the first, or their mean."""

# BGE-M3 not by `synth.index.bge`, which takes 512 tokens of a text: a tenth of the conversations on Reddit are longer.
NAMED: dict[str, tuple[str, Pooling]] = {
    "bge-m3": ("BAAI/bge-m3", "own"),
    "roberta": ("FacebookAI/roberta-large", "mean"),
    "simcse": ("princeton-nlp/sup-simcse-roberta-large", "cls"),
    "blair": ("hyp1231/blair-roberta-large", "cls"),
}
"""The published models that LaViC compares with, by name: where they are found and how they pool."""

_MOST_CHARACTERS = 24_000
"""Of a text sent for embedding, as models take some 8,000 tokens; of a longer one the end is kept, being the newest."""


_WEIGHTS = (".safetensors", ".bin", ".json")
"""Endings of the files that fix what a model gives."""


class _Dense(ABC):
    """One vector of unit length for a text."""

    # Also names files, which a model's own name (a folder, an address) may be unfit for.
    names: tuple[str, ...] = ("dense",)

    def __init__(self, name: str, signature: str) -> None:
        self.name = self.frozen = name
        self.signature = signature

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        (name,) = self.names
        stored = parts.encode(name, self.signature, lambda rows: {"dense": self._embed(items.texts[rows])})
        return {name: write_dense(folder, name, parts.count, (dense for (dense,) in stored.each("dense")))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        vector: NDArray[np.float32] = self._embed([text])[0]
        return dict.fromkeys(self.names, vector)

    def load(self, folder: Path) -> None:  # noqa: B027 (there is nothing to do, for any of them)
        """Nothing was learnt."""

    @abstractmethod
    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions)."""


class Sentences(_Dense):
    """A sentence-transformers model, by folder or by its name in the hub's cache on this machine.

    Texts longer than the model takes are cut at their end, by the model's own tokenizer.

    Args:
        name: what the retriever is called.
        model: a folder, or a name on a model hub; nothing is fetched.

    Raises:
        SynthError: sentence-transformers is not installed, or the model is not there or cannot be read.
    """

    def __init__(self, name: str, model: str, pooling: Pooling = "own") -> None:
        require("minilm", "sentence_transformers", "torch")
        folder = _find(name, model)
        # Of its weights: embeddings that are kept must not outlive them.
        weights = digest(sorted(path for path in folder.rglob("*") if path.suffix in _WEIGHTS))
        super().__init__(name, f"{model} {pooling} {weights}")
        self._model = _load(name, folder, pooling)

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        with alone():
            return super().encode_query(text)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with working():
            vectors: NDArray[np.float32] = self._model.encode(
                list(texts), batch_size=32, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        return vectors.astype(np.float32)


def _find(name: str, model: str) -> Path:
    """The folder of a model's files."""
    try:
        folder = locate(name, model)
    except SynthError as error:
        fix = "Name a folder of weights with st:FOLDER, or fetch a model with `hf download ORGANISATION/NAME`."
        raise SynthError(error.what, fix) from error
    require_files(name, folder, [("config.json", "modules.json")])
    return folder


def _load(name: str, folder: Path, pooling: Pooling) -> Any:
    with loading(name, folder):
        library = importlib.import_module("sentence_transformers")
        if pooling == "own":
            return library.SentenceTransformer(str(folder), local_files_only=True)
        parts = importlib.import_module("sentence_transformers.models")
        words = parts.Transformer(str(folder))
        pooled = parts.Pooling(words.get_word_embedding_dimension(), pooling_mode=pooling)
        return library.SentenceTransformer(modules=[words, pooled])


class OpenAIEmbeddings(_Dense):
    """Embeddings from OpenAI, or from a server of the same protocol (`OPENAI_BASE_URL`); vectors of unit length.

    Args:
        model: e.g. `text-embedding-3-large`.
        cache: a file in which every embedding is kept before it is used, so that none is paid twice.
    """

    def __init__(self, model: str, cache: Path | None = None) -> None:
        super().__init__(f"openai:{model}", f"openai:{model}")
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

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
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
        vectors = [entry.embedding for entry in sorted(reply.data, key=lambda entry: entry.index)]
        return list(unit(np.array(vectors)))

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self._place}\x1f{self._model}\x1f{text}".encode()).hexdigest()

    def _known(self, key: str) -> NDArray[np.float32] | None:
        row = self._store.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype=np.float32)
