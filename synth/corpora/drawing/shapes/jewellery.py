"""Earrings and necklaces."""

from __future__ import annotations

import math
from dataclasses import replace

from synth.corpora.drawing.canvas import Paint
from synth.corpora.drawing.geometry import Point, Points, along, box, ellipse, flip, path, star
from synth.corpora.drawing.palette import COLOURS, RGB, darker, lighter
from synth.corpora.drawing.shapes.bags import chain, metal
from synth.corpora.drawing.shapes.look import Look

PEARL: RGB = (246, 240, 230)
CLEAR: RGB = (214, 232, 240)


def stone(look: Look, points: Points, rgb: RGB) -> None:
    """A cut stone: a facet pattern over a glossy fill."""
    canvas = look.canvas
    part = canvas.fill(points, Paint(rgb, gloss=1), volume=0.6, lift=0.2)
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    cx, cy = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    table = [(cx + (x - cx) * 0.5, cy + (y - cy) * 0.5) for x, y in points]
    canvas.stain(table, lighter(rgb, 0.28), part)
    for i in range(0, len(points), max(1, len(points) // 8)):
        canvas.stroke([points[i], table[i]], lighter(rgb, 0.5), 0.8, part)
    glint = [
        (cx + (x - cx) * 0.2 - (max(xs) - min(xs)) * 0.1, cy + (y - cy) * 0.16 - (max(ys) - min(ys)) * 0.14)
        for x, y in points
    ]
    canvas.stain(glint, lighter(rgb, 0.8), part)


def earrings(look: Look) -> None:
    shape = look.design.style.shape.split()[-1]
    for x in (92.0, 228.0):
        {"hoop": _hoop, "drop": _drop, "tassel": _tassel}[shape](look, x)


def _hook(look: Look, x: float, y: float, rgb: RGB) -> None:
    if look.design.is_cut("closure", "Hook"):
        look.canvas.tube(path("M0,0 Q-2,-40 14,-44 Q28,-44 26,-14", x, y), 3, metal(rgb), edge=0.6)
    else:
        look.canvas.stud(x, y - 6, 9, rgb)


def _hoop(look: Look, x: float) -> None:
    d, canvas = look.design, look.canvas
    r = 62.0 if d.is_cut("size", "Large") else 44.0
    cy = 132 + r
    _hook(look, x, 132, look.plain.base)
    ring = ellipse(x, cy, r * 0.92, r, steps=60)
    canvas.tube(ring, 9, replace(look.plain, texture="", gloss=1), volume=0.9)
    if d.has("twisted"):
        for k in range(60):
            px, py = ring[k]
            angle = math.radians(6 * k + 40)
            canvas.stroke(
                [
                    (px - 5 * math.cos(angle), py - 5 * math.sin(angle)),
                    (px + 5 * math.cos(angle), py + 5 * math.sin(angle)),
                ],
                darker(look.plain.base, 0.35),
                1.3,
            )
    if d.has("hoop_beads"):
        for k in range(9, 22, 2):
            canvas.stud(*ring[k], 7, look.accent)
    if d.has("hoop_pearl"):
        canvas.tube([(x, cy + r), (x, cy + r + 12)], 2.4, metal(look.plain.base))
        canvas.stud(x, cy + r + 26, 15, PEARL)


def _drop(look: Look, x: float) -> None:
    d, canvas = look.design, look.canvas
    setting = replace(look.plain, texture="", gloss=1)
    _hook(look, x, 140, look.plain.base)
    canvas.tube([(x, 138), (x, 172)], 2.8, setting, edge=0.6)
    canvas.stud(x, 158, 6, look.plain.base)
    form = d.cut["shape"]
    outer = _gem(form, x, 222, 1.0)
    canvas.fill(outer, setting, volume=0.7, lift=0.2)
    if d.has("stone_halo"):
        for k in range(22):
            canvas.stud(*along([*outer, outer[0]], k / 22), 4.2, CLEAR)
    stone(look, _gem(form, x, 222, 0.74), look.accent)


def _gem(form: str, x: float, y: float, size: float) -> Points:
    if form == "Teardrop":
        points = path("M0,-50 Q12,-20 28,6 Q42,44 0,48 Q-42,44 -28,6 Q-12,-20 0,-50")
    elif form == "Square":
        points = box(-34, -34, 34, 34, 7)
    else:
        points = ellipse(0, 0, 38, 38, steps=32)
    return [(x + px * size, y + py * size) for px, py in points]


def _tassel(look: Look, x: float) -> None:
    d, canvas = look.design, look.canvas
    gold = COLOURS["Gold"].rgb
    length = 150.0 if d.is_cut("length", "Long") else 96.0
    _hook(look, x, 118, gold)
    canvas.stud(x, 132, 13, look.accent)
    canvas.fill(box(x - 13, 146, x + 13, 160, 4), metal(gold), volume=0.6)
    skirt = [(x - 14, 160), (x + 14, 160), (x + 27, 160 + length), (x - 27, 160 + length)]
    part = canvas.fill(skirt, look.plain, volume=0.55)
    for k in range(-9, 10):
        canvas.stroke([(x + k * 1.4, 160), (x + k * 2.8, 160 + length)], look.line, 0.9, part)


def necklaces(look: Look) -> None:
    d = look.design
    drop = 330.0 if d.is_cut("length", "Long") else 250.0
    half = 92.0 if d.is_cut("length", "Short") else 100.0
    line = path(f"M{160 - half * 0.5},46 C{160 - half * 1.5},120 {160 - half},{drop} 160,{drop}")
    strand = [*line, *reversed(flip(line)[:-1])]
    shape = d.style.shape.split()[-1]
    {"pendant": _pendant, "beads": _beads, "chain": _chain}[shape](look, strand, (160.0, drop))


def _fine(look: Look, strand: Points, width: float) -> None:
    canvas = look.canvas
    canvas.tube(strand, width, replace(look.plain, texture="", gloss=1), volume=0.8, edge=0.5)
    canvas.stroke(strand, darker(look.plain.base, 0.35), width * 0.5, None, dash=1.8)


def _pendant(look: Look, strand: Points, low: Point) -> None:
    d, canvas = look.design, look.canvas
    _fine(look, strand, 3.2)
    x, y = low[0], low[1] + 8
    canvas.fill(ellipse(x, y - 4, 6, 7), metal(look.plain.base), volume=0.5, holes=[ellipse(x, y - 4, 3, 4)])
    form = d.cut["shape"]
    if form == "Heart":
        half = path("M0,8 Q10,-6 24,0 Q38,12 0,48")
        shape = [*half, *reversed([(-px, py) for px, py in half])]
    elif form == "Star":
        shape = star(0, 26, 30, 13)
    elif form == "Disc":
        shape = ellipse(0, 27, 26, 26, steps=40)
    else:
        shape = path("M0,0 Q8,14 19,28 Q28,54 0,56 Q-28,54 -19,28 Q-8,14 0,0")
    placed = [(x + px, y + py) for px, py in shape]
    canvas.fill(placed, metal(look.plain.base), volume=0.75, lift=0.3)
    if d.has("pendant_stone"):
        stone(look, ellipse(x, y + 27, 10, 10, steps=16), look.accent)
    else:
        canvas.stroke(
            [(x + (px - x) * 0.72, y + 27 + (py - y - 27) * 0.72) for px, py in [*placed, placed[0]]],
            darker(look.plain.base, 0.25),
            1,
        )


def _beads(look: Look, strand: Points, low: Point) -> None:
    d, canvas = look.design, look.canvas
    strands = [(strand, 9.0)]
    if d.is_cut("strands", "Double strand"):
        strands.append(([(160 + (x - 160) * 0.78, 46 + (y - 46) * 0.8) for x, y in strand], 7.0))
    for line, radius in strands:
        length = sum(math.dist(a, b) for a, b in zip(line, line[1:], strict=False))
        count = int(length / (radius * 2.02))
        for k in range(count):
            x, y = along(line, k / (count - 1))
            if d.has("mixed_beads") and k % 4 == 2:
                canvas.stud(x, y, radius, look.accent)
            elif d.has("gold_spacers") and k % 5 == 2:
                canvas.stud(x, y, radius * 0.66, COLOURS["Gold"].rgb)
            else:
                canvas.stud(x, y, radius, look.plain.base)


def _chain(look: Look, strand: Points, low: Point) -> None:
    d, canvas = look.design, look.canvas
    if d.is_cut("chain", "Chunky"):
        count = 44
        chain(look, [along(strand, k / count) for k in range(count + 1)], look.plain.base)
    else:
        _fine(look, strand, 4.4)
    x, y = low
    canvas.fill(ellipse(x, y + 6, 6, 7), metal(look.plain.base), volume=0.5, holes=[ellipse(x, y + 6, 3, 4)])
    if d.has("tag_pendant"):
        canvas.fill(box(x - 15, y + 12, x + 15, y + 58, 8), metal(look.plain.base), volume=0.6, lift=0.3)
        canvas.stroke(box(x - 11, y + 16, x + 11, y + 54, 6), darker(look.plain.base, 0.25), 0.9)
    else:
        canvas.fill(box(x - 32, y + 10, x + 32, y + 20, 4), metal(look.plain.base), volume=0.7, lift=0.3)
