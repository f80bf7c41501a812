"""Makes docs/schema.md from the code: `python tests/schema_page.py`. A test holds that the page is what this makes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fixtures import make_catalogue, make_conversation

from synth.corpora.catalogue import Catalogue
from synth.corpora.export import Images, Options, RunFacts, Source, export
from synth.corpora.records import Scenario

PAGE = Path(__file__).parents[1] / "docs" / "schema.md"
CONFIG = {"seed": 3, "models": {"simulator": "offline"}, "prompts": "0123456789abcdef", "catalogue": "f"}
_WIDTH = 110
FORMATS = ("hf", "messages", "sharegpt", "muse", "redial", "lavic")
HEAD = """\
# What stands in an export

Every export has a `schema.json` with a JSON Schema for each kind of row, by the files that hold it. This page is made
from the same code (`python tests/schema_page.py`): the fields of every kind of row, and a row of each. The examples
were exported with `--images links`. [formats.md](formats.md) says how the formats are made and read.

Beside its rows an export has `README.md` (the data card), `splits.json` (which conversation is in which split, and
how many conversations, targets and persons each split holds), `schema.json` and `export.json` (what was exported, how,
how many rows, what was left out).
"""


def examples(folder: Path) -> dict[str, Path]:
    """An export of one conversation in every format."""
    catalogue = make_catalogue(folder / "bags")
    facts = RunFacts("mine", dict(CONFIG), {})
    scenario = Scenario(id="s0", text="A trip by train.", family="travel", origin="seed")
    conversation = make_conversation(1, catalogue, "fit")
    provenance = conversation.provenance.model_copy(update={"synth": "1.0.0"})
    conversation = conversation.model_copy(update={"provenance": provenance})
    source = Source(facts, catalogue, lambda: [conversation], [scenario], [catalogue.images])
    for format in FORMATS:
        export(source, format, folder / format, Options(Images.links))
    return {format: folder / format for format in FORMATS}


def rows(path: Path) -> list[Any]:
    """Rows of a file of an export."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        read: list[Any] = pq.read_table(path).to_pylist()
        return read
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    value = json.loads(path.read_text("utf-8"))
    if path.name == "item_profile.json":
        return list(value.values())
    return value if isinstance(value, list) else [value]


def page() -> str:
    """The page as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        made = examples(Path(name))
        schemas = {format: json.loads((folder / "schema.json").read_text("utf-8")) for format, folder in made.items()}
        used = Counter(
            part for kinds in schemas.values() for part in {p for kind in kinds.values() for p in kind.get("$defs", {})}
        )
        shared: dict[str, Any] = {}
        parts = [HEAD]
        for format, kinds in schemas.items():
            parts.append(f"## `{format}`\n")
            for files, kind in kinds.items():
                own = {n: d for n, d in kind.get("$defs", {}).items() if used[n] == 1}
                shared |= {n: d for n, d in kind.get("$defs", {}).items() if used[n] > 1}
                parts += [f"### `{files}`: {kind['title']}\n", *_kind(kind)]
                for title, part in own.items():
                    parts += [f"**{title}**\n", *_kind(part)]
                example = rows(sorted(made[format].glob(files))[0])[0]
                parts.append(f"```json\n{_pretty(example)}\n```\n")
        parts.append("## Parts of several formats\n")
        for title, part in sorted(shared.items()):
            parts += [f"**{title}**\n", *_kind(part)]
        return _steady("\n".join(parts), Path(name))


def _steady(text: str, folder: Path) -> str:
    """Pictures under made-up hashes: the true ones depend on the version of the library that encodes them."""
    for number, product in enumerate(Catalogue.open(folder / "bags")):
        true, shown = product.images[0].hash, hashlib.sha256(str(number).encode()).hexdigest()[:32]
        text = text.replace(f"{true[:2]}/{true}", f"{shown[:2]}/{shown}").replace(true, shown)
    return text


def _kind(schema: dict[str, Any]) -> list[str]:
    lines = ["| field | type | what |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        told = " ".join(field.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {told} |")
    about = " ".join(schema.get("description", "").split())
    return [*([about + "\n"] if about else []), "\n".join(lines) + "\n"]


def _pretty(value: Any, indent: int = 0) -> str:
    """JSON with everything on one line that fits on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= _WIDTH or not isinstance(value, list | dict):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        inner = [f"{json.dumps(name)}: {_pretty(part, indent + 2)}" for name, part in value.items()]
    else:
        inner = [_pretty(part, indent + 2) for part in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{pad}" + f",\n{pad}".join(inner) + f"\n{' ' * indent}{closing}"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        items = field.get("items") or field["prefixItems"][0]
        return f"list of {_type(items)}"
    if field.get("type") == "object":
        return f"object of {_type(field['additionalProperties'])}"
    return str(field["type"])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8", newline="\n")
