"""Skirts, and everything with two legs."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, Points, box, ellipse, flip, mirrored, path, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker, lighter
from synth.corpora.drawing.shapes import collars
from synth.corpora.drawing.shapes.dresses import skirt_folds, tier_seam
from synth.corpora.drawing.shapes.fronts import button_rgb
from synth.corpora.drawing.shapes.look import Look

LEATHER_BROWN = (150, 98, 58)
STITCH_GOLD = (214, 150, 70)


def skirt(look: Look) -> None:
    d, canvas = look.design, look.canvas
    top = 80.0
    hem = {"Mini": 220.0, "Knee-length": 280.0, "Midi": 334.0, "Maxi": 372.0}[d.cut["length"]]
    waist, fit = 48.0, d.cut["fit"]
    spread = (hem - top) / 100
    half = {"Slim": 60 - 3 * spread, "A-line": 62 + 14 * spread, "Pleated": 62 + 20 * spread}.get(fit, 58 + 24 * spread)
    hip = {"Slim": 68.0, "A-line": 62.0, "Pleated": 62.0}.get(fit, 66.0)
    side = spline([(MIDDLE + waist, top), (MIDDLE + hip, top + 56), (MIDDLE + half, hem)])
    edge = quad((MIDDLE + half, hem), (MIDDLE + half * 0.5, hem + 9), (MIDDLE, hem + 9), 8)
    scale = min(1.3, 340 / (hem - top + 30), 290 / (2 * half)) * (0.86 if d.child else 1)
    with canvas.placed(scale, 0, 200 - (top + hem) / 2 - 2):
        body = canvas.fill(mirrored([(MIDDLE, top), *side, *edge]), look.body, volume=0.34)
        if fit == "Pleated":
            _pleats(look, body, waist, top, half, hem)
        else:
            skirt_folds(look, body, waist, top, half, hem, fit == "Slim")
        if d.has("tiers"):
            for k in (1, 2):
                tier_seam(look, body, top + (hem - top) * k / 3, 150)
        if d.has("contrast_hem"):
            band = [*quad((0, hem - 14), (MIDDLE, hem - 4), (320, hem - 14)), (320, 480), (0, 480)]
            canvas.stain(band, look.accent, body)
        if d.has("side_slit"):
            canvas.fill([(MIDDLE + 26, hem - 62), (MIDDLE + 30, 480), (MIDDLE + 46, 480)], look.plain.dyed(look.deep),
                        volume=0.1, clip=body)  # fmt: skip
        if fit not in ("Pleated", "Flared") and not d.has("contrast_hem"):
            canvas.stroke(quad((0, hem - 9), (MIDDLE, hem + 2), (320, hem - 9)), _stitch(look), 0.7, body, dash=2.2)
        if d.has("patch_pockets"):
            for x in (MIDDLE - 50, MIDDLE + 16):
                pocket = [(x, top + 34), (x + 34, top + 34), (x + 34, top + 66), (x + 17, top + 74), (x, top + 66)]
                canvas.fill(pocket, look.body, volume=0.2, lift=0.3, clip=body)
                canvas.stroke([(x, top + 40), (x + 34, top + 40)], _stitch(look), 0.7, body, dash=2)
        if d.is_cut("closure", "Buttons"):
            canvas.stroke([(MIDDLE, top), (MIDDLE, hem + 9)], look.line, 1, body)
            y = top + 24
            while y < hem - 8:
                canvas.button(MIDDLE + 5, y, 3.4, button_rgb(look))
                y += 24
        _waistband(look, waist, top, 15)


def _pleats(look: Look, body: Part, waist: float, top: float, half: float, hem: float) -> None:
    n = 11
    for i in range(1, n):
        share = i / n * 2 - 1
        line = [(MIDDLE + share * waist, top), (MIDDLE + share * half, hem + 9)]
        look.canvas.stroke(line, look.line, 0.9, body)
        look.canvas.fold([(x + 3.5, y) for x, y in line], 0.24, 4, body)
        look.canvas.fold([(x - 4, y) for x, y in line], -0.14, 4, body)


def _stitch(look: Look) -> tuple[int, int, int]:
    d = look.design
    if d.has("contrast_stitching"):
        return look.accent
    return STITCH_GOLD if d.material == "Denim" else look.line


def _waistband(look: Look, waist: float, top: float, height: float) -> None:
    """The band at the waist, with its closure, belt or drawstring."""
    d, canvas = look.design, look.canvas
    elastic = d.is_cut("closure", "Drawstring", "Elastic")
    paint = look.contrast("contrast_waistband")
    if elastic:
        paint = replace(paint, texture="rib")
    y = top
    shape = [*quad((MIDDLE - waist - 1, y - height + 3), (MIDDLE, y - height + 8), (MIDDLE + waist + 1, y - height + 3)),
             *quad((MIDDLE + waist + 2, y + 3), (MIDDLE, y + 8), (MIDDLE - waist - 2, y + 3))]  # fmt: skip
    back = mirrored(
        quad((MIDDLE, y - height - 2), (MIDDLE + waist * 0.7, y - height - 2), (MIDDLE + waist, y - height + 3))
    )
    canvas.fill([*back, (MIDDLE, y - height + 8)], look.plain.dyed(look.deep), volume=0.1)
    band = canvas.fill(shape, paint, volume=0.3, lift=0.3)
    if d.has("waist_belt"):
        leather = look.trim
        canvas.tube(quad((MIDDLE - waist - 2, y - 5), (MIDDLE, y), (MIDDLE + waist + 2, y - 5)), 10, leather,
                    volume=0.4, lift=0.2, clip=band)  # fmt: skip
        buckle = box(MIDDLE - 10, y - 9, MIDDLE + 10, y + 6, 2)
        canvas.fill(
            buckle, leather.dyed(COLOURS["Gold"].rgb), volume=0.5, holes=[box(MIDDLE - 6, y - 5, MIDDLE + 6, y + 2)]
        )
    elif elastic:
        if d.is_cut("closure", "Drawstring"):
            _drawstring(look, y)
    elif not d.has("contrast_waistband") or d.is_cut("closure", "Buttons"):
        canvas.button(MIDDLE + 4, y - 2, 3.6, button_rgb(look) if d.material != "Denim" else COLOURS["Silver"].rgb)
    if not elastic:
        for x in (-0.62, 0.62):
            canvas.tube(
                [(MIDDLE + x * waist, y - height + 5), (MIDDLE + x * waist, y + 5)], 4.5, look.plain, volume=0.3
            )
    if d.has("leather_patch"):
        canvas.fill(box(MIDDLE + waist - 25, y - 9, MIDDLE + waist - 5, y + 5, 1.5), look.plain.dyed(LEATHER_BROWN),
                    volume=0.3, lift=0.2)  # fmt: skip


def _drawstring(look: Look, y: float) -> None:
    string = look.contrast("contrast_strings", look.plain.dyed(lighter(look.plain.base, 0.7)))
    string = replace(string, texture="")
    for side in (1, -1):
        cord = quad((MIDDLE + side * 5, y - 1), (MIDDLE + side * 15, y + 22), (MIDDLE + side * 8, y + 42))
        look.canvas.tube(cord, 3, string, lift=0.3, edge=0.5)
        look.canvas.tube(
            quad((MIDDLE, y + 4), (MIDDLE + side * 12, y - 8), (MIDDLE + side * 14, y + 6)), 3, string, edge=0.5
        )
        look.canvas.fill(ellipse(MIDDLE + side * 8, y + 44, 2.6, 4, steps=10), string, volume=0.5)


def legs(
    look: Look, *, top: float, crotch: float, hem: float, waist: float, hip: float, knee: float, ankle: float
) -> Part:  # fmt: skip
    """Two legs from the waist down; `knee` and `ankle` are the widths of one leg, `waist` and `hip` half widths."""
    canvas = look.canvas
    middle = (crotch + hem) / 2
    gap = 3
    tall = hem - crotch > 90
    outer = [(MIDDLE + waist, top), (MIDDLE + hip, top + (crotch - top) * 0.62)]
    if tall:
        outer += [(MIDDLE + gap + knee + 12, middle), (MIDDLE + gap + 9 + ankle, hem)]
        inner = [(MIDDLE + gap + 9, hem + 2), (MIDDLE + gap + 6, middle), (MIDDLE, crotch)]
    else:
        outer += [(MIDDLE + gap + ankle + 5, hem)]
        inner = [(MIDDLE + gap + 4, hem + 3), (MIDDLE, crotch)]
    right = [(MIDDLE, top), *spline(outer), *spline(inner)]
    canvas.fill(flip(right), look.body, volume=0.44)
    canvas.fill(right, look.body, volume=0.44, lift=0.12)
    both = canvas.outline([*right, *reversed(flip(right))])
    for side in (1, -1):
        x = MIDDLE + side * (hip * 0.55)
        canvas.fold([(MIDDLE + side * 2, crotch + 2), (MIDDLE + side * 30, crotch - 12)], 0.2, 4, both)
        canvas.fold([(MIDDLE + side * 4, crotch - 2), (MIDDLE + side * 26, crotch + 10)], 0.16, 4, both)
        if tall:
            canvas.fold([(x - 4, crotch + 20), (MIDDLE + side * (gap + 9 + ankle * 0.5), hem - 14)], -0.12, 8, both)
            canvas.fold(
                [(MIDDLE + side * (gap + 8), middle - 4), (MIDDLE + side * (gap + 20), middle + 3)], 0.16, 3, both
            )
            canvas.fold([(MIDDLE + side * (gap + 12 + knee), middle + 8), (MIDDLE + side * (gap + knee), middle + 12)],
                        0.14, 3, both)  # fmt: skip
    return both


FITS = {
    "Skinny": (26.0, 17.0),
    "Slim": (30.0, 22.0),
    "Tapered": (36.0, 21.0),
    "Straight": (34.0, 32.0),
    "Regular": (36.0, 34.0),
    "Bootcut": (30.0, 40.0),
    "Wide leg": (46.0, 54.0),
}
"""Width of one leg at the knee and at the ankle."""


def trousers(look: Look) -> None:
    """Jeans, trousers, shorts, leggings and swim shorts."""
    d, canvas = look.design, look.canvas
    knee, ankle = FITS[d.cut["fit"]]
    top, crotch = 66.0, 148.0
    short = d.kind.type in ("Shorts", "Swim shorts")
    if short:
        hem = {"Short": 186.0, "Mid-thigh": 212.0, "Knee-length": 246.0}[d.cut["length"]]
        ankle = 62.0 if d.cut["fit"] != "Slim" else 54.0
    else:
        hem = 356.0 if d.is_cut("length", "Full length") else 318.0
    waist = 47.0 if d.gender in ("Women", "Girls") else 51.0
    scale = (1.5 if short else 1.03) * (0.84 if d.child else 1)
    with canvas.placed(scale, 0, 200 - (top - 12 + hem) / 2):
        both = legs(look, top=top, crotch=crotch, hem=hem, waist=waist, hip=62, knee=knee, ankle=ankle)
        _fly(look, both, top, crotch)
        _leg_details(look, both, top, crotch, hem, knee)
        if d.style.shape == "joggers":
            _ankle_cuffs(look, hem, ankle)
        elif not d.has("turn_ups"):
            canvas.stroke([(40, hem - 6), (280, hem - 6)], _stitch(look), 0.7, both, dash=2.2)
        if d.has("turn_ups"):
            _turn_ups(look, hem, ankle, short)
        _waistband(look, waist, top, 14)
        if d.has("waist_bow"):
            collars.bow(look, MIDDLE, top, 1.1)


def _fly(look: Look, both: Part, top: float, crotch: float) -> None:
    d, canvas, stitch = look.design, look.canvas, _stitch(look)
    if d.kind.type == "Leggings":
        canvas.stroke([(MIDDLE, top), (MIDDLE, crotch)], look.line, 0.8, both)
        return
    canvas.stroke([(MIDDLE, top), (MIDDLE, crotch + 1)], look.line, 1.1, both)
    if d.is_cut("closure", "Zip", "Buttons"):
        canvas.stroke(path(f"M{MIDDLE + 13},{top} L{MIDDLE + 13},{top + 40} Q{MIDDLE + 12},{top + 54} {MIDDLE},{top + 60}"),
                      stitch, 0.9, both, dash=2.2)  # fmt: skip
    for side in (1, -1):
        if d.material == "Denim":
            pocket = quad((MIDDLE + side * 22, top + 4), (MIDDLE + side * 28, top + 30), (MIDDLE + side * 64, top + 30))
        else:
            pocket = quad((MIDDLE + side * 38, top + 4), (MIDDLE + side * 46, top + 30), (MIDDLE + side * 62, top + 44))
        canvas.fold([(x, y + 2) for x, y in pocket], 0.2, 3, both)
        canvas.stroke(pocket, look.line, 1.1, both)
        canvas.stroke([(x - side * 2.2, y + 2.6) for x, y in pocket], stitch, 0.8, both, dash=2.2)
        if d.material == "Denim":
            for x, y in ((MIDDLE + side * 23, top + 6), (MIDDLE + side * 54, top + 29)):
                canvas.stud(x, y, 1.6, COLOURS["Rose Gold"].rgb)


def _leg_details(look: Look, both: Part, top: float, crotch: float, hem: float, knee: float) -> None:
    d, canvas = look.design, look.canvas
    if d.pattern == "Colour-block":
        cut = hem - (hem - crotch) * 0.45
        canvas.stain(box(0, cut, 320, 400), look.accent, both)
    for side in (1, -1):
        centre = MIDDLE + side * (knee * 0.5 + 11)
        if d.has("side_stripe"):
            line = spline([(MIDDLE + side * 48, top), (MIDDLE + side * 57, (top + crotch) / 2 + 10),
                           (MIDDLE + side * (knee + 11), (crotch + hem) / 2), (MIDDLE + side * (_edge(look) + 8), hem)])  # fmt: skip
            canvas.stroke(line, look.accent, 7, both)
        if d.has("crease"):
            line = [(MIDDLE + side * 30, top + 30), (centre, (crotch + hem) / 2), (centre, hem)]
            canvas.stroke(line, look.line, 0.9, both)
            canvas.fold([(x - 4, y) for x, y in line], -0.12, 4, both)
            canvas.fold([(x + 4, y) for x, y in line], 0.12, 4, both)
        if d.has("faded"):
            canvas.fold([(MIDDLE + side * 32, crotch - 30), (centre, crotch + 70)], -0.5, 15, both)
        if d.has("ripped"):
            for y in ((crotch + hem) / 2 - 6, crotch + (30 if hem > 260 else 8)):
                _rip(look, both, centre + side * 4, y)
        if d.has("cargo_pockets"):
            x = MIDDLE + side * 50
            pocket = box(x - 17, crotch + 18, x + 17, crotch + 62, 2)
            canvas.fill(pocket, look.body, volume=0.25, lift=0.4, clip=both)
            canvas.fill(box(x - 19, crotch + 14, x + 19, crotch + 28, 2), look.body, volume=0.25, lift=0.45, clip=both)
            canvas.button(x, crotch + 22, 2.6, button_rgb(look))
        if d.has("mesh_panel"):
            low = (crotch + hem) / 2 + 20
            panel = [
                (MIDDLE + side * 60, low + 30),
                (MIDDLE, low + 4),
                (MIDDLE, low + 44),
                (MIDDLE + side * 60, low + 74),
            ]
            canvas.stain(panel, look.accent, both)


def _edge(look: Look) -> float:
    d = look.design
    if d.kind.type in ("Shorts", "Swim shorts"):
        return 56.0
    return FITS[d.cut["fit"]][1] + 1


def _rip(look: Look, both: Part, x: float, y: float) -> None:
    hole = spline(
        [(x - 15, y), (x - 6, y - 6), (x + 10, y - 5), (x + 16, y + 1), (x + 6, y + 6), (x - 8, y + 6)], closed=True
    )
    look.canvas.stain(hole, (226, 190, 164), both)
    pale = lighter(look.plain.base, 0.75)
    for k in (-4, -1, 2, 5):
        look.canvas.stroke([(x - 15, y + k), (x + 15, y + k * 0.7)], pale, 1.1, both)
    look.canvas.stroke([*hole, hole[0]], pale, 1, both)


def _ankle_cuffs(look: Look, hem: float, ankle: float) -> None:
    cuff = replace(look.contrast("contrast_waistband"), texture="rib")
    right = box(MIDDLE + 12, hem - 4, MIDDLE + 13 + ankle, hem + 12, 2)
    for points in (right, flip(right)):
        look.canvas.fill(points, cuff, volume=0.4, lift=0.25)


def _turn_ups(look: Look, hem: float, ankle: float, short: bool) -> None:
    left = MIDDLE + (5 if short else 10)
    wide = ankle + (6 if short else 5)
    right = [(left, hem - 11), (left + wide, hem - 13), (left + wide + 1, hem + 2), (left - 1, hem + 4)]
    pale = look.plain.dyed(lighter(look.plain.base, 0.35)) if look.design.material == "Denim" else look.body
    for points in (right, flip(right)):
        part = look.canvas.fill(points, pale, volume=0.35, lift=0.4)
        look.canvas.stroke([(x, y + 4) for x, y in points[:2]], darker(pale.base, 0.3), 0.7, part, dash=2)


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
        canvas.stain(path(f"M212,{base - 40} Q198,{base - 6} 214,{base + 30} L260,{base + 30} 260,{base - 40}", dx - 10, dy),
                     look.accent, part)  # fmt: skip
    canvas.fold([(178 + dx - 14, base - 60 + dy), (150 + dx, base - 34 + dy)], 0.22, 4, part)
    canvas.fold([(134 + dx - 10, top + 20 + dy), (134 + dx - 10, base - 50 + dy)], -0.14, 7, part)
    cuff = replace(look.contrast("contrast_cuffs"), texture="rib")
    canvas.fill(box(117 + dx - 10, top - 4 + dy, 177 + dx - 10, top + 18 + dy, 3), cuff, volume=0.4, lift=0.2)
    if d.has("cuff_stripes"):
        for y in (top + 24, top + 36):
            canvas.stain(box(90 + dx, y + dy, 200 + dx, y + 7 + dy), look.accent, part)
