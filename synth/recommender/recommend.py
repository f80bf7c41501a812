"""Stage 2: LoRA on the language model, from cached features of the candidates' pictures (LaViC §4.2, prompt tuning)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from torch import Tensor

from synth.errors import SynthError
from synth.recommender.adapters import (
    Lora,
    adapt,
    apply_distilled,
    attach_trained,
    check_base,
    find,
    fingerprint,
    read_card,
    write_adapter,
)
from synth.recommender.answering import Pictures, PromptSettings, Recommender
from synth.recommender.batches import pad
from synth.recommender.feature_key import key_of
from synth.recommender.flops import decoder_forward
from synth.recommender.method import Method, Progress, digest
from synth.recommender.prompts import Encoded
from synth.recommender.scoring import label_losses
from synth.recommender.transfer import answer

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture
    from synth.recommender.data import RecExample
    from synth.recommender.items import Item

DISTILLED = "distilled"
"""Folder of stage 1's adapter in a checkpoint."""


@dataclass(frozen=True)
class RecommendSettings:
    """What stage 2 trains, and how it picks the best checkpoint."""

    prompt: PromptSettings = PromptSettings()
    lora: Lora = Lora()
    metric: Literal["hr1", "mrr"] = "hr1"
    """On the validation examples, over pairs."""
    evaluation_batch: int = 8
    features: str = ""
    """Where the feature cache is; kept in the checkpoint so that answering finds it."""
    layer: int = -1
    """Of the tower's hidden states that they are."""
    pooling: Literal["cls", "patches"] = "cls"
    """Of these features; `patches` is the ablation with entire tokens."""


class _Prompted(NamedTuple):
    example: RecExample
    prompt: Encoded


class Recommend(Method):
    """Trains a model to answer with the id of the candidate that suits the conversation.

    Figures on the validation examples: `hr1` and `mrr` of the ranking by likelihood, over pairs as released, those
    whose answer is not among the candidates included; `ceiling`, the most that `hr1` can be; and `loss`, per id, where
    the answer is among them.
    """

    name = "recommend"
    higher = True

    def __init__(
        self,
        architecture: Architecture,
        train: Sequence[RecExample],
        valid: Sequence[RecExample],
        items: Mapping[str, Item],
        pictures: Pictures,
        settings: RecommendSettings | None = None,
        *,
        distilled: Path | None = None,
        seed: int = 0,
    ) -> None:
        """
        Args:
            architecture: its vision tower is never used and may be left out.
            train: each has its answer among its candidates.
            distilled: checkpoint of stage 1; put into the projector here. None: the ablation without it.

        Raises:
            SynthError: an answer that is not among its candidates or has no token, a prompt that cannot fit, a
                candidate or its features missing: all before anything is trained.
        """
        self.settings = settings or RecommendSettings()
        self.metric = self.settings.metric
        self.architecture, self.distilled, self.seed = architecture, distilled, seed
        if distilled:
            apply_distilled(architecture, distilled)
        self.recommender = Recommender(
            architecture, items, pictures, self.settings.prompt, batch_option="--evaluation-batch"
        )
        encode = self.recommender.prompt.encode
        self._train = [_Prompted(example, encode(example)) for example in train]
        self._valid = list(valid)
        held = [_Prompted(example, encode(example, answer=False)) for example in valid]
        self._data = digest(map(self._known, (*self._train, *held)))
        self._check_positions()
        self.model = adapt(architecture, "language", self.settings.lora, seed)

    def examples(self, split: Literal["train", "valid"]) -> Sequence[Any]:
        return self._train if split == "train" else self._valid

    def _check_positions(self) -> None:
        """Beyond the places it knows a model computes, and what it computes means nothing."""
        known = self.architecture.model.config.text_config.max_position_embeddings
        longest = max((len(entry.prompt) for entry in self._train), default=0)
        if longest > known:
            raise SynthError(
                f"The longest prompt has {longest:,} tokens, and this model reads {known:,}.",
                "Use a lower --max-length, fewer candidates, or --pooling cls.",
            )

    def _known(self, entry: _Prompted) -> object:
        """What of an example decides what is learnt, the candidates' pictures too."""
        example, prompt = entry
        shown = [self.recommender.pictures.hash_of(item) for item in example.candidates]
        return example.id, example.gt, example.repeats, example.candidates, shown, prompt.ids, prompt.answer

    def length(self, example: _Prompted) -> int:
        return len(example.prompt)

    def grouping(self, example: _Prompted) -> int:
        return len(example.prompt) - (example.prompt.pictures if self.settings.prompt.apart else 0)

    def collate(self, examples: list[_Prompted]) -> dict[str, Any]:
        prompts = [entry.prompt for entry in examples]
        width = self.architecture.vision_width
        features = self.recommender.pictures.stack([entry.example for entry in examples], prompts, width)
        return {**pad(prompts, self.recommender.filler), "features": features}

    def step(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, int]:
        losses = label_losses(self.architecture, batch, self.recommender.embed(batch["features"]))
        return losses.sum(), len(losses)

    def evaluate(self, model: Any) -> dict[str, float]:
        if not self._valid:
            return {}
        run = self.recommender.rank(self._valid, self.settings.evaluation_batch)
        return figures(self._valid, run)

    def save(self, folder: Path) -> None:
        card = {
            "stage": self.name,
            "prompt": asdict(self.settings.prompt),
            "lora": asdict(self.settings.lora),
            "features": self.settings.features,
            "layer": self.settings.layer,
            "pooling": self.settings.pooling,
            "distilled": fingerprint(self.distilled) if self.distilled else "",
        }
        write_adapter(self.architecture, self.model, folder, card)
        if self.distilled:
            shutil.copytree(find(self.distilled), folder / DISTILLED)

    def flops(self, batch: dict[str, Any]) -> float:
        text = self.architecture.model.config.text_config
        # Forward and the gradient of activations; frozen weights have none of their own.
        share = 2 if self.settings.lora.rank else 3
        return share * decoder_forward(text, batch["lengths"], len(batch["labels"]))

    def signature(self) -> dict[str, Any]:
        distilled = fingerprint(self.distilled) if self.distilled else ""
        looks = self.settings.prompt.show == "features"
        layer, pooling = self.settings.layer, self.settings.pooling
        key = key_of(self.architecture, adapter=distilled, layer=layer, pooling=pooling).digest if looks else ""
        return {
            "base": self.architecture.fingerprint,
            "distilled": distilled,
            "features": key,
            "prompt": asdict(self.settings.prompt),
            "lora": asdict(self.settings.lora),
            "layer": layer,
            "pooling": pooling,
            "metric": self.metric,
            "lora_seed": self.seed,
            "valid": len(self._valid),
            "data": self._data,
        }


def figures(examples: Sequence[RecExample], run: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """HR@1, MRR, ceiling and loss over pairs; a tie counts against the answer."""
    pairs = sum(example.repeats for example in examples)
    hits = reciprocal = among = 0.0
    losses = []
    for example in examples:
        scores = run[example.id]
        if example.gt not in scores:
            continue
        own = scores[example.gt]
        place = sum(score >= own for score in scores.values())
        hits += example.repeats * (place == 1)
        reciprocal += example.repeats / place
        among += example.repeats
        losses.append(-own)
    found = {"hr1": hits / pairs, "mrr": reciprocal / pairs, "ceiling": among / pairs}
    return {**found, "loss": sum(losses) / len(losses)} if losses else found


def write_answers(
    method: Recommend,
    asked: Sequence[RecExample],
    name: str,
    facts: Mapping[str, Any],
    out: Path,
    progress: Progress | None = None,
) -> None:
    """`transfer.answer` for a method that has just been trained.

    Args:
        facts: what tables say of the runs; what the method knows of itself is added.
    """
    known = {"family": "trained", "show": method.settings.prompt.show, "distilled": bool(method.distilled), **facts}
    answer(method.recommender, asked, name, known, out, method.settings.evaluation_batch, progress)


def load_recommender(
    architecture: Architecture, folder: Path, items: Mapping[str, Item], pictures: Pictures
) -> Recommender:
    """A trained recommender from its checkpoint, on a freshly loaded base (its vision tower may be left out).

    Raises:
        SynthError: the folder is no checkpoint of stage 2, or one of another base.
    """
    card = read_card(folder, Recommend.name)
    check_base(card, architecture, folder)
    if card["distilled"]:
        apply_distilled(architecture, find(folder) / DISTILLED)
    attach_trained(architecture, folder)
    try:
        settings = PromptSettings(**card["prompt"])
    except TypeError as error:
        raise SynthError(f"{folder} was written by another version: {error}.", "Train it again.") from error
    return Recommender(architecture, items, pictures, settings)
