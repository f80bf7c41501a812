"""What is encoded so far, on disk: an embedding that is killed goes on where it was."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

CHUNK = 128
"""Items in one part: what a kill costs at most."""

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Stored:
    """The finished parts of one encoder."""

    files: Sequence[Path]

    def each(self, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
        """These arrays of one part after the other; only they are read."""
        for file in self.files:
            with np.load(file, allow_pickle=False) as arrays:
                yield tuple(arrays[name] for name in names)


class Parts:
    """Encodes items chunk by chunk, and keeps each chunk's arrays in a file as soon as they are made.

    Args:
        folder: one folder in it for each encoder.
        items: a hash of everything that is encoded; parts made of anything else are not taken.
        progress: called with (encoder, items done, items in all).
    """

    def __init__(self, folder: Path, items: str, count: int, progress: Callable[[str, int, int], None] | None) -> None:
        self._folder = folder
        self._items = items
        self.count = count
        self._progress = progress

    def tell(self, name: str, done: int) -> None:
        """Tells the progress."""
        if self._progress:
            self._progress(name, done, self.count)

    def encode(self, name: str, signature: str, encode: Callable[[slice], Arrays]) -> Stored:
        """Makes the parts that are not there yet, in order.

        Args:
            encode: the arrays for the items of this slice.
        """
        plan = hashlib.blake2b("\n".join([signature, self._items, str(CHUNK)]).encode(), digest_size=8).hexdigest()
        folder = self._folder / f"{name}.{plan}"
        for old in self._folder.glob(f"{name}.*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for start in range(0, self.count, CHUNK):
            stop = min(start + CHUNK, self.count)
            file = folder / f"{start:09}.npz"
            files.append(file)
            if not _whole(file):
                partial = file.with_suffix(".tmp")
                with partial.open("wb") as stream:
                    np.savez(stream, allow_pickle=False, **encode(slice(start, stop)))
                os.replace(partial, file)
            self.tell(name, stop)
        return Stored(files)


def _whole(file: Path) -> bool:
    """Whether the part is there and undamaged: all its arrays are read against their checksums."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
