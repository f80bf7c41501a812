"""BM25: words, weighted by how rare they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from synth.errors import SynthError
from synth.index.encoder import Items
from synth.index.parts import CHUNK, Parts
from synth.index.texts import terms
from synth.index.vectors import QueryVector, SparseQuery, SparseVectors


class Bm25:
    """BM25 in Lucene's variant (Kamphuis et al., ECIR 2020), weights computed by bm25s."""

    name = frozen = "bm25"
    names: tuple[str, ...] = (name,)
    K1 = 1.5
    B = 0.75
    signature = f"bm25 lucene k1={K1} b={B}"

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        documents: list[list[str]] = []
        for start in range(0, len(items.texts), CHUNK):
            documents += [terms(text) for text in items.texts[start : start + CHUNK]]
            parts.tell(self.name, len(documents))
        self._terms = {term: i for i, term in enumerate(sorted(set().union(*documents)))}
        if not self._terms:
            raise SynthError("No product has a word in its text.", "Check the catalogue with `synth catalog show`.")
        import bm25s  # type: ignore[import-untyped]

        model = bm25s.BM25(k1=self.K1, b=self.B, method="lucene")
        ids = [[self._terms[term] for term in document] for document in documents]
        model.index((ids, dict(self._terms)), create_empty_token=False, show_progress=False)
        vectors = SparseVectors(
            model.scores["data"], model.scores["indices"], model.scores["indptr"].astype(np.int64), len(documents)
        )
        vectors.save(folder, self.name)
        (folder / "bm25.terms.json").write_text(json.dumps(list(self._terms), ensure_ascii=False), "utf-8")
        return {self.name: vectors.kind}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        counts = Counter(self._terms[term] for term in terms(text) if term in self._terms)
        ids = sorted(counts)
        weights = np.array([counts[i] for i in ids], dtype=np.float64)
        return {self.name: SparseQuery(np.array(ids, dtype=np.int64), weights)}

    def load(self, folder: Path) -> None:
        words = json.loads((folder / "bm25.terms.json").read_text("utf-8"))
        self._terms = {term: i for i, term in enumerate(words)}
