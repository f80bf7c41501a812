"""What a list shows: search words, facets, order and page, as they stand in its address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

from markupsafe import Markup

VERDICTS = ("accepted", "rejected")
FILTERS = ("match", "duplicate", "review", "failed")
OPENINGS = ("text", "multimodal")
ENDINGS = ("hit", "fit", "forced")
JUDGED = ("good", "unsure", "bad", "none")
SORTS = ("draw", "score", "turns", "round", "tokens", "calls", "usd", "seconds", "errors")
"""Orders; a minus before the name turns one round. None: accepted conversations first, each by draw."""
_CLOSED = {
    "within": ("turns", "messages"),
    "verdict": VERDICTS,
    "opening": OPENINGS,
    "ending": ENDINGS,
    "judged": JUDGED,
    "sort": (*SORTS, *(f"-{name}" for name in SORTS)),
}
_PARAMETER = {"within": "in"}
_LONGEST = 300
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')
_WORD = re.compile(r"[^\W_]+")
_AROUND = 90
"""Characters of a snippet on each side of the first match."""


@dataclass(frozen=True)
class Query:
    """A selection of draws. Empty fields select everything."""

    q: str = ""
    """Words that must all occur; `"a phrase"` in one piece; `begin*` any word that begins so."""
    within: Literal["turns", "messages"] = "turns"
    """Where: what was said, or what the agents were asked and replied (`in` in the address)."""
    verdict: str = ""
    """`accepted` or `rejected`; in an address also a filter's name, which is then the filter."""
    filter: str = ""
    """The filter that refused it."""
    scenario: str = ""
    family: str = ""
    category: str = ""
    opening: str = ""
    ending: str = ""
    model: str = ""
    judged: str = ""
    """`good`, `unsure`, `bad`: a human's verdict; `none`: not judged yet."""
    score: float = 0.0
    """The reviewer's total at least."""
    errors: bool = False
    """Only those with tries that failed, and calls that were repeated or repaired."""
    sort: str = ""
    page: int = 1
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What was not understood, and so left out."""

    @classmethod
    def parse(cls, text: str) -> Query:
        """From a query string: `verdict=accepted&q=…`."""
        return cls.of(dict(parse_qsl(text.removeprefix("?"), keep_blank_values=True)))

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """From a request's parameters. Others than a list's own are none of its business."""
        values: dict[str, Any] = {}
        notices = []
        for name in _NAMES:
            parameter = _PARAMETER.get(name, name)
            text = parameters.get(parameter, "").replace("\0", "").strip()
            if not text:
                continue
            if name == "verdict" and text in FILTERS:
                name = "filter"
            try:
                values[name] = _read(name, text)
            except ValueError:
                notices.append(f"“{parameter}={text[:40]}” is not known here and was left out.")
        return cls(**values, notices=tuple(notices))

    def string(self, **changes: Any) -> str:
        """The query string; what is as by default is left out. A changed selection starts on its first page."""
        query = self.but(**changes) if changes else self
        pairs = []
        for name in _NAMES:
            value = getattr(query, name)
            if value != _DEFAULTS[name]:
                text = f"{value:g}" if isinstance(value, float) else str(int(value) if name == "errors" else value)
                pairs.append((_PARAMETER.get(name, name), text))
        return urlencode(pairs)

    def but(self, **changes: Any) -> Query:
        """The same with changes."""
        return replace(self, **{"page": 1, **changes})

    @property
    def terms(self) -> tuple[Term, ...]:
        """What is searched for."""
        return tuple(term for match in _TERM.finditer(self.q) if (term := _term(match)).words)

    def match(self) -> str:
        """The search as an FTS5 expression in which nothing of the user's is syntax; empty if there is no word.

        The index of messages knows no positions: a phrase there is its words in any order.
        """
        parts = []
        for term in self.terms:
            pieces = [" ".join(term.words)] if self.within == "turns" else list(term.words)
            parts += [f'"{piece}"' for piece in pieces]
            if term.prefix:
                parts[-1] += "*"
        return " ".join(parts)


class Term(NamedTuple):
    """One word or phrase that is searched for."""

    words: tuple[str, ...]
    prefix: bool
    """Whether the last word is only a beginning."""


_NAMES = tuple(f.name for f in fields(Query) if f.name != "notices")
_DEFAULTS = {f.name: f.default for f in fields(Query)}


def snippet(text: str, terms: tuple[Term, ...]) -> Markup:
    """The text around the first match as safe markup, with every match in it in `<mark>`."""
    found = [match.span() for match in _pattern(terms).finditer(_folded(text))] if terms else []
    start = max(found[0][0] - _AROUND, 0) if found else 0
    end = min((found[0][1] if found else 0) + _AROUND, len(text))
    # Words at the edges stay whole where a space is near.
    if start and -1 < (space := text.find(" ", start, start + 20)) < found[0][0]:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", end - 20, end)) > -1:
        end = space
    parts, position = [Markup("…") if start else Markup("")], start
    for left, right in found:
        if left < position or right > end:
            continue
        parts += [Markup.escape(text[position:left]), Markup("<mark>{}</mark>").format(text[left:right])]
        position = right
    parts += [Markup.escape(text[position:end]), Markup("…") if end < len(text) else Markup("")]
    return Markup("").join(parts)


def _read(name: str, text: str) -> Any:
    """
    Raises:
        ValueError: it is no value of the field.
    """
    if name in _CLOSED:
        if text not in _CLOSED[name]:
            raise ValueError
        return text
    if name == "errors":
        if text not in ("0", "1"):
            raise ValueError
        return text == "1"
    if name == "page":
        number = int(text)
        if not 1 <= number <= 1_000_000:
            raise ValueError
        return number
    if name == "score":
        score = float(text)
        if not 0 <= score <= 30:
            raise ValueError
        return score
    return unicodedata.normalize("NFC", text[:_LONGEST])


def _term(match: re.Match[str]) -> Term:
    phrase, word = match.groups()
    text: str = word if phrase is None else phrase
    # A phrase that is still being typed ends in the beginning of a word.
    unfinished = phrase is not None and not match[0].endswith('"', 1)
    return Term(tuple(_WORD.findall(text)), unfinished or text.endswith("*"))


def _pattern(terms: tuple[Term, ...]) -> re.Pattern[str]:
    """Finds terms in folded text."""
    alternatives = [
        r"[\W_]+".join(re.escape(_folded(word)) for word in term.words) + (r"[^\W_]*" if term.prefix else "")
        for term in sorted(terms, key=lambda term: -len(" ".join(term.words)))
    ]
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(alternatives)})(?![^\W_])")


def _folded(text: str) -> str:
    """The text without case and accents, character by character, so that places in it are places in the text."""
    return "".join(map(_fold, text))


def _fold(character: str) -> str:
    if character < "\x80":
        return character.lower()
    plain = unicodedata.normalize("NFD", character)[0].lower()
    return plain if len(plain) == 1 else character
