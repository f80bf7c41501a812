"""Word-for-word paraphrase from a lexicon, with some phrases left alone."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

_PIECE = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[\W_]+")


_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
"""What a swap beside a swap can lead to: `every every so often`."""


class Lexicon:
    """Swaps by first word, the longest first; headed blocks are kept apart by name."""

    def __init__(self, text: str) -> None:
        self.swaps: dict[str, dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]]] = {}
        self.lists: dict[str, tuple[str, ...]] = {}
        block, lines = "", list[str]()
        for line in [*text.splitlines(), "@"]:
            line = line.strip()
            if line.startswith("@"):
                self._add(block, lines)
                block, lines = line[1:], []
            elif line and not line.startswith("#"):
                lines.append(line)

    def _add(self, block: str, lines: list[str]) -> None:
        if block and not block.endswith("swap"):
            self.lists[block] = tuple(lines)
            return
        table: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        for line in lines:
            left, _, right = line.partition("=")
            phrase = tuple(left.lower().split())
            table.setdefault(phrase[0], []).append((phrase, tuple(alt.strip() for alt in right.split("|"))))
        for entries in table.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self.swaps[block] = table

    def swap(self, text: str, block: str, share: float, rng: random.Random) -> str:
        """Replaces about `share` of the phrases that the block knows by one of their alternatives."""
        table = self.swaps.get(block, {})
        pieces = _PIECE.findall(text)
        out: list[str] = []
        n = 0
        while n < len(pieces):
            piece = pieces[n]
            for phrase, alternatives in table.get(piece.lower(), ()):
                end = n + 2 * len(phrase) - 1
                if _matches(pieces, n, phrase) and rng.random() < share:
                    chosen = alternatives[int(rng.random() * len(alternatives))]
                    out.append(chosen[0].upper() + chosen[1:] if piece[0].isupper() and piece != "I" else chosen)
                    n = end
                    break
            else:
                out.append(piece)
                n += 1
        swapped = "".join(out)
        return text if _DOUBLED.search(swapped) and not _DOUBLED.search(text) else swapped

    def swap_around(self, text: str, keep: Iterable[str], block: str, share: float, rng: random.Random) -> str:
        """`swap`, but the phrases in `keep` stay letter for letter."""
        kept = sorted({k for k in keep if k}, key=len, reverse=True)
        if not kept:
            return self.swap(text, block, share, rng)
        parts = re.split("(" + "|".join(map(re.escape, kept)) + ")", text)
        return "".join(part if part in kept else self.swap(part, block, share, rng) for part in parts)


def _matches(pieces: list[str], start: int, phrase: tuple[str, ...]) -> bool:
    for offset, word in enumerate(phrase):
        at = start + 2 * offset
        if at >= len(pieces) or pieces[at].lower().replace("’", "'") != word:
            return False
        if offset and pieces[at - 1] != " ":
            return False
    return True


@cache
def lexicon() -> Lexicon:
    """The lexicon that ships with the package."""
    return Lexicon((resources.files(__package__) / "grammar" / "paraphrase.lexicon").read_text("utf-8"))
