"""Heels, ballet flats and sandals."""

from __future__ import annotations

from dataclasses import replace

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import Points, along, box, path, spline
from synth.corpora.drawing.palette import COLOURS, darker
from synth.corpora.drawing.shapes.collars import bow
from synth.corpora.drawing.shapes.look import Look
from synth.corpora.drawing.shapes.shoes import pair, sole_rgb

INSOLE = (222, 190, 156)
HEIGHTS = {"Kitten heel": 34.0, "Stiletto heel": 84.0, "Block heel": 62.0, "Wedge heel": 66.0}


def heels(look: Look) -> None:
    pair(look, _heel, scale=1.08, dx=26, dy=-44)


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
            f"M54,{up - 2} Q120,{up + 4} 160,{(up + ground) / 2 + 8} Q196,{ground - 6} 250,{ground} L62,{ground} Q50,{up + 40} 54,{up - 2}"
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
    pointed = d.is_cut("fit", "Pointed toe")
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
    upper = path(
        f"{back} {throat} {nose} L240,{toe + 2} Q196,{toe + 2} 152,{mid + 8} Q108,{up + 4} {118 if sling else 54},{mid - 8 if sling else up + 2}"
    )
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
    across = [path(f"M200,{toe - 3} Q206,{toe - 36} 232,{toe - 40} Q252,{toe - 34} 256,{toe - 4}")]
    if d.is_cut("strap", "Crossed straps"):
        across = [
            path(f"M186,{toe - 6} Q214,{toe - 44} 250,{toe - 28} L258,{toe - 4}"),
            path(f"M204,{toe - 3} Q212,{toe - 42} 236,{toe - 42} Q246,{toe - 30} 250,{toe - 4}"),
        ]
    for line in across:
        canvas.tube(line, 12, look.body, lift=0.35, edge=1)
    cup = path(f"M54,{up} Q44,{up - 30} 56,{up - 46} Q72,{up - 36} 84,{up - 4} L54,{up}")
    canvas.fill(cup, look.body, volume=0.45, lift=0.2)


def _ankle(look: Look, up: float) -> None:
    d, canvas = look.design, look.canvas
    sandal = d.style.shape.endswith("sandal")
    if not d.is_cut("strap", "Ankle strap") and not (sandal and d.is_cut("strap", "Crossed straps")):
        return
    y = up - 52 if sandal else up - 48
    canvas.tube(
        path(f"M58,{y + 12} Q66,{y - 18} 100,{y - 16} Q128,{y - 10} 124,{y + 2} Q96,{y + 16} 58,{y + 12}"),
        5.5,
        look.plain,
        lift=0.2,
    )
    if d.has("gold_buckle"):
        canvas.fill(
            box(96, y + 2, 112, y + 16, 3),
            Paint(COLOURS["Gold"].rgb, gloss=1),
            volume=0.5,
            lift=0.3,
            holes=[box(100, y + 6, 108, y + 12)],
        )


def flats(look: Look) -> None:
    pair(look, _flat, scale=1.1)


def _flat(look: Look) -> None:
    d, canvas = look.design, look.canvas
    ground = 252.0
    up = ground - 8
    pointed = d.is_cut("fit", "Pointed toe")
    nose = f"Q262,{up - 30} 292,{up + 1}" if pointed else f"Q262,{up - 42} 284,{up - 20} Q288,{up - 6} 280,{up + 2}"
    canvas.fill(
        path(f"M54,{up - 40} Q120,{up - 34} 214,{up - 32} L206,{up - 12} L62,{up - 12}"), Paint(INSOLE), volume=0.25
    )
    upper = path(
        f"M48,{up + 2} Q40,{up - 22} 52,{up - 46} Q60,{up - 44} 68,{up - 28} Q120,{up - 14} 168,{up - 18} Q192,{up - 26} 210,{up - 38} {nose} L48,{up + 2}"
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
    canvas.fill(path(f"M46,{up} L284,{up} Q286,{ground - 2} 276,{ground - 2} L84,{ground - 2} L82,{ground + 2} L50,{ground + 2} L46,{up}"),
                Paint(darker(look.plain.base, 0.5)), volume=0.2)  # fmt: skip


def sandals(look: Look) -> None:
    pair(look, _sandal, scale=1.1)


def _sandal(look: Look) -> None:
    d, canvas = look.design, look.canvas
    shape = d.style.shape
    thick = 32.0 if d.is_cut("heel", "Flatform") else 17.0
    ground = 258.0
    up = ground - thick
    cork = (200, 160, 112)
    sole = Paint(sole_rgb(look, cork if not shape.endswith("trek") else (70, 70, 74)))
    for line, width in _straps(look, up):
        canvas.tube([(x + 8, y - 9) for x, y in line], width, look.plain.dyed(darker(look.plain.base, 0.35)), edge=0.8)
    part = canvas.fill(path(f"M42,{up - 4} Q38,{ground} 52,{ground} L266,{ground - 1} Q288,{ground - 4} 286,{up - 5} Q240,{up + 3} 170,{up + 1} Q100,{up + 1} 42,{up - 4}"),
                       sole, volume=0.4, lift=0.2)  # fmt: skip
    canvas.stroke(path(f"M30,{ground - 5} L300,{ground - 6}"), darker(sole.base, 0.35), 2.4, part)
    bed = (
        look.trim.base
        if d.has("contrast_footbed")
        else (206, 172, 134)
        if not shape.endswith("trek")
        else (120, 122, 126)
    )
    canvas.tube(
        path(f"M46,{up - 6} Q110,{up + 1} 170,{up - 1} Q240,{up + 1} 282,{up - 8}"), 8, Paint(bed), volume=0.4, edge=0.7
    )
    for line, width in _straps(look, up):
        strap = canvas.tube(line, width, look.body, lift=0.35, edge=1)
        _strap_details(look, line, strap)


def _straps(look: Look, up: float) -> list[tuple[Points, float]]:
    d = look.design
    shape = d.style.shape
    if shape.endswith("slide"):
        if d.is_cut("strap", "Single strap"):
            return [(path(f"M150,{up + 2} Q160,{up - 62} 196,{up - 62} Q216,{up - 56} 222,{up}"), 44.0)]
        return [
            (path(f"M{x},{up} Q{x + 10},{up - 62} {x + 32},{up - 60} Q{x + 46},{up - 52} {x + 52},{up - 2}"), 22.0)
            for x in (128, 184)
        ]
    front = path(f"M206,{up} Q214,{up - 44} 236,{up - 44} Q252,{up - 38} 256,{up - 2}")
    back = path(f"M62,{up - 2} Q66,{up - 66} 96,{up - 70} Q132,{up - 66} 140,{up - 52}")
    if shape.endswith("trek"):
        return [(front, 17.0), (path(f"M142,{up} Q160,{up - 60} 184,{up - 52} Q206,{up - 40} 212,{up - 4}"), 17.0), (back, 15.0),
                (path(f"M70,{up - 34} Q110,{up - 24} 150,{up - 4}"), 12.0)]  # fmt: skip
    lines = [(front, 9.0), (back, 8.0)]
    if d.is_cut("strap", "Crossed straps"):
        lines += [
            (path(f"M150,{up} Q190,{up - 58} 226,{up - 42}"), 8.0),
            (path(f"M186,{up} Q176,{up - 48} 142,{up - 54}"), 8.0),
        ]
    else:
        lines += [(path(f"M96,{up - 68} Q120,{up - 74} 140,{up - 54} Q190,{up - 60} 230,{up - 42}"), 8.0)]
    return lines


def _strap_details(look: Look, line: Points, strap: Part) -> None:
    d, canvas = look.design, look.canvas
    gold = COLOURS["Gold"].rgb
    if d.has("strap_studs"):
        for k in range(1, 6):
            canvas.stud(*along(line, k / 6), 2.6, gold)
    if d.has("strap_line"):
        canvas.stroke(line, look.accent, 3, strap)
    if d.has("gold_buckle"):
        x, y = along(line, 0.3)
        canvas.fill(
            box(x - 8, y - 9, x + 8, y + 9, 3),
            Paint(gold, gloss=1),
            volume=0.5,
            lift=0.3,
            holes=[box(x - 4.5, y - 5.5, x + 4.5, y + 5.5)],
        )
        canvas.stroke([(x - 6, y), (x + 6, y)], gold, 1.6)
    if d.style.shape.endswith("trek"):
        canvas.stroke([(x, y + 4) for x, y in spline(line, 1)], look.line, 0.8, strap, dash=2.2)
    elif d.style.shape.endswith("slide"):
        for gap in (-9, 9):
            canvas.stroke([(x + gap, y) for x, y in line], look.line, 0.7, strap, dash=2.2)
