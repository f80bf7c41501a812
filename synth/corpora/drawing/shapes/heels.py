"""Heels, ballet flats and sandals."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import along, box, path
from synth.corpora.drawing.palette import COLOURS, darker
from synth.corpora.drawing.shapes.collars import bow
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.shoes import pair, sole_rgb

INSOLE = (222, 190, 156)
HEIGHTS = {"Kitten heel": 34.0, "Stiletto heel": 84.0, "Block heel": 62.0, "Wedge heel": 66.0}


def heels(look: Look) -> None:
    height = HEIGHTS[look.design.cut["heel"]]
    with look.canvas.placed(1, 0, -24 if height > 50 else -40):
        pair(look, _heel, scale=1.04, dx=22, dy=-92)


def _heel(look: Look) -> None:
    d, canvas = look.design, look.canvas
    height = HEIGHTS[d.cut["heel"]]
    ground = 262.0
    up, toe = ground - height, ground - 4
    piece = look.contrast("contrast_heel_piece")
    _heel_piece(look, piece.plain(), up, ground)
    bed = path(f"M58,{up - 2} Q110,{up + 2} 152,{(up + toe) / 2 + 6} Q196,{toe - 2} 272,{toe - 3}")
    sole = [*bed, (272, ground), *reversed([(x, y + 6) for x, y in bed])]
    canvas.fill(sole, Paint(darker(look.plain.base, 0.35)), volume=0.3)
    if d.style.shape.endswith("pump"):
        _pump(look, up, toe)
    else:
        _sandal_straps(look, up, toe)
    _ankle(look, up)


def _heel_piece(look: Look, paint: Paint, up: float, ground: float) -> None:
    heel = look.design.cut["heel"]
    if heel == "Wedge heel":
        shape = path(
            f"M54,{up - 2} Q120,{up + 4} 160,{(up + ground) / 2 + 8} "
            f"Q196,{ground - 6} 250,{ground} L62,{ground} Q50,{up + 40} 54,{up - 2}"
        )
    elif heel == "Block heel":
        shape = path(f"M54,{up - 4} L104,{up + 8} Q92,{ground - 20} 92,{ground} L60,{ground} Q56,{up + 30} 54,{up - 4}")
    else:
        tip = 5 if heel == "Stiletto heel" else 8
        shape = path(
            f"M52,{up - 4} L104,{up + 8} Q78,{up + 24} {68 + tip},{ground} L68,{ground} Q62,{up + 32} 52,{up - 4}"
        )
    look.canvas.fill(shape, paint, volume=0.45)


def _pump(look: Look, up: float, toe: float) -> None:
    d, canvas = look.design, look.canvas
    mid = (up + toe) / 2
    pointed = d.is_cut("toe", "Pointed toe")
    nose = (
        f"Q250,{toe - 30} 290,{toe + 1}" if pointed else f"Q252,{toe - 42} 277,{toe - 22} Q282,{toe - 6} 274,{toe + 1}"
    )
    sling = d.is_cut("strap", "Slingback")
    back = (
        f"M118,{mid - 12} Q126,{mid - 22} 140,{mid - 26}"
        if sling
        else f"M54,{up + 2} Q46,{up - 20} 56,{up - 44} Q66,{up - 40} 76,{up - 24} Q112,{up - 10} 150,{mid - 14}"
    )
    canvas.fill(
        path(f"M58,{up - 36} Q110,{up - 26} 168,{mid - 10} L206,{toe - 34} L150,{mid + 4} L62,{up - 4}"),
        Paint(INSOLE),
        volume=0.2,
    )
    throat = f"Q178,{toe - 30} 204,{toe - 37}"
    end = f"118,{mid - 8}" if sling else f"54,{up + 2}"
    upper = path(f"{back} {throat} {nose} L240,{toe + 2} Q196,{toe + 2} 152,{mid + 8} Q108,{up + 4} {end}")
    body = canvas.fill(upper, replace(look.body, gloss=max(look.body.gloss, 0.25)), volume=0.55, lift=0.3)
    canvas.fold(path(f"M212,{toe - 26} Q238,{toe - 26} 256,{toe - 12}"), -0.3, 6, body)
    if d.has("contrast_cap"):
        canvas.fill(
            path(f"M236,{toe - 60} Q226,{toe - 20} 240,{toe + 8} L300,{toe + 8} L300,{toe - 60}"),
            look.trim,
            volume=0.5,
            clip=body,
        )
    if d.has("toe_bow"):
        bow(look, 208, toe - 36, 0.75)
    if sling:
        canvas.tube(
            path(f"M124,{mid - 14} Q80,{up - 40} 58,{up - 42} Q48,{up - 30} 56,{up - 2}"), 5, look.plain, lift=0.2
        )


def _sandal_straps(look: Look, up: float, toe: float) -> None:
    d, canvas = look.design, look.canvas
    bed = path(f"M56,{up - 3} Q110,{up + 1} 152,{(up + toe) / 2 + 4} Q196,{toe - 4} 272,{toe - 5}")
    canvas.tube(bed, 6, Paint(INSOLE), volume=0.3, edge=0.6)
    for x in (164, 216) if d.is_cut("strap", "Crossed straps") else (198,):
        y = toe - 4 - (216 - x) * 0.42 if x < 198 else toe - 4
        _hump(look, x, y, 60 if x == 198 else 46, 32)
    cup = path(f"M54,{up} Q44,{up - 30} 56,{up - 46} Q72,{up - 36} 84,{up - 4} L54,{up}")
    canvas.fill(cup, look.body, volume=0.45, lift=0.2)


def _hump(look: Look, x: float, ground: float, width: float, height: float) -> Part:
    """A band over the foot, seen from the side, from `x` on."""
    left, right, top = x + width * 0.16, x + width * 0.9, ground - height
    far = path(f"M{left},{top} Q{x + width * 0.56},{top - height * 0.2} {right},{top + height * 0.16}")
    look.canvas.tube(far, 5, look.plain.dyed(look.deep), volume=0.2, edge=0)
    shape = path(
        f"M{x - width * 0.06},{ground + 3} Q{x + width * 0.02},{ground - height * 0.6} {left},{top} "
        f"Q{x + width * 0.56},{top - height * 0.08} {right},{top + height * 0.16} "
        f"Q{x + width * 1.02},{ground - height * 0.4} {x + width * 1.08},{ground + 3}"
    )
    return look.canvas.fill(shape, look.body, volume=0.5, lift=0.35)


def _buckle(look: Look, x: float, y: float) -> None:
    frame, hole = box(x - 8, y - 8, x + 8, y + 8, 3), box(x - 4.5, y - 4.5, x + 4.5, y + 4.5)
    gold = COLOURS["Gold"].rgb
    look.canvas.fill(frame, Paint(gold, gloss=1), volume=0.5, lift=0.3, holes=[hole])
    look.canvas.stroke([(x - 6, y), (x + 6, y)], gold, 1.6)


def _ankle(look: Look, up: float) -> None:
    d, canvas = look.design, look.canvas
    if not d.is_cut("strap", "Ankle strap", "Crossed straps"):
        if d.has("gold_buckle"):
            _buckle(look, 62, up - 34)
        return
    y = up - 50
    canvas.tube(
        path(f"M58,{y + 8} Q64,{y - 14} 92,{y - 15} Q118,{y - 12} 116,{y}"), 5, look.plain.dyed(look.deep), edge=0.6
    )
    canvas.tube(path(f"M57,{y + 8} Q86,{y + 18} 116,{y}"), 6, look.plain, lift=0.2)
    if d.has("gold_buckle"):
        _buckle(look, 90, y + 12)


def flats(look: Look) -> None:
    with look.canvas.placed(1, 0, -30):
        pair(look, _flat, scale=1.04)


def _flat(look: Look) -> None:
    d, canvas = look.design, look.canvas
    ground = 252.0
    up = ground - 8
    pointed = d.is_cut("toe", "Pointed toe")
    nose = f"Q262,{up - 30} 292,{up + 1}" if pointed else f"Q262,{up - 42} 284,{up - 20} Q288,{up - 6} 280,{up + 2}"
    canvas.fill(
        path(f"M54,{up - 40} Q120,{up - 34} 214,{up - 32} L206,{up - 12} L62,{up - 12}"), Paint(INSOLE), volume=0.25
    )
    upper = path(
        f"M48,{up + 2} Q40,{up - 22} 52,{up - 46} Q60,{up - 44} 68,{up - 28} "
        f"Q120,{up - 14} 168,{up - 18} Q192,{up - 26} 210,{up - 38} {nose} L48,{up + 2}"
    )
    body = canvas.fill(upper, replace(look.body, gloss=max(look.body.gloss, 0.2)), volume=0.55, lift=0.3)
    edge = path(f"M52,{up - 44} Q60,{up - 44} 68,{up - 28} Q120,{up - 14} 168,{up - 18} Q192,{up - 26} 212,{up - 38}")
    canvas.stroke(
        edge, look.accent if d.has("contrast_edge") else look.line, 5 if d.has("contrast_edge") else 1.6, body
    )
    canvas.fold(path(f"M214,{up - 26} Q246,{up - 26} 264,{up - 12}"), -0.26, 6, body)
    if d.has("contrast_cap"):
        canvas.fill(
            path(f"M240,{up - 60} Q230,{up - 16} 246,{up + 10} L310,{up + 10} L310,{up - 60}"),
            look.trim,
            volume=0.5,
            clip=body,
        )
    if d.has("toe_bow"):
        bow(look, 214, up - 36, 0.75)
    if d.is_cut("strap", "Mary Jane strap"):
        canvas.tube(
            path(f"M116,{up - 14} Q128,{up - 58} 152,{up - 50} Q168,{up - 40} 168,{up - 16}"), 8, look.plain, lift=0.3
        )
        canvas.stud(120, up - 22, 3.4, COLOURS["Gold"].rgb)
    sole = path(
        f"M46,{up} L284,{up} Q286,{ground - 2} 276,{ground - 2} "
        f"L84,{ground - 2} L82,{ground + 2} L50,{ground + 2} L46,{up}"
    )
    canvas.fill(sole, Paint(darker(look.plain.base, 0.5)), volume=0.2)


def sandals(look: Look) -> None:
    with look.canvas.placed(1, 0, -24):
        pair(look, _sandal, scale=1.06, dy=-92)


def _sandal(look: Look) -> None:
    d, canvas = look.design, look.canvas
    shape = d.style.shape
    thick = 32.0 if d.is_cut("heel", "Flatform") else 17.0
    ground = 258.0
    up = ground - thick
    cork = (200, 160, 112)
    sole = Paint(sole_rgb(look, cork if not shape.endswith("trek") else (70, 70, 74)))
    part = canvas.fill(
        path(
            f"M42,{up - 4} Q38,{ground} 52,{ground} L266,{ground - 1} Q288,{ground - 4} 286,{up - 5} "
            f"Q240,{up + 3} 170,{up + 1} Q100,{up + 1} 42,{up - 4}"
        ),
        sole,
        volume=0.4,
    )
    canvas.stroke(path(f"M30,{ground - 5} L300,{ground - 6}"), darker(sole.base, 0.35), 2.4, part)
    bed = (120, 122, 126) if shape.endswith("trek") else (206, 172, 134)
    bed = look.trim.base if d.has("contrast_footbed") else bed
    footbed = path(f"M46,{up - 6} Q110,{up + 1} 170,{up - 1} Q240,{up + 1} 282,{up - 8}")
    canvas.tube(footbed, 8, Paint(bed), volume=0.4, edge=0.7)
    _ankle_cords(look, up)
    for x, width, height in _bands(look):
        strap = _hump(look, x, up, width, height)
        _band_details(look, strap, x, up, width, height)


def _bands(look: Look) -> list[tuple[float, float, float]]:
    """Where the bands over the foot are: left end, width and height."""
    shape = look.design.style.shape
    if shape.endswith("slide"):
        return [(150, 84, 62)] if look.design.is_cut("strap", "Single strap") else [(128, 54, 62), (190, 54, 50)]
    if shape.endswith("trek"):
        return [(140, 46, 56), (202, 48, 44)]
    if look.design.is_cut("strap", "Crossed straps"):
        return [(150, 20, 62), (184, 18, 54), (218, 18, 42)]
    return [(206, 24, 44)]


def _ankle_cords(look: Look, up: float) -> None:
    """The straps round heel and ankle."""
    d, canvas = look.design, look.canvas
    shape = d.style.shape
    if shape.endswith("slide"):
        return
    width = 12 if shape.endswith("trek") else 7
    deep = look.plain.dyed(look.deep)
    canvas.tube(
        path(f"M66,{up - 62} Q80,{up - 84} 112,{up - 82} Q140,{up - 78} 140,{up - 62}"), width * 0.8, deep, edge=0.6
    )
    lines = [path(f"M60,{up - 4} Q52,{up - 44} 64,{up - 64}"), path(f"M64,{up - 60} Q104,{up - 46} 140,{up - 62}")]
    if shape.endswith("trek"):
        lines.append(path(f"M62,{up - 30} Q110,{up - 22} 160,{up - 6}"))
        lines.append(path(f"M138,{up - 60} Q150,{up - 44} 166,{up - 48}"))
    elif not d.is_cut("strap", "Crossed straps"):
        lines.append(path(f"M138,{up - 60} Q180,{up - 64} 222,{up - 42}"))
    for line in lines:
        cord = canvas.tube(line, width, look.plain, lift=0.3)
        if d.has("strap_line"):
            canvas.stroke(line, look.accent, 3, cord)
    if d.has("gold_buckle"):
        _buckle(look, 100, up - 54)
    if d.has("strap_studs"):
        for k in range(1, 6):
            canvas.stud(*along(lines[1], k / 6), 2.4, COLOURS["Gold"].rgb)


def _band_details(look: Look, strap: Part, x: float, up: float, width: float, height: float) -> None:
    d, canvas = look.design, look.canvas
    middle = path(
        f"M{x + width * 0.5},{up + 3} Q{x + width * 0.46},{up - height * 0.6} {x + width * 0.62},{up - height * 1.1}"
    )
    if d.has("strap_line"):
        canvas.stroke(middle, look.accent, 4, strap)
    if d.has("strap_studs"):
        for k in (1, 2, 3, 4):
            canvas.stud(*along(middle, k / 4.6), 2.4, COLOURS["Gold"].rgb)
    if d.style.shape.endswith("slide"):
        for gap in (-width * 0.38, width * 0.36):
            canvas.stroke([(px + gap, py) for px, py in middle], look.line, 0.7, strap, dash=2.2)
        if d.has("gold_buckle"):
            _buckle(look, x + width * 0.52, up - height * 0.45)
