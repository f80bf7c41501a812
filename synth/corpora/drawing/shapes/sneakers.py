"""Sneakers, low and high."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import ellipse, path
from synth.corpora.drawing.palette import darker, lighter, luminance
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.shoes import OFF_WHITE, bow_loops, laces, pair, sole_rgb


def sneakers(look: Look) -> None:
    if look.design.is_cut("height", "High-top"):
        with look.canvas.placed(1, 0, -8):
            pair(look, _high_top, scale=1.08, dx=24, dy=-52)
    else:
        with look.canvas.placed(1, 0, -26):
            pair(look, _low_top, scale=1.05)


def _low_top(look: Look) -> None:
    d, canvas = look.design, look.canvas
    running, slip = d.style.shape.endswith("running"), d.style.shape.endswith("slip")
    thick = {"Cushioned": 27.0, "Platform": 31.0}.get(d.cut["sole"], 17.0)
    ground = 268.0
    up = ground - thick
    rise = 0 if slip else 8
    upper = path(
        f"M46,{up + 4} Q40,{up - 30} 48,{up - 58} Q50,{up - 74 - rise} 60,{up - 74 - rise} Q70,{up - 70} 78,{up - 58} "
        f"Q98,{up - 50} 122,{up - 66 - rise} L136,{up - 72 - rise} "
        f"Q152,{up - 66} 170,{up - 51} Q196,{up - 41} 232,{up - 37} "
        f"Q268,{up - 33} 278,{up - 14} Q281,{up - 4} 278,{up + 4}"
    )
    canvas.fill(
        path(f"M56,{up - 68} Q92,{up - 84} 128,{up - 66} L116,{up - 40} L70,{up - 40}"),
        look.plain.dyed(look.deep),
        volume=0.2,
    )
    body = canvas.fill(upper, look.body, volume=0.5, lift=0.3)
    if d.pattern == "Colour-block":
        canvas.stain(
            path(f"M150,{up + 6} Q150,{up - 30} 172,{up - 46} L300,{up - 60} L300,{up + 6}"), look.accent, body
        )
    _low_top_details(look, body, up, slip)
    sole = Paint(sole_rgb(look, OFF_WHITE if luminance(look.plain.base) < 225 else (222, 222, 218)))
    lip = 10 if running else 4
    shape = path(
        f"M40,{up - 3} Q36,{ground - 6} 50,{ground} L262,{ground} Q284,{ground - 3} 287,{up - 2 - lip * 0.4} "
        f"Q283,{up - 7} 272,{up - 4} Q160,{up + 3} 66,{up - 3} Q50,{up - 8} 40,{up - 3}"
    )
    part = canvas.fill(shape, sole, volume=0.4, lift=0.3)
    if running:
        canvas.stain(
            path(f"M30,{ground - 7} L300,{ground - 7} L300,{ground + 4} L30,{ground + 4}"),
            darker(look.plain.base, 0.3),
            part,
        )
        for x in range(60, 150, 14):
            canvas.stroke([(x, up + 5), (x + 8, up + 14)], darker(sole.base, 0.2), 2.4, part)
    else:
        canvas.stroke(path(f"M30,{up + 4} Q160,{up + 9} 300,{up + 3}"), darker(sole.base, 0.22), 1, part)


def _low_top_details(look: Look, body: Part, up: float, slip: bool) -> None:
    d, canvas = look.design, look.canvas
    line = look.line
    if slip:
        gore = path(f"M112,{up - 64} L140,{up - 66} L132,{up - 34} L104,{up - 34}")
        canvas.fill(gore, replace(look.trim, texture="rib"), volume=0.25, clip=body)
        canvas.stroke(path(f"M132,{up - 34} Q160,{up - 20} 178,{up + 4}"), line, 1, body, dash=2.2)
        return
    canvas.stroke(path(f"M206,{up - 34} Q222,{up - 18} 214,{up + 4}"), line, 1.2, body)
    canvas.stroke(path(f"M202,{up - 34} Q218,{up - 18} 210,{up + 4}"), line, 0.7, body, dash=2)
    canvas.stroke(path(f"M84,{up - 54} Q92,{up - 26} 84,{up + 4}"), line, 1.2, body)
    tab = path(f"M40,{up - 50} L64,{up - 56} Q72,{up - 24} 66,{up - 8} L40,{up - 4}")
    canvas.fill(tab, look.contrast("contrast_tab"), volume=0.2, lift=0.15, clip=body)
    if d.has("wave_stripe"):
        canvas.stain(path(f"M88,{up - 10} Q138,{up + 2} 196,{up - 40} Q150,{up - 22} 96,{up - 28}"), look.accent, body)
    if d.has("two_stripes"):
        for x in (116, 134):
            canvas.stain(
                path(f"M{x},{up + 4} L{x + 26},{up - 50} L{x + 36},{up - 50} L{x + 10},{up + 4}"), look.accent, body
            )
    if d.is_cut("closure", "Hook-and-loop"):
        for k in (0, 1):
            x, y = 136 + 22 * k, up - 56 + 14 * k
            canvas.fill(
                path(f"M{x - 30},{y + 14} L{x},{y - 12} L{x + 16},{y - 3} L{x - 12},{y + 24}"),
                look.trim,
                volume=0.25,
                lift=0.3,
                clip=body,
            )
        return
    canvas.fill(
        path(f"M112,{up - 64} L138,{up - 78} Q158,{up - 64} 186,{up - 38} L176,{up - 26} Q146,{up - 34} 118,{up - 50}"),
        look.plain.dyed(lighter(look.plain.base, 0.14)),
        volume=0.3,
        lift=0.15,
        clip=body,
    )
    laces(look, path(f"M118,{up - 50} L170,{up - 27}"), path(f"M136,{up - 71} L182,{up - 40}"), 5)
    bow_loops(look, 136, up - 66)


def _high_top(look: Look) -> None:
    d, canvas = look.design, look.canvas
    ground, up = 288.0, 270.0
    upper = path(
        f"M66,{up + 4} Q58,{up - 50} 66,{up - 96} Q66,{up - 128} 72,{up - 132} "
        f"Q92,{up - 126} 118,{up - 138} L132,{up - 142} "
        f"Q140,{up - 130} 142,{up - 96} Q150,{up - 62} 186,{up - 44} "
        f"Q216,{up - 36} 240,{up - 30} Q268,{up - 20} 270,{up + 4}"
    )
    canvas.fill(
        path(f"M72,{up - 130} Q100,{up - 148} 130,{up - 139} L120,{up - 110} L80,{up - 110}"),
        look.plain.dyed(look.deep),
        volume=0.2,
    )
    body = canvas.fill(upper, look.body, volume=0.5, lift=0.3)
    canvas.stroke(path(f"M96,{up - 128} Q104,{up - 60} 92,{up + 4}"), look.line, 1, body, dash=2.4)
    canvas.stroke(
        path(f"M122,{up - 134} Q118,{up - 80} 152,{up - 40} Q170,{up - 22} 178,{up + 4}"), look.line, 1.1, body
    )
    canvas.fold([(76, up - 62), (116, up - 74)], 0.2, 4, body)
    if d.has("contrast_tab"):
        canvas.fill(
            path(f"M50,{up - 140} L80,{up - 140} Q84,{up - 112} 80,{up - 92} L50,{up - 92}"),
            look.trim,
            volume=0.2,
            clip=body,
        )
    if d.has("ankle_badge"):
        canvas.fill(ellipse(100, up - 86, 14, 14), look.trim, volume=0.3, lift=0.2, clip=body)
        canvas.stroke(ellipse(100, up - 86, 10, 10), lighter(look.accent, 0.6), 1.2, body)
    sole = Paint(sole_rgb(look, OFF_WHITE))
    cap = canvas.fill(
        path(f"M222,{up + 4} Q224,{up - 24} 236,{up - 33} Q276,{up - 28} 274,{up + 4}"),
        sole,
        volume=0.5,
        lift=0.2,
        clip=None,
    )
    canvas.stroke(path(f"M229,{up + 4} Q230,{up - 18} 240,{up - 28}"), darker(sole.base, 0.2), 0.9, cap)
    laces(
        look,
        path(f"M121,{up - 122} Q120,{up - 86} 164,{up - 44}"),
        path(f"M137,{up - 124} Q142,{up - 84} 186,{up - 46}"),
        7,
    )
    bow_loops(look, 136, up - 126)
    part = canvas.fill(
        path(
            f"M62,{up - 3} Q58,{ground} 70,{ground} L262,{ground} "
            f"Q280,{ground - 2} 278,{up - 5} "
            f"Q170,{up + 1} 62,{up - 3}"
        ),
        sole,
        volume=0.4,
        lift=0.3,
    )
    canvas.stroke(
        [(40, up + 5), (300, up + 5)], darker(sole.base, 0.25) if not d.has("contrast_sole") else OFF_WHITE, 1.5, part
    )
