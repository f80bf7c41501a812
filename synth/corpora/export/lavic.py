"""`lavic`: what LaViC's training reads (Jeon et al., KDD 2025), as its Reddit-Amazon data was released.

One example for each accepted recommendation. `<submission>` marks what the seeker says and `<comment>` what the
assistant says. Candidates are what the index returned in that turn, shuffled as in the release, for in the index's
order a model could learn the position.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.folder import SplitFiles
from synth.corpora.export.pictures import ItemPictures
from synth.corpora.export.rows import JudgedPart, Row
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Images, Options, Report, Source
from synth.corpora.records import Act, Conversation, Ending, Product, Speaker, Turn
from synth.corpora.summary import summary
from synth.randomness import rng

_FILES = {"train": "train.jsonl", "validation": "valid.jsonl", "test": "test.jsonl"}
_TAGS = {"user": "submission", "assistant": "comment"}
_TAG = re.compile(r"<(/?(?:submission|comment))>")


class LavicTurn(Row):
    """What is known of a turn of the context beside its text."""

    speaker: Speaker
    act: Act
    products: list[str]


class LavicRow(JudgedPart):
    """An accepted recommendation."""

    context: str
    """The turns before it; `<submission>` is the seeker, `<comment>` the assistant."""
    context_items: list[str]
    """Ids of the products in those turns."""
    gt: str
    """The assistant's words."""
    gt_items: list[str]
    """The accepted item."""
    candidates_retrieved: list[str]
    """What the search of that turn returned, shuffled; nothing is put among it."""
    gt_retrieved: bool
    """Whether the accepted item is among them."""
    target: str
    """The item the buyer had in mind."""
    target_retrieved: bool
    """Whether that is among them."""
    ended_by: Ending
    conversation: str
    """Its id in the run."""
    turns: list[LavicTurn]
    """One for each turn of `context`."""


class LavicItem(Row):
    """A line of the item metadata."""

    id: str
    title: str
    image_name: str
    image: str
    """Path or address; empty where there is none."""
    image_description_llava_cleaned: str
    described_by: Literal["llava", "summary"]
    """Whose description it is; `summary` is the catalogue's."""


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes `train|valid|test.jsonl`, the items' metadata, `images/` and a data card.

    Conversations that were handed their target are left out, for no search found it; with `options.forced` they are
    kept, with the candidates of their last search.
    """
    tally, left_out = Tally(), Counter[str]()
    trained: set[str] = set()
    named: set[str] = set()
    with SplitFiles(folder, _FILES) as files:
        for conversation in source.conversations():
            if conversation.ended_by == "forced" and not options.forced:
                left_out["forced"] += 1
                continue
            example = _example(conversation, source)
            if example is None:
                left_out["no search"] += 1
                continue
            split = source.splits.split[conversation.id]
            files.write(split, example)
            tally.add(conversation)
            items = {*example.context_items, *example.gt_items, *example.candidates_retrieved, example.target}
            named |= items
            if split == "train":
                trained |= items
    missing = _write_items(source, folder, options.images, named, trained)
    write_schema(folder, {"[tv]*.jsonl": LavicRow, "item2meta_*.jsonl": LavicItem})
    card = data_card(
        source,
        tally,
        options.images,
        loading=_loading(options.images),
        splits=files.rows,
        left_out=left_out,
        front=files.configs(),
    )
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(files.rows, dict(left_out), missing)


def _example(conversation: Conversation, source: Source) -> LavicRow | None:
    """The accepted recommendation with the turns before it; None where nothing was searched for."""
    recommended = [turn for turn in conversation.turns if turn.act == "recommend"]
    searches = [turn.retrieval for turn in recommended if turn.retrieval]
    if not searches:
        return None
    decision = recommended[-1]
    context = conversation.turns[: decision.index]
    truth = conversation.accepted_id or conversation.target_id
    candidates = [candidate.id for candidate in searches[-1].candidates]
    rng(source.facts.seed, "candidates", conversation.id).shuffle(candidates)
    return LavicRow(
        context="".join(_tagged(turn) for turn in context),
        context_items=list(dict.fromkeys(i for turn in context for i in turn.products)),
        gt=decision.text,
        gt_items=[truth],
        candidates_retrieved=candidates,
        gt_retrieved=truth in candidates,
        target=conversation.target_id,
        target_retrieved=conversation.target_id in candidates,
        ended_by=conversation.ended_by,
        conversation=conversation.id,
        turns=[LavicTurn(speaker=turn.speaker, act=turn.act, products=list(turn.products)) for turn in context],
        **dict(source.judged(conversation.id)),
    )


def _tagged(turn: Turn) -> str:
    tag = _TAGS[turn.speaker]
    text = _TAG.sub(r"&lt;\1&gt;", turn.text)
    return f"<{tag}>{text}</{tag}>\n"


def _write_items(source: Source, folder: Path, images: Images, named: set[str], trained: set[str]) -> int:
    """Writes the metadata of all items named, and their pictures; returns how many pictures are missing."""
    pictures = ItemPictures(source, folder / "images", images, sorted(named), "_0.jpg")
    table: dict[str, Any] = {}
    with SplitFiles(folder, {name: f"item2meta_{name}.jsonl" for name in ("train", "valid")}) as files:
        for product_id in sorted(named):
            item = _item(source.product(product_id), pictures)
            table[product_id] = {
                "title": item.title,
                "images": [item.image] if item.image else [],
                "image_descriptions_llava_cleaned": {item.image_name: item.image_description_llava_cleaned},
            }
            files.write("train" if product_id in trained else "valid", item)
    text = json.dumps(table, ensure_ascii=False, indent=0) + "\n"
    (folder / "item2meta.json").write_text(text, "utf-8", newline="\n")
    return len(pictures.missing)


def _item(product: Product, pictures: ItemPictures) -> LavicItem:
    """A line of `item2meta_*.jsonl`: the released keys, the id, and whose description it is."""
    llava = product.descriptions.get("llava")
    return LavicItem(
        id=product.id,
        title=product.title,
        image_name=pictures.names[product.id],
        image=pictures.address(product),
        image_description_llava_cleaned=llava or summary(product),
        described_by="llava" if llava else "summary",
    )


def _loading(images: Images) -> str:
    pictures = "- `images/`: one JPEG an item, named in the metadata.\n" if images is Images.files else ""
    return f"""\
- `train.jsonl`, `valid.jsonl`, `test.jsonl`: one line for each accepted recommendation.
  `context` (the turns before it; `<submission>` is the seeker, `<comment>` the assistant), `context_items`,
  `gt` (the assistant's words), `gt_items` (the accepted item) and `candidates_retrieved`: the items the search of that
  turn returned, shuffled. Nothing was put among them: `gt_retrieved` and `target_retrieved` say whether they hold the
  accepted item and the item the user had in mind.
- `item2meta_train.jsonl`, `item2meta_valid.jsonl`: title and description of every item; `valid` has those that no
  training example names. `item2meta.json` has all of them by id. `described_by` says whether a description is
  LLaVA's or the catalogue's summary.
- `schema.json` describes the rows.
{pictures}
```python
from pathlib import Path

from synth.corpora.lavic import read_lavic

examples = list(read_lavic(Path("path/to/this/folder")))
```
"""
