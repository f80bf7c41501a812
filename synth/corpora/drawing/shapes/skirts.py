"""Skirts."""

from __future__ import annotations

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, mirrored, quad, spline
from synth.corpora.drawing.shapes.fronts import button_rgb
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.waists import stitch, waistband


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
            canvas.fill(
                [(MIDDLE + 26, hem - 62), (MIDDLE + 30, 480), (MIDDLE + 46, 480)],
                look.plain.dyed(look.deep),
                volume=0.1,
                clip=body,
            )
        if fit not in ("Pleated", "Flared") and not d.has("contrast_hem"):
            canvas.stroke(quad((0, hem - 9), (MIDDLE, hem + 2), (320, hem - 9)), stitch(look), 0.7, body, dash=2.2)
        if d.has("patch_pockets"):
            for x in (MIDDLE - 50, MIDDLE + 16):
                pocket = [(x, top + 34), (x + 34, top + 34), (x + 34, top + 66), (x + 17, top + 74), (x, top + 66)]
                canvas.fill(pocket, look.body, volume=0.2, lift=0.3, clip=body)
                canvas.stroke([(x, top + 40), (x + 34, top + 40)], stitch(look), 0.7, body, dash=2)
        if d.is_cut("closure", "Buttons"):
            canvas.stroke([(MIDDLE, top), (MIDDLE, hem + 9)], look.line, 1, body)
            y = top + 24
            while y < hem - 8:
                canvas.button(MIDDLE + 5, y, 3.4, button_rgb(look))
                y += 24
        waistband(look, waist, top, 15)


def _pleats(look: Look, body: Part, waist: float, top: float, half: float, hem: float) -> None:
    n = 11
    for i in range(1, n):
        share = i / n * 2 - 1
        line = [(MIDDLE + share * waist, top), (MIDDLE + share * half, hem + 9)]
        look.canvas.stroke(line, look.line, 0.9, body)
        look.canvas.fold([(x + 3.5, y) for x, y in line], 0.24, 4, body)
        look.canvas.fold([(x - 4, y) for x, y in line], -0.14, 4, body)


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


def tier_seam(look: Look, body: Part, y: float, reach: float) -> None:
    """The gathered seam between two tiers."""
    seam = quad((MIDDLE - reach, y - 4), (MIDDLE, y + 4), (MIDDLE + reach, y - 4), 24)
    look.canvas.fold([(x, yy + 4) for x, yy in seam], 0.34, 4, body)
    look.canvas.stroke(seam, look.line, 1.2, body)
    for x, yy in seam[1::2]:
        look.canvas.stroke([(x, yy + 1), (x + (x - MIDDLE) * 0.02, yy + 10)], look.line, 0.6, body)
