"""Exports of how a run came about, to other viewers. What they need is an extra, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from synth.errors import SynthError

FORMATS = ("inspect", "otlp")
"""Formats of `synth export` that hold traces: these read the run's store, not only its conversations."""


def needed(module: str, extra: str) -> Any:
    """A module of an extra.

    Raises:
        SynthError: the extra is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise SynthError(
            f"--format {extra} needs {module.partition('.')[0]} ({error}).",
            f"Install it: pip install 'synth-crs[{extra}]'.",
        ) from error
