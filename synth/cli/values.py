"""What several commands ask of an option's value, before any work is done."""

from __future__ import annotations

from pathlib import Path

from synth.errors import SynthError


def by_commas(text: str, option: str) -> list[str]:
    """The names in a list by commas, each once.

    Raises:
        SynthError: there is none.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise SynthError(f"{option} names nothing.", "Give names by commas, or leave it out.")
    return names


def check_folder(path: Path | None, option: str = "--out") -> None:
    """
    Raises:
        SynthError: there can be no folder, for a file lies there or on the way.
    """
    there = next((one for one in (path, *path.parents) if one.exists()), None) if path else None
    if there and not there.is_dir():
        raise SynthError(f"{option} {path} cannot be a folder: {there} is a file.", "Name another place.")


def check_file(path: Path | None, option: str = "--out") -> None:
    """
    Raises:
        SynthError: there can be no file, for a folder lies there, or a file on the way.
    """
    if path:
        if path.is_dir():
            raise SynthError(f"{option} {path} cannot be a file: it is a folder.", "Name a file.")
        check_folder(path.parent, option)
