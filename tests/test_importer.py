"""From a product file to a catalogue."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from synth.corpora.catalogue import Catalogue
from synth.corpora.importer import agreeing, beside, import_catalogue
from synth.corpora.records import Product
from synth.errors import SynthError

COLOURS = ("#e01020", "#1040e0", "#20a030", "#101010", "#f0d020")


def picture(n: int, format: str = "JPEG") -> bytes:
    image = Image.new("RGB", (90, 120), "white")
    ImageDraw.Draw(image).rectangle((20, 20 + n, 70, 100), fill=COLOURS[n % len(COLOURS)])
    stream = io.BytesIO()
    image.save(stream, format)
    return stream.getvalue()


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def shop(folder: Path, count: int = 5, **columns: str) -> Path:
    """A product file with `images.zip` beside it."""
    with zipfile.ZipFile(folder / "images.zip", "w") as file:
        for n in range(count):
            file.writestr(f"images/p{n}.jpg", picture(n))
    rows = [
        {"id": f"p{n}", "name": f"Shirt {n}", "gender": "Men", "price": "", "image": f"images/p{n}.jpg", **columns}
        for n in range(count)
    ]
    return write_csv(folder / "shop.csv", rows)


def test_a_shop_with_a_zip_beside_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    made = import_catalogue(shop(tmp_path, Farbe="Rot"), tmp_path / "out", progress=lambda *p: seen.append(p))
    again = Catalogue.open(tmp_path / "out")
    assert again.products == made.products
    assert [p.id for p in again] == ["p0", "p1", "p2", "p3", "p4"]
    first = again["p0"]
    assert (first.title, first.attributes, first.price) == ("Shirt 0", {"gender": "Men", "colour": "Rot"}, None)
    assert again.image_path(first.images[0]).read_bytes() and first.images[0].url is None
    assert again["p0"].visual["tone"] == "bright"
    assert again.info.columns == {
        "id": "id", "name": "title", "gender": "gender", "image": "images", "Farbe": "colour",
    }  # fmt: skip
    assert seen[-1] == (5, 5)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "catalogue.json", "images", "left_out.jsonl", "products.jsonl",
    ]  # fmt: skip
    assert not (tmp_path / "out.partial").exists()


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    source = shop(tmp_path)
    one, two = (import_catalogue(source, tmp_path / name) for name in ("one", "two"))
    assert one.info.fingerprint == two.info.fingerprint


def test_items_without_title_or_picture_are_left_out_and_counted(tmp_path: Path) -> None:
    source = shop(tmp_path, 6)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as file:
        file.writestr("images/p0.jpg", picture(0))
        file.writestr("images/p1.jpg", picture(1))
        file.writestr("images/p2.jpg", b"<html>")
        file.writestr("images/p3.jpg", picture(3)[:-200])
    text = source.read_text("utf-8").replace("Shirt 1", " ").replace("p5,Shirt 5,Men", "p5,Shirt 5")
    source.write_text(text, "utf-8")
    made = import_catalogue(source, tmp_path / "out")
    assert [p.id for p in made] == ["p0"]
    assert made.info.left_out == {
        "broken picture": 1, "broken row": 1, "no title": 1, "not a picture": 1, "picture missing": 1,
    }  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out" / "left_out.jsonl").read_text("utf-8").splitlines()]
    assert [(line["row"], line["reason"]) for line in lines] == [
        (2, "no title"), (3, "not a picture"), (4, "broken picture"), (5, "picture missing"), (6, "broken row"),
    ]  # fmt: skip


AMAZON = {
    "main_category": "AMAZON FASHION", "title": "Gnu Women&#39;s Dress", "average_rating": 4.5, "rating_number": 9,
    "features": ["100% Cotton", "Machine wash"], "description": ["A <b>fine</b> dress."], "price": "$12.99",
    "images": [{"thumb": "a", "large": "x/B01.jpg", "variant": "MAIN", "hi_res": None}], "videos": [],
    "store": "Gnu", "categories": ["Clothing", "Women", "Dresses"], "parent_asin": "B01", "bought_together": None,
    "details": {"Department": "womens", "Date First Available": "May 1", "Material": "Cotton", "Rank": {"a": 1}},
}  # fmt: skip


def amazon(dict_of_lists: bool) -> list[dict[str, Any]]:
    second = {**AMAZON, "parent_asin": "B02", "price": None, "categories": [], "details": {}, "title": "Gnu Cap"}
    images = [{"thumb": "a", "large": "x/B02.jpg", "variant": "MAIN", "hi_res": None}]
    rows = [AMAZON, {**second, "images": images}]
    if dict_of_lists:
        for row in rows:
            row["images"] = {key: [image[key] for image in row["images"]] for key in row["images"][0]}
            row["details"] = json.dumps(row["details"])
    return [dict(row) for row in rows]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_amazon_metadata(tmp_path: Path, kind: str) -> None:
    rows = amazon(dict_of_lists=kind == "parquet") if kind == "jsonl" else amazon(True)
    source = tmp_path / f"meta.{kind}"
    if kind == "jsonl":
        source.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), source)
    (tmp_path / "pictures").mkdir()
    for n in (1, 2):
        (tmp_path / "pictures" / f"B0{n}.jpg").write_bytes(picture(n))
    first, second = import_catalogue(source, tmp_path / "out")
    assert (first.id, first.title, first.price, first.currency) == ("B01", "Gnu Women's Dress", 12.99, "USD")
    assert first.features == ("100% Cotton", "Machine wash")
    assert first.categories == ("Clothing", "Women", "Dresses")
    assert first.attributes == {"brand": "Gnu", "department": "womens", "material": "Cotton"}
    assert first.descriptions == {"source": "A fine dress."}
    assert (second.id, second.price, second.categories) == ("B02", None, ("AMAZON FASHION",))


def test_pictures_in_the_file_itself(tmp_path: Path) -> None:
    rows = [{"title": f"Lamp {n}", "image": {"bytes": picture(n), "path": None}} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "lamps.parquet")
    assert [p.id for p in import_catalogue(tmp_path / "lamps.parquet", tmp_path / "out")] == ["1", "2", "3"]


def test_more_pictures_of_a_product(tmp_path: Path) -> None:
    shop(tmp_path)
    source = write_csv(tmp_path / "two.csv", [{"id": "a", "title": "Shirt", "images": "p0.jpg|gone.jpg|p1.jpg|p2.jpg"}])
    (product,) = import_catalogue(source, tmp_path / "out", pictures=2)
    assert len(product.images) == 2
    (product,) = import_catalogue(source, tmp_path / "one")
    assert len(product.images) == 1


def test_categories_limit_and_language(tmp_path: Path) -> None:
    shop(tmp_path, 3)
    rows = [
        {"id": f"p{n}", "titel": f"Hemd {n} für Herren mit Kragen", "kategorie": category}
        for n, category in enumerate(("Mode > Hemden", "Haus > Lampen", "Mode > Hosen"))
    ]
    source = write_csv(tmp_path / "mode.csv", rows)
    made = import_catalogue(source, tmp_path / "out", images=tmp_path / "images.zip", categories=["mode"])
    assert [p.id for p in made] == ["p0", "p2"] and made.info.left_out == {"other category": 1}
    assert made.info.language == "de"
    assert len(import_catalogue(source, tmp_path / "few", images=tmp_path / "images.zip", limit=2)) == 2


def test_duplicate_ids(tmp_path: Path) -> None:
    source = shop(tmp_path)
    source.write_text(source.read_text("utf-8").replace("p3,", "p1,"), "utf-8")
    with pytest.raises(SynthError, match="Rows 2 and 4 of .* have the same id 'p1'"):
        import_catalogue(source, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()
    made = import_catalogue(source, tmp_path / "out", duplicates="skip")
    assert len(made) == 4 and made.info.left_out == {"duplicate id": 1}


def test_user_mistakes(tmp_path: Path) -> None:
    source = shop(tmp_path)
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    (lonely / "shop.csv").write_bytes(source.read_bytes())
    with pytest.raises(SynthError, match="no pictures beside .* --images"):
        import_catalogue(lonely / "shop.csv", tmp_path / "out")
    (lonely / "urls.csv").write_text("id,title,image\n1,Cap,https://shop.example/1.jpg\n", "utf-8")
    with pytest.raises(SynthError, match="add --images urls"):
        import_catalogue(lonely / "urls.csv", tmp_path / "out")
    with pytest.raises(SynthError, match=r"no folder or zip file .*none\.zip"):
        import_catalogue(source, tmp_path / "out", images=tmp_path / "none.zip")
    with pytest.raises(SynthError, match="There is no column 'Foto'"):
        import_catalogue(source, tmp_path / "out", columns={"images": "Foto"})
    with pytest.raises(SynthError, match="No usable product in shop.csv: 5 picture missing"):
        import_catalogue(source, tmp_path / "out", images=lonely)
    with pytest.raises(SynthError, match="--limit 0"):
        import_catalogue(source, tmp_path / "out", limit=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.zip", "lonely", "shop.csv"]
    import_catalogue(source, tmp_path / "out")
    with pytest.raises(SynthError, match="exists already"):
        import_catalogue(source, tmp_path / "out")


def test_pictures_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    assert beside(tmp_path / "shop.csv") is None
    (tmp_path / "shop_images").mkdir()
    assert beside(tmp_path / "shop.csv.gz") == tmp_path / "shop_images"
    (tmp_path / "images").mkdir()
    assert beside(tmp_path / "shop.csv") == tmp_path / "images"


def test_what_the_catalogue_contradicts_is_not_said_of_a_picture() -> None:
    shown = {"main_colour": "black", "accent": "red", "surface": "plain", "outline": "wide and low"}
    product = Product(id="1", title="Navy cap", attributes={"colour": "Navy Blue"})
    assert agreeing(shown, product) == {"surface": "plain", "outline": "wide and low"}
    assert agreeing(shown, Product(id="1", title="Striped black cap")) == {
        "main_colour": "black", "accent": "red", "outline": "wide and low",
    }  # fmt: skip
    assert agreeing(shown, Product(id="1", title="Cap")) == shown


class Pictures(BaseHTTPRequestHandler):
    asked: list[str] = []
    broken = False

    def do_GET(self) -> None:
        Pictures.asked.append(self.path)
        n = int(self.path.rpartition("/")[2])
        time.sleep(0.01 * (5 - n))  # the first to be asked for is the last to come
        gone = n == 2 or (Pictures.broken and n > 2)
        self.send_response(404 if gone else 200)
        self.end_headers()
        self.wfile.write(b"" if gone else picture(n))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    Pictures.asked, Pictures.broken = [], False
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pictures_from_the_web(tmp_path: Path, web: str) -> None:
    source = write_csv(tmp_path / "s.csv", [{"id": n, "title": f"Cap {n}", "image": f"{web}/{n}"} for n in range(5)])
    made = import_catalogue(source, tmp_path / "out", images="urls", allowed=lambda address: True)
    assert [p.id for p in made] == ["0", "1", "3", "4"]
    assert made["0"].images[0].url == f"{web}/0"
    assert made.info.left_out == {"picture refused (HTTP 404)": 1}
    assert not (tmp_path / "out" / "fetched.jsonl").exists()
    with pytest.raises(SynthError, match="5 picture address not allowed"):
        import_catalogue(source, tmp_path / "other", images="urls")
    assert not (tmp_path / "other.partial").exists()


def test_an_interrupted_fetch_goes_on(tmp_path: Path, web: str) -> None:
    source = write_csv(tmp_path / "s.csv", [{"id": n, "title": f"Cap {n}", "image": f"{web}/{n}"} for n in range(5)])

    def interrupt(done: int, total: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    def run(progress: Any = None) -> Catalogue:
        return import_catalogue(
            source, tmp_path / "out", images="urls", allowed=lambda a: True, concurrency=1, progress=progress
        )

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert not (tmp_path / "out").exists()
    fetched = set(Pictures.asked) - {"/2"}
    assert fetched
    stray = tmp_path / "out.partial" / "images" / "zz" / "stray.png"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    Pictures.asked.clear()
    made = run()
    assert not fetched & set(Pictures.asked)
    assert [p.id for p in made] == ["0", "1", "3", "4"]
    assert not list((tmp_path / "out").rglob("stray.png")) and not (tmp_path / "out.partial").exists()
    assert made.info.fingerprint == import_catalogue(
        source, tmp_path / "again", images="urls", allowed=lambda a: True
    ).info.fingerprint  # fmt: skip


@pytest.mark.real_data
def test_the_fashion_data(tmp_path: Path) -> None:
    root = os.environ.get("SYNTH_TEST_DATA")
    if not root:
        pytest.skip("SYNTH_TEST_DATA is not set")
    source = Path(root) / "fashion" / "products.csv"
    made = import_catalogue(source, tmp_path / "out", limit=400)
    assert len(made) == 400 and not made.info.left_out
    assert {name for p in made for name in p.attributes} == {"gender", "type", "colour", "season", "usage"}
    assert made.products[0].categories == ("Apparel", "Topwear", "Tshirts")
