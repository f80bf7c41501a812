"""What the commands of `synth train` read alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.data import Dataset

Data = Annotated[
    Path, typer.Option(help="A LaViC export, a domain of the Reddit-Amazon data, or a .jsonl file in its form.")
]
Meta = Annotated[
    Path | None,
    typer.Option(help="Item metadata; over an export, descriptions beside its own.", show_default="item2meta* there"),
]
Images = Annotated[Path | None, typer.Option(help="Folder with the items' pictures, by file name.")]
Model = Annotated[str, typer.Option(help="A LLaVA-NeXT checkpoint's folder, or a hub's name.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")]
Precision = Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")]
Quantise = Annotated[str | None, typer.Option(help="4bit: NF4 by bitsandbytes, on a CUDA GPU.")]
Candidates = Annotated[
    str, typer.Option(help="delivered; st or gpt_large (Reddit-Amazon); or a retriever as in `eval recommend`.")
]
Nearest = Annotated[int, typer.Option("-k", min=2, help="Candidates of a retriever.")]
Others = Annotated[
    str, typer.Option(help="A conversation's other right answers: out of delivered lists, or kept there.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def open_data(
    place: Path,
    meta: Path | None = None,
    images: Path | None = None,
    seed: int = 0,
    candidates: str = "delivered",
    form: Literal["auto", "lavic", "reddit"] = "auto",
) -> Dataset:
    """A data set in either form; by itself a folder with `item2meta.json` is an export.

    Args:
        candidates: which of the released lists is read; anything but `gpt_large` is the form's own.

    Raises:
        SynthError: it is neither form, or an export is asked for a released list.
    """
    from synth.recommender.data import read_lavic
    from synth.recommender.reddit import read_reddit_amazon

    if not place.exists():
        raise SynthError(f"There is no folder or file {place}.", "Make one with `synth export RUN --format lavic`.")
    if form == "reddit" or (form == "auto" and not (place / "item2meta.json").is_file()):
        return read_reddit_amazon(place, meta, images, seed, "gpt_large" if candidates == "gpt_large" else "st")
    if candidates in ("st", "gpt_large"):
        raise SynthError(f"An export has no list {candidates!r}.", "Use --candidates delivered, or a retriever.")
    return read_lavic(place, images, meta)


def one_of(value: str | None, name: str, allowed: tuple[str, ...]) -> None:
    """Raises SynthError where an option has a value that it cannot have."""
    if value is not None and value not in allowed:
        raise SynthError(f"{name} {value} is not possible.", f"Choose from: {', '.join(allowed)}.")
