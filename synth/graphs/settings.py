"""The settings of a run: what makes its data, and what only makes it faster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from synth.corpora.records import Record
from synth.llm.provider import ModelName
from synth.prompts.calls import Role
from synth.prompts.templates import Sight

ROLES: tuple[Role, ...] = ("simulator", "rewriter", "checker", "judge", "captioner")


_FACTS = ("format", "synth", "catalogue_name", "prices", "shard", "shards")
"""What `config.toml` says besides the settings."""


class Settings(Record):
    """Everything that the data depends on. Two runs with the same settings and catalogue are the same run."""

    catalogue: str
    """Fingerprint of the catalogue."""
    scenarios: int
    seed: int
    models: dict[str, str]
    """`PROVIDER:MODEL` by role; `captioner` may be `none`: summaries are composed from the records."""
    temperatures: dict[str, float] = {}
    """By role, where it is another than the paper's: simulators 0.1 to 0.2, rewriter 1, checks and judge 0."""
    thinking: int = Field(0, ge=0)
    """Tokens that a reasoning model may think before each answer, besides the answer's own."""
    images: Sight = "low"
    """How pictures go out: as they are; small, and only where a call must look; described once each."""
    comparisons: Literal["inline", "shared"] = "inline"
    """Whether a rejection compares for itself, or one comparison serves all conversations with the same pair."""
    base_url: str = ""
    """Addresses of servers other than the providers' own, without credentials."""
    prompts: str
    """Hash over all prompt files."""
    encoders: tuple[str, ...] = ("bm25",)
    """Of the index, with a hash of their weights where a user can give others."""
    k: int = 10
    """Products retrieved for each recommendation."""
    rerank: Literal["model", "none"] = "model"
    accept: Literal["fit", "target"] = "fit"
    colloquial: float = Field(0.5, ge=0, le=1)
    """Chance of a colloquial rewrite of a user turn."""
    threshold: float = Field(24.0, ge=0, le=30)
    """Smallest total of the reviewer's three scores."""
    duplicate: float = Field(0.6, gt=0, le=1)
    """Sentence BLEU-4 above which a scenario or a backstory repeats an earlier one."""
    per_product: int = Field(25, ge=1)
    """Conversations per product at most, on average: a smaller catalogue is refused."""

    def identity(self) -> str:
        """12 hex digits over all of it."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=6).hexdigest()

    @property
    def captions(self) -> bool:
        """Whether the captioner first writes every product's summary (MUSE A.1)."""
        return self.models["captioner"] != "none" and self.images != "described"

    def role_temperatures(self) -> dict[Role, float]:
        return {role: self.temperatures[role] for role in ROLES if role in self.temperatures}

    def model_names(self) -> dict[Role, ModelName]:
        return {role: ModelName.parse(self.models[role]) for role in ROLES if self.models[role] != "none"}

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Names of settings in which another run's configuration differs."""
        own = self.model_dump(mode="json")
        return sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name))


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a run's `config.toml`, whatever else it says of the run."""
    return {name: value for name, value in config.items() if name not in _FACTS}
