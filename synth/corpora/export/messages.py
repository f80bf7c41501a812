"""`messages`: the chat format that trainers read, one conversation a line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.source import Images, Judged, Options, Report, Source, link, named_products
from synth.corpora.records import Conversation, Turn

FILE = "messages.jsonl"
_LOADING = f"""\
`{FILE}` has one conversation a line: `id`, `messages` (`role`, `content`) and `metadata`.
The first message is the assistant's greeting.

```python
from datasets import load_dataset

conversations = load_dataset("path/to/this/folder", split="train")
```
"""


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes `messages.jsonl`, with `files` also `images/`, and a data card."""
    pictures = _Pictures(source, folder, options.images)
    tally = Tally()
    with (folder / FILE).open("w", encoding="utf-8", newline="\n") as file:
        for conversation in source.conversations():
            tally.add(conversation)
            row = {
                "id": conversation.id,
                "messages": [_message(turn, pictures) for turn in conversation.turns],
                "metadata": _metadata(conversation, source),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    configs = {"configs": [{"config_name": "default", "data_files": FILE}]}
    card = data_card(source, tally, options.images, loading=_LOADING, front=configs)
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report({"conversations": tally.conversations}, missing_pictures=len(pictures.missing))


class _Pictures:
    """Turns pictures into content parts; with `files`, copies each into the export once."""

    def __init__(self, source: Source, folder: Path, images: Images) -> None:
        self.source = source
        self.folder = folder
        self.images = images
        self.missing: set[str] = set()

    def parts(self, turn: Turn) -> list[dict[str, Any]]:
        addresses = [self._address(image) for image in turn.images]
        return [{"type": "image_url", "image_url": {"url": address}} for address in addresses if address]

    def _address(self, image: str) -> str | None:
        picture = self.source.picture(image)
        if picture is None:
            self.missing.add(image)
            return None
        if self.images is Images.links:
            return link(picture)
        name = f"images/{picture.filename}"
        if not (self.folder / name).exists():
            path = self.source.picture_path(picture)
            if path is None:
                self.missing.add(image)
                return None
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.folder / name)
        return name


def _message(turn: Turn, pictures: _Pictures) -> dict[str, Any]:
    """Without pictures the content is a string, else always a list of parts: a column has one type."""
    if pictures.images is Images.none:
        return {"role": turn.speaker, "content": turn.text}
    return {"role": turn.speaker, "content": [*pictures.parts(turn), {"type": "text", "text": turn.text}]}


def _metadata(conversation: Conversation, source: Source) -> dict[str, Any]:
    profile = conversation.profile
    scenario = source.scenario(profile.scenario_id)
    return {
        "scenario": {"id": scenario.id, "family": scenario.family, "text": scenario.text},
        "person": {**profile.person.model_dump(), "synthetic": True},
        "recipient": profile.recipient.model_dump() if profile.recipient else None,
        "backstory": profile.backstory,
        "requirements": [requirement.text for requirement in profile.requirements],
        "opening": conversation.opening,
        "outfit": conversation.outfit_id,
        "ended_by": conversation.ended_by,
        "target": conversation.target_id,
        "accepted": conversation.accepted_id,
        "turns": [{"act": turn.act, "products": list(turn.products)} for turn in conversation.turns],
        "products": [
            {"id": product_id, "title": source.product(product_id).title} for product_id in _shown(conversation)
        ],
        "scores": conversation.scores.model_dump(),
        **_judged(source.judged(conversation.id)),
        "seed": conversation.provenance.seed,
        "models": conversation.provenance.models,
        "prompts": conversation.provenance.prompts,
        "synth": conversation.provenance.synth,
    }


def _judged(judged: Judged) -> dict[str, Any]:
    """All fields in every row: a column has one type."""
    return {
        "verdict": judged.verdict,
        "verdicts": [word.model_dump() for word in judged.words],
        "human_replies": [reply.model_dump() for reply in judged.replies],
    }


def _shown(conversation: Conversation) -> list[str]:
    """Named products without those that were only retrieved."""
    shown = {i for turn in conversation.turns for i in turn.products}
    shown |= {conversation.target_id, conversation.accepted_id or "", conversation.outfit_id or ""}
    return [name for name in named_products(conversation) if name in shown]
