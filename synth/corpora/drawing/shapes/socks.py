"""Socks."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.geometry import Points, box, path
from synth.corpora.drawing.shapes.look import Look


def socks(look: Look) -> None:
    """A pair, one behind the other."""
    d, canvas = look.design, look.canvas
    height = {"Ankle": 78.0, "Crew": 150.0, "Knee-high": 230.0}[d.cut["length"]]
    scale = {"Ankle": 1.5, "Crew": 1.22, "Knee-high": 1.0}[d.cut["length"]] * (0.85 if d.child else 1)
    with canvas.placed(scale, 4, 0):
        for dx, dy in ((30.0, -16.0), (-22.0, 10.0)):
            _sock(look, height, dx, dy)


def _sock(look: Look, height: float, dx: float, dy: float) -> None:
    d, canvas = look.design, look.canvas
    base = 200 + height / 2
    top = base - height - 20
    leg: Points = path(
        f"M118,{top} L176,{top} Q178,{base - 70} 178,{base - 52} Q186,{base - 34} 214,{base - 24} "
        f"Q244,{base - 12} 240,{base + 6} Q236,{base + 18} 214,{base + 16} L140,{base + 14} "
        f"Q112,{base + 10} 113,{base - 20} Q118,{base - 44} 118,{base - 70} L118,{top}",
        dx - 10,
        dy,
    )
    part = canvas.fill(leg, look.body, volume=0.5, lift=0.35)
    if d.has("contrast_heel"):
        canvas.stain(
            path(f"M90,{base - 42} Q150,{base - 36} 146,{base + 30} L90,{base + 30}", dx - 10, dy), look.accent, part
        )
        canvas.stain(
            path(f"M212,{base - 40} Q198,{base - 6} 214,{base + 30} L260,{base + 30} 260,{base - 40}", dx - 10, dy),
            look.accent,
            part,
        )
    canvas.fold([(178 + dx - 14, base - 60 + dy), (150 + dx, base - 34 + dy)], 0.22, 4, part)
    canvas.fold([(134 + dx - 10, top + 20 + dy), (134 + dx - 10, base - 50 + dy)], -0.14, 7, part)
    cuff = replace(look.contrast("contrast_cuffs"), texture="rib")
    canvas.fill(box(117 + dx - 10, top - 4 + dy, 177 + dx - 10, top + 18 + dy, 3), cuff, volume=0.4, lift=0.2)
    if d.has("cuff_stripes"):
        for y in (top + 24, top + 36):
            canvas.stain(box(90 + dx, y + dy, 200 + dx, y + 7 + dy), look.accent, part)
