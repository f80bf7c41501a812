"""The `exact` driver: every item is scored, so recall is 1 and results are the same everywhere.

It is a folder of memory-mapped arrays that any number of processes can read. Up to some 250,000 items a query costs
less than 30 ms; a conversation's turn waits for its model a hundred times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Candidate
from synth.errors import SynthError
from synth.index.driver import DEPTH, Query, Where
from synth.index.fusion import fuse
from synth.index.vectors import DenseVectors, Mask, MultiVectors, Ranking, Rows, SparseVectors, Vectors, best

BATCH = 64
"""Queries that share one pass over the vectors."""
KINDS: dict[str, type[DenseVectors] | type[SparseVectors] | type[MultiVectors]] = {
    "dense": DenseVectors,
    "sparse": SparseVectors,
    "multi": MultiVectors,
}
"""What opens the vectors of a kind."""


class Exact:
    """Vectors of a catalogue's items, rows in ascending order of ids."""

    name = "exact"

    def __init__(self, catalogue: Catalogue, vectors: Mapping[str, Vectors | MultiVectors]) -> None:
        self.catalogue = catalogue
        self.vectors = dict(vectors)
        self.kinds = {name: stored.kind for name, stored in vectors.items()}
        self.ids = item_ids(catalogue)
        """By row."""
        self._rows = {item: row for row, item in enumerate(self.ids)}

    @classmethod
    def open(cls, folder: Path, catalogue: Catalogue, kinds: Mapping[str, str]) -> Exact:
        """Raises OSError, ValueError or KeyError where the files are damaged."""
        vectors = {name: KINDS[kind].open(folder, name) for name, kind in kinds.items()}
        if any(len(stored) != len(catalogue) for stored in vectors.values()):
            raise ValueError("its vectors are not as many as the products")
        return cls(catalogue, vectors)

    def check(self, where: Where) -> None:
        """As `Driver.check`."""
        for name in where:
            if name not in self._attributes:
                raise SynthError(
                    f"No product has the attribute {name!r}.",
                    f"There are: {', '.join(sorted(self._attributes)) or 'none'}.",
                )

    def search_many(self, queries: Sequence[Query]) -> list[list[Candidate]]:
        """As `Driver.search_many`."""
        return [
            found for start in range(0, len(queries), BATCH) for found in self._batch(queries[start : start + BATCH])
        ]

    def items(self, name: str, ids: Sequence[str]) -> NDArray[np.float32]:
        """As `Driver.items`."""
        vectors = self.vectors[name]
        assert isinstance(vectors, DenseVectors)
        return vectors.matrix[[self._rows[item] for item in ids]]

    def width(self, name: str) -> int:
        """As `Driver.width`."""
        vectors = self.vectors[name]
        assert isinstance(vectors, DenseVectors | MultiVectors)
        array = vectors.tokens if isinstance(vectors, MultiVectors) else vectors.matrix
        return int(array.shape[1])

    def _batch(self, queries: Sequence[Query]) -> list[list[Candidate]]:
        allowed = [self._allowed(query) for query in queries]
        rankings: list[dict[str, Ranking]] = [{} for _ in queries]
        for name, vectors in self.vectors.items():
            asking = [i for i, query in enumerate(queries) if name in query.vectors]
            if asking and not isinstance(vectors, MultiVectors):
                asked = [queries[i].vectors[name] for i in asking]
                depths = [self._depth(queries[i]) for i in asking]
                ranked = vectors.rank(asked, [allowed[i] for i in asking], depths)
                for i, ranking in zip(asking, ranked, strict=True):
                    rankings[i][name] = ranking
        return [self._candidates(*item) for item in zip(queries, rankings, allowed, strict=True)]

    def _depth(self, query: Query) -> int:
        """How far down each vector's ranking goes: no further than asked where nothing is fused or reranked."""
        return query.k if len(query.vectors) == 1 else max(query.k, DEPTH)

    def _candidates(self, query: Query, rankings: Mapping[str, Ranking], allowed: Mask | None) -> list[Candidate]:
        ranking = fuse(rankings, query.fusion, query.weights, self._depth(query))
        for name, vectors in self.vectors.items():
            if isinstance(vectors, MultiVectors) and name in query.vectors:
                asked = query.vectors[name]
                assert isinstance(asked, np.ndarray)
                ranking = best(ranking.rows, vectors.scores(asked, ranking.rows), len(ranking.rows))
        rows, scores = ranking.rows[: query.k].tolist(), ranking.scores[: query.k].tolist()
        if len(rows) < query.k:
            others: Mask = np.ones(len(self.ids), dtype=np.bool_) if allowed is None else allowed.copy()
            others[rows] = False
            rows += np.flatnonzero(others)[: query.k - len(rows)].tolist()
            scores += [min([0.0, *scores[-1:]])] * (len(rows) - len(scores))
        return [
            Candidate(id=self.ids[row], rank=rank, score=score)
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True))
        ]

    def _allowed(self, query: Query) -> Mask | None:
        """Which rows may be found, or None for all."""
        if not query.exclude and not query.where:
            return None
        mask: Mask = np.ones(len(self.ids), dtype=np.bool_)
        for name, values in (query.where or {}).items():
            having: Mask = np.zeros_like(mask)
            for value in [values] if isinstance(values, str) else values:
                having[self._attributes[name].get(value.casefold(), [])] = True
            mask &= having
        mask[[self._rows[item] for item in query.exclude if item in self._rows]] = False
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


def item_ids(catalogue: Catalogue) -> list[str]:
    """Product ids in the order of an index's rows."""
    return sorted(product.id for product in catalogue)
