"""What a stage trains of a model, kept apart from it: LoRA adapters in peft's format, or whole weights of a part.

A checkpoint holds only that, and a card that says what it was trained on. It never carries another stage's adapter
among its own tensors, where it would be lost on loading: the released code loses its distilled tower that way.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from synth.errors import SynthError
from synth.recommender.checkpoint import write_json

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture

CARD = "synth.json"
"""Says what a checkpoint is: its stage, its base, how its prompts are made."""
PROJECTOR = r"model\.multi_modal_projector\..*"
_ADAPTER = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_WEIGHTS = "weights.safetensors"
_LORA = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<half>[AB])\.weight")

Part = Literal["vision", "language"]
"""Tower and projector, or the language model."""
_WHOLE = {
    "vision": r"model\.(vision_tower|multi_modal_projector)\..*",
    "language": r"(model\.language_model|lm_head)\..*",
}
_HEAD = r"lm_head"


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al., 2022) on every linear map of a part, as LaViC sets them."""

    rank: int = 8
    """0 trains the part's own weights: for models made from nothing, which have nothing to adapt."""
    alpha: int = 32
    dropout: float = 0.1
    head: bool = False
    """Adapt the language model's head as well, as the released code did."""


def adapt(architecture: Architecture, part: Part, lora: Lora, seed: int) -> Any:
    """Makes a part of a model trainable, and nothing else; returns the module to train.

    Raises:
        SynthError: the model has an adapter already, or is quantised and all its weights are to be trained.
    """
    model = architecture.model
    if getattr(model, "peft_config", None):
        raise SynthError("This model has an adapter already.", "Load it again for another stage.")
    model.requires_grad_(False)
    if lora.rank == 0:
        for name, parameter in model.named_parameters():
            if re.fullmatch(_WHOLE[part], name):
                if not parameter.is_floating_point():
                    raise SynthError("Quantised weights cannot be trained.", "Use --rank 8, or leave --quantise out.")
                parameter.data = parameter.data.float()
                parameter.requires_grad_(True)
        return model
    from peft import LoraConfig, get_peft_model

    head = f"|{_HEAD}" if lora.head and part == "language" else ""
    with torch.random.fork_rng(), _known_warnings():
        torch.manual_seed(seed)
        return get_peft_model(
            model,
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=architecture.targets[part] + head,
                bias="none",
            ),
        )


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Keeps quiet what peft asks of transformers under a name that version 6 will not have any more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def write_adapter(architecture: Architecture, model: Any, folder: Path, card: dict[str, Any]) -> None:
    """Writes what was trained, the tokenizer and image processor, and the card.

    Args:
        model: what `adapt` gave. Adapters are written as `peft.PeftModel.from_pretrained` reads them.
        card: what loading needs beside the base's name and fingerprint, `stage` at least. JSON.
    """
    if hasattr(model, "peft_config"):
        # Without this argument peft asks a hub about the base model's vocabulary.
        model.save_pretrained(folder, save_embedding_layers=False)
    else:
        from safetensors.torch import save_file

        trained = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}
        save_file(trained, folder / _WEIGHTS)
    architecture.tokenizer.save_pretrained(folder)
    architecture.image_processor.save_pretrained(folder)
    base = {"base": architecture.base.name, "base_fingerprint": architecture.fingerprint}
    write_json(folder / CARD, {**base, **card})


def find(folder: Path) -> Path:
    """The checkpoint that a folder is, or that training has left in it as `best`."""
    return folder / "best" if (folder / "best" / CARD).is_file() else folder


def read_card(folder: Path, stage: str) -> dict[str, Any]:
    """What a checkpoint says of itself.

    Raises:
        SynthError: the folder is no checkpoint, or one of another stage.
    """
    path = find(folder) / CARD
    try:
        card: dict[str, Any] = json.loads(path.read_text("utf-8"))
        found = str(card["stage"])
    except (FileNotFoundError, NotADirectoryError):
        raise SynthError(
            f"{folder} is not a checkpoint: it has no {CARD}.", f"Make one with `synth train {stage}`."
        ) from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise SynthError(f"{path} cannot be read: {error}", "Train it again.") from error
    if found != stage:
        raise SynthError(f"{folder} is a checkpoint of {found}, not of {stage}.")
    return card


def fingerprint(folder: Path) -> str:
    """16 hex digits over what a checkpoint's stage has trained.

    Raises:
        SynthError: there is nothing.
    """
    for name in (_ADAPTER, _WEIGHTS):
        path = find(folder) / name
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    raise SynthError(f"{folder} is not a whole checkpoint: it has no {_ADAPTER}.", "Train it again.")


def check_base(card: dict[str, Any], architecture: Architecture, folder: Path) -> None:
    """Raises SynthError where a checkpoint was trained on another model than this."""
    if card.get("base_fingerprint") != architecture.fingerprint:
        raise SynthError(
            f"{folder} was trained on another model ({card.get('base')}) than {architecture.base.name}.",
            "Give the one it was trained on with --model: an adapter fits no other.",
        )


def apply_distilled(architecture: Architecture, folder: Path) -> str:
    """Puts stage 1's adapter into the tower and the projector, or the projector alone where the tower is left out.

    Afterwards they are plain frozen weights: nothing of the adapter can be trained, switched off or lost later.

    Returns:
        The adapter's fingerprint.

    Raises:
        SynthError: no checkpoint of stage 1, or one of another base.
    """
    check_base(read_card(folder, "distill"), architecture, folder)
    if not merge(architecture.model, folder):
        raise SynthError(f"The adapter in {folder} fits nothing in this model.", "Train it again.")
    return fingerprint(folder)


def attach_trained(architecture: Architecture, folder: Path) -> None:
    """Puts stage 2's adapter on the language model, as it was in training (nothing is rounded into the weights).

    Raises:
        SynthError: no readable adapter, or of another shape.
    """
    folder = find(folder)
    if (folder / _WEIGHTS).is_file():
        merge(architecture.model, folder)
        return
    from peft import PeftModel

    try:
        with _known_warnings():
            PeftModel.from_pretrained(architecture.model, str(folder), is_trainable=False).eval()
    except Exception as error:  # peft, safetensors and torch each have their own
        said = str(error).strip().splitlines()
        raise SynthError(
            f"{folder} holds no readable adapter: {said[0] if said else error!r}", "Train it again."
        ) from error


def merge(model: Any, folder: Path) -> list[str]:
    """Adds a checkpoint's LoRA products to the weights they belong to, or takes over its whole weights.

    What belongs to a part that the model was loaded without is passed over.

    Returns:
        Names of the modules or weights changed.

    Raises:
        SynthError: nothing readable, or of another shape.
    """
    from safetensors.torch import load_file

    folder = find(folder)
    try:
        if (folder / _WEIGHTS).is_file():
            return _take_over(model, folder, load_file(folder / _WEIGHTS))
        config = json.loads((folder / _CONFIG).read_text("utf-8"))
        halves = load_file(folder / _ADAPTER)
        scale = config["lora_alpha"] / config["r"]
    except SynthError:
        raise
    except Exception as error:  # safetensors has one of its own
        raise SynthError(f"{folder} holds no readable adapter: {error}", "Train it again.") from error
    pairs: dict[str, dict[str, Any]] = {}
    for key, value in halves.items():
        if match := _LORA.fullmatch(key):
            pairs.setdefault(match["module"], {})[match["half"]] = value
    modules = dict(model.named_modules())
    there = sorted(name for name in pairs if name in modules)
    for name in there:
        weight = modules[name].weight
        product = (pairs[name]["B"].float() @ pairs[name]["A"].float()) * scale
        _check_shape(folder, name, weight, product)
        with torch.no_grad():
            weight.copy_((weight.float() + product.to(weight.device)).to(weight.dtype))
    return there


def _take_over(model: Any, folder: Path, weights: dict[str, Any]) -> list[str]:
    parameters = dict(model.named_parameters())
    there = sorted(name for name in weights if name in parameters)
    for name in there:
        _check_shape(folder, name, parameters[name], weights[name])
        # The part was trained in float32 and is used so.
        parameters[name].data = weights[name].to(parameters[name].device)
    return there


def _check_shape(folder: Path, name: str, old: Any, new: Any) -> None:
    if old.shape != new.shape:
        raise SynthError(
            f"What {folder} holds for {name} does not fit: {tuple(new.shape)} on {tuple(old.shape)}.",
            "Give the model it was trained on with --model, its tower not quantised.",
        )
