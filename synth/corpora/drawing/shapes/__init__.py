"""Shape functions: a design becomes a picture."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from synth.corpora.drawing.canvas import Canvas
from synth.corpora.drawing.design import Design
from synth.corpora.drawing.shapes.bottoms import skirt, socks, trousers
from synth.corpora.drawing.shapes.dresses import dress, jumpsuit, swimsuit
from synth.corpora.drawing.shapes.heels import flats, heels, sandals
from synth.corpora.drawing.shapes.look import Look, look
from synth.corpora.drawing.shapes.shoes import boots, formals, sneakers
from synth.corpora.drawing.shapes.uppers import upper

SHAPES: dict[str, Callable[[Look], None]] = {
    **dict.fromkeys(
        ("T-shirts", "Polo shirts", "Shirts", "Blouses", "Tops", "Jumpers", "Cardigans", "Hoodies", "Sweatshirts"),
        upper,
    ),
    **dict.fromkeys(("Jackets", "Blazers", "Coats", "Gilets"), upper),
    "Dresses": dress,
    "Jumpsuits": jumpsuit,
    "Swimsuits": swimsuit,
    "Swim shorts": trousers,
    "Skirts": skirt,
    **dict.fromkeys(("Jeans", "Trousers", "Shorts", "Leggings"), trousers),
    "Socks": socks,
    "Sneakers": sneakers,
    "Boots": boots,
    "Formal shoes": formals,
    "Loafers": formals,
    "Heels": heels,
    "Flats": flats,
    "Sandals": sandals,
}


def draw(design: Design) -> Image.Image:
    """The picture of a product: RGB, 320 × 400 pixels; the same design always gives the same pixels."""
    canvas = Canvas()
    SHAPES[design.kind.type](look(design, canvas))
    return canvas.finish()
