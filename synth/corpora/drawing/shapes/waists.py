"""Waistbands, with what closes them."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.geometry import MIDDLE, box, ellipse, mirrored, quad
from synth.corpora.drawing.palette import COLOURS, lighter
from synth.corpora.drawing.shapes.fronts import button_rgb
from synth.corpora.drawing.shapes.look import Look

LEATHER_BROWN = (150, 98, 58)
STITCH_GOLD = (214, 150, 70)


def stitch(look: Look) -> tuple[int, int, int]:
    d = look.design
    if d.has("contrast_stitching"):
        return look.accent
    return STITCH_GOLD if d.material == "Denim" else look.line


def waistband(look: Look, waist: float, top: float, height: float) -> None:
    """The band at the waist, with its closure, belt or drawstring."""
    d, canvas = look.design, look.canvas
    elastic = d.is_cut("closure", "Drawstring", "Elastic")
    paint = look.contrast("contrast_waistband")
    if elastic:
        paint = replace(paint, texture="rib")
    y = top
    shape = [
        *quad((MIDDLE - waist - 1, y - height + 3), (MIDDLE, y - height + 8), (MIDDLE + waist + 1, y - height + 3)),
        *quad((MIDDLE + waist + 2, y + 3), (MIDDLE, y + 8), (MIDDLE - waist - 2, y + 3)),
    ]
    back = mirrored(
        quad((MIDDLE, y - height - 2), (MIDDLE + waist * 0.7, y - height - 2), (MIDDLE + waist, y - height + 3))
    )
    canvas.fill([*back, (MIDDLE, y - height + 8)], look.plain.dyed(look.deep), volume=0.1)
    band = canvas.fill(shape, paint, volume=0.3, lift=0.3)
    if d.has("waist_belt"):
        leather = look.trim
        canvas.tube(
            quad((MIDDLE - waist - 2, y - 5), (MIDDLE, y), (MIDDLE + waist + 2, y - 5)),
            10,
            leather,
            volume=0.4,
            lift=0.2,
            clip=band,
        )
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
        canvas.fill(
            box(MIDDLE + waist - 25, y - 9, MIDDLE + waist - 5, y + 5, 1.5),
            look.plain.dyed(LEATHER_BROWN),
            volume=0.3,
            lift=0.2,
        )


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
