"""Handbags, totes, clutches and wallets."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import MIDDLE, Points, box, ellipse, mirrored, path, quad, spline
from synth.corpora.drawing.palette import COLOURS, RGB, darker, lighter
from synth.corpora.drawing.shapes.collars import bow
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.motifs import motif

GOLD: RGB = COLOURS["Gold"].rgb
SILVER: RGB = COLOURS["Silver"].rgb


def metal(rgb: RGB) -> Paint:
    return Paint(rgb, gloss=1)


def handbags(look: Look) -> None:
    shape = look.design.style.shape.split()[-1]
    {"satchel": _satchel, "crossbody": _crossbody, "bucket": _bucket, "hobo": _hobo}[shape](look)


def chain(look: Look, line: Points, rgb: RGB = GOLD) -> None:
    """A strap of metal links."""
    dense = spline(line, 2)
    for i, (x, y) in enumerate(dense):
        if i % 2 == 0:
            look.canvas.fill(
                ellipse(x, y, 4.4, 4.4, steps=14),
                metal(rgb),
                volume=0.5,
                edge=0.8,
                holes=[ellipse(x, y, 2, 2, steps=10)],
            )
        else:
            look.canvas.fill(ellipse(x, y, 2.2, 4.6, steps=12), metal(rgb), volume=0.5, edge=0.6)


def ring(look: Look, x: float, y: float, rgb: RGB = GOLD) -> None:
    look.canvas.fill(ellipse(x, y, 8, 8), metal(rgb), volume=0.6, edge=0.8, holes=[ellipse(x, y, 4.6, 4.6)])


def tassel(look: Look, x: float, y: float, size: float = 1.0) -> None:
    """A hanging tassel in the accent colour."""
    canvas, s = look.canvas, size
    canvas.tube([(x, y), (x, y + 14 * s)], 2.4, look.trim, edge=0.5)
    skirt = [(x - 4 * s, y + 20 * s), (x + 4 * s, y + 20 * s), (x + 9 * s, y + 58 * s), (x - 9 * s, y + 58 * s)]
    part = canvas.fill(skirt, look.trim, volume=0.4, lift=0.4)
    for k in (-5, -1.5, 2, 5.5):
        canvas.stroke([(x + k * 0.5 * s, y + 24 * s), (x + k * s, y + 58 * s)], darker(look.accent, 0.3), 0.8, part)
    canvas.fill(box(x - 5 * s, y + 12 * s, x + 5 * s, y + 22 * s, 3 * s), metal(GOLD), volume=0.5)


def stitched(
    look: Look, points: Points, part: Part, rgb: RGB | None = None, inset: float = 0.93, y: float = 240
) -> None:
    """A line of stitches inside an outline."""
    inner = [(MIDDLE + (px - MIDDLE) * inset, y + (py - y) * inset) for px, py in points]
    look.canvas.stroke([*inner, inner[0]], rgb or look.line, 1.3 if rgb else 0.8, part, dash=2.6)


def _handle(look: Look) -> Paint:
    return replace(look.contrast("contrast_handle"), gloss=0.4)


def _satchel(look: Look) -> None:
    d, canvas = look.design, look.canvas
    handle = _handle(look)
    spans = ((62, 52),) if d.is_cut("strap", "Top handle") else ((62, 78), (54, 96))
    for half, height in spans:
        shade = handle if (half, height) == spans[0] else handle.dyed(darker(handle.base, 0.25))
        line = path(
            f"M{160 - half},178 C{160 - half},{178 - height * 1.4} {160 + half},{178 - height * 1.4} {160 + half},178"
        )
        canvas.tube(line, 10, shade, edge=1)
    shape = mirrored(path("M160,166 L246,168 Q258,170 262,184 L278,306 Q280,322 264,323 L160,325"))
    canvas.fill(
        [(x + (8 if x > 160 else -8), y - 4) for x, y in shape],
        replace(look.plain, base=darker(look.plain.base, 0.28)),
        volume=0.2,
    )
    body = canvas.fill(shape, look.body, volume=0.4, lift=0.2)
    if d.pattern == "Colour-block":
        canvas.stain(box(0, 252, 320, 400), look.accent, body)
    stitched(look, shape, body)
    if d.is_cut("closure", "Clasp"):
        flap = mirrored(path("M160,160 L250,162 Q262,166 260,190 L250,226 Q240,246 210,247 L160,248"))
        part = canvas.fill(flap, look.body, volume=0.35, lift=0.4)
        stitched(look, flap, part, y=206)
        if d.has("contrast_edge"):
            canvas.stroke([*flap, flap[0]], look.accent, 6, part)
    for x in (100, 220):
        ring(look, x, 176, GOLD if d.has("gold_clasp") else SILVER)
    clasp = GOLD if d.has("gold_clasp") else SILVER
    canvas.fill(box(144, 234, 176, 258, 5), metal(clasp), volume=0.6, lift=0.4)
    canvas.fill(box(152, 242, 168, 250, 3), metal(darker(clasp, 0.3)), volume=0.4)
    if d.has("tassel_charm"):
        tassel(look, 222, 184, 1.15)


def _crossbody(look: Look) -> None:
    d, canvas = look.design, look.canvas
    loop = path("M84,214 C60,30 260,30 236,214")
    if d.is_cut("strap", "Chain strap"):
        chain(look, path("M84,214 C60,30 260,30 236,214 L236,214")[::2])
    else:
        canvas.tube(loop, 7, _handle(look), edge=0.9)
    shape = mirrored(path("M160,200 L226,200 Q244,200 246,218 L252,312 Q252,332 232,333 L160,334"))
    body = canvas.fill(shape, look.body, volume=0.42, lift=0.2)
    if d.pattern == "Colour-block":
        canvas.stain(box(160, 100, 320, 400), look.accent, body)
    if d.has("quilting"):
        for k in range(-9, 14):
            x = 60 + k * 24
            for line in ([(x, 190), (x + 150, 345)], [(x + 150, 190), (x, 345)]):
                canvas.stroke(line, look.line, 1, body)
                canvas.fold([(px + 1.5, py) for px, py in line], -0.12, 2, body)
    if d.is_cut("closure", "Magnetic flap"):
        flap = mirrored(path("M160,194 L228,194 Q248,196 248,220 Q246,262 206,272 L160,278"))
        part = canvas.fill(flap, look.body, volume=0.4, lift=0.45)
        if d.pattern == "Colour-block":
            canvas.stain(box(160, 100, 320, 400), look.accent, part)
        stitched(look, flap, part, y=232)
        clasp = GOLD if d.has("gold_clasp") else SILVER
        canvas.fill(ellipse(160, 262, 13, 13), metal(clasp), volume=0.6, lift=0.4)
        canvas.fill(ellipse(160, 262, 6, 6), metal(darker(clasp, 0.25)), volume=0.5)
    else:
        stitched(look, shape, body, y=266)
        canvas.stroke([(92, 222), (228, 222)], look.deep, 6, body)
        canvas.stroke([(92, 222), (228, 222)], GOLD if d.has("gold_clasp") else SILVER, 2.4, body, dash=1.6)
        canvas.fill(box(208, 219, 222, 244, 3), metal(GOLD if d.has("gold_clasp") else SILVER), volume=0.6, lift=0.4)
    for x in (85, 235):
        ring(look, x, 208)
    if d.has("tassel_charm"):
        tassel(look, 226, 226, 1.2)


def _bucket(look: Look) -> None:
    d, canvas = look.design, look.canvas
    loop = path("M92,190 C76,20 244,20 228,190")
    if d.is_cut("strap", "Chain strap"):
        chain(look, loop)
    else:
        canvas.tube(loop, 12, _handle(look), edge=1)
    canvas.fill(ellipse(160, 176, 74, 17), look.plain.dyed(look.deep), volume=0.3)
    shape = mirrored([*quad((160, 192), (220, 192), (236, 172)), *path("M236,172 Q240,250 252,318 Q250,340 160,342")])
    body = canvas.fill(shape, look.body, volume=0.5, lift=0.1)
    if d.pattern == "Colour-block" or d.has("contrast_base"):
        edge = 262 if d.pattern == "Colour-block" else 304
        canvas.stain([*quad((40, edge), (160, edge + 24), (280, edge)), (280, 400), (40, 400)], look.accent, body)
        canvas.stroke(quad((40, edge), (160, edge + 24), (280, edge)), darker(look.accent, 0.35), 1, body)
    for x in (96, 122, 146, 174, 198, 224):
        canvas.fold([(x, 190), (160 + (x - 160) * 1.04, 250)], 0.22, 4, body)
        canvas.fill(
            ellipse(x, 212 - abs(x - 160) * 0.12, 4, 4),
            metal(GOLD),
            volume=0.4,
            holes=[ellipse(x, 212 - abs(x - 160) * 0.12, 2, 2)],
        )
    string = look.contrast("contrast_strings")
    canvas.tube(path("M84,206 Q160,220 236,206"), 4.5, string, lift=0.35, clip=body)
    bow(replace_trim(look, string), 160, 214, 1.2)
    if d.has("bag_studs"):
        for k in range(13):
            across = 90 + k * 11.7
            canvas.stud(across, 198 - abs(across - 160) * 0.2, 2.8, GOLD)


def replace_trim(look: Look, paint: Paint) -> Look:
    """The same look with another trim."""
    return replace(look, trim=paint, accent=paint.base)


def _hobo(look: Look) -> None:
    d, canvas = look.design, look.canvas
    canvas.tube(path("M76,214 C66,30 254,30 244,214"), 15, _handle(look), edge=1)
    shape = mirrored([*quad((160, 246), (214, 242), (250, 196)), *path("M250,196 C300,270 274,340 160,342")])
    body = canvas.fill(shape, look.body, volume=0.5, lift=0.2)
    rim = [*quad((64, 200), (160, 262), (256, 200))]
    canvas.stroke([(x, y + 9) for x, y in rim], look.deep, 4.5, body)
    canvas.stroke([(x, y + 9) for x, y in rim], GOLD, 2, body, dash=1.6)
    for side in (-1, 1):
        canvas.fold(quad((160 + side * 80, 226), (160 + side * 50, 280), (160 + side * 60, 330)), 0.2, 6, body)
        canvas.fold(quad((160 + side * 66, 226), (160 + side * 30, 280), (160 + side * 36, 330)), -0.12, 8, body)
        if d.has("gold_rings"):
            look.canvas.fill(
                ellipse(160 + side * 84, 208, 14, 14),
                metal(GOLD),
                volume=0.6,
                holes=[ellipse(160 + side * 84, 208, 9, 9)],
            )
    if d.has("tassel_charm"):
        tassel(look, 232, 222, 1.3)


def totes(look: Look) -> None:
    d, canvas = look.design, look.canvas
    drop = 92 if d.is_cut("strap", "Long handles") else 58
    handle = _handle(look)
    top = 158.0
    for back in (True, False):
        lift = 8 if back else 0
        paint = handle.dyed(darker(handle.base, 0.3)) if back else handle
        line = path(
            f"M112,{top + 24} L116,{top - lift} "
            f"C116,{top - drop * 1.35 - lift} 204,{top - drop * 1.35 - lift} 204,{top - lift} L208,{top + 24}"
        )
        canvas.tube(line, 9, paint, edge=0.9)
        if back:
            inside = [(78, top), (242, top), (236, top - 9), (84, top - 9)]
            canvas.fill(inside, look.plain.dyed(look.deep), volume=0.2)
    shape = mirrored(path(f"M160,{top} L244,{top - 1} L256,330 Q256,340 246,340 L160,342"))
    body = canvas.fill(shape, look.body, volume=0.32, lift=0.1)
    if d.pattern == "Colour-block":
        canvas.stain(box(0, 246, 320, 400), look.accent, body)
    if d.pattern == "Graphic print":
        motif(look, MIDDLE, 256, 1.25, body)
    if d.has("contrast_base"):
        canvas.stain(box(0, 302, 320, 400), look.accent, body)
        canvas.stroke([(0, 302), (320, 302)], darker(look.accent, 0.3), 1, body)
    if d.has("front_pocket"):
        canvas.fill(box(116, 236, 204, 316, 4), look.trim, volume=0.2, lift=0.3)
        canvas.stroke([(116, 245), (204, 245)], darker(look.accent, 0.3), 0.9, dash=2.4)
    stitch = look.accent if d.has("bag_stitching") else look.line
    canvas.stroke([(40, top + 12), (280, top + 12)], stitch, 1.4 if d.has("bag_stitching") else 0.8, body, dash=2.6)
    if d.has("bag_stitching"):
        stitched(look, shape, body, look.accent, 0.94, 250)
    for x in (112, 208):
        part = canvas.fill(box(x - 9, top + 4, x + 9, top + 32, 2), handle, volume=0.25, lift=0.3)
        canvas.stroke(
            [(x - 6, top + 8), (x + 6, top + 28), (x - 6, top + 28), (x + 6, top + 8)],
            darker(handle.base, 0.4),
            0.8,
            part,
            dash=2,
        )
    if d.is_cut("closure", "Zip"):
        canvas.stroke([(60, top + 3), (260, top + 3)], SILVER, 2.4, body, dash=1.6)
    if d.has("tassel_charm"):
        tassel(look, 214, top + 22, 1.25)
    canvas.fold([(96, top + 30), (88, 326)], -0.1, 12, body)


def clutches(look: Look) -> None:
    d, canvas = look.design, look.canvas
    if d.is_cut("strap", "Chain strap"):
        chain(look, path("M62,190 C60,60 260,60 258,190"))
    if d.is_cut("strap", "Wrist strap"):
        canvas.tube(path("M276,214 Q306,234 296,282 Q284,322 268,292 Q258,252 276,214"), 7, look.plain, edge=0.9)
    if d.style.shape.endswith("frame"):
        _frame_clutch(look)
        return
    shape = box(36, 166, 284, 306, 9)
    body = canvas.fill(shape, look.body, volume=0.36)
    if d.pattern == "Colour-block":
        canvas.stain(box(36, 166, 284, 306), look.accent, body)
    flap = path("M34,164 L286,164 Q288,172 280,178 L168,254 Q160,259 152,254 L40,178 Q32,172 34,164")
    part = canvas.fill(flap, look.body, volume=0.36, lift=0.5)
    if d.has("contrast_edge"):
        canvas.stroke([*flap, flap[0]], look.accent, 6, part)
    else:
        canvas.stroke([(x, y - 5) for x, y in flap[1:-1]], look.line, 0.8, part, dash=2.4)
    if d.has("gold_clasp"):
        canvas.fill(ellipse(160, 244, 11, 11), metal(GOLD), volume=0.6, lift=0.4)
    if d.has("clutch_bow"):
        bow(look, 160, 236, 1.7)


def _frame_clutch(look: Look) -> None:
    d, canvas = look.design, look.canvas
    rgb = GOLD if d.has("gold_frame") else SILVER
    shape = mirrored(path("M160,176 L240,180 C292,230 300,310 250,318 L160,322"))
    body = canvas.fill(shape, look.body, volume=0.5)
    for x in (104, 132, 188, 216):
        canvas.fold([(x, 190), (160 + (x - 160) * 1.3, 262)], 0.24, 4, body)
        canvas.fold([(x + 8, 190), (160 + (x + 8 - 160) * 1.3, 262)], -0.14, 4, body)
    canvas.tube(path("M70,196 Q72,168 90,168 L230,168 Q248,168 250,196"), 13, metal(rgb), volume=0.7, lift=0.35)
    canvas.stud(152, 156, 8, rgb)
    canvas.stud(169, 155, 8, rgb)


def wallets(look: Look) -> None:
    d, canvas = look.design, look.canvas
    zipped = d.is_cut("closure", "Zip")
    shape = box(48, 146, 272, 268, 9) if zipped else box(64, 134, 256, 282, 9)
    left, top, right, low = (48, 146, 272, 268) if zipped else (64, 134, 256, 282)
    if d.is_cut("strap", "Wrist strap"):
        canvas.tube(path("M268,160 Q306,176 300,232 Q290,292 274,260 Q262,214 268,160"), 7, look.plain, edge=0.9)
    canvas.fill([(x + 4, y - 5) for x, y in shape], look.plain.dyed(darker(look.plain.base, 0.35)), volume=0.2)
    body = canvas.fill(shape, look.body, volume=0.4, lift=0.2)
    if d.pattern == "Colour-block":
        canvas.stain(box(left, (top + low) / 2, right, low), look.accent, body)
    if d.has("wallet_stitching"):
        canvas.stroke(
            [*box(left + 8, top + 8, right - 8, low - 8, 5), (left + 13, top + 8)], look.accent, 1.8, body, dash=3.4
        )
    else:
        canvas.stroke(
            [*box(left + 7, top + 7, right - 7, low - 7, 5), (left + 12, top + 7)], look.line, 0.9, body, dash=2.6
        )
    if zipped:
        rgb = GOLD if d.has("gold_zip") else SILVER
        canvas.stroke([(left, top + 18), (right, top + 18)], look.deep, 6.5, body)
        canvas.stroke([(left, top + 18), (right, top + 18)], rgb, 2.6, body, dash=1.6)
        canvas.fill(box(left + 16, top + 15, left + 26, top + 44, 3), metal(rgb), volume=0.6, lift=0.4)
        if d.has("wallet_tassel"):
            tassel(look, left + 21, top + 34, 1.3)
    else:
        canvas.stroke([(left + 15, top), (left + 15, low)], look.line, 1.2, body)
        canvas.fold([(left + 9, top), (left + 9, low)], -0.2, 5, body)
        if d.is_cut("closure", "Press stud"):
            canvas.fill(
                path("M220,188 L262,188 Q270,190 270,208 Q270,226 262,228 L220,228 Q208,208 220,188"),
                look.plain,
                volume=0.35,
                lift=0.35,
            )
            canvas.stud(232, 208, 6, SILVER)
    if d.has("wallet_badge"):
        x, y = right - 46, low - 32
        canvas.fill(box(x, y, x + 30, y + 18, 3), look.trim, volume=0.3, lift=0.2)
        canvas.stroke([(x + 7, y + 9), (x + 23, y + 9)], lighter(look.accent, 0.7), 1.6)
