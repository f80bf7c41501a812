"""Retrievers: what finds candidates for a conversation, and ranks given ones as a baseline.

A retriever is an encoder of `synth.index` over the items, searched exactly. Besides the index's own encoders (`bm25`,
`minilm`, `bge`, …) there are any sentence-transformers model or folder (`st:NAME`) and the embeddings of OpenAI or of a
server that speaks its protocol (`openai:MODEL`); see `synth.recommender.embedders`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

import numpy as np

from synth.errors import SynthError
from synth.index.bm25 import Bm25
from synth.index.driver import DEPTH
from synth.index.encoder import Encoder, Items
from synth.index.encoders import ENCODERS, make_encoder, split
from synth.index.exact import KINDS
from synth.index.fusion import fuse
from synth.index.parts import Parts
from synth.index.vectors import Mask, MultiVectors, QueryVector, Ranking, Vectors, best
from synth.recommender.data import RecExample
from synth.recommender.embedders import NAMED, OpenAIEmbeddings, Sentences
from synth.recommender.items import Item

Text: TypeAlias = Literal["title", "description"]
Report: TypeAlias = Callable[[str, int, int], None]
_BATCH = 32
"""Queries in one pass over the vectors."""


class Retriever:
    """Ranks items by their likeness to a query.

    Args:
        encoder: what turns texts into vectors.
        items: all that can be found.
        text: what an item is found by: its title alone, or also what its first described picture shows.
        report: called with (encoder, done, in all).
        kept: a folder for what is encoded of the items: a kill costs one part of 128 items, and the same encoder over
            the same items encodes none of them again. None: nothing is kept.

    Raises:
        SynthError: there are no items, or no item has a text.
    """

    def __init__(
        self,
        encoder: Encoder,
        items: Mapping[str, Item],
        text: Text = "title",
        report: Report | None = None,
        kept: Path | None = None,
    ) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._report = report
        # Only items with a text can be found; the others would stand before all that fit badly.
        texts = {item: items[item].title if text == "title" else items[item].text for item in sorted(items)}
        self.ids = [item for item in texts if texts[item].strip()]
        if not self.ids:
            raise SynthError(f"None of the {len(items):,} items has a title.", "Give their metadata with --meta.")
        self._rows = {item: row for row, item in enumerate(self.ids)}
        self._searched: dict[str, Vectors] = {}
        self._reranking: dict[str, MultiVectors] = {}
        found = [texts[item] for item in self.ids]
        pictures = [next(iter(items[item].images), None) for item in self.ids]
        self._encode(Items(found, [path if path and path.is_file() else None for path in pictures]), kept)

    def top(self, queries: Sequence[str], k: int, exclude: Sequence[Collection[str]]) -> list[list[str]]:
        """The k best items for each query, best first, ties by id; items without any likeness come last.

        Args:
            exclude: for each query, ids that must not be among them.
        """
        masks = [self._mask(out, among=False) for out in exclude]
        found = []
        for ranking, mask in zip(self._rank(queries, masks, k), masks, strict=True):
            rows = ranking.rows.tolist()
            if len(rows) < k:
                rest = mask.copy()
                rest[rows] = False
                rows += np.flatnonzero(rest)[: k - len(rows)].tolist()
            found.append([self.ids[row] for row in rows[:k]])
        return found

    def scores(self, queries: Sequence[str], candidates: Sequence[Sequence[str]]) -> list[dict[str, float]]:
        """The likeness of each query's own candidates, by id; those without a text are below all others."""
        masks = [self._mask(listed, among=True) for listed in candidates]
        depth = max((len(listed) for listed in candidates), default=1)
        found = []
        for ranking, listed in zip(self._rank(queries, masks, depth), candidates, strict=True):
            alike = dict(zip((self.ids[row] for row in ranking.rows.tolist()), ranking.scores.tolist(), strict=True))
            last = min([0.0, *alike.values()]) - 1
            found.append({item: alike.get(item, 0.0 if item in self._rows else last) for item in listed})
        return found

    def _encode(self, items: Items, kept: Path | None) -> None:
        progress = (lambda _, done, total: self._tell("items", done, total)) if self._report else None
        # The files stay mapped after their folder is gone; where the system refuses that, they are left to it.
        with TemporaryDirectory(prefix="synth-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            encoded = _digest(items)
            # A folder for each encoder and each set of items: `Parts` removes what is of others.
            place = (kept / f"{_plain(self.name)}-{encoded}") if kept else folder / "parts"
            parts = Parts(place, encoded, len(items.texts), progress)
            for vector, kind in self._encoder.encode_items(items, parts, folder).items():
                opened = KINDS[kind].open(folder, vector)
                if isinstance(opened, MultiVectors):
                    self._reranking[vector] = opened
                else:
                    self._searched[vector] = opened

    def _mask(self, items: Collection[str], *, among: bool) -> Mask:
        rows = [self._rows[item] for item in items if item in self._rows]
        mask: Mask = np.full(len(self.ids), not among)
        mask[rows] = among
        return mask

    def _rank(self, queries: Sequence[str], masks: Sequence[Mask], k: int) -> list[Ranking]:
        ranked: list[Ranking] = []
        alone = len(self._searched) + len(self._reranking) == 1
        depth = k if alone else max(k, DEPTH)
        # The examples of one conversation ask the same question.
        encoded: dict[str, Mapping[str, QueryVector]] = {}
        for start in range(0, len(queries), _BATCH):
            part = queries[start : start + _BATCH]
            for query in part:
                if query not in encoded:
                    encoded[query] = self._encoder.encode_query(query)
            allowed, depths = masks[start : start + _BATCH], [depth] * len(part)
            by_name = {
                name: vectors.rank([encoded[query][name] for query in part], allowed, depths)
                for name, vectors in self._searched.items()
            }
            for number, query in enumerate(part):
                ranking = fuse({name: found[number] for name, found in by_name.items()}, "rrf", {}, depth)
                for name, multi in self._reranking.items():
                    likeness = multi.scores(np.asarray(encoded[query][name]), ranking.rows)
                    ranking = best(ranking.rows, likeness, depth)
                ranked.append(Ranking(ranking.rows[:k], ranking.scores[:k]))
            self._tell("conversations", len(ranked), len(queries))
        return ranked

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._report:
            self._report(f"{self.name}: {what}", done, total)


def make_retriever(
    name: str,
    items: Mapping[str, Item],
    text: Text = "title",
    report: Report | None = None,
    cache: Path | None = None,
) -> Retriever:
    """The retriever of that name over these items.

    Args:
        name: `bm25`, `minilm`, `bge-m3`, `roberta`, `simcse`, `blair`, `st:FOLDER_OR_NAME`, `openai:MODEL`; or any
            other of the index's encoders, `NAME` or `NAME=MODEL` (see `synth.index.encoders`).
        cache: a file that keeps paid embeddings; what other models make of the items is kept in a folder beside it.

    Raises:
        SynthError: there is none, what it needs is not installed or not there, or no item has a title.
    """
    encoder = _encoder(name, cache)
    # BM25 is quicker than a disk, and what was paid is in the file.
    local = cache is not None and not isinstance(encoder, Bm25 | OpenAIEmbeddings)
    return Retriever(encoder, items, text, report, cache.with_suffix("") if cache and local else None)


def _digest(items: Items) -> str:
    """16 hex digits over texts and pictures, the latter by path, size and time."""
    hashed = blake2b(digest_size=8)
    for text, path in zip(items.texts, items.pictures, strict=True):
        facts = path.stat() if path else None
        hashed.update(repr((text, str(path), facts and (facts.st_size, facts.st_mtime_ns))).encode())
    return hashed.hexdigest()


def _plain(name: str) -> str:
    """A name as a folder's: what a path cannot hold is replaced, and a hash tells apart what looks alike then."""
    short = "".join(c if c.isalnum() or c in "-._" else "_" for c in name)[-40:]
    return f"{short}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def _encoder(name: str, cache: Path | None) -> Encoder:
    if split(name)[0] in ENCODERS:
        return make_encoder(name)
    if name in NAMED:
        return Sentences(name, *NAMED[name])
    kind, colon, model = name.partition(":")
    if colon and model and kind == "st":
        return Sentences(name, model)
    if colon and model and kind == "openai":
        return OpenAIEmbeddings(model, cache)
    raise SynthError(
        f"There is no retriever {name!r}.",
        f"Choose from: {', '.join([*ENCODERS, *NAMED])}, st:FOLDER_OR_NAME, openai:MODEL.",
    )


def rank_candidates(retriever: Retriever, examples: Sequence[RecExample]) -> dict[str, dict[str, float]]:
    """A run: the likeness of every candidate to its conversation, by example id."""
    texts = [example.text for example in examples]
    scored = retriever.scores(texts, [example.candidates for example in examples])
    return {example.id: scores for example, scores in zip(examples, scored, strict=True)}
