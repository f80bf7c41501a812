"""Everything with two legs: jeans, trousers, shorts, leggings."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, box, flip, path, quad, spline
from synth.corpora.drawing.palette import COLOURS, darker, lighter
from synth.corpora.drawing.shapes import collars
from synth.corpora.drawing.shapes.fronts import button_rgb
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.waists import stitch, waistband


def legs(
    look: Look, *, top: float, crotch: float, hem: float, waist: float, hip: float, knee: float, ankle: float
) -> Part:
    """Two legs from the waist down; `knee` and `ankle` are the widths of one leg, `waist` and `hip` half widths."""
    canvas = look.canvas
    middle = (crotch + hem) / 2
    gap = 3
    tall = hem - crotch > 110
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
            canvas.fold(
                [(MIDDLE + side * (gap + 12 + knee), middle + 8), (MIDDLE + side * (gap + knee), middle + 12)],
                0.14,
                3,
                both,
            )
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
            canvas.stroke([(40, hem - 6), (280, hem - 6)], stitch(look), 0.7, both, dash=2.2)
        if d.has("turn_ups"):
            _turn_ups(look, hem, ankle, short)
        waistband(look, waist, top, 14)
        if d.has("waist_bow"):
            collars.bow(look, MIDDLE, top, 1.1)


def _fly(look: Look, both: Part, top: float, crotch: float) -> None:
    d, canvas, thread = look.design, look.canvas, stitch(look)
    if d.kind.type == "Leggings":
        canvas.stroke([(MIDDLE, top), (MIDDLE, crotch)], look.line, 0.8, both)
        return
    canvas.stroke([(MIDDLE, top), (MIDDLE, crotch + 1)], look.line, 1.1, both)
    if d.is_cut("closure", "Zip", "Buttons"):
        canvas.stroke(
            path(f"M{MIDDLE + 13},{top} L{MIDDLE + 13},{top + 40} Q{MIDDLE + 12},{top + 54} {MIDDLE},{top + 60}"),
            thread,
            0.9,
            both,
            dash=2.2,
        )
    if d.is_cut("closure", "Buttons"):
        for k in (1, 2, 3):
            canvas.stud(MIDDLE + 6, top + 15 * k, 3, COLOURS["Rose Gold"].rgb)
    for side in (1, -1):
        if d.material == "Denim":
            pocket = quad((MIDDLE + side * 22, top + 4), (MIDDLE + side * 28, top + 30), (MIDDLE + side * 64, top + 30))
        else:
            pocket = quad((MIDDLE + side * 38, top + 4), (MIDDLE + side * 46, top + 30), (MIDDLE + side * 62, top + 44))
        canvas.fold([(x, y + 2) for x, y in pocket], 0.2, 3, both)
        canvas.stroke(pocket, look.line, 1.1, both)
        canvas.stroke([(x - side * 2.2, y + 2.6) for x, y in pocket], thread, 0.8, both, dash=2.2)
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
            stations = [(48.0, top), (57.0, (top + crotch) / 2 + 10)]
            if hem - crotch > 110:
                stations.append((knee + 11, (crotch + hem) / 2))
            stations.append((_edge(look) + 8, hem))
            line = spline([(MIDDLE + side * x, y) for x, y in stations])
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
