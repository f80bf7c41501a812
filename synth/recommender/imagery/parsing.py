"""What an answer says: the titles it lists, or the choice it makes; by the paper's rules or by mended ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["original", "fixed"]
"""`original`: the paper's released rules, to the letter. `fixed`: the same tasks read with care; docs/imagery.md."""
LETTERS = "ABCDE"
SHORTEST, LONGEST = 4, 100
"""Characters of a line that can be a title."""

_NUMBER = re.compile(r"\d+[.)]\s*")
_QUOTED = re.compile(r'"(.*?)"')

_MARK = re.compile(r"(?:[-*•·–>#]+\s+)?(?:\(?#?\d+\s*[.):]\)?\s*|\d+\s+[-–—]\s+(?=.*\s[-–—]\s))?")
_FIELD = re.compile(r"\b(?:artist|author|title|song|book|album)\s*:\s*", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")
_QUOTES = str.maketrans("", "", '"“”„«»「」『』')
_DASH = re.compile(r"\s+[-–—‒―]\s+")
_BY = re.compile(r"\s+by\s+", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")

_ALONE = " \t\r\n.,:;!?()[]{}<>*_`'\"“”‘’"
_LEAD = re.compile(r"[\W_]*([A-E])(?:\s*[.):\]}*_]+(?!\w)|\s+[-–—]\s|\s*\n)")
# An `A` that is no label is the article, so it needs a sign or the end after it.
_LETTER = r"[\W_]{0,4}(?:([B-E])\b(?!\.\w)|(A)(?=\s*[.,;:!?)\]*\"'_]+(?:\s|$)|\s*$|\n))"
_STATED = re.compile(
    r"(?i:\b(?:answer|recommendation|recommend|suggestion|suggest|selection|select|choose|pick|go\s+with)\b"
    r"(?:\s+(?:is|was|would\s+be|option|choice|answer|with))*)\s*:?\s*" + _LETTER
)
_OPTION = re.compile(r"(?i:\boption)[\s:(\[\"'*_]{0,4}\b([A-E])\b(?!\.\w)|(?i:\bchoice)\b\s*:?\s*" + _LETTER)
_LABEL = re.compile(r"(?<![\w.'’])([A-E])[.):](?=\s|$|[*_\"'])")


def titles_original(response: str) -> list[str]:
    """The lines that count as titles, as the paper's released code takes them.

    Each line in lower case, without the blanks around it, its number (`1.`, `1)`), pairs of straight quotes, and every
    `artist: ` and `title: `; it counts with 4 to 100 characters and ` - ` in it.
    """
    found = []
    for line in response.split("\n"):
        line = line.lower().strip()
        number = _NUMBER.match(line)
        line = _QUOTED.sub(r"\1", line[number.end() :] if number else line)
        line = line.replace("artist: ", "").replace("title: ", "")
        if SHORTEST <= len(line) <= LONGEST and " - " in line:
            found.append(line)
    return found


def titles_fixed(response: str) -> list[tuple[str, str]]:
    """The lines that name a work, each as its two sides: creator and title, in whichever order.

    The sides are parted by a dash of any kind between blanks or, in a line with a number or a bullet, by `by`. List
    marks, markup, quotes of any kind and field names are taken off.
    """
    found = []
    for line in response.splitlines():
        # A bullet of `*` is a mark, and `**` markup.
        mark = _MARK.match(line.strip())
        listed = bool(mark and mark.end())
        text = line.strip()[mark.end() if mark else 0 :]
        text = _FIELD.sub("", _MARKUP.sub("", text.translate(_QUOTES)))
        if not listed and (again := _MARK.match(text)) and again.end():
            listed, text = True, text[again.end() :]
        text = text.strip()
        if not SHORTEST <= len(text) <= LONGEST:
            continue
        parts = sides(text) if listed else _DASH.split(text, maxsplit=1)
        if len(parts) == 2 and all(map(normal, parts)):
            found.append((parts[0], parts[1]))
    return found


def sides(text: str) -> list[str]:
    """A title's two sides, parted by a dash between blanks, or else by `by`; the whole where it has neither."""
    parts = _DASH.split(text, maxsplit=1)
    return parts if len(parts) == 2 else _BY.split(text, maxsplit=1)


def normal(text: str) -> str:
    """For comparison: no case, accents, brackets or signs, blanks made even; of a text of signs only, those."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("&", " and "))
    bare = _BRACKETS.sub(" ", text)
    for one in (bare, text):
        kept = "".join(_letter(c) for c in one)
        if kept.strip():
            return " ".join(kept.split())
    return "".join(text.split())


def _letter(character: str) -> str:
    if unicodedata.combining(character):
        return ""
    # Vowel signs of many scripts are marks, and part of their words.
    if character.isalnum() or unicodedata.category(character).startswith("M"):
        return character
    return "" if character in "'’‘" else " "


def choice_original(response: str) -> int | None:
    """The choice, 0 to 4, as the paper's released code takes it: the first character if it is B to E; else the first
    of `A.`, `B.`, … `E.`, in this order, that is anywhere in the answer. A bare `A` is none."""
    if response[:1] and response[0] in LETTERS[1:]:
        return LETTERS.index(response[0])
    return next((index for index, letter in enumerate(LETTERS) if f"{letter}." in response), None)


def choice_fixed(response: str, choices: Sequence[str]) -> int | None:
    """The choice, 0 to 4, read with care; None where there is none, or more than one.

    In this order: the whole answer is a letter, or one of the choices; it begins with a letter as a label (`B.`,
    `(B)`, `B - …`); one letter, and no other, has a line of its own; it states one (`the answer is
    B`), the last time it does; it speaks of one option (`option B`) or has one label, and no other; it names one of the
    choices, and no other.
    """
    bare = response.strip(_ALONE)
    if len(bare) == 1 and bare.upper() in LETTERS:
        return LETTERS.index(bare.upper())
    names = [normal(choice) for choice in choices]
    whole = normal(response)
    if whole and names.count(whole) == 1:
        return names.index(whole)
    if lead := _LEAD.match(response):
        return LETTERS.index(lead[1])
    lines = {bare for line in response.splitlines() if len(bare := line.strip(_ALONE)) == 1 and bare in LETTERS}
    if len(lines) == 1:
        return LETTERS.index(lines.pop())
    stated = [match[1] or match[2] for match in _STATED.finditer(response)]
    if stated:
        return LETTERS.index(stated[-1])
    for labels in (
        {match[match.lastindex or 0] for match in _OPTION.finditer(response)},
        set(_LABEL.findall(response)),
    ):
        if len(labels) == 1:
            return LETTERS.index(labels.pop())
    found = [index for index, choice in enumerate(choices) if _named(choice, whole)]
    return found[0] if len(found) == 1 else None


def _named(choice: str, text: str) -> bool:
    """Whether a choice, or else both its sides, stand in a normal text; `King's` is King."""
    return any(
        parts and all(part and re.search(rf"\b{re.escape(part)}s?\b", text) for part in parts)
        for parts in ([normal(choice)], [normal(side) for side in sides(choice)])
    )
