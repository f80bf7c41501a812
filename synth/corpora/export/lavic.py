"""`lavic`: what LaViC's training reads (Jeon et al., KDD 2025), as its Reddit-Amazon data was released.

One example for each accepted recommendation. `<submission>` marks what the seeker says and `<comment>` what the
assistant says. Candidates are what the index returned in that turn, shuffled as in the release, for in the index's
order a model could learn the position.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.source import Images, Options, Report, Source, link
from synth.corpora.export.splits import split_of
from synth.corpora.records import Conversation, Picture, Product, Turn
from synth.corpora.summary import summary
from synth.randomness import rng

SPLITS = ("train", "valid", "test")
CANDIDATES = "candidates_retrieved"
_TAGS = {"user": "submission", "assistant": "comment"}
_HUB = {"valid": "validation"}
_TAG = re.compile(r"<(/?(?:submission|comment))>")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]+")
_QUALITY = 95
"""JPEG quality of pictures that were of another kind."""


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes `train|valid|test.jsonl`, the items' metadata, `images/` and a data card; splits 8:1:1 by conversation.

    Conversations that were handed their target are left out, for no search found it; with `options.forced` they are
    kept, with the candidates of their last search.
    """
    tally, left_out, rows = Tally(), Counter[str](), Counter[str]()
    trained: set[str] = set()
    named: set[str] = set()
    with ExitStack() as stack:
        files = {
            name: stack.enter_context((folder / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n"))
            for name in SPLITS
        }
        for conversation in source.conversations():
            if conversation.ended_by == "forced" and not options.forced:
                left_out["forced"] += 1
                continue
            example = _example(conversation, source.facts.seed)
            if example is None:
                left_out["no search"] += 1
                continue
            judged = source.judged(conversation.id)
            example["verdict"] = judged.verdict
            example["human_replies"] = [reply.model_dump() for reply in judged.replies]
            split = SPLITS[split_of(conversation.id, source.facts.seed)]
            files[split].write(_line(example))
            tally.add(conversation)
            rows[split] += 1
            items = {*example["context_items"], *example["gt_items"], *example[CANDIDATES], example["target"]}
            named |= items
            if split == "train":
                trained |= items
    missing = _write_items(source, folder, options.images, named, trained)
    splits = {name: rows[name] for name in SPLITS}
    card = data_card(
        source,
        tally,
        options.images,
        loading=_loading(options.images),
        splits=splits,
        left_out=left_out,
        front=_configs(splits),
    )
    (folder / "README.md").write_text(card, "utf-8", newline="\n")
    return Report(splits, dict(left_out), missing)


def _example(conversation: Conversation, seed: int) -> dict[str, Any] | None:
    """The accepted recommendation with the turns before it; None where nothing was searched for."""
    recommended = [turn for turn in conversation.turns if turn.act == "recommend"]
    searches = [turn.retrieval for turn in recommended if turn.retrieval]
    if not searches:
        return None
    decision = recommended[-1]
    context = conversation.turns[: decision.index]
    truth = conversation.accepted_id or conversation.target_id
    candidates = [candidate.id for candidate in searches[-1].candidates]
    rng(seed, "candidates", conversation.id).shuffle(candidates)
    return {
        "context": "".join(_tagged(turn) for turn in context),
        "context_items": list(dict.fromkeys(i for turn in context for i in turn.products)),
        "gt": decision.text,
        "gt_items": [truth],
        CANDIDATES: candidates,
        "gt_retrieved": truth in candidates,
        "target": conversation.target_id,
        "target_retrieved": conversation.target_id in candidates,
        "ended_by": conversation.ended_by,
        "conversation": conversation.id,
        "turns": [{"speaker": turn.speaker, "act": turn.act, "products": list(turn.products)} for turn in context],
    }


def _tagged(turn: Turn) -> str:
    tag = _TAGS[turn.speaker]
    text = _TAG.sub(r"&lt;\1&gt;", turn.text)
    return f"<{tag}>{text}</{tag}>\n"


def _write_items(source: Source, folder: Path, images: Images, named: set[str], trained: set[str]) -> int:
    """Writes the metadata of all items named, and their pictures; returns how many pictures are missing."""
    names = _picture_names(sorted(named))
    missing = 0
    table: dict[str, Any] = {}
    lines: dict[str, list[str]] = {"train": [], "valid": []}
    if images is Images.files:
        (folder / "images").mkdir()
    for product_id, name in names.items():
        product = source.product(product_id)
        picture = product.images[0] if product.images else None
        address = link(picture) if picture and images is not Images.none else ""
        if images is Images.files:
            kept = picture is not None and _copy(source, picture, folder / "images" / name)
            missing += not kept
            address = f"images/{name}" if kept else ""
        entry = _item(product, name, address)
        table[product_id] = {
            "title": product.title,
            "images": [address] if address else [],
            "image_descriptions_llava_cleaned": {name: entry["image_description_llava_cleaned"]},
        }
        lines["train" if product_id in trained else "valid"].append(_line(entry))
    for split, content in lines.items():
        (folder / f"item2meta_{split}.jsonl").write_text("".join(content), "utf-8", newline="\n")
    text = json.dumps(table, ensure_ascii=False, indent=0) + "\n"
    (folder / "item2meta.json").write_text(text, "utf-8", newline="\n")
    return missing


def _item(product: Product, name: str, address: str) -> dict[str, str]:
    """A line of `item2meta_*.jsonl`: the released keys, the id, and whose description it is."""
    llava = product.descriptions.get("llava")
    return {
        "id": product.id,
        "title": product.title,
        "image_name": name,
        "image": address,
        "image_description_llava_cleaned": llava or summary(product),
        "described_by": "llava" if llava else "summary",
    }


def _picture_names(ids: Iterable[str]) -> dict[str, str]:
    """File name by item: `ID_0.jpg` as in the release; where no file system would take that, a number for the id."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for number, product_id in enumerate(ids):
        name = f"{product_id}_0.jpg"
        if not _SAFE_NAME.fullmatch(product_id) or len(name) > 120 or name.lower() in taken:
            name = f"item.{number}_0.jpg"
        taken.add(name.lower())
        names[product_id] = name
    return names


def _copy(source: Source, picture: Picture, target: Path) -> bool:
    """Copies a picture, as JPEG; False where it is not at hand."""
    path = source.picture_path(picture)
    if path is None:
        return False
    if picture.mime == "image/jpeg":
        shutil.copyfile(path, target)
        return True
    with Image.open(path) as image:
        seen = image.convert("RGBA")
        page = Image.new("RGBA", seen.size, "white")
        page.alpha_composite(seen)
        page.convert("RGB").save(target, "JPEG", quality=_QUALITY)
    return True


def _configs(splits: dict[str, int]) -> dict[str, Any]:
    files = [{"split": _HUB.get(name, name), "path": f"{name}.jsonl"} for name, rows in splits.items() if rows]
    return {"configs": [{"config_name": "default", "data_files": files}]}


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _loading(images: Images) -> str:
    pictures = "- `images/`: one JPEG an item, named in the metadata.\n" if images is Images.files else ""
    return f"""\
- `train.jsonl`, `valid.jsonl`, `test.jsonl`: one line for each accepted recommendation, split 8:1:1 by conversation.
  `context` (the turns before it; `<submission>` is the seeker, `<comment>` the assistant), `context_items`,
  `gt` (the assistant's words), `gt_items` (the accepted item) and `{CANDIDATES}`: the items the search of that turn
  returned, shuffled. Nothing was put among them: `gt_retrieved` and `target_retrieved` say whether they hold the
  accepted item and the item the user had in mind.
- `item2meta_train.jsonl`, `item2meta_valid.jsonl`: title and description of every item; `valid` has those that no
  training example names. `item2meta.json` has all of them by id. `described_by` says whether a description is
  LLaVA's or the catalogue's summary.
{pictures}
```python
from pathlib import Path

from synth.corpora.lavic import read_lavic

examples = list(read_lavic(Path("path/to/this/folder")))
```
"""
