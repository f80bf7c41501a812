"""Building an index: encode every product, write beside the final place, move there whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from synth.corpora.catalogue import Catalogue
from synth.corpora.summary import summary
from synth.errors import SynthError
from synth.index.arrays import read_array
from synth.index.encoder import Encoder, Items, Progress
from synth.index.encoders import concrete, make_encoder, split
from synth.index.exact import item_ids
from synth.index.index import Index, IndexInfo
from synth.index.parts import Parts
from synth.index.vectors import write_dense


def default_folder(catalogue: Catalogue) -> Path:
    """Where a catalogue's index is kept unless told otherwise."""
    return catalogue.folder / "index"


def build_index(
    catalogue: Catalogue,
    folder: Path,
    encoders: Sequence[str] = ("bm25",),
    progress: Progress | None = None,
    arrays: Mapping[str, Path] | None = None,
) -> Index:
    """Builds an index in `folder`, replacing an older one, and opens it.

    A build that was killed goes on where it was: what neural encoders have encoded is kept in `<folder>.parts` until
    the index is there.

    Args:
        encoders: `NAME`, `NAME=MODEL` or `auto`; see `synth.index.encoders`.
        progress: called with (encoder, items done, items in all).
        arrays: files of given vectors by name, rows in the order of the catalogue.

    Raises:
        SynthError: an encoder is unknown, not installed or without its weights, an array does not fit, or `folder`
            holds something that is no index.
    """
    if folder.exists() and not (folder / "index.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SynthError(f"{folder} exists and is not an index.", "Choose another folder.")
    specs = concrete(encoders, len(catalogue))
    made = [make_encoder(spec) for spec in specs]
    if len({encoder.name for encoder in made}) < len(made):
        raise SynthError("An encoder is named twice, with different weights.", "Name each once.")
    given = {name: read_array(name, file, len(catalogue)) for name, file in (arrays or {}).items()}
    if not made and not given:
        raise SynthError("An index needs an encoder.", "Give --encoder bm25.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        staging, old, parts = (folder.with_name(f"{folder.name}.{what}") for what in ("partial", "old", "parts"))
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            kinds = _encode(catalogue, made, staging, parts, progress)
            for name, (vectors, _) in given.items():
                kinds[name] = write_dense(staging, name, len(catalogue), [vectors[_order(catalogue)]])
            info = IndexInfo(
                catalogue=catalogue.info.fingerprint,
                encoders={encoder.name: encoder.signature for encoder in made},
                models={name: _place(model) for name, model in map(split, specs) if model},
                arrays={name: said for name, (_, said) in given.items()},
                vectors=kinds,
            )
            (staging / "index.json").write_text(info.model_dump_json(indent=2) + "\n", "utf-8")
            # A full folder cannot be replaced in one step. Stopped between these two, the index is missing, not wrong.
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                os.replace(folder, old)
            os.replace(staging, folder)
        except OSError as error:
            raise SynthError(f"The index in {folder} cannot be written: {error}") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        for done in (old, parts):
            shutil.rmtree(done, ignore_errors=True)
    return Index.open(folder, catalogue, specs)


def open_or_build(catalogue: Catalogue, encoders: Sequence[str], progress: Progress | None = None) -> Index:
    """The catalogue's index with these encoders, built where there is none.

    One that was built with others is left as it is, since it may have taken hours: another is put beside it.
    """
    specs = concrete(encoders, len(catalogue))
    beside = default_folder(catalogue).with_name("index-" + "-".join(split(spec)[0] for spec in specs))
    for folder in (default_folder(catalogue), beside):
        with suppress(SynthError):
            return Index.open(folder, catalogue, specs)
    target = default_folder(catalogue)
    with suppress(SynthError):
        Index.open(target, catalogue, ())
        target = beside
    return build_index(catalogue, target, specs, progress)


def _encode(
    catalogue: Catalogue, encoders: Sequence[Encoder], staging: Path, folder: Path, progress: Progress | None
) -> dict[str, str]:
    """Writes all encoders' vectors; their kinds by name."""
    products = [catalogue[item] for item in item_ids(catalogue)]
    pictures = [catalogue.image_path(product.images[0]) if product.images else None for product in products]
    items = Items(
        [summary(product) for product in products], [path if path and path.is_file() else None for path in pictures]
    )
    hashed = hashlib.blake2b(digest_size=8)
    for product, text, picture in zip(products, items.texts, items.pictures, strict=True):
        # Pictures are named by their content.
        hashed.update(f"{product.id}\0{text}\0{picture.name if picture else ''}\0".encode())
    parts = Parts(folder, hashed.hexdigest(), len(products), progress)
    kinds: dict[str, str] = {}
    for encoder in encoders:
        kinds.update(encoder.encode_items(items, parts, staging))
    return kinds


def _place(model: str) -> str:
    """A folder from wherever it is asked for; a hub's name as it is."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model


def _order(catalogue: Catalogue) -> NDArray[np.int64]:
    """For each row of an index, the place of its product in the catalogue."""
    places = {product.id: place for place, product in enumerate(catalogue)}
    return np.array([places[item] for item in item_ids(catalogue)], dtype=np.int64)
