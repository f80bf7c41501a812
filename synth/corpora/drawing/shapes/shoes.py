"""What shoes have in common: they are seen from the side, as a pair, the second behind the first."""

from __future__ import annotations

from collections.abc import Callable

from synth.corpora.drawing.canvas import Paint
from synth.corpora.drawing.geometry import Points, along, ellipse, path
from synth.corpora.drawing.palette import COLOURS, RGB, darker, lighter, luminance
from synth.corpora.drawing.shapes.look import Look

GUM: RGB = (196, 142, 88)
RUBBER: RGB = (46, 46, 50)
OFF_WHITE: RGB = (240, 238, 232)


def pair(look: Look, one: Callable[[Look], None], *, scale: float = 1.0, dx: float = 16, dy: float = -78) -> None:
    """Draws a shoe twice; (dx, dy) is the way from the front one to the one behind."""
    scale *= 0.9 if look.design.child else 1
    with look.canvas.placed(scale):
        for side in (0.5, -0.5):
            with look.canvas.placed(1, dx * side, dy * side):
                one(look)


def sole_rgb(look: Look, otherwise: RGB) -> RGB:
    d = look.design
    if d.has("contrast_sole"):
        return look.accent
    return GUM if d.has("gum_sole") else otherwise


def laces(look: Look, left: Points, right: Points, count: int, width: float = 3.2) -> None:
    """Laces between two rows of eyelets."""
    base = lighter(look.plain.base, 0.8) if luminance(look.plain.base) < 200 else darker(look.plain.base, 0.25)
    paint = Paint(look.accent if look.design.has("contrast_laces") else base)
    metal = COLOURS["Silver"].rgb
    for i in range(count):
        a, b = along(left, i / (count - 1)), along(right, i / (count - 1))
        look.canvas.tube([a, b], width, paint, volume=0.25, lift=0.3, edge=0.3)
        look.canvas.stain(ellipse(*a, 1.6, 1.6, steps=8), metal)


def bow_loops(look: Look, x: float, y: float) -> None:
    """The tied ends of the laces."""
    base = lighter(look.plain.base, 0.8) if luminance(look.plain.base) < 200 else darker(look.plain.base, 0.25)
    paint = Paint(look.accent if look.design.has("contrast_laces") else base)
    for data in (
        "M0,0 Q-20,-14 -22,0 Q-18,8 0,0",
        "M0,0 Q16,-18 22,-6 Q20,4 0,0",
        "M0,0 Q-6,14 -14,20",
        "M0,0 Q10,8 12,20",
    ):
        look.canvas.tube(path(data, x, y), 2.8, paint, lift=0.3, edge=0.5)
