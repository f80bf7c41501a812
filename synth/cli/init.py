"""`synth init`: looks at a product file and writes down what a catalogue of it would be made of."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.corpora.columns import ColumnMap
    from synth.corpora.tables import Table

SETTINGS = Path("synth.toml")
_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".csv.gz", ".jsonl.gz", ".json.gz")
_SHOWN_CATEGORIES = 30


def init(
    file: Annotated[
        Path | None, typer.Argument(help="A product file; without it, the only one in this folder.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = SETTINGS,
    yes: Annotated[bool, typer.Option("--yes", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Writes synth.toml for a product file: its column map, pictures, language and categories."""
    from synth.corpora.importer import beside, preview

    source = file or _only_file(Path())
    if out.exists() and not yes:
        raise SynthError(f"{out} is there already.", "Use --yes to overwrite it, or another --out.")
    table, columns = preview(source)
    text = render(source, table, columns, beside(source))
    try:
        out.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise SynthError(f"{out} cannot be written: {error.strerror}.", "Use another --out.") from error
    print(text)
    print(f"Written to {out}. Change what is wrong in it, then: synth catalog import")


def settings(path: Path = SETTINGS) -> dict[str, Any]:
    """What is set in `synth.toml`, by command; nothing where there is no such file.

    Raises:
        SynthError: it is no valid TOML.
    """
    try:
        stated = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SynthError(
            f"{path} is no valid TOML: {error}.", "Mend it, or make it again with `synth init`."
        ) from error
    for command in ("generate", "doctor", "judge", "stats"):  # written as on the command line, base-url = …
        if isinstance(stated.get(command), dict):
            stated[command] = {name.replace("-", "_"): value for name, value in stated[command].items()}
    return stated


def render(source: Path, table: Table, columns: ColumnMap, images: Path | None) -> str:
    """The text of `synth.toml`."""
    from synth.corpora.columns import language
    from synth.corpora.values import is_address, path, text

    rows = [line.values for line in table.sample if line.values is not None]
    title, words = columns.fields["title"][0], columns.fields.get("description", ())
    texts = [" ".join(text(row.get(column)) for column in (title, *words)) for row in rows[:500]]
    groups = Counter(
        found[0]
        for row in rows
        for found in [path([row.get(c) for c in columns.fields.get("categories", ())])]
        if found
    )
    cells = [row.get(column) for row in rows for column in columns.fields.get("images", ())]
    found = images.as_posix() if images else "urls" if any(map(is_address, cells)) else ""
    count = f", about {table.estimate:,} rows" if table.estimate else ""
    lines = [
        "# Every key is a flag of the command that its table is named after. What is given on the command line,",
        "# or in an environment variable (SYNTH_CATALOG_IMPORT_LIMIT=100), wins over what is set here.",
        "",
        "[catalog.import]",
        f"# {table.format}{count}",
        f"file = {_value(source.as_posix())}",
        "",
        '# A folder or a zip file, or "urls" to fetch the pictures from the addresses in the file.',
        f"images = {_value(found)}" if found else '# images = "images.zip"',
        "",
        "# field=column or attribute=column; several columns are joined by >, no column leaves the field empty.",
        "map = [",
        *(f"    {_value(entry)}," for entry in columns.given()),
        "]",
        *(f"# Left out: {column} ({reason})" for column, reason in columns.ignored.items()),
        "",
        "# As far as the texts tell; an ISO 639-1 code.",
        f"language = {_value(language(texts))}",
        "",
    ]
    if groups:
        named = [name for name, _ in groups.most_common(_SHOWN_CATEGORIES)]
        lines += [
            f"# Keep only some categories. These are the topmost of the first {len(rows):,} rows:",
            f"# category = [{', '.join(map(_value, named))}]",
            "",
        ]
    lines += [
        "# The products' licence and currency, where the file does not say.",
        '# licence = "CC-BY-4.0"',
        '# currency = "EUR"',
    ]
    return "\n".join(lines) + "\n"


def _value(value: str) -> str:
    """A TOML string on one line."""
    import tomli_w

    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def _only_file(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(_SUFFIXES))
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:10]) or "none"
        raise SynthError(f"Which product file? This folder has: {names}.", "Name it: synth init FILE")
    return found[0]
