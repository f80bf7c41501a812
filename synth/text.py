"""Small facts about text that several parts must agree on."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)]*(?:\s+|$)")
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|e\.g|i\.e|approx)\.|\b[Nn]o\.(?=\s*\d)")
_OPENING_WORDS = 3


def sentences(text: str) -> int:
    """How many sentences a text has; abbreviations and dots inside words do not end one."""
    text = _ABBREVIATION.sub(lambda m: m.group().replace(".", ""), text.strip())
    return len(_SENTENCE_END.findall(text if text[-1:] in ".!?…" else text + ".")) if text else 0


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, as many as `sentences` counts, without the blanks between them."""
    masked = _ABBREVIATION.sub(lambda m: m.group().replace(".", "_"), text)
    cuts = [match.end() for match in _SENTENCE_END.finditer(masked)]
    starts = [0, *cuts]
    pieces = (text[start:end].strip() for start, end in zip(starts, [*cuts, len(text)], strict=True))
    return [piece for piece in pieces if piece]


def opening(text: str) -> str:
    """The first three words, without case or punctuation: what may open only one rejection of a conversation."""
    words = text.lower().replace("’", "'").split()[:_OPENING_WORDS]
    return " ".join("".join(c for c in word if c.isalnum() or c == "'") for word in words)
