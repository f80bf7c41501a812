"""What keeps an index's vectors and searches them: the embedded `exact` driver, or a server's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.corpora.records import Candidate
from synth.index.fusion import Fusion
from synth.index.vectors import QueryVector

DEPTH = 100
"""Items that each vector contributes to a fusion and that multi-vectors rerank, or more where more are asked for."""

Where: TypeAlias = Mapping[str, str | Collection[str]]
"""Allowed values (any case) by attribute."""


@dataclass(frozen=True)
class Query:
    """One search as a driver gets it: encoded and checked."""

    vectors: Mapping[str, QueryVector]
    """By name, at least one dense or sparse; multi-vectors among them rerank what the others find."""
    k: int
    exclude: Collection[str]
    where: Where | None
    fusion: Fusion
    weights: Mapping[str, float]


class Driver(Protocol):
    """One way to keep vectors.

    All drivers give the same results as `exact`, which is the measure: the best `DEPTH` items (or `k`, where that is
    more) of each vector, fused with ranks counted from 0 and k = 60 (`synth.index.fusion`), the best `DEPTH` of these
    reranked by multi-vectors, scores rounded, ties in the order of ids. No result depends on the batch it was found in.
    """

    name: str

    @property
    def kinds(self) -> Mapping[str, str]:
        """`dense`, `sparse` or `multi` by vector."""
        ...

    def check(self, where: Where) -> None:
        """
        Raises:
            SynthError: no product has an attribute that `where` names.
        """
        ...

    def search_many(self, queries: Sequence[Query]) -> list[list[Candidate]]:
        """The candidates of each query, best first; those with no score at the end, in the order of their ids."""
        ...

    def items(self, name: str, ids: Sequence[str]) -> NDArray[np.float32]:
        """These items' dense vectors under one name, shape (items, dimensions); zeros for one that has none."""
        ...

    def width(self, name: str) -> int:
        """Dimensions of dense or multi-vectors."""
        ...
