"""`schema.json`: the JSON Schema of each kind of row in an export, by the files that hold it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

FILE = "schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a kind of row."""
    return {"$schema": _DIALECT, **kind.model_json_schema()}


def write_schema(folder: Path, kinds: Mapping[str, type[BaseModel]]) -> None:
    """Writes `schema.json`: a schema for each glob of files below `folder`."""
    text = json.dumps({files: schema(kind) for files, kind in kinds.items()}, ensure_ascii=False, indent=2)
    (folder / FILE).write_text(text + "\n", "utf-8", newline="\n")
