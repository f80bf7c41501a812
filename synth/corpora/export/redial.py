"""`redial`: conversations in the JSON lines of ReDial (Li et al., NeurIPS 2018), with items in the movies' place.

Items are numbered by their place in the catalogue, from 1, and are named `@NUMBER` in the texts, where ReDial's users
look for them: in place of the title, or after the text that recommends or shows an item without naming it.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Literal

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.folder import SplitFiles
from synth.corpora.export.pictures import ItemPictures
from synth.corpora.export.rows import Row
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Options, Report, Source
from synth.corpora.records import Act, Conversation, Ending, Person, Turn

ITEMS = "movies_with_mentions.csv"
_FILES = {"train": "train_data.jsonl", "validation": "valid_data.jsonl", "test": "test_data.jsonl"}
_ASSISTANT = 0
_MENTION = re.compile(r"@(?=\w)")
_LOADING = f"""\
ReDial's JSON lines, with items in the movies' place:

- `train_data.jsonl`, `valid_data.jsonl`, `test_data.jsonl`: one conversation a line. The initiator is the buyer, the
  respondent (worker 0) the assistant. `@NUMBER` in a text names an item; `movieMentions` has its title. The labels
  say who brought an item up (`suggested`), whether the buyer owns it (`seen`) and took or refused it (`liked`).
  `timeOffset` is the message's place, for a run has no clock. `synth` is no key of ReDial.
- `{ITEMS}`: the items' numbers, titles, mentions, ids and pictures.
- `schema.json` describes the rows.

```python
from pathlib import Path

from synth.corpora.readers import read

conversations = list(read(Path("path/to/this/folder/train_data.jsonl")).dialogues())
```
"""


class RedialMessage(Row):
    """A message; `@NUMBER` in it names an item."""

    timeOffset: int
    """The message's place, from 0: a run has no clock."""
    text: str
    senderWorkerId: int
    messageId: int


class RedialLabels(Row):
    """ReDial's three labels."""

    suggested: Literal[0, 1]
    """1: the assistant suggested it; 0: the buyer brought it up."""
    seen: Literal[0, 1, 2]
    """1: the buyer owns it; 2: not said."""
    liked: Literal[0, 1, 2]
    """1: accepted, or the buyer's own; 0: rejected; 2: not said."""


class RedialOrigin(Row):
    """What ReDial has no key for."""

    conversation: str
    """Its id in the run."""
    ended_by: Ending
    target: str
    """The item number of the product the buyer had in mind."""
    accepted: str | None
    """The item number of the product the buyer took."""
    acts: list[Act]
    """One for each message."""
    synthetic: Literal[True] = True
    """Always true: nobody spoke."""


class RedialRow(Row):
    """A conversation with ReDial's keys; items stand where its movies stood."""

    movieMentions: dict[str, str]
    """Title by item number."""
    respondentQuestions: dict[str, RedialLabels]
    messages: list[RedialMessage]
    conversationId: str
    respondentWorkerId: int
    """0, the assistant."""
    initiatorWorkerId: int
    """The buyer, numbered from 1."""
    initiatorQuestions: dict[str, RedialLabels]
    """The same as the respondent's, for both sides are known."""
    synth: RedialOrigin


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes a file for each split, the items' table, with `files` also `images/`, and a data card."""
    pictures = ItemPictures(source, folder / "images", options.images, source.product_ids, ".jpg")
    book = RedialBook(source)
    tally = Tally()
    with SplitFiles(folder, _FILES) as files:
        for conversation in source.conversations():
            tally.add(conversation)
            files.write(source.splits.split[conversation.id], book.row(conversation))
    _write_items(folder / ITEMS, book, pictures)
    write_schema(folder, {"*_data.jsonl": RedialRow})
    card = data_card(source, tally, options.images, loading=_LOADING, splits=files.rows, front=files.configs())
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(files.rows, missing_pictures=len(pictures.missing))


class RedialBook:
    """Numbers items, people and messages while it makes rows."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.mentions = Counter[str]()
        """How often texts name each product."""
        self.numbers = {product_id: number for number, product_id in enumerate(source.product_ids, 1)}
        self._people: dict[Person, int] = {}
        self._rows = 0
        self._messages = 0

    def row(self, conversation: Conversation) -> RedialRow:
        """A conversation as a row."""
        self._rows += 1
        buyer = self._people.setdefault(conversation.profile.person, len(self._people) + 1)
        products = list(dict.fromkeys(name for turn in conversation.turns for name in turn.products))
        labels = {self._number(product_id): _labels(product_id, conversation) for product_id in products}
        accepted = conversation.accepted_id
        return RedialRow(
            movieMentions={self._number(product_id): self.source.product(product_id).title for product_id in products},
            respondentQuestions=labels,
            messages=[self._message(turn, buyer, products) for turn in conversation.turns],
            conversationId=str(self._rows),
            respondentWorkerId=_ASSISTANT,
            initiatorWorkerId=buyer,
            initiatorQuestions=labels,
            synth=RedialOrigin(
                conversation=conversation.id,
                ended_by=conversation.ended_by,
                target=self._number(conversation.target_id),
                accepted=self._number(accepted) if accepted else None,
                acts=[turn.act for turn in conversation.turns],
            ),
        )

    def _number(self, product_id: str) -> str:
        self.source.product(product_id)  # says which product is missing, if one is
        return str(self.numbers[product_id])

    def _message(self, turn: Turn, buyer: int, products: list[str]) -> RedialMessage:
        self._messages += 1
        return RedialMessage(
            timeOffset=turn.index,
            text=self._text(turn, products),
            senderWorkerId=buyer if turn.speaker == "user" else _ASSISTANT,
            messageId=self._messages,
        )

    def _text(self, turn: Turn, products: list[str]) -> str:
        """The text with `@NUMBER` for titles; whatever looks like one already is taken apart."""
        # Of products with the same title, the turn's own comes last and stays.
        titled = {_plain(self.source.product(name).title): name for name in sorted(products, key=turn.products.count)}
        # The longest first, for one title can be part of another.
        titles = "|".join(re.escape(title) for title in sorted(titled, key=len, reverse=True))
        found: list[str] = []

        def number(match: re.Match[str]) -> str:
            found.append(titled[match[0].lower()])
            return f"@{self._number(found[-1])}"

        text = _MENTION.sub("@ ", turn.text)
        if titles:
            text = re.sub(rf"(?<!\w)(?:{titles})(?!\w)", number, text, flags=re.IGNORECASE)
        shown = turn.products if turn.act == "recommend" or turn.images else ()
        for product_id in shown:
            if product_id not in found:
                found.append(product_id)
                text += f" (@{self._number(product_id)})"
        self.mentions.update(found)
        return text


def _plain(title: str) -> str:
    return _MENTION.sub("@ ", title).lower()


def _labels(product_id: str, conversation: Conversation) -> RedialLabels:
    suggested = any(t.speaker == "assistant" and product_id in t.products for t in conversation.turns)
    own = product_id == conversation.outfit_id
    refused = any(turn.act == "reject" and product_id in turn.products for turn in conversation.turns)
    liked: Literal[0, 1, 2] = 1 if own or product_id == conversation.accepted_id else 0 if refused else 2
    return RedialLabels(suggested=1 if suggested and not own else 0, seen=1 if own else 2, liked=liked)


def _write_items(path: Path, book: RedialBook, pictures: ItemPictures) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["movieId", "movieName", "nbMentions", "id", "image"])
        for product_id, count in sorted(book.mentions.items(), key=lambda entry: book.numbers[entry[0]]):
            product = book.source.product(product_id)
            table.writerow([book.numbers[product_id], product.title, count, product_id, pictures.address(product)])
