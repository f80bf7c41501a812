"""The index of a catalogue as the rest of the package sees it: a text or a vector in, ranked products out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Candidate, Record
from synth.errors import SynthError
from synth.index.driver import Driver, Query, Where
from synth.index.encoder import Encoder
from synth.index.encoders import make_encoder, split
from synth.index.exact import Exact
from synth.index.fusion import Fusion
from synth.index.texts import VERSION as TEXTS_VERSION
from synth.index.vectors import DenseQuery, QueryVector, unit

FORMAT = 1

Given: TypeAlias = Mapping[str, NDArray[Any]]
"""A query that is no text: dense vectors by name."""


class IndexInfo(Record):
    """What an index says about itself: `index.json`, written last."""

    format: int = FORMAT
    driver: str = Exact.name
    texts: int = TEXTS_VERSION
    catalogue: str
    """Fingerprint of the catalogue it was built for."""
    encoders: dict[str, str]
    """Signature by encoder."""
    models: dict[str, str] = {}
    """Where an encoder's weights were, if not at their usual place."""
    arrays: dict[str, str] = {}
    """Hash by the name of given vectors."""
    vectors: dict[str, str]
    """Kind by vector."""


@dataclass(frozen=True)
class Search:
    """One search: see `Index.search`."""

    query: str | Given
    k: int = 10
    exclude: Collection[str] = ()
    where: Where | None = None
    fusion: Fusion = "rrf"
    weights: Mapping[str, float] = field(default_factory=dict)
    by: Collection[str] | None = None
    rerank: bool = True


class Index:
    """An opened index over a catalogue."""

    def __init__(self, catalogue: Catalogue, encoders: Sequence[Encoder], driver: Driver) -> None:
        self.catalogue = catalogue
        self.encoders = tuple(encoders)
        self.driver = driver

    @classmethod
    def open(cls, folder: Path, catalogue: Catalogue, encoders: Sequence[str] | None = None) -> Index:
        """Opens an index that `build_index` has written.

        Args:
            encoders: which it must have been built with (others are left aside); all it has where None.

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
                raise SynthError(
                    f"The index in {folder} was built for another catalogue, or before this one changed.", again
                )
            opened = _open_encoders(folder, info, encoders, again)
            wanted = {*(name for encoder in opened for name in encoder.names), *info.arrays}
            driver = Exact.open(folder, catalogue, {n: kind for n, kind in info.vectors.items() if n in wanted})
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise SynthError(f"The index in {folder} is damaged: {error}.", again) from error
        return cls(catalogue, opened, driver)

    def search(
        self,
        query: str | Given,
        k: int = 10,
        *,
        exclude: Collection[str] = (),
        where: Where | None = None,
        fusion: Fusion = "rrf",
        weights: Mapping[str, float] | None = None,
        by: Collection[str] | None = None,
        rerank: bool = True,
    ) -> list[Candidate]:
        """The k best products for a query.

        A search by BM25 alone finds only products that share a term with the query; where these are fewer than k,
        others follow with a score of 0, in the order of their ids.

        Args:
            query: a text, or dense vectors by name (see `mean`).
            exclude: ids that must not be among them.
            where: only products that have, for each of these attributes, (one of) the given value(s), in any case.
            fusion: how the rankings of several vectors become one; see `synth.index.fusion.fuse`.
            weights: by the vector's name; 1 where it has none.
            by: names of vectors (`bge.dense`) or of encoders (`bge`); all where None.
            rerank: whether multi-vectors rerank the best.

        Returns:
            Candidates, best first: k of them, or all that are allowed where those are fewer. Scores are those of the
            multi-vector (MaxSim) where one reranks; else of the vector (BM25, or cosine) where there is one, else
            fused ones.

        Raises:
            SynthError: k is below 1, no product has an attribute that `where` names, there are no such vectors, or a
                given one does not fit.
        """
        return self.search_many([Search(query, k, exclude, where, fusion, weights or {}, by, rerank)])[0]

    def search_many(self, searches: Sequence[Search]) -> list[list[Candidate]]:
        """The result of each search: exactly what it would be alone."""
        for search in searches:
            self.check(search)
        return self.driver.search_many([self._query(search) for search in searches])

    def check(self, search: Search) -> None:
        """Raises SynthError as `search` does, without searching."""
        if search.k < 1:
            raise SynthError(f"{search.k} products were asked for.", "Ask for at least 1.")
        if search.where:
            self.driver.check(search.where)
        known = self.driver.kinds.keys() | {name.partition(".")[0] for name in self.driver.kinds}
        for name in search.by or ():
            if name not in known:
                raise SynthError(f"The index has no vectors {name!r}.", f"There are: {', '.join(self.driver.kinds)}.")
        able = {name for encoder in self.encoders for name in encoder.names}
        named = able if isinstance(search.query, str) else search.query.keys()
        ranking = {name for name, kind in self.driver.kinds.items() if kind != "multi" and _among(name, search.by)}
        if not ranking & named:
            what = "a text" if isinstance(search.query, str) else "these vectors"
            raise SynthError(
                f"The index cannot be searched by {what} through {' or '.join(sorted(ranking)) or 'multi-vectors'}.",
                "Given vectors are searched by vectors (--like ID), multi-vectors only rerank.",
            )
        if not isinstance(search.query, str):
            self._given(search.query)

    def mean(self, ids: Collection[str], by: Collection[str] | None = None) -> dict[str, DenseQuery]:
        """The mean of some products' dense vectors, by name: a history as a query. The order of ids is of no matter.

        Raises:
            SynthError: there is no such product, or none of them has a dense vector.
        """
        for item in ids:
            if item not in self.catalogue:
                raise SynthError(f"There is no product {item!r} in {self.catalogue.folder}.")
        found = {}
        for name, kind in self.driver.kinds.items():
            if kind == "dense" and ids and _among(name, by):
                mean = self.driver.items(name, sorted(ids)).mean(axis=0, dtype=np.float64)
                if mean.any():
                    found[name] = unit(mean)
        if not found:
            raise SynthError(
                "The index has no dense vectors of these products.",
                "Build it with --encoder minilm or bge, or --vectors.",
            )
        return found

    def _query(self, search: Search) -> Query:
        vectors: dict[str, QueryVector] = {}
        if isinstance(search.query, str):
            for encoder in self.encoders:
                if any(_among(name, search.by) for name in encoder.names):
                    vectors.update(encoder.encode_query(search.query))
        else:
            vectors.update(self._given(search.query))
        kinds = self.driver.kinds
        kept = {
            name: vector
            for name, vector in vectors.items()
            if name in kinds and _among(name, search.by) and (search.rerank or kinds[name] != "multi")
        }
        return Query(kept, search.k, search.exclude, search.where, search.fusion, search.weights)

    def _given(self, vectors: Given) -> dict[str, DenseQuery]:
        """As unit vectors. Raises SynthError where one does not fit."""
        found = {}
        for name, vector in vectors.items():
            if self.driver.kinds.get(name) != "dense":
                dense = ", ".join(n for n, kind in self.driver.kinds.items() if kind == "dense") or "none"
                raise SynthError(f"The index has no dense vectors {name!r}.", f"There are: {dense}.")
            width = self.driver.width(name)
            if np.shape(vector) != (width,):
                raise SynthError(f"A query by {name} has {width} numbers, not the shape {np.shape(vector)}.")
            found[name] = unit(vector)
            if not np.isfinite(found[name]).all() or not found[name].any():
                raise SynthError(f"A query by {name} has no direction: it is zero or not finite.")
        return found


def _open_encoders(folder: Path, info: IndexInfo, specs: Sequence[str] | None, again: str) -> list[Encoder]:
    """Those wanted, with what they learnt. Raises SynthError where the index was made by others."""
    if specs is None:
        specs = [f"{name}={info.models[name]}" if name in info.models else name for name in info.encoders]
    names = [split(spec)[0] for spec in specs]
    if not set(names) <= set(info.encoders):
        raise SynthError(
            f"The index in {folder} was built with {' and '.join(info.encoders)}, not {' and '.join(names)}.",
            " ".join([again[:-2], *(f"--encoder {spec}" for spec in specs)]) + "`.",
        )
    opened = [make_encoder(spec) for spec in specs]
    for encoder in opened:
        if encoder.signature != info.encoders[encoder.name]:
            raise SynthError(
                f"The index in {folder} was built with {info.encoders[encoder.name]}, "
                f"but {encoder.signature} is what is here.",
                again,
            )
        encoder.load(folder)
    return opened


def _among(name: str, by: Collection[str] | None) -> bool:
    return by is None or name in by or name.partition(".")[0] in by
