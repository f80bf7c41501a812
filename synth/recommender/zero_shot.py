"""Untrained models that choose a candidate by its id: the zero-shot rows of LaViC's Tables 3 to 6 (KDD 2025, §5.1).

Any writer is asked, with titles alone, with each candidate's first picture, or with its description in words. The
wording is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth.errors import SynthError
from synth.randomness import rng
from synth.recommender.asking import Asked, Writer
from synth.recommender.generate import read_answer
from synth.recommender.runs import Response, RunFile

if TYPE_CHECKING:
    from synth.recommender.data import Dataset, RecExample, Split, Utterance
    from synth.recommender.items import Item
    from synth.recommender.method import Progress
    from synth.recommender.writer import LocalWriter

Shown = Literal["titles", "images", "descriptions"]
"""What of the candidates a model is shown beside their ids: titles, and the first pictures or what they show."""
FAMILIES: dict[Shown, str] = {
    "titles": "zero-shot, titles",
    "images": "zero-shot, titles and images",
    "descriptions": "zero-shot, titles and descriptions",
}
"""How tables name them."""
SYSTEM = "You recommend products to people who look for one."
_BESIDE: dict[Shown, str] = {
    "titles": "its id and its title",
    "images": "its id, its title and its picture",
    "descriptions": "its id, its title and what its picture shows",
}
_TASK = (
    "Below are a conversation in which a user looks for a product, and the candidate products, each with {beside}. "
    "Choose the one candidate that suits this user best. Answer with the id of that candidate and with nothing else."
    "\n\nConversation:\n{talk}\n\nCandidates:\n{candidates}\n\nWhich id is the best candidate's?"
)
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


@dataclass(frozen=True)
class ZeroShot:
    """How a model is asked."""

    show: Shown = "titles"
    max_words: int = 1000
    """Of the conversation; the oldest are left out."""
    max_tokens: int = 48
    """Of the answer. LaViC's code takes 10, which a model that says more than the id needs more of."""
    pattern: str = ""
    """Of an id, e.g. `generate.ASIN`: its first match counts, a candidate's or not, as in LaViC's code. Empty: the
    first candidate's id that stands by itself."""


def questions(examples: Sequence[RecExample], items: Mapping[str, Item], how: ZeroShot) -> list[Asked]:
    """What a model is asked, one question an example, under the example's id."""
    return [_question(example, items, how) for example in examples]


def draw(examples: Sequence[RecExample], limit: int | None, seed: int) -> list[RecExample]:
    """So many of the examples, drawn by seed, in their order; a larger draw holds every smaller one."""
    if limit is None or limit >= len(examples):
        return list(examples)
    drawn = sorted(range(len(examples)), key=lambda place: rng(seed, "drawn", examples[place].id).random())[:limit]
    return [examples[place] for place in sorted(drawn)]


def write(
    writer: Writer,
    dataset: Dataset,
    examples: Sequence[RecExample],
    how: ZeroShot,
    folder: Path,
    name: str,
    facts: Mapping[str, Any],
    progress: Progress | None = None,
) -> RunFile:
    """A model's answers as a run: one item or none for each example, with what was written and whether it is valid.

    An example without an answer is missing from the run; tables count it as wrong and invalid.

    Args:
        folder: where answers are kept; what is there is not asked again.
        name: as tables show it.

    Raises:
        SynthError: nothing was answered, or what the writer raises.
    """
    said = writer.write(questions(examples, dataset.items, how), folder, progress)
    if not said:
        raise SynthError(f"{writer.name} answered nothing.", "See what it said above, or `synth doctor --llm MODEL`.")
    read = {
        example.id: read_answer(
            example.id, said[example.id], example.candidates, names(example.candidates), how.pattern
        )
        for example in examples
        if example.id in said
    }
    return RunFile(
        name,
        {id_: {one.item: 1.0} if one.item else {} for id_, one in read.items()},
        {id_: Response(one.text, one.valid) for id_, one in read.items()},
        {**facts, "protocol": "written"},
    )


def rank(
    writer: LocalWriter,
    dataset: Dataset,
    examples: Sequence[RecExample],
    how: ZeroShot,
    folder: Path,
    name: str,
    facts: Mapping[str, Any],
    progress: Progress | None = None,
) -> RunFile:
    """The likelihood of every candidate's id as the answer: a whole ranking, and always of valid ids.

    Raises:
        SynthError: as `write`.
    """
    choices = {example.id: names(example.candidates) for example in examples}
    found = writer.likelihoods(questions(examples, dataset.items, how), choices, folder, progress)
    scores = {
        example.id: dict(zip(example.candidates, found[example.id], strict=True))
        for example in examples
        if example.id in found
    }
    return RunFile(name, scores, facts={**facts, "protocol": "scored"})


def facts(dataset: Dataset, split: Split, show: Shown, **more: Any) -> dict[str, Any]:
    """What tables say of such a run."""
    own = {"data": dataset.name, "split": split, "generator": dataset.generator, "family": FAMILIES[show]}
    return {**own, "show": show, **more}


def check_shown(dataset: Dataset, examples: Sequence[RecExample], show: Shown) -> str:
    """A line on what the candidates have to show.

    Raises:
        SynthError: none of them has it.
    """
    named = [dataset.items[item] for item in sorted({item for example in examples for item in example.candidates})]
    titled = sum(bool(item.title.strip()) for item in named)
    if not titled:
        raise SynthError(f"No item of {dataset.name} has a title.", "Give their metadata with --meta.")
    said = f"{len(examples):,} examples; of {len(named):,} candidates {titled:,} have a title"
    if show == "images":
        pictured = sum(bool(item.images) for item in named)
        if not pictured:
            raise SynthError(f"No item of {dataset.name} has a picture.", "Fetch them with `synth train fetch-images`.")
        said += f", {pictured:,} a picture"
    if show == "descriptions":
        told = sum(bool(item.descriptions) for item in named)
        if not told:
            raise SynthError(f"No item of {dataset.name} has a description.", "Make them with `synth train describe`.")
        said += f", {told:,} a description"
    return said + "."


def names(candidates: Sequence[str]) -> list[str]:
    """What each candidate is called in the list: its id on one line."""
    return [" ".join(candidate.split()) for candidate in candidates]


def _question(example: RecExample, items: Mapping[str, Item], how: ZeroShot) -> Asked:
    images: list[Path] = []
    lines = []
    for candidate, name in zip(example.candidates, names(example.candidates), strict=True):
        item = items[candidate]
        line = f"{name}: {_line(item.title) or '(no title)'}"
        if how.show == "images":
            images += item.images[:1]
            line += f" (picture {len(images)})" if item.images else " (no picture)"
        elif how.show == "descriptions":
            described = _line(next(iter(item.descriptions.values()), ""))
            line += f"\n  {described or '(not described)'}"
        lines.append(line)
    talk = conversation(example.context, how.max_words)
    text = _TASK.format(beside=_BESIDE[how.show], talk=talk, candidates="\n".join(lines))
    return Asked(example.id, text, tuple(images), SYSTEM, how.max_tokens)


def conversation(context: Sequence[Utterance], max_words: int) -> str:
    """The latest utterances, an utterance a line; of the oldest that is kept, its last words."""
    kept: list[str] = []
    for utterance in reversed(context):
        words = utterance.text.split()
        if max_words <= 0:
            break
        left = words[-max_words:]
        max_words -= len(left)
        cut = "… " if len(left) < len(words) else ""
        kept.insert(0, f"{_SPEAKERS[utterance.speaker]}: {cut}{' '.join(left)}")
    return "\n".join(kept)


def _line(text: str) -> str:
    return " ".join(text.split())
