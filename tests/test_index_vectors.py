"""Vectors of the user's own, queries that are vectors, pictures, and many threads."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from synth.cli.index import app
from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Product
from synth.errors import SynthError
from synth.index import Index, build_index, default_folder, open_or_build
from synth.index.blas import ONE_BLAS_THREAD
from synth.index.vectors import DenseVectors, MultiVectors, SparseQuery, SparseVectors
from tests.support.bge import make_clip

COUNT, WIDTH = 40, 8


def png(shade: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 30), shade).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Ids in another order than the products; two in three have a picture."""
    writer = CatalogueWriter(tmp_path / "shop")
    products = []
    for i in range(COUNT):
        shade = (6 * i, 255 - 6 * i, 40)
        images = (writer.store_image(png(shade), "image/png", 20, 30),) if i % 3 else ()
        products.append(Product(id=f"p{(i * 7) % COUNT:02}", title=f"Thing number {i}", images=images))
    return writer.finish(CatalogueInfo(name="shop", source="test"), products)


@pytest.fixture
def matrix() -> np.ndarray[Any, Any]:
    """In the catalogue's order, of any length; the last one is missing."""
    made = np.random.default_rng(1).standard_normal((COUNT, WIDTH)) * 5
    made[-1] = 0
    return made


@pytest.fixture
def index(catalogue: Catalogue, matrix: Any, tmp_path: Path) -> Index:
    np.save(tmp_path / "own.npy", matrix)
    return build_index(catalogue, default_folder(catalogue), arrays={"own": tmp_path / "own.npy"})


# Given arrays


def test_rows_are_those_of_the_catalogue(index: Index, matrix: Any) -> None:
    for place, product in enumerate(index.catalogue.products[:-1]):
        (found, *_) = index.search({"own": matrix[place]}, 1)
        assert (found.id, found.score) == (product.id, 1.0)
    found = index.search({"own": matrix[3]}, COUNT)
    assert found[-1].id == index.catalogue.products[-1].id, "one without a vector comes last"
    assert found[-1].score <= found[-2].score


def test_texts_and_vectors_are_searched_by_their_own(index: Index, matrix: Any) -> None:
    assert index.search("number 7", 3) == index.search("number 7", 3, by=["bm25"])
    with pytest.raises(SynthError, match="cannot be searched by a text through own.*--like ID"):
        index.search("number 7", by=["own"])
    for wrong, message in (
        (np.ones(WIDTH + 1), rf"has {WIDTH} numbers, not the shape \({WIDTH + 1},\)"),
        (np.ones((1, WIDTH)), "not the shape"),
        (np.zeros(WIDTH), "no direction"),
        (np.full(WIDTH, np.nan), "no direction"),
    ):
        with pytest.raises(SynthError, match=message):
            index.search({"own": wrong})
    with pytest.raises(SynthError, match="no dense vectors 'bm25'.*own"):
        index.search({"own": matrix[0], "bm25": matrix[0]})


def test_the_mean_of_a_history_is_a_query(index: Index, matrix: Any) -> None:
    history = [product.id for product in index.catalogue.products[:4]]
    rows = matrix[:4] / np.linalg.norm(matrix[:4], axis=1, keepdims=True)
    mean = index.mean(history)["own"]
    np.testing.assert_allclose(mean, rows.mean(0) / np.linalg.norm(rows.mean(0)), atol=1e-6)
    assert mean.tobytes() == index.mean(history[::-1])["own"].tobytes()
    found = index.search(index.mean(history), 5, exclude=history)
    assert not set(history) & {candidate.id for candidate in found}
    with pytest.raises(SynthError, match="no product 'p99'"):
        index.mean(["p99"])
    for ids in ([], [index.catalogue.products[-1].id]):
        with pytest.raises(SynthError, match="no dense vectors of these products"):
            index.mean(ids)


def test_another_order_of_rows_is_another_index(
    index: Index, catalogue: Catalogue, matrix: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "other.npy", matrix[::-1])
    other = build_index(catalogue, tmp_path / "i", arrays={"own": tmp_path / "other.npy"})
    said = [
        json.loads((folder / "index.json").read_text("utf-8"))["arrays"]["own"]
        for folder in (default_folder(catalogue), tmp_path / "i")
    ]
    assert said[0] != said[1] and "array of 8 dimensions" in said[0]
    assert other.search({"own": matrix[0]}, 1) != index.search({"own": matrix[0]}, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((COUNT - 1, 4)), "have 39 rows, but the catalogue has 40 products"),
        (np.ones(COUNT), r"with two dimensions, but float64 \(40,\)"),
        (np.ones((COUNT, 2, 2)), "with two dimensions"),
        (np.ones((COUNT, 0)), "with two dimensions"),
        (np.array([["a"]] * COUNT), "no array of numbers"),
        (np.array([[None]] * COUNT), "cannot be read"),
        (np.full((COUNT, 3), np.inf), "not finite in row 0"),
        (np.zeros((COUNT, 3)), "are all zero"),
        (b"no numpy file", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(catalogue: Catalogue, tmp_path: Path, array: Any, message: str) -> None:
    file = tmp_path / "own.npy"
    if isinstance(array, bytes):
        file.write_bytes(array)
    elif array is not None:
        np.save(file, array, allow_pickle=True)
    with pytest.raises(SynthError, match=message) as error:
        build_index(catalogue, tmp_path / "i", arrays={"own": file})
    assert "\n" not in str(error.value) and not (tmp_path / "i").exists()


def test_an_array_cut_short_is_damage(index: Index, catalogue: Catalogue) -> None:
    file = default_folder(catalogue) / "own.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SynthError, match="damaged.*synth index build"):
        Index.open(default_folder(catalogue), catalogue)


# Others' indexes


def test_an_index_with_more_serves_a_run_with_less(index: Index, catalogue: Catalogue) -> None:
    before = (default_folder(catalogue) / "index.json").read_bytes()
    opened = open_or_build(catalogue, ("bm25",))
    assert opened.search("number 7", 9) == index.search("number 7", 9)
    assert (default_folder(catalogue) / "index.json").read_bytes() == before


def test_an_index_by_others_is_not_replaced_but_joined(
    index: Index, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth.index.bm25 import Bm25
    from synth.index.encoders import ENCODERS

    class Other(Bm25):
        name = frozen = "other"
        names = ("bm25",)

    monkeypatch.setitem(ENCODERS, "other", Other)
    before = (default_folder(catalogue) / "index.json").read_bytes()
    for _ in range(2):
        assert open_or_build(catalogue, ("other",)).encoders[0].name == "other"
    assert (default_folder(catalogue) / "index.json").read_bytes() == before
    assert (catalogue.folder / "index-other" / "index.json").is_file()


# The command line


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def test_vectors_and_like_at_the_command_line(catalogue: Catalogue, matrix: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", matrix)
    built = run("build", "--catalog", catalogue.folder, "--vectors", f"own={tmp_path / 'own.npy'}")
    assert "40 products indexed by bm25 and own in" in built.stdout
    ids = [product.id for product in catalogue.products[:2]]
    found = json.loads(
        run("search", "--catalog", catalogue.folder, "--like", ids[0], "--like", ids[1], "--json").stdout
    )
    opened = Index.open(default_folder(catalogue), catalogue)
    assert [row["id"] for row in found] == [c.id for c in opened.search(opened.mean(ids), exclude=ids)]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["build", "--vectors", "own"], "cannot be read.*NAME=FILE.npy"),
        (["build", "--vectors", "Own=x.npy"], "cannot be read.*a-z"),
        (["build", "--vectors", "bm25=x.npy"], "the name bm25 is taken"),
        (["build", "--vectors", "own=x.npy"], "cannot be read from x.npy"),
        (["build", "--encoder", "bert"], "no encoder 'bert'.*bm25, minilm, bge, bge-hybrid, clip"),
        (["build", "--encoder", "bm25=here"], "cannot be read.*bge, bge-hybrid, clip alone"),
        (["search"], "a query or --like"),
        (["search", "red", "--like", "p01"], "one of the two"),
        (["search", "red", "--by", "own"], "no vectors 'own'.*There are: bm25"),
        (["search", "--like", "p01"], "no dense vectors of these products.*--vectors"),
    ],
)
def test_mistakes_are_one_line(catalogue: Catalogue, args: list[str], message: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(catalogue.folder)
    if args[0] == "search":
        build_index(catalogue, default_folder(catalogue))
    with pytest.raises(SynthError, match=message) as error:
        run(*args, "--catalog", catalogue.folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoder", ["bge", "clip", "minilm"])
def test_an_extra_that_is_not_installed_is_named(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    from synth.index.encoders import make_encoder

    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.version", absent)
    with pytest.raises(SynthError, match=rf"encoder {encoder} needs the package .*synth-crs\[(bge|minilm)\]"):
        make_encoder(encoder)


# Pictures


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="the extra `bge` is not installed")
    pytest.importorskip("torch", reason="the extra `bge` is not installed")
    return make_clip(tmp_path_factory.mktemp("clip") / "model")


def test_pictures_are_found_by_words_and_by_pictures(catalogue: Catalogue, clip: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    index = build_index(catalogue, tmp_path / "i", ("bm25", f"clip={clip}"))
    assert dict(index.driver.kinds) == {"bm25": "sparse", "clip": "dense"}
    seen = [product for product in catalogue if product.images]
    pictures = [Image.open(catalogue.image_path(product.images[0])).convert("RGB") for product in seen]
    inputs = AutoImageProcessor.from_pretrained(clip, backend="pil")(images=pictures, return_tensors="pt")
    with torch.inference_mode():
        wanted = AutoModel.from_pretrained(clip).get_image_features(**inputs).pooler_output.numpy()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(index.driver.items("clip", [product.id for product in seen]), wanted, atol=1e-5)
    like = index.search(index.mean([seen[5].id]), 3)
    assert like[0].id == seen[5].id and like[0].score == pytest.approx(1, abs=1e-5)
    by_words = index.search("red", COUNT, by=["clip"])
    assert {candidate.id for candidate in by_words[: len(seen)]} == {product.id for product in seen}
    assert len(index.search("number 7", 5)) == 5


def test_pictures_that_are_not_there_or_broken(catalogue: Catalogue, clip: Path, tmp_path: Path) -> None:
    first = next(product for product in catalogue if product.images)
    catalogue.image_path(first.images[0]).write_bytes(b"no picture")
    with pytest.raises(SynthError, match=r"picture .* cannot be read"):
        build_index(catalogue, tmp_path / "i", (f"clip={clip}",))
    bare = CatalogueWriter(tmp_path / "bare").finish(
        CatalogueInfo(name="bare", source="test"), [Product(id="1", title="One")]
    )
    with pytest.raises(SynthError, match="No product has a picture"):
        build_index(bare, tmp_path / "i", (f"clip={clip}",))


def test_a_model_that_sees_nothing_is_refused(catalogue: Catalogue, clip: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from transformers import BertConfig, BertModel

    shutil.copytree(clip, tmp_path / "bert")
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    BertModel(BertConfig(vocab_size=50, **small)).save_pretrained(tmp_path / "bert")
    with pytest.raises(SynthError, match="encodes no pictures and texts"):
        build_index(catalogue, tmp_path / "i", (f"clip={tmp_path / 'bert'}",))


# Vectors


def test_multi_vectors_score_by_their_likest_tokens() -> None:
    tokens = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float16)
    vectors = MultiVectors(tokens, np.array([0, 2, 3, 3]))
    query = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    found = vectors.scores(query, np.array([0, 1, 2]))
    assert found == pytest.approx([(1 + 0.8) / 2, (0.6 + 1) / 2, 0], abs=1e-3)


def test_sparse_vectors_by_item_and_terms_nobody_has() -> None:
    counts, terms = np.array([2, 0, 1]), np.array([4, 1, 4])
    vectors = SparseVectors.of_rows(counts, terms, np.array([0.5, 2, 3], dtype=np.float32), 5)
    query = SparseQuery(np.array([1, 4, 9]), np.array([1.0, 2.0, 7.0]))
    (found,) = vectors.rank([query], [None], [5])
    assert found.rows.tolist() == [2, 0] and found.scores.tolist() == [6.0, 3.0]


def test_where_nearly_all_are_equal_the_order_is_exact() -> None:
    generator = np.random.default_rng(0)
    matrix = np.ones((5000, 32)) + 1e-6 * generator.standard_normal((5000, 32))
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    (found,) = DenseVectors(matrix).rank([matrix[0]], [None], [20])
    scores = np.round(matrix.astype(np.float64) @ matrix[0].astype(np.float64), 6)
    assert found.rows.tolist() == np.lexsort((np.arange(5000), -scores))[:20].tolist()


def test_one_blas_thread_while_any_searches_and_all_after() -> None:
    """Threads that come and go must neither raise the number in the middle nor leave it lowered."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads() -> int:
        return max(pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"])

    if not any("numpy" in pool["filepath"] for pool in threadpool_info()):
        pytest.skip("this numpy's BLAS has no threads to set")
    with threadpool_limits(2, "blas"):
        before = threads()
        inside, leave = threading.Event(), threading.Event()

        def long() -> None:
            with ONE_BLAS_THREAD:
                inside.set()
                leave.wait(10)

        other = threading.Thread(target=long)
        other.start()
        assert inside.wait(10)
        with ONE_BLAS_THREAD:
            assert threads() == 1
        assert threads() == 1, "the other still searches"
        leave.set()
        other.join()
        assert threads() == before


STORM = """
import sys, threading, time
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from synth.index.vectors import DenseVectors

generator = np.random.default_rng(0)
matrix = generator.standard_normal((2000, 256), dtype=np.float32)
matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
vectors = DenseVectors(matrix)
with ThreadPoolExecutor(64) as pool:
    found = list(pool.map(lambda i: vectors.rank([matrix[i]], [None], [10])[0].rows[0], range(1280)))
assert found == list(range(1280))
"""


def test_sixty_four_threads_do_not_stall() -> None:
    """In a process of its own: what stalls is OpenBLAS, and it would take the tests with it."""
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", STORM], check=True, timeout=60, cwd=root)


def test_threads_find_the_same(index: Index) -> None:
    queries = [f"number {n}" for n in range(COUNT)]
    wanted = [index.search(query, 5) for query in queries]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda query: index.search(query, 5), queries)) == wanted
