"""What our prompts say, read back from their text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

_CARD = re.compile(r'<product id="([^"]*)">\s*(.*?)\s*</product>', re.DOTALL)
_UTTERANCE = re.compile(r"(?:^|(?<=› ))(\d+)\. (user|assistant) \((\w+)(?:, colloquial)?\): ", re.MULTILINE)
_AFTER_UTTERANCE = re.compile(r"\n\s*keep: |\n\nReturn the ")
_TOLD = ("colour", "pattern", "material", "neck", "sleeve", "sole", "height", "closure", "usage", "season")
_HIDDEN = ("type", "gender", "colour", "brand", "pattern", "price", "title", "category", "summary")
"""What a backstory must not give away."""


@dataclass(frozen=True)
class Card:
    """A product as a prompt shows it."""

    id: str
    body: str

    @cached_property
    def fields(self) -> dict[str, str]:
        """By name, lower case, in order; what the picture shows as `seen NAME`."""
        if "\n" not in self.body:  # in brief: `title; colour navy; sole flat`
            title, *facts = self.body.split("; ")
            return {"title": title, **{fact.partition(" ")[0]: fact.partition(" ")[2] for fact in facts}}
        fields = {}
        for line in self.body.split("\n"):
            name, found, value = line.partition(": ")
            if found and not line.startswith("- "):
                fields[name.replace("in the picture, ", "").lower()] = value
        return fields

    @property
    def title(self) -> str:
        return self.fields.get("title", "this one")

    @property
    def kind(self) -> str:
        return self.fields.get("type", self.fields.get("category", "item").split(" > ")[-1]).lower()

    @property
    def traits(self) -> list[tuple[str, str]]:
        """Name and value of what may be said about it."""
        return [(name, value.lower()) for name, value in self.fields.items() if name in _TOLD]

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Name and value of what its picture shows."""
        return [(name[5:], value.lower()) for name, value in self.fields.items() if name.startswith("seen ")]

    @property
    def harmless(self) -> list[tuple[str, str]]:
        """Attributes that a backstory may rest on."""
        named = [(name, value) for name, value in self.fields.items() if name not in _HIDDEN and " " not in name]
        return [(name, value.lower()) for name, value in named if len(value.split()) <= 3]


def cards(text: str) -> list[Card]:
    """The products shown in a text."""
    return [Card(id_, body) for id_, body in _CARD.findall(text)]


def card_ids(text: str) -> list[str]:
    return [id_ for id_, _ in _CARD.findall(text)]


def utterances(task: str) -> list[tuple[str, str]]:
    """Act and text of the messages that the rewriter gets."""
    found: list[tuple[str, str]] = []
    # A message may itself hold what looks like the beginning of one: only the next number begins the next.
    kept: list[re.Match[str]] = []
    for match in _UTTERANCE.finditer(task):
        if int(match[1]) == len(kept):
            kept.append(match)
    for match, following in zip_longest(kept, kept[1:]):
        text = task[match.end() : following.start() if following else len(task)]
        end = _AFTER_UTTERANCE.search(text)
        found.append((match[3], (text[: end.start()] if end else text).strip()))
    return found


def told(text: str, label: str) -> str:
    """The rest of the line after `label:`; empty if there is none."""
    match = re.search(rf"^{re.escape(label)}: (.*)$", text, re.MULTILINE)
    return match[1].strip().strip("‹›") if match else ""
