"""Rows of a product file, streamed: CSV of any separator, JSON lines, a JSON array, each also gzipped, and Parquet."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from synth.errors import SynthError

_SAMPLE = 1000
_BLOCK = 1 << 20
_LONGEST_ITEM = 1 << 25
_SEPARATORS = ",;\t|"


class Line(NamedTuple):
    """One row of a source; `values` is None where it could not be read, and then `reason` says why."""

    number: int
    """From 1, header not counted."""
    values: dict[str, Any] | None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A product file whose format was recognised; `rows()` reads it from the start each time."""

    path: Path
    format: str
    """As a person would name it, e.g. `CSV, ';' between columns, cp1252`."""
    columns: list[str]
    sample: list[Line]
    """The first rows, at most 1,000."""
    estimate: int | None
    """About how many rows there are; None where only reading would tell."""
    rows: Callable[[], Iterator[Line]] = field(repr=False)


def open_table(path: Path) -> Table:
    """Recognises a file by its content, whatever its name.

    Raises:
        SynthError: it is missing, empty, cut off, of a format that is not read, or its header does not fit its rows.
    """
    if path.is_dir():
        raise SynthError(f"{path} is a folder, not a product file.", "Name the CSV, JSON or Parquet file in it.")
    if not path.is_file():
        raise SynthError(f"There is no file {path}.", "Check the path.")
    if path.stat().st_size == 0:
        raise SynthError(f"{path} is empty.")
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic == b"PAR1":
        return _parquet(path)
    if magic == b"PK\x03\x04":
        raise SynthError(
            f"{path} is a zip or Excel file, not a table.", "Unpack it, or save the sheet as CSV, and import that."
        )
    encoding, lines, start = _inspect(path)
    first = start.lstrip()[:1]
    if not first:
        raise SynthError(f"{path} is empty.")
    if first == "[":
        return _table(path, f"JSON array, {encoding}", lambda: _array(path, encoding), None)
    if first == "{":
        return _table(path, f"JSON lines, {encoding}", lambda: _json_lines(path, encoding), lines)
    return _csv(path, encoding, lines, start)


def _table(path: Path, format: str, rows: Callable[[], Iterator[Line]], estimate: int | None) -> Table:
    sample = list(islice(rows(), _SAMPLE))
    broken = [line for line in sample if line.values is None]
    if not sample:
        raise SynthError(f"{path} has no rows.")
    if len(broken) * 2 > len(sample):
        worst = broken[0]
        raise SynthError(
            f"{path} does not read as {format}: {len(broken)} of its first {len(sample)} rows do not fit, "
            f"e.g. row {worst.number}: {worst.detail or worst.reason}.",
            "Check the header and the separator, or export the file again.",
        )
    columns = list(dict.fromkeys(name for line in sample for name in line.values or ()))
    return Table(path, format, columns, sample, estimate, rows)


def _binary(path: Path) -> IO[bytes] | gzip.GzipFile:
    stream = path.open("rb")
    if stream.read(2) == b"\x1f\x8b":
        stream.close()
        return gzip.open(path, "rb")
    stream.seek(0)
    return stream


def _text(path: Path, encoding: str) -> IO[str]:
    # cp1252 leaves five bytes undefined; one of those in a cell is no reason to refuse the file.
    return io.TextIOWrapper(
        _binary(path), encoding=encoding, errors="replace" if encoding == "cp1252" else "strict", newline=""
    )


def _inspect(path: Path) -> tuple[str, int, str]:
    """(encoding, number of line ends, the first block as text), from one pass over the whole file.

    A file is UTF-8 where all of it is, by its mark UTF-8 or UTF-16, else cp1252: the first block alone would not
    tell, for a first accent can come late.
    """
    try:
        with _binary(path) as stream:
            start = stream.read(_BLOCK)
            encoding = "utf-8"
            if start.startswith(codecs.BOM_UTF8):
                encoding = "utf-8-sig"
            elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                encoding = "utf-16"
            decoder = codecs.getincrementaldecoder(encoding)()
            lines, block = 0, start
            while block:
                lines += block.count(b"\n")
                if encoding.startswith("utf-8"):
                    try:
                        decoder.decode(block)
                    except UnicodeDecodeError:
                        encoding = "cp1252"
                block = stream.read(_BLOCK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SynthError(f"{path} is cut off or damaged ({error}).", "Get the file again.") from error
    if b"\0" in start and encoding != "utf-16":
        raise SynthError(f"{path} is not a text file.", "CSV, JSON and Parquet can be imported.")
    errors = "replace" if encoding == "cp1252" else "ignore"
    return encoding, lines, start.decode(encoding, errors)


def _csv(path: Path, encoding: str, lines: int, start: str) -> Table:
    _allow_long_cells()
    separator = _separator(start)
    name = {"\t": "tabs", ",": "commas", ";": "';'", "|": "'|'"}[separator]

    def read() -> Iterator[list[str]]:
        with _text(path, encoding) as stream:
            yield from csv.reader(stream, delimiter=separator)

    try:
        header = [name.strip() for name in next((row for row in read() if any(row)), [])]
    except csv.Error as error:
        raise SynthError(f"{path} cannot be read as CSV: {error}.", "Export the file again.") from error
    header = ["unnamed" if not name and n == 0 else name for n, name in enumerate(header)]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise SynthError(
            f"{path} has {header.count(twice)} columns named {twice!r} in its header.",
            "Give every column its own name.",
        )
    return _table(path, f"CSV, {name} between columns, {encoding}", lambda: _csv_rows(read(), header), lines)


def _csv_rows(read: Iterator[list[str]], header: list[str]) -> Iterator[Line]:
    rows = (row for row in read if any(row))
    next(rows, None)
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, None, "broken row", str(error))
            continue
        if len(cells) == len(header):
            yield Line(number, dict(zip(header, cells, strict=True)))
        else:
            spread = max(cell.count("\n") for cell in cells)
            hint = f"; a quote is open over {spread} lines" if spread > 20 else ""
            yield Line(number, None, "broken row", f"{len(cells)} fields where the header has {len(header)}{hint}")


def _separator(start: str) -> str:
    """The separator that splits the first rows most evenly, and into most columns."""
    text = start[: start.rfind("\n") + 1] or start

    def score(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), 50) if row]
        width = widths[0] if widths else 0
        return (sum(w == width for w in widths) / len(widths) if width > 1 else 0.0, width)

    return max(_SEPARATORS, key=score)


def _allow_long_cells() -> None:
    if csv.field_size_limit() < _LONGEST_ITEM:
        csv.field_size_limit(min(_LONGEST_ITEM, sys.maxsize))


def _json_lines(path: Path, encoding: str) -> Iterator[Line]:
    with _text(path, encoding) as stream:
        number = 0
        for text in stream:
            if text.isspace():
                continue
            number += 1
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield Line(number, None, "broken row", f"no valid JSON ({error})")
                continue
            if isinstance(values, dict):
                yield Line(number, values)
            else:
                yield Line(number, None, "broken row", "no JSON object")


def _array(path: Path, encoding: str) -> Iterator[Line]:
    """The objects of a JSON array, without ever holding the whole of it."""
    decode = json.JSONDecoder().raw_decode
    with _text(path, encoding) as stream:
        text = stream.read(_BLOCK).lstrip().removeprefix("[")
        number = 0
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith("]"):
                return
            try:
                # A number or word at the very end of the text may go on in the next block; an object cannot.
                values, end = decode(text)
            except (ValueError, RecursionError) as error:
                more = stream.read(max(_BLOCK, len(text))) if len(text) < _LONGEST_ITEM else ""
                if more:
                    text += more
                    continue
                if text:
                    yield Line(number + 1, None, "broken row", f"the array breaks off here ({error})")
                return
            number += 1
            if isinstance(values, dict):
                yield Line(number, values)
            else:
                yield Line(number, None, "broken row", "no JSON object")
            text = text[end:]


def _parquet(path: Path) -> Table:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        with pq.ParquetFile(path) as file:
            count = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise SynthError(f"{path} cannot be read as Parquet: {error}.", "Get the file again.") from error

    def rows() -> Iterator[Line]:
        number = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=256):
                    for values in batch.to_pylist():
                        number += 1
                        yield Line(number, values)
        except (pa.ArrowException, OSError) as error:
            raise SynthError(f"{path} breaks off after row {number}: {error}.", "Get the file again.") from error

    return _table(path, "Parquet", rows, count)
