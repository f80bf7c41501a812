"""`muse`: the JSON that MUSE's released code writes (Wang et al., Findings of ACL 2025; commit 27c77d6).

`user_scenarios.json` (profiles), `convs/conv_N.json` (who said what) and `detail_convs/conv_N.json` (with actions,
items and pictures), N from 1. Two things are mended: the persona has no stray quote before it, and pictures have
their `.jpg`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import BaseModel

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.messages import scenario_part
from synth.corpora.export.pictures import ItemPictures
from synth.corpora.export.rows import Row, ScenarioPart, SparseRow
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Options, Report, Source
from synth.corpora.export.splits import SPLITS
from synth.corpora.records import Conversation, Ending, Opening, Person, Product, Turn
from synth.corpora.summary import summary

IMAGES = "images_main"
Action = Literal["chit-chat", "recommend", "reject", "accept"]
_ACTIONS: dict[str, Action] = {"recommend": "recommend", "reject": "reject", "accept": "accept"}
_SPEAKERS = {"assistant": "Assistant", "user": "User"}
_LOADING = """\
The JSON of MUSE's released code:

- `user_scenarios.json`: all profiles (`profile`, `scenario`, `requirements`, `target_item`).
- `convs/conv_N.json`: a conversation as a list of `{"Assistant": …}` and `{"User": …}`.
- `detail_convs/conv_N.json`: the same with `Action`, `Mentioned_item` and `Image`, after `Persona`, `Scenario` and
  `Target_item`. `Synth` is no key of MUSE: it says how the conversation ended, what made it, and its split.
- `item_profile.json`: every item that a conversation mentions, by id.
- `splits.json` says which conversation is in train, validation and test; `schema.json` describes the files.

```python
from pathlib import Path

from synth.corpora.readers import read

conversations = list(read(Path("path/to/this/folder/detail_convs")).dialogues())
```
"""


class MuseItem(Row):
    """A product with the keys of MUSE's item profiles."""

    title: str
    description: list[str]
    average_rating: float | None
    """Always null: catalogues have no ratings."""
    price: float | None
    features: list[str]
    categories: list[str]
    details: dict[str, str]
    """Attributes by name."""
    images: str
    """Path or address of the first picture; empty without one."""
    new_description: str
    """The summary it is found by."""
    item_id: str


class MuseProfile(Row):
    """An entry of `user_scenarios.json`."""

    profile: str
    """The person."""
    scenario: str
    """The backstory."""
    requirements: str
    target_item: MuseItem


class MuseSpeech(SparseRow):
    """An entry of `convs/conv_N.json`: one of the two."""

    Assistant: str | None = None
    User: str | None = None


class MuseTurn(MuseSpeech):
    """A turn with what MUSE's code logs of it."""

    Action: Action
    """Greetings, needs, questions and answers are `chit-chat`, as in MUSE."""
    Mentioned_item: list[str]
    """Ids of products recommended or shown."""
    Image: list[str]
    """Their pictures: paths or addresses."""


class MuseOrigin(Row):
    """What MUSE's code has no key for."""

    conversation: str
    """Its id in the run."""
    split: str
    scenario: ScenarioPart
    opening: Opening
    outfit: str | None
    """Id of the item the buyer shows in a multimodal opening."""
    ended_by: Ending
    accepted: str | None
    """Id of the product the buyer took."""
    synthetic: Literal[True] = True
    """Always true: every person is made up."""
    seed: int
    models: dict[str, str]
    prompts: str
    synth: str


class MuseConversation(Row):
    """`detail_convs/conv_N.json`; MUSE's code does not read the key `Synth`."""

    Persona: str
    Scenario: str
    Target_item: MuseItem
    Conversations: list[MuseTurn]
    Synth: MuseOrigin


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes profiles, conversations, items, with `files` also `images_main/`, and a data card."""
    items = _Items(source, ItemPictures(source, folder / IMAGES, options.images, source.product_ids, ".jpg"))
    for name in ("convs", "detail_convs"):
        (folder / name).mkdir()
    tally, rows = Tally(), dict.fromkeys(SPLITS, 0)
    with (folder / "user_scenarios.json").open("w", encoding="utf-8", newline="\n") as profiles:
        for number, conversation in enumerate(source.conversations(), 1):
            tally.add(conversation)
            row = muse_row(conversation, source, items)
            rows[row.Synth.split] += 1
            bare = [MuseSpeech(Assistant=turn.Assistant, User=turn.User) for turn in row.Conversations]
            _write(folder / "convs" / f"conv_{number}.json", bare)
            _write(folder / "detail_convs" / f"conv_{number}.json", row)
            _append(profiles, _profile(conversation, row), first=number == 1)
        profiles.write("\n]\n")
    _write(folder / "item_profile.json", items.written)
    write_schema(
        folder,
        {
            "user_scenarios.json": MuseProfile,
            "convs/*.json": MuseSpeech,
            "detail_convs/*.json": MuseConversation,
            "item_profile.json": MuseItem,
        },
    )
    card = data_card(source, tally, options.images, loading=_LOADING, splits=rows)
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(rows, missing_pictures=len(items.pictures.missing))


class _Items:
    """Items in MUSE's form, each made once."""

    def __init__(self, source: Source, pictures: ItemPictures) -> None:
        self.source = source
        self.pictures = pictures
        self.written: dict[str, MuseItem] = {}

    def item(self, product_id: str) -> MuseItem:
        if product_id not in self.written:
            self.written[product_id] = self._make(self.source.product(product_id))
        return self.written[product_id]

    def _make(self, product: Product) -> MuseItem:
        source = product.descriptions.get("source")
        return MuseItem(
            title=product.title,
            description=[source] if source else [],
            average_rating=None,
            price=product.price,
            features=list(product.features),
            categories=list(product.categories),
            details=product.attributes,
            images=self.pictures.address(product),
            new_description=summary(product),
            item_id=product.id,
        )


def muse_row(conversation: Conversation, source: Source, items: _Items) -> MuseConversation:
    """A conversation as `detail_convs` has it."""
    profile, provenance = conversation.profile, conversation.provenance
    return MuseConversation(
        Persona=persona(profile.person),
        Scenario=profile.backstory,
        Target_item=items.item(profile.target_id),
        Conversations=[_turn(turn, items) for turn in conversation.turns],
        Synth=MuseOrigin(
            conversation=conversation.id,
            split=source.splits.split[conversation.id],
            scenario=scenario_part(source, conversation),
            opening=conversation.opening,
            outfit=conversation.outfit_id,
            ended_by=conversation.ended_by,
            accepted=conversation.accepted_id,
            seed=provenance.seed,
            models=provenance.models,
            prompts=provenance.prompts,
            synth=provenance.synth,
        ),
    )


def persona(person: Person) -> str:
    """A person in MUSE's words."""
    return (
        f"Name: {person.name}, Gender: {person.gender or 'unknown'}, Age: {person.age},Profession: {person.profession}"
    )


def _profile(conversation: Conversation, row: MuseConversation) -> MuseProfile:
    return MuseProfile(
        profile=row.Persona,
        scenario=row.Scenario,
        requirements="; ".join(requirement.text for requirement in conversation.profile.requirements),
        target_item=row.Target_item,
    )


def _turn(turn: Turn, items: _Items) -> MuseTurn:
    """As in MUSE, items stand where they are recommended or shown, not where they are talked about."""
    named = turn.products if turn.act == "recommend" or turn.images else ()
    pictures = [items.item(product_id).images for product_id in named] if turn.images else []
    speech: dict[str, Any] = {_SPEAKERS[turn.speaker]: turn.text}
    return MuseTurn(
        **speech,
        Action=_ACTIONS.get(turn.act, "chit-chat"),
        Mentioned_item=list(named),
        Image=[address for address in pictures if address],
    )


def _write(path: Path, value: BaseModel | Sequence[BaseModel] | dict[str, MuseItem]) -> None:
    path.write_text(json.dumps(_dump(value), ensure_ascii=False, indent=4) + "\n", "utf-8", newline="\n")


def _dump(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: _dump(part) for name, part in value.items()}
    return [_dump(part) for part in value]


def _append(file: TextIO, row: BaseModel, *, first: bool) -> None:
    """Adds an entry to a JSON array, of which only one entry is in memory."""
    file.write(("[\n" if first else ",\n") + json.dumps(_dump(row), ensure_ascii=False))
