"""Rows from product files of every format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.corpora.tables import open_table
from synth.errors import SynthError

ROWS = [{"id": "1", "title": "Café, klein"}, {"id": "2", "title": "zwei\nZeilen"}, {"id": "3", "title": 'ein "Zitat"'}]


def csv_text(separator: str) -> str:
    quoted = [[f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in ROWS]
    return "\r\n".join(separator.join(row) for row in [["id", "title"], *quoted]) + "\r\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(tmp_path: Path, separator: str, encoding: str, packed: bool) -> None:
    data = csv_text(separator).encode(encoding)
    path = tmp_path / "products.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    table = open_table(path)
    assert table.columns == ["id", "title"]
    assert [line.values for line in table.rows()] == ROWS
    assert [line.number for line in table.rows()] == [1, 2, 3]


def test_late_accents_decide_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_bytes(b"id,title\n" + b"1,plain\n" * 200_000 + "2,Café\n".encode("cp1252"))
    *_, last = open_table(path).rows()
    assert last.values == {"id": "2", "title": "Café"}


@pytest.mark.parametrize("kind", ["lines", "array", "lines.gz", "array.gz"])
def test_json(tmp_path: Path, kind: str) -> None:
    text = "\n".join(map(json.dumps, ROWS)) if kind.startswith("lines") else json.dumps(ROWS, indent=1)
    path = tmp_path / "products"
    path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    assert [line.values for line in open_table(path).rows()] == ROWS


def test_a_long_array_is_streamed(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "x" * 500} for n in range(6000)]
    path = tmp_path / "products.json"
    path.write_text(json.dumps(rows), "utf-8")
    assert [line.values for line in open_table(path).rows()] == rows


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    pq.write_table(pa.Table.from_pylist([{**row, "tags": ["a", "b"]} for row in ROWS]), path)
    table = open_table(path)
    assert [line.values for line in table.rows()] == [{**row, "tags": ["a", "b"]} for row in ROWS]
    assert table.estimate == 3


def test_broken_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("id,title,price\n1,a,2\n2,b\n3,c,4\n4,d,5,6\n5,e,6\n", "utf-8")
    broken = [line for line in open_table(path).rows() if line.values is None]
    assert [(line.number, line.reason) for line in broken] == [(2, "broken row"), (4, "broken row")]
    assert broken[0].detail == "2 fields where the header has 3"
    path.write_text('{"id": 1}\n{"id": 2\n{"id": 3}\n[1]\n{"id": 5}\n', "utf-8")
    assert [line.number for line in open_table(path).rows() if line.values is None] == [2, 4]
    path.write_text('[{"id": 1}, {"id": 2}, {"id"', "utf-8")
    assert [(line.number, line.values is None) for line in open_table(path).rows()] == [
        (1, False),
        (2, False),
        (3, True),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n \n", "is empty"),
        (b"id,title\n", "has no rows"),
        (b"id,title,id\n1,a,2\n", "2 columns named 'id'"),
        (b"id,title\n1,a,b\n2,b,c\n3,c\n", "2 of its first 3 rows"),
        (b"{'id': 1}\n{'id': 2}\n", "does not read as JSON lines"),
        (b"PK\x03\x04 and more", "zip or Excel"),
        (b"\x00\x01\x02,binary\n", "not a text file"),
        (b"PAR1 and nothing else", "cannot be read as Parquet"),
        (gzip.compress(b"id,title\n1,a\n" * 1000)[:-20], "cut off or damaged"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "products.csv"
    path.write_bytes(content)
    with pytest.raises(SynthError, match=says):
        open_table(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="There is no file"):
        open_table(tmp_path / "no.csv")
    with pytest.raises(SynthError, match="is a folder"):
        open_table(tmp_path)
