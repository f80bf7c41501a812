"""How text becomes terms."""

from __future__ import annotations

import re
import unicodedata

VERSION = 2
"""Raised with every change here that makes stored indexes differ."""

# Scripts written without spaces: Thai, Lao, Burmese, Khmer, Kana, Han and Hangul (agglutinative, so cut up likewise).
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
)
# Vowel signs and other marks inside words, which are not \w to Python: combining, Hebrew, Arabic, Indic.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0970-\u0dff"
_LETTER = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS}])"
_TERM = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|{_LETTER}+(?:[-‐‑]{_LETTER}+)*")
_HYPHEN = re.compile("[-‐‑]")
_POSSESSIVE = re.compile(r"['’]s\b")
# English function words: titles hardly have them, so BM25 would take the `a` of a sentence for a rare, telling word.
_STOP = frozenset(
    "a about am an and any are as at be been being but by can could did do does for from had has have he her hers him "
    "his i if in into is it its just me my no nor not of on or our ours she should so some such than that the their "
    "theirs them then there these they this those to too us very was we were what which who will with would you your "
    "yours".split()
)


def terms(text: str) -> list[str]:
    """The terms of a text for BM25, in order.

    NFKC and case-folded words without plural and possessive s, English function words left out. A hyphenated word
    gives its parts and the whole (`t-shirt`: `t`, `shirt`, `tshirt`); a run of a script without spaces gives its
    characters and their bigrams.
    """
    found: list[str] = []
    folded = unicodedata.normalize("NFKC", text).casefold()
    for match in _TERM.finditer(_POSSESSIVE.sub("", folded)):
        word = match[0]
        if match["unspaced"]:
            found += word
            found += map("".join, zip(word, word[1:], strict=False))
            continue
        parts = [_singular(part) for part in _HYPHEN.split(word)]
        found += [part for part in parts if part not in _STOP]
        if len(parts) > 1:
            found.append("".join(parts))
    return found


def _singular(word: str) -> str:
    """Drops a plural s, after the S-stemmer (Harman, JASIS 1991); `hoodies`, `hoodie` and `hoody` become one."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")):
        word = word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]
    return word[:-2] + "y" if len(word) > 3 and word.endswith("ie") else word
