"""`sharegpt`: what LLaMA-Factory reads as `formatting: sharegpt`, with the `dataset_info.json` that names its columns.

Its rules (data/README.md of LLaMA-Factory): `human` and `observation` stand at odd places, `gpt` and `function_call`
at even ones; a row has an even number of messages and ends with the assistant; there are as many `<image>` as
`images`. So the assistant's greeting goes into the system prompt, the buyer's last words into a column of their own,
and each search becomes a tool call: the model then learns to ask for a product, and to speak of one whose record and
picture stand before it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.folder import SplitFiles
from synth.corpora.export.pictures import Pictures
from synth.corpora.export.rows import Row
from synth.corpora.export.schema import write_schema
from synth.corpora.export.source import Images, Options, Report, Source
from synth.corpora.export.splits import SPLITS
from synth.corpora.records import Conversation, Ending, Turn
from synth.corpora.summary import summary

INFO = "dataset_info.json"
TOOL = "search_products"
_TOOLS = json.dumps(
    [
        {
            "name": TOOL,
            "description": "Searches the catalogue and gives the product that fits best.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string", "description": "What the customer wants, in a few words."}},
                "required": ["query"],
            },
        }
    ]
)
_SYSTEM = "You are a shopping assistant. You find out what the customer needs, search the catalogue, and recommend one \
product at a time."
_MARK = "<image>"
_MEDIA = re.compile(r"<(/?)(image|video|audio)>")
_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
Sender = Literal["human", "gpt", "function_call", "observation"]


class ShareGptTurn(Row):
    """One message; `human` and `observation` stand at odd places, `gpt` and `function_call` at even ones."""

    sender: Sender = Field(alias="from")
    value: str
    """A text; a `function_call` is the search as JSON, an `observation` the product found as JSON."""


class ShareGptRow(Row):
    """A conversation as LLaMA-Factory's `sharegpt` formatting reads it; the search is a tool call."""

    id: str
    conversations: list[ShareGptTurn]
    """Ends with the assistant; each `<image>` in it stands for the next entry of `images`."""
    system: str
    """The system prompt, with the assistant's greeting."""
    tools: str
    """The search tool, as JSON."""
    images: list[str]
    """With `--images files`: paths below the export's folder."""
    links: list[str]
    """With `--images links`: the pictures' addresses; LLaMA-Factory opens files only."""
    closing: str
    """What the buyer says last; no assistant answers it."""
    ended_by: Ending
    target: str
    """Id of the product the buyer had in mind."""
    accepted: str | None
    """Id of the product the buyer took."""


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes a file for each split, `dataset_info.json`, with `files` also `images/`, and a data card.

    A conversation that was handed its target ends before that: no search found it.
    """
    pictures = Pictures(source, folder, options.images)
    tally, left_out = Tally(), 0
    with SplitFiles(folder, {name: f"{name}.jsonl" for name in SPLITS}) as files:
        for conversation in source.conversations():
            row = sharegpt_row(conversation, source, pictures)
            if row is None:
                left_out += 1
                continue
            tally.add(conversation)
            files.write(source.splits.split[conversation.id], row)
    datasets = _write_info(folder, source.facts.name, files.rows, pictures=options.images is Images.files)
    write_schema(folder, {"*.jsonl": ShareGptRow})
    reasons = {"no answer": left_out} if left_out else {}
    card = data_card(
        source,
        tally,
        options.images,
        loading=_loading(datasets, options.images),
        splits=files.rows,
        left_out=reasons,
        front=files.configs(),
    )
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(files.rows, reasons, len(pictures.missing))


def sharegpt_row(conversation: Conversation, source: Source, pictures: Pictures) -> ShareGptRow | None:
    """A conversation as a row; None where the assistant answers nothing."""
    builder = _Builder(source, pictures)
    for turn in conversation.turns:
        if turn.act == "recommend" and turn.retrieval is None:
            break
        builder.add(turn)
    closing = builder.close()
    if not builder.turns:
        return None
    files = pictures.images is Images.files
    return ShareGptRow(
        id=conversation.id,
        conversations=builder.turns,
        system=_SYSTEM + (f' You have said: "{builder.greeting}"' if builder.greeting else ""),
        tools=_TOOLS,
        images=builder.images if files else [],
        links=[] if files else builder.images,
        closing=closing,
        ended_by=conversation.ended_by,
        target=conversation.target_id,
        accepted=conversation.accepted_id,
    )


class _Builder:
    """Messages of a row, which alternate whatever the turns do."""

    def __init__(self, source: Source, pictures: Pictures) -> None:
        self.source = source
        self.pictures = pictures
        self.greeting = ""
        self.turns: list[ShareGptTurn] = []
        self.images: list[str] = []

    def add(self, turn: Turn) -> None:
        text = _plain(turn.text)
        if turn.speaker == "user":
            self._put("human", self._marks(turn) + text)
        elif not self.turns:
            self.greeting = f"{self.greeting} {text}".strip()
        else:
            if turn.retrieval and self.turns[-1].sender == "human":
                call = {"name": TOOL, "arguments": {"query": turn.retrieval.query}}
                self._put("function_call", _plain(json.dumps(call, ensure_ascii=False)))
                self._put("observation", self._marks(turn) + self._found(turn.retrieval.chosen))
            self._put("gpt", text)

    def close(self) -> str:
        """Takes off what no assistant answers, with its pictures; returns its text."""
        if not self.turns or self.turns[-1].sender == "gpt":
            return ""
        last = self.turns.pop().value
        count = last.count(_MARK)
        del self.images[len(self.images) - count :]
        return last.replace(_MARK, "")

    def _put(self, sender: Sender, text: str) -> None:
        if self.turns and self.turns[-1].sender == sender:
            text = f"{self.turns.pop().value}\n{text}"
        self.turns.append(ShareGptTurn.model_validate({"from": sender, "value": text}))

    def _marks(self, turn: Turn) -> str:
        """An `<image>` for each picture that is at hand as a file; links are noted, and not in the text."""
        found = self.pictures.addresses(turn.images)
        self.images += found
        return _MARK * len(found) if self.pictures.images is Images.files else ""

    def _found(self, product_id: str) -> str:
        product = self.source.product(product_id)
        record = {
            "id": product.id,
            "title": product.title,
            "price": product.price,
            "currency": product.currency,
            "description": summary(product),
        }
        return _plain(json.dumps(record, ensure_ascii=False))


def _plain(text: str) -> str:
    """The text without anything LLaMA-Factory would take for the place of a picture."""
    return _MEDIA.sub(r"&lt;\1\2&gt;", text)


def _write_info(folder: Path, run: str, rows: dict[str, int], *, pictures: bool) -> list[str]:
    """Writes `dataset_info.json`; returns the names of its data sets."""
    columns = {"messages": "conversations", "system": "system", "tools": "tools"}
    if pictures:
        columns["images"] = "images"
    base = re.sub(r"\W+", "_", run)
    info = {
        f"{base}_{split}": {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "columns": columns,
            "tags": _TAGS,
        }
        for split, count in rows.items()
        if count
    }
    text = json.dumps(info, ensure_ascii=False, indent=2) + "\n"
    (folder / INFO).write_text(text, "utf-8", newline="\n")
    return list(info)


def _loading(datasets: list[str], images: Images) -> str:
    pictures = {
        Images.files: "Each `<image>` stands for the next entry of `images`, a path below this folder.",
        Images.links: "`links` has the pictures' addresses. The texts have no `<image>`: LLaMA-Factory opens files.",
        Images.none: "",
    }[images]
    return f"""\
`train.jsonl`, `validation.jsonl` and `test.jsonl` have one conversation a line; `dataset_info.json` names the columns.
Each search is a `function_call` whose `observation` is the product found, with its picture. The assistant's greeting
stands in `system`, the buyer's last words in `closing`. A conversation that was handed its target ends before that.
{pictures}

```yaml
# LLaMA-Factory
dataset_dir: path/to/this/folder
dataset: {datasets[0] if datasets else ""}
```
"""
