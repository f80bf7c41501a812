"""`hf`: Parquet that `datasets.load_dataset(folder)` opens, with pictures as `Image` features, and a data card.

Two configurations: `conversations` (the default; train, validation, test) and `products`. The feature types stand in
the schema's `huggingface` metadata, in the notation that all versions of `datasets` read (a list is `[type]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.messages import scenario_part
from synth.corpora.export.parquet import ImageFile, Shards
from synth.corpora.export.rows import JudgedPart, PersonPart, Row, ScenarioPart
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Images, Options, Report, Source, link, named_products
from synth.corpora.export.splits import SPLITS
from synth.corpora.records import (
    Act,
    Conversation,
    Ending,
    Opening,
    Picture,
    Product,
    Recipient,
    Requirement,
    Retrieval,
    Scores,
    Speaker,
    Turn,
)


class NameValue(Row):
    """An attribute."""

    name: str
    value: str


class NameText(Row):
    """A description by name."""

    name: str
    text: str


class RoleModel(Row):
    """The model of a role."""

    role: str
    model: str


class HfTurn(Row):
    """One utterance."""

    speaker: Speaker
    act: Act
    text: str
    draft: str
    """The text before the rewriter."""
    products: list[str]
    """Ids of the products it is about."""
    images: list[str]
    """Hashes of the pictures shown with it."""
    retrieval: Retrieval | None
    """How the turn came to its product."""


class HfConversation(JudgedPart):
    """A conversation; with pictures it has a column `images` in the order of `image_hashes`."""

    id: str
    turns: list[HfTurn]
    opening: Opening
    """`multimodal`: the buyer shows an item of their own."""
    outfit_id: str | None
    """That item."""
    ended_by: Ending
    """The target was taken (`hit`), another that fits (`fit`), or the target was handed over (`forced`)."""
    target_id: str
    """The product the buyer had in mind."""
    accepted_id: str | None
    """The product the buyer took."""
    scenario: ScenarioPart
    person: PersonPart
    recipient: Recipient | None
    """Whom the product is for, where it is not the buyer."""
    backstory: str
    requirements: list[Requirement]
    """The two needs that the buyer states."""
    scores: Scores
    """The reviewer's."""
    models: list[RoleModel]
    seed: int
    """Of the run."""
    prompts: str
    """Hash over all prompt files."""
    synth: str
    """Version of the package."""
    image_hashes: list[str]
    """The conversation's pictures, each once, in order."""


class HfProduct(Row):
    """A product that a conversation shows or a search returned; with pictures it has a column `image`."""

    id: str
    title: str
    features: list[str]
    categories: list[str]
    """A path, the most general first."""
    price: float | None
    """In `currency`."""
    currency: str | None
    attributes: list[NameValue]
    descriptions: list[NameText]
    """`source` is the shop's text, `summary` what is indexed."""
    licence: str | None
    image_hash: str | None


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes `conversations/`, `products/` and `README.md`. A split that would be empty has no file.

    Conversations that share a target product or a person are in one split.
    """
    pictures = _Pictures(source, options.images)
    tally, named = Tally(), set[str]()
    row_kind, product_kind = row_kinds(options.images)
    shards = {name: Shards(folder / "conversations", name, row_kind) for name in SPLITS}
    for conversation in source.conversations():
        tally.add(conversation)
        named.update(named_products(conversation))
        split = source.splits.split[conversation.id]
        shards[split].add(*_conversation(conversation, source, pictures))
    splits = {name: shards[name].close() for name in SPLITS}
    products = Shards(folder / "products", "train", product_kind)
    for product_id in sorted(named):
        products.add(*_product(source.product(product_id), pictures))
    write_schema(folder, {"conversations/*.parquet": row_kind, "products/*.parquet": product_kind})
    card = data_card(
        source,
        tally,
        options.images,
        loading=_loading(splits, products.close()),
        splits=splits,
        front={"configs": _configs([name for name, rows in splits.items() if rows])},
    )
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(splits, missing_pictures=len(pictures.missing))


def row_kinds(images: Images) -> tuple[type[BaseModel], type[BaseModel]]:
    """The rows of both configurations, with their picture columns."""
    if images is Images.none:
        return HfConversation, HfProduct
    cell: Any = (ImageFile if images is Images.files else str) | None
    row = create_model(
        "HfConversation", __base__=HfConversation, __doc__=HfConversation.__doc__, images=(list[cell], ...)
    )
    product = create_model("HfProduct", __base__=HfProduct, __doc__=HfProduct.__doc__, image=(cell, ...))
    return row, product


class _Pictures:
    """Cells of the picture columns, each with its size in bytes."""

    def __init__(self, source: Source, images: Images) -> None:
        self.source = source
        self.images = images
        self.missing: set[str] = set()

    def cell(self, image: str, picture: Picture | None) -> tuple[Any, int]:
        if self.images is Images.none:
            return None, 0
        if picture is not None and self.images is Images.links:
            return link(picture), 0
        path = self.source.picture_path(picture) if picture else None
        if picture is None or path is None:
            self.missing.add(image)
            return None, 0
        data = path.read_bytes()
        return {"bytes": data, "path": Path(picture.filename).name}, len(data)


def _conversation(conversation: Conversation, source: Source, pictures: _Pictures) -> tuple[dict[str, Any], int]:
    profile, provenance = conversation.profile, conversation.provenance
    hashes = list(dict.fromkeys(image for turn in conversation.turns for image in turn.images))
    cells = [pictures.cell(image, source.picture(image)) for image in hashes]
    row = HfConversation(
        id=conversation.id,
        turns=[_turn(turn, draft) for turn, draft in zip(conversation.turns, conversation.drafts, strict=True)],
        opening=conversation.opening,
        outfit_id=conversation.outfit_id,
        ended_by=conversation.ended_by,
        target_id=conversation.target_id,
        accepted_id=conversation.accepted_id,
        scenario=scenario_part(source, conversation),
        person=PersonPart(**profile.person.model_dump()),
        recipient=profile.recipient,
        backstory=profile.backstory,
        requirements=list(profile.requirements),
        scores=conversation.scores,
        **dict(source.judged(conversation.id)),
        models=[RoleModel(role=role, model=model) for role, model in provenance.models.items()],
        seed=provenance.seed,
        prompts=provenance.prompts,
        synth=provenance.synth,
        image_hashes=hashes,
    )
    return {**row.model_dump(), "images": [cell for cell, _ in cells]}, sum(size for _, size in cells)


def _turn(turn: Turn, draft: str) -> HfTurn:
    return HfTurn(
        speaker=turn.speaker,
        act=turn.act,
        text=turn.text,
        draft=draft,
        products=list(turn.products),
        images=list(turn.images),
        retrieval=turn.retrieval,
    )


def _product(product: Product, pictures: _Pictures) -> tuple[dict[str, Any], int]:
    first = product.images[0] if product.images else None
    cell, size = pictures.cell(first.hash, first) if first else (None, 0)
    # Lists of pairs: Arrow would give a struct a field for every key that any row has.
    row = HfProduct(
        id=product.id,
        title=product.title,
        features=list(product.features),
        categories=list(product.categories),
        price=product.price,
        currency=product.currency,
        attributes=[NameValue(name=name, value=value) for name, value in product.attributes.items()],
        descriptions=[NameText(name=name, text=text) for name, text in product.descriptions.items()],
        licence=product.licence,
        image_hash=first.hash if first else None,
    )
    return {**row.model_dump(), "image": cell}, size


def _configs(splits: list[str]) -> list[dict[str, Any]]:
    def files(folder: str, names: list[str]) -> list[dict[str, str]]:
        return [{"split": name, "path": f"{folder}/{name}-*.parquet"} for name in names]

    return [
        {"config_name": "conversations", "default": True, "data_files": files("conversations", splits)},
        {"config_name": "products", "data_files": files("products", ["train"])},
    ]


def _loading(splits: Mapping[str, int], products: int) -> str:
    empty = [name for name, rows in splits.items() if not rows]
    note = f"\nToo few conversations for a split of its own: {', '.join(empty)}.\n" if empty else ""
    return f"""\
- `conversations`: one row a conversation. `turns` are structs (speaker, act, text, the draft before the rewriter,
  products, picture hashes, retrieval); `images` are its pictures in the order of `image_hashes`. `verdict` is what
  people say of it (`unjudged` where nobody has), `human_replies` what they wrote for some of its turns.
- `products`: the {products} products that the conversations show or that a search returned.
{note}
```python
from datasets import load_dataset

conversations = load_dataset("path/to/this/folder")
products = load_dataset("path/to/this/folder", "products", split="train")
```
"""
