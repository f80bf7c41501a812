"""What an optional part of the package needs, said in one line where it is not installed."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from synth.errors import SynthError


def require(extra: str, *modules: str) -> None:
    """Checks, without importing them, that an extra's modules are installed.

    Raises:
        SynthError: one is not; the line names the extra.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise SynthError(
            f"This needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            f"Install with `pip install 'synth-crs[{extra}]'`.",
        )


def require_train() -> None:
    """Checks for what every part of training needs."""
    require("train", "torch", "transformers", "peft", "accelerate", "safetensors")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the libraries' reports, warnings and bars off the screen while a model is loaded or saved."""
    from transformers.utils import logging as reports

    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()
