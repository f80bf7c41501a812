"""Models of `transformers` that can be asked: how they are loaded, and how a question becomes their input.

LLaVA-NeXT goes through `Architecture`, which also knows the checkpoints of `synth train warmup`; any other
image-text-to-text model through its own processor; a causal language model through its tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from synth.errors import SynthError
from synth.recommender import memory
from synth.recommender.answers import key_of
from synth.recommender.architecture import FAMILIES, Architecture, Quantise, loading
from synth.recommender.architecture import load as load_architecture
from synth.recommender.base import is_hub_name, weight_files, weights_hash
from synth.recommender.chat import render, special_tokens
from synth.recommender.crops import crops, open_image
from synth.recommender.devices import nf4, pick_device
from synth.recommender.extras import quiet
from synth.recommender.precision import PrecisionName, choose_precision, memory_guard

if TYPE_CHECKING:
    from synth.recommender.asking import Asked


class Speaker(Protocol):
    """A model, its tokenizer, and the way from questions to what the model takes."""

    model: Any
    tokenizer: Any
    sees: bool
    """Whether it takes pictures."""
    fingerprint: str
    """Equal for the same model with the same template, wherever its files lie."""

    def inputs(self, asked: Sequence[Asked]) -> Mapping[str, Any]:
        """Of the model, padded on the left and on its device; `attention_mask` (n, longest) is among them.

        Raises:
            SynthError: a picture cannot be read, or the chat template does not fit.
        """
        ...


class Llava:
    """A LLaVA-NeXT model; its pictures are put in as embeddings, so no processor is needed."""

    sees = True

    def __init__(self, architecture: Architecture, fingerprint: str = "") -> None:
        """
        Args:
            fingerprint: where adapters have changed the model; empty: its checkpoint's.
        """
        self.architecture = architecture
        self.model, self.tokenizer = architecture.model, architecture.tokenizer
        self.fingerprint = key_of(fingerprint or architecture.fingerprint, self.tokenizer.chat_template or "")
        self._mark = str(self.tokenizer.convert_ids_to_tokens(architecture.image_token_id))
        self._special = special_tokens(self.tokenizer, self._mark)

    def inputs(self, asked: Sequence[Asked]) -> Mapping[str, Any]:
        architecture = self.architecture
        images = [open_image(path) for one in asked for path in one.images]
        shown: list[torch.Tensor] = []
        if images:
            cut = [crops(image, architecture.image_processor) for image in images]
            shown = architecture.image_tokens(torch.cat(cut), [(image.height, image.width) for image in images])
        lengths = iter([len(one) for one in shown])
        prompts = [self.tokens(one, lengths) for one in asked]
        ids, mask = _left(prompts, _filler(self.tokenizer), architecture.device)
        embedded = architecture.place(architecture.embed(ids), ids, architecture.joined(shown))
        return {"inputs_embeds": embedded, "attention_mask": mask}

    def tokens(self, asked: Asked, lengths: Iterator[int]) -> list[int]:
        text = render(self.tokenizer, asked, self._mark, self._special, counted=True)
        bos = self.tokenizer.bos_token
        text = text.removeprefix(bos) if bos else text
        made = [] if bos is None else [self.tokenizer.bos_token_id]
        for number, part in enumerate(text.split(self._mark)):
            if number:
                made += [self.architecture.image_token_id] * next(lengths)
            made += self.tokenizer(part, add_special_tokens=False)["input_ids"] if part else []
        return made


class Processed:
    """Any other model: through its processor, or its tokenizer where it takes text only."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any | None, fingerprint: str) -> None:
        self.model, self.tokenizer, self.processor = model, tokenizer, processor
        self.sees = processor is not None
        self.fingerprint = fingerprint
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        found = (getattr(processor, name, None) for name in ("boi_token", "image_token"))
        self._mark = next((str(token) for token in found if token), "<image>")
        self._special = special_tokens(tokenizer, self._mark, getattr(processor, "image_token", None))

    def inputs(self, asked: Sequence[Asked]) -> Mapping[str, Any]:
        owner = self.processor or self.tokenizer
        if not getattr(owner, "chat_template", None) and self.tokenizer.chat_template:
            owner = self.tokenizer
        texts = [render(owner, one, self._mark, self._special) for one in asked]
        bos = self.tokenizer.bos_token
        # A template may have put the beginning of text there already.
        options = {
            "padding": True,
            "return_tensors": "pt",
            "add_special_tokens": not (bos and texts[0].startswith(bos)),
        }
        images = [[open_image(path) for path in one.images] for one in asked]
        if self.processor is None:
            made = self.tokenizer(texts, **options)
            made.pop("token_type_ids", None)
        elif any(images):
            made = self.processor(text=texts, images=images, **options)
        else:
            made = self.processor(text=texts, **options)
        device, dtype = self.model.device, self.model.dtype
        return {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in made.items()
            if isinstance(value, torch.Tensor)
        }


def load_speaker(
    name: str, precision: PrecisionName = "auto", device: str = "auto", quantise: Quantise | None = None
) -> Speaker:
    """Loads a checkpoint folder, or a model of a hub by name (`HF_HUB_OFFLINE=1` keeps to what is downloaded).

    Raises:
        SynthError: not a checkpoint, no model that writes, too large for the machine, or not loadable.
    """
    folder = Path(name)
    hub = not folder.is_dir() and is_hub_name(name)
    if not hub:
        _check(folder)
    with quiet(), loading(name):
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(name)
    if config.model_type in FAMILIES:
        return Llava(load_architecture(name, precision, device, quantise))
    where = pick_device(device)
    dtype = choose_precision(precision, where).dtype
    with quiet(), loading(name):
        family, sees = _family(name, config)
        _check_size(name, family, config, where, dtype, device, quantise)
        options: dict[str, Any] = {"dtype": dtype, "output_loading_info": True}
        if quantise:
            options |= {"quantization_config": nf4(where, dtype), "device_map": {"": where}}
        with memory_guard(f"loading {name}", "Use --quantise 4bit or a larger machine."):
            model, found = family.from_pretrained(name, **options)
            model = model if quantise else model.to(where)
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise SynthError(f"{name} lacks {len(missing)} weights, e.g. {missing[0]}.", "Get the checkpoint again.")
        tokenizer, processor = _reader(name, sees)
        weights = weights_hash(_snapshot(name) if hub else folder)
    model.eval().requires_grad_(False)
    facts = {key: value for key, value in config.to_dict().items() if key not in ("_name_or_path", "dtype")}
    template = getattr(processor, "chat_template", None) or tokenizer.chat_template or ""
    shape = json.dumps(facts, sort_keys=True, default=str)
    return Processed(model, tokenizer, processor, key_of(weights, shape, template))


def _family(name: str, config: Any) -> tuple[Any, bool]:
    """The class that loads a model, and whether it takes pictures."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )

    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText, True
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM, False
    raise SynthError(f"{name} is a {config.model_type} model, which does not write text.", "Use a language model.")


def _check_size(
    name: str, family: Any, config: Any, where: torch.device, dtype: torch.dtype, device: str, quantise: str | None
) -> None:
    """Says before weights are read that a model is too large."""
    with torch.device("meta"):
        count = sum(weight.numel() for weight in family.from_config(config).parameters())
    if device == "auto" and where.type == "cpu" and count > memory.LARGE:
        raise SynthError(
            f"{name} has {count / 1e9:.1f} billion parameters, and this machine has no GPU.",
            "Use a smaller model here; --device cpu runs it all the same, minutes an answer.",
        )
    size = 0.75 if quantise else torch.empty(0, dtype=dtype).element_size()
    memory.check_fits(memory.Estimate(int(count * size)), where, f"Loading {name}")


def _reader(name: str, sees: bool) -> tuple[Any, Any]:
    """Tokenizer and, where pictures are taken, processor."""
    from transformers import AutoProcessor, AutoTokenizer

    if not sees:
        return AutoTokenizer.from_pretrained(name), None
    processor = AutoProcessor.from_pretrained(name)
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise SynthError(f"{name} has no processor for pictures.", "Save the whole processor into its folder.")
    return processor.tokenizer, processor


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise SynthError(
            f"There is no folder {folder}.", "Give a model's folder, a hub's name such as owner/name, or openai:MODEL."
        )
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise SynthError(f"{folder} is an adapter, not a model.", "Give the model it was trained on.")
        raise SynthError(f"{folder} is not a checkpoint (no config.json in it).", "Name the folder that has it.")
    if not weight_files(folder):
        raise SynthError(f"{folder} has no weights (*.safetensors).", "Get the checkpoint again, whole.")


def _snapshot(name: str) -> Path:
    """Where a hub's files were put."""
    from transformers.utils import cached_file

    return Path(str(cached_file(name, "config.json"))).parent


def _left(prompts: Sequence[Sequence[int]], filler: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, (n, longest), padded on the left."""
    longest = max(map(len, prompts))
    ids = [[filler] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _filler(tokenizer: Any) -> int:
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)
