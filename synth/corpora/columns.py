"""Which column of a product file means what: guessed from names and contents, or given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth.corpora.attributes import snake
from synth.corpora.lexicon import ATTRIBUTES, CATEGORY_LEVELS, FIELDS, FUNCTION_WORDS, NOT_ATTRIBUTES
from synth.corpora.values import is_address, is_picture, text, texts, unfold
from synth.errors import SynthError

SEVERAL = frozenset({"categories", "description", "features", "images"})
"""Fields that can be made of more than one column."""
_FIELD_NAMES = tuple(dict.fromkeys(FIELDS.values()))
_RANK = {name: rank for rank, name in enumerate([*FIELDS, *ATTRIBUTES])}
_DECORATION = re.compile(r"^(?:product|item|article|produkt|artikel|shop|prod)_|_(?:en|us|uk|de|fr|es|it|pt|nl|\d+)$")
_IMAGE_NAME = re.compile(r"image|img|pic|photo|bild|foto|imag|afbeelding")
_LONG = 80
_LONG_ATTRIBUTE = 60


@dataclass(frozen=True)
class ColumnMap:
    """The meaning of every column of one file."""

    fields: dict[str, tuple[str, ...]]
    """Columns by field of a product: id, title, description, features, categories, price, currency, images, …"""
    attributes: dict[str, str]
    """Column by attribute name."""
    ignored: dict[str, str]
    """Why a column is left out, by column."""

    def column(self, field: str) -> str | None:
        """The one column of a field, None where there is none."""
        return next(iter(self.fields.get(field, ())), None)

    def by_column(self) -> dict[str, str]:
        """What each used column becomes, e.g. `{"articleType": "categories, type"}`."""
        found: dict[str, list[str]] = {}
        for field, columns in self.fields.items():
            for column in columns:
                found.setdefault(column, []).append(field)
        for attribute, column in self.attributes.items():
            found.setdefault(column, []).append(attribute)
        return {column: ", ".join(names) for column, names in found.items()}

    def given(self) -> list[str]:
        """The map as `--map` takes it: `title=productDisplayName`, `categories=masterCategory>subCategory`."""
        fields = [f"{field}={'>'.join(columns)}" for field, columns in self.fields.items()]
        return fields + [f"{attribute}={column}" for attribute, column in self.attributes.items()]


def guess(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], given: Mapping[str, str] | None = None
) -> ColumnMap:
    """The map of a file's columns.

    Args:
        columns: all column names.
        rows: some of the rows; what a column is follows from its name first, then from what is in these.
        given: column by field or attribute, which the guess then leaves alone. Several columns are joined by `>`; no
            column (`""`) leaves the field empty.

    Raises:
        SynthError: `given` names a column that does not exist, or no column can be the title.
    """
    fields, attributes = _given(columns, given or {})
    settled = set(given or {})
    taken = {column for names in fields.values() for column in names} | set(attributes.values())
    ignored: dict[str, str] = {}
    levels: list[tuple[int, str]] = []
    rest: list[str] = []
    for column in sorted((c for c in columns if c not in taken), key=_rank):
        values = [row[column] for row in rows if text(row.get(column)) or unfold(row.get(column))]
        field, attribute, level = _field(column, values), _lookup(ATTRIBUTES, column), _level(column)
        if not values:
            ignored[column] = "empty"
        elif snake(column) in NOT_ATTRIBUTES and field is None:
            ignored[column] = "not what a shopper asks for"
        elif level is not None and "categories" not in settled:
            levels.append((level, column))
        elif field == "categories" and field not in settled:
            levels.append((0, column))
        elif field is not None and field not in settled and (field in SEVERAL or field not in fields):
            fields[field] = (*fields.get(field, ()), column)
        elif attribute in attributes:
            ignored[column] = f"{attribute} is {attributes[attribute]}"
        elif attribute is not None and attribute not in settled and _short(values):
            attributes[attribute] = column
        else:
            rest.append(column)
    for column in rest:
        values = [row[column] for row in rows if text(row.get(column)) or unfold(row.get(column))]
        reason = _unusable(values)
        if reason:
            ignored[column] = reason
        elif not _short(values) and "description" not in settled:
            fields["description"] = (*fields.get("description", ()), column)
        else:
            attributes.setdefault(snake(column), column)
    if levels:
        path = [column for _, column in sorted(levels, key=lambda entry: (entry[0], columns.index(entry[1])))]
        kind = attributes.get("type")
        scalar = not any(isinstance(unfold(row.get(path[-1])), list) for row in rows)
        fields["categories"] = (*path, kind) if kind and len(path) > 1 and scalar else tuple(path)
    if not fields.get("title"):
        raise SynthError(
            f"No column looks like the product's title; the columns are {', '.join(columns)}.",
            "Name it with --map title=COLUMN.",
        )
    order = {column: n for n, column in enumerate(columns)}
    return ColumnMap(
        {field: fields[field] for field in (*_FIELD_NAMES, *fields) if fields.get(field)},
        dict(sorted(attributes.items(), key=lambda entry: order[entry[1]])),
        dict(sorted(ignored.items(), key=lambda entry: order[entry[0]])),
    )


def language(samples: Iterable[str]) -> str:
    """The language of some product texts by their function words, as an ISO 639-1 code; `en` where they do not say."""
    counts = dict.fromkeys(FUNCTION_WORDS, 0)
    for sample in samples:
        for word in re.findall(r"[^\W\d_]+", sample.lower()):
            for code, known in FUNCTION_WORDS.items():
                counts[code] += word in known
    best = max(counts, key=lambda code: counts[code])
    return best if counts[best] else "en"


def _given(columns: Sequence[str], given: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    fields: dict[str, tuple[str, ...]] = {}
    attributes: dict[str, str] = {}
    folded = {column.lower(): column for column in columns}
    for name, wanted in given.items():
        parts = [wanted] if wanted in columns else [part.strip() for part in wanted.split(">") if part.strip()]
        for part in parts:
            if part not in columns and part.lower() not in folded:
                raise SynthError(
                    f"There is no column {part!r} for {name}; the columns are {', '.join(columns)}.",
                    f"Use --map {name}=COLUMN.",
                )
        names = tuple(part if part in columns else folded[part.lower()] for part in parts)
        if name in _FIELD_NAMES:
            if len(names) > 1 and name not in SEVERAL:
                raise SynthError(f"{name} can only be one column, not {wanted!r}.", f"Use --map {name}=COLUMN.")
            fields[name] = names
        elif names:
            attributes[name] = names[0]
    return fields, attributes


def _names(column: str) -> tuple[str, ...]:
    plain = snake(column)
    return tuple(dict.fromkeys((plain, _DECORATION.sub("", plain))))


def _lookup(table: Mapping[str, str], column: str) -> str | None:
    return next((table[name] for name in _names(column) if name in table), None)


def _rank(column: str) -> int:
    """Better names of a field come first, so that `id` wins over `sku` and `title` over `label`."""
    return min((_RANK[name] for name in _names(column) if name in _RANK), default=len(_RANK))


def _level(column: str) -> int | None:
    return next((n for n, names in enumerate(CATEGORY_LEVELS) if snake(column) in names), None)


def _field(column: str, values: Sequence[Any]) -> str | None:
    field = _lookup(FIELDS, column)
    name = snake(column)
    if field == "images" or (field is None and _IMAGE_NAME.search(name)):
        points = any(map(is_picture, values)) or any(map(is_address, values))
        return "images" if points or (field and _IMAGE_NAME.search(name)) else None
    if field == "details" and not any(isinstance(unfold(value), dict) for value in values):
        return None
    return field


def _short(values: Sequence[Any]) -> bool:
    if any(isinstance(unfold(value), dict) for value in values):
        return False
    lengths = [len(" ".join(texts(value))) for value in values]
    return sum(lengths) / len(lengths) <= _LONG_ATTRIBUTE and max(lengths) <= 4 * _LONG_ATTRIBUTE


def _unusable(values: Sequence[Any]) -> str | None:
    """Why a column with no known name is neither an attribute nor a description."""
    if any(isinstance(unfold(value), dict) or isinstance(value, bytes) for value in values):
        return "nested"
    if any(
        isinstance(unfold(value), list) and any(isinstance(e, (dict, list)) for e in unfold(value)) for value in values
    ):
        return "nested"
    if any(is_address(value) for value in values):
        return "web addresses"
    entries = [" ".join(texts(value)) for value in values]
    wordy = sum(map(len, entries)) / len(entries) > _LONG
    if not wordy and len(entries) >= 20 and len(set(entries)) > 0.9 * len(entries):
        return "differs in nearly every row"
    return None
