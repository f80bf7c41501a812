"""Backpacks and weekend bags."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import box, flip, mirrored, path, quad
from synth.corpora.drawing.palette import COLOURS, darker, lighter
from synth.corpora.drawing.shapes.bags import GOLD, SILVER, metal
from synth.corpora.drawing.shapes.look import Look


def backpacks(look: Look) -> None:
    d, canvas = look.design, look.canvas
    with canvas.placed(0.9 if d.child else 1.04, 0, 0):
        _straps(look)
        shape = d.style.shape.split()[-1]
        body = {"zip": _zipped, "roll": _rolled, "flap": _flapped}[shape](look)
        if d.pattern == "Colour-block" and shape != "zip":
            canvas.stain(box(0, 0, 320, 196), look.accent, body)
        if d.has("contrast_base"):
            canvas.stain([*quad((0, 306), (160, 316), (320, 306)), (320, 420), (0, 420)], look.accent, body)
            canvas.stroke(quad((0, 306), (160, 316), (320, 306)), darker(look.accent, 0.35), 1, body)


def _straps(look: Look) -> None:
    """The handle on top and the shoulder straps that show at the sides."""
    d, canvas = look.design, look.canvas
    dark = replace(look.plain, base=darker(look.plain.base, 0.3))
    width = 15 if d.is_cut("strap", "Padded straps") else 9
    right = path("M226,128 Q262,150 264,220 Q266,280 250,320")
    for line in (right, flip(right)):
        canvas.tube(line, width, dark, edge=0.9)
    canvas.tube(path("M136,84 C134,44 186,44 184,84"), 9, dark, edge=0.9)
    if d.has("side_pockets"):
        pocket = path("M236,254 L262,250 Q270,290 262,336 L236,340")
        for points in (pocket, flip(pocket)):
            part = canvas.fill(points, Paint(darker(look.plain.base, 0.2), texture="canvas"), volume=0.4)
            canvas.stroke(points[:2], look.line, 3, part)


def _hull(look: Look, top: float) -> Part:
    shape = mirrored(path(f"M160,{top} Q236,{top} 242,{top + 74} L250,318 Q250,352 214,354 L160,356"))
    return look.canvas.fill(shape, look.body, volume=0.5, lift=0.15)


def _zipped(look: Look) -> Part:
    d, canvas = look.design, look.canvas
    body = _hull(look, 66)
    if d.pattern == "Colour-block":
        canvas.stain(box(0, 0, 320, 208), look.accent, body)
    arch = path("M86,236 L88,142 Q92,86 160,84 Q228,86 232,142 L234,236")
    zip_(look, arch, body)
    pocket = mirrored(path("M160,226 L216,228 Q228,230 229,242 L232,320 Q230,336 214,337 L160,338"))
    part = canvas.fill(pocket, look.contrast("contrast_pocket_bag", look.body), volume=0.4, lift=0.35)
    zip_(look, path("M80,246 Q160,236 240,246"), part)
    patch = box(144, 126, 176, 148, 4)
    canvas.fill(patch, look.plain.dyed(lighter(look.plain.base, 0.25)), volume=0.3, lift=0.2)
    return body


def zip_(look: Look, line: list[tuple[float, float]], part: Part) -> None:
    """A zip along a line, its tape in the accent colour where the design says so."""
    tape = look.accent if look.design.has("contrast_zip") else look.deep
    look.canvas.stroke(line, tape, 6.5, part)
    look.canvas.stroke(line, SILVER, 2, part, dash=1.6)
    x, y = line[len(line) // 5]
    look.canvas.fill(box(x - 3, y, x + 3, y + 18, 2), metal(SILVER), volume=0.5, lift=0.4)


def _rolled(look: Look) -> Part:
    d, canvas = look.design, look.canvas
    body = _hull(look, 100)
    roll = mirrored(path("M160,70 L222,70 Q236,72 236,88 Q236,104 222,106 L160,108"))
    part = canvas.fill(roll, look.body, volume=0.6, lift=0.5)
    canvas.stroke([(84, 82), (236, 82)], look.line, 1.2, part)
    canvas.stroke([(84, 95), (236, 95)], look.line, 1.2, part)
    strap = look.contrast("contrast_straps_bag", replace(look.plain, base=darker(look.plain.base, 0.35)))
    for x in (112, 208):
        canvas.fill(box(x - 6, 66, x + 6, 236), strap, volume=0.3, lift=0.35)
        canvas.fill(box(x - 11, 168, x + 11, 190, 3), Paint((52, 52, 56), gloss=0.5), volume=0.5, lift=0.35)
        canvas.fill(box(x - 6, 174, x + 6, 184, 2), Paint((84, 84, 90)), volume=0.3)
    pocket = mirrored(path("M160,238 L222,240 L228,322 Q226,336 212,337 L160,338"))
    front = canvas.fill(pocket, look.body, volume=0.35, lift=0.3)
    zip_(look, path("M70,254 L250,254"), front)
    if d.pattern == "Colour-block":
        canvas.stain(box(0, 0, 320, 120), look.accent, part)
    return body


def _flapped(look: Look) -> Part:
    d, canvas = look.design, look.canvas
    body = _hull(look, 92)
    pocket = mirrored(path("M160,262 L214,262 L222,328 Q220,340 208,340 L160,341"))
    canvas.fill(pocket, look.body, volume=0.4, lift=0.3)
    flap = mirrored(path("M160,76 L214,78 Q240,84 242,120 L240,214 Q238,240 206,242 L160,244"))
    part = canvas.fill(flap, look.body, volume=0.45, lift=0.5)
    canvas.stroke([(160 + (x - 160) * 0.94, 160 + (y - 160) * 0.94) for x, y in flap], look.line, 0.9, part, dash=2.6)
    strap = look.contrast("contrast_straps_bag", replace(look.plain, base=darker(look.plain.base, 0.2)))
    rgb = GOLD if d.has("gold_buckle") else SILVER
    for x in (116, 204):
        canvas.fill(path(f"M{x - 8},190 L{x + 8},190 L{x + 8},288 Q{x},298 {x - 8},288"), strap, volume=0.35, lift=0.4)
        frame, hole = box(x - 13, 236, x + 13, 260, 4), box(x - 8, 241, x + 8, 255)
        canvas.fill(frame, metal(rgb), volume=0.6, lift=0.3, holes=[hole])
        canvas.stroke([(x, 238), (x, 256)], rgb, 2)
    return body


def weekend_bags(look: Look) -> None:
    d, canvas = look.design, look.canvas
    handle = look.contrast("contrast_handle", replace(look.plain, base=darker(look.plain.base, 0.3)))
    back = handle.dyed(darker(handle.base, 0.3))
    canvas.tube(path("M104,180 C104,78 216,78 216,180"), 10, back, edge=0.9)
    shape = mirrored(path("M160,168 L246,168 Q288,170 292,216 L294,292 Q292,318 262,320 L160,322"))
    body = canvas.fill(shape, look.body, volume=0.46)
    if d.pattern == "Colour-block":
        canvas.stain(box(0, 160, 96, 400), look.accent, body)
        canvas.stain(box(224, 160, 320, 400), look.accent, body)
    if d.has("contrast_base"):
        canvas.stain(box(0, 290, 320, 400), look.accent, body)
        canvas.stroke([(0, 290), (320, 290)], darker(look.accent, 0.35), 1, body)
    zip_(look, path("M44,180 L276,180"), body)
    for x in (104, 216):
        part = canvas.fill(box(x - 7, 188, x + 7, 322), handle, volume=0.3, lift=0.3, clip=body)
        canvas.stroke([(x - 4.5, 190), (x - 4.5, 320)], darker(handle.base, 0.3), 0.7, part, dash=2.4)
        canvas.stroke([(x + 4.5, 190), (x + 4.5, 320)], darker(handle.base, 0.3), 0.7, part, dash=2.4)
    canvas.tube(path("M104,206 C100,112 220,112 216,206"), 10, handle, lift=0.35, edge=0.9)
    for x in (62, 258):
        canvas.fill(
            box(x - 8, 196, x + 8, 212, 3),
            metal(COLOURS["Silver"].rgb),
            volume=0.5,
            holes=[box(x - 4, 200, x + 4, 208)],
        )
    if d.has("luggage_tag"):
        canvas.tube([(216, 168), (238, 214)], 2.4, handle, lift=0.2)
        tag = path("M230,214 L248,210 L256,250 L238,254")
        canvas.fill(tag, look.plain.dyed((150, 98, 58)), volume=0.35, lift=0.4)
        canvas.stain(path("M236,226 L247,224 L250,240 L239,242"), (240, 232, 214))
