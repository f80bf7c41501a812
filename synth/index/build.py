"""Building an index: encode every product, write beside the final place, move there whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from synth.corpora.catalogue import Catalogue
from synth.corpora.summary import summary
from synth.errors import SynthError
from synth.index.encoders import Progress, make_encoder
from synth.index.exact import Index, IndexInfo, item_ids
from synth.index.vectors import Vectors


def default_folder(catalogue: Catalogue) -> Path:
    """Where a catalogue's index is kept unless told otherwise."""
    return catalogue.folder / "index"


def build_index(
    catalogue: Catalogue, folder: Path, encoders: Sequence[str] = ("bm25",), progress: Progress | None = None
) -> Index:
    """Builds an index in `folder`, replacing an older one, and opens it.

    Args:
        encoders: names, each once; see `synth.index.encoders.ENCODERS`.
        progress: called with (encoder, items done, items in all).

    Raises:
        SynthError: an encoder is unknown or not installed, or `folder` holds something that is no index.
    """
    if folder.exists() and not (folder / "index.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SynthError(f"{folder} exists and is not an index.", "Choose another folder.")
    made = [make_encoder(name) for name in dict.fromkeys(encoders)]
    if not made:
        raise SynthError("An index needs an encoder.", "Give --encoder bm25.")
    documents = [summary(catalogue[item]) for item in item_ids(catalogue)]
    vectors: dict[str, Vectors] = {}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        staging, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            for encoder in made:
                encoded = encoder.encode_items(documents, progress)
                encoder.save(staging)
                for name, item_vectors in encoded.items():
                    item_vectors.save(staging, name)
                vectors.update(encoded)
            info = IndexInfo(
                catalogue=catalogue.info.fingerprint,
                encoders={encoder.name: encoder.signature for encoder in made},
                vectors={name: item_vectors.kind for name, item_vectors in vectors.items()},
            )
            (staging / "index.json").write_text(info.model_dump_json(indent=2) + "\n", "utf-8")
            # A full folder cannot be replaced in one step. Stopped between these two, the index is missing, not wrong.
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                os.replace(folder, old)
            os.replace(staging, folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)
    return Index.open(folder, catalogue)
