"""What a product photograph shows, measured from its pixels: colours, surface, light and shade, shape.

Made for product photographs on a mostly plain ground. Where a measure is not clear it says nothing: what is said here
is repeated to shoppers who see the picture.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 80
_BINS = 32
_BLUR = 7
_LARGE = 200
"""Pixels of the shorter side from which fine stripes would be seen."""
_NAMES = ("neutral", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige", "unclear")
_NEUTRAL, _UNCLEAR = _NAMES.index("neutral"), _NAMES.index("unclear")
_ACCENTS = {
    frozenset(pair.split())
    for pair in (
        "red neutral", "orange neutral", "yellow neutral", "green neutral", "blue neutral", "purple neutral",
        "pink neutral", "red yellow", "red green", "red blue", "orange green", "orange blue", "orange purple",
        "yellow green", "yellow blue", "yellow purple", "yellow pink", "green pink", "green purple", "green brown",
        "blue pink", "blue brown", "blue beige", "blue green", "brown purple", "brown pink", "beige red", "beige green",
        "beige purple",
    )
}  # fmt: skip
"""Pairs that light and shade do not make of one another."""

_LIGHTNESS = ((52, "very dark"), (95, "dark"), (150, "mid-toned"), (200, "light"), (256, "very light"))
"""Steps of the median grey value, 0 to 255."""
_CONTRAST = ((23, "soft"), (45, "moderate"), (256, "strong"))
"""Steps of the grey values' standard deviation."""
_SHAPES = ((0.72, "slender"), (1.2, "compact"), (1.7, "broad"), (float("inf"), "elongated"))
"""Steps of width by height."""

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]


def look(image: Image.Image) -> dict[str, str]:
    """Facts about the product in a picture; one that is not clear is absent, and all are where the ground is not plain.

    Returns:
        `main_colour` and `accent` (one of black, grey, white, red, orange, yellow, green, blue, purple, pink, brown,
        beige), `tone` (bright or muted), `surface` (plain or striped), and three measures in steps, by which two
        pictures can be compared: `lightness` of the product's median pixel, `contrast` of light and shade on it,
        and, unless it is worn by a person, the `shape` of its outline, from slender to elongated.
    """
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    rgb = np.asarray(small, dtype=np.float32)
    mask = _product(rgb)
    if mask is None:
        return {}
    worn = _worn(rgb, mask)
    inner = _torso(mask) if worn else _erode(mask)
    if inner.sum() < 60:
        return {}
    found = _colours(rgb[inner]) if worn or _filled(mask) else {}
    if worn and found.get("accent") in ("white", "beige", "brown", "orange") or not worn and _upright(mask):
        # It may be the ground between arm and body, skin, or, where the person was not noticed, another garment.
        found.pop("accent", None)
    surface = _surface(rgb, inner, worn, image.size)
    if surface:
        found["surface"] = surface
    found.update(_shading(rgb[inner]))
    if found.get("tone") in ("dark", "pale"):
        del found["tone"]
    if not worn:
        found["shape"] = _step(_ratio(mask), _SHAPES)
    return found


def _product(rgb: Pixels) -> Mask | None:
    """Which pixels are the product, None where the ground is not plain or the product does not stand out."""
    border = np.concatenate((rgb[0], rgb[-1], rgb[1:-1, 0], rgb[1:-1, -1]))
    ground = np.median(border, axis=0)
    spread = np.abs(border - ground).max(axis=1)
    if np.mean(spread < 20) < 0.6:
        return None
    noise = float(np.percentile(spread[spread < 20], 75))
    mask = np.abs(rgb - ground).max(axis=2) > 10 + 2 * noise
    return mask if 0.05 < mask.mean() < 0.95 else None


def _erode(mask: Mask) -> Mask:
    """Without the rim, where the product's colour and the ground's are mixed."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner


def _filled(mask: Mask) -> bool:
    """Whether few pixels within the outline look like the ground: otherwise it may be white on white."""
    rows = np.maximum.accumulate(mask, axis=1) & np.maximum.accumulate(mask[:, ::-1], axis=1)[:, ::-1]
    columns = np.maximum.accumulate(mask, axis=0) & np.maximum.accumulate(mask[::-1], axis=0)[::-1]
    return float(mask.sum()) > 0.7 * float((rows & columns).sum())


def _colours(pixels: Pixels) -> dict[str, str]:
    """Main colour, tone and accent of the product's pixels (n, 3)."""
    cells = pixels.astype(np.intp) // (256 // _BINS)
    classes = _table()[cells[:, 0], cells[:, 1], cells[:, 2]]
    shares = np.bincount(classes, minlength=len(_NAMES)) / len(classes)
    shares[_UNCLEAR] = 0
    first, second = np.argsort(-shares)[:2]
    if shares[first] < 0.55:
        return {}
    main = pixels[classes == first]
    name: str | None = _NAMES[first]
    if first == _NEUTRAL:
        name = _neutral(main)
    if name is None:
        return {}
    found = {"main_colour": name}
    tone = _tone(main, name)
    if tone:
        found["tone"] = tone
    if shares[second] >= 0.12 and {_NAMES[first], _NAMES[second]} in _ACCENTS:
        accent = _neutral(pixels[classes == second]) if second == _NEUTRAL else _NAMES[second]
        if accent:
            found["accent"] = accent
    return found


def _neutral(pixels: Pixels) -> str | None:
    """Black, grey or white, None between them and where dark and light share the surface."""
    cast = np.ptp(pixels.mean(axis=0))
    if cast > 7:
        return None
    light = pixels.mean(axis=1)
    dark, middle, pale = np.percentile(light, (15, 50, 85))
    if middle < 62 and pale < 140:
        return "black"
    if middle > 222 and dark > 190:
        return "white"
    return "grey" if 95 < middle < 175 and pale - dark < 60 else None


@cache
def _table() -> NDArray[np.int64]:
    """Colour name (its place in `_NAMES`) by red, green and blue, each in `_BINS` steps.

    Between two names lies a strip that is neither.
    """
    steps = (np.arange(_BINS) + 0.5) * (256 / _BINS)
    red, green, blue = np.meshgrid(steps, steps, steps, indexing="ij")
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma, light = high - low, (high + low) / 2
    safe = np.where(chroma == 0, 1, chroma)
    toward = np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = 60 * np.where(high == red, (green - blue) / safe % 6, toward)
    warm = (hue >= 14) & (hue < 46)
    rules = (
        ("neutral", (high < 44) | (chroma < 13) | ((chroma < 18) & (high < 210))),
        ("unclear", chroma < 28),
        ("beige", warm & (light > 160) & (chroma < 85)),
        ("unclear", warm & (light > 140) & (chroma < 95)),
        ("brown", warm & (high < 175)),
        ("brown", (hue >= 4) & (hue < 14) & (high < 120)),
        ("unclear", warm & (high < 200)),
        ("unclear", (hue >= 8) & (hue < 17)),
        ("unclear", ((hue < 8) | (hue >= 340)) & (light > 150) & (light < 175)),
        ("pink", ((hue < 8) | (hue >= 340)) & (light >= 175)),
        ("red", (hue < 8) | (hue >= 348)),
        ("orange", hue < 34),
        ("unclear", hue < 47),
        ("yellow", (hue < 64) & (light > 80)),
        ("unclear", hue < 75),
        ("green", hue < 160),
        ("unclear", hue < 185),
        ("blue", hue < 248),
        ("unclear", hue < 258),
        ("purple", hue < 302),
        ("purple", (hue < 325) & (light < 110)),
        ("unclear", (hue < 316) | (light < 110)),
    )
    names = np.select([where for _, where in rules], [_NAMES.index(name) for name, _ in rules], _NAMES.index("pink"))
    return names.astype(np.int64)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of what is set; bottom and right are not in it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _skin(rgb: Pixels) -> Mask:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    skin: Mask = (red > 80) & (red - green > 12) & (red - green < 85) & (green - blue > 4) & (green - blue < 60)
    return skin


def _worn(rgb: Pixels, mask: Mask) -> bool:
    """Whether a person seems to wear the product: an upright figure with skin in its upper part."""
    top, bottom, left, right = _box(mask)
    if bottom - top < 1.15 * (right - left) or bottom - top < 0.6 * len(mask):
        return False
    if mask[top:bottom, left:right].mean() < 0.35:
        return False
    upper = np.zeros_like(mask)
    upper[top : top + (bottom - top) * 2 // 5] = True
    upper &= mask
    return float((_skin(rgb) & upper).sum()) > 0.08 * float(upper.sum())


def _torso(mask: Mask) -> Mask:
    """The middle of a figure, where a garment of any cut is; not only what stands out, for it may be white."""
    top, bottom, left, right = _box(mask)
    middle = np.zeros_like(mask)
    height, width = bottom - top, right - left
    middle[top + height * 3 // 10 : top + height * 6 // 10, left + width // 4 : right - width // 4] = True
    return middle


def _tone(pixels: Pixels, name: str) -> str | None:
    light = float(np.median(pixels.max(axis=1) + pixels.min(axis=1)) / 2)
    chroma = float(np.median(pixels.max(axis=1) - pixels.min(axis=1)))
    if name in ("black", "white", "beige"):
        return None
    if light < 72:
        return "dark"
    if light > 185 and chroma < 90:
        return "pale"
    if name in ("grey", "brown"):
        return None
    if chroma > 130:
        return "bright"
    return "muted" if chroma < 50 and light < 170 else None


def _surface(rgb: Pixels, inner: Mask, worn: bool, size: tuple[int, int]) -> str | None:
    """`striped` for bands straight across a garment; `plain` where a picture large enough to tell shows no detail.

    Finer, upright or slanted patterns cannot be told from folds, seams and straps at this size.
    """
    top, bottom, left, right = _box(inner)
    height, width = bottom - top, right - left
    window = slice(top + height // 6, bottom - height // 6), slice(left + width // 6, right - width // 6)
    if inner[window].mean() < 0.95 or min(inner[window].shape) < 10:
        return None
    light = rgb[window].mean(axis=2)
    detail = light - _blurred(_blurred(light, 0), 1)
    strength = float(detail.std())
    if strength < 3:
        return "plain" if min(size) >= _LARGE else None
    rows, columns = detail.mean(axis=1), detail.mean(axis=0)
    turns = int((np.diff(np.sign(rows[np.abs(rows) > 2])) != 0).sum())
    across = rows.var() > 0.67 * strength**2 and columns.var() < 0.15 * strength**2
    return "striped" if worn and strength > 5 and across and turns >= 5 else None


def _blurred(light: Pixels, axis: int) -> Pixels:
    """The mean over `_BLUR` pixels along one axis, the edges continued."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = (_BLUR // 2 + 1, _BLUR // 2)
    sums = np.cumsum(np.pad(light, padding, mode="edge"), axis=axis, dtype=np.float32)
    ends = np.arange(_BLUR, sums.shape[axis])
    means: Pixels = (np.take(sums, ends, axis=axis) - np.take(sums, ends - _BLUR, axis=axis)) / np.float32(_BLUR)
    return means


def _upright(mask: Mask) -> bool:
    top, bottom, left, right = _box(mask)
    return bottom - top > 1.6 * (right - left)


def _ratio(mask: Mask) -> float:
    """Width of the outline by its height."""
    top, bottom, left, right = _box(mask)
    return (right - left) / (bottom - top)


def _shading(pixels: Pixels) -> dict[str, str]:
    light = pixels.mean(axis=1)
    return {"lightness": _step(float(np.median(light)), _LIGHTNESS), "contrast": _step(float(light.std()), _CONTRAST)}


def _step(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    """Name of the first step that the value is below."""
    return next(name for limit, name in steps if value < limit)
