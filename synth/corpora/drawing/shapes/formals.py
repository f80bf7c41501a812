"""Oxfords, derbies, monk shoes and loafers."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import Point, Points, along, box, ellipse, path, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.shoes import laces, pair, sole_rgb


def formals(look: Look) -> None:
    """Oxfords, derbies, monk shoes and loafers."""
    with look.canvas.placed(1, 0, -30):
        pair(look, _formal, scale=1.05)


def _formal(look: Look) -> None:
    d, canvas = look.design, look.canvas
    loafer = d.style.shape.endswith("loafer")
    thick = 24.0 if d.is_cut("heel", "Platform") else 13.0
    ground = 264.0
    up = ground - thick
    vamp = f"Q122,{up - 58} 148,{up - 58}" if loafer else f"Q112,{up - 68} 132,{up - 74}"
    upper = path(
        f"M46,{up + 3} Q40,{up - 30} 52,{up - 58} Q74,{up - 48} {98 if loafer else 92},{up - 48} "
        f"{vamp} "
        f"Q160,{up - 52} 186,{up - 43} Q222,{up - 40} 254,{up - 31} Q280,{up - 22} 279,{up + 3}"
    )
    canvas.fill(
        path(f"M54,{up - 55} Q94,{up - 72} 132,{up - 66} L118,{up - 40} L66,{up - 40}"),
        Paint((188, 150, 112)),
        volume=0.25,
    )
    body = canvas.fill(upper, replace(look.body, gloss=max(look.body.gloss, 0.35)), volume=0.55, lift=0.3)
    canvas.fold(
        path(f"M200,{up - 32} Q230,{up - 32} 252,{up - 20}"), -0.34 if d.material != "Suede" else -0.12, 7, body
    )
    _formal_details(look, body, up, loafer)
    sole = Paint(sole_rgb(look, (58, 44, 38)))
    canvas.fill(
        path(f"M40,{up - 1} Q160,{up + 4} 286,{up - 2} Q288,{up + 5} 278,{up + 6} L150,{up + 8} L40,{up + 8}"),
        sole,
        volume=0.3,
        lift=0.25,
    )
    if thick > 20:
        canvas.fill(path(f"M42,{up + 6} L286,{up + 4} L278,{ground} L48,{ground}"), sole, volume=0.35)
    else:
        canvas.fill(path(f"M42,{up + 6} L104,{up + 8} L100,{ground} L46,{ground}"), sole, volume=0.35)
    if d.has("welt_stitching"):
        canvas.stroke(path(f"M44,{up + 2} Q160,{up + 6} 286,{up + 1}"), look.accent, 1.5, dash=2.6)


def _formal_details(look: Look, body: Part, up: float, loafer: bool) -> None:
    d, canvas, line = look.design, look.canvas, look.line
    gold, silver = COLOURS["Gold"].rgb, COLOURS["Silver"].rgb
    if loafer:
        apron = path(f"M146,{up - 56} Q184,{up - 22} 262,{up - 20}")
        canvas.stroke(apron, line, 2, body)
        canvas.stroke([(x, y + 3.5) for x, y in apron], line, 0.8, body, dash=2.2)
        canvas.fill(
            path(
                f"M112,{up - 62} L152,{up - 60} Q160,{up - 40} 152,{up + 4} L126,{up + 4} Q132,{up - 30} 112,{up - 62}"
            ),
            look.plain,
            volume=0.3,
            lift=0.25,
            clip=body,
        )
        if d.has("penny_strap"):
            canvas.stain(
                path(f"M140,{up - 46} L152,{up - 42} L150,{up - 34} L140,{up - 38}"), darker(look.plain.base, 0.6), body
            )
        if d.has("snaffle"):
            canvas.tube(path(f"M126,{up - 50} Q146,{up - 56} 168,{up - 40}"), 4.5, Paint(gold, gloss=1), lift=0.4)
        if d.has("tassels"):
            for x in (148, 162):
                canvas.fill(
                    path(f"M{x},{up - 54} L{x + 7},{up - 53} L{x + 14},{up - 30} L{x},{up - 29}"),
                    look.plain,
                    volume=0.4,
                    lift=0.4,
                )
                canvas.stroke([(x + 4, up - 48), (x + 6, up - 30)], line, 0.8)
        return
    canvas.stroke(path(f"M84,{up - 48} Q96,{up - 24} 86,{up + 4}"), line, 1.2, body)
    facing = path(f"M100,{up - 60} Q124,{up - 30} 176,{up - 26} L190,{up - 40} L134,{up - 76}")
    canvas.fill(facing, look.plain, volume=0.3, lift=0.22, clip=body)
    canvas.stroke(path(f"M104,{up - 56} Q126,{up - 33} 174,{up - 29}"), line, 0.8, body, dash=2.2)
    if d.is_cut("closure", "Laces"):
        laces(look, path(f"M122,{up - 52} L164,{up - 32}"), path(f"M136,{up - 70} L178,{up - 42}"), 4, 2.6)
    if d.has("toe_cap"):
        canvas.stroke(path(f"M224,{up - 36} Q238,{up - 16} 226,{up + 4}"), line, 1.5, body)
        canvas.stroke(path(f"M220,{up - 36} Q234,{up - 16} 222,{up + 4}"), line, 0.8, body, dash=2)
    if d.has("brogue"):
        wing: list[Points] = [
            quad((222, up - 34), (240, up - 18), (224, up + 2)),
            path(f"M102,{up - 50} Q126,{up - 26} 178,{up - 22}"),
            path(f"M240,{up - 24} Q250,{up - 20} 258,{up - 12}"),
        ]
        for row in wing:
            for k in range(11):
                hole = ellipse(*along(row, k / 10), 1.7, 1.7, steps=8)
                canvas.stain(hole, darker(look.plain.base, 0.62), body)
        canvas.stroke([(x + 4, y) for x, y in wing[0]], line, 1.2, body)
    straps = 2 if d.has("double_buckle") else 1 if d.has("single_buckle") else 0
    for k in range(straps):
        x, y = 118 + 20 * k, up - 58 + 12 * k
        end: Point = (x + 38, y - 6 + 8 * k)
        canvas.tube(spline([(x - 22, y + 30), (x + 4, y + 10), end]), 11, look.plain, lift=0.35, edge=0.9, clip=body)
        canvas.fill(
            box(x - 8, y + 8, x + 9, y + 25, 2),
            Paint(silver, gloss=1),
            volume=0.5,
            lift=0.3,
            holes=[box(x - 4, y + 12, x + 5, y + 21)],
        )
