"""A small generative grammar: sections of templates with `[alternatives|…]` and `{slots}`.

A grammar file is plain text. `@name` opens a section; every further line is one template of it; lines that start
with `#` are comments. Alternatives nest and may be empty. `a*` becomes `a` or `an` by the word that follows it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


Node = str | Choice | Slot


@dataclass(frozen=True, slots=True)
class Template:
    """One parsed line."""

    nodes: tuple[Node, ...]
    slots: frozenset[str]


_DRAWS = 10
_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
"""A slot may begin with the word before it; then another template is drawn."""


class Grammar:
    """Sections of templates by name; several files may add to one section.

    Raises:
        ValueError: a template is unbalanced.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.sections: dict[str, tuple[Template, ...]] = {}
        for text in texts:
            name = ""
            lines: list[str] = []
            for line in [*text.splitlines(), "@"]:
                line = line.strip()
                if line.startswith("@"):
                    if name:
                        self.sections[name] = self.sections.get(name, ()) + tuple(_parse(entry) for entry in lines)
                    name, lines = line[1:], []
                elif line and not line.startswith("#"):
                    lines.append(line)

    def __contains__(self, section: str) -> bool:
        return section in self.sections

    def say(
        self,
        section: str,
        rng: random.Random,
        slots: Mapping[str, str] | None = None,
        needed: frozenset[str] | set[str] | None = None,
    ) -> str:
        """One sentence (or more) from a section; templates that need a slot which is absent or empty are passed over.

        Args:
            needed: slots that the sentence must use.

        Raises:
            KeyError: there is no such section, or none of its templates can be filled.
        """
        filled = slots or {}
        wanted = needed or frozenset()
        templates = self.sections[section]
        text = ""
        for _ in range(_DRAWS):
            template = templates[int(rng.random() * len(templates))]
            if template.slots >= wanted and all(filled.get(slot) for slot in template.slots):
                text = tidy(_expand(template.nodes, rng, filled))
                if not _DOUBLED.search(text):
                    return text
        if text:
            return text
        usable = [t for t in templates if t.slots >= wanted and all(filled.get(slot) for slot in t.slots)]
        if not usable:
            raise KeyError(f"no template of {section!r} can be filled from {sorted(filled)}")
        return tidy(_expand(rng.choice(usable).nodes, rng, filled))


@cache
def grammar() -> Grammar:
    """The grammar that ships with the package."""
    folder = resources.files(__package__) / "grammar"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".txt")), key=lambda f: f.name)
    return Grammar(f.read_text("utf-8") for f in files)


def _parse(line: str) -> Template:
    slots: set[str] = set()
    position = 0

    def sequence(inside: bool) -> tuple[Node, ...]:
        nonlocal position
        nodes: list[Node] = []
        text = ""
        while position < len(line):
            char = line[position]
            if char in "[{":
                if text:
                    nodes.append(text)
                    text = ""
                position += 1
                if char == "{":
                    end = line.index("}", position)
                    nodes.append(Slot(line[position:end]))
                    slots.add(line[position:end])
                    position = end + 1
                else:
                    options = [sequence(True)]
                    while position < len(line) and line[position] == "|":
                        position += 1
                        options.append(sequence(True))
                    if position >= len(line):
                        raise ValueError(f"unbalanced [ in grammar line {line!r}")
                    position += 1
                    nodes.append(Choice(tuple(options)))
            elif char in "|]" and inside:
                break
            elif char == "]":
                raise ValueError(f"unbalanced ] in grammar line {line!r}")
            else:
                text += char
                position += 1
        if text:
            nodes.append(text)
        return tuple(nodes)

    nodes = sequence(False)
    return Template(nodes, frozenset(slots))


def _expand(nodes: tuple[Node, ...], rng: random.Random, slots: Mapping[str, str]) -> str:
    parts: list[str] = []
    for node in nodes:
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, Slot):
            parts.append(slots[node.name])
        else:
            parts.append(_expand(node.options[int(rng.random() * len(node.options))], rng, slots))
    return "".join(parts)


_SPACES = re.compile(r"\s+")
_BEFORE = re.compile(r"\s+([,.;:!?…])")
_ARTICLE = re.compile(r"\b([Aa])\*\s+(\W*)(\w+)")
_SENTENCE = re.compile(r"(^|[.!?…]\s+)([\"'“(]*)([a-z])")
_DOUBLE = re.compile(r"([,.;:!?])(?:\s*[,.;:])+")
_VOWEL = re.compile(r"(?:[aeio]|u(?!ni|s[eu]|k))", re.IGNORECASE)


def tidy(text: str) -> str:
    """Spaces, articles, punctuation and capitals put right."""
    text = _SPACES.sub(" ", text).strip()
    text = _BEFORE.sub(r"\1", text)
    text = _DOUBLE.sub(r"\1", text)
    text = _ARTICLE.sub(_article, text)
    return _SENTENCE.sub(lambda m: m.group(1) + m.group(2) + m.group(3).upper(), text)


def _article(match: re.Match[str]) -> str:
    article = match.group(1) + ("n" if _VOWEL.match(match.group(3)) else "")
    return f"{article} {match.group(2)}{match.group(3)}"
