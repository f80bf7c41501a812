"""What an answer says: the titles it lists, or the choice it makes; by the paper's rules or by mended ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain
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
_LEAD = re.compile(r"[\W_]*(?P<letter>[A-Ea-e])(?:\s*[.):\]}*_]+(?!\w)|\s+[-–—]\s|\s*\n)")
# An `A` that is no label is the article, and a small letter is anything, so they need a sign or the end after them.
_LETTER = r"[\W_]{0,4}(?P<letter>[B-E]\b(?!\.\w)|[Aa-e](?=\s*[.,;:!?)\]*\"'_]+(?:\s|$)|\s*$|\n))"
_STATED = re.compile(
    r"(?i:\b(?:answer|recommendation|recommend|suggestion|suggest|selection|select|choose|pick|go\s+with)\b"
    r"(?:\s+(?:is|was|would\s+be|option|choice|answer|with))*)\s*:?\s*" + _LETTER
)
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\w*\{)?\(?(?P<letter>[A-Ea-e])\b")
_OPTION = re.compile(r"(?i:\boption)[\s:(\[\"'*_]{0,4}\b(?P<letter>[A-E])\b(?!\.\w)")
_CHOICE = re.compile(r"(?i:\bchoice)\b\s*:?\s*" + _LETTER)
_LABEL = re.compile(r"(?<![\w.'’])(?:(?=[A-E][.):](?:\s|$|[*_\"']))|(?<=\()(?=[a-e]\)))(?P<letter>[A-Ea-e])")
_LISTED = re.compile(r"^[\W_]*(?P<letter>[A-Ea-e])[.):][\W_]*\s\S", re.MULTILINE)
_EQUAL = re.compile(r"[.)\]*_\"']*\s*(?:[,/&]|\bor\b|\band\b)+\s*[(\[*_\"']*[A-E]\b(?!\.\w)")
# `B. S.A. Corn` has a label before its initials, for they are not parted alike.
_INITIALS = re.compile(r"[A-Za-z]\.(?:|\s(?!\w\.\w))[A-Za-z]\.")
_KNOWN = 6
"""Letters by which a name is known."""


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
    `(B)`, `B - …`), and does not list others as well; one letter, and no other, has a line of its own; it states one
    (`the answer is B`), the last time it does; it boxes one, speaks of one option (`option B`) or has one label, and no
    other; it names one of the choices, and no other. A name's initial (`C. S. Lewis`) is no label, and `B or C` is no
    choice.
    """
    bare = response.strip(_ALONE)
    if len(bare) == 1 and bare.upper() in LETTERS:
        return LETTERS.index(bare.upper())
    whole = normal(response)
    names = [normal(choice) for choice in choices]
    if whole and names.count(whole) == 1:
        return names.index(whole)
    names += [normal(side) for choice in choices for side in sides(choice)]
    lead = _LEAD.match(response)
    first = _letters([lead] if lead else [], response, names)
    labelled = _letters(_LABEL.finditer(response), response, names)
    # Where it lists others, too, it repeats what it was asked.
    if set(_letters(_LISTED.finditer(response), response, names)) - {*first} or len({*labelled} - {*first}) > 1:
        first = []
    lines = [bare for line in response.splitlines() if len(bare := line.strip(_ALONE)) == 1 and bare in LETTERS]
    stated = _letters(_STATED.finditer(response), response, names)
    for labels in (
        first,
        lines,
        stated[-1:],
        _letters(_BOXED.finditer(response), response, names),
        _letters(chain(_OPTION.finditer(response), _CHOICE.finditer(response)), response, names),
        labelled,
    ):
        if "" in labels:
            return None
        if len(set(labels)) == 1:
            return LETTERS.index(labels[0])
    found = [index for index, choice in enumerate(choices) if _named(choice, whole)]
    return found[0] if len(found) == 1 else None


def begins_as_choice(response: str) -> bool:
    """Whether an answer begins with a letter as a label, as choices do and lists of titles do not."""
    return bool(_LEAD.match(response)) or response.strip(_ALONE) in tuple(LETTERS)


def _letters(matches: Iterable[re.Match[str]], response: str, names: Sequence[str]) -> list[str]:
    """The labels found, without initials of names; of one that stands beside others as their equal, an empty text."""
    found = []
    for match in matches:
        place = match.start("letter")
        if not _is_initial(response, place, names):
            found.append("" if _EQUAL.match(response, place + 1) else response[place].upper())
    return found


def _is_initial(response: str, place: int, names: Sequence[str]) -> bool:
    """Whether a letter begins a choice's name, or stands among initials and no choice's name follows it.

    A name is known by its first letters: models spell it in more ways than one.
    """
    here, after = ("".join(normal(response[start : start + 40]).split()) for start in (place, place + 1))
    starts = tuple(start for name in names if len(start := "".join(name.split())[:_KNOWN]) == _KNOWN)
    if here.startswith(starts):
        return True
    among = any(_INITIALS.match(response, max(start, 0)) for start in (place, place - 2, place - 3))
    return among and not after.startswith(starts)


def _named(choice: str, text: str) -> bool:
    """Whether a choice, or else both its sides, stand in a normal text; `King's` is King."""
    return any(
        parts and all(part and re.search(rf"\b{re.escape(part)}s?\b", text) for part in parts)
        for parts in ([normal(choice)], [normal(side) for side in sides(choice)])
    )
