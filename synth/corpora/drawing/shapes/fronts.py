"""Closures and pockets of upper garments."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import MIDDLE, Points, box, flip, quad
from synth.corpora.drawing.palette import COLOURS, RGB, darker, luminance
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.torso import Torso


def button_rgb(look: Look) -> RGB:
    if look.design.has("contrast_buttons"):
        return look.accent
    if look.design.has("gold_buttons"):
        return COLOURS["Gold"].rgb
    base = look.plain.base
    return darker(base, 0.3) if luminance(base) > 90 else COLOURS["Grey"].rgb


def front(look: Look, t: Torso, body: Part) -> None:
    closure = look.design.cut.get("closure", "")
    start = t.top + t.depth
    if closure == "Buttons":
        _placket(look, t, body, start)
    elif closure in ("Zip", "Two-way zip"):
        zipper(look, body, MIDDLE, start - 2, t.hem + 8)
    elif closure == "Half zip":
        zipper(look, body, MIDDLE, start - 4, start + 62)
    elif closure == "Button placket":
        _short_placket(look, body, start)
    elif closure == "Double-breasted":
        _double(look, t, body, start)
    elif closure == "Single-breasted":
        _single(look, t, body, start)
    elif closure == "Press studs":
        _studs(look, t, body, start)
    elif closure == "Open front":
        look.canvas.stroke([(MIDDLE, start), (MIDDLE, t.hem + 8)], look.deep, 2, body)
        look.canvas.fold([(MIDDLE + 4, start), (MIDDLE + 4, t.hem)], 0.25, 5, body)


def _placket(look: Look, t: Torso, body: Part, start: float) -> None:
    canvas = look.canvas
    knit = look.design.kind.type == "Cardigans"
    strip = look.contrast("contrast_placket", look.plain if knit else look.body)
    if knit:
        strip = replace(strip, texture="rib")
    canvas.fill(box(MIDDLE - 8, start - 6, MIDDLE + 8, t.hem + 12), strip, volume=0.18, lift=0.12, clip=body)
    if not knit:
        for x in (MIDDLE - 5.5, MIDDLE + 5.5):
            canvas.stroke([(x, start), (x, t.hem + 8)], look.line, 0.5, body, dash=2)
    step = 27 if t.hem < 310 else 32
    y = start + 12
    while y < t.hem - 10:
        canvas.button(MIDDLE, y, 4.2 if knit else 3, button_rgb(look))
        y += step


def _short_placket(look: Look, body: Part, start: float) -> None:
    canvas = look.canvas
    canvas.fill(
        box(MIDDLE - 7, start - 6, MIDDLE + 7, start + 46),
        look.contrast("contrast_placket"),
        volume=0.2,
        lift=0.15,
        clip=body,
    )
    canvas.stroke(box(MIDDLE - 5.5, start + 36, MIDDLE + 5.5, start + 44), look.line, 0.6, body, dash=2)
    for y in (start + 8, start + 21, start + 34):
        canvas.button(MIDDLE, y, 2.7, button_rgb(look))


def zipper(look: Look, body: Part, x: float, top: float, bottom: float) -> None:
    """A vertical zip with metal teeth and a puller."""
    canvas = look.canvas
    tape = look.accent if look.design.has("contrast_zip") else look.deep
    metal = COLOURS["Gold" if look.design.has("gold_zip") else "Silver"].rgb
    canvas.stroke([(x, top), (x, bottom)], tape, 6, body)
    canvas.stroke([(x, top), (x, bottom)], metal, 2.2, body, dash=1.5)
    for side in (-1, 1):
        canvas.stroke([(x + side * 5.5, top), (x + side * 5.5, bottom)], look.line, 0.6, body, dash=2.4)
    canvas.fill(box(x - 2.6, top + 8, x + 2.6, top + 21, 1.5), look.plain.dyed(metal), volume=0.6, lift=0.4)


def _lap(look: Look, t: Torso, body: Part, start: float, x: float) -> None:
    """The edge where one front lies on the other."""
    edge = quad((MIDDLE, start + 2), (x, start + 10), (x, start + 26))
    line = [*edge, (x, t.hem + 10)]
    look.canvas.fold([(px + 4, py) for px, py in line], 0.28, 5, body)
    look.canvas.stroke(line, look.line, 1.1, body)


def _double(look: Look, t: Torso, body: Part, start: float) -> None:
    _lap(look, t, body, start, MIDDLE + 22)
    rows = 3 if t.hem > 300 else 2
    for row in range(rows):
        for x in (MIDDLE - 17, MIDDLE + 13):
            look.canvas.button(x, start + 18 + row * 38, 5, button_rgb(look))


def _single(look: Look, t: Torso, body: Part, start: float) -> None:
    _lap(look, t, body, start, MIDDLE + 5)
    for row in range(3 if t.hem > 300 else 2):
        look.canvas.button(MIDDLE - 3, start + 14 + row * 36, 4.6, button_rgb(look))


def _studs(look: Look, t: Torso, body: Part, start: float) -> None:
    _lap(look, t, body, start - 6, MIDDLE + 8)
    metal = COLOURS["Gold" if look.design.has("gold_buttons") else "Silver"].rgb
    y = start + 12
    while y < t.hem - 6:
        look.canvas.stud(MIDDLE, y, 3.2, metal)
        y += 30


def pockets(look: Look, t: Torso, body: Part) -> None:
    d, canvas = look.design, look.canvas
    chest, low = t.top + 70, t.top + 132
    if d.has("chest_pocket") or d.has("contrast_pocket"):
        canvas.fill(
            _patch(MIDDLE + 15, chest, 27, 32),
            look.contrast("contrast_pocket", look.body),
            volume=0.16,
            lift=0.25,
            clip=body,
        )
        canvas.stroke([(MIDDLE + 15, chest + 5), (MIDDLE + 42, chest + 5)], look.line, 0.6, body, dash=2)
    if d.has("two_pockets"):
        for x in (MIDDLE + 15, MIDDLE - 43):
            canvas.fill(_patch(x, chest, 28, 34), look.body, volume=0.16, lift=0.22, clip=body)
            canvas.fill(_flap(x - 1, chest - 2, 30, 12), look.body, volume=0.2, lift=0.35, clip=body)
            canvas.button(x + 14, chest + 7, 2.3, button_rgb(look))
    if d.has("kangaroo"):
        pouch = [
            (MIDDLE - 32, low),
            (MIDDLE + 32, low),
            (MIDDLE + 44, low + 30),
            (MIDDLE + 44, low + 48),
            (MIDDLE - 44, low + 48),
            (MIDDLE - 44, low + 30),
        ]
        canvas.fill(
            pouch,
            look.contrast("contrast_pouch", look.plain if look.body.pattern != "Camouflage" else look.body),
            volume=0.22,
            lift=0.3,
            clip=body,
        )
        for side in (1, -1):
            canvas.stroke(
                [(MIDDLE + side * 29.5, low + 3), (MIDDLE + side * 41, low + 31)], look.line, 0.7, body, dash=2
            )
    if d.has("welt_pockets"):
        for line in (
            [(MIDDLE + 28, low + 6), (MIDDLE + 42, low + 36)],
            [(MIDDLE - 28, low + 6), (MIDDLE - 42, low + 36)],
        ):
            canvas.tube(line, 6, look.plain, volume=0.3, lift=0.35, clip=body)
    if d.has("flap_pockets"):
        for x in (MIDDLE + 18, MIDDLE - 50):
            canvas.fill(_flap(x, low + 10, 32, 13), look.body, volume=0.25, lift=0.4, clip=body)
    if d.has("patch_pockets"):
        for x in (MIDDLE + 16, MIDDLE - 50):
            canvas.fill(_patch(x, low + 4, 34, 42), look.body, volume=0.2, lift=0.35, clip=body)
            canvas.stroke([(x, low + 11), (x + 34, low + 11)], look.line, 0.7, body, dash=2.2)
    if d.has("chest_zip"):
        canvas.stroke([(MIDDLE + 16, chest + 4), (MIDDLE + 44, chest - 2)], look.accent, 4, body)
        canvas.stroke([(MIDDLE + 16, chest + 4), (MIDDLE + 44, chest - 2)], COLOURS["Silver"].rgb, 1.6, body, dash=1.4)
    if d.has("pocket_square"):
        canvas.stroke([(MIDDLE + 24, chest + 8), (MIDDLE + 46, chest + 4)], look.line, 3, body)
        canvas.fill(
            [
                (MIDDLE + 26, chest + 6),
                (MIDDLE + 29, chest - 6),
                (MIDDLE + 34, chest - 1),
                (MIDDLE + 39, chest - 8),
                (MIDDLE + 44, chest + 3),
            ],
            replace(look.trim, texture=""),
            volume=0.3,
            lift=0.2,
        )


def _patch(x: float, y: float, width: float, height: float) -> Points:
    return [(x, y), (x + width, y), (x + width, y + height - 7), (x + width / 2, y + height), (x, y + height - 7)]


def _flap(x: float, y: float, width: float, height: float) -> Points:
    right = [(x + width / 2, y), (x + width, y), (x + width, y + height - 3), (x + width / 2, y + height + 2)]
    return [*right, *reversed(flip(right, x + width / 2))]
