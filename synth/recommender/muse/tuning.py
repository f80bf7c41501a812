"""Tuning a vision-language model on a run: LoRA on its language model, as stage 2 of LaViC, on queries or responses.

A prompt is the one that `synth.recommender.writer.LocalWriter` asks, token for token, with all tokens of its pictures:
what a model is tuned on is what it is asked, and without the adapter the same writer is the zero-shot arm. The vision
tower and the projector are frozen, so a picture is encoded once and its tokens are kept while memory allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from synth.errors import SynthError
from synth.recommender.adapters import Lora, adapt, write_adapter
from synth.recommender.asking import Asked
from synth.recommender.batches import everyones, mine, pad
from synth.recommender.crops import count, crops, open_image
from synth.recommender.flops import decoder_forward
from synth.recommender.method import Method
from synth.recommender.muse.data import Moment, MuseData
from synth.recommender.muse.prompts import PICTURES, Fit, Task, ask
from synth.recommender.prompts import Encoded, Tokens
from synth.recommender.scoring import label_losses
from synth.recommender.speakers import Llava
from synth.recommender.writer import LocalWriter

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture

STAGE = "muse"
_KEPT = 1 << 30
"""Bytes of picture tokens that are kept."""
_ANSWER = 192
"""Tokens of prompt and answer left to the answer."""

Judge = Callable[[Mapping[str, str]], dict[str, float]]
"""Figures of what was written, by the id of what was asked."""


@dataclass(frozen=True)
class Lesson:
    """What is asked, and the run's answer."""

    asked: Asked
    target: str


@dataclass(frozen=True)
class MuseSettings:
    """What is tuned, and how it is asked; a checkpoint keeps it."""

    task: Task = "recommend"
    model: str = ""
    """The base, as it was named."""
    lora: Lora = Lora()
    pictures: int = PICTURES
    """Of a conversation, the latest so many."""
    max_length: int = 2048
    """Tokens of a prompt and its answer; the conversation's beginning is cut to fit."""
    evaluation_batch: int = 8


class Spoken(NamedTuple):
    """A lesson in tokens."""

    ids: tuple[int, ...]
    """With one image token for each picture."""
    answer: tuple[int, ...]
    images: tuple[Path, ...]
    bound: int
    """Tokens of all of it at most, all of the pictures' included."""


class Reading:
    """How an architecture is asked: prompts in tokens, pictures bounded before they are opened by a tower."""

    def __init__(self, architecture: Architecture, settings: MuseSettings, fingerprint: str = "") -> None:
        self.architecture, self.settings = architecture, settings
        self.speaker = Llava(architecture, fingerprint)
        self._tokens = Tokens(architecture.tokenizer, architecture.image_token_id)
        self._bounds: dict[Path, int] = {}

    def ask(self, moment: Moment, data: MuseData) -> Asked:
        """The question of a moment, its conversation cut to the length allowed."""
        settings = self.settings
        whole = ask(settings.task, moment, data, settings.pictures)
        room = settings.max_length - _ANSWER - sum(map(self.bound, whole.images))
        return ask(settings.task, moment, data, settings.pictures, Fit(self._measure, room))

    def lessons(self, moments: Sequence[Moment], data: MuseData) -> list[Lesson]:
        """Each moment with what the run has there."""
        recommends = self.settings.task == "recommend"
        return [Lesson(self.ask(moment, data), moment.query if recommends else moment.text) for moment in moments]

    def spoken(self, lesson: Lesson) -> Spoken:
        """
        Raises:
            SynthError: nothing is to be learnt from it, it cannot fit, or a picture cannot be read.
        """
        ids = self.speaker.tokens(lesson.asked, repeat(1))
        answer = self._tokens.answer(" ".join(lesson.target.split()))
        images = lesson.asked.images
        long = len(ids) - len(images) + len(answer) + sum(map(self.bound, images))
        if long > self.settings.max_length:
            raise SynthError(
                f"{lesson.asked.id} has up to {long:,} tokens, more than the {self.settings.max_length:,} allowed.",
                "Raise --max-length, or show fewer --pictures.",
            )
        return Spoken(tuple(ids), answer, images, long)

    def bound(self, path: Path) -> int:
        """Tokens of a picture at most: every patch of every crop, and a line's end for each row of patches."""
        if path not in self._bounds:
            vision = self.architecture.model.config.vision_config
            side = vision.image_size // vision.patch_size
            self._bounds[path] = count(open_image(path).size, self.architecture.image_processor) * side * (side + 1)
        return self._bounds[path]

    def _measure(self, text: str) -> int:
        return len(self.architecture.tokenizer(text, add_special_tokens=False)["input_ids"])


class Shown:
    """Tokens of pictures: each is encoded once and kept, up to a limit."""

    def __init__(self, architecture: Architecture, limit: int = _KEPT) -> None:
        self._architecture, self._limit, self._bytes = architecture, limit, 0
        self._kept: dict[Path, Tensor] = {}

    def pixels(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Crops of those pictures that are not kept, for `tokens`; safe to call in threads."""
        new = [path for path in dict.fromkeys(paths) if path not in self._kept]
        opened = [open_image(path) for path in new]
        made = [crops(image, self._architecture.image_processor) for image in opened]
        return {"new": new, "crops": made, "sizes": [(image.height, image.width) for image in opened]}

    def tokens(self, paths: Sequence[Path], pixels: Mapping[str, Any]) -> list[Tensor]:
        """For each picture (tokens, width)."""
        here: dict[Path, Tensor] = {}
        if pixels["new"]:
            with torch.no_grad():
                made = self._architecture.image_tokens(torch.cat(list(pixels["crops"])), list(pixels["sizes"]))
            here = dict(zip(pixels["new"], made, strict=True))
        for path, tokens in here.items():
            size = tokens.numel() * tokens.element_size()
            if path not in self._kept and self._bytes + size <= self._limit:
                self._kept[path] = tokens.clone()
                self._bytes += size
        return [here[path] if path in here else self._kept[path] for path in paths]


class Tuning(Method):
    """Tunes a language model to write the run's queries, or what the run's assistant says.

    Figures on the held-out conversations: `loss` and `perplexity` per token of the run's words, and what `judge` finds
    in what the model writes there.
    """

    name = STAGE

    def __init__(
        self,
        architecture: Architecture,
        train: Sequence[Lesson],
        valid: Sequence[Lesson],
        settings: MuseSettings,
        *,
        judge: Judge | None = None,
        metric: str = "loss",
        facts: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        """
        Args:
            judge: of what is written on `valid`; None to go by the loss alone.
            metric: `loss`, or a figure of the judge's: what picks the best checkpoint.
            facts: what the checkpoint's card says of the data, for JSON.

        Raises:
            SynthError: a lesson without an answer, or one that does not fit: before anything is trained.
        """
        self.architecture, self.settings, self.judge = architecture, settings, judge
        self.metric, self.higher, self.facts, self.seed = metric, metric != "loss", dict(facts or {}), seed
        self.reading = Reading(architecture, settings)
        self._shown = Shown(architecture)
        self._train = [self.reading.spoken(lesson) for lesson in train]
        self._valid = [self.reading.spoken(lesson) for lesson in valid]
        self._asked = [lesson.asked for lesson in valid]
        self._filler = int(architecture.tokenizer.pad_token_id or 0)
        self.model = adapt(architecture, "language", settings.lora, seed)

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Spoken]:
        return self._train if split == "train" else self._valid

    def length(self, example: Spoken) -> int:
        return example.bound

    def collate(self, examples: list[Spoken]) -> dict[str, Any]:
        paths = [path for example in examples for path in example.images]
        plain = [(list(example.ids), list(example.answer), list(example.images)) for example in examples]
        return {"spoken": plain, "pixels": self._shown.pixels(paths)}

    def step(self, model: Any, batch: Any) -> tuple[Tensor, int]:
        architecture = self.architecture
        paths = [path for _, _, images in batch["spoken"] for path in images]
        shown = self._shown.tokens(paths, batch["pixels"])
        lengths = iter([len(tokens) for tokens in shown])
        prompts = [_expanded(ids, answer, lengths, architecture.image_token_id) for ids, answer, _ in batch["spoken"]]
        padded = pad(prompts, self._filler)
        batch["lengths"], batch["labels"] = padded["lengths"], len(padded["labels"])
        here = {k: v.to(architecture.device) if isinstance(v, Tensor) else v for k, v in padded.items()}
        losses = label_losses(architecture, here, architecture.joined(shown))
        return losses.sum(), len(losses)

    def evaluate(self, model: Any) -> dict[str, float]:
        if not self._valid:
            return {}
        held, size = sorted(self._valid, key=self.length), self.settings.evaluation_batch
        sums = [self.step(model, self.collate(held[start : start + size])) for start in range(0, len(held), size)]
        loss = sum(float(value) for value, _ in sums) / sum(number for _, number in sums)
        figures = {"loss": loss, "perplexity": math.exp(min(loss, 700))}
        return {**figures, **self.judge(self._written())} if self.judge else figures

    def _written(self) -> dict[str, str]:
        writer = LocalWriter(self.reading.speaker, self.name, self.settings.evaluation_batch)
        with TemporaryDirectory(prefix="synth-") as folder:
            share = writer.write(mine(self._asked), Path(folder))
        return dict(everyones(list(share.items())))

    def save(self, folder: Path) -> None:
        write_adapter(self.architecture, self.model, folder, {"stage": STAGE, **asdict(self.settings), **self.facts})

    def flops(self, batch: Any) -> float:
        # Forward and the gradient of activations; frozen weights have none of their own. Without the tower.
        share = 2 if self.settings.lora.rank else 3
        return share * decoder_forward(self.architecture.model.config.text_config, batch["lengths"], batch["labels"])

    def signature(self) -> dict[str, Any]:
        told = {name: value for name, value in asdict(self.settings).items() if name != "model"}
        facts = {name: self.facts.get(name) for name in ("data", "fingerprint", "metric")}
        return {
            "base": self.architecture.fingerprint,
            **told,
            **facts,
            "lora_seed": self.seed,
            "valid": len(self._valid),
        }


def _expanded(ids: Sequence[int], answer: Sequence[int], lengths: Any, place: int) -> Encoded:
    """The prompt with as many image tokens for each picture as it has."""
    made: list[int] = []
    for token in ids:
        made += [place] * next(lengths) if token == place else [token]
    return Encoded(tuple(made), (), tuple(answer))
