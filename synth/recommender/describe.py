"""Stage 0: the vision-language model describes every product picture, from all of the picture's tokens (LaViC §4.1).

The descriptions are what stage 1 teaches the few-token model to say. They are appended to one file, a line each in the
form of LaViC's released metadata, so that the file can be given as metadata; each line has its model's fingerprint and
a key of everything it depends on, and the same call goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from synth.errors import SynthError
from synth.recommender.architecture import Architecture
from synth.recommender.batches import prefetch
from synth.recommender.crops import crops, image_hash, open_image
from synth.recommender.items import Item
from synth.recommender.method import Progress
from synth.recommender.precision import memory_guard

_TITLE = "{title}"
INSTRUCTION = (
    "This is a picture of a product that a shop sells under the title: " + _TITLE + "\n"
    "Describe what the picture shows of it: colours, shape, pattern, material as it looks, parts and details, and the "
    "style they make. Write plain sentences, do not repeat the title, and say nothing that cannot be seen."
)
"""Our wording; LaViC too gives the title, and asks not to repeat it."""
MAX_NEW_TOKENS = 128
_KEY, _MODEL, _TEXT = "key", "model", "image_description_llava_cleaned"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to describe."""

    item: str
    """Id."""
    title: str
    path: Path


@dataclass(frozen=True, slots=True)
class Described:
    """What a run did."""

    written: int
    kept: int
    """Descriptions that were there."""
    empty: int
    """Of those written, how many the model left empty: they are not learnt from."""
    titles: int
    """Of those written, how many repeat the whole title."""
    unreadable: Mapping[str, str]
    """Pictures that could not be read, with the reason."""


def pictures(items: Mapping[str, Item], first: bool = False) -> list[Picture]:
    """All pictures of all items, in the items' order; `first` takes each item's first only."""
    return [Picture(i.id, i.title, path) for i in items.values() for path in (i.images[:1] if first else i.images)]


def describe(
    architecture: Architecture,
    wanted: Sequence[Picture],
    out: Path,
    *,
    batch: int = 8,
    max_new_tokens: int = MAX_NEW_TOKENS,
    progress: Progress | None = None,
    workers: int = 2,
) -> Described:
    """Describes the pictures whose description is not in `out` yet, greedily, and appends them batch by batch.

    Args:
        out: a JSONL file; a line cut short by a kill is taken away.
        batch: pictures at once, grouped by the length of their prompts.
        max_new_tokens: of a description; where it ends in the middle of a sentence, that sentence is dropped.

    Raises:
        SynthError: the model's placeholder and its images do not fit together, or the memory is not enough.
    """
    made_by = [architecture.fingerprint, str(architecture.dtype), architecture.quantised, max_new_tokens]
    out.parent.mkdir(parents=True, exist_ok=True)
    architecture.model.eval()
    with FileLock(out.with_name(out.name + ".lock")):
        known = {row[_KEY] for row in _rows(out)}
        _end_last_line(out)
        unreadable: dict[str, str] = {}
        keys: dict[Picture, str] = {}
        for picture in wanted:
            try:
                keys[picture] = _key(made_by, image_hash(picture.path), picture)
            except SynthError as error:
                unreadable[str(picture.path)] = error.what
        todo = [picture for picture, key in keys.items() if key not in known]
        todo.sort(key=lambda picture: len(picture.title))
        groups = [todo[start : start + batch] for start in range(0, len(todo), batch)]
        written, empty, titles = 0, 0, 0
        if progress:
            progress.stage("describe", len(todo))

        def prepared(group: list[Picture]) -> tuple[list[Picture], list[Any]]:
            opened, sizes, good = [], [], []
            for picture in group:
                try:
                    image = open_image(picture.path)
                except SynthError as error:
                    unreadable[str(picture.path)] = error.what
                    continue
                opened.append(crops(image, architecture.image_processor))
                sizes.append((image.height, image.width))
                good.append(picture)
            return good, [opened, sizes]

        with out.open("a", encoding="utf-8", newline="\n") as file:
            for good, (opened, sizes) in prefetch(groups, prepared, workers):
                if good:
                    with memory_guard(f"{len(good)} pictures", f"Use --batch {max(1, batch // 2)}."):
                        texts = generate(architecture, [p.title for p in good], opened, sizes, max_new_tokens)
                    for picture, text in zip(good, texts, strict=True):
                        row = _row(picture, keys[picture], architecture.fingerprint, text)
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
                        empty += not text
                        titles += bool(picture.title) and picture.title.lower() in text.lower()
                    file.flush()
                    os.fsync(file.fileno())
                written += len(good)
                if progress:
                    progress.advance(written + len(unreadable))
    return Described(written, len(keys) - len(todo), empty, titles, unreadable)


def generate(
    architecture: Architecture,
    titles: Sequence[str],
    images: Sequence[torch.Tensor],
    sizes: Sequence[tuple[int, int]],
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[str]:
    """Descriptions of images given as crops (n_real, 3, H, W) with their heights and widths before they were cropped.

    Prompts are padded on the left, so that a picture's description does not depend on its company.
    """
    tokenizer = architecture.tokenizer
    with torch.inference_mode():
        shown = architecture.image_tokens(torch.cat(list(images)), list(sizes))
        prompts = [prompt(architecture, title, len(each)) for title, each in zip(titles, shown, strict=True)]
        longest = max(map(len, prompts))
        filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        ids = torch.tensor([[filler] * (longest - len(p)) + p for p in prompts], device=architecture.device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=architecture.device)
        embedded = architecture.place(architecture.embed(ids), ids, torch.cat(shown))
        made = architecture.model.generate(
            inputs_embeds=embedded,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=filler,
        )
    return [
        clean(tokenizer.decode(row, skip_special_tokens=True), tokenizer.eos_token_id not in row.tolist())
        for row in made
    ]


def prompt(architecture: Architecture, title: str, image_tokens: int) -> list[int]:
    """Tokens of the request, with as many placeholders as the image has tokens.

    A model with a chat template is asked through it; one without, as LaViC's stages do, ends in `Assistant:`. A title
    is only ever text: a special token spelt out in it stays letters.

    Raises:
        SynthError: the template has no place for a picture.
    """
    tokenizer, place = architecture.tokenizer, architecture.image_token_id
    before, found, after = _request(tokenizer, place).partition(tokenizer.convert_ids_to_tokens(place))
    if not found:
        raise SynthError(f"The chat template of {architecture.base.name} has no place for a picture.")
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    if tokenizer.bos_token and before.startswith(tokenizer.bos_token):
        before = before[len(tokenizer.bos_token) :]
    head, _, tail = after.partition(_TITLE)

    def tokens(part: str, plain: bool = False) -> list[int]:
        ids: list[int] = tokenizer(part, add_special_tokens=False, split_special_tokens=plain)["input_ids"]
        return ids if part else []

    shown = " ".join(title.split()) or "(none)"
    return [*start, *tokens(before), *[place] * image_tokens, *tokens(head), *tokens(shown, True), *tokens(tail)]


def _request(tokenizer: Any, place: int) -> str:
    """The request's text, with the image's placeholder once and the title's mark in it."""
    mark = tokenizer.convert_ids_to_tokens(place)
    if not tokenizer.chat_template:
        return f"{mark}\n{INSTRUCTION}\nAssistant:"
    parts = [{"type": "image"}, {"type": "text", "text": INSTRUCTION}]
    # The template of a model for pictures knows parts; that of a language model only plain text.
    for content in (parts, f"{mark}\n{INSTRUCTION}"):
        try:
            text = str(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
                )
            )
        except TypeError:  # such a template joins texts, and the parts are none
            continue
        if mark in text and "'type'" not in text:
            return text
    return ""


def clean(text: str, cut: bool) -> str:
    """White space made even; of a text that was cut off, the unfinished last sentence is dropped if another is left."""
    text = " ".join(text.split())
    if not cut or text.endswith((".", "!", "?")):
        return text
    end = max(text.rfind(mark) for mark in (". ", "! ", "? "))
    return text[: end + 1] if end > 0 else text


def read_descriptions(path: Path, model: str | None = None) -> dict[str, dict[str, str]]:
    """Descriptions by item and by the picture's file name; of several of one picture the latest.

    Args:
        model: fingerprint of the model whose descriptions are wanted; None for any.

    Raises:
        SynthError: there is no such file, it is not one of descriptions, or none in it is by the model.
    """
    if not path.is_file():
        raise SynthError(f"There is no file {path}.", "Make it with `synth train describe`.")
    found: dict[str, dict[str, str]] = {}
    for row in _rows(path):
        if row[_TEXT] and model in (None, row.get(_MODEL)):
            found.setdefault(row["id"], {})[row["image_name"]] = row[_TEXT]
    if model is not None and not found:
        raise SynthError(f"{path} has no description by this model.", "Run `synth train describe` with it first.")
    return found


def _key(made_by: list[Any], image: str, picture: Picture) -> str:
    text = json.dumps([image, made_by, INSTRUCTION, picture.title, picture.item, picture.path.name])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _row(picture: Picture, key: str, model: str, text: str) -> dict[str, str]:
    named = {"id": picture.item, "title": picture.title, "image_name": picture.path.name, "image": ""}
    return {**named, _TEXT: text, _KEY: key, _MODEL: model}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, a last one that somebody is still writing left out."""
    if not path.is_file():
        return
    *lines, last = path.read_bytes().split(b"\n")
    if _is_json(last):
        lines.append(last)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if not {"id", "image_name", _TEXT, _KEY} <= row.keys():
                raise ValueError("a field is missing")
        except (ValueError, AttributeError) as error:
            raise SynthError(f"{path}, line {number} is no description: {error}.", "Choose another file.") from error
        yield row


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _end_last_line(path: Path) -> None:
    """Ends a last line that has no end, and takes it away if a kill cut it short. Only for who has the file's lock."""
    if not path.is_file():
        return
    data = path.read_bytes()
    start = data.rfind(b"\n") + 1
    if _is_json(data[start:]):
        with path.open("ab") as file:
            file.write(b"\n")
    elif start < len(data):
        os.truncate(path, start)
