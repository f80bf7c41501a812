"""Encoders of a run: what `auto` takes, that it is frozen, and that other weights are other settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.index.encoder import Items
from synth.index.encoders import ENCODERS, choices
from synth.index.parts import Parts
from synth.index.vectors import QueryVector, unit, write_dense
from synth.randomness import rng
from tests.support.bge import make_bge


class Better:
    """Stands for an encoder that is installed today: the mean of a random vector per word."""

    name = frozen = "minilm"
    names = (name,)
    signature = "better 1"

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        matrix = np.stack([self._encode(text) for text in items.texts])
        return {self.name: write_dense(folder, self.name, len(matrix), [matrix])}

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        return {self.name: self._encode(text)}

    def load(self, folder: Path) -> None: ...

    def _encode(self, text: str) -> Any:
        draws = [rng(0, word) for word in text.lower().split()]
        return unit(np.array([sum(draw.gauss(0, 1) for draw in draws) + 1e-3 for _ in range(16)]))


def absent(*_: object, **__: object) -> Any:
    raise SynthError("It is not installed.")


@pytest.fixture
def options(catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    import shutil

    monkeypatch.setitem(ENCODERS, "bge", absent)
    monkeypatch.setitem(ENCODERS, "bge-hybrid", absent)
    monkeypatch.setitem(ENCODERS, "minilm", absent)
    shutil.copytree(catalogue, tmp_path / "catalogue")
    return Options(
        catalog=tmp_path / "catalogue", scenarios=20, convs=2, runs=tmp_path / "runs", seed=1, encoders=("auto",)
    )


def encoders(run: Path) -> list[str]:
    found: list[str] = tomllib.loads((run / "config.toml").read_text("utf-8"))["encoders"]
    return found


def test_auto_is_settled_frozen_and_kept(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choices(10) == [("bm25",)]
    first = generate(options)
    assert encoders(first.run) == ["bm25"]
    assert "products are found by bm25" in (first.run / "run.log").read_text("utf-8")
    # Installed today: runs that were begun with less go on with less, a new one takes more.
    monkeypatch.setitem(ENCODERS, "minilm", Better)
    assert choices(10) == [("bm25", "minilm"), ("bm25",)]
    again = generate(replace(options, convs=3))
    assert again.resumed and again.run == first.run and again.accepted == 3
    there = generate(replace(options, out=first.run))
    assert there.resumed and encoders(first.run) == ["bm25"]
    fresh = generate(replace(options, fresh=True))
    assert fresh.run != first.run and encoders(fresh.run) == ["bm25", "minilm"]
    assert (tmp_path / "catalogue" / "index-bm25-minilm").is_dir(), "the run's own index stands beside the other"
    # Gone tomorrow: the run cannot be gone on with, and says why.
    monkeypatch.setitem(ENCODERS, "minilm", absent)
    with pytest.raises(SynthError, match=r"other settings \(encoders\)"):
        generate(replace(options, out=fresh.run))


def test_an_encoder_without_what_it_needs_stops_before_anything(options: Options) -> None:
    with pytest.raises(SynthError, match="not installed"):
        generate(replace(options, encoders=("bge",)))
    assert not options.runs.exists()


def test_weights_are_frozen_by_their_hash(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("FlagEmbedding", reason="the extra `bge` is not installed")
    from synth.index.bge import Bge

    monkeypatch.setitem(ENCODERS, "bge", Bge)
    one, other = make_bge(tmp_path / "one"), make_bge(tmp_path / "other", seed=1)
    run = tmp_path / "run"
    options = replace(options, encoders=(f"bge={one}",), out=run)
    generate(options)
    (name,) = encoders(run)
    assert name == Bge(str(one)).frozen and name.startswith("bge#") and str(tmp_path) not in name
    assert generate(options).resumed
    with pytest.raises(SynthError, match=r"other settings \(encoders\)"):
        generate(replace(options, encoders=(f"bge={other}",)))
