"""The vectors of all items under one name, memory-mapped, and the items' ranking by a query's vector.

Rows are items in ascending order of their ids, so that a tie broken by row is a tie broken by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

DIGITS = 6
"""Decimals of a score; what lies below is noise of the arithmetic and decides nothing."""
MARGIN = 1e-4
"""How far a batched float32 product of unit vectors can be off, generously (about 1e-6 is seen)."""


class Ranking(NamedTuple):
    """Items, best first; equal scores in the order of ids."""

    rows: Rows
    scores: Scores


class SparseQuery(NamedTuple):
    """A query's terms, ascending, and their weights."""

    terms: Rows
    weights: Scores


DenseQuery: TypeAlias = NDArray[np.float32]
"""A unit vector."""
QueryVector: TypeAlias = DenseQuery | SparseQuery


class Vectors(Protocol):
    """All items' vectors under one name. Multi-vectors, which only rerank, will be another kind of it."""

    kind: str

    def __len__(self) -> int:
        """Items."""
        ...

    def save(self, folder: Path, name: str) -> None: ...

    @classmethod
    def open(cls, folder: Path, name: str) -> Vectors:
        """Raises OSError or ValueError where a file is missing or damaged."""
        ...

    def rank(self, queries: Sequence[Any], allowed: Sequence[Mask | None], depth: Sequence[int]) -> list[Ranking]:
        """The best `depth` of the allowed items for each query (its `QueryVector` of this kind), each query's result
        being the same whichever other queries are asked with it."""
        ...


@dataclass(frozen=True)
class DenseVectors:
    """Unit vectors, compared by their inner product.

    Args:
        matrix: shape (items, dimensions), float32.
    """

    matrix: NDArray[np.float32]
    kind = "dense"

    def __len__(self) -> int:
        return len(self.matrix)

    def save(self, folder: Path, name: str) -> None:
        np.save(folder / f"{name}.npy", self.matrix)

    @classmethod
    def open(cls, folder: Path, name: str) -> DenseVectors:
        matrix = _map(folder / f"{name}.npy")
        if matrix.ndim != 2:
            raise ValueError(f"{name}.npy has {matrix.ndim} dimensions")
        return cls(matrix)

    def rank(
        self, queries: Sequence[DenseQuery], allowed: Sequence[Mask | None], depth: Sequence[int]
    ) -> list[Ranking]:
        # One product reads the matrix once for all queries: memory bandwidth is what exact search costs. With more
        # than one BLAS thread each, many searching threads bring OpenBLAS to a standstill.
        with _blas().limit(limits=1, user_api="blas"):
            rough = np.stack(queries) @ self.matrix.T
        return [self._refine(*item) for item in zip(queries, rough, allowed, depth, strict=True)]

    def _refine(self, query: DenseQuery, rough: NDArray[np.float32], allowed: Mask | None, depth: int) -> Ranking:
        """Rescores the top items one by one: the product's last bits depend on the batch's shape and the BLAS."""
        rows = np.arange(len(rough)) if allowed is None else np.flatnonzero(allowed)
        if len(rows) > depth:
            near = rough[rows]
            rows = rows[near >= np.partition(near, -depth)[-depth] - MARGIN]
        precise = query.astype(np.float64)
        return best(rows, np.array([(self.matrix[row] * precise).sum() for row in rows.tolist()]), depth)


@dataclass(frozen=True)
class SparseVectors:
    """Weights of terms in items, by term (compressed sparse columns).

    Args:
        weights: shape (entries,), float32.
        items: the item of each entry, shape (entries,).
        bounds: the entries of term t are `bounds[t]` to `bounds[t + 1]`; shape (terms + 1,).
        count: items.
    """

    weights: NDArray[np.float32]
    items: NDArray[np.int32]
    bounds: Rows
    count: int
    kind = "sparse"

    def __len__(self) -> int:
        return self.count

    def save(self, folder: Path, name: str) -> None:
        np.save(folder / f"{name}.weights.npy", self.weights)
        np.save(folder / f"{name}.items.npy", self.items)
        np.save(folder / f"{name}.bounds.npy", np.append(self.bounds, self.count))

    @classmethod
    def open(cls, folder: Path, name: str) -> SparseVectors:
        weights, items = _map(folder / f"{name}.weights.npy"), _map(folder / f"{name}.items.npy")
        bounds = _map(folder / f"{name}.bounds.npy")
        if bounds.ndim != 1 or len(bounds) < 2 or not len(weights) == len(items) == bounds[-2]:
            raise ValueError(f"the files of {name} do not fit together")
        return cls(weights, items, bounds[:-1], int(bounds[-1]))

    def rank(
        self, queries: Sequence[SparseQuery], allowed: Sequence[Mask | None], depth: Sequence[int]
    ) -> list[Ranking]:
        """Only items with a score above 0 are ranked."""
        return [self._rank(*item) for item in zip(queries, allowed, depth, strict=True)]

    def _rank(self, query: SparseQuery, allowed: Mask | None, depth: int) -> Ranking:
        # Not through bm25s' own retrieval: its set-up for each call takes longer than the search itself, and it has
        # neither a filter nor an order among equal scores. bincount adds term by term in float64, in the terms' order.
        if not len(query.terms):
            return Ranking(np.empty(0, dtype=np.int64), np.empty(0))
        spans = [
            (slice(start, end), weight)
            for start, end, weight in zip(
                self.bounds[query.terms].tolist(),
                self.bounds[query.terms + 1].tolist(),
                query.weights.tolist(),
                strict=True,
            )
        ]
        scores: Scores = np.bincount(
            np.concatenate([self.items[span] for span, _ in spans]),
            np.concatenate([self.weights[span] * weight for span, weight in spans]),
            minlength=self.count,
        ).astype(np.float64, copy=False)
        if allowed is not None:
            scores *= allowed
        rows = np.flatnonzero(scores > 0)
        return best(rows, scores[rows], depth)


def best(rows: Rows, scores: Scores, depth: int, digits: int = DIGITS) -> Ranking:
    """The `depth` best rows by rounded score, then by row."""
    scores = np.round(scores, digits)
    if len(rows) > depth:
        top = np.flatnonzero(scores >= np.partition(scores, -depth)[-depth])
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:depth]
    return Ranking(rows[order], scores[order])


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _map(path: Path) -> NDArray[Any]:
    """The array of a file, paged in as it is read and shared by all processes that read it."""
    # As a plain array: slicing np.memmap costs several times as much.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
