"""The vectors of all items under one name, memory-mapped, and the items' ranking by a query's vector.

Rows are items in ascending order of their ids, so that a tie broken by row is a tie broken by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.index.blas import ONE_BLAS_THREAD

Rows: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

DIGITS = 6
"""Decimals of a score; what lies below is noise of the arithmetic and decides nothing."""
MARGIN = 1e-4
"""How far a batched float32 product of unit vectors can be off, generously (about 1e-6 is seen)."""
_BLOCK = 1024
"""Rows that are rescored at a time, to bound memory where very many are nearly equal."""


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
MultiQuery: TypeAlias = NDArray[np.float32]
"""A unit vector for each token, shape (tokens, dimensions)."""
QueryVector: TypeAlias = DenseQuery | SparseQuery | MultiQuery


class Vectors(Protocol):
    """All items' vectors under one name, to search by."""

    kind: str

    def __len__(self) -> int:
        """Items."""
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
        present: which items have a vector, where not all do; the others (zeros) are never found by it.
    """

    matrix: NDArray[np.float32]
    present: Mask | None = None
    kind = "dense"

    def __len__(self) -> int:
        return len(self.matrix)

    @classmethod
    def open(cls, folder: Path, name: str) -> DenseVectors:
        """Raises OSError or ValueError where a file is missing or damaged."""
        matrix = _map(folder / f"{name}.npy")
        present = _map(folder / f"{name}.present.npy") if (folder / f"{name}.present.npy").exists() else None
        if matrix.ndim != 2 or matrix.dtype != np.float32 or (present is not None and len(present) != len(matrix)):
            raise ValueError(f"{name}.npy is no matrix of vectors")
        return cls(matrix, present)

    def rank(
        self, queries: Sequence[DenseQuery], allowed: Sequence[Mask | None], depth: Sequence[int]
    ) -> list[Ranking]:
        # One product reads the matrix once for all queries: memory bandwidth is what exact search costs.
        with ONE_BLAS_THREAD:
            rough = np.stack(queries) @ self.matrix.T
        return [self._refine(*item) for item in zip(queries, rough, allowed, depth, strict=True)]

    def _refine(self, query: DenseQuery, rough: NDArray[np.float32], allowed: Mask | None, depth: int) -> Ranking:
        """Rescores the top items one by one: the product's last bits depend on the batch's shape and the BLAS."""
        if self.present is not None:
            allowed = self.present if allowed is None else allowed & self.present
        rows = np.arange(len(rough)) if allowed is None else np.flatnonzero(allowed)
        if len(rows) > depth:
            near = rough if allowed is None else rough[rows]
            rows = rows[near >= np.partition(near, -depth)[-depth] - MARGIN]
        precise = query.astype(np.float64)
        # Each row's sum is its own, in numpy's order, which does not depend on the rows beside it.
        scores = [(self.matrix[block] * precise).sum(axis=1) for block in _blocks(rows)]
        return best(rows, np.concatenate(scores) if scores else np.empty(0), depth)


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
    def of_rows(cls, counts: Rows, terms: Rows, weights: NDArray[np.float32], vocabulary: int) -> SparseVectors:
        """From the terms of one item after the other, `counts` of them each."""
        items = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        order = np.argsort(terms, kind="stable")  # within a term, items stay in ascending order
        bounds = np.concatenate([[0], np.cumsum(np.bincount(terms, minlength=vocabulary))]).astype(np.int64)
        return cls(weights[order], items[order], bounds, len(counts))

    @classmethod
    def open(cls, folder: Path, name: str) -> SparseVectors:
        """Raises OSError or ValueError where a file is missing or damaged."""
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
        known = query.terms < len(self.bounds) - 1
        query = SparseQuery(query.terms[known], query.weights[known])
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


@dataclass(frozen=True)
class MultiVectors:
    """A unit vector for each token of an item, compared token by token; too large to search by, so they only rerank.

    Args:
        tokens: of all items, shape (tokens, dimensions), float16.
        bounds: the tokens of item i are `bounds[i]` to `bounds[i + 1]`; shape (items + 1,).
    """

    tokens: NDArray[np.float16]
    bounds: Rows
    kind = "multi"

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @classmethod
    def open(cls, folder: Path, name: str) -> MultiVectors:
        """Raises OSError or ValueError where a file is missing or damaged."""
        tokens, bounds = _map(folder / f"{name}.npy"), _map(folder / f"{name}.bounds.npy")
        if tokens.ndim != 2 or bounds.ndim != 1 or not len(bounds) or bounds[-1] != len(tokens):
            raise ValueError(f"the files of {name} do not fit together")
        return cls(tokens, bounds)

    def scores(self, query: MultiQuery, rows: Rows) -> Scores:
        """The mean, over the query's tokens, of the likest token's similarity (MaxSim; Khattab and Zaharia, SIGIR
        2020; BGE-M3 §3.1), for one item after the other."""
        found = np.zeros(len(rows))
        precise = query.astype(np.float64)  # what the order of sums changes is then far below the last decimal kept
        with ONE_BLAS_THREAD:
            for place, row in enumerate(rows.tolist()):
                # By way of float32: numpy's conversion from half to double is several times slower.
                tokens = self.tokens[self.bounds[row] : self.bounds[row + 1]].astype(np.float32).astype(np.float64)
                if len(tokens) and len(query):
                    found[place] = (precise @ tokens.T).max(axis=1).mean()
        return found


def write_dense(folder: Path, name: str, count: int, chunks: Iterable[NDArray[np.float32]]) -> str:
    """Writes unit vectors, chunk by chunk; a row of zeros is an item without one. Returns their kind."""
    matrix: Any = None
    present: Mask = np.zeros(count, dtype=np.bool_)
    start = 0
    for chunk in chunks:
        if matrix is None:
            matrix = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (count, chunk.shape[1]))
        matrix[start : start + len(chunk)] = chunk
        present[start : start + len(chunk)] = chunk.any(axis=1)
        start += len(chunk)
    if not present.all():
        np.save(folder / f"{name}.present.npy", present)
    return DenseVectors.kind


def write_multi(folder: Path, name: str, lengths: Rows, chunks: Iterable[NDArray[np.float16]]) -> str:
    """Writes multi-vectors, `lengths` tokens an item, chunk by chunk. Returns their kind."""
    tokens: Any = None
    start = 0
    for chunk in chunks:
        if tokens is None:
            shape = (int(lengths.sum()), chunk.shape[1])
            tokens = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, shape)
        tokens[start : start + len(chunk)] = chunk
        start += len(chunk)
    np.save(folder / f"{name}.bounds.npy", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    return MultiVectors.kind


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The same directions with length 1; zeros stay."""
    precise = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(precise, axis=-1, keepdims=True)
    return (precise / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def best(rows: Rows, scores: Scores, depth: int, digits: int = DIGITS) -> Ranking:
    """The `depth` best rows by rounded score, then by row."""
    scores = np.round(scores, digits)
    if len(rows) > depth:
        top = np.flatnonzero(scores >= np.partition(scores, -depth)[-depth])
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))[:depth]
    return Ranking(rows[order], scores[order])


def _blocks(rows: Rows) -> list[Rows]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _map(path: Path) -> NDArray[Any]:
    """The array of a file, paged in as it is read and shared by all processes that read it."""
    # As a plain array: slicing np.memmap costs several times as much.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
