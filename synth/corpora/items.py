"""Rows of a product file made into products, all but their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from synth.corpora.attributes import canonical, snake
from synth.corpora.catalogue import LeftOut
from synth.corpora.columns import ColumnMap
from synth.corpora.lexicon import NOT_ATTRIBUTES
from synth.corpora.records import Product
from synth.corpora.tables import Line, Table
from synth.corpora.values import Reference, path, price, references, text, texts, unfold
from synth.errors import SynthError

_LONGEST_VALUE = 60


class Item(NamedTuple):
    """A row that may become a product."""

    row: int
    product: Product
    references: list[Reference]
    """Where its pictures are."""


def read_items(
    table: Table,
    columns: ColumnMap,
    left_out: list[LeftOut],
    categories: Sequence[str],
    duplicates: str,
    currency: str | None,
    licence: str | None,
    limit: int | None,
) -> Iterator[Item | None]:
    """The rows that may become products; None for each that was put into `left_out`.

    Args:
        categories: keep only rows with one of these in their path; all where empty.
        duplicates: `error` or `skip`, for a row with an id that was there before.
        currency, licence: where the row does not say.
        limit: the last row to read.

    Raises:
        SynthError: two rows have the same id, and `duplicates` is `error`.
    """
    first_rows: dict[str, int] = {}
    wanted = {category.lower() for category in categories}
    for line in table.rows():
        if limit is not None and line.number > limit:
            return
        if line.values is None:
            left_out.append(LeftOut(row=line.number, id="", reason=line.reason, detail=line.detail))
            yield None
            continue
        item = _item(line, columns, currency, licence)
        reason = ""
        earlier = first_rows.setdefault(item.product.id, line.number)
        if earlier != line.number:
            if duplicates == "error":
                raise SynthError(
                    f"Rows {earlier} and {line.number} of {table.path} have the same id {item.product.id!r}.",
                    "Mend the file, name another --map id=COLUMN, or keep the first with --duplicates skip.",
                )
            reason = "duplicate id"
        elif not any(map(str.isalpha, item.product.title)):
            reason = "no title"
        elif wanted and wanted.isdisjoint(category.lower() for category in item.product.categories):
            reason = "other category"
        if reason:
            left_out.append(LeftOut(row=line.number, id=item.product.id, reason=reason))
        yield None if reason else item


def _item(line: Line, columns: ColumnMap, currency: str | None, licence: str | None) -> Item:
    row = line.values or {}

    def cells(name: str) -> list[Any]:
        return [row[column] for column in columns.fields.get(name, ()) if row.get(column) is not None]

    def one(name: str) -> str:
        return next(filter(None, map(text, cells(name))), "")

    amount, said_currency = next(map(price, cells("price")), (None, None))
    stated = one("currency").upper() or said_currency or currency
    source = "\n\n".join(dict.fromkeys(filter(None, ("\n".join(texts(cell)) for cell in cells("description")))))
    product = Product(
        id=one("id") or str(line.number),
        title=one("title"),
        features=tuple(entry for cell in cells("features") for entry in texts(cell)),
        categories=_path(cells("categories")),
        price=amount,
        currency=stated if amount is not None else None,
        attributes=_attributes(row, columns),
        descriptions={"source": source} if source else {},
        licence=one("licence") or licence,
    )
    return Item(line.number, product, list(dict.fromkeys(r for cell in cells("images") for r in references(cell))))


def _path(cells: Sequence[Any]) -> tuple[str, ...]:
    """The category path: one level a column, or a column that has all of it, which then counts alone."""
    levels = [found for found in map(path, cells) if found]
    whole = next((found for found in levels if len(found) > 1), None)
    return tuple(dict.fromkeys(whole or [level for found in levels for level in found]))


def _attributes(row: Mapping[str, Any], columns: ColumnMap) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, column in columns.attributes.items():
        value = ", ".join(texts(row.get(column)))
        if value:
            found[name] = value
    for column in columns.fields.get("details", ()):
        details = unfold(row.get(column))
        for key, value in details.items() if isinstance(details, dict) else ():
            name, said = canonical(str(key)), text(value)
            if said and len(said) <= _LONGEST_VALUE and snake(str(key)) not in NOT_ATTRIBUTES:
                found.setdefault(name, said)
    return found
