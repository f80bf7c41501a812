"""What the commands around a trained recommender do alike: load, open the pictures, tell how fast it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.train_data import one_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synth.cli.progress import Bar
    from synth.recommender.adapters import Lora, Part
    from synth.recommender.architecture import Architecture
    from synth.recommender.data import Dataset
    from synth.recommender.items import Item
    from synth.recommender.method import Trained, TrainSettings


def own_labels(model: str) -> str:
    """How candidates are named for a model: as its preset says, else by their ids."""
    from synth.recommender.presets import preset_of

    info = preset_of(Path(model))
    return info.labels if info else "text"


def open_pictures(
    architecture: Architecture, items: Iterable[Item], cache: str, distilled: Path | None, layer: int, pooling: str
) -> tuple[Any, str]:
    """The items' cached features, and a line on what there is.

    Raises:
        SynthError: `distilled` is no checkpoint of stage 1 or one of another model, or there are no such features.
    """
    from synth.recommender.adapters import check_base, fingerprint, read_card
    from synth.recommender.answering import Pictures
    from synth.recommender.feature_key import key_of
    from synth.recommender.features import FeatureCache
    from synth.recommender.pictured import pictured

    if not cache:
        return Pictures(None, {}), "No pictures are looked at."
    if distilled:
        check_base(read_card(distilled, "distill"), architecture, distilled)
    adapter = fingerprint(distilled) if distilled else ""
    key = key_of(architecture, adapter=adapter, layer=layer, pooling=pooling)  # type: ignore[arg-type]
    opened = FeatureCache.open(Path(cache), key)
    found = pictured(items, opened)
    said = (
        f"{len(found.hashes):,} items have a picture, {found.without:,} have none, {found.unreadable:,} a damaged one."
    )
    return Pictures(opened, found.hashes), said


def named_items(dataset: Dataset) -> list[Item]:
    """The items that the data's lists and answers name."""
    named = {i for part in dataset.examples.values() for example in part for i in (example.gt, *example.candidates)}
    return [dataset.items[item] for item in sorted(named)]


def with_descriptions(dataset: Dataset, path: Path | None, model: str | None = None) -> Dataset:
    """The data with the descriptions of a file, or those of one model in it, in the place of the metadata's."""
    if path is None:
        return dataset
    from dataclasses import replace

    from synth.recommender.describe import read_descriptions

    found = read_descriptions(path, model)
    items = {key: replace(item, descriptions=found.get(key, {})) for key, item in dataset.items.items()}
    return replace(dataset, items=items)


def train_settings(**values: Any) -> TrainSettings:
    from synth.recommender.method import TrainSettings

    return TrainSettings(**values)


def load_model(model: str, precision: str, device: str, quantise: str | None, *, tower: bool) -> Architecture:
    """The model on this process' device."""
    from synth.recommender.architecture import load

    return load(model, precision, own_device(device), quantise, tower=tower)  # type: ignore[arg-type]


def own_device(device: str) -> str:
    """With `auto` the device that `accelerate launch` gave this of several processes, where it is not the usual one."""
    if device != "auto":
        return device
    from accelerate import PartialState

    from synth.recommender.devices import pick_device

    state = PartialState()
    alone = state.num_processes == 1 or state.device == pick_device("auto")
    return "auto" if alone else str(state.device)


def tell_memory(
    bar: Bar, model: str, precision: str, device: str, quantise: str | None, part: Part, lora: Lora, **step: Any
) -> None:
    """Says what training will take, before anything is loaded.

    Args:
        step: how large a step is; see `synth.recommender.footprint.footprint`.

    Raises:
        SynthError: what must be held does not fit, or the model is not for this machine.
    """
    from synth.recommender.devices import pick_device
    from synth.recommender.footprint import footprint
    from synth.recommender.memory import Estimate, available, check_fits, gigabytes

    device = own_device(device)
    where = pick_device(device)
    needed = footprint(model, precision, device, quantise, part, lora, **step)  # type: ignore[arg-type]
    check_fits(Estimate(needed.weights, needed.trained), where, f"Training {model}")
    free = available(where)
    bar.note(f"Memory at most {needed}, where examples are as long as they may be; {gigabytes(free)} are free.")
    if needed.total > free:
        bar.note("That may not fit: a smaller --batch with a larger --accumulate, or --gradient-checkpointing, will.")


def is_first() -> bool:
    """Whether this is the first of the processes that `accelerate launch` started, or the only one."""
    import os

    return os.environ.get("RANK", "0") == "0"


def trackers_of(names: list[str] | None) -> tuple[str, ...]:
    return tuple(name for name in names or ["tensorboard"] if name != "none")


def check_options(precision: str, quantise: str | None, schedule: str) -> None:
    one_of(precision, "--precision", ("auto", "bf16", "fp16", "fp32"))
    one_of(quantise, "--quantise", ("4bit",))
    one_of(schedule, "--schedule", ("constant", "cosine"))


def print_speed(trained: Trained) -> None:
    metrics = trained.metrics
    print(
        f"{metrics['examples_per_second']:,.2f} examples/s, {metrics['tokens_per_second']:,.0f} tokens/s, "
        f"MFU {metrics['mfu']:.1%} of {metrics['mfu_against']}, {metrics['waiting_share']:.1%} of it waiting for data, "
        f"peak memory {metrics['peak_memory_bytes'] / 1e9:.2f} GB, {metrics['precision']}, "
        f"{metrics['processes']} process{'es' if metrics['processes'] > 1 else ''} on {metrics['device']}"
    )
