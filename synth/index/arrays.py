"""Given vectors: an array of the user's own, one row a product."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.index.vectors import unit

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def parse_arrays(entries: Sequence[str], taken: Sequence[str]) -> dict[str, Path]:
    """`NAME=FILE.npy` each.

    Raises:
        SynthError: one is not, or its name is taken.
    """
    arrays: dict[str, Path] = {}
    for entry in entries:
        name, given, file = entry.partition("=")
        if not given or not file or not _NAME.fullmatch(name):
            raise SynthError(
                f"--vectors {entry!r} cannot be read.", "Write NAME=FILE.npy, NAME of a-z, 0-9, _ and - only."
            )
        if name in taken or name in arrays:
            raise SynthError(f"--vectors {entry!r}: the name {name} is taken.", "Choose another name.")
        arrays[name] = Path(file)
    return arrays


def read_array(name: str, file: Path, products: int) -> tuple[NDArray[np.float32], str]:
    """Unit vectors in the order of the file, zeros where it has zeros; and what says which array it was.

    Raises:
        SynthError: it cannot be read, or is not one row of finite numbers for each product.
    """
    try:
        # Mapped, so that what is too large is refused before it is read.
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SynthError(
            f"The vectors {name} cannot be read from {file}: {error}", "Write it by numpy.save."
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu" or not array.shape[1]:
        shown = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive of several"
        raise SynthError(
            f"The vectors {name} in {file} are no array of numbers with two dimensions, but {shown}.",
            "Give one row a product.",
        )
    if len(array) != products:
        raise SynthError(
            f"The vectors {name} in {file} have {len(array):,} rows, but the catalogue has {products:,} products.",
            "Give one row a product, in the catalogue's order.",
        )
    vectors = np.asarray(array, dtype=np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise SynthError(f"The vectors {name} in {file} have a number that is not finite in row {row}, from 0.")
    if not vectors.any():
        raise SynthError(f"The vectors {name} in {file} are all zero.")
    hashed = hashlib.blake2b(vectors.tobytes(), digest_size=6).hexdigest()
    return unit(vectors), f"array of {vectors.shape[1]} dimensions {hashed}"
