"""The paper's search over learning rate and weight decay: every pair trained from the same start, the best kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from synth.recommender.batches import processes
from synth.recommender.checkpoint import recover, replacing, write_json
from synth.recommender.method import Method, Progress, Trained, TrainSettings
from synth.recommender.training import train

RATES = (5e-5, 1e-5, 5e-6, 1e-6)
"""LaViC §5.1."""
DECAYS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""LaViC searched over five and took 1e-5; the other four are ours."""


@dataclass(frozen=True)
class Arm:
    """One pair of a search."""

    lr: float
    weight_decay: float
    value: float | None
    """Of the method's metric at its best epoch."""
    epoch: int
    out: Path


def search(
    method: Method,
    settings: TrainSettings,
    out: Path,
    rates: Sequence[float] = RATES,
    decays: Sequence[float] = DECAYS,
    progress: Progress | None = None,
) -> tuple[Trained, list[Arm]]:
    """Trains every pair in a folder of its own below `out`, and writes `grid.json`; resumes like `train`.

    The best pair's checkpoint is copied to `out/best`, so that `out` is a checkpoint like any other run's.

    Returns:
        The best run as that of `out`, whose weights the model in memory holds at the end; all arms in their order.
    """
    trained = {name: p for name, p in method.model.named_parameters() if p.requires_grad}
    start = {name: p.detach().cpu().clone() for name, p in trained.items()}
    arms: list[Arm] = []
    for lr, decay in product(rates, decays):
        _put(trained, start)
        if progress:
            progress.note(f"Grid, {len(arms) + 1} of {len(rates) * len(decays)}: lr {lr:g}, weight decay {decay:g}")
        folder = out / f"lr-{lr:g}_wd-{decay:g}"
        run = train(method, replace(settings, lr=lr, weight_decay=decay), folder, progress)
        found = run.metrics["best"]
        arms.append(Arm(lr, decay, found["value"], found["epoch"], folder))
    sign = 1 if method.higher else -1
    first = max(range(len(arms)), key=lambda n: float("-inf") if (v := arms[n].value) is None else sign * v)
    # A finished run is not trained again: this only brings its weights back.
    chosen = arms[first]
    run = train(method, replace(settings, lr=chosen.lr, weight_decay=chosen.weight_decay), chosen.out)
    best = out / "best"
    if processes()[0] == 0:
        recover(best)
        with replacing(best) as copy:
            shutil.copytree(run.best, copy, dirs_exist_ok=True)
        table: list[dict[str, Any]] = [
            {"lr": a.lr, "weight_decay": a.weight_decay, method.metric: a.value, "epoch": a.epoch, "out": a.out.name}
            for a in arms
        ]
        write_json(out / "grid.json", {"metric": method.metric, "best": chosen.out.name, "arms": table})
    return replace(run, out=out, best=best), arms


def _put(parameters: dict[str, Any], values: dict[str, Any]) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(values[name])
