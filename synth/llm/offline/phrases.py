"""Facets in words: how a shopper says `usage: casual`, and how the shop understands it again."""

from __future__ import annotations

import random
from functools import cache

_USAGE = {
    "casual": (
        "for casual wear", "for casual days", "with a casual feel", "for casual use", "on the casual side",
        "in a casual style", "that stays casual", "of the casual kind", "for casual get-togethers", "made for casual weekends",
    ),
    "formal": (
        "for formal wear", "for formal occasions", "with a formal air", "on the formal side", "in a formal style",
        "that looks formal", "of the formal kind", "made for formal settings", "fit for formal evenings",
    ),
    "sports": (
        "for sports", "made for sports", "for sports use", "cut for sports", "in a sports style", "of the sports kind",
        "ready for sports", "meant for sports",
    ),
    "ethnic": (
        "in an ethnic style", "of the ethnic kind", "with an ethnic character", "for ethnic wear", "in the ethnic tradition",
        "with an ethnic touch", "on the ethnic side", "true to ethnic dress",
    ),
    "smart casual": ("in a smart casual style", "for smart casual days", "on the smart casual side", "of the smart casual kind"),
    "party": ("for party nights", "made for party wear", "in a party mood", "fit for party wear", "with party flair", "meant for party evenings"),
    "travel": ("for travel", "made for travel", "that suits travel", "fit for travel days", "meant for travel", "with travel in mind"),
    "work": ("for work", "fit for work", "made for work days", "that suits work", "meant for work", "with work in mind"),
    "outdoor": ("for outdoor use", "made for outdoor days", "fit for outdoor life", "meant for outdoor hours", "with outdoor use in mind"),
    "everyday": ("for everyday use", "made for everyday life", "fit for everyday wear", "of the everyday kind"),
    "beach": ("for the beach", "made for beach days", "with the beach in mind", "fit for beach weather"),
    "home": ("for home", "made for home", "for hours at home", "meant for home"),
}  # fmt: skip
_SEASON = (
    "for {v}", "for {v} weather", "fit for {v}", "made for {v}", "that suits {v}", "for {v} days", "right for {v}",
    "with {v} in mind", "that works in {v}", "meant for {v}",
)  # fmt: skip
_COLOUR = ("in {v}", "in a {v} shade", "in {v} tones", "done in {v}", "that comes in {v}", "in some kind of {v}")
_MATERIAL = ("in {v}", "made of {v}", "cut from {v}", "that is {v}", "done in {v}")
_PATTERN = {
    "striped": ("with stripes", "in a striped design", "with a striped pattern", "that is striped"),
    "checked": ("with checks", "in a checked design", "with a checked pattern", "that is checked"),
    "plain": ("in a plain design", "with no pattern but plain", "kept plain", "that is plain"),
    "solid": ("in one solid shade", "in a solid design", "kept solid", "that is solid"),
    "printed": ("with a print", "in a printed design", "with a printed pattern", "that is printed"),
    "floral": ("with flowers", "in a floral design", "with a floral pattern", "that is floral"),
    "polka dots": ("with polka dots", "in polka dots", "covered in polka dots"),
    "graphic": ("with a graphic", "in a graphic design", "with a graphic print"),
    "embroidered": ("with embroidery", "in an embroidered design", "that is embroidered"),
}
_TONE = ("in a {v} tone", "with a {v} look", "that looks {v}", "of a {v} kind")
_SEEN = {
    "lightness": ("shade", "tone"),
    "contrast": ("contrast", "contrasts"),
    "shape": ("shape", "outline", "silhouette", "build"),
}
"""What is compared between pictures is always said with one of these nouns, for the bare words mean much else."""
_COUNTED = frozenset({"shade", "tone", "shape", "outline", "silhouette", "build"})
_ADJECTIVES = {
    "polka dots": "polka-dot",
    "v-neck": "V-necked",
    "round neck": "round-necked",
    "boat neck": "boat-necked",
    "scoop neck": "scoop-necked",
    "high neck": "high-necked",
    "halter neck": "halter-necked",
    "henley neck": "henley-necked",
    "long sleeves": "long-sleeved",
    "short sleeves": "short-sleeved",
    "three-quarter sleeves": "three-quarter-sleeved",
    "analogue and digital": "analogue-digital",
}
_WITH = frozenset(
    """
    neck sleeve collar heel closure strap dial display toe hem waist brim frame lens handle sole
    """.split()
)


def adjective(attribute: str, value: str) -> str:
    """A facet in front of a noun: `slim-fit`, `navy`, `long-sleeved`."""
    if value in _ADJECTIVES:
        return _ADJECTIVES[value]
    if value.endswith(" fit"):
        return value.replace(" ", "-")
    return value


@cache
def postmodifiers(attribute: str, value: str) -> tuple[str, ...]:
    """A facet behind a noun, in every way it is said: `in navy`, `with a slim fit`, `for casual days`."""
    if attribute == "usage":
        return _USAGE.get(value, (f"for {value} use", f"made for {value}", f"of the {value} kind"))
    if attribute == "season":
        return tuple(form.format(v=value) for form in _SEASON)
    if attribute == "colour":
        return tuple(form.format(v=value) for form in _COLOUR)
    if attribute == "material":
        return tuple(form.format(v=value) for form in _MATERIAL)
    if attribute in ("pattern", "surface"):
        return _PATTERN.get(value, (f"with a {value} pattern", f"in a {value} design", f"that is {value}"))
    if attribute == "tone":
        return tuple(form.format(v=value) for form in _TONE)
    if attribute == "accent":
        return (f"with touches of {value}", f"with {value} accents", f"with hints of {value}")
    if attribute == "detail":
        return (f"with {value}",)
    if attribute in _SEEN:
        forms = [f"{_a(value) if noun in _COUNTED else value} {noun}" for noun in _SEEN[attribute]]
        return tuple(
            f"{word} {form}" for word in ("in" if attribute == "lightness" else "with", "of") for form in forms
        )
    if attribute == "fit":
        base = value.removesuffix(" fit")
        return (f"with {_a(base)} fit", f"in {_a(base)} fit", f"cut to {_a(base)} fit")
    if attribute == "length":
        return (f"in {_a(value)} length", f"of {value} length", f"cut to {_a(value)} length")
    if value == "sleeveless":
        return ("without sleeves", "that is sleeveless", "in a sleeveless cut")
    if attribute == "sleeve":
        return (f"with {value}", f"that has {value}") if value.endswith("sleeves") else (f"with {value} sleeves",)
    if attribute == "closure":
        return (
            f"with {_a(value)} closure",
            f"with {_a(value)} fastening",
            f"that closes {value}" if value.endswith("-up") else f"with {_a(value)} opening",
        )
    if attribute in _WITH:
        name = (
            value
            if value.split()[-1].startswith(attribute) or value.endswith(("collar", "neck"))
            else f"{value} {attribute}"
        )
        return (f"with {_a(name)}", f"that has {_a(name)}")
    if attribute in ("display",):
        return (f"with {_a(value)} display", f"that is {value}")
    name = attribute.replace("_", " ")
    return (f"with {_a(value)} {name}",) if len(value) < 24 and value.isascii() else (f"with {name} {value}",)


def postmodifier(attribute: str, value: str, rng: random.Random) -> str:
    return rng.choice(postmodifiers(attribute, value))


@cache
def surfaces(attribute: str, value: str) -> frozenset[str]:
    """All ways in which a facet is said, lower case."""
    if attribute in _SEEN:
        return frozenset(f"{value} {noun}" for noun in _SEEN[attribute])
    forms = {value, adjective(attribute, value), *postmodifiers(attribute, value)}
    if attribute == "usage":
        # Bare usage words also name occasions ("a party"), so only the fixed phrases count.
        forms = {adjective(attribute, value) + " style", *postmodifiers(attribute, value)}
        if value in ("casual", "formal", "ethnic", "smart casual", "sporty"):
            forms.add(value)
    if attribute == "season":
        forms = {f"{value} piece", f"{value} weight", *postmodifiers(attribute, value)}
    return frozenset(form.lower() for form in forms)


def bare_surfaces(attribute: str, value: str) -> frozenset[str]:
    """Values as they stand alone, which only a rejection is searched for: elsewhere they mean too much else."""
    return frozenset() if attribute in _SEEN else frozenset({value, adjective(attribute, value).lower()})


def _a(phrase: str) -> str:
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"
