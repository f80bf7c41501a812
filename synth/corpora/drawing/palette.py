"""The named colours products come in, and how they are mixed, shaded and matched."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Colour:
    """A named colour of the range."""

    name: str
    rgb: RGB
    tone: str
    """`pale`, `dark`, `bright`, `muted` or `metallic`."""


COLOURS: dict[str, Colour] = {
    name: Colour(name, rgb, tone)
    for name, rgb, tone in (
        ("Black", (38, 38, 42), "dark"),
        ("Charcoal", (82, 86, 93), "dark"),
        ("Grey", (154, 158, 163), "muted"),
        ("White", (247, 247, 245), "pale"),
        ("Cream", (243, 230, 202), "pale"),
        ("Beige", (214, 192, 160), "muted"),
        ("Tan", (189, 138, 86), "muted"),
        ("Brown", (112, 72, 48), "dark"),
        ("Burgundy", (118, 28, 52), "dark"),
        ("Red", (206, 40, 48), "bright"),
        ("Coral", (247, 122, 104), "bright"),
        ("Rust", (178, 80, 42), "muted"),
        ("Orange", (240, 134, 36), "bright"),
        ("Mustard", (208, 158, 38), "muted"),
        ("Yellow", (250, 216, 78), "bright"),
        ("Sage", (160, 176, 146), "muted"),
        ("Olive", (108, 110, 62), "muted"),
        ("Green", (38, 126, 78), "bright"),
        ("Mint", (182, 226, 206), "pale"),
        ("Teal", (18, 118, 126), "dark"),
        ("Sky Blue", (148, 196, 234), "pale"),
        ("Royal Blue", (46, 88, 196), "bright"),
        ("Navy", (34, 46, 90), "dark"),
        ("Indigo", (70, 94, 146), "muted"),
        ("Lavender", (192, 178, 224), "pale"),
        ("Purple", (114, 66, 152), "bright"),
        ("Blush", (240, 204, 202), "pale"),
        ("Pink", (240, 142, 176), "bright"),
        ("Gold", (212, 172, 84), "metallic"),
        ("Silver", (196, 200, 206), "metallic"),
        ("Rose Gold", (220, 162, 142), "metallic"),
    )
}

METALS = ("Gold", "Silver", "Rose Gold")
DYES = tuple(name for name in COLOURS if name not in METALS)
LEATHERS = ("Black", "Brown", "Tan", "Burgundy", "Navy", "Charcoal", "Grey", "Beige", "Rust", "White")
SOBER = ("Black", "Charcoal", "Grey", "Navy", "Brown", "Beige", "Burgundy", "Olive", "Cream", "White", "Teal", "Tan")
DENIMS = ("Indigo", "Navy", "Sky Blue", "Black", "Charcoal", "Grey", "White", "Cream")
DARK_PARTNERS = ("White", "Cream", "Mustard", "Coral", "Sky Blue", "Mint", "Blush", "Yellow", "Orange", "Grey")
LIGHT_PARTNERS = ("Navy", "Black", "Burgundy", "Teal", "Green", "Rust", "Red", "Royal Blue", "Brown", "Purple")


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` with `share` (0 to 1) of `b` in it."""
    r, g, c = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, c


def darker(rgb: RGB, share: float) -> RGB:
    return mix(rgb, (22, 18, 26), share)


def lighter(rgb: RGB, share: float) -> RGB:
    return mix(rgb, (255, 255, 255), share)


def luminance(rgb: RGB) -> float:
    """Perceived brightness, 0 to 255 (ITU-R BT.601 weights)."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def distance(a: RGB, b: RGB) -> float:
    """How far apart two colours look: the 'redmean' weighted Euclidean distance, 0 to about 765."""
    mean = (a[0] + b[0]) / 2
    red, green, blue = (x - y for x, y in zip(a, b, strict=True))
    return float(((2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2) ** 0.5)


def outline(rgb: RGB) -> RGB:
    """The colour of edges and seams on a surface: darker, but lighter on near-black so that it stays visible."""
    return lighter(rgb, 0.16) if luminance(rgb) < 55 else darker(rgb, 0.38)


def partners(name: str, rng: Random, count: int) -> list[str]:
    """Colours that go with `name` and stand out against it and against each other, the best visible first."""
    rgb = COLOURS[name].rgb
    pool = list(DARK_PARTNERS if luminance(rgb) < 135 else LIGHT_PARTNERS)
    rng.shuffle(pool)
    pool += ["White", "Navy", "Black"]
    chosen: list[str] = []
    for other in pool:
        against = [rgb, *(COLOURS[c].rgb for c in chosen)]
        if other != name and all(distance(COLOURS[other].rgb, a) > 170 for a in against):
            chosen.append(other)
    return chosen[:count]
