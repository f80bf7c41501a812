"""The index: seconds to build, milliseconds a search.

    SYNTH_TEST_DATA=DIR python benchmarks/bench_index.py [--dense-items 94000]

BM25 over the 13,754 products of DIR/fashion/products.csv; then dense search alone over random unit vectors of 1,024
dimensions, one query at a time and 64 together (the encoder's time not counted).
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Product
from synth.index import Index, build_index, default_folder
from synth.index.vectors import DenseVectors
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


def bench_dense(items: int, folder: Path) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((items, 1024), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    DenseVectors(matrix).save(folder, "dense")
    vectors = DenseVectors.open(folder, "dense")
    queries = list(matrix[generator.choice(items, 64)])
    vectors.rank(queries[:1], [None], [100])
    for together in (1, 64):
        seconds = []
        for _ in range(20 if together == 1 else 5):
            start = time.perf_counter()
            vectors.rank(queries[:together], [None] * together, [100] * together)
            seconds.append((time.perf_counter() - start) / together)
        print(f"dense: {items:,} items, {together} together: {milliseconds(seconds)} a query")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dense-items", type=int, default=94_000, help="0: BM25 only")
    args = parser.parse_args()
    data = os.environ.get("SYNTH_TEST_DATA")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if data:
            bench_bm25(Path(data), Path(folder))
        else:
            print("bm25: skipped, SYNTH_TEST_DATA is not set", file=sys.stderr)
        if args.dense_items:
            bench_dense(args.dense_items, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
