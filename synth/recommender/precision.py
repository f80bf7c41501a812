"""What the machine can do: number format, peak rate, memory; and what to do when the memory is not enough."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from synth.errors import SynthError

PrecisionName = Literal["auto", "bf16", "fp16", "fp32"]

_PEAKS = {
    "B200": 2250e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H200 NVL": 835e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10": 125e12,
    "A10G": 70e12,
    "RTX A6000": 155e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "V100": 112e12,
    "V100 SXM2": 125e12,
    "T4": 65e12,
}
"""Dense 16-bit floating point operations a second, from the makers' data sheets; by words of the device's name."""
_OTHERWISE = {"Laptop", "Max", "Mobile", "Ti", "D", "MIG"}
"""Words of names of slower or faster kinds, or of parts of a GPU, that the table does not have."""


@dataclass(frozen=True)
class Precision:
    """A number format for the frozen weights and the activations; trained weights are always float32."""

    name: Literal["bf16", "fp16", "fp32"]

    @property
    def dtype(self) -> torch.dtype:
        return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[self.name]


def choose_precision(name: PrecisionName, device: torch.device) -> Precision:
    """The named format, or with `auto` the best that the device has: bf16, else fp16 on CUDA; fp32 elsewhere.

    Raises:
        SynthError: the device cannot train in it.
    """
    cuda = device.type == "cuda"
    bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    if name == "auto":
        return Precision("bf16" if bf16 else "fp16" if cuda else "fp32")
    if name == "fp16" and not cuda:
        raise SynthError("fp16 needs a CUDA GPU: its loss scaling has no kernels elsewhere.", "Use --precision bf16.")
    if name == "bf16" and cuda and not bf16:
        raise SynthError(f"{torch.cuda.get_device_name(device)} has no bf16.", "Use --precision fp16.")
    return Precision(name)


def autocast(device: torch.device, dtype: torch.dtype) -> Any:
    """A context in which products are computed in `dtype`; nothing changes for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def peak_flops(device: torch.device, precision: Precision) -> tuple[float, str]:
    """Floating point operations a second the device reaches at best, and where the figure is from.

    For a known GPU in 16 bits it is the data sheet's; else it is what a large matrix product reaches here.
    """
    if device.type == "cuda" and precision.name != "fp32":
        key = on_data_sheet(torch.cuda.get_device_name(device))
        if key:
            return _PEAKS[key], f"data sheet of {key}"
    side = 4096 if device.type == "cuda" else 768
    a = torch.ones(side, side, device=device, dtype=precision.dtype)
    best = float("inf")
    for _ in range(4):
        _wait(device)
        start = time.perf_counter()
        a @ a
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best, f"a {side}x{side} matrix product"


def on_data_sheet(name: str) -> str:
    """The GPU of the table that a device's name is of, by whole words, the most of them; empty for none."""
    words = set(re.findall(r"[A-Za-z0-9]+", name))
    if words & _OTHERWISE:
        return ""
    known = [key for key in _PEAKS if words.issuperset(key.split())]
    return max(known, key=len, default="")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: of the GPU, or of this process where there is none (0 on Windows)."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def be_deterministic() -> None:
    """Makes every kernel give the same bits each time; slower, and an operation that cannot raises."""
    import os

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the forms in which torch and its libraries say that memory is not enough."""
    said = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(part in str(error) for part in said)


@contextmanager
def memory_guard(what: str, fix: str) -> Iterator[None]:
    """Turns running out of memory inside it into one clear line.

    Args:
        what: what was being done, e.g. `a batch of 8 examples of up to 1,024 tokens`.
        fix: what to change.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise SynthError(f"Out of memory with {what}.", fix) from error
