"""The index: seconds to build, milliseconds a search, and whether its results are exact and always the same.

    SYNTH_TEST_DATA=DIR python benchmarks/bench_index.py [--items 94000]

BM25 over the 13,754 products of DIR/fashion/products.csv; then hybrid search over random vectors as BGE-M3 gives them
(1,024 dimensions in 500 clusters, and 40 terms an item of 250,000, some in nearly every item), beside the same in plain
numpy, in one run; in batches of 1, 8 and 64; and from 64 threads. The encoder's time is not counted.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Candidate, Product
from synth.index import Index, build_index, default_folder
from synth.index.driver import Query
from synth.index.exact import Exact
from synth.index.vectors import (
    DenseVectors,
    MultiVectors,
    QueryVector,
    SparseQuery,
    SparseVectors,
    unit,
    write_dense,
    write_multi,
)
from synth.randomness import rng

ATTRIBUTES = {"gender": "gender", "articleType": "type", "baseColour": "colour", "season": "season", "usage": "usage"}
OPENINGS = ("I need", "Could you show me", "Something like", "My sister would love", "Do you have")


def read_products(data: Path) -> list[Product]:
    with (data / "fashion" / "products.csv").open(encoding="utf-8", newline="") as file:
        return [
            Product(
                id=row["id"],
                title=row["productDisplayName"],
                categories=(row["masterCategory"], row["subCategory"], row["articleType"]),
                attributes={name: row[column] for column, name in ATTRIBUTES.items() if row[column]},
            )
            for row in csv.DictReader(file)
        ]


def draw_queries(catalogue: Catalogue, count: int) -> list[str]:
    """Sentences of 10 to 20 words around what some product is."""
    draw = rng(0, "bench", "index")
    queries = []
    for _ in range(count):
        product, other = draw.choice(catalogue.products), draw.choice(catalogue.products)
        wanted = " ".join(draw.sample(sorted(product.attributes.values()), 3))
        queries.append(f"{draw.choice(OPENINGS)} a {wanted} that goes with {other.title}, for a party this weekend")
    return queries


def milliseconds(seconds: list[float]) -> str:
    return f"{np.median(seconds) * 1000:.3f} ms median, {np.percentile(seconds, 95) * 1000:.3f} ms p95"


def bench_bm25(data: Path, folder: Path) -> None:
    info = CatalogueInfo(name="fashion", source="products.csv")
    catalogue = CatalogueWriter(folder / "catalogue").finish(info, read_products(data))
    start = time.perf_counter()
    build_index(catalogue, default_folder(catalogue))
    print(f"bm25: {len(catalogue):,} products built in {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    index = Index.open(default_folder(catalogue), catalogue)
    print(f"bm25: opened in {(time.perf_counter() - start) * 1000:.0f} ms")
    queries = draw_queries(catalogue, 2000)
    shown = tuple(product.id for product in catalogue.products[:6])
    for name, options in {
        "search": {},
        "with where and exclude": {"where": {"gender": "Women"}, "exclude": shown},
    }.items():
        index.search(queries[0], **options)  # builds the table of attributes
        seconds = []
        for query in queries:
            start = time.perf_counter()
            index.search(query, **options)
            seconds.append(time.perf_counter() - start)
        print(f"bm25: {name}: {milliseconds(seconds)}")


WIDTH, CLUSTERS, VOCABULARY, TERMS, QUERY_TERMS = 1024, 500, 250_000, 40, 10
TOKENS, QUERY_TOKENS, MULTI_ITEMS = 60, 20, 2000


def bench_hybrid(items: int, folder: Path, asked: int = 500) -> None:
    """94,000 products as MUSE has them."""
    products = [Product(id=f"{i:07}", title="x") for i in range(items)]
    catalogue = Catalogue(folder, CatalogueInfo(name="drawn", source="drawn"), products)
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CLUSTERS, WIDTH), dtype=np.float32)
    spectrum = (1 / np.sqrt(1 + np.arange(WIDTH))).astype(np.float32) * 8

    def draw(count: int) -> np.ndarray[Any, Any]:
        noise = generator.standard_normal((count, WIDTH), dtype=np.float32) * spectrum
        return unit(centres[generator.integers(0, CLUSTERS, count)] + noise)

    start = time.perf_counter()
    chunks = (draw(min(2000, items - first)) for first in range(0, items, 2000))
    write_dense(folder, "dense", items, chunks)
    terms = np.minimum(generator.zipf(1.2, (items, TERMS)) - 1, VOCABULARY - 1)
    own = [np.unique(row) for row in terms]
    counts = np.array([len(row) for row in own])
    weights = generator.random(int(counts.sum()), dtype=np.float32)
    SparseVectors.of_rows(counts, np.concatenate(own), weights, VOCABULARY).save(folder, "sparse")
    lengths = np.full(items, 0)
    lengths[:MULTI_ITEMS] = TOKENS
    tokens = unit(generator.standard_normal((min(items, MULTI_ITEMS) * TOKENS, WIDTH), dtype=np.float32))
    write_multi(folder, "multi", lengths[:items], [tokens.astype(np.float16)])
    print(f"hybrid: {items:,} items of {WIDTH} dimensions and {counts.mean():.0f} terms, drawn in {took(start):.0f} s")

    driver = Exact.open(folder, catalogue, {"dense": "dense", "sparse": "sparse"})
    dense, sparse = driver.vectors["dense"], driver.vectors["sparse"]
    assert isinstance(dense, DenseVectors) and isinstance(sparse, SparseVectors)
    queries = []
    for row in generator.choice(items, asked).tolist():
        vector = unit(dense.matrix[row] + generator.standard_normal(WIDTH) / 32)
        chosen = np.sort(generator.choice(own[row], min(QUERY_TERMS, len(own[row])), replace=False))
        asks: dict[str, QueryVector] = {"dense": vector, "sparse": SparseQuery(chosen, generator.random(len(chosen)))}
        queries.append(Query(asks, 10, (), None, "rrf", {}))

    plain = Plain(dense.matrix, sparse)
    with threadpool_limits(1, "blas"):
        wanted, seconds = timed(plain.search, queries)
    print(f"hybrid: plain numpy, top 10: {milliseconds(seconds)}")
    found, seconds = timed(lambda query: driver.search_many([query])[0], queries)
    print(f"hybrid: synth, top 10:       {milliseconds(seconds)}")
    hits = sum(
        len({c.id for c in one} & {driver.ids[row] for row in other}) for one, other in zip(found, wanted, strict=True)
    )
    same = sum(
        [c.id for c in one] == [driver.ids[row] for row in other] for one, other in zip(found, wanted, strict=True)
    )
    print(f"hybrid: recall at 10: {hits / (10 * asked):.6f}; the same order in {same} of {asked} queries")
    for size in (1, 8, 64):
        start = time.perf_counter()
        batched = [c for first in range(0, asked, size) for c in driver.search_many(queries[first : first + size])]
        each = took(start) / asked * 1000
        other = differing(found, batched)
        print(f"hybrid: batches of {size}: {each:.2f} ms a query; {other} of {asked} results differ in a bit")
    with ThreadPoolExecutor(64) as pool:
        start = time.perf_counter()
        threaded = list(pool.map(lambda query: driver.search_many([query])[0], queries))
        print(
            f"hybrid: 64 threads: {asked / took(start):.0f} queries/s; {differing(found, threaded)} of {asked} differ"
        )

    near = MultiVectors.open(folder, "multi")
    rows = np.arange(min(100, items))
    asked_tokens = unit(generator.standard_normal((QUERY_TOKENS, WIDTH), dtype=np.float32))
    _, seconds = timed(lambda _: near.scores(asked_tokens, rows), queries[:20])
    print(f"rerank: {len(rows)} items of {TOKENS} tokens: {milliseconds(seconds)}")


class Plain:
    """The same in the plainest numpy: score all, sort, fuse."""

    def __init__(self, matrix: np.ndarray[Any, Any], sparse: SparseVectors) -> None:
        self.matrix, self.sparse = matrix, sparse

    def search(self, query: Query) -> list[int]:
        asked = query.vectors["sparse"]
        assert isinstance(asked, SparseQuery)
        dense = self.matrix @ query.vectors["dense"]
        sparse = np.zeros(len(self.matrix))
        for term, weight in zip(asked.terms, asked.weights, strict=True):
            entries = slice(self.sparse.bounds[term], self.sparse.bounds[term + 1])
            sparse[self.sparse.items[entries]] += self.sparse.weights[entries] * weight
        fused: dict[int, float] = {}
        for scores in (dense, sparse):
            top = np.argpartition(-scores, 100)[:100]
            for rank, row in enumerate(top[np.lexsort((top, -scores[top]))].tolist()):
                fused[row] = fused.get(row, 0) + 1 / (60 + rank)
        return sorted(fused, key=lambda row: (-round(fused[row], 9), row))[:10]


def timed(work: Callable[[Query], Any], queries: list[Query]) -> tuple[list[Any], list[float]]:
    """What `work` made of each, and its seconds; the first few are done twice, to warm up."""
    for query in queries[:5]:
        work(query)
    made, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        made.append(work(query))
        seconds.append(time.perf_counter() - start)
    return made, seconds


def took(start: float) -> float:
    return time.perf_counter() - start


def differing(one: list[list[Candidate]], other: list[list[Candidate]]) -> int:
    def bits(found: list[Candidate]) -> list[tuple[str, str]]:
        return [(candidate.id, candidate.score.hex()) for candidate in found]

    return sum(bits(a) != bits(b) for a, b in zip(one, other, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=94_000, help="0: BM25 only")
    args = parser.parse_args()
    data = os.environ.get("SYNTH_TEST_DATA")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if data:
            bench_bm25(Path(data), Path(folder))
        else:
            print("bm25: skipped, SYNTH_TEST_DATA is not set", file=sys.stderr)
        if args.items:
            bench_hybrid(args.items, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
