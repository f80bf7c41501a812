"""Reads the JSON of MUSE's released code (Wang et al., Findings of ACL 2025), commit 27c77d6.

Three shapes: the profiles (`user_scenarios.json`: `profile`, `scenario`, `requirements`, `target_item`), of which
each becomes a dialogue without turns; the conversations with their actions (`detail_convs/`: `Persona`, `Scenario`,
`Target_item`, `Conversations`); and the bare conversations (`convs/`: a list of `{"Assistant": …}` and `{"User": …}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

from synth.corpora.readers.dialogue import Buyer, Data, Dialogue, Utterance
from synth.corpora.readers.rows import Row, files, parse_rows, read_rows
from synth.corpora.records import Act, Ending, Gender, Opening, Product
from synth.errors import SynthError

_FACT = re.compile(r"\b(Name|Gender|Age|Profession)\s*:\s*(.*?)\s*(?=,\s*(?:Gender|Age|Profession)\s*:|$)", re.DOTALL)
_ACTS = {"chit-chat": "chit_chat", "chitchat": "chit_chat"}
_OURS = frozenset(get_args(Act))
_SPEAKERS = {"Assistant": "assistant", "System": "assistant", "User": "user"}
_ATTRIBUTES = ("type", "gender", "age_group", "colour", "material", "pattern", "season", "usage", "brand")
_DETAILED, _ITEMS = "detail_convs", "item_profile.json"
_DEPARTMENT = re.compile(r"[’']s?\b")


def recognises(value: Any) -> bool:
    """Whether a row is of one of the three shapes."""
    if isinstance(value, dict):
        return "Conversations" in value or {"profile", "target_item"} <= value.keys() or _speaker(value) is not None
    return isinstance(value, list) and bool(value) and _speaker(value[0]) is not None


def read(path: Path) -> Data:
    products = {product.id: product for product in _profiles_of_items(path)}
    parse = partial(_dialogue, products=products)
    return Data(
        path.resolve().stem, "muse", path, lambda: parse_rows(_conversations(path), parse, "MUSE"), products.get
    )


def place(path: Path) -> Path:
    """Where the conversations are: in a folder of everything that the code writes, those with their actions."""
    return path / _DETAILED if (path / _DETAILED).is_dir() else path


def _profiles_of_items(path: Path) -> Iterator[Product]:
    """The items' records, where they lie beside the conversations: a dictionary by id, or a list."""
    file = next((folder / _ITEMS for folder in (path, path.parent) if (folder / _ITEMS).is_file()), None)
    if file is None:
        return
    for row in read_rows(file):
        items = row.value.values() if isinstance(row.value, dict) else [row.value]
        for item in items:
            try:
                yield product_of(item)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SynthError(f"{row.where} has an item that is not of MUSE's form: {error}.") from error


def _conversations(path: Path) -> Iterator[Row]:
    """Rows; turns that stand in a file by themselves are that file's one conversation."""
    for file in files(place(path)):
        bare: list[Any] = []
        for row in read_rows(file):
            if isinstance(row.value, dict) and _speaker(row.value):
                bare.append(row.value)
            else:
                yield row
        if bare:
            yield Row(str(file), bare)


def _speaker(turn: Any) -> str | None:
    return next((key for key in _SPEAKERS if key in turn), None) if isinstance(turn, dict) else None


def _dialogue(value: Any, number: int, products: dict[str, Product]) -> Dialogue:
    if not recognises(value):
        raise ValueError("neither a profile nor a conversation")
    if isinstance(value, list):
        return Dialogue(f"m{number:05d}", tuple(map(_turn, value)))
    item = value.get("Target_item", value.get("target_item"))
    target = product_of(item) if isinstance(item, dict) and item else None
    if target:
        products[target.id] = target
    buyer = _buyer(value)
    turns = tuple(map(_turn, value.get("Conversations", ())))
    ours = value.get("Synth") or {}
    opening, ended_by = ours.get("opening"), ours.get("ended_by")
    return Dialogue(
        id=str(ours.get("conversation", f"m{number:05d}")),
        turns=turns,
        users=(f"{buyer.name}|{buyer.gender}|{buyer.age}|{buyer.profession}",) if buyer else (),
        buyer=buyer,
        target=target.id if target else None,
        opening=opening if opening in get_args(Opening) else None,
        ended_by=ended_by if ended_by in get_args(Ending) else None,
    )


def _turn(turn: Any) -> Utterance:
    key = _speaker(turn)
    if key is None:
        raise ValueError("a turn without `Assistant` or `User`")
    action = str(turn.get("Action", "")).strip().lower()
    act: Any = _ACTS.get(action, action)
    return Utterance(
        "user" if _SPEAKERS[key] == "user" else "assistant",
        str(turn[key]),
        act if act in _OURS else None,
        None,
        tuple(map(str, turn.get("Mentioned_item") or ())),
        tuple(Path(str(image)).stem for image in turn.get("Image") or ()),
    )


def _buyer(value: dict[str, Any]) -> Buyer | None:
    text = value.get("Persona", value.get("profile"))
    if not isinstance(text, str):
        return None
    facts = {name: said.strip(" '\",") for name, said in _FACT.findall(text)}
    gender = facts.get("Gender", "").lower()
    known: Gender | None = "female" if gender == "female" else "male" if gender == "male" else None
    age = facts.get("Age", "")
    requirements = value.get("requirements") or ()
    return Buyer(
        name=facts.get("Name", ""),
        gender=known,
        age=int(age) if age.isdecimal() else None,
        profession=facts.get("Profession", ""),
        backstory=str(value.get("Scenario", value.get("scenario", ""))),
        requirements=(requirements,) if isinstance(requirements, str) else tuple(map(str, requirements)),
    )


def product_of(item: dict[str, Any]) -> Product:
    """A product of the Amazon metadata that MUSE keeps; prices are in dollars.

    Raises:
        KeyError: it has no id or no title.
    """
    details = item.get("details") or {}
    price = item.get("price")
    # Amazon's details are measures and dates, mostly; our own exports put a product's attributes there.
    attributes = {name: str(details[name]) for name in _ATTRIBUTES if details.get(name)}
    if details.get("Department"):
        # `womens` and `Women's` are said for `women`; `wearer` knows the plain words.
        attributes["department"] = _plain(str(details["Department"]))
    texts = item.get("description") or ()
    descriptions = {"source": " ".join(texts) if not isinstance(texts, str) else texts}
    if item.get("new_description"):
        descriptions["summary"] = str(item["new_description"])
    return Product(
        id=str(item["item_id"]),
        title=str(item["title"]),
        features=tuple(map(str, item.get("features") or ())),
        categories=tuple(map(str, item.get("categories") or ())),
        price=float(price) if isinstance(price, int | float) else None,
        currency="USD" if isinstance(price, int | float) else None,
        attributes=attributes,
        descriptions={name: text for name, text in descriptions.items() if text},
    )


def _plain(department: str) -> str:
    word = department.strip().lower()
    return {"womens": "women", "mens": "men", "girls": "girls", "boys": "boys"}.get(word, _DEPARTMENT.sub("", word))
