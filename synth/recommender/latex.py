"""Tables in LaTeX, for papers that load `booktabs`."""

from __future__ import annotations

from synth.analysis.statistics.table import Table

_SIGNS = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "…": r"\ldots{}",
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
}


def latex(table: Table) -> str:
    """The table with its title as the caption and its note below; text of the data cannot break it."""
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_cell(table.title)}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * table.left}{'r' * (len(table.columns) - table.left)}}}", r"\toprule"]
    lines += [_line(table.columns), r"\midrule", *map(_line, table.rows), r"\bottomrule", r"\end{tabular}"]
    if table.note:
        lines += ["", rf"\medskip\footnotesize {_cell(table.note)}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    # A bracket at a row's start would be read as the length of the row before.
    return " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(_SIGNS.get(c, c) for c in text)
