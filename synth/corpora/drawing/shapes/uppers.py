"""T-shirts to coats: how a torso becomes a garment by its collar, front, pockets and trims."""

from __future__ import annotations

import math
from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, box, flip, mirrored, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker, lighter
from synth.corpora.drawing.shapes import collars, fronts
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.motifs import motif
from synth.corpora.drawing.shapes.torso import (
    FITS,
    NECKS,
    SLEEVES,
    Torso,
    band,
    draw_body_folds,
    draw_inside,
    draw_sleeves,
    draw_straps,
    outline,
    sleeve_shape,
    upper_edge,
)

HEMS = {
    "Cropped": 222.0,
    "Waist-length": 246.0,
    "Hip-length": 272.0,
    "Longline": 300.0,
    "Thigh-length": 316.0,
    "Knee-length": 352.0,
    "Mid-calf": 384.0,
}
COATS = ("trench", "overcoat", "parka", "puffer coat quilted", "wrap coat")
RIBBED = ("sweatshirt", "hoodie", "zip hoodie", "jumper", "jumper cable", "cardigan", "cardigan cable", "bomber")


def torso(look: Look) -> Torso:
    """The measures of a design's body piece."""
    d = look.design
    shoulder, chest, waist, hip = FITS[d.cut.get("fit", "Regular")]
    if d.gender == "Women" and d.cut.get("fit") != "Oversized":
        waist, shoulder, hip = waist - 6, shoulder - 3, hip + 1
    neck = d.cut.get("neck", "Crew neck")
    width, depth = NECKS.get(neck, (23, 18))
    if neck in collars.OPEN:
        width, depth = collars.OPEN[neck]
    line = neck if neck in NECKS or neck == "Off-shoulder" else "V-neck"
    if neck in ("Hood", "Stand collar", "Rib collar", "Polo collar"):
        line = "Crew neck"
    hem = HEMS[d.cut.get("length", "Hip-length")]
    t = Torso(
        hem=hem,
        shoulder=shoulder,
        neck=width,
        chest=chest,
        waist=waist,
        hip=hip,
        depth=depth,
        neckline=line,
        sleeve=d.cut.get("sleeve", "Long sleeve"),
    )
    if d.style.shape in COATS:
        swing = 14 if d.gender == "Women" else 6
        t = replace(t, waist=waist - 2, flare=((hip + 3, 262), (hip + swing, hem)))
    elif d.style.shape in ("shirt", "blouse", "tunic"):
        t = replace(t, tail=9 if d.style.shape == "shirt" else 4)
    return t


def upper(look: Look) -> None:
    t = torso(look)
    canvas = look.canvas
    crown = 46 if look.design.is_cut("neck", "Hood") else 12
    height = t.hem + 8 - (t.top - crown)
    reach = t.shoulder
    if t.sleeve in SLEEVES:
        sleeve = SLEEVES[t.sleeve]
        reach += math.sin(math.radians(sleeve.angle)) * sleeve.length + max(sleeve.bulge, 0) + 6
    scale = min(1.42, 352 / height, 148 / reach)
    scale *= 0.86 if look.design.child else 1
    middle = (t.hem + 8 + t.top - crown) / 2
    with canvas.placed(scale, 0, (200 - middle)):
        _draw(look, t)


def _draw(look: Look, t: Torso) -> None:
    d, canvas = look.design, look.canvas
    neck = d.cut.get("neck", "Crew neck")
    draw_inside(look, t, darker(COLOURS[d.colour].rgb, 0.4))
    if t.sleeve == "Strappy":
        draw_straps(look, t, look.contrast("contrast_straps", look.plain), 4.5 if d.gender != "Men" else 12)
    ribbed = d.style.shape in RIBBED
    cuff = look.contrast("contrast_cuffs") if ribbed or d.has("contrast_cuffs") or "shirt" in d.style.shape else None
    sleeve_paint = look.trim if d.has("contrast_sleeves") else look.body
    if cuff and ribbed:
        cuff = replace(cuff, texture="rib")
    draw_sleeves(look, t, sleeve_paint, cuff, 13 if t.sleeve in ("Long sleeve", "Balloon sleeve") else 6)
    if d.has("sleeve_stripes"):
        _sleeve_stripes(look, t)
    body = canvas.fill(outline(t), look.body, volume=0.36, lift=0.35)
    if d.pattern == "Colour-block":
        _blocks(look, t, body)
    draw_body_folds(look, t, body)
    _armholes(look, t, body)
    _hem(look, t, body, ribbed)
    if d.pattern == "Graphic print":
        motif(look, MIDDLE, t.top + 100, 0.86 if d.cut.get("fit") != "Slim" else 0.74, body)
    fronts.front(look, t, body)
    collars.collar(look, t, body, neck)
    fronts.pockets(look, t, body)
    _trims(look, t, body)


def _blocks(look: Look, t: Torso, body: Part) -> None:
    """Colour-blocking: the lower half, a chest band, or the yoke in the accent colour."""
    low, canvas = t.hem + 12, look.canvas
    way = look.design.variant % 3
    if way == 0:
        canvas.stain(box(40, t.top + 112, 280, low), look.accent, body)
        canvas.stroke([(40, t.top + 112), (280, t.top + 112)], darker(look.accent, 0.3), 0.8, body)
    elif way == 1:
        canvas.stain(box(40, t.top + 66, 280, t.top + 112), look.accent, body)
        canvas.stain(box(40, t.top + 112, 280, t.top + 120), look.second, body)
    else:
        canvas.stain(
            [(40, 20), (280, 20), (280, t.top + 78), (MIDDLE, t.top + 92), (40, t.top + 78)], look.accent, body
        )


def _armholes(look: Look, t: Torso, body: Part) -> None:
    if t.sleeve in ("Sleeveless", "Strappy") or t.neckline in ("Off-shoulder", "Halter neck"):
        return
    (sx, sy), (ax, ay) = t.tip, t.armpit
    seam = quad((sx - 0.8, sy), (sx - 8, ay - 18), (ax - 1, ay), 8)
    for line in (seam, flip(seam)):
        look.canvas.stroke(line, look.line, 1, body)


def _hem(look: Look, t: Torso, body: Part, ribbed: bool) -> None:
    canvas, d = look.canvas, look.design
    if ribbed:
        rib = replace(look.contrast("contrast_cuffs"), texture="rib")
        half = t.hip
        strip = [
            (MIDDLE + half, t.hem - 15),
            *quad((MIDDLE + half - 2, t.hem + 1), (MIDDLE + half / 2, t.hem + 4), (MIDDLE, t.hem + 4), 6),
        ]
        canvas.fill(mirrored([(MIDDLE, t.hem - 12), *strip]), rib, volume=0.3, clip=body)
    elif d.style.shape not in COATS and t.hem < 320:
        y = t.hem - 6
        canvas.stroke(
            quad((MIDDLE - 90, y - 1), (MIDDLE, y + t.tail + 1), (MIDDLE + 90, y - 1)), look.line, 0.7, body, dash=2.2
        )


def _sleeve_stripes(look: Look, t: Torso) -> None:
    """Two rings in the accent colour round each forearm."""
    s = SLEEVES[t.sleeve]
    points, end = sleeve_shape(t, s)
    for offset in (24.0, 36.0) if s.length > 90 else (9.0, 18.0):
        near = band(end, t.armpit, offset, 14)
        far = band(end, t.armpit, offset + 6, 14)
        ring = [near[3], near[2], far[2], far[3]]
        for shape, stripe in ((points, ring), (flip(points), flip(ring))):
            part = look.canvas.outline(shape)
            look.canvas.stain(stripe, look.accent, part)


def _trims(look: Look, t: Torso, body: Part) -> None:
    d, canvas = look.design, look.canvas
    if d.has("badge"):
        canvas.stain(box(182, t.top + 62, 196, t.top + 76, 3), look.accent, body)
        canvas.stroke([(185, t.top + 72), (189, t.top + 66), (193, t.top + 72)], lighter(look.accent, 0.7), 1.2, body)
    if d.has("neck_bow"):
        collars.bow(look, MIDDLE, t.top + t.depth + 4, 1.0)
    if d.has("lace_neck"):
        edge = upper_edge(t)
        for line in (edge, flip(edge)):
            canvas.tube(line, 8, look.trim, volume=0.2, edge=0.5, clip=body)
            canvas.stroke(line, darker(look.accent, 0.25), 1.6, body, dash=1.4)
    if d.has("ruffle_front"):
        for offset in (-13, 0, 13):
            wave = spline([(MIDDLE + offset + (3 if i % 2 else -3), t.top + t.depth + 4 + i * 9) for i in range(9)])
            canvas.tube(wave, 5, look.plain, volume=0.5, lift=0.25, edge=0.5, clip=body)
    if d.has("waist_tie"):
        y = t.top + 128
        canvas.tube(
            quad((MIDDLE - t.waist, y), (MIDDLE, y + 4), (MIDDLE + t.waist, y)), 7, look.trim, lift=0.3, clip=body
        )
        collars.bow(look, MIDDLE + 14, y + 3, 0.9)
    if d.has("coat_belt"):
        y = t.top + 126
        canvas.fill(box(MIDDLE - 90, y - 7, MIDDLE + 90, y + 7), look.trim, volume=0.3, lift=0.3, clip=body)
        canvas.fill(
            box(MIDDLE - 13, y - 10, MIDDLE + 9, y + 10, 2),
            look.trim.dyed(COLOURS["Gold"].rgb),
            volume=0.4,
            holes=[box(MIDDLE - 9, y - 6, MIDDLE + 5, y + 6)],
        )
        canvas.fill(
            [(MIDDLE + 10, y - 6), (MIDDLE + 36, y + 2), (MIDDLE + 34, y + 13), (MIDDLE + 8, y + 6)],
            look.trim,
            volume=0.3,
            lift=0.3,
        )
    if d.has("yoke_line"):
        canvas.stroke(
            quad((MIDDLE - 70, t.top + 46), (MIDDLE, t.top + 54), (MIDDLE + 70, t.top + 46)), look.line, 0.9, body
        )
