"""A catalogue on disk: `catalogue.json`, `products.jsonl`, `left_out.jsonl` and `images/` by content hash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from synth.corpora.records import Picture, Product, Record
from synth.errors import SynthError

FORMAT = 1


class LeftOut(Record):
    """A row that did not become a product."""

    row: int
    """From 1, header not counted."""
    id: str
    reason: str
    """A short, countable phrase, e.g. `no title`."""
    detail: str = ""


class CatalogueInfo(Record):
    """What a catalogue says about itself."""

    format: int = FORMAT
    name: str
    source: str
    """File name or `drawn (seed 0)`; never a path of the machine it was made on."""
    language: str = "en"
    licence: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    """Field of `Product` (or attribute name) by source column."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows left out, by reason."""
    products: int = 0
    fingerprint: str = ""
    """blake2b over `products.jsonl`, 32 hex digits."""


class Catalogue:
    """An opened catalogue; products are in memory (some 1 kB each), pictures stay on disk."""

    def __init__(self, folder: Path, info: CatalogueInfo, products: list[Product], images: Path | None = None) -> None:
        self.folder = folder
        self.images = images or folder / "images"
        self.info = info
        self.products = products
        self._by_id = {p.id: p for p in products}

    @classmethod
    def open(cls, folder: Path, images: Path | None = None) -> Catalogue:
        """Reads a catalogue written by `CatalogueWriter`; `images` names another folder for its pictures.

        Raises:
            SynthError: the folder is missing, is no catalogue, is of another format, or has changed since it was made.
        """
        path = folder / "catalogue.json"
        if not path.is_file():
            raise SynthError(
                f"{folder} is not a catalogue (no catalogue.json in it).",
                "Make one with `synth catalog import FILE --out DIR` or `synth catalog sample --out DIR`.",
            )
        try:
            raw = json.loads(path.read_text("utf-8"))
            if raw.get("format") != FORMAT:
                raise SynthError(f"{folder} is a catalogue of format {raw.get('format')}.", "Import it again.")
            info = CatalogueInfo.model_validate(raw)
            data = (folder / "products.jsonl").read_bytes()
        except (OSError, ValueError) as error:
            raise SynthError(f"{folder} cannot be read as a catalogue: {error}.", "Import it again.") from error
        if fingerprint(data) != info.fingerprint:
            raise SynthError(
                f"{folder / 'products.jsonl'} was changed after the import.", "Import the catalogue again."
            )
        try:
            products = [Product.model_validate_json(line) for line in data.splitlines()]
        except ValidationError as error:
            raise SynthError(f"{folder / 'products.jsonl'} has a broken row: {error}.", "Import it again.") from error
        return cls(folder, info, products, images)

    def rewritten(self, folder: Path, products: list[Product]) -> Catalogue:
        """The same catalogue with other records (summaries added, say), written to `folder`; its pictures stay."""
        data = "".join(product.model_dump_json() + "\n" for product in products).encode()
        info = self.info.model_copy(update={"fingerprint": fingerprint(data)})
        for name, content in (("products.jsonl", data), ("catalogue.json", info.model_dump_json(indent=2).encode())):
            partial = folder / f"{name}.tmp"
            partial.write_bytes(content)
            os.replace(partial, folder / name)
        return Catalogue(folder, info, products, self.images)

    def __len__(self) -> int:
        return len(self.products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self.products)

    def __contains__(self, product_id: str) -> bool:
        return product_id in self._by_id

    def __getitem__(self, product_id: str) -> Product:
        return self._by_id[product_id]

    def image_path(self, picture: Picture) -> Path:
        return self.images / picture.filename


class CatalogueWriter:
    """Writes a catalogue beside its final place and moves it there whole, so a broken import leaves nothing behind.

    The staging folder `<out>.partial` survives an interruption: pictures already stored there are found again.
    """

    def __init__(self, out: Path) -> None:
        if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
            raise SynthError(f"{out} exists already.", "Choose another --out or remove it.")
        self.out = out
        self.staging = out.with_name(out.name + ".partial")
        (self.staging / "images").mkdir(parents=True, exist_ok=True)

    def store_image(self, data: bytes, mime: str, width: int, height: int, url: str | None = None) -> Picture:
        """Stores an already cleaned picture under its content hash."""
        digest = hashlib.sha256(data).hexdigest()[:32]
        picture = Picture.model_validate({"hash": digest, "mime": mime, "width": width, "height": height, "url": url})
        path = self.staging / "images" / picture.filename
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            # Named by thread, for two products can share a picture and be written at once.
            partial = path.with_suffix(f".{threading.get_ident()}.tmp")
            partial.write_bytes(data)
            os.replace(partial, path)
        return picture

    def finish(self, info: CatalogueInfo, products: Iterable[Product], left_out: Iterable[LeftOut] = ()) -> Catalogue:
        """Writes the rows and moves the folder into place.

        Raises:
            SynthError: there is no product, or two products share an id.
        """
        kept = list(products)
        out_rows = list(left_out)
        counts = Counter(row.reason for row in out_rows)
        if not kept:
            reasons = ", ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "the source is empty"
            raise SynthError(f"No usable product in {info.source}: {reasons}.", "See `synth catalog import --help`.")
        twice = [i for i, n in Counter(p.id for p in kept).items() if n > 1]
        if twice:
            raise SynthError(f"Product id {twice[0]!r} occurs more than once in {info.source}.")
        data = "".join(p.model_dump_json() + "\n" for p in kept).encode()
        (self.staging / "products.jsonl").write_bytes(data)
        (self.staging / "left_out.jsonl").write_text("".join(r.model_dump_json() + "\n" for r in out_rows), "utf-8")
        info = info.model_copy(
            update={"left_out": dict(sorted(counts.items())), "products": len(kept), "fingerprint": fingerprint(data)}
        )
        (self.staging / "catalogue.json").write_text(info.model_dump_json(indent=2) + "\n", "utf-8")
        if self.out.is_dir():
            self.out.rmdir()
        os.replace(self.staging, self.out)
        return Catalogue(self.out, info, kept)

    def abandon(self) -> None:
        """Removes the staging folder."""
        shutil.rmtree(self.staging, ignore_errors=True)


def fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
