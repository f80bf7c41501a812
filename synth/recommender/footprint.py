"""What training takes of a device, reckoned from the model's configuration before a weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synth.recommender import memory
from synth.recommender.architecture import Architecture, loading
from synth.recommender.base import check_folder, is_hub_name
from synth.recommender.devices import pick_device
from synth.recommender.extras import quiet
from synth.recommender.precision import PrecisionName, choose_precision

if TYPE_CHECKING:
    from synth.recommender.adapters import Lora, Part
    from synth.recommender.architecture import Pooling

CROPS = 5
"""Of most pictures."""


def footprint(
    name: str,
    precision: PrecisionName,
    device: str,
    quantise: str | None,
    part: Part,
    lora: Lora,
    *,
    batch: int,
    tokens: int,
    pictures: int = 0,
    pooling: Pooling = "cls",
    checkpointing: bool = False,
) -> memory.Estimate:
    """Memory for training a part; the language model alone is trained without the tower in memory.

    Args:
        name: a checkpoint's folder or a hub's name.
        batch: examples in a step.
        tokens: of an example at most.
        pictures: of an example, where their tokens come on top of `tokens`; the tower's input where it is trained.

    Raises:
        SynthError: not a model, or not one for this machine.
    """
    where = pick_device(device)
    dtype = choose_precision(precision, where).dtype
    if Path(name).is_dir() or not is_hub_name(name):
        check_folder(Path(name))
    with quiet(), loading(name):
        from transformers import AutoConfig, LlavaNextForConditionalGeneration

        config = AutoConfig.from_pretrained(name)
        of = memory.sizes(config, LlavaNextForConditionalGeneration)
        trained = memory.trainable(config, LlavaNextForConditionalGeneration, Architecture.targets[part], lora.rank)
    memory.check_machine(of, name, device, where)
    crops = batch * pictures * CROPS
    slots = crops * (of.tower_tokens - 1 if pooling == "patches" else 1)
    return memory.estimate(
        of,
        dtype,
        quantise=quantise,
        tower=part == "vision",
        trainable=trained,
        tokens=batch * tokens + slots,
        crops=crops if part == "vision" else 0,
        checkpointing=checkpointing,
    )
