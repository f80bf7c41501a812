"""Necklines finished: bindings, collars, lapels, hoods and bows."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, Points, box, ellipse, flip, mirrored, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker, mix
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.torso import Torso, neckline

OPEN: dict[str, tuple[float, float]] = {
    "Spread collar": (21, 27),
    "Button-down collar": (21, 25),
    "Cuban collar": (23, 46),
    "Polo collar": (21, 20),
    "Peter Pan collar": (20, 14),
    "Notched lapels": (22, 112),
    "Shawl lapels": (22, 118),
    "Wide lapels": (23, 96),
    "Stand collar": (22, 12),
    "Rib collar": (23, 17),
    "Hood": (26, 22),
}
"""Half width and depth of the neckline below a collar."""


def collar(look: Look, t: Torso, body: Part, neck: str) -> None:
    if t.sleeve == "Strappy":
        return
    if neck == "Off-shoulder":
        _off_shoulder(look, t, body)
    elif neck in ("Notched lapels", "Wide lapels", "Shawl lapels"):
        _lapels(look, t, neck)
    elif neck == "Hood":
        _hood(look, t)
    elif neck in ("Roll neck", "Mock neck", "Stand collar", "Mandarin collar"):
        _standing(look, t, neck)
    elif neck in ("Spread collar", "Button-down collar", "Cuban collar", "Polo collar", "Peter Pan collar"):
        _leaves(look, t, neck)
    else:
        _binding(look, t, body, neck)


def _binding(look: Look, t: Torso, body: Part, neck: str) -> None:
    """A band along the neckline: ribbed and wide on jerseys and knitwear, narrow elsewhere."""
    rib = look.design.kind.type in ("T-shirts", "Jumpers", "Sweatshirts", "Cardigans", "Jackets")
    paint = look.contrast("contrast_neck")
    width = 7.5 if rib else 3.4
    half = neckline(t)
    if neck == "Halter neck":
        half = [*half, *quad((MIDDLE + t.neck, t.top), (MIDDLE + t.neck + 8, t.armpit[1] - 10), t.armpit, 10)]
    line = [*reversed(half), *flip(half)]
    look.canvas.tube(line, width * 2, replace(paint, gloss=0), volume=0.25, edge=0.7, clip=body)


def _off_shoulder(look: Look, t: Torso, body: Part) -> None:
    """A falling ruffle instead of a neckline."""
    y = t.top + 34
    reach = t.shoulder + 10
    top = quad((MIDDLE - reach, y - 8), (MIDDLE, y + 18), (MIDDLE + reach, y - 8), 16)
    low = [(x, yy + 30 + (4 if i % 2 else -3)) for i, (x, yy) in enumerate(reversed(top))]
    part = look.canvas.fill([*top, *spline(low, 4)], look.contrast("contrast_neck", look.body), volume=0.4, lift=0.35)
    for i in range(1, 16, 2):
        x, yy = top[i]
        look.canvas.fold([(x, yy + 5), (x + (x - MIDDLE) * 0.03, yy + 30)], 0.22, 3, part)
    look.canvas.stroke([(x, yy + 4) for x, yy in top], look.line, 0.7, part, dash=2)


def _standing(look: Look, t: Torso, neck: str) -> None:
    height = {"Roll neck": 26, "Mock neck": 15, "Stand collar": 19, "Mandarin collar": 10}[neck]
    paint = look.contrast("contrast_neck")
    if neck in ("Roll neck", "Mock neck"):
        paint = replace(paint, texture="rib")
    w = t.neck
    top = t.top - height + 7
    right = [(MIDDLE + w - 1, top), (MIDDLE + w + 3, t.top + 4)]
    if neck == "Mandarin collar":
        leaf = [
            (MIDDLE + 1, t.top + t.depth - 2),
            *quad((MIDDLE + 3, t.top + t.depth - 12), (MIDDLE + w, t.top + 3), (MIDDLE + w - 2, top)),
            (MIDDLE + w + 4, t.top + 1),
            *quad((MIDDLE + w + 3, t.top + 4), (MIDDLE + w - 2, t.top + t.depth), (MIDDLE + 2, t.top + t.depth + 9)),
        ]
        for points in (leaf, flip(leaf)):
            look.canvas.fill(points, paint, volume=0.3, lift=0.25)
        return
    half: Points = [
        *quad((MIDDLE, top + 3), (MIDDLE + w * 0.7, top + 3), right[0], 6),
        right[1],
        *quad(right[1], (MIDDLE + w * 0.7, t.top + t.depth + 3), (MIDDLE, t.top + t.depth + 4), 6),
    ]
    if neck != "Roll neck":
        hollow = mirrored(quad((MIDDLE, top - 4), (MIDDLE + w * 0.8, top - 4), (MIDDLE + w - 2, top + 1), 6))
        look.canvas.fill([*hollow, (MIDDLE, top + 5)], look.plain.dyed(look.deep), volume=0.2)
    part = look.canvas.fill(mirrored(half), paint, volume=0.45, lift=0.35)
    if neck == "Roll neck":
        crease = quad((MIDDLE - w - 3, top + 19), (MIDDLE, top + 25), (MIDDLE + w + 3, top + 19))
        look.canvas.fold(crease, 0.35, 3, part)
        look.canvas.stroke(crease, look.line, 0.8, part)


def _leaves(look: Look, t: Torso, neck: str) -> None:
    """The two leaves of a shirt collar, and its stand behind."""
    canvas, top = look.canvas, t.top
    paint = look.contrast(
        "contrast_neck", look.body.turned(12) if look.body.pattern in ("Striped", "Pinstriped") else look.body
    )
    stand = [
        *quad((MIDDLE - 20, top - 3), (MIDDLE, top - 12), (MIDDLE + 20, top - 3)),
        *quad((MIDDLE + 22, top + 6), (MIDDLE, top + 2), (MIDDLE - 22, top + 6)),
    ]
    canvas.fill(stand, replace(paint.plain(), base=mix(paint.base, look.deep, 0.35)), volume=0.3)
    join = (MIDDLE + 1, top + t.depth - 1)
    if neck == "Cuban collar":
        leaf = [
            join,
            (MIDDLE + 32, top + 47),
            (MIDDLE + 26, top + 35),
            (MIDDLE + 36, top + 30),
            (MIDDLE + 25, top - 2),
            (MIDDLE + 19, top - 7),
            *quad((MIDDLE + 17, top), (MIDDLE + 10, top + 22), join, 6),
        ]
    elif neck == "Peter Pan collar":
        leaf = [
            join,
            *quad(join, (MIDDLE + 14, top + 40), (MIDDLE + 33, top + 24)),
            *quad((MIDDLE + 33, top + 24), (MIDDLE + 40, top + 12), (MIDDLE + 25, top - 2)),
            (MIDDLE + 18, top - 6),
            *quad((MIDDLE + 17, top), (MIDDLE + 13, top + 12), join, 6),
        ]
    else:
        tip = (MIDDLE + (27 if neck == "Spread collar" else 21), top + t.depth + (12 if neck != "Polo collar" else 14))
        leaf = [
            join,
            tip,
            (MIDDLE + 27, top + 1),
            (MIDDLE + 19, top - 8),
            *quad((MIDDLE + 18, top), (MIDDLE + 13, top + 14), join, 6),
        ]
    for points in (leaf, flip(leaf)):
        part = canvas.fill(points, paint, volume=0.3, lift=0.38)
        if look.design.has("collar_piping"):
            canvas.stroke([*points[:4]], look.accent, 3.4, part)
        elif neck != "Cuban collar":
            canvas.stroke([(x + (MIDDLE - x) * 0.06, y - 2.6) for x, y in points[:3]], look.line, 0.6, part, dash=2)
    if neck == "Button-down collar":
        for x in (MIDDLE + 20, MIDDLE - 20):
            canvas.button(
                x, top + t.depth + 8, 1.9, look.contrast("contrast_buttons", look.plain.dyed(COLOURS["Cream"].rgb)).base
            )


def _lapels(look: Look, t: Torso, neck: str) -> None:
    canvas, top, low = look.canvas, t.top, t.top + t.depth
    wide = 10 if neck == "Wide lapels" else 0
    paint = look.contrast("contrast_lapels", look.body.turned(20) if look.body.pattern else look.body)
    stand = [
        *quad((MIDDLE - 23, top - 4), (MIDDLE, top - 14), (MIDDLE + 23, top - 4)),
        *quad((MIDDLE + 24, top + 8), (MIDDLE, top - 1), (MIDDLE - 24, top + 8)),
    ]
    canvas.fill(stand, paint, volume=0.35, lift=0.1)
    if neck == "Shawl lapels":
        outer = spline(
            [
                (MIDDLE, low + 4),
                (MIDDLE + 28, low - 52),
                (MIDDLE + 38, top + 30),
                (MIDDLE + 28, top),
                (MIDDLE + 21, top - 7),
            ]
        )
        leaf = [*outer, *quad((MIDDLE + 19, top), (MIDDLE + 12, top + 40), (MIDDLE, low - 12))]
        collar_leaf: Points = []
    else:
        leaf = [
            (MIDDLE, low + 6),
            *quad((MIDDLE, low + 6), (MIDDLE + 26 + wide, low - 40), (MIDDLE + 41 + wide, top + 41), 8),
            (MIDDLE + 29, top + 31),
            (MIDDLE + 17, top + 12),
            *quad((MIDDLE + 17, top + 12), (MIDDLE + 10, top + 46), (MIDDLE, low - 10)),
        ]
        collar_leaf = [
            (MIDDLE + 16, top + 16),
            (MIDDLE + 29, top + 33),
            (MIDDLE + 41 + wide / 2, top + 28),
            (MIDDLE + 30, top),
            (MIDDLE + 21, top - 8),
            (MIDDLE + 17, top + 2),
        ]
    for points in (flip(leaf), leaf):
        canvas.fill(points, paint, volume=0.28, lift=0.4)
    for points in (collar_leaf, flip(collar_leaf)) if collar_leaf else ():
        canvas.fill(points, paint, volume=0.3, lift=0.3)


def _hood(look: Look, t: Torso) -> None:
    canvas, top, d = look.canvas, t.top, look.design
    outer = mirrored(
        spline(
            [
                (MIDDLE, top - 42),
                (MIDDLE + 28, top - 39),
                (MIDDLE + 47, top - 12),
                (MIDDLE + 43, top + 12),
                (MIDDLE + 22, top + 32),
                (MIDDLE, top + 42),
            ]
        )
    )
    inner = mirrored(
        spline(
            [
                (MIDDLE, top - 25),
                (MIDDLE + 20, top - 22),
                (MIDDLE + 30, top - 4),
                (MIDDLE + 25, top + 12),
                (MIDDLE, top + 34),
            ]
        )
    )
    canvas.fill(inner, look.contrast("contrast_lining", look.plain.dyed(look.deep)), volume=0.6)
    part = canvas.fill(
        outer, look.plain if look.body.pattern != "Camouflage" else look.body, volume=0.5, lift=0.4, holes=[inner]
    )
    if d.has("hood_trim"):
        ring = [*inner, inner[0]]
        canvas.tube(ring, 12, replace(look.trim, texture="fleece", gloss=0), volume=0.7, lift=0.3, edge=0.4)
    else:
        canvas.stroke(
            mirrored(
                spline(
                    [
                        (MIDDLE, top - 29),
                        (MIDDLE + 24, top - 25),
                        (MIDDLE + 34, top - 4),
                        (MIDDLE + 28, top + 15),
                        (MIDDLE, top + 38),
                    ]
                )
            ),
            look.line,
            0.7,
            part,
            dash=2.4,
        )
    canvas.stroke([(MIDDLE, top - 42), (MIDDLE, top - 26)], look.line, 0.8, part)
    if d.has("contrast_strings") or d.has("strings"):
        rgb = look.contrast("contrast_strings", look.plain.dyed(darker(look.plain.base, 0.2)))
        for side in (1, -1):
            x = MIDDLE + side * 10
            canvas.tube(
                quad((x, top + 30), (x + side * 5, top + 52), (x + side * 2, top + 76)),
                3,
                replace(rgb, texture=""),
                lift=0.35,
                edge=0.5,
            )
            canvas.fill(
                box(x + side * 2 - 2, top + 74, x + side * 2 + 2, top + 83, 1),
                rgb.dyed(COLOURS["Silver"].rgb),
                volume=0.5,
            )


def bow(look: Look, x: float, y: float, size: float) -> None:
    """A tied bow in the accent colour with two hanging ends."""
    canvas, s = look.canvas, size
    for side in (1, -1):
        tail = [(x, y), (x + side * 9 * s, y + 34 * s), (x + side * 17 * s, y + 30 * s), (x + side * 3 * s, y - 1)]
        canvas.fill(tail, look.trim, volume=0.35, lift=0.3, edge=0.8)
    for side in (1, -1):
        loop = spline(
            [(x, y), (x + side * 15 * s, y - 10 * s), (x + side * 21 * s, y), (x + side * 14 * s, y + 8 * s)],
            closed=True,
        )
        part = canvas.fill(loop, look.trim, volume=0.5, lift=0.3, edge=0.8)
        canvas.fold([(x, y), (x + side * 12 * s, y - 1)], 0.3, 2.5, part)
    canvas.fill(ellipse(x, y, 4.5 * s, 5 * s, steps=12), look.trim, volume=0.5, lift=0.3, edge=0.8)
