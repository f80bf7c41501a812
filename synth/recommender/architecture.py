"""One adapter for each family of vision-language models: where its parts are, and how it is loaded.

LLaVA-NeXT (Liu et al., 2024) comes first: a CLIP tower, a two-layer projector and a causal language model. Everything
else here asks an `Architecture` for a part and never reaches into a model, so that another family is another class.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from synth.errors import SynthError
from synth.recommender import memory
from synth.recommender.base import Base, check_folder, is_hub_name, read_base
from synth.recommender.devices import nf4, pick_device
from synth.recommender.extras import quiet, require_train
from synth.recommender.precision import PrecisionName, choose_precision, memory_guard
from synth.recommender.presets import PresetInfo, preset_of

Pooling = Literal["cls", "patches"]
Quantise = Literal["4bit"]


class Architecture:
    """A LLaVA-NeXT model with its tokenizer and image processor.

    Works on a plain model and on one that peft has put adapters into: they change the layers in place.

    Args:
        model: a `LlavaNextForConditionalGeneration`.
        base: whose weights these are.
        preset: what the checkpoint says of the preset it was built from.
    """

    family: ClassVar[str] = "llava_next"
    targets: ClassVar[dict[str, str]] = {
        "vision": r"model\.vision_tower\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
        r"|model\.multi_modal_projector\.linear_[12]",
        "language": r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
    }
    """What is adapted: every linear map of the vision tower and the projector (stage 1, LaViC §3.2), or of the language
    model's layers without `lm_head` (stage 2). A full match: peft's suffixes (`q_proj`) would hit both towers."""

    def __init__(
        self, model: Any, tokenizer: Any, image_processor: Any, base: Base, preset: PresetInfo | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.base = base
        self.preset = preset

    @property
    def vision_tower(self) -> Any:
        """Raises SynthError where the model was loaded without it."""
        tower = self.model.model.vision_tower
        if isinstance(tower, torch.nn.Identity):
            raise SynthError("The model was loaded without its vision tower.", "Use cached features, or load it whole.")
        return tower

    @property
    def projector(self) -> Any:
        return self.model.model.multi_modal_projector

    @property
    def language_model(self) -> Any:
        """The decoder: embeddings in, hidden states out."""
        return self.model.model.language_model

    @property
    def lm_head(self) -> Any:
        return self.model.lm_head

    @property
    def image_token_id(self) -> int:
        """The placeholder whose embeddings are replaced by an image's."""
        return int(self.model.config.image_token_id)

    @property
    def vision_width(self) -> int:
        """Width d of the vision tower."""
        return int(self.model.config.vision_config.hidden_size)

    @property
    def width(self) -> int:
        """Width of the language model."""
        return int(self.model.config.text_config.hidden_size)

    @property
    def fingerprint(self) -> str:
        """Of the checkpoint: what adapters and caches are keyed by."""
        return self.base.fingerprint

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def dtype(self) -> torch.dtype:
        """Of embeddings and projected images; the compute type where the weights are quantised."""
        dtype: torch.dtype = self.projector.linear_1.weight.dtype
        return dtype

    @property
    def quantised(self) -> bool:
        return bool(getattr(self.model, "is_loaded_in_4bit", False))

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings: (…) ids give (…, width)."""
        embedded: torch.Tensor = self.model.get_input_embeddings()(ids)
        return embedded

    def encode(self, pixels: torch.Tensor, layer: int = -1, pooling: Pooling = "cls") -> torch.Tensor:
        """What the vision tower makes of crops, before the projector.

        LaViC takes [CLS] of the last layer, before its layer norm; LLaVA itself the patches of the last but one.

        Args:
            pixels: (n, 3, H, W), normalised by the image processor.
            layer: a position in the hidden states; 0 is the patches' embedding, -1 the last layer.

        Returns:
            (n, d) for `cls`, (n, patches, d) for `patches`.
        """
        pixels = pixels.to(self.device, self.vision_tower.dtype)
        if layer == -1:
            hidden = self.vision_tower(pixels).last_hidden_state
        else:
            hidden = self.vision_tower(pixels, output_hidden_states=True).hidden_states[layer]
        return hidden[:, 0] if pooling == "cls" else hidden[:, 1:]

    def encode_both(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """In one pass what LaViC reads of crops, [CLS] of the last layer, and what LLaVA reads, patches before it.

        Args:
            pixels: (n, 3, H, W), normalised by the image processor.

        Returns:
            (n, d) and (n, patches, d).
        """
        pixels = pixels.to(self.device, self.vision_tower.dtype)
        seen = self.vision_tower(pixels, output_hidden_states=True)
        return seen.last_hidden_state[:, 0], seen.hidden_states[self.model.config.vision_feature_layer][:, 1:]

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Vision features (…, d) as embeddings of the language model (…, width)."""
        projected: torch.Tensor = self.projector(features.to(self.device, self.dtype))
        return projected

    def image_tokens(self, pixels: torch.Tensor, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
        """All tokens of images as LLaVA-NeXT itself reads them: patches of every crop, unpadded, with newlines.

        Args:
            pixels: (n, 3, H, W), the crops of all images one after the other.
            sizes: height and width of each image before it was cropped, in pixels.

        Returns:
            For each image (tokens, width).
        """
        found = self.model.model.get_image_features(
            pixels.to(self.device, self.vision_tower.dtype), torch.tensor(sizes), return_dict=True
        )
        return list(found.pooler_output)

    def joined(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images' embeddings, (n, width) each, one after the other for `place`; of no image (0, width)."""
        return torch.cat(list(images)) if images else torch.zeros(0, self.width, device=self.device)

    def place(self, embedded: torch.Tensor, ids: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Puts image embeddings (n, width) where `ids` has the image token, in reading order.

        Raises:
            ValueError: their number is not that of the places.
        """
        mask = ids == self.image_token_id
        places = int(mask.sum())
        if places != len(images):
            raise ValueError(f"{places} places for {len(images)} image embeddings")
        return embedded.masked_scatter(mask[..., None].expand_as(embedded), images.to(embedded.dtype))

    def save(self, folder: Path) -> None:
        """Writes the whole model with tokenizer and image processor: a checkpoint folder like the one it came from."""
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            self.image_processor.save_pretrained(folder)
        if self.preset:
            self.preset.write(folder)


FAMILIES: dict[str, type[Architecture]] = {Architecture.family: Architecture}
"""By the configuration's `model_type`."""


def load(
    name: str | Path,
    dtype: PrecisionName = "auto",
    device: str = "auto",
    quantise: Quantise | None = None,
    *,
    tower: bool = True,
) -> Architecture:
    """Loads a checkpoint folder, or a model of a hub by name (`HF_HUB_OFFLINE=1` keeps to what is downloaded).

    Memory and device are checked on the configuration alone, before weights are read or downloaded. The model comes
    in evaluation mode, its weights frozen.

    Args:
        dtype: `bf16`, `fp16`, `fp32`, or `auto` for the best the device has.
        device: `cuda`, `cuda:1`, `cpu`, …, or `auto`, which refuses to run a large model on a CPU.
        quantise: `4bit` loads the language model's layers in NF4 (bitsandbytes, CUDA).
        tower: False leaves the vision tower out of memory; for training and answering from cached features.

    Raises:
        SynthError: not a checkpoint, another family, too large for the machine, or not loadable.
    """
    require_train()
    where = pick_device(device)
    precision = choose_precision(dtype, where)
    options: dict[str, Any] = {"dtype": precision.dtype, "output_loading_info": True}
    if quantise:
        options |= {"quantization_config": nf4(where, precision.dtype), "device_map": {"": where}}
    folder = Path(name)
    hub = not folder.is_dir() and is_hub_name(str(name))
    if not hub:
        check_folder(folder)
    with quiet(), loading(name):
        from transformers import AutoConfig, AutoTokenizer, LlavaNextForConditionalGeneration
        from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

        config = AutoConfig.from_pretrained(str(name))
        if config.model_type not in FAMILIES:
            raise SynthError(
                f"{name} is a {config.model_type} model.", f"Supported are: {', '.join(FAMILIES)}, e.g. LLaVA-NeXT."
            )
        sizes = memory.sizes(config, LlavaNextForConditionalGeneration)
        memory.check_machine(sizes, name, device, where)
        needed = memory.estimate(sizes, precision.dtype, quantise=quantise, tower=tower)
        memory.check_fits(needed, where, f"Loading {name}")
        with memory_guard(f"loading {name}", "Use --quantise 4bit or a larger machine."):
            model, found = _class(tower).from_pretrained(str(name), **options)
            model = model if quantise else model.to(where)
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise SynthError(f"{name} lacks {len(missing)} weights, e.g. {missing[0]}.", "Get the checkpoint again.")
        tokenizer = AutoTokenizer.from_pretrained(str(name))
        tokenizer.chat_template = tokenizer.chat_template or _template(name)
        processor = LlavaNextImageProcessorPil.from_pretrained(str(name))
        base = read_base(folder.name if not hub else str(name), _snapshot(name) if hub else folder, config)
    model.eval().requires_grad_(False)
    return FAMILIES[config.model_type](model, tokenizer, processor, base, None if hub else preset_of(folder))


def _class(tower: bool) -> Any:
    """The model's class; without a tower, one whose tower is gone before any weight is read."""
    from transformers import LlavaNextForConditionalGeneration

    if tower:
        return LlavaNextForConditionalGeneration

    def __init__(self: Any, config: Any) -> None:
        LlavaNextForConditionalGeneration.__init__(self, config)
        self.model.vision_tower = torch.nn.Identity()

    ignored = {
        # By its module transformers knows its own classes, whose released weights' names it translates.
        "__module__": LlavaNextForConditionalGeneration.__module__,
        "_keys_to_ignore_on_load_unexpected": [r"vision_tower"],
        "__init__": __init__,
    }
    return type("LlavaNextForConditionalGeneration", (LlavaNextForConditionalGeneration,), ignored)


def _template(name: str | Path) -> str | None:
    """The chat template where only the processor has it, as in the LLaVA-NeXT checkpoints of 2024."""
    from transformers.utils import cached_file

    path = cached_file(str(name), "chat_template.json", _raise_exceptions_for_missing_entries=False)
    return str(json.loads(Path(path).read_text("utf-8"))["chat_template"]) if path else None


def _snapshot(name: str | Path) -> Path:
    """Where a hub's files were put."""
    from transformers.utils import cached_file

    return Path(str(cached_file(str(name), "config.json"))).parent


@contextmanager
def loading(name: str | Path) -> Iterator[None]:
    """What the libraries raise for files that are wrong or cannot be had, as one line."""
    try:
        yield
    except SynthError:
        raise
    except Exception as error:  # safetensors, torch and the hub's client each have their own
        said = str(error).strip().splitlines()
        raise SynthError(
            f"{name} cannot be loaded: {said[0] if said else type(error).__name__}",
            "Check the name or the folder; without a network only downloaded models can be used.",
        ) from error
