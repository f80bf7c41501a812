"""The prompts of LaViC's two stages (KDD 2025, §4), as tokens.

Pieces are tokenised one by one and put together, so that it is known where every image slot and the answer are, an id
has the same tokens in the list and in the answer, and nothing a user wrote can become a special token. The wording is
ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Literal

from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.data import RecExample
    from synth.recommender.items import Item

Show = Literal["features", "descriptions", "nothing"]
"""What stands for a candidate's picture: its embeddings, its description in words, or nothing (Table 7)."""

Labels = Literal["letters", "tokens", "text"]
"""How a candidate is named: a letter by its place, or its id, whether that is one token or spelt out."""

MAX_LENGTH = 2048
"""Tokens of a prompt and its answer."""
_LEAST = 16
"""Tokens of the conversation that must stay, where it has as many."""

TASK = (
    "A user talks about a product to buy. Below are the conversation, and the candidate products with the id, the "
    "title and the picture of each. Choose the one candidate that suits this user best: mind what the user asks for in "
    "words, and also colour, shape, pattern and style, which only the pictures may show. Answer with the id of that "
    "candidate and with nothing else.\n\n"
)
DESCRIBE = "Below are a product's title and its picture. Describe what the picture shows of the product.\n\n"
_SPEAKERS = {"user": "User: ", "assistant": "Assistant: "}


@dataclass(frozen=True)
class Slot:
    """A place in the prompt that takes an image's embedding instead of a token's."""

    position: int
    """In the prompt's tokens."""
    image: int
    """Whose: the candidate's place in the list (0 where the prompt is about one product)."""
    crop: int
    """Which of that image's embeddings."""


@dataclass(frozen=True)
class Encoded:
    """A prompt, and the answer where it is known."""

    ids: tuple[int, ...]
    """The prompt's tokens; in slots the image token's id."""
    slots: tuple[Slot, ...]
    answer: tuple[int, ...]
    """What is learnt after the prompt; empty where nothing is."""
    cut: int = 0
    """Tokens of the conversation that were left out, the oldest."""
    pictures: int = 0
    """Of the prompt's tokens, those that stand for pictures, their line ends included."""
    ends: tuple[int, ...] = ()
    """Where the entry of each candidate ends: the position of its last token before the line's end."""

    def __len__(self) -> int:
        return len(self.ids) + len(self.answer)


class Tokens:
    """A tokenizer's way to write prompts: special tokens only where the prompt puts them."""

    def __init__(self, tokenizer: Any, image_token_id: int, *, end_token: bool = True) -> None:
        """
        Args:
            tokenizer: of `transformers`.
            image_token_id: what stands in image slots.
            end_token: end an answer with the end-of-text token; False is LaViC's way, which trains none.
        """
        self.tokenizer = tokenizer
        self.image = image_token_id
        self.start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
        if end_token and tokenizer.eos_token_id is None:
            raise SynthError("This tokenizer has no end-of-text token.", "Train without it: --no-end-token.")
        self.end = [tokenizer.eos_token_id] if end_token else []
        self._known: dict[str, list[int]] = {}

    def text(self, text: str) -> list[int]:
        """A piece's tokens; `</s>` or `<image>` in it are letters like any others."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if self.image in ids:
            raise SynthError(f"The tokenizer makes an image token of plain text: {text[:60]!r}.")
        return ids

    def known(self, text: str) -> list[int]:
        """The same for pieces that come again and again. Nobody may change the list."""
        if text not in self._known:
            self._known[text] = self.text(text)
        return self._known[text]

    def answer(self, text: str) -> tuple[int, ...]:
        """An answer's tokens.

        Raises:
            SynthError: it has none.
        """
        ids = self.known(text)
        if not ids:
            raise SynthError(f"The answer {text!r} has no token: there would be nothing to learn.")
        return (*ids, *self.end)


class RecommendPrompt:
    """Stage 2: the task, the conversation, the candidates, and the answer's id."""

    def __init__(
        self,
        tokens: Tokens,
        items: Mapping[str, Item],
        crops: Callable[[str], int],
        *,
        show: Show = "features",
        labels: Labels = "text",
        max_length: int = MAX_LENGTH,
        apart: bool = False,
    ) -> None:
        """
        Args:
            items: all that are candidates, by id.
            crops: how many embeddings an item's picture has; 0 where it has no picture.
            show: what stands for a picture.
            max_length: tokens of prompt and answer together. The conversation is cut to fit, the oldest first;
                a candidate never is.
            apart: what stands for pictures does not count in `max_length`, so that the same words are kept whatever
                is shown.
        """
        self.tokens, self.items, self.crops = tokens, items, crops
        self.show, self.labels, self.max_length, self.apart = show, labels, max_length, apart

    def names(self, candidates: Sequence[str]) -> list[str]:
        """What each candidate is called, in the list and as an answer.

        Raises:
            SynthError: more candidates than letters, or an id that is to be one token and is not.
        """
        if self.labels == "tokens":
            for candidate in candidates:
                if (count := len(self.tokens.known(candidate))) != 1:
                    raise SynthError(
                        f"The id {candidate} is {count} tokens of this model, not one of its own.",
                        "Use --labels text, or make the model with `synth train warmup --labels tokens` on this data.",
                    )
        if self.labels != "letters":
            return list(candidates)
        if len(candidates) > len(ascii_uppercase):
            raise SynthError(f"{len(candidates)} candidates are more than there are letters.", "Use another preset.")
        return list(ascii_uppercase[: len(candidates)])

    def answers(self, example: RecExample) -> list[tuple[int, ...]]:
        """Each candidate's tokens as an answer."""
        return [self.tokens.answer(name) for name in self.names(example.candidates)]

    def encode(self, example: RecExample, *, answer: bool = True, spare: int | None = None) -> Encoded:
        """
        Args:
            answer: with the ground truth as the answer; False to ask.
            spare: tokens kept free after the prompt where nothing is answered; None: for the longest candidate's id.

        Raises:
            SynthError: the ground truth is not among the candidates (where it is to be learnt), a candidate is
                unknown, or the prompt cannot fit.
        """
        tokens = self.tokens
        if not example.candidates:
            raise SynthError(f"Example {example.id} has no candidates.")
        if len(set(example.candidates)) < len(example.candidates):
            raise SynthError(f"Example {example.id} has a candidate twice.")
        target: tuple[int, ...] = ()
        if answer:
            if example.gt not in example.candidates:
                raise SynthError(
                    f"The ground truth {example.gt} of example {example.id} is not among its candidates.",
                    "Force it into the lists of the training examples.",
                )
            target = self.answers(example)[example.candidates.index(example.gt)]
        if spare is None:
            spare = max(map(len, self.answers(example)))
        before = [*tokens.start, *tokens.known(TASK + "Conversation:\n")]
        after, slots, pictures, ends = self._candidates(example)
        counted = len(before) + len(after) - (pictures if self.apart else 0)
        room = self.max_length - counted - max(len(target), spare)
        talk, cut = self._conversation(example, room)
        shift = len(before) + len(talk)
        moved = tuple(Slot(slot.position + shift, slot.image, slot.crop) for slot in slots)
        return Encoded((*before, *talk, *after), moved, target, cut, pictures, tuple(end + shift for end in ends))

    def _candidates(self, example: RecExample) -> tuple[list[int], list[Slot], int, list[int]]:
        """The list and the words that ask for the answer; slots, counted from the list's start; tokens for pictures;
        where the entries end, counted like the slots."""
        tokens = self.tokens
        ids = list(tokens.known("\nCandidates:\n"))
        slots: list[Slot] = []
        ends: list[int] = []
        pictures = 0
        names = self.names(example.candidates)
        for number, (candidate, name) in enumerate(zip(example.candidates, names, strict=True)):
            item = self.items.get(candidate)
            if item is None:
                raise SynthError(f"Candidate {candidate} of example {example.id} is not among the items.")
            ids += tokens.known(name)
            ids += tokens.known(f": {item.title.strip() or '(no title)'}\n")
            words = len(ids)
            if self.show == "features":
                for crop in range(self.crops(candidate)):
                    slots.append(Slot(len(ids), number, crop))
                    ids.append(tokens.image)
                ids += tokens.known("\n")
            elif self.show == "descriptions":
                ids += tokens.known(next(iter(item.descriptions.values()), "").strip() + "\n")
            pictures += len(ids) - words
            ends.append(len(ids) - 2)
        ids += tokens.known("\nAnswer: ")
        return ids, slots, pictures, ends

    def _conversation(self, example: RecExample, room: int) -> tuple[list[int], int]:
        """The latest utterances that fit, the end of the one that does not, and how many tokens were left out."""
        parts = [
            (self.tokens.known(_SPEAKERS[turn.speaker]), self.tokens.text(turn.text.strip() + "\n"))
            for turn in example.context
        ]
        whole = sum(len(who) + len(said) for who, said in parts)
        if room < min(whole, _LEAST):
            raise SynthError(
                f"The prompt of example {example.id} cannot fit in {self.max_length:,} tokens: its candidates leave "
                f"{max(room, 0)} for the conversation.",
                "Raise --max-length, or give fewer candidates.",
            )
        kept: list[int] = []
        for who, said in reversed(parts):
            free = room - len(kept)
            if len(who) + len(said) > free:
                if free > len(who):
                    kept = [*who, *said[-(free - len(who)) :], *kept]
                break
            kept = [*who, *said, *kept]
        return kept, whole - len(kept)


class DescribePrompt:
    """Stage 1: a product's title and picture, and the description that is to be learnt from the embeddings."""

    def __init__(self, tokens: Tokens, *, max_answer: int = 128) -> None:
        """
        Args:
            max_answer: tokens of a description that are learnt at most (LaViC: 128).
        """
        self.tokens, self.max_answer = tokens, max_answer
        self._head = [*tokens.start, *tokens.text(DESCRIBE + "Title: ")]
        self._tail = tokens.text("\n\nDescription: ")

    def encode(self, title: str, description: str, crops: int) -> Encoded:
        """
        Raises:
            SynthError: the description is empty.
        """
        tokens = self.tokens
        said = tokens.text(description.strip())
        if not said:
            raise SynthError(f"The description of {title!r} is empty: there would be nothing to learn.")
        # One that is longer was cut, so it does not end here.
        answer = (*said, *tokens.end) if len(said) <= self.max_answer else tuple(said[: self.max_answer])
        head = (*self._head, *tokens.text(f"{title.strip() or '(no title)'}\n"))
        return self.with_crops(Encoded((*head, *self._tail), (), answer), crops)

    def with_crops(self, prompt: Encoded, crops: int) -> Encoded:
        """The prompt, which has no image slots yet, with so many."""
        start = len(prompt.ids) - len(self._tail)
        shown = self.with_words(prompt, [self.tokens.image] * crops)
        return replace(shown, slots=tuple(Slot(start + crop, 0, crop) for crop in range(crops)))

    def with_words(self, prompt: Encoded, words: Sequence[int]) -> Encoded:
        """The prompt, which has no image slots yet, with these tokens where they would be."""
        start = len(prompt.ids) - len(self._tail)
        return replace(prompt, ids=(*prompt.ids[:start], *words, *self._tail))
