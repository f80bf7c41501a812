"""Shape functions: a design becomes a picture."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from synth.corpora.drawing.canvas import Canvas
from synth.corpora.drawing.design import Design
from synth.corpora.drawing.shapes.bags import clutches, handbags, totes, wallets
from synth.corpora.drawing.shapes.boots import boots
from synth.corpora.drawing.shapes.dresses import dress, jumpsuit
from synth.corpora.drawing.shapes.formals import formals
from synth.corpora.drawing.shapes.headwear import beanies, caps, hats
from synth.corpora.drawing.shapes.heels import flats, heels, sandals
from synth.corpora.drawing.shapes.jewellery import earrings, necklaces
from synth.corpora.drawing.shapes.legs import trousers
from synth.corpora.drawing.shapes.look import Look, look
from synth.corpora.drawing.shapes.packs import backpacks, weekend_bags
from synth.corpora.drawing.shapes.skirts import skirt
from synth.corpora.drawing.shapes.sneakers import sneakers
from synth.corpora.drawing.shapes.socks import socks
from synth.corpora.drawing.shapes.swimsuits import swimsuit
from synth.corpora.drawing.shapes.textiles import belts, scarves, ties
from synth.corpora.drawing.shapes.uppers import upper
from synth.corpora.drawing.shapes.watches import sunglasses, watches

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
    "Handbags": handbags,
    "Tote bags": totes,
    "Backpacks": backpacks,
    "Clutches": clutches,
    "Wallets": wallets,
    "Weekend bags": weekend_bags,
    "Belts": belts,
    "Watches": watches,
    "Sunglasses": sunglasses,
    "Caps": caps,
    "Hats": hats,
    "Beanies": beanies,
    "Scarves": scarves,
    "Ties": ties,
    "Earrings": earrings,
    "Necklaces": necklaces,
}


def draw(design: Design) -> Image.Image:
    """The picture of a product: RGB, 320 × 400 pixels; the same design always gives the same pixels."""
    canvas = Canvas()
    SHAPES[design.kind.type](look(design, canvas))
    return canvas.finish()
