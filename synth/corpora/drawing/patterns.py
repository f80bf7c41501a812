"""Surface patterns as coverage masks: where, and how strongly, each extra colour lies on the base colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from synth.corpora.drawing.geometry import Points, ellipse, turn
from synth.corpora.drawing.palette import RGB, darker, lighter, luminance, mix
from synth.randomness import rng

WIDTH, HEIGHT = 320, 400
"""Size of a finished picture, pixels."""
SCALE = 3
"""Everything with an edge is drawn this many times larger."""
SIDE = 560
"""Side of the square a pattern is drawn on before it is turned and cut to the picture, in picture pixels."""

Drawer = Callable[[ImageDraw.ImageDraw, int], None]


@lru_cache(maxsize=112)
def coverage(name: str, layer: int, variant: int, angle: int) -> Image.Image:
    """Coverage of one colour layer over the whole picture: mode L, 960 × 1200, turned by `angle` degrees."""
    square = _camouflage(layer, variant) if name == "Camouflage" else _drawn(name, layer, variant)
    if angle:
        square = square.rotate(angle, Image.Resampling.NEAREST)
    left, top = (square.width - WIDTH * SCALE) // 2, (square.height - HEIGHT * SCALE) // 2
    return square.crop((left, top, left + WIDTH * SCALE, top + HEIGHT * SCALE))


def _drawn(name: str, layer: int, variant: int) -> Image.Image:
    square = Image.new("L", (SIDE * SCALE, SIDE * SCALE), 0)
    DRAWERS[name][layer](ImageDraw.Draw(square), variant)
    return square


def layers(name: str, base: RGB, accent: RGB, second: RGB) -> tuple[RGB, ...]:
    """The colour of each layer of a pattern, in the order they are laid on the base."""
    dark = luminance(base) < 120
    if name == "Floral":
        leaf = mix((96, 142, 98), base, 0.25) if luminance(base) > 90 else mix((142, 184, 140), base, 0.2)
        return leaf, accent, second
    if name == "Leopard print":
        return (lighter(base, 0.3), lighter(base, 0.62)) if dark else (darker(base, 0.38), darker(base, 0.82))
    if name == "Camouflage":
        return darker(base, 0.42), lighter(base, 0.38)
    if name in ("Leaf print", "Fair Isle", "Geometric"):
        return accent, second
    if name == "Checked":
        return accent, accent, second
    return (accent,)


def _px(points: Points) -> Points:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _bar(draw: ImageDraw.ImageDraw, upright: bool, at: float, width: float, value: int = 255) -> None:
    a, b, end = round(at * SCALE), round((at + width) * SCALE) - 1, SIDE * SCALE
    draw.rectangle((a, 0, b, end) if upright else (0, a, end, b), fill=value)


def _steps(pitch: float) -> list[float]:
    return [i * pitch for i in range(math.ceil(SIDE / pitch))]


def _stripes(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch, width = ((16, 7), (11, 3), (30, 14), (22, 4))[variant % 4]
    for y in _steps(pitch):
        _bar(draw, False, y, width)


def _pinstripes(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch, width = ((9, 1.1), (13, 1.4))[variant % 2]
    for x in _steps(pitch):
        _bar(draw, True, x, width)


def _checks(draw: ImageDraw.ImageDraw, variant: int, upright: bool) -> None:
    """Gingham, windowpane or the broad bands of a tartan: sets of half-covering bars, denser where they cross."""
    pitch, width, value = ((14, 7, 150), (26, 1.8, 220), (38, 15, 150))[variant % 3]
    for at in _steps(pitch):
        _bar(draw, upright, at, width, value)


def _check_lines(draw: ImageDraw.ImageDraw, variant: int) -> None:
    if variant % 3 == 2:
        for at in _steps(38):
            _bar(draw, True, at + 25, 2.2, 210)
            _bar(draw, False, at + 25, 2.2, 210)


def _dots(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch, radius = ((17, 3.6), (11, 2), (28, 7.5))[variant % 3]
    for row, y in enumerate(_steps(pitch * 0.87)):
        for x in _steps(pitch):
            cx = x + (pitch / 2 if row % 2 else 0)
            draw.ellipse([v * SCALE for v in (cx - radius, y - radius, cx + radius, y + radius)], fill=255)


def _scatter(variant: int, pitch: float, kind: str) -> list[tuple[float, float, float, float]]:
    """Jittered grid: x, y, angle in degrees, size around 1."""
    r = rng(0, "pattern", kind, variant)
    out = []
    for row, y in enumerate(_steps(pitch * 0.9)):
        for x in _steps(pitch):
            shift = pitch / 2 if row % 2 else 0
            out.append(
                (
                    x + shift + r.uniform(-0.16, 0.16) * pitch,
                    y + r.uniform(-0.16, 0.16) * pitch,
                    r.uniform(0, 360),
                    r.uniform(0.8, 1.2),
                )
            )
    return out


def _floral_pitch(variant: int) -> float:
    return (30, 19, 42)[variant % 3]


def _flower_leaves(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch = _floral_pitch(variant)
    for x, y, angle, size in _scatter(variant, pitch, "floral"):
        for side in (40, 190):
            at = math.radians(angle + side)
            r = pitch * 0.34 * size
            leaf = ellipse(x + r * math.cos(at), y + r * math.sin(at), r * 0.62, r * 0.24, steps=12)
            draw.polygon(
                _px(turn(leaf, angle + side, (x + r * math.cos(at), y + r * math.sin(at)))),
                fill=255,
            )


def _flower_petals(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch = _floral_pitch(variant)
    for x, y, angle, size in _scatter(variant, pitch, "floral"):
        r = pitch * 0.15 * size
        for k in range(5):
            at = math.radians(angle + 72 * k)
            px, py = x + 1.15 * r * math.cos(at), y + 1.15 * r * math.sin(at)
            draw.ellipse([v * SCALE for v in (px - r, py - r, px + r, py + r)], fill=255)


def _flower_hearts(draw: ImageDraw.ImageDraw, variant: int) -> None:
    pitch = _floral_pitch(variant)
    for x, y, _, size in _scatter(variant, pitch, "floral"):
        r = pitch * 0.1 * size
        draw.ellipse([v * SCALE for v in (x - r, y - r, x + r, y + r)], fill=255)


def _fronds(draw: ImageDraw.ImageDraw, variant: int, odd: int) -> None:
    for i, (x, y, angle, size) in enumerate(_scatter(variant, 40, "leaf")):
        if i % 2 != odd:
            continue
        for k in range(-4, 5):
            length = (25 - 3 * abs(k)) * size
            blade = [(x, y), (x + length * 0.6, y - 2.6 * size), (x + length, y), (x + length * 0.6, y + 2.6 * size)]
            draw.polygon(_px(turn(blade, angle + 21 * k, (x, y))), fill=255)


def _leopard(draw: ImageDraw.ImageDraw, variant: int, rim: bool) -> None:
    for x, y, angle, size in _scatter(variant, 17, "leopard"):
        r = 4.9 * size
        if not rim:
            draw.polygon(_px(turn(ellipse(x, y, r, r * 0.72, steps=14), angle, (x, y))), fill=255)
            continue
        for start, length in ((0, 105), (140, 75), (250, 70)):
            arc = ellipse(x, y, r * 1.05, r * 0.8, start, start + length, 10)
            draw.line(_px(turn(arc, angle, (x, y))), fill=255, width=round(2.5 * SCALE))


def _geometry(draw: ImageDraw.ImageDraw, variant: int, second: bool) -> None:
    pitch = 26
    for row, y in enumerate(_steps(pitch)):
        for col, x in enumerate(_steps(pitch)):
            if (row + col) % 2 != int(second):
                continue
            if variant % 3 == 0:
                shape = [(x, y + pitch * 0.9), (x + pitch / 2, y + pitch * 0.1), (x + pitch, y + pitch * 0.9)]
                draw.polygon(_px(shape), fill=255)
            elif variant % 3 == 1:
                half = pitch / 2
                outer = [(x, y + half), (x + half, y), (x + pitch, y + half), (x + half, y + pitch)]
                draw.polygon(_px(outer), fill=255)
                inner = [(x + half + (px - x - half) * 0.5, y + half + (py - y - half) * 0.5) for px, py in outer]
                draw.polygon(_px(inner), fill=0)
            else:
                zig = [(x, y + 16), (x + pitch / 2, y + 4), (x + pitch, y + 16)]
                draw.line(_px(zig), fill=255, width=5 * SCALE)


FAIR_ISLE = (
    ("..#..", ".###.", "##.##", ".###.", "..#.."),
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    ("#.#.#", ".#.#.", "....."),
)


def _fair_isle(draw: ImageDraw.ImageDraw, variant: int, second: bool) -> None:
    """Knitted rows of small motifs; every other row in the second colour."""
    stitch, y = 3.0, 0.0
    row = variant
    while y < SIDE:
        motif = FAIR_ISLE[row % 3]
        if (row % 2 == 1) == second:
            for j, line in enumerate(motif):
                for x in _steps(stitch * (len(line) + 1)):
                    for k, mark in enumerate(line):
                        if mark == "#":
                            left, top = (x + k * stitch) * SCALE, (y + j * stitch) * SCALE
                            draw.rectangle((left, top, left + stitch * SCALE - 2, top + stitch * SCALE - 2), fill=255)
        y += stitch * (len(motif) + 3)
        row += 1


def _camouflage(layer: int, variant: int) -> Image.Image:
    noise = np.random.Generator(np.random.PCG64(100 + 10 * variant + layer)).random((26, 26), dtype=np.float32)
    small = Image.fromarray((noise * 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    cut = small.point(lambda v: 255 if v > 150 else 0)
    return cut.resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.BILINEAR)


DRAWERS: dict[str, tuple[Drawer, ...]] = {
    "Striped": (_stripes,),
    "Pinstriped": (_pinstripes,),
    "Checked": (lambda d, v: _checks(d, v, True), lambda d, v: _checks(d, v, False), _check_lines),
    "Polka dots": (_dots,),
    "Floral": (_flower_leaves, _flower_petals, _flower_hearts),
    "Leaf print": (lambda d, v: _fronds(d, v, 0), lambda d, v: _fronds(d, v, 1)),
    "Leopard print": (lambda d, v: _leopard(d, v, False), lambda d, v: _leopard(d, v, True)),
    "Geometric": (lambda d, v: _geometry(d, v, False), lambda d, v: _geometry(d, v, True)),
    "Fair Isle": (lambda d, v: _fair_isle(d, v, False), lambda d, v: _fair_isle(d, v, True)),
}

WOVEN_OR_PRINTED = (*DRAWERS, "Camouflage")
"""Patterns that cover a whole surface; `Colour-block` and `Graphic print` are drawn by the shapes."""
