"""Boots, from ankle to knee."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import box, path
from synth.corpora.drawing.palette import COLOURS, darker, lighter, luminance
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.shoes import RUBBER, bow_loops, laces, pair, sole_rgb


def boots(look: Look) -> None:
    length = look.design.cut["length"]
    scale = {"Ankle": 1.1, "Mid-calf": 1.02, "Knee-high": 0.9}[length]
    with look.canvas.placed(1, 0, {"Ankle": -18, "Mid-calf": 8, "Knee-high": 16}[length]):
        pair(look, _boot, scale=scale, dx=30, dy=-30)


def _boot(look: Look) -> None:
    d, canvas = look.design, look.canvas
    heel = {"Low heel": 15.0, "Flat": 9.0, "Block heel": 30.0, "High heel": 46.0, "Chunky heel": 22.0}[d.cut["heel"]]
    shaft = {"Ankle": 100.0, "Mid-calf": 150.0, "Knee-high": 230.0}[d.cut["length"]]
    flat = d.is_cut("heel", "Chunky heel", "Flat", "Low heel")
    ground, toe = 300.0, 300.0 - (min(heel, 20) if flat else 9)
    up = ground - heel
    top = up - shaft
    wide = 8 if d.cut["length"] != "Ankle" else 0
    upper = path(
        f"M76,{up + 3} Q68,{up - 26} 74,{up - 56} "
        f"Q{74 - wide},{top + 40} {72 - wide},{top + 3} Q110,{top - 5} {148 + wide},{top + 2} "
        f"Q{150 + wide},{top + 40} 146,{up - 64} "
        f"Q152,{up - 46} 186,{(up + toe) / 2 - 40} Q246,{toe - 38} 250,{toe + 3} "
        f"Q190,{toe + 6} 156,{(up + toe) / 2 + 2} L76,{up + 3}"
    )
    canvas.fill(
        path(f"M{73 - wide},{top + 4} Q110,{top - 16} {147 + wide},{top + 3} L140,{top + 16} L80,{top + 16}"),
        look.plain.dyed(look.deep),
        volume=0.2,
    )
    body = canvas.fill(
        upper,
        replace(look.body, gloss=max(look.body.gloss, 0.9 if d.material == "Rubber" else 0)),
        volume=0.55,
        lift=0.3,
    )
    canvas.fold([(96, top + 14), (94, up - 60)], -0.16, 9, body)
    canvas.fold([(80, up - 58), (118, up - 68)], 0.22, 4, body)
    canvas.fold([(136, up - 48), (150, up - 58)], 0.25, 3, body)
    _boot_details(look, body, up, toe, top, wide)
    _boot_sole(look, body, up, toe, ground, heel, flat)


def _boot_sole(look: Look, body: Part, up: float, toe: float, ground: float, heel: float, flat: bool) -> None:
    d, canvas = look.design, look.canvas
    paint = Paint(sole_rgb(look, RUBBER if luminance(look.plain.base) > 60 else (74, 66, 60)))
    if flat:
        canvas.fill(
            path(
                f"M72,{up - 1} Q70,{ground} 80,{ground} "
                f"L244,{ground} Q258,{ground - 2} 256,{toe - 3} "
                f"Q190,{toe + 3} 150,{(up + toe) / 2 + 1} "
                f"L72,{up - 1}"
            ),
            paint,
            volume=0.35,
            lift=0.25,
        )
        if d.is_cut("heel", "Chunky heel"):
            for x in range(88, 250, 16):
                canvas.stain(box(x, ground - 7, x + 7, ground + 1), darker(paint.base, 0.55))
        canvas.stain(
            path(
                f"M122,{ground - min(heel, 9) * 0.5} L134,{ground - min(heel, 9) * 0.5} "
                f"L138,{ground + 1} L118,{ground + 1}"
            ),
            (238, 238, 238),
        )
    else:
        slim = 30 if d.is_cut("heel", "Block heel") else 17
        canvas.fill(
            [(75, up), (75 + slim + 14, up + 2), (78 + slim, ground), (77, ground)], paint, volume=0.4, lift=0.2
        )
        canvas.fill(
            path(
                f"M74,{up - 2} L156,{(up + toe) / 2 - 1} Q190,{toe + 2} 253,{toe - 3} "
                f"Q258,{ground} 246,{ground} L196,{ground} "
                f"Q170,{toe + 7} 150,{(up + toe) / 2 + 6} L76,{up + 6}"
            ),
            paint,
            volume=0.3,
        )
    if d.has("welt_stitching"):
        canvas.stroke(
            path(f"M74,{up - 4} L156,{(up + toe) / 2 - 4} Q190,{toe - 1} 250,{toe - 5}"),
            look.accent,
            1.5,
            body,
            dash=2.6,
        )


def _boot_details(look: Look, body: Part, up: float, toe: float, top: float, wide: float) -> None:
    d, canvas = look.design, look.canvas
    shape = d.style.shape
    gold = COLOURS["Gold"].rgb
    if shape.endswith("chelsea"):
        gore = path(f"M98,{top - 4} L128,{top - 4} Q126,{up - 70} 116,{up - 50} Q104,{up - 70} 98,{top - 4}")
        canvas.fill(
            gore,
            replace(look.contrast("contrast_gore", look.plain.dyed(look.deep)), texture="rib", gloss=0),
            volume=0.3,
            clip=body,
        )
    if shape.endswith(("laced", "hiking")):
        tongue = path(
            f"M124,{top - 8} L146,{top - 8} L148,{up - 62} "
            f"L186,{(up + toe) / 2 - 38} L170,{(up + toe) / 2 - 22} L128,{up - 52}"
        )
        canvas.fill(tongue, look.plain.dyed(lighter(look.plain.base, 0.12)), volume=0.3, clip=body)
        laces(
            look,
            path(f"M120,{top + 10} L126,{up - 54} L164,{(up + toe) / 2 - 24}"),
            path(f"M146,{top + 8} L147,{up - 62} L184,{(up + toe) / 2 - 38}"),
            6 if d.is_cut("length", "Ankle") else 9,
        )
        bow_loops(look, 142, top + 12)
    if shape.endswith("hiking"):
        canvas.stroke(path(f"M86,{up + 4} Q96,{up - 40} 128,{up - 50}"), look.line, 1.4, body)
        if d.has("toe_guard"):
            canvas.fill(
                path(f"M206,{toe + 8} Q204,{toe - 14} 222,{toe - 34} L260,{toe - 30} L260,{toe + 8}"),
                Paint(RUBBER),
                volume=0.35,
                clip=body,
            )
    if d.has("padded_collar"):
        canvas.tube([(66 - wide, top + 8), (122, top + 4)], 20, replace(look.trim, gloss=0), volume=0.6, clip=body)
    if d.has("pull_tab"):
        canvas.tube(
            path(
                f"M{78 - wide},{top + 18} "
                f"Q{62 - wide},{top - 8} {80 - wide},{top - 10} "
                f"Q{90 - wide},{top - 6} {84 - wide},{top + 16}"
            ),
            5,
            look.trim,
            edge=0.7,
        )
    if d.has("ankle_buckle"):
        canvas.tube(
            [(60, up - 50), (160, up - 60)], 10, look.plain.dyed(darker(look.plain.base, 0.25)), lift=0.35, clip=body
        )
        canvas.fill(
            box(100, up - 64, 120, up - 46, 3),
            Paint(gold, gloss=1),
            volume=0.5,
            lift=0.3,
            holes=[box(104, up - 60, 116, up - 50)],
        )
    if d.has("calf_strap"):
        canvas.fill(box(40, top + 14, 180, top + 26), replace(look.trim, texture=""), volume=0.35, lift=0.25, clip=body)
        canvas.fill(
            box(126, top + 10, 142, top + 30, 3),
            Paint(COLOURS["Silver"].rgb, gloss=1),
            volume=0.5,
            holes=[box(130, top + 14, 138, top + 26)],
        )
    if d.has("long_zip"):
        canvas.stroke([(116, top - 2), (112, up - 10)], look.deep, 6, body)
        canvas.stroke([(116, top - 2), (112, up - 10)], COLOURS["Silver"].rgb, 2.6, body, dash=1.5)
    if shape.endswith("welly"):
        canvas.fill(
            box(40, top - 6, 180, top + 7),
            replace(look.plain, base=darker(look.plain.base, 0.2)),
            volume=0.3,
            clip=body,
        )
        canvas.stroke(path(f"M60,{up - 20} Q120,{up - 20} 262,{toe - 16}"), look.line, 1.2, body)
