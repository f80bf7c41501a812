"""A tiny model made from nothing for MUSE's tasks: it can see a little, and has read the shop and what is said in it.

Not in MUSE, which tunes models of billions of parameters: it stands in for their pretraining. The tokenizer, the tower
and the language model learn from the catalogue and from conversations that nothing is tested on; no query of a run is
among what they read.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from synth.corpora.summary import summary
from synth.errors import SynthError
from synth.recommender.adapters import Lora, adapt
from synth.recommender.architecture import load
from synth.recommender.batches import pad
from synth.recommender.checkpoint import replacing, write_json
from synth.recommender.labelled import Labelled, held_out, labelled
from synth.recommender.making import Recipe, make
from synth.recommender.method import Method, Progress, TrainSettings
from synth.recommender.muse.data import MuseData
from synth.recommender.muse.learnt import FILE, Learnt
from synth.recommender.muse.prompts import ask
from synth.recommender.prompts import Encoded
from synth.recommender.scoring import label_losses
from synth.recommender.training import train
from synth.recommender.warmup import ATTRIBUTE_SETTINGS, CAPTION_SETTINGS

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture

TALK_SETTINGS = TrainSettings(
    epochs=2, batch=4, lr=2e-3, weight_decay=0.01, schedule="cosine", warmup=0.05, trackers=()
)
"""What the language model reads with: some three minutes of one core."""
_LONGEST = 1024
"""Tokens of a text that are read."""


@dataclass(frozen=True)
class Warming:
    """How a tiny model is made."""

    seed: int = 0
    pictures: int = 1500
    """Products whose picture the tower learns from, at most."""
    talks: int = 700
    """Conversations that the language model reads, at most; and twice as many products."""
    attributes: TrainSettings = replace(ATTRIBUTE_SETTINGS, epochs=4)
    captions: TrainSettings = replace(CAPTION_SETTINGS, epochs=2)
    talk: TrainSettings = TALK_SETTINGS
    device: str = "auto"


class Talk(Method):
    """Trains the whole language model to go on with texts: what is said in a shop, and what it sells.

    Figures on the held-out texts: `loss` and `perplexity` per token.
    """

    name = "talk"
    metric = "loss"
    higher = False

    def __init__(self, architecture: Architecture, train: Sequence[str], valid: Sequence[str], seed: int = 0) -> None:
        """
        Raises:
            SynthError: there is nothing to read.
        """
        self.architecture = architecture
        self._splits = {"train": self._encoded(train), "valid": self._encoded(valid)}
        self._filler = int(architecture.tokenizer.pad_token_id)
        self.model = adapt(architecture, "language", Lora(rank=0), seed)

    def _encoded(self, texts: Sequence[str]) -> list[Encoded]:
        tokenizer = self.architecture.tokenizer
        start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        read = (tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] for text in texts)
        return [Encoded((start,), (), (*ids[:_LONGEST], end)) for ids in read if ids]

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Encoded]:
        return self._splits[split]

    def length(self, example: Encoded) -> int:
        return len(example)

    def collate(self, examples: list[Encoded]) -> dict[str, Any]:
        return pad(examples, self._filler)

    def step(self, model: Any, batch: Any) -> tuple[Tensor, int]:
        here = {k: v.to(self.architecture.device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        losses = label_losses(self.architecture, here, self.architecture.joined([]))
        return losses.sum(), len(losses)

    def evaluate(self, model: Any) -> dict[str, float]:
        held = sorted(self._splits["valid"], key=self.length)
        sums = [self.step(model, self.collate(held[start : start + 8])) for start in range(0, len(held), 8)]
        if not sums:
            return {}
        loss = sum(float(value) for value, _ in sums) / sum(number for _, number in sums)
        return {"loss": loss, "perplexity": math.exp(min(loss, 700))}

    def save(self, folder: Path) -> None:
        self.architecture.save(folder)

    def signature(self) -> dict[str, Any]:
        return {"base": self.architecture.fingerprint, "valid": len(self._splits["valid"])}


def make_tiny(
    data: MuseData,
    reads: Sequence[str],
    valid: Sequence[str],
    out: Path,
    split: str,
    warming: Warming | None = None,
    progress: Progress | None = None,
) -> Path:
    """Makes a checkpoint folder `out`; stopped anywhere, the same call goes on. One that is there is taken as it is.

    Args:
        reads: conversations that it reads, none of which is tested on.
        valid: conversations that say which epoch was best.
        split: the options that drew these; the folder keeps them, and what was read.

    Raises:
        SynthError: there is no picture, or nothing to read; or `out` was made, or begun, of other conversations.
    """
    warming = warming or Warming()
    reads = reads[: warming.talks]
    learnt = Learnt.of(data, (*reads, *valid), split)
    # Beside the folder until that is whole: what was begun for another split must not be gone on with either.
    begun = out.with_name(f"{out.name}.begun")
    for place in (out, begun):
        if place.is_dir() and Learnt.read(place) != learnt:
            raise SynthError(f"{place} was made for another split or run.", "Choose another --out.")
    if out.is_dir():
        return out
    if not begun.is_dir():
        with replacing(begun) as folder:
            write_json(folder / FILE, learnt.json())
    talks = [talk(data, name) for name in reads]
    cards = [f"Product: {product.title}\n{summary(product)}" for product in data.catalogue]
    seeing = begun / "seeing"
    if not seeing.is_dir():
        train_on, held = held_out(_pictured(data, warming), 0.1, warming.seed)
        # No letters for candidates, which nobody names here: `I` and `A` are words of these texts.
        recipe = Recipe(
            labels="tokens", seed=warming.seed, attributes=warming.attributes, captions=warming.captions,
            device=warming.device,
        )  # fmt: skip
        # The last moment has pictures before it, where there are any.
        prompt = ask("recommend", data.moments[reads[0]][-1], data).text
        make(recipe, train_on, held, [*cards, *talks, *[prompt] * 50], [], seeing, progress)
    architecture = load(seeing, "fp32", warming.device)
    chance = random.Random(warming.seed)
    # Fewer words of the catalogue than of what is said: a model should know the names of things, and how people speak
    # of them.
    chosen = chance.sample(cards, min(len(cards), len(talks) * 2))
    method = Talk(architecture, [*talks, *chosen], [talk(data, name) for name in valid], warming.seed)
    work = begun / "work"
    done = train(method, replace(warming.talk, seed=warming.seed), work, progress)
    with replacing(out) as folder:
        architecture.save(folder)
        figures = {**json.loads((seeing / "warmup.json").read_text("utf-8")), "talk": done.metrics["best"]}
        (folder / "warmup.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        write_json(folder / FILE, learnt.json())
    shutil.rmtree(begun, ignore_errors=True)
    return out


def talk(data: MuseData, conversation: str) -> str:
    """A conversation as prompts show it, whole."""
    last = data.moments[conversation][-1]
    lines = [*last.context]
    said = {"user": "Customer", "assistant": "Assistant"}
    texts = [f"{said[line.speaker]}: {' '.join(line.text.split())}" for line in lines]
    return "\n".join([*texts, f"Assistant: {' '.join(last.text.split())}"])


def _pictured(data: MuseData, warming: Warming) -> list[Labelled]:
    """Products whose picture is at hand, as many as the tower is to learn from."""
    there = [known for known in labelled(data.catalogue) if known.image.is_file()]
    if not there:
        raise SynthError(f"No picture of {data.name} is at hand.", "Name the catalogue that has them with --catalog.")
    chance = random.Random(warming.seed)
    return chance.sample(there, min(len(there), warming.pictures))
