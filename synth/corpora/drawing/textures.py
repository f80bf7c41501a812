"""Materials as fine relief: small changes of light that tell denim from knitwear and leather from satin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synth.corpora.drawing.patterns import HEIGHT, WIDTH

Relief = NDArray[np.float32]


def _noise(seed: int, coarse: int = 1) -> Relief:
    """Values from -0.5 to 0.5; `coarse` pixels share one smooth bump."""
    shape = (HEIGHT // coarse + 1, WIDTH // coarse + 1)
    values = np.random.Generator(np.random.PCG64(seed)).random(shape, dtype=np.float32)
    if coarse > 1:
        grown = Image.fromarray((values * 255).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        return np.asarray(grown, np.float32) / np.float32(255) - np.float32(0.5)
    return values[:HEIGHT, :WIDTH] - np.float32(0.5)


def _grid() -> tuple[Relief, Relief]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return y, x


def _relief(values: Any) -> Relief:
    return np.asarray(values, np.float32)


def _denim() -> Relief:
    y, x = _grid()
    return _relief(0.06 * np.sin((x + y) * 1.9) + 0.12 * _noise(1) + 0.1 * _noise(2, 40))


def _knit() -> Relief:
    """Columns of small V-shaped stitches."""
    y, x = _grid()
    slant = np.abs((x % 5) - 2.5)
    return _relief(0.085 * np.sin((y - slant * 1.1) * 1.75) - 0.05 * (slant < 0.6))


def _rib() -> Relief:
    _, x = _grid()
    return _relief(0.1 * np.sin(x * 1.45))


def _cable() -> Relief:
    """Ribs between twisted cables."""
    y, x = _grid()
    column = (x - 10) % 40
    strand = 5.5 * np.sin(y * 0.16)
    near = np.minimum(np.abs(column - 20 - strand), np.abs(column - 20 + strand))
    cable = 0.17 * np.cos(np.clip(near, 0, 5) * 0.62)
    ribs = 0.07 * np.sin(x * 1.57)
    return _relief(np.where(np.abs(column - 20) < 10, cable - 0.1, ribs))


def _corduroy() -> Relief:
    _, x = _grid()
    return _relief(0.13 * np.sin(x * 1.2) + 0.04 * _noise(3))


def _wool() -> Relief:
    return _relief(0.15 * _noise(4) + 0.12 * _noise(5, 3))


def _fleece() -> Relief:
    return _relief(0.15 * _noise(6, 4) + 0.08 * _noise(7))


def _leather() -> Relief:
    return _relief(0.07 * _noise(8, 2) + 0.09 * _noise(9, 24))


def _suede() -> Relief:
    return _relief(0.1 * _noise(10) + 0.16 * _noise(11, 16))


def _satin() -> Relief:
    """Broad, slanting sheen."""
    y, x = _grid()
    return _relief(0.08 * np.sin((x * 0.9 + y * 0.35) * 0.1) + 0.04 * np.sin((x - y * 0.2) * 0.23))


def _canvas() -> Relief:
    y, x = _grid()
    return _relief(0.045 * np.sin(x * 2.2) + 0.045 * np.sin(y * 2.2) + 0.05 * _noise(12))


def _linen() -> Relief:
    rows = np.random.Generator(np.random.PCG64(13)).random((HEIGHT, 1), dtype=np.float32) - np.float32(0.5)
    columns = np.random.Generator(np.random.PCG64(14)).random((1, WIDTH), dtype=np.float32) - np.float32(0.5)
    return _relief(0.075 * rows + 0.075 * columns + 0.06 * _noise(15))


def _quilt() -> Relief:
    """Padded horizontal chambers."""
    y, _ = _grid()
    phase = (y % 26) / 26
    return _relief(0.2 * np.sin(phase * np.pi).astype(np.float32) - 0.12 + 0.07 * _noise(16, 9))


def _straw() -> Relief:
    y, x = _grid()
    return _relief(0.13 * np.sin(y * 1.5 + np.sin(x * 0.9)) * np.sign(np.sin(x * 0.75)) + 0.06 * _noise(17))


TEXTURES: dict[str, Callable[[], Relief]] = {
    "denim": _denim,
    "knit": _knit,
    "rib": _rib,
    "cable": _cable,
    "corduroy": _corduroy,
    "wool": _wool,
    "fleece": _fleece,
    "leather": _leather,
    "suede": _suede,
    "satin": _satin,
    "canvas": _canvas,
    "linen": _linen,
    "quilt": _quilt,
    "straw": _straw,
}


@cache
def texture(name: str) -> Relief:
    """Change of light over the whole picture: 400 × 320, about -0.2 to 0.2."""
    return np.ascontiguousarray(TEXTURES[name](), dtype=np.float32)
