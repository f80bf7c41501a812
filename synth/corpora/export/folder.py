"""An export's folder: written beside its place and moved there whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel

from synth.errors import SynthError

MANIFEST = "export.json"
"""What was exported and how; also the sign by which a folder may be replaced."""


@contextmanager
def staged(out: Path, *, replace: bool) -> Iterator[Path]:
    """An empty folder that becomes `out` when the block ends, and is removed when it fails.

    Args:
        replace: an earlier export at `out` may be replaced. Nothing else ever is.

    Raises:
        SynthError: `out` exists and may not be replaced.
    """
    place = out.resolve()
    check_place(out, replace=replace)
    staging = place.with_name(place.name + ".partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        _move(staging, place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_place(out: Path, *, replace: bool) -> None:
    """
    Raises:
        SynthError: `out` exists and may not be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST).is_file():
        raise SynthError(f"{out} exists and is not an export.", "Choose another --out.")
    if not replace:
        raise SynthError(f"{out} exists already.", "Choose another --out, or replace it with --yes.")


def _move(staging: Path, place: Path) -> None:
    if not place.exists():
        os.replace(staging, place)
        return
    old = place.with_name(place.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    os.replace(place, old)
    os.replace(staging, place)
    shutil.rmtree(old, ignore_errors=True)


class SplitFiles:
    """A JSONL file for each split that gets a row; a split without rows has no file.

    Args:
        names: file name by split.
    """

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self.rows = dict.fromkeys(names, 0)
        self._folder = folder
        self._names = names
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> SplitFiles:
        return self

    def __exit__(self, *failure: object) -> None:
        for file in self._files.values():
            file.close()

    def write(self, split: str, row: BaseModel) -> None:
        """Writes a row of a split."""
        if split not in self._files:
            self._files[split] = (self._folder / self._names[split]).open("w", encoding="utf-8", newline="\n")
        self._files[split].write(row.model_dump_json(by_alias=True) + "\n")
        self.rows[split] += 1

    def configs(self) -> dict[str, Any]:
        """Front matter by which the Hub and `datasets` find the files."""
        files = [{"split": split, "path": self._names[split]} for split, rows in self.rows.items() if rows]
        return {"configs": [{"config_name": "default", "data_files": files}]}
