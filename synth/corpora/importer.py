"""Makes a catalogue of a product file and its pictures.

As in MUSE (appendix A.1), items without a usable title or picture are left out, and counted by reason.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from synth.corpora.attributes import contradicts, facets
from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter, LeftOut
from synth.corpora.columns import ColumnMap, guess
from synth.corpora.columns import language as guess_language
from synth.corpora.fetch import CONCURRENCY, FetchLog, Policy, Web, public
from synth.corpora.items import Item, read_items
from synth.corpora.looks import look
from synth.corpora.pictures import Album, Folder, PictureError, Zip, clean
from synth.corpora.records import Picture, Product
from synth.corpora.tables import Table, open_table
from synth.corpora.values import Reference, is_address, references
from synth.errors import SynthError

Progress = Callable[[int, int | None], None]
"""Called with the rows done and about how many there are (None: not known)."""

_BESIDE = ("images.zip", "images", "pictures.zip", "pictures", "{stem}.zip", "{stem}_images")
_FETCHED = "fetched.jsonl"


@dataclass
class _Shop:
    """One import under way: where pictures come from and go to."""

    writer: CatalogueWriter
    album: Album | None
    pictures: int
    fetched: FetchLog | None
    left_out: list[LeftOut] = field(default_factory=list)

    def finish(self, item: Item) -> Product | LeftOut:
        """The product with its pictures, or why there are none; runs in a worker thread."""
        kept: list[Picture] = []
        shown: dict[str, str] = {}
        failure = PictureError("no picture", "no picture is named in the row")
        for reference in item.references or [""]:
            try:
                picture, image = self._picture(reference, item.product.id)
            except PictureError as error:
                failure = error
                continue
            if not kept:
                shown = agreeing(look(image), item.product)
            if picture.hash not in {other.hash for other in kept}:
                kept.append(picture)
            if len(kept) == self.pictures:
                break
        if not kept:
            return LeftOut(row=item.row, id=item.product.id, reason=failure.reason, detail=failure.detail)
        return item.product.model_copy(update={"images": tuple(kept), "visual": shown})

    def _picture(self, reference: Reference, product_id: str) -> tuple[Picture, Image.Image]:
        if isinstance(reference, bytes):
            return self._store(reference, None)
        if self.fetched is None:
            if self.album is None:
                raise PictureError("picture missing", reference)
            return self._store(self.album.read(reference, product_id), None)
        known = self.fetched.get(reference)
        if known is not None:
            with Image.open(self.writer.staging / "images" / known.filename) as stored:
                return known, stored.convert("RGB")
        if not reference or self.album is None:
            raise PictureError("no picture", "no picture is named in the row")
        picture, image = self._store(self.album.read(reference, product_id), reference)
        self.fetched.add(picture)
        return picture, image

    def _store(self, data: bytes, url: str | None) -> tuple[Picture, Image.Image]:
        cleaned = clean(data)
        width, height = cleaned.image.size
        return self.writer.store_image(cleaned.data, cleaned.mime, width, height, url), cleaned.image


def import_catalogue(
    source: Path,
    out: Path,
    *,
    images: Path | Literal["urls"] | None = None,
    columns: Mapping[str, str] | None = None,
    categories: Sequence[str] = (),
    duplicates: Literal["error", "skip"] = "error",
    pictures: int = 1,
    licence: str | None = None,
    currency: str | None = None,
    language: str | None = None,
    limit: int | None = None,
    mapped: Callable[[Table, ColumnMap], None] | None = None,
    progress: Progress | None = None,
    allowed: Policy = public,
    concurrency: int = CONCURRENCY,
) -> Catalogue:
    """Imports a product file into a new catalogue folder.

    Args:
        source: CSV, JSON lines, a JSON array (each also gzipped), or Parquet.
        out: the folder to make; an interrupted import leaves `<out>.partial`, from which the next one takes the
            pictures that were already fetched.
        images: a folder, a zip file, or `"urls"` to fetch them from the addresses in the file; None looks for
            `images.zip` or `images/` beside the source.
        columns: column by field or attribute, as `columns.guess` takes it.
        categories: keep only rows with one of these names in their category path; all rows where empty.
        duplicates: what to do where two rows have the same id.
        pictures: how many pictures to keep of a product.
        licence: of the products, where the file does not say.
        currency: ISO 4217 code of the prices, where the file does not say.
        language: ISO 639-1 code; None guesses.
        limit: read no more than so many rows.
        mapped: called with the file's format and the column map before the first row is read.
        progress: see `Progress`.
        allowed: from which addresses pictures may be fetched.
        concurrency: pictures fetched at once.

    Raises:
        SynthError: the file or its pictures cannot be used as they are; nothing is left behind then.
    """
    if limit is not None and limit < 1:
        raise SynthError(f"--limit {limit} leaves no rows.", "Use 1 or more.")
    if pictures < 1:
        raise SynthError(f"--pictures {pictures} leaves no pictures.", "Use 1 or more.")
    table = open_table(source)
    sample = [line.values for line in table.sample if line.values is not None]
    columns_of = guess(table.columns, sample, columns)
    album = _album(source, images, columns_of, sample, allowed)
    writer = CatalogueWriter(out)
    if mapped is not None:
        mapped(table, columns_of)
    log = FetchLog(writer.staging / _FETCHED, writer.staging / "images") if isinstance(album, Web) else None
    shop = _Shop(writer, album, pictures, log)
    total = table.estimate if limit is None else min(limit, table.estimate or limit)
    try:
        items = read_items(table, columns_of, shop.left_out, categories, duplicates, currency, licence, limit)
        with warnings.catch_warnings():
            # Pillow only warns of somewhat large pictures; `clean` has its own limit and counts them.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            products = _finished(shop, items, total, progress, concurrency if log is not None else os.cpu_count() or 1)
        info = CatalogueInfo(
            name=out.name,
            source=source.name,
            language=language or _language(products),
            licence=licence,
            columns=columns_of.by_column(),
        )
        kept = {picture.filename for product in products for picture in product.images}
        shop.left_out.sort(key=lambda line: line.row)
        if products:
            _tidy(writer.staging, kept)
        return writer.finish(info, products, shop.left_out)
    except BaseException:
        # What was fetched from the web was slow to get, and the next import finds it again.
        if log is None or not len(log):
            writer.abandon()
        raise
    finally:
        if isinstance(album, Zip):
            album.close()


def preview(source: Path, columns: Mapping[str, str] | None = None) -> tuple[Table, ColumnMap]:
    """The format of a file and the meaning of its columns, before anything is imported."""
    table = open_table(source)
    return table, guess(table.columns, [line.values for line in table.sample if line.values is not None], columns)


def beside(source: Path) -> Path | None:
    """The folder or zip file with pictures that lies beside a product file, None where there is none."""
    stem = source.name.split(".")[0]
    found = (source.parent / name.format(stem=stem) for name in _BESIDE)
    return next((candidate for candidate in found if candidate.exists() and candidate != source), None)


_NEVER = {"black": ("light", "very light"), "white": ("dark", "very dark"), "cream": ("dark", "very dark")}
"""Lightness that belies a stated colour: then the ground was taken for the product."""


def agreeing(shown: Mapping[str, str], product: Product) -> dict[str, str]:
    """What a picture shows, without what the catalogue says otherwise: then one of the two is wrong."""
    known = facets(product)
    kept = dict(shown)
    colour = product.attributes.get("colour", known.get("colour"))
    unsure = "colour" in product.attributes and "colour" not in known
    if unsure or (colour and contradicts(colour.lower(), [kept.get("main_colour", colour.lower())])):
        for name in ("main_colour", "tone", "accent"):
            kept.pop(name, None)
    if kept.get("lightness") in _NEVER.get((colour or "").lower(), ()):
        kept.pop("lightness")
    pattern = known.get("pattern")
    if pattern and kept.get("surface") != {"solid": "plain"}.get(pattern, pattern):
        kept.pop("surface", None)
    return kept


def _album(
    source: Path,
    images: Path | Literal["urls"] | None,
    columns: ColumnMap,
    sample: Sequence[Mapping[str, Any]],
    allowed: Policy,
) -> Album | None:
    """Where the pictures are; None where they are in the product file itself."""
    if images == "urls":
        if not columns.fields.get("images"):
            raise SynthError(
                f"No column of {source} has picture addresses; the columns are {', '.join(sample[0])}.",
                "Name it with --map images=COLUMN.",
            )
        return Web(allowed)
    cells = [row[column] for row in sample for column in columns.fields.get("images", ()) if row.get(column)]
    where = images if images is not None else beside(source)
    if where is None and any(isinstance(entry, bytes) for cell in cells for entry in references(cell)):
        return None
    if where is None:
        fix = "Name their folder or zip file with --images."
        if any(map(is_address, cells)):
            fix = "They are web addresses: add --images urls to fetch them, or name a folder or zip file with --images."
        raise SynthError(f"There are no pictures beside {source} (images.zip or images).", fix)
    if where.is_dir():
        return Folder(where)
    if not where.exists():
        raise SynthError(f"There is no folder or zip file {where}.", "Check --images.")
    return Zip(where)


def _finished(
    shop: _Shop, items: Iterator[Item | None], total: int | None, progress: Progress | None, workers: int
) -> list[Product]:
    """The products in the order of their rows, whatever order their pictures came in."""
    products: list[Product] = []
    waiting: deque[Future[Product | LeftOut]] = deque()
    done = 0

    def settle() -> None:
        result = waiting.popleft().result()
        if isinstance(result, Product):
            products.append(result)
        else:
            shop.left_out.append(result)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    try:
        for item in items:
            if item is None:
                done += 1
            else:
                waiting.append(pool.submit(partial(shop.finish, item)))
            while len(waiting) >= 4 * workers:
                settle()
                done += 1
            if progress is not None:
                progress(done, total)
        while waiting:
            settle()
            done += 1
            if progress is not None:
                progress(done, done + len(waiting))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return products


def _language(products: Sequence[Product]) -> str:
    return guess_language(f"{p.title} {p.descriptions.get('source', '')}" for p in products[:500])


def _tidy(staging: Path, kept: set[str]) -> None:
    """Removes what an earlier, interrupted import left and this one does not use."""
    (staging / _FETCHED).unlink(missing_ok=True)
    for folder in (staging / "images").iterdir():
        for file in folder.iterdir():
            if f"{folder.name}/{file.name}" not in kept:
                file.unlink()
