"""Dresses and jumpsuits: a bodice, and what hangs from its waist."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, Point, Points, box, quad
from synth.corpora.drawing.palette import COLOURS, darker
from synth.corpora.drawing.shapes import collars, fronts
from synth.corpora.drawing.shapes.legs import legs
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.skirts import skirt_folds, tier_seam
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
    chest, waist = (53.0, 41.0) if d.gender == "Women" else (50.0, 45.0)
    top = 60.0
    y = top + WAIST
    fit = d.cut.get("fit", "A-line")
    spread = (hem - y) / 100
    flare: tuple[Point, ...]
    if fit == "Fit-and-flare":
        flare = ((waist + 8, y + 8), (waist + 20 + 20 * spread, y + 70), (waist + 26 + 27 * spread, hem))
    elif fit == "Straight":
        waist += 7
        flare = ((chest + 4, y + 50), (chest + 3, hem))
    else:
        flare = ((waist + 9, y + 30), (waist + 16 + 19 * spread, hem))
    return Torso(
        top=top,
        hem=hem,
        shoulder=53,
        neck=width,
        chest=chest,
        waist=waist,
        depth=depth,
        neckline=line,
        sleeve=d.cut.get("sleeve", "Sleeveless"),
        tail=7,
        flare=flare,
    )


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
        canvas.fill(
            [(MIDDLE + 34, t.hem - 80), (MIDDLE + 40, 480), (MIDDLE + 54, 480)],
            look.plain.dyed(look.deep),
            volume=0.1,
            clip=body,
        )
    if d.has("contrast_waist"):
        sash = [
            *quad((MIDDLE - 80, y - 7), (MIDDLE, y - 3), (MIDDLE + 80, y - 7)),
            *quad((MIDDLE + 80, y + 7), (MIDDLE, y + 11), (MIDDLE - 80, y + 7)),
        ]
        canvas.fill(sash, look.trim, volume=0.35, lift=0.3, clip=body)
    if d.has("waist_bow"):
        canvas.tube(
            quad((MIDDLE - t.waist - 6, y), (MIDDLE, y + 5), (MIDDLE + t.waist + 6, y)),
            9,
            look.trim,
            lift=0.3,
            clip=body,
        )
        collars.bow(look, MIDDLE + 4, y + 4, 1.25)


def jumpsuit(look: Look) -> None:
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
