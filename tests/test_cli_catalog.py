"""`synth init` and `synth catalog` as a user types them."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from synth.cli import app
from synth.cli.init import init, settings
from synth.errors import Exit, SynthError

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["catalog", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a German product file and its pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for n in range(3):
        image = Image.linear_gradient("L").resize((60 + n, 80))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        (tmp_path / "images" / f"{n}.png").write_bytes(stream.getvalue())
    lines = ["Nummer;Bezeichnung;Farbe;Preis;Bild;Gruppe;Lager", *(
        f"{n};Stuhl {n} für die Küche;rot;1{n},50 €;{n}.png;Möbel;" for n in range(4)
    )]  # fmt: skip
    (tmp_path / "shop.csv").write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_import_and_show(shop: Path) -> None:
    said = run("import", "shop.csv")
    assert "';' between columns" in said
    assert "Bezeichnung  title" in said and "Lager        left out (empty)" in said
    assert "3 products, 1 rows left out, language de" in said
    assert "1  picture missing" in said
    assert f"synth generate --catalog {Path('catalogues/shop')}" in said
    said = run("show", "catalogues/shop")
    assert "3 products from shop.csv" in said and "colour" in said and "rot 3" in said and "10.5 to 12.5" in said
    facts = json.loads(run("show", "catalogues/shop", "--json"))
    assert facts["products"] == 3 and facts["attributes"]["colour"] == {"products": 3, "values": {"rot": 3}}
    assert facts["price"]["currencies"] == {"EUR": 3} and facts["left_out"] == {"picture missing": 1}
    assert "Stuhl 1 für die Küche" in run("show", "catalogues/shop", "--product", "1")
    assert json.loads(run("show", "catalogues/shop", "--product", "1", "--json"))["price"] == 11.5
    with pytest.raises(SynthError, match="no product '9'"):
        run("show", "catalogues/shop", "--product", "9")
    with pytest.raises(SynthError, match="exists already"):
        run("import", "shop.csv")


def test_quiet_and_flags(shop: Path) -> None:
    said = run(
        "import", "shop.csv", "--quiet", "--out", "x", "--map", "title=Gruppe", "--map", "name=Bezeichnung",
        "--images", "images", "--licence", "CC0", "--language", "nds", "--limit", "2",
    )  # fmt: skip
    assert said == ""
    product = json.loads(run("show", "x", "--product", "0", "--json"))
    assert (product["title"], product["licence"]) == ("Möbel", "CC0")
    assert product["attributes"]["name"] == "Stuhl 0 für die Küche"
    assert json.loads(run("show", "x", "--json"))["language"] == "nds"


def test_mistakes(shop: Path) -> None:
    for arguments, says in (
        (("import", "no.csv"), "There is no file no.csv"),
        (("import", "shop.csv", "--map", "title"), "is not FIELD=COLUMN"),
        (("import", "shop.csv", "--map", "title=Name"), "the columns are Nummer, Bezeichnung"),
        (("import", "shop.csv", "--images", "no.zip"), "no folder or zip file no.zip"),
        (("show", "no"), "is not a catalogue"),
    ):
        with pytest.raises(SynthError, match=says) as caught:
            run(*arguments)
        assert caught.value.exit_code == Exit.BAD_INPUT
    assert not (shop / "catalogues" / "shop").exists()


def test_init_writes_what_import_then_uses(shop: Path) -> None:
    init(Path("shop.csv"), Path("synth.toml"), yes=False)
    written = tomllib.loads((shop / "synth.toml").read_text("utf-8"))["catalog"]["import"]
    assert written["file"] == "shop.csv" and written["images"] == "images" and written["language"] == "de"
    assert "title=Bezeichnung" in written["map"] and "colour=Farbe" in written["map"]
    assert '# category = ["Möbel"]' in (shop / "synth.toml").read_text("utf-8")
    text = (shop / "synth.toml").read_text("utf-8").replace("title=Bezeichnung", "title=Gruppe")
    (shop / "synth.toml").write_text(text, "utf-8")
    assert "Gruppe       title" in run("import")
    (shop / "other.csv").write_text("id,name,image\n1,Cap,1.png\n", "utf-8")
    assert "name   title" in run("import", "other.csv")  # the map is not that of this file


def test_init_asks_before_it_overwrites(shop: Path) -> None:
    (shop / "synth.toml").write_text("# mine\n", "utf-8")
    with pytest.raises(SynthError, match="is there already. Use --yes"):
        init(None, Path("synth.toml"), yes=False)
    assert (shop / "synth.toml").read_text("utf-8") == "# mine\n"
    init(None, Path("synth.toml"), yes=True)
    assert settings()["catalog"]["import"]["file"] == "shop.csv"
    (shop / "more.csv").write_text("x", "utf-8")
    with pytest.raises(SynthError, match="This folder has: more.csv, shop.csv"):
        init(None, Path("other.toml"), yes=False)
    (shop / "synth.toml").write_text("[catalog\n", "utf-8")
    with pytest.raises(SynthError, match="synth.toml is no valid TOML"):
        run("show", "x")
