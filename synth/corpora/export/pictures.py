"""Pictures on their way into an export: as addresses, or as files that are copied once each."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from synth.corpora.export.source import Images, Source, link
from synth.corpora.records import Picture, Product

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]+")
_QUALITY = 95
"""JPEG quality of pictures that were of another kind."""


class Pictures:
    """The pictures of an export by content hash; with `files`, each is copied to `images/` once."""

    def __init__(self, source: Source, folder: Path, images: Images) -> None:
        self.source = source
        self.folder = folder
        self.images = images
        self.missing: set[str] = set()
        self._copied: set[str] = set()

    def addresses(self, hashes: Iterable[str]) -> list[str]:
        """Paths below the export's folder, or links; pictures that are not at hand are counted and left out."""
        if self.images is Images.none:
            return []
        found = [self._address(image) for image in hashes]
        return [address for address in found if address]

    def _address(self, image: str) -> str | None:
        picture = self.source.picture(image)
        if picture is not None and self.images is Images.links:
            return link(picture)
        path = self.source.picture_path(picture) if picture else None
        if picture is None or path is None:
            self.missing.add(image)
            return None
        name = f"images/{picture.filename}"
        if image not in self._copied:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.folder / name)
            self._copied.add(image)
        return name


class ItemPictures:
    """One picture an item, its first; with `files`, a JPEG named after the item."""

    def __init__(self, source: Source, folder: Path, images: Images, ids: Iterable[str], ending: str) -> None:
        self.source = source
        self.folder = folder
        self.images = images
        self.missing: set[str] = set()
        self.names = picture_names(ids, ending)
        self._addresses: dict[str, str] = {}
        if images is Images.files:
            folder.mkdir()

    def address(self, product: Product) -> str:
        """The picture's path below the export's folder, or its link; empty where there is none."""
        if product.id not in self._addresses:
            self._addresses[product.id] = self._find(product)
        return self._addresses[product.id]

    def _find(self, product: Product) -> str:
        picture = product.images[0] if product.images else None
        if self.images is Images.none:
            return ""
        if self.images is Images.links:
            return link(picture) if picture else ""
        name = self.names[product.id]
        if picture is None or not copy_jpeg(self.source, picture, self.folder / name):
            self.missing.add(product.id)
            return ""
        return f"{self.folder.name}/{name}"


def picture_names(ids: Iterable[str], ending: str) -> dict[str, str]:
    """File name by item: `ID` and the ending; where no file system would take that, a number for the id."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for number, product_id in enumerate(ids):
        name = f"{product_id}{ending}"
        if not _SAFE_NAME.fullmatch(product_id) or len(name) > 120 or name.lower() in taken:
            name = f"item.{number}{ending}"
        taken.add(name.lower())
        names[product_id] = name
    return names


def copy_jpeg(source: Source, picture: Picture, target: Path) -> bool:
    """Copies a picture, as JPEG; False where it is not at hand."""
    path = source.picture_path(picture)
    if path is None:
        return False
    if picture.mime == "image/jpeg":
        shutil.copyfile(path, target)
        return True
    with Image.open(path) as image:
        seen = image.convert("RGBA")
        page = Image.new("RGBA", seen.size, "white")
        page.alpha_composite(seen)
        page.convert("RGB").save(target, "JPEG", quality=_QUALITY)
    return True
