"""The items that candidates are: title, pictures on disk and descriptions, from LaViC's metadata; and their pictures.

Metadata comes in the two released forms: `item2meta_train.json`, one object `{id: {title, images[],
image_descriptions_llava_cleaned{}}}`, and `item2meta_valid.jsonl`, one picture a line. Either may be zipped.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.errors import SynthError

_DESCRIPTIONS = "image_descriptions_llava_cleaned"
_DESCRIPTION = "image_description_llava_cleaned"
_NAME = re.compile(r"[\w.-]{1,150}\.(?:jpe?g|png|webp)", re.IGNORECASE)
_NUMBER = re.compile(r"_(\d+)\.\w+$")
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Item:
    """One item."""

    id: str
    title: str
    """Empty where nothing is known of it."""
    images: tuple[Path, ...]
    """Pictures on disk, in the shop's order; stage 2 uses the first."""
    descriptions: dict[str, str]
    """By the picture's file name: what it shows."""

    @property
    def text(self) -> str:
        """Title, and what the first described picture shows."""
        return "\n".join(part for part in (self.title, *list(self.descriptions.values())[:1]) if part)


@dataclass
class Meta:
    """What the metadata say of an item."""

    title: str
    pictures: dict[str, str] = field(default_factory=dict)
    """Web address, or path below the data's folder, by file name; empty where only the name is known."""
    descriptions: dict[str, str] = field(default_factory=dict)


def bare(item: str) -> Item:
    """An item of which nothing is known."""
    return Item(item, "", (), {})


def find_meta(folder: Path, given: Path | None) -> list[Path]:
    """The metadata files of a folder of data: the one given; else `item2meta*` there or, for the released data,
    beside it; a whole table before its parts."""
    if given is not None:
        if not given.is_file():
            raise SynthError(f"There is no metadata file {given}.", "Give the released item2meta file with --meta.")
        return [given]
    if (folder / "item2meta.json").is_file():
        return [folder / "item2meta.json"]
    for place in (folder, folder.resolve().parent):
        found = sorted(place.glob("item2meta*.json*"))
        if found:
            return found
    return []


def read_items(paths: list[Path], folder: Path, images: Path | None = None) -> dict[str, Item]:
    """Items by id, with those of their pictures that are on disk.

    Args:
        folder: the data's own; a picture's path in the metadata is below it, and nothing outside it is ever opened.
        images: a folder with pictures by file name (`ID_0.jpg`, …), as `fetch_pictures` fills it.

    Raises:
        SynthError: a file cannot be read, or `images` is no folder.
    """
    if images is not None and not images.is_dir():
        raise SynthError(f"There is no folder {images}.", "Fill one with `synth train fetch-images`.")
    # Listed once: asking the file system for each of 80,000 pictures takes seconds.
    places = [place for place in (images, folder / "images") if place is not None and place.is_dir()]
    at_hand = {path.name: path for place in reversed(places) for path in place.iterdir()}
    return {
        item: Item(item, meta.title, tuple(_paths(item, meta, folder, at_hand)), meta.descriptions)
        for item, meta in read_meta(paths).items()
    }


def _paths(item: str, meta: Meta, folder: Path, at_hand: dict[str, Path]) -> Iterator[Path]:
    for name in sorted(meta.pictures, key=_order):
        path = at_hand.get(name)
        if path is None and meta.pictures[name] and not meta.pictures[name].startswith(_WEB):
            below = (folder / meta.pictures[name]).resolve()
            path = below if below.is_relative_to(folder.resolve()) and below.is_file() else None
        if path is not None:
            yield path


def read_meta(paths: list[Path]) -> dict[str, Meta]:
    """Metadata by item id, of all files together.

    Raises:
        SynthError: a file is in neither released form.
    """
    table: dict[str, Meta] = {}
    for path in paths:
        try:
            text = _read(path)
            whole = text.lstrip()[:1] == "{" and not _is_lines(text)
            for item, title, pictures, descriptions in _table(json.loads(text)) if whole else _lines(text):
                meta = table.setdefault(item, Meta(title))
                meta.title = meta.title or title
                # Descriptions name a picture without its place, which other metadata may have said.
                meta.pictures.update({name: place or meta.pictures.get(name, "") for name, place in pictures.items()})
                meta.descriptions.update({name: said for name, said in descriptions.items() if said})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise SynthError(f"{path} is not item metadata in LaViC's form: {problem}.") from error
    return table


def _read(path: Path) -> str:
    if path.suffix != ".zip":
        return path.read_text("utf-8")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".json", ".jsonl")) and "__MACOSX" not in name]
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} JSON files, not one")
        with archive.open(names[0]) as stream:
            return io.TextIOWrapper(stream, "utf-8").read()


def _is_lines(text: str) -> bool:
    """Whether the first line is an object of its own."""
    first = text.lstrip().split("\n", 1)[0]
    try:
        return "image_name" in json.loads(first)
    except ValueError:
        return False


_Entry = tuple[str, str, dict[str, str], dict[str, str]]
"""Item id, title, pictures by file name, descriptions by file name."""


def _table(table: dict[str, Any]) -> Iterator[_Entry]:
    for item, raw in table.items():
        descriptions = {str(name): str(said) for name, said in (raw.get(_DESCRIPTIONS) or {}).items()}
        addresses = [_address(image) for image in raw.get("images") or []]
        # A path names its file itself; the n-th address is what LaViC's crawler saves as `ID_n.jpg`.
        pictures = {
            address.rsplit("/", 1)[-1] if address and not address.startswith(_WEB) else f"{item}_{number}.jpg": address
            for number, address in enumerate(addresses)
        }
        for name in descriptions:
            pictures.setdefault(name, "")
        yield item, str(raw.get("title") or ""), pictures, descriptions


def _lines(text: str) -> Iterator[_Entry]:
    # Not `splitlines`: a title may hold what Unicode calls an end of a line.
    for line in text.split("\n"):
        if line.strip():
            raw = json.loads(line)
            name = str(raw["image_name"])
            item = str(raw.get("id") or _NUMBER.sub("", name))
            yield item, str(raw["title"]), {name: str(raw.get("image") or "")}, {name: str(raw.get(_DESCRIPTION) or "")}


def _address(image: Any) -> str:
    """The address of a picture: given as such, or in Amazon's own form with several sizes."""
    if isinstance(image, dict):
        return next((str(image[size]) for size in ("large", "hi_res", "thumb") if image.get(size)), "")
    return str(image or "")


def _order(name: str) -> tuple[int, str]:
    number = _NUMBER.search(name)
    return (int(number[1]) if number else 0, name)


def fetchable(meta: dict[str, Meta], *, first: bool = False) -> tuple[dict[str, tuple[str, str]], int]:
    """(item, web address) by file name, of all pictures that have one; and how many have a name no file may have.

    Args:
        first: only the first picture of each item.
    """
    wanted: dict[str, tuple[str, str]] = {}
    unsafe = 0
    for item, entry in meta.items():
        names = [name for name in sorted(entry.pictures, key=_order) if entry.pictures[name].startswith(_WEB)]
        for name in names[: 1 if first else None]:
            if _NAME.fullmatch(name) and not name.startswith("."):
                wanted[name] = (item, entry.pictures[name])
            else:
                unsafe += 1
    return wanted, unsafe
