"""What training leaves on disk: states to resume from, and checkpoints that load by themselves.

Everything is written beside its place and then moved there, so that a kill leaves the old or the new, never a half.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synth.errors import SynthError

_TRAINED = "trained.pt"


def as_json(value: Any) -> Any:
    """The value as it is after a trip through JSON, so that it compares equal to what was read."""
    return json.loads(json.dumps(value))


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8", newline="\n")
    part.replace(path)


def write_state(path: Path, state: dict[str, Any]) -> None:
    import torch

    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_state(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state to resume from; None where there is none.

    Raises:
        SynthError: the folder holds a run of something else, or the state is broken.
    """
    path = out / "state.pt"
    if not path.is_file():
        return None
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each have their own
        raise SynthError(f"{path} cannot be read: {error}", f"Delete {out} to start again.") from error
    check_same(out, state["identity"], identity)
    return state


def finished(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The metrics of the run in this folder, if it is the same run and went to its end."""
    path = out / "metrics.json"
    if not path.is_file():
        return None
    try:
        metrics: dict[str, Any] = json.loads(path.read_text("utf-8"))
        check_same(out, metrics["identity"], identity)
        return metrics if metrics["finished"] else None
    except (ValueError, KeyError, TypeError) as error:
        raise SynthError(f"{path} is not the file of a training run.", "Choose another --out.") from error


def check_same(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises SynthError where a folder holds a run of something else, and says what was otherwise."""
    changed = sorted(_differences(old, as_json(new)))
    if changed:
        raise SynthError(
            f"{out} holds a run with other settings: {'; '.join(changed[:4])}.",
            "Give the same settings to go on with it, or another --out.",
        )


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            yield from _differences(old.get(key), new.get(key), key)
    elif old != new:
        yield f"{name} was {old}, now {new}"


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """A new folder that takes the place of an old one when all of it is written."""
    part, old = final.with_name(final.name + ".part"), final.with_name(final.name + ".old")
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    if final.exists():
        final.replace(old)
    part.replace(final)
    shutil.rmtree(old, ignore_errors=True)


def recover(final: Path) -> None:
    """Brings back the old folder where a kill came between the two moves of `replacing`."""
    old = final.with_name(final.name + ".old")
    if old.is_dir() and not final.exists():
        old.replace(final)


def write_trained(folder: Path, weights: dict[str, Any]) -> None:
    """The trained weights as the loop holds them, for whoever calls a finished run again."""
    import torch

    torch.save(weights, folder / _TRAINED)


def read_trained(folder: Path) -> dict[str, Any]:
    import torch

    try:
        weights: dict[str, Any] = torch.load(folder / _TRAINED, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SynthError(f"{folder} is not a whole checkpoint: {error}", "Train it again.") from error
    return weights
