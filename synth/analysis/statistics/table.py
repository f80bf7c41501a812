"""A table of text, and how it is written in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; all columns but the first `left` ones are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1


def markdown(table: Table) -> str:
    """The table in Markdown; text of the data cannot break it."""
    head = [_cell(column) for column in table.columns]
    rule = [":--" if number < table.left else "--:" for number in range(len(head))]
    lines = [f"**{_cell(table.title)}**", "", *(_line(cells) for cells in (head, rule))]
    lines += [_line([_cell(cell) for cell in row]) for row in table.rows]
    if table.note:
        lines += ["", _cell(table.note)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    for sign in "\\|*_`<[":
        text = text.replace(sign, f"\\{sign}")
    return text
