"""Warm-up of a projector: pictures' [CLS] embeddings to read as words, the language model as it is.

Not in LaViC, which starts from a LLaVA whose projector is trained. LLaVA trains it on captions of patches alone, for
its language model can do the rest; a tiny one that has learnt to compare words compares embeddings only where they
look like words: in the same places, of like length. A projector from nothing makes them twenty times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from synth.recommender.method import Method, digest
from synth.recommender.prompts import Tokens

if TYPE_CHECKING:
    from synth.recommender.answering import Pictures
    from synth.recommender.architecture import Architecture
    from synth.recommender.warmup import CaptionWarmup


@dataclass(frozen=True)
class AlignSettings:
    """What the projector is asked for."""

    looks: int = 20
    """How often an epoch comes to each picture's [CLS], for each caption that it learns to write."""
    sharpness: float = 2.0
    """Factor of the products of an embedding and the words', before their softmax."""
    closeness: float = 1.0
    """Weight of the squared distance to the word, in units of a word's mean squared length."""


class Read(NamedTuple):
    """A picture and the words that its embeddings shall read as, a token for each of them."""

    item: str
    tokens: tuple[int, ...]


class Alignment(Method):
    """Trains the projector so that the n-th embedding of a picture is near the n-th word that is said of it.

    Embeddings beyond the words' end read as the last of them. With `captions` it learns at the same time to write them
    from all of a picture's tokens, since the same projector serves both. Figures on the held-out pictures: `right`, the
    share of embeddings nearest to their word among all words, and `first`, the same of each picture's first embedding.
    """

    name = "alignment"
    metric = "right"
    higher = True

    def __init__(
        self,
        architecture: Architecture,
        train: Sequence[str],
        valid: Sequence[str],
        words: Mapping[str, str],
        pictures: Pictures,
        settings: AlignSettings = AlignSettings(),
        *,
        captions: CaptionWarmup | None = None,
    ) -> None:
        """
        Args:
            train, valid: items with a picture.
            words: what is said of each item; none may be empty.
            pictures: their cached features, (n, d) each.
            captions: of the same architecture.
        """
        self.architecture, self.pictures, self.settings, self.captions = architecture, pictures, settings, captions
        tokens = Tokens(architecture.tokenizer, architecture.image_token_id)

        def read(item: str) -> Read:
            said = tokens.known(words[item].strip())
            count = pictures.count(item)
            return Read(item, (*said, *[said[-1]] * count)[:count])

        self._splits = {"train": [read(item) for item in train], "valid": [read(item) for item in valid]}
        self._words = architecture.embed(torch.arange(len(architecture.tokenizer), device=architecture.device)).detach()
        self._length = self._words.norm(dim=-1).mean()
        architecture.model.requires_grad_(False)
        self.model = nn.ModuleDict({"projector": architecture.projector}).requires_grad_(True)
        self._shorten()

    def _shorten(self) -> None:
        """Makes the pictures' embeddings as long as words are, in the mean."""
        some = torch.cat([self.pictures.get(read.item).float() for read in self._splits["train"][:256]])
        with torch.no_grad():
            factor = self._length / self.architecture.project(some).float().norm(dim=-1).mean()
            for parameter in self.architecture.projector.linear_2.parameters():
                parameter.mul_(factor)

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Any]:
        reads = self._splits[split]
        if split == "valid" or not self.captions:
            return reads * (self.settings.looks if split == "train" else 1)
        return [*reads * self.settings.looks, *self.captions.examples("train")]

    def length(self, example: Any) -> int:
        return len(example.tokens) if isinstance(example, Read) or not self.captions else self.captions.length(example)

    def grouping(self, example: Any) -> int:
        return 1

    def collate(self, examples: list[Any]) -> dict[str, Any]:
        reads = [entry for entry in examples if isinstance(entry, Read)]
        others = [entry for entry in examples if not isinstance(entry, Read)]
        batch: dict[str, Any] = {}
        if reads:
            batch["features"] = torch.cat([self.pictures.get(read.item).float() for read in reads])
            batch["words"] = torch.tensor([token for read in reads for token in read.tokens])
        if others and self.captions:
            batch["captions"] = self.captions.collate(others)
        return batch

    def step(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, int]:
        parts = []
        if "words" in batch:
            seen, words = self.architecture.project(batch["features"]).float(), self._words.float()
            wanted = batch["words"]
            named = cross_entropy(self.settings.sharpness * seen @ words.T, wanted, reduction="sum")
            apart = (seen - words[wanted]).square().sum() / self._length**2
            parts.append((named + self.settings.closeness * apart, len(wanted)))
        if "captions" in batch and self.captions:
            parts.append(self.captions.step(model, batch["captions"]))
        return torch.stack([loss for loss, _ in parts]).sum(), sum(count for _, count in parts)

    def evaluate(self, model: Any) -> dict[str, float]:
        reads = self._splits["valid"]
        if not reads:
            return {}
        batch = self.collate(list(reads))
        nearest = (self.architecture.project(batch["features"]).float() @ self._words.float().T).argmax(-1).cpu()
        right = nearest == batch["words"]
        lengths = torch.tensor([len(read.tokens) for read in reads])
        starts = lengths.cumsum(0) - lengths
        return {"right": float(right.float().mean()), "first": float(right[starts].float().mean())}

    def save(self, folder: Path) -> None:
        self.architecture.save(folder)

    def signature(self) -> dict[str, Any]:
        captions = len(self.captions.examples("train")) if self.captions else 0
        return {
            "base": self.architecture.fingerprint,
            "stage": asdict(self.settings),
            "data": digest([*self._splits["train"], *self._splits["valid"]]),
            "captions": captions,
        }
