"""Garments that cover the upper body, front view, laid flat: the body, its neckline and its sleeves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from synth.corpora.drawing.canvas import Paint, Part
from synth.corpora.drawing.geometry import MIDDLE, Point, Points, cubic, flip, mirrored, quad, spline
from synth.corpora.drawing.palette import lighter
from synth.corpora.drawing.shapes.look import Look


@dataclass(frozen=True)
class Sleeve:
    """A sleeve hanging from the shoulder. Lengths in pixels, angle in degrees from straight down."""

    length: float
    angle: float
    cuff: float
    """Width at its end."""
    bulge: float = 4
    """How far the outer edge bows out."""


SLEEVES = {
    "Cap sleeve": Sleeve(34, 46, 34),
    "Short sleeve": Sleeve(66, 35, 44),
    "Puff sleeve": Sleeve(76, 30, 30, 30),
    "Elbow-length": Sleeve(104, 24, 40),
    "Three-quarter": Sleeve(146, 17, 33),
    "Long sleeve": Sleeve(202, 13, 27),
    "Bell sleeve": Sleeve(190, 15, 62, -8),
    "Balloon sleeve": Sleeve(200, 13, 24, 26),
}
BARE = ("Sleeveless", "Strappy")


@dataclass(frozen=True)
class Torso:
    """Half widths and heights of a body piece, pixels."""

    top: float = 74
    hem: float = 272
    shoulder: float = 62
    neck: float = 24
    chest: float = 61
    waist: float = 59
    hip: float = 61
    drop: float = 13
    """How far the shoulder slopes down."""
    depth: float = 15
    """How deep the neckline is in front."""
    neckline: str = "Crew neck"
    sleeve: str = "Short sleeve"
    tail: float = 3
    """How far the hem sinks (shirt tails: rises at the sides) towards the middle."""
    flare: tuple[Point, ...] = field(default=())
    """Further (half width, y) points of the side below the waist: the skirt of a dress, the flare of a coat."""

    @property
    def armpit(self) -> Point:
        return MIDDLE + self.chest, self.top + 68

    @property
    def tip(self) -> Point:
        """Where shoulder and sleeve meet."""
        inset = 15 if self.sleeve == "Sleeveless" else 0
        return MIDDLE + self.shoulder - inset, self.top + self.drop - inset * 0.2


FITS = {
    "Slim": (57, 55, 50, 55),
    "Regular": (62, 61, 58, 61),
    "Relaxed": (67, 69, 68, 69),
    "Oversized": (73, 77, 77, 76),
}
"""Shoulder, chest, waist and hip by fit."""

NECKS: dict[str, tuple[float, float]] = {
    "Crew neck": (24, 17),
    "V-neck": (24, 52),
    "Scoop neck": (31, 40),
    "Boat neck": (41, 9),
    "Square neck": (33, 38),
    "Roll neck": (21, 6),
    "Mock neck": (21, 6),
    "Mandarin collar": (21, 16),
    "Sweetheart neck": (36, 40),
    "Halter neck": (19, 12),
}
"""Half width and depth of the neckline."""


def neckline(t: Torso) -> Points:
    """The right half of the neckline from the middle to the shoulder."""
    inner, low = (MIDDLE + t.neck, t.top), t.top + t.depth
    if t.neckline == "V-neck":
        return [(MIDDLE, low), *quad((MIDDLE, low), (MIDDLE + t.neck * 0.62, low - t.depth * 0.45), inner, 5)]
    if t.neckline == "Square neck":
        return [(MIDDLE, low), (MIDDLE + t.neck - 3, low), inner]
    if t.neckline == "Sweetheart neck":
        edge = (MIDDLE + t.neck - 2, low - 14)
        return [*quad((MIDDLE, low), (MIDDLE + t.neck * 0.6, low - 26), edge, 8), inner]
    return quad((MIDDLE, low), (MIDDLE + t.neck * 0.95, low), inner, 10)


def upper_edge(t: Torso) -> Points:
    """The right half of the upper edge from the middle to where strap, shoulder or sleeve begins."""
    if t.sleeve == "Strappy":
        edge = (MIDDLE + t.neck + 6, t.top + 32)
        dip = {"Sweetheart neck": 8, "V-neck": 24}.get(t.neckline, 2)
        return quad((MIDDLE, edge[1] + dip), (MIDDLE + 18, edge[1] + dip * 0.5 - 6), edge, 8)
    if t.neckline == "Off-shoulder":
        return quad((MIDDLE, t.top + 40), (MIDDLE + 44, t.top + 40), (MIDDLE + t.shoulder - 3, t.top + 28), 8)
    return neckline(t)


def outline(t: Torso) -> Points:
    """The closed outline of the body piece."""
    sx, sy = t.tip
    ax, ay = t.armpit
    half = upper_edge(t)
    if t.sleeve == "Strappy":
        half += quad(half[-1], (MIDDLE + t.neck + 9, ay - 14), (ax, ay), 6)
    elif t.neckline == "Off-shoulder":
        half.append((ax, ay))
    elif t.neckline == "Halter neck":
        half += quad((MIDDLE + t.neck, t.top), (MIDDLE + t.neck + 8, ay - 10), (ax, ay), 10)
    else:
        bend = 13 if t.sleeve == "Sleeveless" else 7
        half += quad((sx, sy), (sx - bend, ay - 18), (ax, ay), 8)
    side = [(ax, ay), (MIDDLE + t.waist, t.top + 128)]
    side += [(MIDDLE + w, y) for w, y in t.flare] or [(MIDDLE + t.hip, t.hem)]
    half += spline(side)[1:]
    hx, hy = half[-1]
    half += quad((hx, hy), ((hx + MIDDLE) / 2 + 12, hy + t.tail), (MIDDLE, hy + t.tail), 6)
    return mirrored(half)


def sleeve_shape(t: Torso, s: Sleeve) -> tuple[Points, Points]:
    """The right sleeve's outline and the line of its end (outer to inner)."""
    tx, ty = (MIDDLE + t.shoulder - 3, t.top + 26) if t.neckline == "Off-shoulder" else (t.tip[0] - 1, t.tip[1] - 0.4)
    ax, ay = t.armpit
    a = math.radians(s.angle)
    down, out = (math.sin(a), math.cos(a)), (math.cos(a), -math.sin(a))
    outer = (tx + 3 + down[0] * s.length, ty + down[1] * s.length)
    inner = (outer[0] - out[0] * s.cuff, outer[1] - out[1] * s.cuff)
    if s.bulge > 15:
        bow = (tx + down[0] * s.length * 0.3 + out[0] * (8 + s.bulge), ty + down[1] * s.length * 0.3 - s.bulge * 0.2)
        far = (outer[0] + out[0] * s.bulge - down[0] * 16, outer[1] + out[1] * s.bulge - down[1] * 16)
        low = (inner[0] - out[0] * s.bulge * 0.25 - down[0] * 18, inner[1] - out[1] * s.bulge * 0.25 - down[1] * 18)
        edge, rest = spline([(tx, ty), bow, far, outer]), spline([inner, low, (ax - 2, ay)])
    else:
        bow = (outer[0] - down[0] * s.length * 0.62 + out[0] * s.bulge, outer[1] - down[1] * s.length * 0.62)
        edge = cubic((tx, ty), (tx + 11, ty + 4), bow, outer)
        sag = 4 if s.bulge > 0 else -4
        rest = quad(inner, ((inner[0] + ax) / 2 - sag * 0.3, (inner[1] + ay) / 2 + sag), (ax - 2, ay), 8)
    return [*edge, *rest, (ax - 20, ay - 10)], [outer, inner]


def band(end: Points, towards: Point, height: float, spread: float = 0) -> Points:
    """A strip of `height` along a line, on the side of the point `towards`."""
    (x1, y1), (x2, y2) = end[0], end[-1]
    length = math.dist((x1, y1), (x2, y2)) or 1
    nx, ny = -(y2 - y1) / length, (x2 - x1) / length
    if (towards[0] - x1) * nx + (towards[1] - y1) * ny < 0:
        nx, ny = -nx, -ny
    ux, uy = (x2 - x1) / length * spread, (y2 - y1) / length * spread
    return [
        (x1 - ux, y1 - uy),
        (x2 + ux, y2 + uy),
        (x2 + ux + nx * height, y2 + uy + ny * height),
        (x1 - ux + nx * height, y1 - uy + ny * height),
    ]


def draw_sleeves(look: Look, t: Torso, paint: Paint, cuff: Paint | None = None, cuff_height: float = 0) -> None:
    """Both sleeves, with a ribbed or buttoned cuff if `cuff` is given, else a stitched hem."""
    if t.sleeve in BARE or t.sleeve not in SLEEVES:
        return
    s = SLEEVES[t.sleeve]
    shape, end = sleeve_shape(t, s)
    lean = 15 * round(s.angle / 15)
    centre = t.armpit
    for side in (1, -1):
        points, edge = (shape, end) if side == 1 else (flip(shape), flip(end))
        part = look.canvas.fill(points, paint.turned(side * lean), volume=0.42)
        towards = centre if side == 1 else flip([centre])[0]
        tip = t.tip if side == 1 else flip([t.tip])[0]
        _sleeve_folds(look, part, s, edge, tip, towards)
        if cuff and cuff_height:
            strip = band(edge, towards, cuff_height, 1)
            look.canvas.fill(strip, cuff.turned(0), volume=0.35, lift=0.15)
        elif s.length > 20:
            inner = band(edge, towards, 6)
            look.canvas.stroke([inner[3], inner[2]], look.line, 0.7, part, dash=2.2)


def _sleeve_folds(look: Look, part: Part, s: Sleeve, edge: Points, tip: Point, armpit: Point) -> None:
    (ox, oy), (ix, iy) = edge[0], edge[-1]
    cx, cy = (ox + ix) / 2, (oy + iy) / 2
    if s.bulge > 15:
        for share in (0.2, 0.5, 0.8):
            ex, ey = ox + (ix - ox) * share, oy + (iy - oy) * share
            look.canvas.fold([(ex, ey), (ex + (tip[0] - ex) * 0.35, ey + (tip[1] - ey) * 0.35)], 0.22, 3, part)
    if s.length > 90:
        for share in (0.42, 0.56):
            mx, my = tip[0] + (cx - tip[0]) * share, tip[1] + (cy - tip[1]) * share
            sway = (ix - ox) * 0.35
            look.canvas.fold([(mx - sway, my - 5), (mx + sway * 0.4, my + 4)], 0.15, 4, part)
    look.canvas.fold([armpit, (armpit[0] + (cx - armpit[0]) * 0.3, armpit[1] + (cy - armpit[1]) * 0.3)], 0.2, 5, part)


def draw_inside(look: Look, t: Torso, rgb: tuple[int, int, int]) -> None:
    """The inside of the back that shows through the neckline, with the maker's label."""
    if t.sleeve == "Strappy" or t.neckline in ("Off-shoulder", "Roll neck", "Mock neck"):
        return
    rise = quad((MIDDLE, t.top + 5), (MIDDLE + t.neck * 0.9, t.top + 4), (MIDDLE + t.neck + 1, t.top - 1))
    front = neckline(t)
    look.canvas.fill(mirrored([*rise, *reversed(front)]), Paint(rgb), volume=0.25, edge=0.6)
    label = lighter(rgb, 0.75)
    if t.depth > 12:
        look.canvas.stain([(151, t.top + 6), (169, t.top + 6), (169, t.top + 12), (151, t.top + 12)], label)


def draw_straps(look: Look, t: Torso, paint: Paint, width: float = 4.5) -> None:
    for side in (1, -1):
        base = (MIDDLE + side * (t.neck + 5), t.top + 35)
        look.canvas.tube(
            quad(base, (MIDDLE + side * (t.neck + 5), t.top + 8), (MIDDLE + side * (t.neck - 5), t.top - 8)),
            width,
            paint,
        )


def draw_body_folds(look: Look, t: Torso, part: Part) -> None:
    """Creases from the armpits and a soft gleam down the middle of the chest."""
    ax, ay = t.armpit
    bottom = min(t.hem, t.top + 190)
    jitter = look.random.uniform(-6, 6)
    for side in (1, -1):
        sx = MIDDLE + side * (ax - MIDDLE)
        look.canvas.fold(
            quad((sx, ay + 4), (sx - side * 16, ay + 22), (sx - side * 34, ay + 28 + jitter)), 0.16, 5, part
        )
        look.canvas.fold(
            quad((sx - side * 4, bottom - 30), (sx - side * 18, bottom - 48), (sx - side * 20, ay + 60)), 0.12, 6, part
        )
    look.canvas.fold([(MIDDLE - 22, ay - 6), (MIDDLE - 26, bottom - 30)], -0.09, 16, part)
