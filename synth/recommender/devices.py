"""Where a model runs, and in how many bits it is loaded."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from synth.errors import SynthError


def pick_device(device: str) -> torch.device:
    """The named device, or with `auto` the GPU where there is one.

    Raises:
        SynthError: there is no such device.
    """
    if device != "auto":
        try:
            kind = torch.device(device).type
        except RuntimeError as error:
            raise SynthError(
                f"There is no device {device!r}.", "For example: --device cuda:0 or --device cpu."
            ) from error
        if kind == "cuda" and not torch.cuda.is_available():
            raise SynthError(f"This machine has no GPU for --device {device}.", "Leave it out, or use --device cpu.")
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def nf4(device: torch.device, dtype: torch.dtype) -> Any:
    """How bitsandbytes is to load the language model's layers in 4 bits (NF4, scales quantised too).

    Raises:
        SynthError: no CUDA GPU, or bitsandbytes is not installed.
    """
    if device.type != "cuda":
        raise SynthError("4-bit loading needs a CUDA GPU.", "Leave --quantise out.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise SynthError("4-bit loading needs bitsandbytes, which is not installed.", "`pip install bitsandbytes`.")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=["vision_tower", "multi_modal_projector", "lm_head"],
    )
