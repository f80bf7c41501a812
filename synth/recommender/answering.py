"""A recommender as it is used: conversations with candidates in, rankings and written answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor

from synth.errors import SynthError
from synth.recommender import generate
from synth.recommender.batches import everyones, mine
from synth.recommender.precision import autocast, memory_guard
from synth.recommender.prompts import Encoded, Labels, RecommendPrompt, Show, Tokens
from synth.recommender.scoring import pack, score_candidates

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture
    from synth.recommender.data import RecExample
    from synth.recommender.items import Item

T = TypeVar("T")
Advance = Callable[[int], None]
"""Called with how many of this process' examples are done."""


class Features(Protocol):
    """Where pictures' features are kept."""

    def get(self, image_hash: str, /) -> Any:
        """(n, d), or (n, patches, d) for all tokens; raises KeyError or SynthError where the picture is not there."""
        ...


@dataclass(frozen=True)
class PromptSettings:
    """How stage 2 writes a prompt; a checkpoint keeps it."""

    show: Show = "features"
    labels: Labels = "text"
    max_length: int = 2048
    end_token: bool = True
    """Learn the end after the id; False is LaViC's way."""
    apart: bool = False
    """Pictures do not count in `max_length`, and batches are grouped without them: variants that show different
    things for a picture then learn from the same words in the same batches."""


class Pictures:
    """The features of items' first pictures."""

    def __init__(self, features: Features | None, hashes: Mapping[str, str]) -> None:
        """
        Args:
            features: None where no picture is looked at.
            hashes: of the first picture, by item id; items without a picture are absent.
        """
        self._features, self._hashes = features, hashes
        self._counts: dict[str, int] = {}

    def hash_of(self, item: str) -> str:
        """The hash of an item's picture; empty for an item without one."""
        return self._hashes.get(item, "")

    def count(self, item: str) -> int:
        """How many embeddings an item's picture has; 0 without a picture.

        Raises:
            SynthError: its features were not computed.
        """
        if self._features is None or item not in self._hashes:
            return 0
        if item not in self._counts:
            self._counts[item] = len(self.get(item))
        return self._counts[item]

    def get(self, item: str) -> Tensor:
        """(n, d): a row for each slot of the item's picture."""
        if self._features is None:
            raise KeyError(item)
        try:
            features = torch.as_tensor(self._features.get(self._hashes[item]))
            return features.flatten(0, -2)
        except KeyError as error:
            raise SynthError(
                f"The feature cache has no picture {self._hashes.get(item, '')} of item {item}.",
                "Bring it up to date with `synth train features`.",
            ) from error

    def stack(self, examples: Sequence[RecExample], prompts: Sequence[Encoded], width: int) -> Tensor:
        """(slots, d): the features of all slots of a batch, in reading order."""
        rows = [
            # Autocast on a CPU puts no 16-bit numbers together.
            self.get(example.candidates[image]).float()
            for example, prompt in zip(examples, prompts, strict=True)
            for image in dict.fromkeys(slot.image for slot in prompt.slots)
        ]
        return torch.cat(rows) if rows else torch.zeros(0, width)


class Recommender:
    """A model, the items it may recommend and their pictures. The vision tower is not needed."""

    def __init__(
        self,
        architecture: Architecture,
        items: Mapping[str, Item],
        pictures: Pictures,
        settings: PromptSettings,
        *,
        batch_option: str = "--batch",
    ) -> None:
        """
        Args:
            batch_option: what sets how many examples are answered at once; named where memory runs out.
        """
        self.architecture, self.pictures, self.settings = architecture, pictures, settings
        self.batch_option = batch_option
        tokens = Tokens(architecture.tokenizer, architecture.image_token_id, end_token=settings.end_token)
        self.prompt = RecommendPrompt(
            tokens,
            items,
            pictures.count,
            show=settings.show,
            labels=settings.labels,
            max_length=settings.max_length,
            apart=settings.apart,
        )
        filler = architecture.tokenizer.pad_token_id
        self.filler = int(filler if filler is not None else architecture.tokenizer.eos_token_id or 0)

    def embed(self, features: Tensor) -> Tensor:
        """Slots' features (slots, d) as the projector gives them to the language model, without a gradient."""
        with torch.no_grad():
            return self.architecture.project(features)

    def rank(
        self, examples: Sequence[RecExample], batch: int = 8, advance: Advance | None = None
    ) -> dict[str, dict[str, float]]:
        """Log-likelihood of every candidate, by example and item id: a run. Every process gets all of it.

        Raises:
            SynthError: a prompt cannot fit, a candidate or its features are missing, no memory.
        """

        def score(part: list[RecExample], prompts: list[Encoded]) -> list[tuple[str, dict[str, float]]]:
            answers = [self.prompt.answers(example) for example in part]
            packed = _to(pack(prompts, answers, self.filler), self.architecture.device)
            scores = score_candidates(self.architecture, packed, self._images(part, prompts)).tolist()
            pairs = zip(part, scores, strict=True)
            return [(example.id, dict(zip(example.candidates, row, strict=True))) for example, row in pairs]

        return dict(self._each(examples, batch, score, advance))

    def respond(
        self,
        examples: Sequence[RecExample],
        batch: int = 8,
        *,
        most: int | None = None,
        pattern: str = "",
        advance: Advance | None = None,
    ) -> list[generate.Response]:
        """What the model writes, in the order of the examples: the paper's protocol. Every process gets all of it.

        Args:
            most: new tokens at most; LaViC's code has 10. None: as many as the batch's longest id has, and its end.
            pattern: of an id, e.g. `generate.ASIN`; empty: any candidate's name.
        """
        architecture = self.architecture
        end = architecture.tokenizer.eos_token_id

        def write(part: list[RecExample], prompts: list[Encoded]) -> list[tuple[str, generate.Response]]:
            longest = max(len(answer) for example in part for answer in self.prompt.answers(example))
            limit = most or longest + (0 if self.settings.end_token else 1)
            images = self._images(part, prompts)
            written = generate.greedy(architecture, prompts, images, most=limit, filler=self.filler, end=end)
            responses = []
            for example, ids in zip(part, written, strict=True):
                text = generate.decode(architecture.tokenizer, ids)
                names = self.prompt.names(example.candidates)
                read = generate.read_answer(example.id, text, example.candidates, names, pattern)
                responses.append((example.id, read))
            return responses

        found = dict(self._each(examples, batch, write, advance))
        return [found[example.id] for example in examples]

    def _images(self, examples: Sequence[RecExample], prompts: Sequence[Encoded]) -> Tensor:
        return self.embed(self.pictures.stack(examples, prompts, self.architecture.vision_width))

    def _each(
        self,
        examples: Sequence[RecExample],
        batch: int,
        do: Callable[[list[RecExample], list[Encoded]], list[tuple[str, T]]],
        advance: Advance | None,
    ) -> list[tuple[str, T]]:
        """`do` for batches of like length, shared among the processes, with the model in evaluation mode."""
        model = self.architecture.model
        training = model.training
        model.eval()
        results: list[tuple[str, T]] = []
        try:
            for part, prompts in self._batches(mine(examples), batch):
                longest = max(map(len, prompts))
                less = "--quantise 4bit, fewer candidates, or --device cpu"
                fix = f"Try a smaller {self.batch_option}." if len(part) > 1 else f"Try {less}."
                with (
                    memory_guard(f"{_several(len(part))} of up to {longest:,} tokens", fix),
                    torch.no_grad(),
                    autocast(self.architecture.device, self.architecture.dtype),
                ):
                    results += do(part, prompts)
                if advance:
                    advance(len(results))
        finally:
            model.train(training)
        return everyones(results)

    def _batches(self, examples: Sequence[RecExample], batch: int) -> Iterator[tuple[list[RecExample], list[Encoded]]]:
        made = [(example, self.prompt.encode(example, answer=False)) for example in examples]
        # As many candidates in each example of a batch; like lengths; the longest first, to run out of memory at once.
        made.sort(key=lambda pair: (len(pair[0].candidates), len(pair[1])), reverse=True)
        start = 0
        while start < len(made):
            k = len(made[start][0].candidates)
            part = [pair for pair in made[start : start + batch] if len(pair[0].candidates) == k]
            yield [example for example, _ in part], [prompt for _, prompt in part]
            start += len(part)


def _several(examples: int) -> str:
    return "1 example" if examples == 1 else f"{examples:,} examples"


def _to(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
