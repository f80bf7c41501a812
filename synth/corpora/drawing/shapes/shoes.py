"""Shoes and boots from the side, as a pair: the second shoe stands behind the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import Point, Points, along, box, ellipse, path, quad, spline
from synth.corpora.drawing.palette import COLOURS, RGB, darker, lighter, luminance
from synth.corpora.drawing.shapes.look import Look

GUM: RGB = (196, 142, 88)
RUBBER: RGB = (46, 46, 50)
OFF_WHITE: RGB = (240, 238, 232)


def pair(look: Look, one: Callable[[Look], None], *, scale: float = 1.0, dx: float = 22, dy: float = -40) -> None:
    """Draws a shoe twice; (dx, dy) is the way from the front one to the one behind."""
    scale *= 0.9 if look.design.child else 1
    with look.canvas.placed(scale):
        for side in (0.5, -0.5):
            with look.canvas.placed(1, dx * side, dy * side):
                one(look)


def sole_rgb(look: Look, otherwise: RGB) -> RGB:
    d = look.design
    if d.has("contrast_sole"):
        return look.accent
    return GUM if d.has("gum_sole") else otherwise


def laces(look: Look, left: Points, right: Points, count: int, width: float = 3.2) -> None:
    """Laces between two rows of eyelets."""
    base = lighter(look.plain.base, 0.8) if luminance(look.plain.base) < 200 else darker(look.plain.base, 0.25)
    paint = Paint(look.accent if look.design.has("contrast_laces") else base)
    metal = COLOURS["Silver"].rgb
    for i in range(count):
        a, b = along(left, i / (count - 1)), along(right, i / (count - 1))
        look.canvas.tube([a, b], width, paint, lift=0.3, edge=0.5)
        look.canvas.stain(ellipse(*a, 1.6, 1.6, steps=8), metal)


def bow_loops(look: Look, x: float, y: float) -> None:
    """The tied ends of the laces."""
    base = lighter(look.plain.base, 0.8) if luminance(look.plain.base) < 200 else darker(look.plain.base, 0.25)
    paint = Paint(look.accent if look.design.has("contrast_laces") else base)
    for data in (
        "M0,0 Q-20,-14 -22,0 Q-18,8 0,0",
        "M0,0 Q16,-18 22,-6 Q20,4 0,0",
        "M0,0 Q-6,14 -14,20",
        "M0,0 Q10,8 12,20",
    ):
        look.canvas.tube(path(data, x, y), 2.8, paint, lift=0.3, edge=0.5)


def sneakers(look: Look) -> None:
    pair(look, _high_top if look.design.is_cut("fit", "High-top") else _low_top, scale=1.04)


def _low_top(look: Look) -> None:
    d, canvas = look.design, look.canvas
    running, slip = d.style.shape.endswith("running"), d.style.shape.endswith("slip")
    thick = {"Cushioned sole": 27.0, "Platform": 31.0}.get(d.cut["heel"], 17.0)
    ground = 268.0
    up = ground - thick
    rise = 0 if slip else 8
    upper = path(
        f"M46,{up + 4} Q40,{up - 30} 48,{up - 58} Q50,{up - 74 - rise} 60,{up - 74 - rise} Q70,{up - 70} 78,{up - 58} "
        f"Q98,{up - 50} 122,{up - 66 - rise} L136,{up - 72 - rise} Q150,{up - 66} 166,{up - 48} Q196,{up - 34} 236,{up - 27} "
        f"Q272,{up - 20} 277,{up + 4}"
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
            canvas.fill(path(f"M{x - 30},{y + 14} L{x},{y - 12} L{x + 16},{y - 3} L{x - 12},{y + 24}"), look.trim,
                        volume=0.25, lift=0.3, clip=body)  # fmt: skip
        return
    canvas.fill(path(f"M112,{up - 64} L138,{up - 78} Q158,{up - 64} 186,{up - 38} L176,{up - 26} Q146,{up - 34} 118,{up - 50}"),
                look.plain.dyed(lighter(look.plain.base, 0.14)), volume=0.3, lift=0.15, clip=body)  # fmt: skip
    laces(look, path(f"M118,{up - 50} L170,{up - 27}"), path(f"M136,{up - 71} L182,{up - 40}"), 5)
    bow_loops(look, 136, up - 66)


def _high_top(look: Look) -> None:
    d, canvas = look.design, look.canvas
    ground, up = 288.0, 270.0
    upper = path(
        f"M66,{up + 4} Q58,{up - 50} 66,{up - 96} Q66,{up - 128} 72,{up - 132} Q92,{up - 126} 118,{up - 138} L132,{up - 142} "
        f"Q140,{up - 130} 142,{up - 96} Q150,{up - 62} 186,{up - 44} Q216,{up - 36} 240,{up - 30} Q268,{up - 20} 270,{up + 4}"
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
    part = canvas.fill(path(f"M62,{up - 3} Q58,{ground} 70,{ground} L262,{ground} Q280,{ground - 2} 278,{up - 5} Q170,{up + 1} 62,{up - 3}"),
                       sole, volume=0.4, lift=0.3)  # fmt: skip
    canvas.stroke(
        [(40, up + 5), (300, up + 5)], darker(sole.base, 0.25) if not d.has("contrast_sole") else OFF_WHITE, 1.5, part
    )


def boots(look: Look) -> None:
    length = look.design.cut["length"]
    scale = {"Ankle": 1.1, "Mid-calf": 1.02, "Knee-high": 0.9}[length]
    with look.canvas.placed(1, 0, {"Ankle": -18, "Mid-calf": 8, "Knee-high": 16}[length]):
        pair(look, _boot, scale=scale, dx=30, dy=-30)


def _boot(look: Look) -> None:
    d, canvas = look.design, look.canvas
    heel = {"Low heel": 15.0, "Flat": 9.0, "Block heel": 30.0, "High heel": 46.0, "Chunky sole": 22.0}[d.cut["heel"]]
    shaft = {"Ankle": 100.0, "Mid-calf": 150.0, "Knee-high": 230.0}[d.cut["length"]]
    flat = d.is_cut("heel", "Chunky sole", "Flat", "Low heel")
    ground, toe = 300.0, 300.0 - (min(heel, 20) if flat else 9)
    up = ground - heel
    top = up - shaft
    wide = 8 if d.cut["length"] != "Ankle" else 0
    upper = path(
        f"M76,{up + 3} Q68,{up - 26} 74,{up - 56} Q{74 - wide},{top + 40} {72 - wide},{top + 3} Q110,{top - 5} {148 + wide},{top + 2} "
        f"Q{150 + wide},{top + 40} 146,{up - 64} Q152,{up - 46} 186,{(up + toe) / 2 - 40} Q246,{toe - 38} 250,{toe + 3} "
        f"Q190,{toe + 6} 156,{(up + toe) / 2 + 2} L76,{up + 3}"
    )
    canvas.fill(path(f"M{73 - wide},{top + 4} Q110,{top - 16} {147 + wide},{top + 3} L140,{top + 16} L80,{top + 16}"),
                look.plain.dyed(look.deep), volume=0.2)  # fmt: skip
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
        canvas.fill(path(f"M72,{up - 1} Q70,{ground} 80,{ground} L244,{ground} Q258,{ground - 2} 256,{toe - 3} Q190,{toe + 3} 150,{(up + toe) / 2 + 1} L72,{up - 1}"),
                    paint, volume=0.35, lift=0.25)  # fmt: skip
        if d.is_cut("heel", "Chunky sole"):
            for x in range(88, 250, 16):
                canvas.stain(box(x, ground - 7, x + 7, ground + 1), darker(paint.base, 0.55))
        canvas.stain(
            path(
                f"M122,{ground - min(heel, 9) * 0.5} L134,{ground - min(heel, 9) * 0.5} L138,{ground + 1} L118,{ground + 1}"
            ),
            (238, 238, 238),
        )
    else:
        slim = 30 if d.is_cut("heel", "Block heel") else 17
        canvas.fill(
            [(75, up), (75 + slim + 14, up + 2), (78 + slim, ground), (77, ground)], paint, volume=0.4, lift=0.2
        )
        canvas.fill(path(f"M74,{up - 2} L156,{(up + toe) / 2 - 1} Q190,{toe + 2} 253,{toe - 3} Q258,{ground} 246,{ground} L196,{ground} Q170,{toe + 7} 150,{(up + toe) / 2 + 6} L76,{up + 6}"),
                    paint, volume=0.3)  # fmt: skip
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
            f"M124,{top - 8} L146,{top - 8} L148,{up - 62} L186,{(up + toe) / 2 - 38} L170,{(up + toe) / 2 - 22} L128,{up - 52}"
        )
        canvas.fill(tongue, look.plain.dyed(lighter(look.plain.base, 0.12)), volume=0.3, clip=body)
        laces(look, path(f"M120,{top + 10} L126,{up - 54} L164,{(up + toe) / 2 - 24}"),
              path(f"M146,{top + 8} L147,{up - 62} L184,{(up + toe) / 2 - 38}"), 6 if d.is_cut("length", "Ankle") else 9)  # fmt: skip
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
        canvas.tube(path(f"M{78 - wide},{top + 18} Q{62 - wide},{top - 8} {80 - wide},{top - 10} Q{90 - wide},{top - 6} {84 - wide},{top + 16}"),
                    5, look.trim, edge=0.7)  # fmt: skip
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


def formals(look: Look) -> None:
    """Oxfords, derbies, monk shoes and loafers."""
    pair(look, _formal, scale=1.08)


def _formal(look: Look) -> None:
    d, canvas = look.design, look.canvas
    loafer = d.style.shape.endswith("loafer")
    thick = 24.0 if d.is_cut("heel", "Chunky sole") else 13.0
    ground = 264.0
    up = ground - thick
    upper = path(
        f"M46,{up + 3} Q40,{up - 30} 52,{up - 58} Q74,{up - 48} {98 if loafer else 92},{up - 48} "
        f"Q{122 if loafer else 112},{up - (58 if loafer else 68)} {148 if loafer else 132},{up - (58 if loafer else 74)} "
        f"Q158,{up - 50} 184,{up - 40} Q230,{up - 34} 262,{up - 20} Q286,{up - 8} 282,{up + 3}"
    )
    canvas.fill(
        path(f"M54,{up - 55} Q94,{up - 72} 132,{up - 66} L118,{up - 40} L66,{up - 40}"),
        Paint((188, 150, 112)),
        volume=0.25,
    )
    body = canvas.fill(upper, replace(look.body, gloss=max(look.body.gloss, 0.35)), volume=0.55, lift=0.3)
    canvas.fold(
        path(f"M196,{up - 28} Q230,{up - 26} 254,{up - 14}"), -0.34 if d.material != "Suede" else -0.12, 7, body
    )
    _formal_details(look, body, up, loafer)
    sole = Paint(sole_rgb(look, (58, 44, 38)))
    canvas.fill(
        path(f"M40,{up - 1} Q160,{up + 4} 290,{up - 2} Q292,{up + 5} 280,{up + 6} L150,{up + 8} L40,{up + 8}"),
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
        apron = path(f"M146,{up - 56} Q190,{up - 16} 262,{up - 15}")
        canvas.stroke(apron, line, 2, body)
        canvas.stroke([(x, y + 3.5) for x, y in apron], line, 0.8, body, dash=2.2)
        canvas.fill(path(f"M112,{up - 62} L152,{up - 60} Q160,{up - 40} 152,{up + 4} L126,{up + 4} Q132,{up - 30} 112,{up - 62}"),
                    look.plain, volume=0.3, lift=0.25, clip=body)  # fmt: skip
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
        wing: list[Points] = [quad((222, up - 34), (240, up - 18), (224, up + 2)), path(f"M102,{up - 50} Q126,{up - 26} 178,{up - 22}"),
                              path(f"M240,{up - 24} Q250,{up - 20} 258,{up - 12}")]  # fmt: skip
        for row in wing:
            for k in range(11):
                x, y = along(row, k / 10)
                canvas.stain(ellipse(x, y, 1.7, 1.7, steps=8), darker(look.plain.base, 0.62), body)
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
