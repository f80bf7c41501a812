"""BGE-M3 on a tiny model with random weights: its three outputs, its files, and a build that is killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Product
from synth.corpora.summary import summary
from synth.errors import SynthError
from synth.index import Index, build_index
from synth.index.bge import Bge
from synth.index.encoders import availability, choices, concrete, make_encoder, variants
from synth.index.exact import Exact
from synth.index.vectors import DenseVectors, MultiVectors, SparseVectors
from tests.support.bge import TEXTS, WIDTH, make_bge

pytest.importorskip("FlagEmbedding", reason="the extra `bge` is not installed")
pytest.importorskip("torch", reason="the extra `bge` is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bge(tmp_path_factory.mktemp("bge") / "model")


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def make_catalogue(folder: Path, count: int = 12) -> Catalogue:
    products = [Product(id=f"p{i:04}", title=f"{TEXTS[i % len(TEXTS)]}, number {i}") for i in range(count)]
    return CatalogueWriter(folder).finish(CatalogueInfo(name="test", source="test"), products)


@pytest.fixture(scope="module")
def index(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("index")
    return build_index(make_catalogue(folder / "c"), folder / "i", (f"bge={model}",))


# What is encoded


def test_all_three_outputs_are_those_of_flagembedding(index: Index, model: Path) -> None:
    from FlagEmbedding import BGEM3FlagModel

    texts = [summary(product) for product in index.catalogue]
    wanted = BGEM3FlagModel(str(model), use_fp16=False, devices="cpu").encode(
        texts, return_dense=True, return_sparse=True, return_colbert_vecs=True
    )
    assert isinstance(index.driver, Exact)
    dense, sparse, multi = (index.driver.vectors[f"bge.{kind}"] for kind in ("dense", "sparse", "multi"))
    assert isinstance(dense, DenseVectors) and isinstance(sparse, SparseVectors) and isinstance(multi, MultiVectors)
    assert dense.matrix.shape == (12, WIDTH)
    np.testing.assert_allclose(dense.matrix, wanted["dense_vecs"], atol=1e-5)
    weights = np.zeros((12, len(sparse.bounds) - 1))
    for term in range(len(sparse.bounds) - 1):
        entries = slice(sparse.bounds[term], sparse.bounds[term + 1])
        weights[sparse.items[entries], term] = sparse.weights[entries]
    expected = np.zeros_like(weights)
    for row, terms in enumerate(wanted["lexical_weights"]):
        for term, weight in terms.items():
            expected[row, int(term)] = weight
    assert (expected > 0).any(axis=1).all()
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    for row, vectors in enumerate(wanted["colbert_vecs"]):
        own = multi.tokens[multi.bounds[row] : multi.bounds[row + 1]]
        assert own.dtype == np.float16
        np.testing.assert_allclose(own, vectors, atol=1e-3)


def test_scores_are_those_of_flagembedding(index: Index, model: Path) -> None:
    from FlagEmbedding import BGEM3FlagModel

    theirs = BGEM3FlagModel(str(model), use_fp16=False, devices="cpu")
    query, texts = "red dress for summer", [summary(product) for product in index.catalogue]
    wanted = theirs.compute_score([(query, text) for text in texts], weights_for_different_modes=[1, 1, 1])
    ids = [product.id for product in index.catalogue]
    for kind, theirs_name in (("dense", "dense"), ("sparse", "sparse")):
        found = {candidate.id: candidate.score for candidate in index.search(query, 12, by=[f"bge.{kind}"])}
        assert [found[item] for item in ids] == pytest.approx(wanted[theirs_name], abs=1e-4)
    reranked = {candidate.id: candidate.score for candidate in index.search(query, 12)}
    assert [reranked[item] for item in ids] == pytest.approx(wanted["colbert"], abs=1e-3)


def test_a_query_is_the_same_in_any_company_and_on_any_thread(model: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    encoder = Bge(str(model))

    def bits(text: str) -> list[bytes]:
        dense, sparse, multi = encoder.encode_query(text).values()
        return [np.asarray(dense).tobytes(), *(part.tobytes() for part in sparse), np.asarray(multi).tobytes()]

    texts = [" ".join(TEXTS[: n % 4 + 1]) for n in range(24)]
    alone = [bits(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(bits, texts)) == alone


def test_multi_vectors_rerank_what_the_others_found(index: Index) -> None:
    plain, reranked = index.search("leather watch", 12, rerank=False), index.search("leather watch", 12)
    assert {candidate.id for candidate in plain} == {candidate.id for candidate in reranked}
    assert plain[0].score == pytest.approx(1 / 60 + 1 / 60, rel=0.2) and reranked[0].score > 0.1
    with pytest.raises(SynthError, match="multi-vectors only rerank"):
        index.search("leather watch", by=["bge.multi"])


def test_bge_hybrid_keeps_no_multi_vectors(model: Path, tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "c")
    hybrid = build_index(catalogue, tmp_path / "i", (f"bge-hybrid={model}",))
    assert dict(hybrid.driver.kinds) == {"bge-hybrid.dense": "dense", "bge-hybrid.sparse": "sparse"}
    assert not list((tmp_path / "i").glob("*multi*"))


def test_a_long_text_is_cut(model: Path) -> None:
    *_, multi = Bge(str(model)).encode_query("red dress " * 2000).values()
    assert np.shape(multi) == (511, WIDTH)


def test_batches_are_halved_where_the_memory_does_not_suffice(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from synth.index.models import in_batches, working

    encoder, texts, sizes = Bge(str(model)), list(TEXTS * 8), []

    def narrow(most: int) -> Callable[[list[str]], Any]:
        def forward(batch: list[str]) -> Any:
            sizes.append(len(batch))
            if len(batch) > most:
                raise torch.OutOfMemoryError("out of memory")
            return encoder._forward(batch)

        return forward

    with working():
        whole = encoder._forward(texts)
        halved = [one for batch in in_batches(texts, 32, narrow(5)) for one in batch]
    assert sizes == [32, 16, 8, *[4] * 10]
    np.testing.assert_allclose([one.dense for one in halved], [one.dense for one in whole], atol=1e-5)
    with pytest.raises(SynthError, match="memory does not suffice"):
        list(in_batches(texts, 32, narrow(0)))


# Weights


@pytest.mark.parametrize(
    "missing", ["sparse_linear.pt", "colbert_linear.pt", "model.safetensors", "config.json", "tokenizer.json"]
)
@pytest.mark.parametrize("how", ["removed", "empty"])
def test_missing_weights_are_an_error_not_random_ones(copy: Path, missing: str, how: str) -> None:
    (copy / missing).unlink()
    if how == "empty":
        (copy / missing).touch()
    with pytest.raises(SynthError, match=rf"not whole: .*{missing}.* is missing.*nothing is made up") as error:
        Bge(str(copy))
    assert "\n" not in str(error.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_a_layer(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(path)
    save_file({name: tensor for name, tensor in state.items() if ".layer.1." not in name}, path, {"format": "pt"})


def narrow_head(path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(WIDTH // 2, 1).state_dict(), path)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model.safetensors", cut, "cannot be read"),
        ("sparse_linear.pt", cut, "cannot be read"),
        ("colbert_linear.pt", cut, "cannot be read"),
        ("sparse_linear.pt", narrow_head, "cannot be read"),
        ("model.safetensors", drop_a_layer, "not whole: 16 of them, encoder.layer.1"),
    ],
)
def test_weights_that_are_half_there_are_one_clear_line(
    copy: Path, file: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(copy / file)
    with pytest.raises(SynthError, match=message) as error:
        Bge(str(copy)).encode_query("red dress")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_the_published_kind_of_weights_file_is_read(copy: Path, model: Path) -> None:
    """BAAI/bge-m3 itself has `pytorch_model.bin`."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    wanted, found = (Bge(str(folder)).encode_query("red dress")["bge.dense"] for folder in (model, copy))
    np.testing.assert_array_equal(wanted, found)


def test_other_weights_are_another_encoder(index: Index, tmp_path: Path) -> None:
    other = make_bge(tmp_path / "other", seed=1)
    shutil.copytree(Path(index.catalogue.folder).parent / "i", tmp_path / "i")
    with pytest.raises(SynthError, match=r"was built with bge-m3 \w{12}, but bge-m3 \w{12} is what is here"):
        Index.open(tmp_path / "i", index.catalogue, [f"bge={other}"])
    assert make_encoder(f"bge={other}").frozen != index.encoders[0].frozen


def test_weights_that_are_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SynthError, match=r"There is no folder .*nowhere"):
        Bge(str(tmp_path / "nowhere"))
    with pytest.raises(SynthError, match=r"BAAI/bge-m3 are not on this machine.*hf download BAAI/bge-m3"):
        make_encoder("bge")


def test_nothing_is_asked_of_the_network(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert len(Bge(str(model)).encode_query("red dress")) == 3
    with pytest.raises(SynthError, match="not on this machine"):
        Bge("nobody/has-this")


def test_weights_in_the_hubs_cache_are_found_and_auto_takes_them(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    # snapshot_download has bound its default already where it was imported before.
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        _with_cache(__import__("huggingface_hub").snapshot_download, cache),
    )
    assert "bge" not in [name for choice in choices(10) for name in choice]
    assert availability()["bm25"] == "" and "not on this machine" in availability()["bge"]
    repository = cache / "models--BAAI--bge-m3"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40, "utf-8")
    shutil.copytree(model, repository / "snapshots" / ("0" * 40))
    assert make_encoder("bge").signature == Bge(str(model)).signature
    assert choices(10)[0] == ("bge",) and choices(50_000)[0] == ("bge-hybrid",)
    assert choices(10)[-1] == ("bm25",)
    assert concrete(("clip=x", "auto", "bge"), 10) == ("clip=x", "bge")
    (repository / "snapshots" / ("0" * 40) / "sparse_linear.pt").unlink()
    assert variants(("auto",), 10)[0] != ("bge",) and "sparse_linear.pt is missing" in availability()["bge"]


def _with_cache(download: Any, cache: Path) -> Any:
    def found(model: str, **options: Any) -> Any:
        return download(model, cache_dir=cache, **options)

    return found


# Resuming

KILLED = """
import os, signal, sys
from pathlib import Path
from synth.corpora.catalogue import Catalogue
from synth.index import build_index

def kill(name, done, total):
    if done >= 256:
        os.kill(os.getpid(), signal.SIGKILL)

catalogue, folder, spec = sys.argv[1:]
build_index(Catalogue.open(Path(catalogue)), Path(folder), (spec,), kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_build_goes_on_where_it_was(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = make_catalogue(tmp_path / "c", 500)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "c"), str(tmp_path / "i"), f"bge={model}"]
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"}
    assert subprocess.run(command, env=environment, check=False, cwd=root).returncode == -9
    (parts,) = (tmp_path / "i.parts").iterdir()
    assert sorted(path.name for path in parts.iterdir()) == ["000000000.npz", "000000128.npz"]
    assert not (tmp_path / "i").exists()
    # A part that the disk lost half of is made again.
    cut(parts / "000000128.npz")
    encoded: list[int] = []
    plain = Bge._encode_all

    def counted(self: Bge, texts: Any) -> Any:
        encoded.append(len(texts))
        return plain(self, texts)

    monkeypatch.setattr(Bge, "_encode_all", counted)
    told: list[int] = []
    build_index(catalogue, tmp_path / "i", (f"bge={model}",), lambda name, done, total: told.append(done))
    assert encoded == [128, 128, 116] and told == [128, 256, 384, 500]
    build_index(catalogue, tmp_path / "whole", (f"bge={model}",))
    for path in sorted((tmp_path / "whole").iterdir()):
        assert path.read_bytes() == (tmp_path / "i" / path.name).read_bytes(), path.name
    assert not (tmp_path / "i.parts").exists()


def test_parts_of_another_catalogue_are_not_taken(model: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(name: str, done: int, total: int) -> None:
        if done >= 128:
            raise Stop

    with pytest.raises(Stop):
        build_index(make_catalogue(tmp_path / "c", 200), tmp_path / "i", (f"bge={model}",), stop)
    (old,) = (tmp_path / "i.parts").iterdir()
    other = make_catalogue(tmp_path / "d", 201)
    with pytest.raises(Stop):
        build_index(other, tmp_path / "i", (f"bge={model}",), stop)
    (new,) = (tmp_path / "i.parts").iterdir()
    assert new.name != old.name
