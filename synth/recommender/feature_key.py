"""What fixes a picture's vision features, and so names a cache of them (design §9)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from synth.recommender.architecture import Architecture, Pooling


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """What fixes a picture's features; a cache with another key is another cache."""

    encoder: str
    """Fingerprint of the checkpoint whose tower it is."""
    layer: int
    """Of the tower's hidden states; -1 is the last."""
    pooling: Pooling
    adapter: str
    """Fingerprint of the distilled adapter in the tower; empty for none."""
    processor: str
    """Hash of the image processor's settings."""
    dtype: str
    """`bfloat16` or `float16`: how they are stored."""

    @property
    def digest(self) -> str:
        """12 hex digits: the name of its folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def key_of(architecture: Architecture, *, adapter: str = "", layer: int = -1, pooling: Pooling = "cls") -> FeatureKey:
    """The key of what `build` computes with this model.

    Args:
        adapter: fingerprint of the distilled adapter that was merged into its tower; empty for none.
    """
    return FeatureKey(
        encoder=architecture.fingerprint,
        layer=layer,
        pooling=pooling,
        adapter=adapter,
        processor=processor_hash(architecture.image_processor),
        dtype="bfloat16" if architecture.dtype is torch.bfloat16 else "float16",
    )


def processor_hash(processor: Any) -> str:
    """16 hex digits over the settings that change the crops."""
    names = (
        "image_grid_pinpoints", "size", "crop_size", "resample", "image_mean", "image_std", "rescale_factor",
        "do_resize", "do_center_crop", "do_rescale", "do_normalize",
    )  # fmt: skip
    settings = {name: str(getattr(processor, name, None)) for name in names}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def stored(folder: Path, key: FeatureKey) -> FeatureKey | None:
    """The key of a cache that is in a folder: the one asked for, or one that differs in how it is stored only."""
    for dtype in (key.dtype, "bfloat16", "float16"):
        found = replace(key, dtype=dtype)
        if (folder / found.digest / "key.json").is_file():
            return found
    return None


def difference(folder: Path, key: FeatureKey) -> str:
    """What the nearest other key in a folder has otherwise; empty where there is no other."""
    wanted = asdict(key)
    others: list[list[str]] = []
    for path in sorted(folder.glob("*/key.json")):
        there = json.loads(path.read_text("utf-8"))
        others.append([name for name, value in wanted.items() if there.get(name) != value])
    return f": those there have another {' and '.join(sorted(others, key=len)[0])}" if others else ""
