"""What a user can say about a run, checked, and resolved to the run's settings."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synth.corpora.catalogue import Catalogue
from synth.errors import SynthError
from synth.graphs.settings import ROLES, Settings
from synth.graphs.shard import Shard
from synth.index.encoders import AUTO, concrete, make_encoder
from synth.llm.endpoint import public_url
from synth.llm.provider import ModelName
from synth.llm.providers import TIMEOUT
from synth.prompts.templates import Prompts, Sight

Mode = Literal["online", "batch", "auto"]
"""Calls one by one; in batches at half price; in batches, and the last few one by one."""


@dataclass(frozen=True)
class Options:
    """What a user can say about a run; see `synth generate --help`."""

    catalog: Path | None = None
    scenarios: int = 600
    convs: int = 7000
    out: Path | None = None
    runs: Path = Path("runs")
    seed: int = 0
    in_flight: int = 64
    max_concurrency: int = 0
    llm: str = "offline"
    rewriter: str | None = None
    checker: str | None = None
    judge: str | None = None
    captioner: str | None = None
    base_url: str | None = None
    temperatures: tuple[str, ...] = ()
    """`ROLE=T` each."""
    thinking: int = 0
    images: Sight = "low"
    comparisons: Literal["inline", "shared"] = "inline"
    mode: Mode = "online"
    rpm: int = 0
    tpm: int = 0
    timeout: float = TIMEOUT
    max_usd: float | None = None
    prices: tuple[str, ...] = ()
    """`MODEL=IN/OUT` or `MODEL=IN/CACHED/OUT` each, in USD per million tokens."""
    encoders: tuple[str, ...] = ("bm25",)
    """`NAME`, `NAME=MODEL` or `auto`; see `synth.index.encoders`."""
    k: int = 10
    rerank: Literal["model", "none"] = "model"
    accept: Literal["fit", "target"] = "fit"
    colloquial: float = 0.5
    threshold: float = 24.0
    duplicate: float = 0.6
    per_product: int = 25
    prompts: Path | None = None
    fresh: bool = False
    shard: Shard = Shard()
    """The part of the run that is to be made; whole unless said otherwise."""
    scenarios_from: Path | None = None
    """A run of the same settings whose scenarios are taken."""

    @property
    def wanted(self) -> int:
        """Conversations to be made here: the shard's share of `convs`."""
        return self.shard.share(self.convs)


def check_options(options: Options) -> None:
    """
    Raises:
        SynthError: a number is out of range, or there is no such encoder.
    """
    for name in ("scenarios", "convs", "in_flight", "k", "per_product"):
        value = getattr(options, name)
        if value < 1:
            raise SynthError(f"--{name.replace('_', '-')} must be 1 or more, not {value}.")
    for name in ("max_concurrency", "rpm", "tpm"):
        if getattr(options, name) < 0:
            raise SynthError(f"--{name.replace('_', '-')} must be 0 (no limit) or more.")
    for name, low, high in (("colloquial", 0, 1), ("duplicate", 0.01, 1), ("threshold", 0, 30)):
        value = getattr(options, name)
        if not low <= value <= high:
            raise SynthError(f"--{name} must be between {low} and {high}, not {value:g}.")
    if options.thinking < 0:
        raise SynthError("--thinking-tokens must be 0 or more.")
    if not 0 < options.timeout < 86_400:
        raise SynthError("--timeout must be more than 0 s and less than a day.")
    if options.max_usd is not None and not (math.isfinite(options.max_usd) and options.max_usd > 0):
        raise SynthError("--max-usd must be more than 0.")
    options.shard.check()
    if options.shard.of > options.convs:
        raise SynthError(f"{options.convs} conversations cannot be made in {options.shard.of} shards.")
    for spec in options.encoders:
        if spec != AUTO:
            make_encoder(spec)


def parse_temperatures(values: tuple[str, ...]) -> dict[str, float]:
    """`ROLE=T` each.

    Raises:
        SynthError: there is no such role, or the temperature is no number from 0 to 2.
    """
    temperatures: dict[str, float] = {}
    for value in values:
        role, _, number = value.partition("=")
        try:
            temperature = float(number)
        except ValueError:
            temperature = math.nan
        if role not in ROLES or not 0 <= temperature <= 2:
            raise SynthError(
                f"--temperature {value!r} cannot be read.",
                f"Write ROLE=T, T from 0 to 2; roles are {', '.join(ROLES)}.",
            )
        temperatures[role] = temperature
    return temperatures


def resolve(options: Options, catalogue: Catalogue, prompts: Prompts) -> Settings:
    """The settings that the data depends on.

    Raises:
        SynthError: a model's name cannot be read.
    """
    base = str(ModelName.parse(options.llm))
    models = {"simulator": base, "captioner": "none"}
    for role in ("rewriter", "checker", "judge"):
        given = getattr(options, role)
        models[role] = str(ModelName.parse(given)) if given else base
    if options.captioner:
        models["captioner"] = str(ModelName.parse(options.captioner))
    elif options.images == "described":
        models["captioner"] = base
    return Settings(
        catalogue=catalogue.info.fingerprint,
        scenarios=options.scenarios,
        seed=options.seed,
        models=models,
        temperatures=parse_temperatures(options.temperatures),
        thinking=options.thinking,
        images=options.images,
        comparisons=options.comparisons,
        base_url=_addresses(models, options.base_url),
        prompts=prompts.hash,
        encoders=tuple(make_encoder(spec).frozen for spec in concrete(options.encoders, len(catalogue))),
        k=options.k,
        rerank=options.rerank,
        accept=options.accept,
        colloquial=options.colloquial,
        threshold=options.threshold,
        duplicate=options.duplicate,
        per_product=options.per_product,
    )


def _addresses(models: dict[str, str], base_url: str | None) -> str:
    """Servers other than the providers' own, without credentials: from the flag, or the clients' own variables."""
    providers = {model.partition(":")[0] for model in models.values()}
    stated = {
        "openai": base_url or os.environ.get("OPENAI_BASE_URL"),
        "anthropic": os.environ.get("ANTHROPIC_BASE_URL"),
    }
    return " ".join(public_url(address) for name, address in stated.items() if name in providers and address)
