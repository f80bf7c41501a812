"""Prompt files rendered to messages: static text first, the conversation as real messages, the task last."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jinja2 import Environment, StrictUndefined, Template, TemplateError, TemplateSyntaxError

from synth.corpora.records import Product
from synth.errors import SynthError
from synth.prompts.calls import CALLS, MEASURING, Call, Line, ProductCard, UserView

Sight = Literal["full", "low", "described"]
"""How pictures go out: as they are; small, and only in calls that must look; as a description made once."""
_BESIDE = frozenset({"brand"})
"""Attributes that decide no choice: nobody in a conversation asks for a brand."""
MessageRole = Literal["system", "user", "assistant"]


class Message(NamedTuple):
    """One message of a model call. Pictures go before the text of the last message."""

    role: MessageRole
    text: str
    images: tuple[str, ...] = ()
    """Content hashes."""


class Prompt(NamedTuple):
    """A parsed prompt file."""

    system: Template
    task: Template
    hash: str
    """blake2b of the file's bytes, 16 hex digits."""


class Prompts:
    """All prompt files of a run: the package's own, and the user's where the folder has one of the same name.

    Args:
        folder: the user's prompt files.
        sight: how pictures go out; templates see it as `seen` (this call has pictures attached) and `joined` (two
            pictures go out as one, side by side) and `sheets` (more than two go out, four to a picture).

    Attributes:
        hash: over the files that conversations are made with; those that only measure them (`MEASURING`) are left out.

    Raises:
        SynthError: a user's file has a name no call has, lacks a part, or is not a valid template.
    """

    def __init__(self, folder: Path | None = None, sight: Sight = "full") -> None:
        environment = Environment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        environment.filters["product"] = _product_filter(self)
        environment.filters["brief"] = brief_text
        environment.filters["record"] = record_text
        environment.filters["data"] = lambda text: f"‹{_safe(text)}›"
        self._sight = sight
        self._cards: dict[str, str] = {}
        self.prompts: dict[str, Prompt] = {}
        own = _user_files(folder)
        for name in CALLS:
            path = own.get(name)
            text = _own(path) if path else _packaged(name)
            self.prompts[name] = _parse(environment, text, str(path or f"{name}.md"))
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(self.prompts.keys() - MEASURING):
            digest.update(f"{name}={self.prompts[name].hash};".encode())
        self.hash = digest.hexdigest()

    def render(self, call: Call[Any, Any], given: Any) -> list[Message]:
        """The messages of one call.

        Raises:
            SynthError: the template names something its input does not have.
        """
        prompt = self.prompts[call.name]
        view = getattr(given, "view", None)
        looks = self._sight == "full" or not call.glance(given)
        images = tuple(image for image in call.pictures(given) if image) if looks else ()
        variables: dict[str, Any] = {
            "input": given,
            "seen": bool(images),
            "joined": self._sight == "low" and len(images) == 2,
            "sheets": self._sight == "low" and len(images) > 2,
        }
        if isinstance(view, UserView):
            variables["persona"] = persona(view)
        try:
            system = prompt.system.render(variables).strip()
            task = prompt.task.render(variables).strip()
        except TemplateError as error:
            raise SynthError(f"Prompt {call.name}.md cannot be filled: {error}.", "Mend the file.") from error
        history = call.history(given) if call.history else ()
        speaker = "user" if call.side == "user" else "assistant"
        return [Message("system", system), *_messages(history, speaker), Message("user", task, images)]

    def card(self, card: ProductCard) -> str:
        """A product as fenced data; made once per product."""
        text = self._cards.get(card.id)
        if text is None:
            text = self._cards[card.id] = card_text(card)
        return text


def persona(view: UserView) -> str:
    """Who the user simulator is."""
    person = view.person
    gender = f", {person.gender}" if person.gender else ""
    text = f"{person.name}{gender}, {person.age}, {person.profession}.\n{view.backstory}"
    if view.recipient:
        text += f"\nYou are buying for your {view.recipient.relation}."
    return text


def card_text(card: ProductCard) -> str:
    """A product's record as one fenced block; text of the shop cannot close the fence."""
    lines = [f"title: {card.title}"]
    if card.categories:
        lines.append("category: " + " > ".join(card.categories))
    lines += [f"{name}: {value}" for name, value in card.attributes.items()]
    lines += [f"seen in the picture, {name}: {value}" for name, value in card.visual.items()]
    if card.price:
        lines.append(f"price: {card.price}")
    lines += [f"- {feature}" for feature in card.features[:6]]
    described = card.product.descriptions
    if "summary" in described or not (card.attributes or card.features or "source" in described):
        lines.append(f"summary: {card.summary[:600]}")
    elif "source" in described:
        lines.append(f"description: {described['source'][:600]}")
    return f'<product id="{_safe(card.id)}">\n' + "\n".join(_safe(line) for line in lines) + "\n</product>"


def brief_text(card: ProductCard) -> str:
    """A product as one of many to choose from: its title, and what the title does not say already."""
    told = card.title.lower()
    named = {**card.attributes, **card.visual}.items()
    facts = [f"{name} {value}" for name, value in named if value.lower() not in told and name not in _BESIDE]
    if not named:
        facts = [card.summary[:300]]
    return f'<product id="{_safe(card.id)}">{_safe("; ".join([card.title, *facts]))}</product>'


def record_text(product: Product) -> str:
    """A product's record before it has a summary, fenced."""
    lines = [f"title: {product.title}"]
    if product.categories:
        lines.append("category: " + " > ".join(product.categories))
    lines += [f"{name}: {value}" for name, value in product.attributes.items()]
    lines += [f"seen in the picture, {name}: {value}" for name, value in product.visual.items()]
    lines += [f"- {feature}" for feature in product.features[:10]]
    if "source" in product.descriptions:
        lines.append(f"description: {product.descriptions['source'][:1200]}")
    return f'<product id="{_safe(product.id)}">\n' + "\n".join(_safe(line) for line in lines) + "\n</product>"


def _safe(text: str) -> str:
    return " ".join(text.replace("<", "‹").replace(">", "›").replace('"', "'").split())


def _messages(history: tuple[Line, ...], speaker: str) -> list[Message]:
    """The conversation from one side: what it said itself is `assistant`, what it heard is `user`."""
    return [Message("assistant" if line.speaker == speaker else "user", line.text) for line in history]


def _product_filter(prompts: Prompts) -> Any:
    return lambda card: prompts.card(card)


def _user_files(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise SynthError(f"Prompt folder {folder} does not exist.")
    files = {path.stem: path for path in sorted(folder.glob("*.md"))}
    for name, path in files.items():
        if name not in CALLS:
            raise SynthError(f"{path} is named after no agent call.", f"Known are: {', '.join(sorted(CALLS))}.")
    return files


def _own(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SynthError(f"{path} cannot be read as UTF-8 text: {error}.") from error


@cache
def _packaged(name: str) -> str:
    return (resources.files(__package__) / f"{name}.md").read_text("utf-8")


_PARTS = re.compile(r"\A\s*# System\s*\n(.*?)^# Task\s*\n(.*)\Z", re.DOTALL | re.MULTILINE)


def _parse(environment: Environment, text: str, where: str) -> Prompt:
    parts = _PARTS.match(text.replace("\r\n", "\n"))
    if not parts:
        raise SynthError(f"Prompt {where} needs the headings '# System' and '# Task', in this order.")
    try:
        system, task = environment.from_string(parts[1]), environment.from_string(parts[2])
    except TemplateSyntaxError as error:
        raise SynthError(f"Prompt {where}, line {error.lineno}: {error.message}.") from error
    return Prompt(system, task, hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
