"""Two versions of a text, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

_WORD = re.compile(r"\w+(?:[’'-]\w+)*|\s+|[^\w\s]")
"""A word, a space, or a mark."""
_LIMIT = 6_000
"""Pieces beyond which two texts are not compared: it would take longer than anybody waits."""
Kind = Literal["same", "del", "ins"]


class Piece(NamedTuple):
    """Words that are in both versions, or in one of them."""

    kind: Kind
    text: str


def word_diff(before: str, after: str) -> list[Piece]:
    """What becomes of `before` on its way to `after`. Without `ins` pieces it reads `before`, without `del` `after`.

    Changes with nothing but a space between them are one change: a reader follows phrases, not words.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _LIMIT:
        return _joined([("del", before), ("ins", after)])
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    found: list[tuple[Kind, str]] = []
    codes = matcher.get_opcodes()
    for place, (tag, i, i_end, j, j_end) in enumerate(codes):
        one, other = "".join(old[i:i_end]), "".join(new[j:j_end])
        if tag == "equal" and (other.strip() or place in (0, len(codes) - 1)):
            found.append(("same", other))
        else:
            found += [("del", one), ("ins", other)]
    return _joined(found)


def _joined(found: list[tuple[Kind, str]]) -> list[Piece]:
    """Neighbouring changes as one deletion and one insertion; empty ones left out."""
    pieces: list[Piece] = []
    gone = came = ""
    for kind, text in [*found, ("same", "")]:
        if kind == "del":
            gone += text
        elif kind == "ins":
            came += text
        else:
            pieces += [piece for piece in (Piece("del", gone), Piece("ins", came), Piece("same", text)) if piece.text]
            gone = came = ""
    return pieces
