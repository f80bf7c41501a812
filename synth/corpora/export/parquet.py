"""Parquet files that `datasets` opens with their feature types, written row by row.

The types stand in the schema's `huggingface` metadata, in the notation that all versions of `datasets` read (a list
is `[type]`).
"""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from pydantic import BaseModel

from synth.corpora.export.rows import Row

SHARD_BYTES = 500_000_000
_GROUP_ROWS = 100
_GROUP_BYTES = 64_000_000
"""A row group is written at whichever comes first; bytes are those of its pictures."""

Features = dict[str, Any]
_VALUES = {str: "string", int: "int64", float: "float64", bool: "bool"}
_IMAGE: Features = {"_type": "Image"}


class ImageFile(Row):
    """A cell of the `Image` feature of `datasets`."""

    bytes: bytes
    path: str


class Shards:
    """The Parquet files of one split, `NAME-00000-of-00003.parquet` and so on."""

    def __init__(self, folder: Path, name: str, kind: type[BaseModel]) -> None:
        self.folder, self.name = folder, name
        types = features(kind)
        self.schema = pa.schema(
            [(column, _arrow(feature)) for column, feature in types.items()],
            metadata={"huggingface": json.dumps({"info": {"features": types}})},
        )
        self.rows = 0
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        """Adds a row whose pictures have `size` bytes."""
        self.rows += 1
        self._pending.append(row)
        self._bytes += size
        if len(self._pending) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> int:
        """Gives the files their final names; returns the number of rows."""
        self._flush()
        self._end_shard()
        for number, path in enumerate(self._paths):
            path.rename(path.with_name(f"{self.name}-{number:05d}-of-{len(self._paths):05d}.parquet"))
        return self.rows

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self.folder.mkdir(exist_ok=True)
            self._paths.append(self.folder / f"{self.name}-{len(self._paths):05d}.partial")
            self._writer = pq.ParquetWriter(self._paths[-1], self.schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self.schema))
        self._pending, self._bytes = [], 0
        if self._paths[-1].stat().st_size >= SHARD_BYTES:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def features(kind: type[BaseModel]) -> Features:
    """The feature types of a kind of row, by column."""
    return {name: _feature(field.annotation) for name, field in kind.model_fields.items()}


def _feature(kind: Any) -> Any:
    if kind is ImageFile:
        return _IMAGE
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return features(kind)
    if kind in _VALUES:
        return {"dtype": _VALUES[kind], "_type": "Value"}
    parts = get_args(kind)
    if get_origin(kind) in (list, tuple):
        return [_feature(parts[0])]
    if get_origin(kind) is Literal:
        return _feature(type(parts[0]))
    return _feature(next(part for part in parts if part is not NoneType))  # X | None


def _arrow(feature: Any) -> pa.DataType:
    """The Arrow type in which `datasets` stores a feature."""
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    if feature == _IMAGE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if "_type" in feature:
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([(name, _arrow(part)) for name, part in feature.items()])
