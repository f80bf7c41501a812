"""Reads chat messages, one conversation a row: `messages` (`role`, `content`), and ShareGPT's `conversations`.

What our exports put beside them is read where it is there: `metadata` with acts, products, person and ending. System
and tool messages are no turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from synth.corpora.readers.dialogue import Buyer, Data, Dialogue, Utterance
from synth.corpora.readers.rows import parse_rows, read_rows
from synth.corpora.records import Act, Ending, Opening, Product, Speaker

_SPEAKERS: dict[str, Speaker] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
_SILENT = frozenset({"system", "developer", "tool", "function", "function_call", "observation"})
_PICTURE = "<image>"


def recognises(value: Any) -> Literal["messages", "sharegpt"] | None:
    """Which of the two forms a row has."""
    if not isinstance(value, dict):
        return None
    if _starts_with(value.get("messages"), "role"):
        return "messages"
    return "sharegpt" if _starts_with(value.get("conversations"), "from") else None


def read(path: Path, format: str = "messages") -> Data:
    products: dict[str, Product] = {}
    parse = partial(_dialogue, format=format, products=products)
    return Data(path.resolve().stem, format, path, lambda: parse_rows(read_rows(path), parse, format), products.get)


def _starts_with(turns: Any, key: str) -> bool:
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict) and key in turns[0]


def _dialogue(value: Any, number: int, format: str, products: dict[str, Product]) -> Dialogue:
    key, role, content = ("messages", "role", "content")
    if format == "sharegpt":
        key, role, content = ("conversations", "from", "value")
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise ValueError(f"no list `{key}`")
    meta = value.get("metadata") or {}
    facts = meta.get("turns") or []
    pictures = iter(value.get("images") or ())
    turns: list[Utterance] = []
    pending: tuple[str, ...] = ()
    for message in value[key]:
        text, images = _content(message.get(content), pictures)
        if message[role] in _SILENT:
            # A picture that a tool has found is shown with what is said next.
            pending += images
            continue
        if message[role] not in _SPEAKERS:
            raise ValueError(f"a message by {message[role]!r}")
        fact = facts[len(turns)] if len(turns) < len(facts) else {}
        items = tuple(map(str, fact.get("products") or ()))
        turns.append(
            Utterance(_SPEAKERS[message[role]], text, _known(fact.get("act"), Act), None, items, pending + images)
        )
        pending = ()
    for product in meta.get("products") or ():
        products[str(product["id"])] = Product(id=str(product["id"]), title=str(product["title"]))
    return Dialogue(
        id=str(value.get("id", f"m{number:05d}")),
        turns=tuple(turns),
        users=_users(meta),
        buyer=_buyer(meta),
        target=meta.get("target", value.get("target")),
        opening=_known(meta.get("opening"), Opening),
        ended_by=_known(meta.get("ended_by", value.get("ended_by")), Ending),
    )


def _content(content: Any, pictures: Iterator[Any]) -> tuple[str, tuple[str, ...]]:
    """A message's text, and its pictures; those that stand beside the messages are taken in order."""
    if not isinstance(content, list):
        text = str(content or "")
        taken = (str(next(pictures, "")) for _ in range(text.count(_PICTURE)))
        return text.replace(_PICTURE, "").strip(), tuple(filter(None, taken))
    text = "\n".join(str(part["text"]) for part in content if part.get("type") == "text")
    named = (_name(part) or str(next(pictures, "")) for part in content if "image" in str(part.get("type")))
    return text, tuple(filter(None, named))


def _name(part: dict[str, Any]) -> str:
    """A picture's address, or the picture itself where it stands in the row; empty for the place of one beside it."""
    address = part.get("image_url", part.get("image", ""))
    return str(address.get("url", "") if isinstance(address, dict) else address)


def _known(value: Any, names: Any) -> Any:
    return value if value in get_args(names) else None


def _users(meta: dict[str, Any]) -> tuple[str, ...]:
    person = meta.get("person")
    if not isinstance(person, dict):
        return ()
    return ("|".join(str(person.get(key)) for key in ("name", "gender", "age", "profession")),)


def _buyer(meta: dict[str, Any]) -> Buyer | None:
    person = meta.get("person")
    if not isinstance(person, dict):
        return None
    return Buyer(
        name=str(person.get("name", "")),
        gender=person.get("gender") if person.get("gender") in ("female", "male") else None,
        age=person["age"] if isinstance(person.get("age"), int) else None,
        profession=str(person.get("profession", "")),
        backstory=str(meta.get("backstory", "")),
        requirements=tuple(map(str, meta.get("requirements") or ())),
    )
