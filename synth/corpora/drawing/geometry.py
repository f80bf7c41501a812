"""Outlines as lists of points, in picture pixels (320 wide, 400 high, y down)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

Point = tuple[float, float]
Points = list[Point]
MIDDLE = 160.0


def quad(a: Point, control: Point, b: Point, steps: int = 10) -> Points:
    """A quadratic Bézier curve from `a` to `b`."""
    out = []
    for i in range(steps + 1):
        t = i / steps
        u = 1 - t
        out.append(
            (u * u * a[0] + 2 * u * t * control[0] + t * t * b[0], u * u * a[1] + 2 * u * t * control[1] + t * t * b[1])
        )
    return out


def cubic(a: Point, c: Point, d: Point, b: Point, steps: int = 14) -> Points:
    """A cubic Bézier curve from `a` to `b`."""
    out = []
    for i in range(steps + 1):
        t = i / steps
        u = 1 - t
        k = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
        out.append(
            (
                k[0] * a[0] + k[1] * c[0] + k[2] * d[0] + k[3] * b[0],
                k[0] * a[1] + k[1] * c[1] + k[2] * d[1] + k[3] * b[1],
            )
        )
    return out


def spline(points: Sequence[Point], steps: int = 7, closed: bool = False) -> Points:
    """A Catmull-Rom curve through all `points`."""
    n = len(points)
    out: Points = []
    for i in range(n if closed else n - 1):
        p0 = points[i - 1] if closed or i else points[0]
        p1, p2 = points[i], points[(i + 1) % n]
        p3 = points[(i + 2) % n] if closed else points[min(i + 2, n - 1)]
        for j in range(steps):
            t = j / steps
            out.append((_catmull(p0[0], p1[0], p2[0], p3[0], t), _catmull(p0[1], p1[1], p2[1], p3[1], t)))
    if not closed:
        out.append(points[-1])
    return out


def _catmull(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def flip(points: Sequence[Point], x: float = MIDDLE) -> Points:
    """The mirror image at the vertical line through `x`."""
    return [(2 * x - px, py) for px, py in points]


def mirrored(half: Sequence[Point], x: float = MIDDLE) -> Points:
    """A closed outline from its right half (drawn from top to bottom)."""
    return [*half, *reversed(flip(half, x))]


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360, steps: int = 28) -> Points:
    """An ellipse or an arc of one; angles in degrees, clockwise from three o'clock."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def box(left: float, top: float, right: float, bottom: float, radius: float = 0) -> Points:
    """A rectangle, with rounded corners if `radius` is not 0."""
    if not radius:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    out: Points = []
    corners = ((right, top, -1, 1, 270), (right, bottom, -1, -1, 0), (left, bottom, 1, -1, 90), (left, top, 1, 1, 180))
    for x, y, sx, sy, start in corners:
        out += ellipse(x + sx * radius, y + sy * radius, radius, radius, start, start + 90, 6)
    return out


def turn(points: Sequence[Point], degrees: float, about: Point) -> Points:
    """Rotated clockwise about a point."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (about[0] + (x - about[0]) * c - (y - about[1]) * s, about[1] + (x - about[0]) * s + (y - about[1]) * c)
        for x, y in points
    ]


def along(points: Sequence[Point], share: float) -> Point:
    """The point at `share` (0 to 1) of a polyline's length."""
    lengths = [math.dist(a, b) for a, b in zip(points, points[1:], strict=False)]
    left = share * sum(lengths)
    for (a, b), length in zip(zip(points, points[1:], strict=False), lengths, strict=True):
        if left <= length and length:
            t = left / length
            return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
        left -= length
    return points[-1]


def star(x: float, y: float, outer: float, inner: float, tips: int = 5) -> Points:
    out = []
    for i in range(tips * 2):
        angle = math.radians(-90 + 180 * i / tips)
        radius = inner if i % 2 else outer
        out.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
    return out


NUMBERS_OF = {"M": 2, "L": 2, "Q": 4, "C": 6}


def path(data: str, dx: float = 0, dy: float = 0) -> Points:
    """Points along SVG path data with absolute `M`, `L`, `Q` and `C`, moved by (dx, dy); the outline closes itself.

    >>> path("M0,0 L4,0 4,3")
    [(0.0, 0.0), (4.0, 0.0), (4.0, 3.0)]
    """
    out: Points = []
    for command, numbers in re.findall(r"([MLQC])([^MLQC]*)", data):
        values = [float(v) for v in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", numbers)]
        size = NUMBERS_OF[command]
        for i in range(0, len(values), size):
            p = [(values[j] + dx, values[j + 1] + dy) for j in range(i, i + size, 2)]
            if command == "Q":
                out += quad(out[-1], p[0], p[1])[1:]
            elif command == "C":
                out += cubic(out[-1], p[0], p[1], p[2])[1:]
            else:
                out.append(p[0])
    return out
