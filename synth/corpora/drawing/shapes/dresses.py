"""Dresses, jumpsuits and swimsuits: a bodice, and what hangs from its waist."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, Points, box, mirrored, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker
from synth.corpora.drawing.shapes import collars, fronts
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.torso import (
    NECKS,
    Torso,
    draw_inside,
    draw_sleeves,
    draw_straps,
    outline,
)

HEMS = {"Mini": 296.0, "Knee-length": 338.0, "Midi": 384.0, "Maxi": 434.0}
WAIST = 122.0
"""From the top of the shoulder to the waist."""


def _torso(look: Look, hem: float) -> Torso:
    d = look.design
    neck = d.cut.get("neck", "Scoop neck")
    width, depth = NECKS.get(neck, (23, 18))
    if neck in collars.OPEN:
        width, depth = collars.OPEN[neck]
    line = neck if neck in NECKS or neck == "Off-shoulder" else "V-neck"
    chest, waist = (53, 41) if d.gender == "Women" else (50, 45)
    top = 60.0
    y = top + WAIST
    fit = d.cut.get("fit", "A-line")
    spread = (hem - y) / 100
    if fit == "Fit-and-flare":
        flare = ((waist + 8, y + 8), (waist + 20 + 20 * spread, y + 70), (waist + 26 + 27 * spread, hem))
    elif fit == "Straight":
        waist += 7
        flare = ((chest + 4, y + 50), (chest + 3, hem))
    else:
        flare = ((waist + 9, y + 30), (waist + 16 + 19 * spread, hem))
    return Torso(
        top=top, hem=hem, shoulder=53, neck=width, chest=chest, waist=waist, depth=depth, neckline=line,
        sleeve=d.cut.get("sleeve", "Sleeveless"), tail=7, flare=flare,
    )  # fmt: skip


def dress(look: Look) -> None:
    d, canvas = look.design, look.canvas
    hem = HEMS[d.cut.get("length", "Midi")]
    t = _torso(look, hem)
    scale = min(1.24, 352 / (hem - t.top + 20)) * (0.9 if d.child else 1)
    with canvas.placed(scale, 0, 200 - (hem + t.top) / 2 - 2):
        draw_inside(look, t, darker(COLOURS[d.colour].rgb, 0.4))
        if t.sleeve == "Strappy":
            draw_straps(look, t, look.contrast("contrast_straps"))
        cuff = look.trim if d.has("contrast_cuffs") else None
        draw_sleeves(look, t, look.body, cuff, 8)
        body = canvas.fill(outline(t), look.body, volume=0.34, lift=0.3)
        if d.pattern == "Colour-block":
            _blocks(look, t, body)
        skirt_folds(look, body, t.waist, t.top + WAIST, t.flare[-1][0], hem, d.cut.get("fit") == "Straight")
        _bust(look, t, body)
        _armholes(look, t, body)
        _skirt_details(look, t, body)
        if d.cut.get("closure") == "Buttons":
            fronts.front(look, t, body)
        collars.collar(look, t, body, d.cut.get("neck", ""))
        fronts.pockets(look, t, body)


def skirt_folds(
    look: Look, part: Part, waist: float, top: float, hip: float, hem: float, straight: bool = False
) -> None:
    """Soft folds that fan out from the waist."""
    n = 3 if straight else 6
    for i in range(n):
        share = (i + 0.5) / n * 2 - 1
        share += look.random.uniform(-0.06, 0.06)
        start = (MIDDLE + share * waist * 0.8, top + (hem - top) * (0.35 if straight else 0.1))
        end = (MIDDLE + share * hip * 0.96, hem + 6)
        bend = ((start[0] + end[0]) / 2 - share * 6, (start[1] + end[1]) / 2)
        depth = 0.1 if straight else 0.19
        look.canvas.fold(quad(start, bend, end), depth, 5, part)
        look.canvas.fold([(x - 8, y) for x, y in quad(start, bend, end)], -depth * 0.7, 6, part)


def _bust(look: Look, t: Torso, body: Part) -> None:
    y = t.top + WAIST
    if look.design.cut.get("fit") != "Straight":
        look.canvas.stroke(quad((MIDDLE - 70, y), (MIDDLE, y + 5), (MIDDLE + 70, y)), look.line, 1, body)
        look.canvas.fold(quad((MIDDLE - 60, y + 4), (MIDDLE, y + 9), (MIDDLE + 60, y + 4)), 0.2, 4, body)
    ax, ay = t.armpit
    for side in (1, -1):
        start = (MIDDLE + side * (ax - MIDDLE - 3), ay + 10)
        look.canvas.fold(quad(start, (MIDDLE + side * 32, ay + 16), (MIDDLE + side * 26, ay + 40)), 0.17, 4, body)


def _armholes(look: Look, t: Torso, body: Part) -> None:
    if t.sleeve in ("Sleeveless", "Strappy") or t.neckline in ("Off-shoulder", "Halter neck"):
        return
    (sx, sy), (ax, ay) = t.tip, t.armpit
    seam = quad((sx - 0.8, sy), (sx - 8, ay - 18), (ax - 1, ay), 8)
    for line in (seam, [(2 * MIDDLE - x, y) for x, y in seam]):
        look.canvas.stroke(line, look.line, 1, body)


def _blocks(look: Look, t: Torso, body: Part) -> None:
    way, y = look.design.variant % 3, t.top + WAIST
    if way == 0:
        look.canvas.stain(box(0, y, 320, 480), look.accent, body)
    elif way == 1:
        look.canvas.stain(box(0, t.hem - 62, 320, 480), look.accent, body)
        look.canvas.stain(box(0, t.hem - 70, 320, t.hem - 62), look.second, body)
    else:
        look.canvas.stain(box(0, 0, 320, t.top + 78), look.accent, body)


def _skirt_details(look: Look, t: Torso, body: Part) -> None:
    d, canvas = look.design, look.canvas
    y = t.top + WAIST
    if d.has("tiers"):
        step = (t.hem - y) / 3
        for k in (1, 2):
            tier_seam(look, body, y + step * k, 130)
    if d.has("contrast_hem"):
        band = [*quad((0, t.hem - 20), (MIDDLE, t.hem - 8), (320, t.hem - 20)), (320, 480), (0, 480)]
        canvas.stain(band, look.accent, body)
    if d.has("button_front"):
        start = t.top + (t.depth if t.sleeve != "Strappy" else 46)
        canvas.stroke([(MIDDLE, start), (MIDDLE, t.hem + 10)], look.line, 0.9, body)
        at = start + 10
        while at < t.hem - 40:
            canvas.button(MIDDLE, at, 3.3, look.accent)
            at += 21
    if d.has("side_slit"):
        canvas.fill([(MIDDLE + 34, t.hem - 80), (MIDDLE + 40, 480), (MIDDLE + 54, 480)], look.plain.dyed(look.deep),
                    volume=0.1, clip=body)  # fmt: skip
    if d.has("contrast_waist"):
        sash = [*quad((MIDDLE - 80, y - 7), (MIDDLE, y - 3), (MIDDLE + 80, y - 7)),
                *quad((MIDDLE + 80, y + 7), (MIDDLE, y + 11), (MIDDLE - 80, y + 7))]  # fmt: skip
        canvas.fill(sash, look.trim, volume=0.35, lift=0.3, clip=body)
    if d.has("waist_bow"):
        canvas.tube(quad((MIDDLE - t.waist - 6, y), (MIDDLE, y + 5), (MIDDLE + t.waist + 6, y)), 9, look.trim,
                    lift=0.3, clip=body)  # fmt: skip
        collars.bow(look, MIDDLE + 4, y + 4, 1.25)


def tier_seam(look: Look, body: Part, y: float, reach: float) -> None:
    """The gathered seam between two tiers."""
    seam = quad((MIDDLE - reach, y - 4), (MIDDLE, y + 4), (MIDDLE + reach, y - 4), 24)
    look.canvas.fold([(x, yy + 4) for x, yy in seam], 0.34, 4, body)
    look.canvas.stroke(seam, look.line, 1.2, body)
    for x, yy in seam[1::2]:
        look.canvas.stroke([(x, yy + 1), (x + (x - MIDDLE) * 0.02, yy + 10)], look.line, 0.6, body)


def jumpsuit(look: Look) -> None:
    from synth.corpora.drawing.shapes.bottoms import legs

    d, canvas = look.design, look.canvas
    t = replace(_torso(look, 260), flare=((48, 205), (58, 238)), tail=0)
    t = replace(t, hem=238)
    y = t.top + WAIST
    with canvas.placed(0.86 * (0.9 if d.child else 1), 0, -38):
        draw_inside(look, t, darker(COLOURS[d.colour].rgb, 0.4))
        leg = {"Wide leg": 50.0, "Tapered": 24.0}[d.cut["fit"]]
        hem = 452.0 if d.is_cut("length", "Full length") else 404.0
        legs(look, top=y + 2, crotch=y + 84, hem=hem, waist=t.waist, hip=60, knee=leg * 0.6 + 16, ankle=leg)
        draw_sleeves(look, t, look.body)
        bodice = _bodice(t)
        part = canvas.fill(bodice, look.body, volume=0.34, lift=0.25)
        _bust(look, t, part)
        _armholes(look, t, part)
        if d.has("button_front"):
            for k in range(4):
                by = t.top + t.depth + 10 + 18 * k
                if by < y - 4:
                    canvas.button(MIDDLE, by, 3.3, look.accent)
        waist = box(MIDDLE - t.waist - 1, y - 6, MIDDLE + t.waist + 1, y + 7, 2)
        canvas.fill(waist, look.contrast("contrast_waist"), volume=0.3, lift=0.3)
        if d.has("waist_bow"):
            collars.bow(look, MIDDLE + 4, y + 2, 1.25)
        collars.collar(look, t, part, d.cut["neck"])


def _bodice(t: Torso) -> Points:
    """The outline of the body piece cut at the waist."""
    short = replace(t, flare=((t.waist, t.top + WAIST),), waist=t.waist + 2, tail=2)
    return outline(short)


def swimsuit(look: Look) -> None:
    d, canvas = look.design, look.canvas
    neck = d.cut["neck"]
    wide = d.is_cut("strap", "Wide straps")
    depth = {"Scoop neck": 30, "V-neck": 52, "Sweetheart neck": 14, "Halter neck": 26}[neck]
    top = 108.0
    leg = 268.0 if d.is_cut("fit", "High leg") else 298.0
    edge = MIDDLE + (40 if neck != "Halter neck" else 22)
    start: Points = quad(
        (MIDDLE, top + depth), (MIDDLE + (26 if neck != "V-neck" else 16), top + depth * 0.75), (edge, top)
    )
    if neck == "Sweetheart neck":
        start = [*quad((MIDDLE, top + 16), (MIDDLE + 22, top - 14), (edge, top))]
    side = [*quad((edge, top), (MIDDLE + 48, top + 26), (MIDDLE + 57, top + 48)),
            *spline([(MIDDLE + 57, top + 48), (MIDDLE + 45, top + 104), (MIDDLE + 62, leg - 14), (MIDDLE + 63, leg)]),
            *quad((MIDDLE + 63, leg), (MIDDLE + 26, leg + 22), (MIDDLE + 13, 352)), (MIDDLE, 354)]  # fmt: skip
    with canvas.placed(0.98 if not d.child else 0.84, 0, -10):
        width = 13 if wide else 5
        strap = look.contrast("contrast_straps")
        for s in (1, -1):
            base = MIDDLE + s * (edge - MIDDLE - width / 2 - 1)
            if neck == "Halter neck":
                canvas.tube(quad((base, top + 4), (MIDDLE + s * 16, 80), (MIDDLE, 62)), width, strap)
            else:
                canvas.tube(quad((base, top + 4), (base + s * 1, 84), (base - s * 9, 56)), width, strap)
        back = mirrored(quad((MIDDLE, top + 22), (MIDDLE + 20, top + 20), (edge - 8, top + 6)))
        canvas.fill([*back, (MIDDLE, top + depth + 8)], look.plain.dyed(look.deep), volume=0.1, edge=0.5)
        body = canvas.fill(mirrored([*start, *side]), look.body, volume=0.46)
        if d.pattern == "Colour-block":
            cut = 180 if d.variant % 2 else 224
            canvas.stain(box(0, cut, 320, 400), look.accent, body)
        canvas.fold([(MIDDLE - 20, top + 50), (MIDDLE - 14, 300)], -0.14, 14, body)
        for s in (1, -1):
            canvas.fold(quad((MIDDLE + s * 56, top + 50), (MIDDLE + s * 34, top + 56), (MIDDLE + s * 26, top + 66)),
                        0.2, 4, body)  # fmt: skip
            leg_edge = quad((MIDDLE + s * 63, leg), (MIDDLE + s * 26, leg + 22), (MIDDLE + s * 13, 352))
            canvas.stroke([(x, y - 4) for x, y in leg_edge], look.line, 0.7, body, dash=2)
        if d.has("contrast_neck"):
            canvas.tube(
                [*reversed(start), *[(2 * MIDDLE - x, y) for x, y in start]], 9, look.trim, volume=0.2, clip=body
            )
        if d.has("contrast_waist"):
            canvas.fill(box(60, top + 96, 260, top + 112), look.trim, volume=0.25, lift=0.2, clip=body)
        if d.has("ruffle_front_swim"):
            _bust_ruffle(look, top + depth * 0.6, edge - MIDDLE)


def _bust_ruffle(look: Look, y: float, half: float) -> None:
    top = quad((MIDDLE - half - 6, y - 4), (MIDDLE, y + 10), (MIDDLE + half + 6, y - 4), 14)
    low = spline([(x, yy + 26 + (4 if i % 2 else -3)) for i, (x, yy) in enumerate(reversed(top))], 4)
    part = look.canvas.fill([*top, *low], look.body, volume=0.4, lift=0.4)
    for x, yy in top[1::2]:
        look.canvas.fold([(x, yy + 4), (x + (x - MIDDLE) * 0.03, yy + 26)], 0.22, 3, part)
