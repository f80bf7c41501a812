"""A design as a catalogue record: what the shop says, and what only the picture shows."""

from __future__ import annotations

from synth.corpora.drawing.design import Design, Kind
from synth.corpora.drawing.details import SCALES, phrase, shows_accent
from synth.corpora.drawing.palette import COLOURS
from synth.corpora.drawing.shapes.look import surface
from synth.corpora.drawing.titles import title
from synth.corpora.drawing.wording import description, features
from synth.corpora.records import Picture, Product

LICENCE = "CC0-1.0"
ATTRIBUTES = 10
"""No product has more; the least telling cuts are left out first."""
DISPENSABLE = ("closure", "fit", "leg", "toe", "length")


def product(design: Design, picture: Picture | None = None) -> Product:
    """The record of a design; it needs no drawing."""
    return Product(
        id=f"sample-{design.seed}-{design.index:05d}",
        title=title(design),
        features=features(design),
        categories=(*design.kind.path, design.kind.type),
        price=design.price,
        currency="EUR",
        images=(picture,) if picture else (),
        attributes=attributes(design),
        visual=visual(design),
        descriptions={"source": description(design)},
        licence=LICENCE,
    )


def attributes(design: Design) -> dict[str, str]:
    """Six to ten attributes under their canonical names."""
    out = {"type": design.kind.type, "gender": design.gender, "colour": design.colour}
    if _patterned(design.kind):
        out["pattern"] = design.pattern
    out |= {"material": design.material, **design.cut, "usage": design.usage}
    if design.season:
        out["season"] = design.season
    out["brand"] = design.brand.name
    for name in DISPENSABLE:
        if len(out) > ATTRIBUTES:
            out.pop(name, None)
    return out


def _patterned(kind: Kind) -> bool:
    return any(pattern != "Plain" for style in kind.styles for pattern in style.patterns)


SURFACES = {
    "denim": "a visible diagonal weave",
    "knit": "visible stitches",
    "cable": "twisted cables between ribs",
    "quilt": "padded horizontal chambers",
    "corduroy": "fine vertical cords",
    "wool": "a slightly felted surface",
    "fleece": "a fluffy surface",
    "leather": "a faint grain",
    "suede": "a soft, napped surface",
    "satin": "a flowing sheen",
    "canvas": "a visible plain weave",
    "linen": "uneven threads",
    "straw": "a braided surface",
}
"""What a drawn texture looks like."""


def visual(design: Design) -> dict[str, str]:
    """Two to four facts of the picture that title and attributes do not state."""
    out = {"tone": COLOURS[design.colour].tone}
    if accented(design):
        out["accent"] = design.accent.lower()
    shown = [phrase(detail, design.accent) for detail in design.details]
    if design.motif:
        out["print"] = design.motif
    elif design.pattern == "Colour-block":
        out["print"] = f"large panels in {design.accent.lower()}"
    elif design.pattern in SCALES:
        out["print"] = SCALES[design.pattern][design.variant]
    for name, text in zip(("detail", "trim"), shown, strict=False):
        if len(out) < 4:
            out[name] = text
    if len(out) < 3:
        out["surface"] = SURFACES.get(surface(design), "a smooth, even surface")
    return out


def accented(design: Design) -> bool:
    """Whether the second colour can be seen."""
    printed = design.pattern not in ("Plain", "Leopard print", "Camouflage")
    return printed or any(shows_accent(detail) for detail in design.details)
