"""Watches and sunglasses."""

from __future__ import annotations

import math
from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import Points, box, ellipse, flip, path
from synth.corpora.drawing.palette import COLOURS, RGB, darker, lighter, luminance
from synth.corpora.drawing.shapes.look import Look

CX, CY = 160.0, 200.0


def watches(look: Look) -> None:
    d, canvas = look.design, look.canvas
    with canvas.placed(0.86 if d.child else 1.0):
        _bracelet(look)
        case = _case_paint(look)
        half = {"Oval dial": (48.0, 60.0), "Digital display": (54.0, 50.0)}.get(d.cut["dial"], (58.0, 58.0))
        _lugs(look, case, half)
        canvas.fill(_outline(look, half, 10), case, volume=0.6, lift=0.45)
        if d.has("contrast_bezel"):
            canvas.fill(_outline(look, half, 6), Paint(look.accent), volume=0.4)
        canvas.fill(box(CX + half[0] + 8, CY - 7, CX + half[0] + 17, CY + 7, 2), case, volume=0.6)
        face = _face_rgb(look)
        part = canvas.fill(_outline(look, half, 0), Paint(face), volume=0.16, edge=1.4)
        if d.is_cut("dial", "Digital display"):
            _digits(look, face)
        else:
            _markers(look, part, face, half)
            _hands(look, face, half)
        canvas.fold([(CX - half[0] * 0.7, CY + 6), (CX - 6, CY - half[1] * 0.75)], -0.16, 16, part)


def _case_paint(look: Look) -> Paint:
    d = look.design
    for detail, name in (("gold_case", "Gold"), ("silver_case", "Silver"), ("rose_case", "Rose Gold")):
        if d.has(detail):
            return Paint(COLOURS[name].rgb, gloss=1)
    return replace(look.plain, texture="", gloss=1 if d.material == "Stainless Steel" else 0.3)


def _face_rgb(look: Look) -> RGB:
    d = look.design
    if d.has("white_dial"):
        return (248, 246, 240)
    if d.has("colour_dial"):
        return look.accent
    return (40, 42, 48)


def _outline(look: Look, half: tuple[float, float], grow: float) -> Points:
    w, h = half[0] + grow, half[1] + grow
    if look.design.is_cut("dial", "Square dial", "Digital display"):
        return box(CX - w * 0.92, CY - h * 0.92, CX + w * 0.92, CY + h * 0.92, 12 + grow * 0.5)
    return ellipse(CX, CY, w, h, steps=56)


def _lugs(look: Look, case: Paint, half: tuple[float, float]) -> None:
    lug = path(
        f"M{CX + 22},{CY - half[1] - 22} L{CX + 38},{CY - half[1] - 22} "
        f"L{CX + 46},{CY - half[1] + 14} L{CX + 20},{CY - half[1] + 6}"
    )
    lower = [(x, 2 * CY - y) for x, y in lug]
    for points in (lug, flip(lug), lower, flip(lower)):
        look.canvas.fill(points, case, volume=0.5)


def _bracelet(look: Look) -> None:
    d, canvas = look.design, look.canvas
    upper = path(f"M{CX - 33},{CY - 40} L{CX - 26},14 Q{CX},4 {CX + 26},14 L{CX + 33},{CY - 40}")
    lower = path(f"M{CX - 33},{CY + 40} L{CX - 24},372 Q{CX},402 {CX + 24},372 L{CX + 33},{CY + 40}")
    for points in (upper, lower):
        part = canvas.fill(points, look.body, volume=0.5)
        if d.is_cut("strap", "Leather strap"):
            canvas.stroke(
                [(CX + (x - CX) * 0.82, CY + (y - CY) * 0.985) for x, y in points],
                lighter(look.plain.base, 0.35),
                1,
                part,
                dash=3,
            )
        elif d.is_cut("strap", "Link bracelet"):
            for k in range(16):
                y = 10 + k * 25
                canvas.stroke([(CX - 40, y), (CX + 40, y)], look.line, 1.3, part)
                canvas.fold([(CX - 40, y + 5), (CX + 40, y + 5)], -0.14, 4, part)
            for x in (CX - 11, CX + 11):
                canvas.stroke([(x, 0), (x, 400)], look.line, 1.1, part)
        elif d.is_cut("strap", "Mesh bracelet"):
            for k in range(60):
                high = 4 + k * 6.6
                canvas.stroke([(CX - 40, high), (CX + 40, high + 5)], look.line, 0.6, part)
                canvas.stroke([(CX - 40, high + 5), (CX + 40, high)], look.line, 0.6, part)
        else:
            for y in (60, 84, 108):
                canvas.stain(box(CX - 16, y, CX + 16, y + 8, 4), darker(look.plain.base, 0.35), part)
    if d.is_cut("closure", "Buckle"):
        for k in range(5):
            canvas.fill(ellipse(CX, 306 + 15 * k, 2.6, 3.2, steps=10), Paint((50, 42, 40)), volume=0.1)
        buckle = _case_paint(look)
        canvas.fill(box(CX - 33, 6, CX + 33, 26, 4), buckle, volume=0.6, holes=[box(CX - 25, 11, CX + 25, 21, 2)])


def _ink(face: RGB) -> RGB:
    return (40, 42, 50) if luminance(face) > 140 else (244, 242, 234)


def _markers(look: Look, part: Part, face: RGB, half: tuple[float, float]) -> None:
    d, canvas = look.design, look.canvas
    ink = _ink(face)
    for k in range(12):
        angle = math.radians(30 * k)
        dx, dy = math.sin(angle), -math.cos(angle)
        outer = (CX + dx * half[0] * 0.9, CY + dy * half[1] * 0.9)
        if d.is_cut("dial", "Square dial"):
            reach = 0.84 / max(abs(dx), abs(dy))
            outer = (CX + dx * half[0] * reach * 0.95, CY + dy * half[1] * reach * 0.95)
        if d.has("dots"):
            canvas.stain(ellipse(*outer, 2.8, 2.8, steps=10), ink, part)
            continue
        long = 0.24 if k % 3 == 0 else 0.1 if d.has("roman") else 0.15
        inner = (outer[0] - dx * half[0] * long, outer[1] - dy * half[1] * long)
        canvas.stroke([outer, inner], ink, (4.6 if k % 3 == 0 else 1.6) if d.has("roman") else 2.2, part)
    if d.has("subdials"):
        for x, y in ((CX - 25, CY), (CX + 25, CY), (CX, CY + 27)):
            canvas.fill(
                ellipse(x, y, 13.5, 13.5),
                Paint(lighter(face, 0.2) if luminance(face) < 120 else darker(face, 0.12)),
                volume=0.2,
                edge=1,
            )
            canvas.stroke([(x, y), (x + 5, y - 8)], ink, 1.3)


def _hands(look: Look, face: RGB, half: tuple[float, float]) -> None:
    canvas, ink = look.canvas, _ink(face)
    r = min(half)
    hour, minute = math.radians(-56), math.radians(58)
    canvas.tube(
        [(CX, CY), (CX + math.sin(hour) * r * 0.48, CY - math.cos(hour) * r * 0.48)], 4.4, Paint(ink), lift=0.3, edge=0
    )
    canvas.tube(
        [(CX, CY), (CX + math.sin(minute) * r * 0.74, CY - math.cos(minute) * r * 0.74)],
        3.2,
        Paint(ink),
        lift=0.3,
        edge=0,
    )
    canvas.stroke([(CX, CY + 14), (CX + 4, CY - r * 0.78)], (214, 60, 56), 1.2)
    canvas.stud(CX, CY, 4, COLOURS["Silver"].rgb)


SEGMENTS = {"1": "cf", "0": "abcdef", "8": "abcdefg", "4": "bcfg"}


def _digits(look: Look, face: RGB) -> None:
    """The time 10:48 in bars."""
    ink = _ink(face)
    bars = {
        "a": ((0, 0), (13, 0)),
        "b": ((0, 0), (0, 16)),
        "c": ((13, 0), (13, 16)),
        "g": ((0, 16), (13, 16)),
        "e": ((0, 16), (0, 32)),
        "f": ((13, 16), (13, 32)),
        "d": ((0, 32), (13, 32)),
    }
    for digit, x in zip("1048", (CX - 43, CX - 22, CX + 7, CX + 28), strict=True):
        for name in SEGMENTS[digit]:
            (x1, y1), (x2, y2) = bars[name]
            look.canvas.stroke([(x + x1, CY - 16 + y1), (x + x2, CY - 16 + y2)], ink, 3.2)
    for y in (CY - 6, CY + 8):
        look.canvas.stain(ellipse(CX - 0.5, y, 2.2, 2.2, steps=8), ink)


LENSES = {
    "Round": "M0,-42 Q46,-42 46,2 Q46,46 0,46 Q-46,46 -46,2 Q-46,-42 0,-42",
    "Square": "M-46,-38 L44,-38 Q52,-36 50,-26 L45,34 Q42,42 32,42 L-34,42 Q-44,42 -46,34 L-52,-26 Q-54,-38 -46,-38",
    "Rectangular": "M-50,-26 L48,-26 Q54,-24 53,-16 L48,24 Q46,30 38,30 "
    "L-40,30 Q-48,30 -50,24 L-55,-16 Q-56,-26 -50,-26",
    "Wayfarer": "M-48,-36 L50,-34 Q56,-30 53,-20 L43,30 Q38,42 22,42 L-18,42 Q-34,42 -40,30 L-54,-24 Q-56,-36 -48,-36",
    "Cat-eye": "M-46,-26 Q10,-36 50,-50 Q64,-52 60,-34 Q56,20 22,36 Q-10,46 -34,30 Q-50,12 -50,-16 Q-50,-26 -46,-26",
    "Aviator": "M-44,-34 Q0,-42 46,-30 Q54,-26 52,-8 Q46,40 12,50 Q-22,52 -38,18 Q-52,-14 -50,-26 Q-50,-34 -44,-34",
}


def sunglasses(look: Look) -> None:
    d, canvas = look.design, look.canvas
    right = path(LENSES[d.cut["frame"]], 222, 200)
    centre = (222.0, 202.0)
    wire = d.style.shape.endswith("wire")
    frame = replace(look.body, texture="", gloss=1 if wire else 0.5)
    with canvas.placed(0.88 if d.child else 1.02):
        temples = look.trim if d.has("contrast_temples") else look.plain
        arm = path("M268,174 Q296,164 292,128 Q288,102 276,92")
        for line in (arm, flip(arm)):
            canvas.tube(line, 4 if wire else 8, replace(temples, texture="", gloss=0.5), edge=0.9)
        canvas.tube(path("M178,180 Q160,168 142,180"), 4 if wire else 9, frame.plain())
        if wire:
            canvas.tube(path("M184,168 Q160,160 136,168"), 3.4, frame.plain())
        grow = 1.08 if wire else 1.24
        for flipped in (False, True):
            inner = flip(right) if flipped else right
            cx = 320 - centre[0] if flipped else centre[0]
            rim = [(cx + (x - cx) * grow, centre[1] + (y - centre[1]) * grow) for x, y in inner]
            canvas.fill(rim, frame, volume=0.55, lift=0.2)
            _lens(look, inner, cx)


def _lens(look: Look, outline: Points, cx: float) -> None:
    d, canvas = look.design, look.canvas
    rgb = look.accent if d.has("mirror_lenses") else (58, 58, 64)
    lens = canvas.fill(outline, Paint(rgb, gloss=0.6 if d.has("mirror_lenses") else 0.2), volume=0.25, edge=1.2)
    if d.has("gradient_lenses"):
        for k in range(9):
            canvas.fold([(cx - 70, 196 + 7 * k), (cx + 70, 196 + 7 * k)], -0.085 * (1 + k * 0.22), 6, lens)
    strength = -0.34 if d.has("mirror_lenses") else -0.2
    canvas.fold([(cx - 34, 226), (cx + 2, 166)], strength, 9, lens)
    canvas.fold([(cx - 10, 232), (cx + 20, 178)], strength * 0.7, 4, lens)
