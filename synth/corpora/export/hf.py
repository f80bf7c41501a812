"""`hf`: Parquet that `datasets.load_dataset(folder)` opens, with pictures as `Image` features, and a data card.

Two configurations: `conversations` (the default; train, validation, test) and `products`. The feature types stand in
the schema's `huggingface` metadata, in the notation that all versions of `datasets` read (a list is `[type]`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from synth.corpora.export.card import Tally, data_card
from synth.corpora.export.source import Images, Options, Report, Source, link, named_products
from synth.corpora.export.splits import groups, split_of
from synth.corpora.records import Conversation, Picture, Product, Turn

SPLITS = ("train", "validation", "test")
SHARD_BYTES = 500_000_000
_GROUP_ROWS = 100
_GROUP_BYTES = 64_000_000
"""A row group is written at whichever comes first; bytes are those of its pictures."""

Features = dict[str, Any]


def _value(dtype: str) -> Features:
    return {"dtype": dtype, "_type": "Value"}


_TEXT, _INT, _FLOAT, _BOOL = _value("string"), _value("int32"), _value("float64"), _value("bool")
_IMAGE: Features = {"_type": "Image"}
_RETRIEVAL: Features = {
    "needs": _TEXT,
    "query": _TEXT,
    "candidates": [{"id": _TEXT, "rank": _INT, "score": _FLOAT}],
    "excluded": [_TEXT],
    "chosen": _TEXT,
    "reason": _TEXT,
}
_TURN: Features = {
    "speaker": _TEXT,
    "act": _TEXT,
    "text": _TEXT,
    "draft": _TEXT,
    "products": [_TEXT],
    "images": [_TEXT],
    "retrieval": _RETRIEVAL,
}
_CONVERSATION: Features = {
    "id": _TEXT,
    "turns": [_TURN],
    "opening": _TEXT,
    "outfit_id": _TEXT,
    "ended_by": _TEXT,
    "target_id": _TEXT,
    "accepted_id": _TEXT,
    "scenario": {"id": _TEXT, "family": _TEXT, "text": _TEXT},
    "person": {"name": _TEXT, "gender": _TEXT, "age": _INT, "profession": _TEXT, "synthetic": _BOOL},
    "recipient": {"relation": _TEXT, "gender": _TEXT, "child": _BOOL},
    "backstory": _TEXT,
    "requirements": [{"text": _TEXT, "attribute": _TEXT, "value": _TEXT}],
    "scores": {"content_quality": _FLOAT, "logical_fluency": _FLOAT, "user_consistency": _FLOAT},
    "verdict": _TEXT,
    "verdicts": [{"annotator": _TEXT, "verdict": _TEXT, "note": _TEXT}],
    "human_replies": [{"turn": _INT, "act": _TEXT, "annotator": _TEXT, "text": _TEXT}],
    "models": [{"role": _TEXT, "model": _TEXT}],
    "seed": _value("int64"),
    "prompts": _TEXT,
    "synth": _TEXT,
    "image_hashes": [_TEXT],
}
_PRODUCT: Features = {
    "id": _TEXT,
    "title": _TEXT,
    "features": [_TEXT],
    "categories": [_TEXT],
    "price": _FLOAT,
    "currency": _TEXT,
    "attributes": [{"name": _TEXT, "value": _TEXT}],
    "descriptions": [{"name": _TEXT, "text": _TEXT}],
    "licence": _TEXT,
    "image_hash": _TEXT,
}


def write(source: Source, folder: Path, options: Options) -> Report:
    """Writes `conversations/`, `products/` and `README.md`. A split that would be empty has no file.

    Conversations that share a target product or a person are in one split.
    """
    cell = {Images.none: None, Images.links: _TEXT, Images.files: _IMAGE}[options.images]
    pictures = _Pictures(source, options.images)
    # Over all, so that a conversation's split does not depend on what people say of others.
    group = groups(source.accepted())
    tally, named = Tally(), set[str]()
    features = _CONVERSATION | ({"images": [cell]} if cell else {})
    shards = {name: _Shards(folder / "conversations", name, features) for name in SPLITS}
    for conversation in source.conversations():
        tally.add(conversation)
        named.update(named_products(conversation))
        split = SPLITS[split_of(group[conversation.id], source.facts.seed)]
        shards[split].add(*_conversation(conversation, source, pictures))
    splits = {name: shards[name].close() for name in SPLITS}
    products = _Shards(folder / "products", "train", _PRODUCT | ({"image": cell} if cell else {}))
    for product_id in sorted(named):
        products.add(*_product(source.product(product_id), pictures))
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


class _Shards:
    """The Parquet files of one split, `NAME-00000-of-00003.parquet` and so on."""

    def __init__(self, folder: Path, name: str, features: Features) -> None:
        self.folder, self.name = folder, name
        self.schema = pa.schema(
            [(column, _arrow(kind)) for column, kind in features.items()],
            metadata={"huggingface": json.dumps({"info": {"features": features}})},
        )
        self.rows = 0
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        """Adds a row whose pictures have `size` bytes."""
        self.rows += 1
        self._pending.append(row)
        self._bytes += size
        if len(self._pending) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> int:
        """Gives the files their final names; returns the number of rows."""
        self._flush()
        self._end_shard()
        for number, path in enumerate(self._paths):
            path.rename(path.with_name(f"{self.name}-{number:05d}-of-{len(self._paths):05d}.parquet"))
        return self.rows

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self.folder.mkdir(exist_ok=True)
            self._paths.append(self.folder / f"{self.name}-{len(self._paths):05d}.partial")
            self._writer = pq.ParquetWriter(self._paths[-1], self.schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self.schema))
        self._pending, self._bytes = [], 0
        if self._paths[-1].stat().st_size >= SHARD_BYTES:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _arrow(feature: Any) -> pa.DataType:
    """The Arrow type in which `datasets` stores a feature."""
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    if feature == _IMAGE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if "_type" in feature:
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([(name, _arrow(part)) for name, part in feature.items()])


def _conversation(conversation: Conversation, source: Source, pictures: _Pictures) -> tuple[dict[str, Any], int]:
    profile, provenance = conversation.profile, conversation.provenance
    scenario = source.scenario(profile.scenario_id)
    judged = source.judged(conversation.id)
    hashes = list(dict.fromkeys(image for turn in conversation.turns for image in turn.images))
    cells = [pictures.cell(image, source.picture(image)) for image in hashes]
    row = {
        "id": conversation.id,
        "turns": [_turn(turn, draft) for turn, draft in zip(conversation.turns, conversation.drafts, strict=True)],
        "opening": conversation.opening,
        "outfit_id": conversation.outfit_id,
        "ended_by": conversation.ended_by,
        "target_id": conversation.target_id,
        "accepted_id": conversation.accepted_id,
        "scenario": {"id": scenario.id, "family": scenario.family, "text": scenario.text},
        "person": {**profile.person.model_dump(), "synthetic": True},
        "recipient": profile.recipient.model_dump() if profile.recipient else None,
        "backstory": profile.backstory,
        "requirements": [requirement.model_dump() for requirement in profile.requirements],
        "scores": conversation.scores.model_dump(),
        "verdict": judged.verdict.value,
        "verdicts": [word.model_dump() for word in judged.words],
        "human_replies": [reply.model_dump() for reply in judged.replies],
        "models": _pairs(provenance.models, "role", "model"),
        "seed": provenance.seed,
        "prompts": provenance.prompts,
        "synth": provenance.synth,
        "image_hashes": hashes,
        "images": [cell for cell, _ in cells],
    }
    return row, sum(size for _, size in cells)


def _turn(turn: Turn, draft: str) -> dict[str, Any]:
    return {
        **{name: getattr(turn, name) for name in ("speaker", "act", "text", "products", "images")},
        "draft": draft,
        "retrieval": turn.retrieval.model_dump() if turn.retrieval else None,
    }


def _product(product: Product, pictures: _Pictures) -> tuple[dict[str, Any], int]:
    first = product.images[0] if product.images else None
    cell, size = pictures.cell(first.hash, first) if first else (None, 0)
    row = {
        **{name: getattr(product, name) for name in ("id", "title", "price", "currency", "licence")},
        "features": product.features,
        "categories": product.categories,
        "attributes": _pairs(product.attributes, "name", "value"),
        "descriptions": _pairs(product.descriptions, "name", "text"),
        "image_hash": first.hash if first else None,
        "image": cell,
    }
    return row, size


def _pairs(entries: Mapping[str, str], name: str, value: str) -> list[dict[str, str]]:
    """A list of structs: Arrow would give a struct a field for every key that any row has."""
    return [{name: key, value: entry} for key, entry in entries.items()]


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
  Split 8:1:1 by hash; conversations with the same target product or the same person are in one split.
- `products`: the {products} products that the conversations show or that a search returned.
{note}
```python
from datasets import load_dataset

conversations = load_dataset("path/to/this/folder")
products = load_dataset("path/to/this/folder", "products", split="train")
```
"""
