"""What the training loop asks of a method, and how it can be told to train."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from synth.recommender.precision import PrecisionName


class Method(Protocol):
    """What is trained, on what, and how well it does. Subclass it for the defaults.

    A step must draw its randomness from torch alone. Trained are the parameters of `model` that require a gradient;
    they must be float32.
    """

    name: str
    model: Any
    """A torch module."""
    metric: str
    """The key of `evaluate`'s figures that picks the best checkpoint."""
    higher: bool
    """Whether more of it is better."""

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Any]:
        """What is trained on, or held out."""
        ...

    def length(self, example: Any) -> int:
        """In tokens."""
        ...

    def grouping(self, example: Any) -> int:
        """What batches are grouped by: the length, unless runs of other lengths are to have equal batches."""
        return self.length(example)

    def collate(self, examples: list[Any]) -> Any:
        """A batch on the CPU, of tensors in dicts, lists or named tuples. Called in threads; must not use the model."""
        ...

    def step(self, model: Any, batch: Any) -> tuple[Tensor, int]:
        """The loss summed over the batch's label tokens, and their number."""
        ...

    def evaluate(self, model: Any) -> dict[str, float]:
        """Figures on what is held out; every process calls it and gets the same. Empty: nothing is held out."""
        ...

    def save(self, folder: Path) -> None:
        """Writes a checkpoint that can be loaded by itself."""
        ...

    def flops(self, batch: Any) -> float:
        """Operations that the step's mathematics needs, recomputation not counted; 0 where that is not known."""
        return 0.0

    def signature(self) -> dict[str, Any]:
        """What beside the settings makes this run what it is, a hash of its data too: it is resumed only where that is
        equal. JSON."""
        return {}


def digest(entries: Iterable[object]) -> str:
    """16 hex digits over what is learnt and held out, for a `signature`."""
    found = blake2b(digest_size=8)
    for entry in entries:
        found.update(repr(entry).encode())
    return found.hexdigest()


class Progress(Protocol):
    """Who is told how far the work is."""

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, done: int) -> None: ...
    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class TrainSettings:
    """How to train. The defaults are LaViC's (KDD 2025, §5.1) where it names them."""

    epochs: int = 5
    batch: int = 1
    """Examples a process takes at once."""
    accumulate: int = 1
    """Batches of a process before an optimizer step."""
    lr: float = 5e-5
    weight_decay: float = 1e-5
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = 0.0
    """Share of the optimizer steps over which the rate rises from 0."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 for none."""
    seed: int = 0
    precision: PrecisionName = "auto"
    grouped: bool = True
    """Batches of examples of like length."""
    gradient_checkpointing: bool = False
    deterministic: bool = False
    evaluate_first: bool = False
    """Evaluate once before the first step, as epoch 0."""
    save_minutes: float = 10.0
    """Between two points to resume from; the end of an epoch is always one."""
    workers: int = 2
    """Threads that prepare batches."""
    log_every: int = 10
    """Optimizer steps."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Names that accelerate knows, e.g. wandb, mlflow, trackio."""

    def identity(self) -> dict[str, Any]:
        """The settings that change what is computed."""
        aside = {"save_minutes", "workers", "log_every", "trackers"}
        return {name: value for name, value in asdict(self).items() if name not in aside}


@dataclass(frozen=True)
class Trained:
    """A finished training run; the model in memory holds the best weights."""

    out: Path
    best: Path
    """Folder of the best checkpoint."""
    metrics: dict[str, Any]
    """What `metrics.json` holds."""


def rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Learning rate of an optimizer step, from 0, as a share of `settings.lr`."""
    warm = round(settings.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if settings.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
