"""A design as paints: what every shape function draws with."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from synth.corpora.drawing import palette, patterns
from synth.corpora.drawing.canvas import Canvas, Paint
from synth.corpora.drawing.design import Design
from synth.corpora.drawing.palette import COLOURS, RGB
from synth.randomness import rng

MATERIAL_TEXTURES = {
    "Denim": "denim",
    "Wool": "wool",
    "Tweed": "wool",
    "Merino Wool": "knit",
    "Cashmere": "knit",
    "Fleece": "fleece",
    "Velvet": "suede",
    "Corduroy": "corduroy",
    "Leather": "leather",
    "Vegan Leather": "leather",
    "Suede": "suede",
    "Canvas": "canvas",
    "Linen": "linen",
    "Satin": "satin",
    "Silk": "satin",
    "Straw": "straw",
}
MATERIAL_GLOSS = {
    "Leather": 0.5,
    "Vegan Leather": 0.6,
    "Satin": 0.35,
    "Silk": 0.3,
    "Nylon": 0.25,
    "Patent Leather": 1.0,
}
KNITTED = ("Jumpers", "Cardigans", "Beanies")


@dataclass
class Look:
    """The paints of one design and its own source of randomness."""

    design: Design
    canvas: Canvas
    body: Paint
    """The main surface, with its pattern."""
    plain: Paint
    """The main colour and material without the pattern."""
    trim: Paint
    """The accent colour in the same material."""
    accent: RGB
    second: RGB
    line: RGB
    """Seams on the main colour."""
    deep: RGB
    """The shaded inside."""
    random: Random

    def contrast(self, detail: str, otherwise: Paint | None = None) -> Paint:
        """The accent where the design has that detail, else the main colour."""
        return self.trim if self.design.has(detail) else otherwise or self.plain


def surface(design: Design) -> str:
    """The texture a design is drawn with, a name in `textures.TEXTURES`, or empty if it is smooth."""
    if design.style.shape.endswith("quilted"):
        return "quilt"
    if design.kind.type in KNITTED:
        return "cable" if design.style.shape.endswith("cable") else "knit"
    return MATERIAL_TEXTURES.get(design.material, "")


def look(design: Design, canvas: Canvas) -> Look:
    base = COLOURS[design.colour].rgb
    accent, second = COLOURS[design.accent].rgb, COLOURS[design.second].rgb
    texture = surface(design)
    gloss = MATERIAL_GLOSS.get(design.material, 0.0)
    if palette.COLOURS[design.colour].tone == "metallic":
        gloss = max(gloss, 0.8)
    plain = Paint(base, texture=texture, gloss=gloss)
    body = plain
    if design.pattern in patterns.WOVEN_OR_PRINTED:
        colours = patterns.layers(design.pattern, base, accent, second)
        body = Paint(base, design.pattern, colours, design.variant, 0, texture, gloss)
    return Look(
        design,
        canvas,
        body,
        plain,
        plain.dyed(accent),
        accent,
        second,
        palette.outline(base),
        palette.darker(base, 0.45),
        rng(design.seed, "picture", design.index),
    )
