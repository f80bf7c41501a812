"""`messages`: the chat format that trainers read, one conversation a line; the fields are TRL's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.folder import SplitFiles
from synth.corpora.export.pictures import Pictures
from synth.corpora.export.rows import JudgedPart, PersonPart, Row, ScenarioPart, SparseRow
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Images, Options, Report, Source, named_products
from synth.corpora.export.splits import SPLITS
from synth.corpora.records import Act, Conversation, Ending, Opening, Recipient, Scores, Speaker, Turn

_LOADING = """\
`train.jsonl`, `validation.jsonl` and `test.jsonl` have one conversation a line: `id`, `messages` (`role`, `content`),
`images` and `metadata`. The first message is the assistant's greeting. `schema.json` describes the rows.

```python
from datasets import load_dataset

conversations = load_dataset("path/to/this/folder")
```
"""
_PICTURES = """
Each `image` part of a content stands for the next entry of `images`, a path below this folder. TRL takes opened ones:

```python
from datasets import Image

train = conversations["train"].map(lambda row: {"images": [f"path/to/this/folder/{name}" for name in row["images"]]})
train = train.cast_column("images", [Image()])
```
"""


class ProductPart(Row):
    """A product by name."""

    id: str
    title: str


class TurnFacts(Row):
    """What is known of a message beside its text."""

    act: Act
    products: list[str]
    """Ids of the products it is about."""


class ContentPart(SparseRow):
    """A part of a message: a text, or the place of a picture."""

    type: Literal["image", "text"]
    text: str | None = None
    """For `text` parts; `image` parts have none, their pictures stand in `images`."""


class Message(Row):
    """One message of a chat."""

    role: Speaker
    content: str | list[ContentPart]
    """A string with `--images none`, else always a list: a column has one type."""


class Metadata(JudgedPart):
    """Where a conversation came from and how it ended."""

    scenario: ScenarioPart
    person: PersonPart
    recipient: Recipient | None
    """Whom the product is for, where it is not the buyer."""
    backstory: str
    requirements: list[str]
    """The two needs that the buyer states."""
    opening: Opening
    outfit: str | None
    """Id of the item the buyer shows in a multimodal opening."""
    ended_by: Ending
    target: str
    """Id of the product the buyer had in mind."""
    accepted: str | None
    """Id of the product the buyer took."""
    turns: list[TurnFacts]
    """One for each message."""
    products: list[ProductPart]
    """All products the conversation names."""
    scores: Scores
    seed: int
    models: dict[str, str]
    """Model by role."""
    prompts: str
    """Hash over all prompt files."""
    synth: str
    """Version of the package."""


class MessagesRow(Row):
    """A conversation in the chat format that trainers read; its fields are TRL's."""

    id: str
    messages: list[Message]
    """The first is the assistant's greeting."""
    images: list[str]
    """The pictures, one for each `image` part, in the parts' order: paths in the export, or addresses."""
    metadata: Metadata


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes a file for each split, with `files` also `images/`, and a data card."""
    pictures = Pictures(source, folder, options.images)
    tally = Tally()
    with SplitFiles(folder, {name: f"{name}.jsonl" for name in SPLITS}) as files:
        for conversation in source.conversations():
            tally.add(conversation)
            row = message_row(conversation, source, pictures)
            files.write(source.splits.split[conversation.id], row)
    write_schema(folder, {"*.jsonl": MessagesRow})
    card = data_card(
        source,
        tally,
        options.images,
        loading=_LOADING + (_PICTURES if options.images is Images.files else ""),
        splits=files.rows,
        front=files.configs(),
    )
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(files.rows, missing_pictures=len(pictures.missing))


def message_row(conversation: Conversation, source: Source, pictures: Pictures) -> MessagesRow:
    """A conversation as a row."""
    shown = [pictures.addresses(turn.images) for turn in conversation.turns]
    plain = pictures.images is Images.none
    return MessagesRow(
        id=conversation.id,
        messages=[
            _message(turn, len(names), plain=plain) for turn, names in zip(conversation.turns, shown, strict=True)
        ],
        images=[name for names in shown for name in names],
        metadata=_metadata(conversation, source),
    )


def _message(turn: Turn, pictures: int, *, plain: bool) -> Message:
    """Without pictures the content is a string, else always a list of parts: a column has one type."""
    if plain:
        return Message(role=turn.speaker, content=turn.text)
    parts = [ContentPart(type="image")] * pictures
    return Message(role=turn.speaker, content=[*parts, ContentPart(type="text", text=turn.text)])


def _metadata(conversation: Conversation, source: Source) -> Metadata:
    profile, provenance = conversation.profile, conversation.provenance
    return Metadata(
        scenario=scenario_part(source, conversation),
        person=PersonPart(**profile.person.model_dump()),
        recipient=profile.recipient,
        backstory=profile.backstory,
        requirements=[requirement.text for requirement in profile.requirements],
        opening=conversation.opening,
        outfit=conversation.outfit_id,
        ended_by=conversation.ended_by,
        target=conversation.target_id,
        accepted=conversation.accepted_id,
        turns=[TurnFacts(act=turn.act, products=list(turn.products)) for turn in conversation.turns],
        products=[
            ProductPart(id=product_id, title=source.product(product_id).title)
            for product_id in shown_products(conversation)
        ],
        scores=conversation.scores,
        **dict(source.judged(conversation.id)),
        seed=provenance.seed,
        models=provenance.models,
        prompts=provenance.prompts,
        synth=provenance.synth,
    )


def scenario_part(source: Source, conversation: Conversation) -> ScenarioPart:
    """The scenario a conversation was made from."""
    scenario = source.scenario(conversation.profile.scenario_id)
    return ScenarioPart(id=scenario.id, family=scenario.family, text=scenario.text)


def shown_products(conversation: Conversation) -> list[str]:
    """Named products without those that were only retrieved."""
    shown = {i for turn in conversation.turns for i in turn.products}
    shown |= {conversation.target_id, conversation.accepted_id or "", conversation.outfit_id or ""}
    return [name for name in named_products(conversation) if name in shown]
