"""`synth index build` and `synth index search`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from synth.cli.index import app
from synth.corpora.catalogue import CatalogueInfo, CatalogueWriter
from synth.corpora.records import Product
from synth.errors import SynthError


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    products = [
        Product(id="b2", title="Plain [bold]Dress[/bold]", attributes={"colour": "Red"}),
        Product(id="a1", title="Plain Dress", attributes={"colour": "Blue"}),
        Product(id="c3", title="Leather Watch", attributes={"colour": "Black"}),
    ]
    CatalogueWriter(tmp_path / "shop").finish(CatalogueInfo(name="shop", source="test"), products)
    return Path("shop")


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)


def test_build_then_search(catalogue: Path) -> None:
    built = run("build", "--catalog", catalogue)
    assert built.exit_code == 0
    assert f"3 products indexed by bm25 in 0.0 s: {catalogue / 'index'}" in built.stdout
    shown = run("search", "a red dress", "--catalog", catalogue, "-k", "3").stdout
    rows = [line.split() for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert [row[:2] for row in rows] == [["0", "b2"], ["1", "a1"], ["2", "c3"]]
    assert "Plain [bold]Dress[/bold]" in shown


def test_json_where_and_exclude(catalogue: Path) -> None:
    run("build", "--catalog", catalogue, "--quiet")
    options = ["--json", "--where", "colour=BLUE", "--where", "colour=black", "--exclude", "b2"]
    found = json.loads(run("search", "dresses", "--catalog", catalogue, *options).stdout)
    assert [row["id"] for row in found] == ["a1", "c3"]
    assert found[0] == {"id": "a1", "rank": 0, "score": found[0]["score"], "title": "Plain Dress"}
    assert found[0]["score"] > 0 == found[1]["score"]


def test_it_says_where_nothing_matches(catalogue: Path) -> None:
    run("build", "--catalog", catalogue, "--quiet")
    assert "share no word" in run("search", "spoon", "--catalog", catalogue).stdout
    assert "No product meets" in run("search", "dress", "--catalog", catalogue, "--where", "colour=mauve").stdout


def test_an_index_elsewhere(catalogue: Path) -> None:
    run("build", "--catalog", catalogue, "--out", "other", "--quiet")
    assert not (catalogue / "index").exists()
    assert json.loads(run("search", "watch", "--catalog", catalogue, "--index", "other", "--json").stdout)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["search", "dress"], "no index in .*synth index build --catalog shop"),
        (["build", "--encoder", "bert"], "no encoder 'bert'"),
        (["search", "dress", "--where", "red"], "'red' is not ATTRIBUTE=VALUE"),
    ],
)
def test_mistakes_are_one_line(catalogue: Path, args: list[str], message: str) -> None:
    if "--where" in args:
        run("build", "--catalog", catalogue, "--quiet")
    with pytest.raises(SynthError, match=message):
        run(*args, "--catalog", catalogue)
