"""What the commands of `synth train` read alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.data import Dataset

Data = Annotated[Path, typer.Option(help="A LaViC export, or a domain of the Reddit-Amazon data.")]
Meta = Annotated[
    Path | None, typer.Option(help="Item metadata of Reddit-Amazon data.", show_default="item2meta* there")
]
Images = Annotated[Path | None, typer.Option(help="Folder with the items' pictures, by file name.")]
Model = Annotated[str, typer.Option(help="A LLaVA-NeXT checkpoint's folder, or a hub's name.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Precision = Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")]
Quantise = Annotated[str | None, typer.Option(help="4bit: NF4 by bitsandbytes, on a CUDA GPU.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def open_data(folder: Path, meta: Path | None = None, images: Path | None = None, seed: int = 0) -> Dataset:
    """A data set in either form.

    Raises:
        SynthError: the folder is neither.
    """
    from synth.recommender.data import read_lavic
    from synth.recommender.reddit import read_reddit_amazon

    if not folder.is_dir():
        raise SynthError(f"There is no folder {folder}.", "Make one with `synth export RUN --format lavic`.")
    if meta is None and (folder / "item2meta.json").is_file():
        return read_lavic(folder, images)
    return read_reddit_amazon(folder, meta, images, seed)


def one_of(value: str | None, name: str, allowed: tuple[str, ...]) -> None:
    """Raises SynthError where an option has a value that it cannot have."""
    if value is not None and value not in allowed:
        raise SynthError(f"{name} {value} is not possible.", f"Choose from: {', '.join(allowed)}.")
