"""Recommendation examples with one right answer each, from our own exports and from data in LaViC's form.

(Jeon et al., *Adapting Large Vision-Language Models to Visually-Aware Conversational Recommendation*, KDD 2025.)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from synth.corpora.export.masking import mask
from synth.errors import SynthError
from synth.recommender.items import Item, bare, find_meta, read_items

Split: TypeAlias = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
_UTTERANCE = re.compile(r"<(submission|comment)>(.*?)</\1>", re.DOTALL)
_SPEAKER: dict[str, Literal["user", "assistant"]] = {"submission": "user", "comment": "assistant"}
_ASIN = re.compile(r"B[A-Z0-9]{9}")
_OFFLINE = "Synth's offline simulator"


@dataclass(frozen=True)
class Utterance:
    """What one side says; handles and e-mail addresses are masked."""

    speaker: Literal["user", "assistant"]
    """`user` is who looks for a product (`<submission>` in the files), `assistant` whoever answers (`<comment>`)."""
    text: str


@dataclass(frozen=True)
class RecExample:
    """A conversation and one right answer to it."""

    id: str
    """`SPLIT:ROW#N`: the N-th answer of a row, both from 0, as in `synth.corpora.lavic`."""
    conversation: str
    """The conversation it belongs to; the examples of one conversation differ in their answer only."""
    context: tuple[Utterance, ...]
    gt: str
    """The right answer, an item's id."""
    other_gts: frozenset[str]
    """The conversation's other right answers: never among the negatives."""
    candidates: tuple[str, ...]
    """As delivered; the right answer may not be among them."""
    repeats: int = 1
    """How often the row names this answer: LaViC counts a repeated one as a pair of its own."""

    @property
    def text(self) -> str:
        """The whole conversation, an utterance a line, oldest first."""
        return "\n".join(utterance.text for utterance in self.context)


@dataclass(frozen=True)
class SplitCounts:
    """What a split holds, counted on the file as it is."""

    conversations: int
    """Rows with a right answer."""
    pairs: int
    """Of a conversation and a right answer, repeated ones included: what LaViC's HR@1 is a share of."""
    unique_pairs: int
    """Of these, the different ones: as many as there are examples."""
    hits: int
    """Pairs whose right answer is among the candidates."""
    shared: int
    """Conversations of several right answers that have more than one of them among the candidates."""
    not_asin: int
    """Pairs whose right answer is no `B…` ASIN (books have ISBNs). They are kept: every id is scored alike here,
    while the regular expression of the released code can never find one."""

    @property
    def ceiling(self) -> float:
        """Recall of the candidates, in [0, 1]: no choice among them can have a higher HR@1."""
        return self.hits / self.pairs if self.pairs else 0.0


@dataclass
class Dataset:
    """Examples by split, and the items they name."""

    name: str
    examples: dict[Split, list[RecExample]]
    items: dict[str, Item]
    """Every item that is named, those without metadata with an empty title; and all others of the metadata."""
    dropped: dict[str, int]
    """Reason -> how many rows, pairs or candidates were left out for it."""
    generator: str = ""
    """What made synthetic conversations; empty for real ones."""
    counts: dict[Split, SplitCounts] = field(default_factory=dict)

    def coverage(self, split: Split) -> tuple[int, int, int]:
        """(with a title, with a picture on disk, in all): the different items that the split's lists name."""
        named = {item for example in self.examples[split] for item in (example.gt, *example.candidates)}
        known = [self.items[item] for item in named]
        return sum(bool(item.title) for item in known), sum(bool(item.images) for item in known), len(known)


@dataclass(frozen=True)
class Row:
    """One line of a file."""

    name: str
    """`SPLIT:ROW`."""
    conversation: str
    context: tuple[Utterance, ...]
    answers: tuple[str, ...]
    """As listed, repeated ones included."""
    candidates: tuple[str, ...]


def read_lavic(folder: Path, images: Path | None = None, meta: Path | None = None) -> Dataset:
    """Reads what `synth export --format lavic` has written, the splits as they are there.

    Args:
        images: further pictures by file name, for an export that only links to them.
        meta: metadata beside its own, e.g. descriptions that `synth train describe` wrote.

    Raises:
        SynthError: the folder is no such export, or a row in it or the metadata is not of its form.
    """
    paths = split_files(folder)
    if not paths or not (folder / "item2meta.json").is_file():
        raise SynthError(f"{folder} is not a LaViC export.", "Make one with `synth export RUN --format lavic`.")
    rows = {split: list(read_rows(path, split, "retrieved")) for split, path in paths.items()}
    further = find_meta(folder, meta) if meta else []
    items = read_items([*find_meta(folder, None), *further], folder, images)
    return assemble(folder.resolve().name, rows, items, _generator(folder))


def split_files(folder: Path) -> dict[Split, Path]:
    """`train.jsonl`, `valid.jsonl` and `test.jsonl`, those that are there."""
    return {split: folder / f"{split}.jsonl" for split in SPLITS if (folder / f"{split}.jsonl").is_file()}


def read_rows(path: Path, split: str, candidates: str, hide: Callable[[str], str] = mask) -> Iterator[Row]:
    """The rows of a file.

    Args:
        candidates: which list is read: `candidates_…`.
        hide: masks what identifies people in an utterance.

    Raises:
        SynthError: a line is not of LaViC's form.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file):
            try:
                yield _row(json.loads(line.decode()), f"{split}:{number}", f"candidates_{candidates}", hide)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problem = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise SynthError(f"{path}, line {number + 1} is not a LaViC example: {problem}.") from error


def _row(raw: dict[str, Any], name: str, key: str, hide: Callable[[str], str]) -> Row:
    answers, candidates = tuple(raw["gt_items"]), tuple(raw[key])
    if not all(isinstance(item, str) and item for item in (*answers, *candidates)):
        raise ValueError("gt_items and the candidates must be lists of ids")
    context = tuple(Utterance(_SPEAKER[tag], hide(text.strip())) for tag, text in _UTTERANCE.findall(raw["context"]))
    return Row(name, str(raw.get("conversation", name)), context, answers, candidates)


def assemble(name: str, rows: Mapping[Split, Sequence[Row]], items: Mapping[str, Item], generator: str = "") -> Dataset:
    """Examples from rows: one for each different right answer; what is left out is counted."""
    dropped: Counter[str] = Counter()
    examples: dict[Split, list[RecExample]] = {split: [] for split in SPLITS}
    counts: dict[Split, SplitCounts] = {}
    for split, listed in rows.items():
        kept = []
        for row in listed:
            reason = _unusable(row)
            if reason:
                dropped[reason] += 1
                continue
            kept.append(row)
            dropped["right answer named again in its row"] += len(row.answers) - len(set(row.answers))
            dropped["candidate listed again in its row"] += len(row.candidates) - len(set(row.candidates))
            examples[split] += _examples(row)
        counts[split] = _count(kept)
    named = {item for part in examples.values() for example in part for item in (example.gt, *example.candidates)}
    known = {**{item: bare(item) for item in sorted(named - set(items))}, **items}
    return Dataset(name, examples, known, {k: n for k, n in dropped.items() if n}, generator, counts)


def _unusable(row: Row) -> str:
    if not row.answers:
        return "row without a right answer"
    if not row.candidates:
        return "row without candidates"
    return "" if any(utterance.text for utterance in row.context) else "row without a conversation"


def _examples(row: Row) -> Iterator[RecExample]:
    times = Counter(row.answers)
    for answer in times:
        yield RecExample(
            # The number is the answer's first place in the row, so that ids are those of `synth.corpora.lavic`.
            id=f"{row.name}#{row.answers.index(answer)}",
            conversation=row.conversation,
            context=row.context,
            gt=answer,
            other_gts=frozenset(times) - {answer},
            candidates=tuple(dict.fromkeys(row.candidates)),
            repeats=times[answer],
        )


def _count(rows: Sequence[Row]) -> SplitCounts:
    return SplitCounts(
        conversations=len(rows),
        pairs=sum(len(row.answers) for row in rows),
        unique_pairs=sum(len(set(row.answers)) for row in rows),
        hits=sum(answer in row.candidates for row in rows for answer in row.answers),
        shared=sum(len(set(row.answers) & set(row.candidates)) > 1 for row in rows),
        not_asin=sum(not _ASIN.fullmatch(answer) for row in rows for answer in row.answers),
    )


def _generator(folder: Path) -> str:
    """What an export's data card says it was made by."""
    card = folder / "README.md"
    text = card.read_text("utf-8") if card.is_file() else ""
    models = list(dict.fromkeys(re.findall(r"^\| model of the \w+ \| `([^`]+)` \|$", text, re.MULTILINE)))
    named = [_OFFLINE if model == "offline" else model for model in models]
    if not named:
        return _OFFLINE if '"offline-simulator"' in text else "a synthetic run"
    return ", ".join(named)
