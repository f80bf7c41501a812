"""Scarves, ties and belts."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint
from synth.corpora.drawing.geometry import box, ellipse, mirrored, path, quad
from synth.corpora.drawing.palette import COLOURS, darker, lighter
from synth.corpora.drawing.shapes.look import Look


def scarves(look: Look) -> None:
    if look.design.style.shape.endswith("square"):
        _square(look)
    else:
        _long(look)


def _long(look: Look) -> None:
    """A scarf laid in a loop with two hanging ends."""
    d, canvas = look.design, look.canvas
    w = 62.0 if d.is_cut("width", "Wide") else 44.0
    end = 366.0 if d.is_cut("length", "Long") else 316.0
    tails = (
        (
            path(f"M{128 - w * 0.4},120 L{128 + w * 0.6},130 L{136 + w * 0.4},{end - 26} L{136 - w * 0.7},{end - 20}"),
            -6,
            end - 22,
        ),
        (
            path(f"M{182 - w * 0.4},130 L{184 + w * 0.6},118 L{206 + w * 0.55},{end - 2} L{206 - w * 0.55},{end + 2}"),
            4,
            end,
        ),
    )
    for points, lean, low in tails:
        part = canvas.fill(points, look.body.turned(0), volume=0.4, lift=0.4)
        if d.pattern == "Colour-block":
            canvas.stain(box(0, (end + 130) / 2, 320, 400), look.accent, part)
        if d.has("scarf_ends"):
            canvas.stain(box(0, low - 52, 320, low - 38), look.accent, part)
            canvas.stain(box(0, low - 30, 320, low - 16), look.accent, part)
        middle = (points[0][0] + points[1][0]) / 2
        canvas.fold([(middle, 140), (middle + lean, low - 20)], 0.16, 6, part)
        canvas.fold([(middle + 13, 140), (middle + 13 + lean, low - 20)], -0.12, 6, part)
        if d.has("fringe"):
            (x1, y1), (x2, y2) = points[3], points[2]
            for k in range(9):
                x, y = x1 + (x2 - x1) * (k + 0.5) / 9, y1 + (y2 - y1) * (k + 0.5) / 9
                canvas.tube([(x, y - 1), (x + lean * 0.2, y + 20)], 3, look.plain, edge=0.6)
    loop = path("M78,118 C60,40 260,36 244,116 C240,176 84,178 78,118")
    hole = path("M112,104 C112,72 210,70 208,102 C200,128 122,130 112,104")
    part = canvas.fill(loop, look.body, volume=0.6, lift=0.5, holes=[hole])
    for dy in (8, 24):
        canvas.fold(quad((92, 112 + dy), (160, 148 + dy), (230, 110 + dy)), 0.18, 5, part)
    canvas.fold(quad((96, 84), (160, 54), (226, 84)), -0.14, 6, part)


def _square(look: Look) -> None:
    """A square scarf folded to a triangle, its border showing."""
    d, canvas = look.design, look.canvas
    with canvas.placed(1.04, 0, 2):
        back = path("M32,130 L288,130 L164,330")
        canvas.fill(back, look.trim, volume=0.3)
        front = path("M40,112 Q160,104 280,112 Q226,204 160,312 Q94,206 40,112")
        part = canvas.fill(front, look.body, volume=0.35, lift=0.35)
        if d.has("scarf_border"):
            canvas.stroke([*front, front[0]], look.accent, 22, part)
            canvas.stroke(
                [(160 + (x - 160) * 0.84, 176 + (y - 176) * 0.8) for x, y in [*front, front[0]]],
                lighter(look.accent, 0.55),
                1.6,
                part,
            )
        for line in (quad((84, 130), (120, 200), (158, 286)), quad((232, 128), (200, 200), (164, 286))):
            canvas.fold(line, 0.14, 6, part)
            canvas.fold([(x + 10, y) for x, y in line], -0.12, 7, part)


def ties(look: Look) -> None:
    if look.design.style.shape == "bow tie":
        _bow_tie(look)
    else:
        _tie(look)


def _tie(look: Look) -> None:
    d, canvas = look.design, look.canvas
    w = 25.0 if d.is_cut("width", "Slim") else 35.0
    back = mirrored(path(f"M160,90 L{160 + w * 0.42},92 L{160 + w * 0.7},318 L160,344", 18), 178)
    canvas.fill(back, look.trim if d.has("tie_knot") else look.plain.dyed(darker(look.plain.base, 0.25)), volume=0.3)
    blade = mirrored(path(f"M160,84 L{160 + w * 0.4},86 L{160 + w},322 L160,368"))
    part = canvas.fill(blade, look.body.turned(45 if d.pattern == "Striped" else 0), volume=0.45, lift=0.4)
    canvas.fold([(150, 100), (146, 320)], -0.16, 8, part)
    collar = path("M112,44 Q160,22 208,44 L204,64 Q160,40 116,64")
    canvas.fill(collar, look.body.turned(-15), volume=0.4)
    knot = mirrored(path(f"M160,50 L{160 + w * 0.9},46 Q{160 + w},58 {160 + w * 0.56},92 L160,98"))
    body = canvas.fill(knot, look.body.turned(-45 if d.pattern == "Striped" else 0), volume=0.55, lift=0.45)
    canvas.fold([(162, 70), (160, 98)], 0.2, 4, body)
    canvas.fold([(158, 100), (160, 128)], 0.22, 4, part)
    for pin in ("gold", "silver"):
        if d.has(f"tie_pin_{pin}"):
            half = w * 0.72
            canvas.fill(
                box(160 - half, 214, 160 + half * 0.7, 221, 2),
                Paint(COLOURS[pin.title()].rgb, gloss=1),
                volume=0.6,
                lift=0.4,
            )


def _bow_tie(look: Look) -> None:
    d, canvas = look.design, look.canvas
    h = 46.0 if d.is_cut("shape", "Butterfly") else 28.0
    band = replace(look.trim, texture="")
    canvas.tube(path("M160,192 C20,150 40,60 160,60 C280,60 300,150 160,192"), 11, band, edge=0.9)
    canvas.fill(
        box(146, 54, 174, 68, 2), Paint(COLOURS["Silver"].rgb, gloss=1), volume=0.5, holes=[box(152, 58, 168, 64)]
    )
    with canvas.placed(0.9 if d.child else 1.0):
        for side in (1, -1):
            far = path(
                f"M160,200 Q{160 + side * 50},{200 - h * 0.6} {160 + side * 104},{200 - h} "
                f"Q{160 + side * 114},200 {160 + side * 104},{200 + h} Q{160 + side * 50},{200 + h * 0.6} 160,204"
            )
            part = canvas.fill(far, look.body, volume=0.5, lift=0.35)
            canvas.fold([(160 + side * 14, 200), (160 + side * 74, 192)], 0.24, 4, part)
            canvas.fold([(160 + side * 14, 204), (160 + side * 60, 214)], 0.2, 4, part)
        canvas.fill(box(143, 178, 177, 226, 9), look.body, volume=0.6, lift=0.5)


def belts(look: Look) -> None:
    """A belt in a loose coil, the buckle in front."""
    d, canvas = look.design, look.canvas
    w = {"Narrow": 19.0, "Classic width": 28.0, "Wide": 38.0}[d.cut["width"]]
    rgb = COLOURS["Gold" if d.has("gold_buckle_belt") else "Silver"].rgb
    inner = look.plain.dyed(darker(look.plain.base, 0.42))
    cy = 180.0
    back = [
        *ellipse(160, cy, 122, 52, 180, 360, 30),
        *reversed([(x, y + w) for x, y in ellipse(160, cy, 122, 52, 180, 360, 30)]),
    ]
    canvas.fill(back, inner, volume=0.3)
    rim = ellipse(160, cy, 122, 52, 0, 180, 30)
    front = [*rim, *reversed([(x, y + w) for x, y in rim])]
    part = canvas.fill(front, look.body, volume=0.45, lift=0.2)
    stitch = look.accent if d.has("belt_stitching") else look.line
    for offset in (4.0, w - 4):
        canvas.stroke(
            [(x, y + offset) for x, y in rim], stitch, 1.5 if d.has("belt_stitching") else 0.7, part, dash=2.8
        )
    if d.has("belt_studs"):
        for k in range(2, 29, 2):
            x, y = rim[k]
            canvas.stud(x, y + w / 2, 3.2, rgb)
    tip = path(
        f"M186,{cy + 52} Q246,{cy + 56} 290,{cy + 92} "
        f"Q296,{cy + 96 + w * 0.5} 284,{cy + 92 + w} Q240,{cy + 60 + w} 180,{cy + 52 + w}"
    )
    tongue = canvas.fill(tip, look.body, volume=0.45, lift=0.4)
    if d.has("leather_tip"):
        canvas.fill(
            path(f"M262,{cy + 50} L310,{cy + 80} L310,{cy + 160} L262,{cy + 120}"),
            Paint((120, 78, 48), texture="leather", gloss=0.3),
            volume=0.4,
            clip=tongue,
        )
    for k in range(4):
        x, y = 216 + 16 * k, cy + 57 + w / 2 + (k * 3.4) ** 1.28
        canvas.fill(ellipse(x, y, 2.3, 2.3, steps=10), Paint((40, 34, 32)), volume=0.1)
    _buckle(look, w, cy + 52, Paint(rgb, gloss=1))


def _buckle(look: Look, w: float, y: float, paint: Paint) -> None:
    d, canvas = look.design, look.canvas
    x, half = 158.0, w / 2 + 9
    cy = y + w / 2
    if d.is_cut("closure", "Plate buckle"):
        canvas.fill(box(x - half * 1.2, cy - half, x + half * 1.2, cy + half, 5), paint, volume=0.6, lift=0.45)
        canvas.stroke(
            [*box(x - half * 1.2 + 5, cy - half + 5, x + half * 1.2 - 5, cy + half - 5, 3)],
            darker(paint.base, 0.3),
            1.2,
        )
        return
    if d.is_cut("closure", "Round buckle"):
        canvas.fill(
            ellipse(x, cy, half * 1.15, half * 1.15, steps=36),
            paint,
            volume=0.6,
            lift=0.45,
            holes=[ellipse(x, cy, half * 0.76, half * 0.76, steps=30)],
        )
    else:
        canvas.fill(
            box(x - half * 1.15, cy - half, x + half * 1.15, cy + half, 6),
            paint,
            volume=0.6,
            lift=0.45,
            holes=[box(x - half * 0.8, cy - half * 0.66, x + half * 0.8, cy + half * 0.66, 3)],
        )
    canvas.tube([(x - half, cy), (x + half, cy)], 4.5, paint, lift=0.4, edge=0.8)
