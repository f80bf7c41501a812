"""Caps, hats and beanies."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Part
from synth.corpora.drawing.geometry import box, ellipse, mirrored, path, quad
from synth.corpora.drawing.palette import darker, lighter
from synth.corpora.drawing.shapes.collars import bow
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.motifs import motif


def caps(look: Look) -> None:
    d, canvas = look.design, look.canvas
    with canvas.placed(0.9 if d.child else 1.05, 0, 4):
        crown = path("M52,236 C44,120 110,104 146,104 C206,104 240,150 242,240 Q150,262 52,236")
        body = canvas.fill(crown, look.body, volume=0.5)
        if d.pattern == "Colour-block":
            canvas.stain(path("M120,80 Q150,160 158,270 L300,270 L300,80"), look.accent, body)
        for seam in (
            path("M146,104 Q120,160 122,252"),
            path("M146,104 Q196,150 204,252"),
            path("M146,104 Q78,140 70,242"),
        ):
            canvas.stroke(seam, look.line, 1.1, body)
            canvas.stroke([(x + 3, y) for x, y in seam], look.line, 0.6, body, dash=2.2)
        for x, y in ((104, 160), (166, 158), (216, 176)):
            canvas.fill(ellipse(x, y, 3, 3, steps=10), look.plain.dyed(look.deep), volume=0.2)
        if d.pattern == "Graphic print":
            motif(look, 164, 196, 0.72, body)
        if d.has("cap_badge"):
            canvas.fill(box(142, 178, 186, 212, 5), look.trim, volume=0.3, lift=0.25)
            canvas.stroke([(152, 204), (164, 186), (176, 204)], lighter(look.accent, 0.7), 2.2)
        _brim(look)
        top = look.contrast("contrast_top_button")
        canvas.fill(ellipse(146, 104, 9, 6), top, volume=0.6, lift=0.3)
        closure = box(44, 222, 66, 240, 3) if d.is_cut("closure", "Buckle back") else box(44, 226, 60, 240, 3)
        canvas.fill(closure, look.plain.dyed(darker(look.plain.base, 0.3)), volume=0.4)


def _brim(look: Look) -> None:
    d, canvas = look.design, look.canvas
    if d.is_cut("brim", "Flat brim"):
        shape = path("M104,250 Q170,228 242,234 Q300,240 312,252 Q314,260 300,262 Q196,276 108,262")
    else:
        shape = path("M100,250 Q160,222 240,232 Q300,246 312,282 Q312,292 298,288 Q220,262 104,264")
    part = canvas.fill(shape, look.contrast("contrast_brim", look.body), volume=0.45, lift=0.45)
    for k in (5, 10, 15):
        canvas.stroke([(x + k * 0.1, y + k) for x, y in shape[2:18]], look.line, 0.7, part, dash=2.4)


def hats(look: Look) -> None:
    shape = look.design.style.shape.split()[-1]
    with look.canvas.placed(0.92 if look.design.child else 1.04):
        {"sun": _brimmed, "fedora": _brimmed, "bucket": _bucket}[shape](look)


def _brimmed(look: Look) -> None:
    d, canvas = look.design, look.canvas
    fedora = d.style.shape.endswith("fedora")
    half = 142.0 if d.is_cut("brim", "Wide brim") else 112.0
    high, mid = (222, 238) if not fedora else (208, 226)
    brim = mirrored(
        path(
            f"M160,214 C{160 + half * 0.7},214 {160 + half},{high} {160 + half},{mid} "
            f"C{160 + half},268 {160 + half * 0.6},284 160,284"
        )
    )
    under = canvas.fill(brim, look.body, volume=0.5)
    for k in (0.78, 0.9):
        ring = [(160 + (x - 160) * k, 246 + (y - 246) * k) for x, y in brim]
        canvas.stroke([*ring, ring[0]], look.line, 0.8, under, dash=0 if d.material == "Straw" else 2.4)
    if fedora:
        crown = path(
            "M86,244 C88,178 94,134 116,122 Q142,112 160,132 Q178,112 204,122 C226,134 232,178 234,244 Q160,272 86,244"
        )
    else:
        crown = path("M82,242 C82,160 110,120 160,120 C210,120 238,160 238,242 Q160,270 82,242")
    body = canvas.fill(crown, look.body, volume=0.55, lift=0.45)
    if fedora:
        canvas.fold(quad((160, 134), (158, 160), (160, 190)), 0.35, 8, body)
        canvas.fold(quad((120, 140), (112, 170), (116, 196)), 0.2, 8, body)
    band = [*quad((60, 214), (160, 246), (260, 214)), *quad((260, 236), (160, 270), (60, 236))]
    ribbon = canvas.fill(band, replace(look.trim, texture="rib", gloss=0.1), volume=0.35, lift=0.25, clip=body)
    canvas.fold([(100, 232), (130, 240)], -0.15, 8, ribbon)
    if d.has("hat_bow"):
        bow(look, 218, 236, 1.4)
    if d.has("feather"):
        feather = path("M214,240 Q216,176 246,150 Q252,196 224,242")
        part = canvas.fill(feather, look.plain.dyed(look.second), volume=0.4, lift=0.4)
        canvas.stroke(path("M218,240 Q226,190 244,156"), darker(look.second, 0.4), 1.1, part)
        for k in range(7):
            canvas.stroke(
                [(222 + k * 2.4, 222 - k * 9), (230 + k * 2.6, 210 - k * 7)], darker(look.second, 0.3), 0.7, part
            )


def _bucket(look: Look) -> None:
    d, canvas = look.design, look.canvas
    brim = mirrored(path("M160,226 L238,222 Q256,226 272,268 Q276,280 258,284 Q210,298 160,298"))
    part = canvas.fill(brim, look.body, volume=0.45)
    for k in (8, 17, 26, 35, 44):
        canvas.stroke(quad((40, 222 + k), (160, 244 + k), (280, 222 + k)), look.line, 0.8, part, dash=2.6)
    crown = mirrored(path("M160,128 L204,130 Q226,132 230,156 L242,228 Q206,246 160,246"))
    body = canvas.fill(crown, look.body, volume=0.5, lift=0.35)
    canvas.stroke(quad((84, 158), (160, 176), (236, 158)), look.line, 1.2, body)
    canvas.stroke(quad((84, 162), (160, 180), (236, 162)), look.line, 0.6, body, dash=2.2)
    if d.has("cap_badge"):
        badge(look, body, 160, 206)


def badge(look: Look, body: Part, x: float, y: float) -> None:
    look.canvas.fill(box(x - 20, y - 13, x + 20, y + 13, 4), look.trim, volume=0.3, lift=0.25, clip=body)
    look.canvas.stroke([(x - 11, y), (x + 11, y)], lighter(look.accent, 0.7), 2)


def beanies(look: Look) -> None:
    d, canvas = look.design, look.canvas
    slouchy = d.is_cut("fit", "Slouchy")
    with canvas.placed(0.9 if d.child else 1.08, 0, 14 if d.has("pompom") else 0):
        if slouchy:
            dome = path("M74,256 C54,150 96,84 178,86 C246,90 264,170 246,256 Q160,282 74,256")
        else:
            dome = path("M74,240 C70,150 104,96 160,96 C216,96 250,150 246,240 Q160,262 74,240")
        if d.has("pompom"):
            x, y = (184, 78) if slouchy else (160, 82)
            canvas.fill(_fluff(look, x, y), replace(look.trim, texture="fleece"), volume=0.75)
        body = canvas.fill(dome, look.body, volume=0.6, lift=0.3 if d.has("pompom") else 0)
        if d.pattern == "Colour-block":
            canvas.stain(box(0, 0, 320, 168), look.accent, body)
        for x in (110, 135, 185, 210):
            canvas.fold(quad((160 + (x - 160) * 0.3, 104), (x, 140), (160 + (x - 160) * 1.2, 236)), 0.13, 4, body)
        if slouchy:
            canvas.fold(quad((200, 110), (236, 130), (244, 180)), 0.25, 6, body)
        height = 44 if not slouchy else 34
        cuff = mirrored(
            [
                *quad((160, 290 - height), (220, 290 - height), (252, 278 - height)),
                *quad((252, 278), (220, 292), (160, 292)),
            ]
        )
        paint = replace(look.contrast("contrast_cuffs"), texture="rib")
        part = canvas.fill(cuff, paint, volume=0.45, lift=0.45)
        if d.has("beanie_patch"):
            canvas.fill(box(146, 256, 174, 280, 2), look.plain.dyed((150, 98, 58)), volume=0.3, lift=0.2, clip=part)
            canvas.stroke(box(149, 259, 171, 277), (222, 184, 140), 0.8, part, dash=2)


def _fluff(look: Look, x: float, y: float) -> list[tuple[float, float]]:
    ring = ellipse(x, y, 30, 29, steps=44)
    return [
        (x + (px - x) * (1 + 0.11 * (i % 2)), y + (py - y) * (1 + 0.11 * (i % 2))) for i, (px, py) in enumerate(ring)
    ]
