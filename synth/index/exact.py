"""The `exact` index: every item is scored, so recall is 1 and results are the same everywhere.

It is a folder of memory-mapped arrays that any number of processes can read. Up to some 250,000 items a query costs
less than 30 ms; a conversation's turn waits for its model a hundred times as long.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Candidate, Record
from synth.errors import SynthError
from synth.index.encoders import Encoder, make_encoder
from synth.index.fusion import Fusion, fuse
from synth.index.texts import VERSION as TEXTS_VERSION
from synth.index.vectors import DenseVectors, Mask, QueryVector, Ranking, Rows, SparseVectors, Vectors

FORMAT = 1
DEPTH = 100
"""Items that each vector contributes to a fusion, or more where more are asked for."""
KINDS: dict[str, type[DenseVectors] | type[SparseVectors]] = {"dense": DenseVectors, "sparse": SparseVectors}

Where = Mapping[str, str | Collection[str]]
"""Allowed values (any case) by attribute."""


class IndexInfo(Record):
    """What an index says about itself: `index.json`, written last."""

    format: int = FORMAT
    texts: int = TEXTS_VERSION
    catalogue: str
    """Fingerprint of the catalogue it was built for."""
    encoders: dict[str, str]
    """Signature by encoder."""
    vectors: dict[str, str]
    """Kind by vector."""


@dataclass(frozen=True)
class Search:
    """One search: see `Index.search`."""

    query: str
    k: int = 10
    exclude: Collection[str] = ()
    where: Where | None = None
    fusion: Fusion = "rrf"
    weights: Mapping[str, float] = field(default_factory=dict)


class Index:
    """An opened index over a catalogue."""

    def __init__(self, catalogue: Catalogue, encoders: Sequence[Encoder], vectors: Mapping[str, Vectors]) -> None:
        self.catalogue = catalogue
        self.encoders = tuple(encoders)
        self.vectors = dict(vectors)
        self.ids = item_ids(catalogue)
        """By row."""
        self._rows = {item: row for row, item in enumerate(self.ids)}

    @classmethod
    def open(cls, folder: Path, catalogue: Catalogue, encoders: Collection[str] | None = None) -> Index:
        """Opens an index that `build_index` has written.

        Args:
            encoders: which it must have been built with; any where None.

        Raises:
            SynthError: there is none, it is damaged or half-written, or it was built for another catalogue, with
                another encoder or by another version.
        """
        again = f"Build it again with `synth index build --catalog {catalogue.folder}`."
        if not (folder / "index.json").is_file():
            raise SynthError(f"There is no index in {folder}.", again.replace(" again", ""))
        try:
            raw = json.loads((folder / "index.json").read_text("utf-8"))
            if (raw.get("format"), raw.get("texts")) != (FORMAT, TEXTS_VERSION):
                raise SynthError(f"The index in {folder} was written by another version of synth.", again)
            info = IndexInfo.model_validate(raw)
            if info.catalogue != catalogue.info.fingerprint:
                raise SynthError(f"The index in {folder} was built for another catalogue.", again)
            if encoders is not None and set(encoders) != set(info.encoders):
                raise SynthError(
                    f"The index in {folder} was built with {' and '.join(info.encoders)}, "
                    f"not {' and '.join(encoders)}.",
                    " ".join([again[:-2], *(f"--encoder {name}" for name in encoders)]) + "`.",
                )
            opened = [make_encoder(name) for name in info.encoders]
            for encoder in opened:
                if encoder.signature != info.encoders[encoder.name]:
                    raise SynthError(
                        f"The index in {folder} was built with {info.encoders[encoder.name]}, "
                        f"but {encoder.signature} is installed.",
                        again,
                    )
                encoder.load(folder)
            vectors = {name: KINDS[kind].open(folder, name) for name, kind in info.vectors.items()}
            if any(len(stored) != len(catalogue) for stored in vectors.values()):
                raise ValueError("its vectors are not as many as the products")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise SynthError(f"The index in {folder} is damaged: {error}.", again) from error
        return cls(catalogue, opened, vectors)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        exclude: Collection[str] = (),
        where: Where | None = None,
        fusion: Fusion = "rrf",
        weights: Mapping[str, float] | None = None,
    ) -> list[Candidate]:
        """The k best products for a query.

        A search by BM25 alone finds only products that share a term with the query; where these are fewer than k,
        others follow with a score of 0, in the order of their ids.

        Args:
            exclude: ids that must not be among them.
            where: only products that have, for each of these attributes, (one of) the given value(s), in any case.
            fusion: how the rankings of several vectors become one; see `synth.index.fusion.fuse`.
            weights: by the vector's name; 1 where it has none.

        Returns:
            Candidates, best first: k of them, or all that are allowed where those are fewer. Scores are those of the
            vector (BM25, or cosine) where there is one, else fused ones.

        Raises:
            SynthError: k is below 1, or no product has an attribute that `where` names.
        """
        return self.search_many([Search(query, k, exclude, where, fusion, weights or {})])[0]

    def search_many(self, searches: Sequence[Search]) -> list[list[Candidate]]:
        """The result of each search: exactly what it would be alone."""
        allowed = [self.allowed(search) for search in searches]
        encoded = [self._encode(search.query) for search in searches]
        depth = [search.k if len(self.vectors) == 1 else max(search.k, DEPTH) for search in searches]
        rankings: list[dict[str, Ranking]] = [{} for _ in searches]
        for name, vectors in self.vectors.items():
            ranked = vectors.rank([query[name] for query in encoded], allowed, depth)
            for by_name, ranking in zip(rankings, ranked, strict=True):
                by_name[name] = ranking
        return [
            self._candidates(fuse(by_name, search.fusion, search.weights, search.k), mask, search.k)
            for search, by_name, mask in zip(searches, rankings, allowed, strict=True)
        ]

    def allowed(self, search: Search) -> Mask | None:
        """Which rows a search may return, or None for all. Raises SynthError as `search` does."""
        if search.k < 1:
            raise SynthError(f"{search.k} products were asked for.", "Ask for at least 1.")
        if not search.exclude and not search.where:
            return None
        mask: Mask = np.ones(len(self.ids), dtype=np.bool_)
        for name, values in (search.where or {}).items():
            if name not in self._attributes:
                raise SynthError(
                    f"No product has the attribute {name!r}.",
                    f"There are: {', '.join(sorted(self._attributes)) or 'none'}.",
                )
            having: Mask = np.zeros_like(mask)
            for value in [values] if isinstance(values, str) else values:
                having[self._attributes[name].get(value.casefold(), [])] = True
            mask &= having
        mask[[self._rows[item] for item in search.exclude if item in self._rows]] = False
        return mask

    @cached_property
    def _attributes(self) -> dict[str, dict[str, Rows]]:
        """Rows by attribute and case-folded value."""
        found: dict[str, dict[str, list[int]]] = {}
        for row, item in enumerate(self.ids):
            for name, value in self.catalogue[item].attributes.items():
                found.setdefault(name, {}).setdefault(value.casefold(), []).append(row)
        return {
            name: {value: np.array(rows, dtype=np.int64) for value, rows in values.items()}
            for name, values in found.items()
        }

    def _encode(self, query: str) -> dict[str, QueryVector]:
        vectors: dict[str, QueryVector] = {}
        for encoder in self.encoders:
            vectors.update(encoder.encode_query(query))
        return vectors

    def _candidates(self, ranking: Ranking, allowed: Mask | None, k: int) -> list[Candidate]:
        rows, scores = ranking.rows.tolist(), ranking.scores.tolist()
        if len(rows) < k:
            others: Mask = np.ones(len(self.ids), dtype=np.bool_) if allowed is None else allowed.copy()
            others[rows] = False
            rows += np.flatnonzero(others)[: k - len(rows)].tolist()
            scores += [0.0] * (len(rows) - len(scores))
        return [
            Candidate(id=self.ids[row], rank=rank, score=score)
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True))
        ]


def item_ids(catalogue: Catalogue) -> list[str]:
    """Product ids in the order of an index's rows."""
    return sorted(product.id for product in catalogue)
