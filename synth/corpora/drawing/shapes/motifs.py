"""Graphic prints: small pictures on the chest of a T-shirt or the front of a bag."""

from __future__ import annotations

from collections.abc import Callable

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import Points, box, ellipse, quad, spline, star, turn
from synth.corpora.drawing.palette import RGB
from synth.corpora.drawing.shapes.look import Look

Piece = tuple[Points, str]
"""An outline about the origin, some 80 wide, and the colour it has: `accent`, `second` or `base`."""


def _sunrise() -> list[Piece]:
    return [
        (ellipse(0, 0, 34, 34), "accent"),
        ([(-44, 28), (-16, -14), (2, 10), (16, -6), (44, 28)], "second"),
        ([(-22, -5), (-16, -14), (-9, -5), (-16, 0)], "base"),
        ([(11, 0), (16, -6), (21, 0), (16, 4)], "base"),
    ]


def _wave() -> list[Piece]:
    crest = spline([(-44, 24), (-30, 4), (-6, -26), (18, -24), (26, -8), (14, -14), (4, -4), (14, 14), (44, 24)])
    foam = spline([(-34, 18), (-14, -4), (0, -16), (10, -18), (-4, -2), (4, 18)])
    return [(ellipse(24, -20, 14, 14), "second"), (crest, "accent"), (foam, "base"), (box(-44, 24, 44, 29), "accent")]


def _star() -> list[Piece]:
    return [(star(0, 2, 40, 17), "accent"), (star(0, 2, 24, 10), "second")]


def _heart() -> list[Piece]:
    half = [(0, -14), *quad((0, -14), (10, -34), (28, -28)), *quad((28, -28), (48, -12), (0, 34))]
    heart = [*half, *reversed([(-x, y) for x, y in half])]
    small = [(x * 0.5, y * 0.5 - 3) for x, y in heart]
    return [(heart, "accent"), (small, "second")]


def _rocket() -> list[Piece]:
    hull = spline([(0, -42), (13, -22), (14, 14), (0, 22), (-14, 14), (-13, -22)], closed=True)
    pieces: list[Piece] = [
        ([(12, 2), (27, 24), (10, 20)], "second"),
        ([(-12, 2), (-27, 24), (-10, 20)], "second"),
        (spline([(-8, 22), (0, 44), (8, 22)]), "second"),
        (hull, "accent"),
        (ellipse(0, -10, 7, 7), "base"),
    ]
    return [(turn(points, 28, (0, 0)), colour) for points, colour in pieces]


def _cat() -> list[Piece]:
    return [
        ([(-32, -4), (-31, -38), (-8, -22)], "accent"),
        ([(32, -4), (31, -38), (8, -22)], "accent"),
        (ellipse(0, 4, 35, 29), "accent"),
        (ellipse(-13, -2, 6, 7.5), "base"),
        (ellipse(13, -2, 6, 7.5), "base"),
        (ellipse(-12, -1, 2.4, 5), "second"),
        (ellipse(12, -1, 2.4, 5), "second"),
        ([(-5, 10), (5, 10), (0, 16)], "second"),
        *(((box(s * 27 - 10, y, s * 27 + 10, y + 1.6)), "base") for s in (-1, 1) for y in (10.0, 16.0)),
    ]


def _palm() -> list[Piece]:
    trunk = [*quad((-8, 36), (-2, 6), (4, -14)), *quad((9, -13), (5, 6), (2, 36))]
    blades: list[Piece] = []
    for angle in (-160, -115, -70, -25, 15, 190):
        blades.append((turn(spline([(0, 0), (16, -7), (34, 3), (16, 1)], closed=True), angle, (0, 0)), "accent"))
    moved: list[Piece] = [([(x + 6, y - 14) for x, y in p], c) for p, c in blades]
    sand = [*quad((-36, 38), (0, 24), (36, 38))]
    return [(ellipse(-18, -16, 13, 13), "second"), (sand, "second"), (trunk, "accent"), *moved]


def _lightning() -> list[Piece]:
    bolt = [(8, -42), (-22, 6), (-3, 6), (-10, 42), (24, -10), (4, -10), (18, -42)]
    return [(ellipse(0, 0, 40, 40), "second"), ([(x * 0.82, y * 0.82) for x, y in bolt], "accent")]


def _anchor() -> list[Piece]:
    arc = [*ellipse(0, 10, 32, 28, 10, 170, 18), *reversed(ellipse(0, 10, 25, 20, 10, 170, 18))]
    return [
        (ellipse(0, -32, 9, 9), "accent"),
        (ellipse(0, -32, 4.5, 4.5), "base"),
        (box(-3.5, -24, 3.5, 36), "accent"),
        (box(-17, -17, 17, -11, 2), "second"),
        (arc, "accent"),
        ([(-39, 18), (-30, 4), (-21, 18)], "accent"),
        ([(39, 18), (30, 4), (21, 18)], "accent"),
    ]


def _moon() -> list[Piece]:
    return [
        (ellipse(-4, 0, 34, 34), "accent"),
        (ellipse(9, -7, 28, 28), "base"),
        (star(14, -10, 12, 5), "second"),
        (star(32, 14, 7, 3), "second"),
        (star(2, 10, 5, 2), "second"),
    ]


def _dinosaur() -> list[Piece]:
    body = spline(
        [
            (-44, 22),
            (-24, 4),
            (-8, -6),
            (8, -8),
            (18, -32),
            (34, -36),
            (42, -28),
            (28, -22),
            (26, 2),
            (20, 18),
            (-8, 20),
        ],
        closed=True,
    )
    spikes: list[Piece] = [
        ([(x - 5, y + 2), (x - 2, y - 11), (x + 6, y - 1)], "second")
        for x, y in ((-22, 4), (-8, -5), (5, -8), (14, -20))
    ]
    legs: list[Piece] = [(box(-8, 12, 0, 34, 3), "accent"), (box(10, 12, 18, 34, 3), "accent")]
    return [*spikes, *legs, (body, "accent"), (ellipse(31, -31, 2, 2), "base")]


MOTIFS: dict[str, Callable[[], list[Piece]]] = {
    "a sun behind two mountains": _sunrise,
    "a breaking wave": _wave,
    "a large star": _star,
    "a double heart": _heart,
    "a flying rocket": _rocket,
    "a cat's face": _cat,
    "a palm tree": _palm,
    "a lightning bolt": _lightning,
    "an anchor": _anchor,
    "a crescent moon with stars": _moon,
    "a small dinosaur": _dinosaur,
}
"""Drawing by the words that say what it shows."""


def motif(look: Look, x: float, y: float, size: float, clip: Part) -> None:
    """Prints the design's motif about (x, y); `size` 1 is some 80 pixels wide."""
    colours: dict[str, RGB] = {"accent": look.accent, "second": look.second, "base": look.plain.base}
    for points, colour in MOTIFS[look.design.motif]():
        look.canvas.stain([(x + px * size, y + py * size) for px, py in points], colours[colour], clip)
