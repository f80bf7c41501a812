"""How much memory a model takes, reckoned from its configuration before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synth.errors import SynthError

LARGE = 1_500_000_000
"""Parameters from which a model is not run on a CPU unless that is asked for."""
_BYTES = {torch.float32: 4.0, torch.bfloat16: 2.0, torch.float16: 2.0}
_NF4 = 0.55
"""Bytes a parameter in NF4 with doubly quantised scales of blocks of 64."""
_ACTIVATIONS = 24
"""Values kept for the backward pass by token, layer and width, for a gated MLP with LoRA on every projection. A vision
tower's plain MLP of four times the width comes to as many."""
_ADAM = 16
"""Bytes a trained parameter: weight, gradient and both moments in float32."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters of a model's parts, and the shape of its language model."""

    tower: int
    projector: int
    language: int
    """Layers, embeddings and the head; tied ones count once."""
    linear: int
    """Of `language`, those in the layers: what 4-bit loading compresses."""
    width: int
    layers: int
    tower_width: int
    tower_layers: int
    tower_tokens: int
    """Of one crop, [CLS] included."""

    @property
    def total(self) -> int:
        return self.tower + self.projector + self.language


def sizes(config: Any, model_class: Any) -> Sizes:
    """Counts without allocating: the model is built on the meta device."""
    with torch.device("meta"):
        model = model_class(config)

    def count(module: Any) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    core = model.model
    linear = sum(count(layer) for layer in core.language_model.layers)
    tower, projector = count(core.vision_tower), count(core.multi_modal_projector)
    tied = bool(getattr(config, "tie_word_embeddings", False))
    language = count(core.language_model) + (0 if tied else count(model.lm_head))
    text, vision = config.text_config, config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    shape = (text.hidden_size, text.num_hidden_layers, vision.hidden_size, vision.num_hidden_layers, patches + 1)
    return Sizes(tower, projector, language, linear, *shape)


def trainable(config: Any, model_class: Any, targets: str, rank: int) -> int:
    """Parameters of LoRA of that rank on linear maps whose names match; with rank 0 those of the maps themselves."""
    with torch.device("meta"):
        model = model_class(config)
    matched = [m for name, m in model.named_modules() if re.fullmatch(targets, name) and hasattr(m, "in_features")]
    return sum(rank * (m.in_features + m.out_features) if rank else m.weight.numel() for m in matched)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes on the device, to about a fifth."""

    weights: int
    trained: int = 0
    activations: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.activations

    def __str__(self) -> str:
        parts = [f"weights {gigabytes(self.weights)}"]
        parts += [f"trained parameters {gigabytes(self.trained)}"] if self.trained else []
        parts += [f"activations {gigabytes(self.activations)}"] if self.activations else []
        return f"about {gigabytes(self.total)} ({', '.join(parts)})"


def estimate(
    of: Sizes,
    dtype: torch.dtype,
    *,
    quantise: str | None = None,
    tower: bool = True,
    trainable: int = 0,
    tokens: int = 0,
    crops: int = 0,
    checkpointing: bool = False,
) -> Estimate:
    """Memory for loading, and for training where `trainable` and `tokens` are given.

    Args:
        trainable: parameters that are trained (in float32, with Adam).
        tokens: tokens in a step, padding included.
        crops: crops in a step that the tower learns from.
        checkpointing: only the layers' inputs are kept, and one layer at a time is computed again.
    """
    size = _BYTES[dtype]
    held = of.projector + of.language + (of.tower if tower else 0)
    weights = held * size
    if quantise == "4bit":
        weights -= of.linear * (size - _NF4)

    def kept(layers: int) -> int:
        return layers + _ACTIVATIONS if checkpointing else layers * _ACTIVATIONS

    values = tokens * of.width * kept(of.layers) + crops * of.tower_tokens * of.tower_width * kept(of.tower_layers)
    return Estimate(int(weights), trainable * _ADAM, int(values * size))


def available(device: torch.device) -> int:
    """Bytes that are free on a device now; for the CPU, what the system can give without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil  # type: ignore[import-untyped]

    return int(psutil.virtual_memory().available)


def check_machine(of: Sizes, name: str | Path, asked: str, device: torch.device) -> None:
    """Says that a large model is not for a CPU, unless the CPU was asked for.

    Raises:
        SynthError: it is large, and there is no GPU.
    """
    if asked == "auto" and device.type == "cpu" and of.total > LARGE:
        raise SynthError(
            f"{name} has {of.total / 1e9:.1f} billion parameters, and this machine has no GPU.",
            "Use --preset tiny or small here; --device cpu runs it all the same, minutes a step.",
        )


def check_fits(needed: Estimate, device: torch.device, what: str) -> None:
    """Says before anything is loaded that it cannot fit.

    Raises:
        SynthError: it needs more than is free.
    """
    free = available(device)
    if needed.total > free:
        hint = (
            "--quantise 4bit, gradient checkpointing or a smaller batch" if device.type == "cuda" else "--preset tiny"
        )
        raise SynthError(
            f"{what} needs {needed}, and {gigabytes(free)} are free on {device}.", f"Try {hint}, or a larger machine."
        )


def gigabytes(count: int) -> str:
    """E.g. `15.1 GB`; of small ones megabytes."""
    return f"{count / 1e9:.1f} GB" if count >= 5e8 else f"{count / 1e6:.0f} MB"
