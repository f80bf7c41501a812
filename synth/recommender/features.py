"""Vision features of every picture, computed once: a sharded, memory-mapped cache (design §9).

LaViC's code encodes fifty crops again for every example with a tower that does not change: 19 of a training step's 47
TFLOP (reference §8). Here a picture is encoded once, under a key of everything that fixes the result; stage 2 and
inference read the cache and load no tower.

A cache's folder holds one folder for each key, and that one shards: safetensors files, written whole, each with a file
that has its checksum. A kill costs at most the shard in the making.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from synth.errors import SynthError
from synth.recommender.architecture import Architecture
from synth.recommender.batches import prefetch
from synth.recommender.crops import crops, image_hash, open_image
from synth.recommender.feature_key import FeatureKey, difference, key_of, stored
from synth.recommender.method import Progress
from synth.recommender.precision import memory_guard

__all__ = ["Built", "FeatureCache", "FeatureKey", "build", "encode", "key_of"]

CHUNK = 64
"""Crops the tower encodes at once, always exactly as many: matrix products of other sizes round otherwise, and what is
encoded alone must equal what was encoded in company."""
_AGAIN = "Run `synth train features` again: it makes damaged shards anew."
_CHUNKS = 8
"""Encoded one after the other before progress is told."""
SHARD = 2048
"""Pictures in a shard."""
_FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class FeatureCache:
    """The features of many pictures, by the hash of the picture's file. Shards are mapped, not read."""

    def __init__(self, folder: Path, key: FeatureKey) -> None:
        self.folder, self.key = folder, key
        self._shard_of: dict[str, Path] = {}
        self._open: dict[Path, Any] = {}
        for shard in sorted(folder.glob("shard-*.safetensors")):
            if _sum_file(shard).is_file():
                self._shard_of.update(dict.fromkeys(_names(shard), shard))

    @classmethod
    def open(cls, folder: Path, key: FeatureKey) -> FeatureCache:
        """Opens the cache of this key in a folder of caches, or else one that differs in its number format only: they
        are turned into the model's before they are projected, so that a CPU reads what a GPU made in bf16.

        Raises:
            SynthError: there is none; the line says what it differs in from one that is there.
        """
        found = stored(folder, key)
        if found is None:
            raise SynthError(
                f"{folder} has no features of this kind{difference(folder, key)}.",
                "Make them with `synth train features`, with the same model and adapter.",
            )
        return cls(folder / found.digest, found)

    def __len__(self) -> int:
        return len(self._shard_of)

    def __contains__(self, image: str) -> bool:
        return image in self._shard_of

    def get(self, image: str) -> torch.Tensor:
        """Features of a picture, on the CPU: (n_real, d) for `cls`, (n_real, patches, d) for `patches`.

        Raises:
            SynthError: the picture is not in the cache, or its shard is damaged.
        """
        shard = self._shard_of.get(image)
        if shard is None:
            raise SynthError(
                f"The picture {image} is not among the cached features in {self.folder}.",
                "Run `synth train features` again: only what is missing is encoded.",
            )
        if shard not in self._open:
            self._open[shard] = _verified(shard)
        features: torch.Tensor = self._open[shard].get_tensor(image)
        return features

    __call__ = get

    def crops(self, image: str) -> int:
        """How many crops a picture has; 0 for one that is not in the cache."""
        return len(self.get(image)) if image in self else 0

    @property
    def bytes(self) -> int:
        """Of all shards on disk."""
        return sum(path.stat().st_size for path in set(self._shard_of.values()))


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did."""

    cache: FeatureCache
    encoded: int
    """Pictures encoded now; the others were there."""
    crops: int
    rebuilt: int
    """Damaged shards that were made again."""
    seconds: float
    unreadable: Mapping[str, str]
    """Paths of pictures that were left out, with the reason."""


def encode(
    architecture: Architecture, images: Sequence[torch.Tensor], key: FeatureKey, chunk: int = CHUNK
) -> list[torch.Tensor]:
    """Features of images given as crops, in the cache's number format: the same bits as the cache holds.

    Args:
        images: (n_real, 3, H, W) each.

    Returns:
        For each (n_real, d), or (n_real, patches, d), on the CPU.
    """
    pixels = torch.cat(list(images))
    parts = []
    with torch.inference_mode(), memory_guard(f"{chunk} crops", "Use a smaller --batch."):
        for start in range(0, len(pixels), chunk):
            part = pixels[start : start + chunk]
            filled = torch.cat([part, part[-1:].expand(chunk - len(part), -1, -1, -1)])
            encoded = architecture.encode(filled, key.layer, key.pooling)[: len(part)]
            parts.append(encoded.to("cpu", _FORMATS[key.dtype]))
    return [part.clone() for part in torch.cat(parts).split([len(image) for image in images])]


def build(
    architecture: Architecture,
    images: Iterable[Path],
    folder: Path,
    key: FeatureKey,
    *,
    progress: Progress | None = None,
    chunk: int = CHUNK,
    shard: int = SHARD,
    workers: int = 2,
) -> Built:
    """Encodes pictures that the cache lacks, one pass, and writes them shard by shard.

    Stopped at any point, the same call goes on after the last whole shard; a damaged shard is made again. A picture
    that cannot be read is left out and named.

    Args:
        images: paths; files of equal content are encoded once.
        folder: of the caches; that of `key` is made in it.
        chunk: crops the tower encodes at once.
        shard: pictures in a shard.
        workers: threads that decode and crop.
    """
    where = folder / key.digest
    where.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    architecture.model.eval()
    with FileLock(where / "lock"):
        _write(where / "key.json", json.dumps(asdict(key), indent=2) + "\n")
        rebuilt = _clean(where)
        cache = FeatureCache(where, key)
        unreadable: dict[str, str] = {}
        todo = [(name, path) for name, path in _hashed(images, unreadable).items() if name not in cache]
        if progress:
            progress.stage("features", len(todo))
        encoded, made = 0, 0
        for start in range(0, len(todo), shard):
            kept: dict[str, torch.Tensor] = {}
            opened = _opened(architecture, todo[start : start + shard], unreadable, workers)
            for group in _groups(opened, _CHUNKS * chunk):
                kept.update(zip(group, encode(architecture, list(group.values()), key, chunk), strict=True))
                if progress:
                    progress.advance(min(start + len(kept), len(todo)))
            if kept:
                _write_shard(where, kept)
            encoded, made = encoded + len(kept), made + sum(map(len, kept.values()))
            if progress:
                progress.advance(min(start + shard, len(todo)))
        cache = FeatureCache(where, key)
    return Built(cache, encoded, made, rebuilt, time.perf_counter() - started, unreadable)


def _hashed(images: Iterable[Path], unreadable: dict[str, str]) -> dict[str, Path]:
    """Pictures by the hash of their file; those that cannot be read are noted."""
    found: dict[str, Path] = {}
    for path in images:
        try:
            found.setdefault(image_hash(path), path)
        except SynthError as error:
            unreadable[str(path)] = error.what
    return found


def _opened(
    architecture: Architecture, todo: Sequence[tuple[str, Path]], unreadable: dict[str, str], workers: int
) -> Iterator[tuple[str, torch.Tensor]]:
    """The crops of pictures, made ahead by threads; those that cannot be read are noted."""

    def prepared(entry: tuple[str, Path]) -> tuple[str, Path, torch.Tensor | SynthError]:
        try:
            return *entry, crops(open_image(entry[1]), architecture.image_processor)
        except SynthError as error:
            return *entry, error

    for name, path, made in prefetch(todo, prepared, workers):
        if isinstance(made, SynthError):
            unreadable[str(path)] = made.what
        else:
            yield name, made


def _groups(images: Iterable[tuple[str, torch.Tensor]], crops_at_least: int) -> Iterator[dict[str, torch.Tensor]]:
    """Images that have so many crops together, so that little is encoded only to fill a chunk."""
    group: dict[str, torch.Tensor] = {}
    for name, made in images:
        group[name] = made
        if sum(map(len, group.values())) >= crops_at_least:
            yield group
            group = {}
    if group:
        yield group


def _clean(folder: Path) -> int:
    """Removes what a kill left half-made, and damaged shards; returns how many of the latter."""
    damaged = 0
    for shard in folder.glob("shard-*.safetensors"):
        if not _sum_file(shard).is_file():
            shard.unlink()
        elif _sha256(shard) != _sum_file(shard).read_text("utf-8").strip():
            shard.unlink()
            _sum_file(shard).unlink()
            damaged += 1
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    return damaged


def _write_shard(folder: Path, features: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save

    numbers = [int(path.stem.split("-")[1]) for path in folder.glob("shard-*.safetensors")]
    path = folder / f"shard-{max(numbers, default=-1) + 1:05d}.safetensors"
    data = save(dict(features))
    _write(path, data)
    # The shard counts once its sum is there: then all of it is on disk.
    _write(_sum_file(path), hashlib.sha256(data).hexdigest() + "\n")


def _write(path: Path, data: str | bytes) -> None:
    part = path.with_name(path.name + ".tmp")
    with part.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _verified(shard: Path) -> Any:
    """An opened shard whose bytes are those that were written."""
    from safetensors import safe_open

    if _sha256(shard) != _sum_file(shard).read_text("utf-8").strip():
        raise SynthError(f"{shard} is damaged: its checksum is another.", _AGAIN)
    return safe_open(str(shard), "pt")


def _names(shard: Path) -> list[str]:
    """The pictures in a shard, from its header, which a length of 8 bytes precedes; none where that is damaged."""
    try:
        with shard.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, shard.stat().st_size)))
    except ValueError as error:
        raise SynthError(f"{shard} is damaged: it has no readable header.", _AGAIN) from error
    return [name for name in header if name != "__metadata__"]


def _sum_file(shard: Path) -> Path:
    return shard.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
