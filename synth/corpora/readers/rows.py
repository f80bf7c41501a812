"""Rows of a data set's files: JSON lines, a JSON array, or one JSON object a file in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from synth.corpora.readers.dialogue import Dialogue
from synth.errors import SynthError

_BLANK = " \t\r\n\ufeff"
_DESCRIBING = frozenset({"export.json", "dataset_info.json", "schema.json", "splits.json"})
"""Files that say what is in a folder."""


class Row(NamedTuple):
    """One JSON value, and where it stands."""

    where: str
    """`data.jsonl, line 3`"""
    value: Any


def read_rows(path: Path) -> Iterator[Row]:
    """All rows of a file, or of a folder's files: lines, entries of a list, or the one value of a `.json` file.

    Raises:
        SynthError: nothing there, an empty file, text that is not UTF-8, or a row that is no JSON.
    """
    for file in files(path):
        yield from _file(file)


def parse_rows(rows: Iterable[Row], parse: Callable[[Any, int], Dialogue], form: str) -> Iterator[Dialogue]:
    """The rows as dialogues.

    Args:
        parse: makes a dialogue of a row's value and its number from 0; raises ValueError or the like if it cannot.
        form: what the rows should be, for the error's line.

    Raises:
        SynthError: a row is none.
    """
    for number, row in enumerate(rows):
        try:
            yield parse(row.value, number)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise SynthError(f"{row.where} is not of {form}'s form: {problem}.", "Check the file.") from error


def files(path: Path) -> list[Path]:
    """The file itself, or a folder's `.jsonl` files, else its `.json` files; `conv_2` comes before `conv_10`.

    Raises:
        SynthError: nothing there, or no such file in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SynthError(f"There is no {path}.", "Check the path.")
    found = [file for file in path.glob("*.jsonl") if file.is_file()]
    found = found or [file for file in path.glob("*.json") if file.name not in _DESCRIBING]
    if not found:
        raise SynthError(f"{path} has no .jsonl or .json file in it.", "Name the data set's file or its folder.")
    return sorted(found, key=_natural)


def _natural(path: Path) -> tuple[int, str]:
    digits = "".join(c for c in path.stem if c.isdecimal())
    return int(digits or 0), path.name


def _file(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        head = file.read(4096)
    start = head.decode("utf-8-sig", errors="replace").lstrip(_BLANK)[:1]
    if not start:
        raise SynthError(f"{path} is empty.", "Name a file with conversations.")
    if start == "[" or (start == "{" and path.suffix.lower() == ".json" and not _lines(path)):
        yield from _whole(path)
    else:
        yield from _by_line(path)


def _lines(path: Path) -> bool:
    """Whether the first line of a file is a whole JSON value, with more to come."""
    with path.open("rb") as file:
        first, more = file.readline(), file.readline()
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(more.strip())


def _whole(path: Path) -> Iterator[Row]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (UnicodeDecodeError, RecursionError) as error:
        problem = "nested too deep" if isinstance(error, RecursionError) else "not UTF-8 text"
        raise SynthError(f"{path} is {problem}.") from error
    except json.JSONDecodeError as error:
        raise SynthError(f"{path}, line {error.lineno}: {error.msg}.", "The file is no JSON, or cut off.") from error
    if not isinstance(content, list):
        yield Row(str(path), content)
        return
    if not content:
        raise SynthError(f"{path} is an empty list.", "Name a file with conversations.")
    for number, value in enumerate(content, 1):
        yield Row(f"{path}, entry {number}", value)


def _by_line(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip(_BLANK.encode()):
                continue
            where = f"{path}, line {number}"
            try:
                yield Row(where, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8")))
            except UnicodeDecodeError as error:
                raise SynthError(f"{where} is not UTF-8 text.") from error
            except (json.JSONDecodeError, RecursionError) as error:
                problem = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
                raise SynthError(f"{where} is no JSON: {problem}.", "It may be cut off, or no JSON file.") from error
