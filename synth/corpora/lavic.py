"""Reads recommendation examples in LaViC's form: our own exports, and the Reddit-Amazon data as released.

(Jeon et al., *Adapting Large Vision-Language Models to Visually-Aware Conversational Recommendation*, KDD 2025.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synth.corpora.records import RecExample, Turn
from synth.errors import SynthError

SPLITS = ("train", "valid", "test")
_UTTERANCE = re.compile(r"<(submission|comment)>(.*?)</\1>", re.DOTALL)
_PREFIX = "candidates_"
_DEFAULT = "st"
"""The list LaViC trains on where a file has several: the ten nearest by SBERT."""


def read_lavic(folder: Path, *, split: str | None = None, candidates: str | None = None) -> Iterator[RecExample]:
    """Examples of a folder with `train.jsonl`, `valid.jsonl` or `test.jsonl`, in the files' order.

    A row with several ground-truth items gives an example for each, repeated ones included: LaViC's hit rate counts
    such pairs. Ids are `SPLIT:ROW#N`, both numbers from 0. Candidates are as retrieved; the truth may not be among
    them. In released rows the seeker's posts are `need` turns and the comments `recommend` turns where they name an
    item, else `chit_chat`.

    Args:
        split: only this one; None for all that are there.
        candidates: which list, e.g. `st` or `gpt_large`; None for the only one, or `st` where there are several.

    Raises:
        SynthError: no such file, or a row that is not of this form.
    """
    names = (split,) if split else SPLITS
    paths = [folder / f"{name}.jsonl" for name in names if (folder / f"{name}.jsonl").is_file()]
    if not paths:
        raise SynthError(
            f"{folder} has no {' or '.join(f'{name}.jsonl' for name in names)}.",
            "Make one with `synth export RUN --format lavic`.",
        )
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file):
                try:
                    yield from _examples(json.loads(line), f"{path.stem}:{number}", candidates)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    problem = f"no {error}" if isinstance(error, KeyError) else str(error)
                    raise SynthError(f"{path}, line {number + 1} is not a LaViC example: {problem}.") from error


def _examples(row: dict[str, Any], name: str, candidates: str | None) -> Iterator[RecExample]:
    listed = tuple(row[_candidates_key(row, candidates)])
    turns = _turns(row)
    for number, truth in enumerate(row["gt_items"]):
        yield RecExample(id=f"{name}#{number}", context=turns, candidates=listed, truth=truth)


def _candidates_key(row: dict[str, Any], wanted: str | None) -> str:
    if wanted:
        return _PREFIX + wanted
    keys = [key for key in row if key.startswith(_PREFIX)]
    return keys[0] if len(keys) == 1 else _PREFIX + _DEFAULT


def _turns(row: dict[str, Any]) -> tuple[Turn, ...]:
    """The context as turns. An item that no text names goes with the last turn."""
    parts = _UTTERANCE.findall(row["context"])
    known = row.get("turns")
    if known is not None:
        return tuple(
            Turn.model_validate({"index": index, "text": text, **facts})
            for index, ((_, text), facts) in enumerate(zip(parts, known, strict=True))
        )
    texts = [text for _, text in parts]
    unnamed = [item for item in row["context_items"] if not any(item in text for text in texts)]
    turns = []
    for index, (tag, text) in enumerate(parts):
        products = [item for item in row["context_items"] if item in text]
        if index == len(parts) - 1:
            products += unnamed
        seeker = tag == "submission"
        turns.append(
            Turn(
                index=index,
                speaker="user" if seeker else "assistant",
                act="need" if seeker else "recommend" if products else "chit_chat",
                text=text,
                products=tuple(products),
            )
        )
    return tuple(turns)
