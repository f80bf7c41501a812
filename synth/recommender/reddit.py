"""The Reddit-Amazon data as LaViC released it (Jeon et al., KDD 2025)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Literal

from synth.corpora.export.masking import mask
from synth.corpora.export.splits import assign
from synth.errors import SynthError
from synth.recommender.data import SPLITS, Dataset, Row, Split, assemble, read_rows, split_files
from synth.recommender.items import find_meta, read_items

_HANDLE = re.compile(r"(?<!\w)(/?u(?:ser)?)/[A-Za-z0-9_-]{2,}")


def read_reddit_amazon(
    folder: Path,
    meta: Path | None = None,
    images: Path | None = None,
    seed: int = 0,
    candidates: Literal["st", "gpt_large"] = "st",
) -> Dataset:
    """Reads one domain of the released data, or one file in its form.

    The splits are the released files'. A single file of another name is split 8:1:1, in which conversations that begin
    with the same post stay together. Handles (`@name`, `u/name`) and e-mail addresses are masked.

    Args:
        folder: one with `train.jsonl`, `valid.jsonl` or `test.jsonl`; or a single `.jsonl` file.
        meta: the item metadata; None looks for `item2meta*` in the folder and beside it. Without it titles are empty.
        images: the pictures, by file name.
        seed: of the split of a single file.
        candidates: the released list: the ten nearest by SBERT (`st`), or by OpenAI's large model (`gpt_large`).

    Raises:
        SynthError: there is no such file, or a row or the metadata is not in the released form.
    """
    if folder.is_file():
        rows = _split(list(read_rows(folder, "row", candidates, mask_handles)), seed)
        home = folder.parent
    else:
        paths = split_files(folder)
        if not paths:
            raise SynthError(
                f"{folder} has no train.jsonl, valid.jsonl or test.jsonl.",
                "Name the folder of one domain of the Reddit-Amazon data, or a .jsonl file.",
            )
        rows = {split: list(read_rows(path, split, candidates, mask_handles)) for split, path in paths.items()}
        home = folder
    items = read_items(find_meta(home, meta), home, images)
    return assemble(folder.resolve().name, rows, items)


def mask_handles(text: str) -> str:
    """The text with e-mail addresses, @handles and Reddit's u/handles masked."""
    return _HANDLE.sub(r"\1/[handle]", mask(text))


def _split(rows: list[Row], seed: int) -> dict[Split, list[Row]]:
    """Rows 8:1:1 by their opening post, in their order."""
    posts = {row.name: row.context[0].text if row.context else "" for row in rows}
    chosen = assign(Counter(posts.values()), seed)
    split: dict[Split, list[Row]] = {name: [] for name in SPLITS}
    for row in rows:
        split[SPLITS[chosen[posts[row.name]]]].append(row)
    return split
