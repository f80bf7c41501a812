"""The encoders there are, by name; and the best that this machine can run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from synth.errors import SynthError
from synth.index.bge import Bge
from synth.index.bm25 import Bm25
from synth.index.clip import Clip
from synth.index.encoder import Encoder
from synth.index.minilm import MiniLM

AUTO = "auto"
"""Stands for the best encoders that this machine can run: see `choices`."""
MULTI_MOST = 20_000
"""Products up to which `auto` keeps multi-vectors: some 2 GB of them."""
ENCODERS: dict[str, Callable[..., Encoder]] = {
    "bm25": Bm25,
    "minilm": MiniLM,
    "bge": Bge,
    "bge-hybrid": partial(Bge, multi=False),
    "clip": Clip,
}
_WITH_MODEL = ("bge", "bge-hybrid", "clip")
"""A user can give their weights: NAME=MODEL."""


def make_encoder(spec: str) -> Encoder:
    """The encoder of that name, nothing learnt yet.

    Args:
        spec: `NAME` or `NAME=MODEL`, MODEL being a folder of weights or a name in the hub's cache on this machine.

    Raises:
        SynthError: there is none, or what it needs is not installed or not there.
    """
    name, model = split(spec)
    if name not in ENCODERS:
        raise SynthError(f"There is no encoder {name!r}.", f"Choose from: {', '.join(ENCODERS)}.")
    if model is None:
        return ENCODERS[name]()
    if name not in _WITH_MODEL or not model:
        takes = f"It is NAME=MODEL for {', '.join(_WITH_MODEL)} alone."
        raise SynthError(f"--encoder {spec!r} cannot be read.", takes)
    return ENCODERS[name](model)


def split(spec: str) -> tuple[str, str | None]:
    """An encoder's name, and its model where one is given."""
    name, given, model = spec.partition("=")
    return name, model if given else None


def availability() -> dict[str, str]:
    """What keeps each encoder from being used on this machine, by name; empty where nothing does."""
    found = {}
    for name in ENCODERS:
        try:
            make_encoder(name)
            found[name] = ""
        except SynthError as error:
            found[name] = str(error)
    return found


def choices(products: int) -> list[tuple[str, ...]]:
    """What `auto` can stand for on this machine, the best first: BGE-M3, MiniLM beside BM25, BM25.

    Only what is installed and has its weights here counts; nothing is fetched.
    """
    there = {name for name, problem in availability().items() if not problem}
    ranked = [("bge" if products <= MULTI_MOST else "bge-hybrid",), ("bm25", "minilm"), ("bm25",)]
    return [names for names in ranked if there.issuperset(names)]


def variants(specs: Sequence[str], products: int) -> list[tuple[str, ...]]:
    """What these can stand for on this machine, each encoder once, the best first: one where `auto` is not in them."""
    found = []
    for choice in choices(products) if AUTO in specs else [()]:
        named = [name for spec in specs for name in (choice if spec == AUTO else (spec,))]
        found.append(tuple(dict.fromkeys(named)))
    return found


def concrete(specs: Sequence[str], products: int) -> tuple[str, ...]:
    """The best of `variants`."""
    return variants(specs, products)[0]
