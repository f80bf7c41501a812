"""Reads what `synth export --format hf` has made of a run: Parquet with pictures in it."""

from __future__ import annotations

import io
import shutil
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from PIL import Image

from synth.corpora.catalogue import Catalogue, CatalogueInfo, fingerprint
from synth.corpora.records import Picture, Product, Turn
from synth.errors import SynthError

_MIME: dict[str, Literal["image/jpeg", "image/png", "image/webp"]] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


@dataclass(frozen=True)
class ExportedTalk:
    """A conversation as far as the tasks need it."""

    id: str
    outfit_id: str | None
    turns: tuple[Turn, ...]


def recognises(folder: Path) -> bool:
    """Whether a folder looks like such an export."""
    return any((folder / "conversations").glob("*.parquet")) and any((folder / "products").glob("*.parquet"))


def read_export(folder: Path) -> tuple[list[ExportedTalk], Catalogue, dict[str, Any]]:
    """The conversations of all splits in the order of their ids, the products that they show or that were found, and
    what the export says of its making (`models`).

    A product's summary is the exported one; where the catalogue had none, it is composed without what only the picture
    shows, which exports do not hold.

    The pictures are unpacked into a folder that is removed with the catalogue.

    Raises:
        SynthError: a file is damaged, or of another form.
    """
    unpacked = Path(mkdtemp(prefix="synth-"))
    models: dict[str, str] = {}
    talks: list[ExportedTalk] = []
    kept: dict[str, Picture] = {}
    try:
        for row in _rows(folder / "conversations"):
            turns = [{**turn, "index": number} for number, turn in enumerate(row["turns"])]
            for turn in turns:
                turn.pop("draft", None)
            talks.append(ExportedTalk(row["id"], row["outfit_id"], tuple(map(Turn.model_validate, turns))))
            models |= {entry["role"]: entry["model"] for entry in row["models"]}
            for name, cell in zip(row["image_hashes"], row.get("images") or [], strict=False):
                _unpack(name, cell, unpacked, kept)
        products = [_product(row, unpacked, kept) for row in _rows(folder / "products")]
    except (ValueError, KeyError, TypeError, OSError) as error:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise SynthError(f"{folder} is damaged, or no export of this version: {error}.", "Export it again.") from error
    data = "".join(product.model_dump_json() + "\n" for product in products).encode()
    info = CatalogueInfo(name=folder.resolve().name, source="export", fingerprint=fingerprint(data))
    catalogue = Catalogue(folder, info, products, unpacked)
    weakref.finalize(catalogue, shutil.rmtree, unpacked, ignore_errors=True)
    return sorted(talks, key=lambda talk: talk.id), catalogue, {"models": models}


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    for path in sorted(folder.glob("*.parquet")):
        for batch in parquet.ParquetFile(path).iter_batches(64):
            rows: Iterable[dict[str, Any]] = batch.to_pylist()
            yield from rows


def _unpack(name: str, cell: Any, folder: Path, kept: dict[str, Picture]) -> None:
    """Puts a picture where catalogues have it; links are not followed."""
    if name in kept or not isinstance(cell, dict) or not cell.get("bytes"):
        return
    with Image.open(io.BytesIO(cell["bytes"])) as image:
        picture = Picture(hash=name, mime=_MIME[str(image.format)], width=image.width, height=image.height)
    path = folder / picture.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cell["bytes"])
    kept[name] = picture


def _product(row: dict[str, Any], folder: Path, kept: dict[str, Picture]) -> Product:
    name = row["image_hash"]
    if name:
        _unpack(name, row.get("image"), folder, kept)
    return Product(
        id=row["id"],
        title=row["title"],
        features=tuple(row["features"]),
        categories=tuple(row["categories"]),
        price=row["price"],
        currency=row["currency"],
        images=(kept[name],) if name in kept else (),
        attributes={entry["name"]: entry["value"] for entry in row["attributes"]},
        descriptions={entry["name"]: entry["text"] for entry in row["descriptions"]},
        licence=row["licence"],
    )
