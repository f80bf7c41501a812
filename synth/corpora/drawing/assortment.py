"""Which products exist: product i of a seed is decided by (seed, i) alone, however many are drawn."""

from __future__ import annotations

from random import Random

from synth.corpora.drawing import palette, styles
from synth.corpora.drawing.brands import brand_for
from synth.corpora.drawing.design import Design, Kind, Style
from synth.corpora.drawing.details import SCALES
from synth.corpora.drawing.shapes.motifs import MOTIFS
from synth.randomness import rng

SEASONS = ("Spring", "Summer", "Autumn", "Winter")
MATERIAL_SEASONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Wool", "Cashmere", "Tweed", "Velvet", "Fleece", "Cotton Flannel"), ("Autumn", "Winter")),
    **dict.fromkeys(("Merino Wool", "Wool Blend", "Suede", "Corduroy"), ("Autumn", "Winter", "Spring")),
    **dict.fromkeys(("Linen", "Straw"), ("Spring", "Summer")),
    **dict.fromkeys(("Chiffon", "Mesh", "Silk"), ("Spring", "Summer", "Autumn")),
}
"""Materials not named here are worn all the year."""
MATERIAL_PRICES = {
    "Cashmere": 2.2,
    "Silk": 1.6,
    "Wool": 1.25,
    "Merino Wool": 1.3,
    "Leather": 1.2,
    "Patent Leather": 1.3,
    "Suede": 1.15,
    "Vegan Leather": 0.8,
    "Linen": 1.15,
    "Organic Cotton": 1.1,
    "Polyester": 0.85,
    "Sterling Silver": 1.3,
    "Gold-plated Silver": 1.4,
    "Brass": 0.7,
}
SOLID_ONLY = ("Suede", "Velvet", "Corduroy", "Denim", "Patent Leather")
"""Materials that are not printed or woven in patterns."""
PATTERN_COLOURS: dict[str, tuple[str, ...]] = {
    "Leopard print": ("Beige", "Tan", "Mustard", "Rust", "Grey", "Cream", "Pink", "White", "Brown"),
    "Camouflage": ("Olive", "Green", "Sage", "Grey", "Navy", "Beige", "Tan", "Charcoal", "Pink"),
}
METAL_MATERIALS: dict[str, tuple[str, ...]] = {
    "Gold": ("Gold-plated Silver", "Brass", "Stainless Steel"),
    "Silver": ("Sterling Silver", "Stainless Steel"),
    "Rose Gold": ("Gold-plated Silver", "Stainless Steel"),
}
JEWELLERY = ("Earrings", "Necklaces")
LOST_ON_BLOCKS = ("badge", "scarf_ends", "mesh_panel", "contrast_base", "contrast_hem")
"""Details in the accent colour that would lie on a panel of the same colour."""
CHILDREN = ("Girls", "Boys")
PRECIOUS = ("Cashmere", "Silk", "Patent Leather")
"""Materials that nothing for children is made of."""


def kind_of(seed: int, index: int) -> Kind:
    """The kind of product `index`: shuffled decks hold every kind `share` times, so a small range is varied too."""
    deck = [kind for kind in styles.KINDS for _ in range(kind.share)]
    turn, place = divmod(index, len(deck))
    rng(seed, "deck", turn).shuffle(deck)
    return deck[place]


def decide(seed: int, index: int) -> Design:
    """Decides product `index` of the range with this seed."""
    random = rng(seed, "product", index)
    kind = kind_of(seed, index)
    gender = random.choice(kind.genders)
    style = random.choice([s for s in kind.styles if not s.genders or gender in s.genders])
    if style.genders:
        gender = random.choice([g for g in style.genders if g in kind.genders or g == "Unisex"] or [gender])
    pattern = random.choice(style.patterns)
    colour = _colour(style, pattern, random)
    material = _material(kind, style, pattern, colour, gender, random)
    if material == "Denim" and colour not in palette.DENIMS:
        colour = random.choice(palette.DENIMS)
    cut = {name: random.choice(values) for name, values in style.cut.items()}
    details = tuple(d for group in style.details if (d := random.choice(group)))
    details = tuple(d for d in details if _possible(d, cut, kind, pattern))
    usage = random.choice([u for u in style.usages if u != "Work" or gender not in CHILDREN] or ["Casual"])
    season = _season(style, material, cut, random)
    brand = brand_for(kind, gender, usage, random)
    accent, second = palette.partners(colour, random, 2)
    return Design(
        index=index,
        seed=seed,
        kind=kind,
        style=style,
        brand=brand,
        gender=gender,
        colour=colour,
        pattern=pattern,
        accent=accent,
        second=second,
        motif=random.choice(list(MOTIFS)) if pattern == "Graphic print" else "",
        material=material,
        cut=cut,
        usage=usage,
        season=season,
        details=details,
        price=_price(kind, style, brand.level * MATERIAL_PRICES.get(material, 1.0), gender, random),
        variant=random.randrange(len(SCALES.get(pattern, "123"))),
    )


def _colour(style: Style, pattern: str, random: Random) -> str:
    allowed = style.colours or palette.DYES
    if pattern in PATTERN_COLOURS:
        allowed = tuple(c for c in allowed if c in PATTERN_COLOURS[pattern]) or allowed
    return random.choice(allowed)


def _material(kind: Kind, style: Style, pattern: str, colour: str, gender: str, random: Random) -> str:
    fitting = [m for m in style.materials if pattern == "Plain" or m not in SOLID_ONLY] or list(style.materials)
    if kind.type in JEWELLERY and colour in METAL_MATERIALS:
        fitting = [m for m in fitting if m in METAL_MATERIALS[colour]] or fitting
    if gender in CHILDREN:
        fitting = [m for m in fitting if m not in PRECIOUS] or fitting
    return random.choice(fitting)


def _possible(detail: str, cut: dict[str, str], kind: Kind, pattern: str) -> bool:
    """Whether a detail has its place on this cut and can be seen on this pattern."""
    if pattern == "Colour-block" and detail in LOST_ON_BLOCKS:
        return False
    if detail == "contrast_neck" and cut.get("neck") == "Hood":
        return False
    bare = cut.get("sleeve") in ("Sleeveless", "Strappy")
    if detail in ("contrast_cuffs", "contrast_sleeves", "sleeve_stripes") and bare:
        return False
    if detail in ("contrast_strings", "contrast_lining") and kind.type in ("Jackets", "Coats", "Gilets"):
        return cut.get("neck") == "Hood"
    if detail == "contrast_lining":
        return cut.get("closure") != "Half zip"
    if detail in ("contrast_strings", "strings") and kind.type == "Trousers":
        return cut.get("closure") == "Drawstring"
    if detail == "contrast_zip":
        return "zip" in cut.get("closure", "Zip").lower()
    if detail == "contrast_laces":
        return cut.get("closure") == "Laces"
    if detail == "gold_buckle" and kind.type == "Heels":
        return cut.get("strap") != "No strap"
    if detail == "contrast_handle":
        return cut.get("strap") not in ("Chain strap", "No strap")
    if detail == "contrast_straps" and "neck" in cut:
        return cut["neck"] != "Halter neck"
    if detail == "button_front":
        return cut.get("neck") != "Halter neck"
    if detail == "side_slit":
        return cut.get("length") in ("Knee-length", "Midi", "Maxi")
    return True


def _season(style: Style, material: str, cut: dict[str, str], random: Random) -> str:
    allowed = style.seasons
    if material in MATERIAL_SEASONS:
        allowed = tuple(s for s in allowed or SEASONS if s in MATERIAL_SEASONS[material])
    if cut.get("sleeve") in ("Sleeveless", "Strappy", "Cap sleeve") and "quilted" not in style.shape:
        allowed = tuple(s for s in allowed if s != "Winter")
    return random.choice(allowed) if allowed else ""


def _price(kind: Kind, style: Style, level: float, gender: str, random: Random) -> float:
    """A price point: whole euros and ninety cents below 100, steps of five above."""
    amount = kind.price * style.factor * level * random.uniform(0.88, 1.14)
    if gender in CHILDREN:
        amount *= 0.6
    if amount < 100:
        return max(round(amount - 0.9), 3) + 0.9
    return float(round(amount / 5) * 5)
