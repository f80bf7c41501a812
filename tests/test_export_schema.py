"""`schema.json` against the rows it stands beside, and the schema page against the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_catalogue, make_conversation, make_run
from schema_page import FORMATS, PAGE, page, rows
from typer.testing import CliRunner

from synth.cli import app
from synth.corpora.export.hf import row_kinds
from synth.corpora.export.parquet import features
from synth.corpora.export.source import Images

jsonschema = pytest.importorskip("jsonschema", reason="the dev extra installs jsonschema")
DESCRIBING = {"README.md", "export.json", "schema.json", "splits.json", "dataset_info.json", "item2meta.json"}


@pytest.mark.parametrize("images", ["files", "links", "none"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_row_is_as_its_schema_says(tmp_path: Path, format: str, images: str) -> None:
    catalogue, out = make_catalogue(tmp_path / "bags"), tmp_path / "out"
    endings = ("hit", "fit", "hit", "forced")
    made = [make_conversation(n, catalogue, endings[n % 4]) for n in range(8)]  # type: ignore[arg-type]
    run = make_run(tmp_path / "run", made, catalogue)
    command = ["export", str(run.path), "--format", format, "--images", images, "--out", str(out), "--forced"]
    assert CliRunner().invoke(app, command).exit_code == 0
    schemas = json.loads((out / "schema.json").read_text("utf-8"))
    described = set[Path]()
    for files, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        found = list(out.glob(files))
        assert found, files
        described.update(found)
        checked = 0
        for path in found:
            for row in rows(path):
                for part in row if isinstance(row, list) else [row]:
                    validator.validate(json_value(part))
                    checked += 1
        assert checked
        broken = {**json_value(part), "unheard_of": 1}
        with pytest.raises(jsonschema.ValidationError, match="unheard_of"):
            validator.validate(broken)
    left = {path for path in out.rglob("*.*") if path.suffix in (".json", ".jsonl", ".parquet")} - described
    assert {path.name for path in left} <= DESCRIBING, "a file of rows without a schema"


def json_value(value: Any) -> Any:
    """A row of Parquet as JSON has it: the bytes of pictures as text."""
    if isinstance(value, dict):
        return {name: json_value(part) for name, part in value.items()}
    if isinstance(value, list):
        return [json_value(part) for part in value]
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("images", list(Images))
def test_parquet_has_the_columns_of_its_schema(images: Images) -> None:
    for kind in row_kinds(images):
        assert list(features(kind)) == list(kind.model_json_schema()["properties"])


def test_schema_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text("utf-8") == page(), "make it anew: python tests/schema_page.py"
