"""Swimsuits."""

from __future__ import annotations

from synth.corpora.drawing.geometry import MIDDLE, Points, box, mirrored, quad, spline
from synth.corpora.drawing.shapes.look import Look


def swimsuit(look: Look) -> None:
    d, canvas = look.design, look.canvas
    neck = d.cut["neck"]
    wide = d.is_cut("strap", "Wide straps")
    depth = {"Scoop neck": 30, "V-neck": 52, "Sweetheart neck": 14, "Halter neck": 26}[neck]
    top = 108.0
    leg = 268.0 if d.is_cut("leg", "High leg") else 298.0
    edge = MIDDLE + (40 if neck != "Halter neck" else 22)
    start: Points = quad(
        (MIDDLE, top + depth), (MIDDLE + (26 if neck != "V-neck" else 16), top + depth * 0.75), (edge, top)
    )
    if neck == "Sweetheart neck":
        start = [*quad((MIDDLE, top + 16), (MIDDLE + 22, top - 14), (edge, top))]
    side = [
        *quad((edge, top), (MIDDLE + 48, top + 26), (MIDDLE + 57, top + 48)),
        *spline([(MIDDLE + 57, top + 48), (MIDDLE + 45, top + 104), (MIDDLE + 62, leg - 14), (MIDDLE + 63, leg)]),
        *quad((MIDDLE + 63, leg), (MIDDLE + 26, leg + 22), (MIDDLE + 13, 352)),
        (MIDDLE, 354),
    ]
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
            canvas.fold(
                quad((MIDDLE + s * 56, top + 50), (MIDDLE + s * 34, top + 56), (MIDDLE + s * 26, top + 66)),
                0.2,
                4,
                body,
            )
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
