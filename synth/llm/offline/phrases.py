"""Facets in words: how a shopper says `usage: casual`, and how the shop understands it again."""

from __future__ import annotations

import random
import re
from functools import cache

from synth.llm.offline.nouns import with_article


def _forms(text: str) -> tuple[str, ...]:
    return tuple(" ".join(form.split()) for form in text.split("|"))


_USAGE = {
    "casual": """for casual wear|for casual days|with a casual feel|for casual use|on the casual side|that stays casual
        |of the casual kind|for casual get-togethers|made for casual weekends|with a casual look|that feels casual
        |for casual evenings|cut in a casual way|for casual Fridays|that can be worn casually|for casual lunches out
        |in a casual mood|that looks casual|for casual plans|with a casual touch|meant for casual hours
        |that works for casual outings|for casual afternoons|kept casual|on a casual note|for casual company
        |for casual crowds|with casual ease|easy and casual|for casual mornings|casual in spirit
        |for casual strolls|made for casual dinners|casual enough for a café""",
    "formal": """for formal wear|for formal occasions|with a formal air|on the formal side|in a formal style
        |that looks formal|of the formal kind|made for formal settings|fit for formal evenings|with a formal look
        |that can be worn formally|for formal rooms|kept formal|for a formal table|meant for formal company""",
    "sports": """for sports|made for sports|for sports use|cut for sports|in a sports style|of the sports kind
        |ready for sports|meant for sports|built for sports|that can take sports|with sports in mind
        |for doing sports in""",
    "ethnic": """in an ethnic style|of the ethnic kind|with an ethnic character|for ethnic wear|in the ethnic tradition
        |with an ethnic touch|on the ethnic side|true to ethnic dress|with an ethnic look|that feels ethnic
        |in ethnic fashion|with an ethnic flavour""",
    "smart casual": "in a smart casual style|for smart casual days|on the smart casual side|of the smart casual kind",
    "party": """for party nights|made for party wear|in a party mood|fit for party wear|with party flair
        |meant for party evenings|that says party time|with a party look""",
    "travel": """for travel|made for travel|that suits travel|fit for travel days|meant for travel|with travel in mind
        |that travels well|easy to travel with|good for travel""",
    "work": """for work|fit for work|made for work days|that suits work|meant for work|with work in mind
        |that works at work|right for work|for work meetings""",
    "outdoor": """for outdoor use|made for outdoor days|fit for outdoor life|meant for outdoor hours
        |with outdoor use in mind|ready for outdoor weather|good for outdoor plans""",
    "everyday": "for everyday use|made for everyday life|fit for everyday wear|of the everyday kind",
    "beach": "for the beach|made for beach days|with the beach in mind|fit for beach weather",
    "home": "for home|made for home|for hours at home|meant for home",
}
_SEASON = """for {v}|for {v} weather|fit for {v}|made for {v}|that suits {v}|for {v} days|right for {v}|with {v} in mind
    |that works in {v}|meant for {v}|good for {v}|for the {v} months|for {v} mornings|ready for {v}|that belongs to {v}
    |for {v} outings|suited to {v}|for {v} evenings|for {v} weekends|for {v} walks|good on {v} days|for {v} trips
    |right in {v}|for a {v} wardrobe|to last all {v}"""
_COLOUR = "in {v}|in a {v} shade|in {v} tones|done in {v}|somewhere near {v}|that is {v}"
_MATERIAL = "in {v}|made of {v}|cut from {v}|that is {v}|done in {v}|in good {v}"
_PATTERN = {
    "striped": "with stripes|in a striped design|with a striped pattern|that is striped",
    "checked": "with checks|in a checked design|with a checked pattern|that is checked",
    "plain": "in a plain design|in plain fabric|kept plain|that is plain|with a plain surface",
    "solid": "in one solid shade|in a solid design|kept solid|that is solid",
    "printed": "with a print|in a printed design|with a printed pattern|that is printed",
    "floral": "with flowers on|in a floral design|with a floral pattern|that is floral",
    "polka dots": "with polka dots|in polka dots|covered in polka dots",
    "graphic": "with a graphic|in a graphic design|with a graphic motif",
    "embroidered": "with embroidery|in an embroidered design|that is embroidered",
}
_TONE = "in a {v} tone|with a {v} look|that looks {v}|of a {v} kind"
_LIGHTNESS = """in {a} shade|in {a} tone|of {a} hue|on the {v} side|that looks {v}|{v} in tone|with {a} finish
    |{v} to look at|in {a} colour|{v} in the photo"""
COMPARED = {
    "lightness": ("shade", "tone", "hue", "colour", "finish", "side", "in tone", "to look at", "in the photo"),
    "contrast": ("contrast", "contrasts"),
    "shape": ("shape", "outline", "silhouette"),
}
"""What is compared between pictures is always said with one of these nouns, for the bare words mean much else."""
_COUNTED = frozenset({"shade", "tone", "hue", "colour", "finish", "shape", "outline", "silhouette"})
NOUN_PHRASES = frozenset({"detail", "print", "trim", "surface"})
"""Picture facts whose values are noun phrases as they stand: `two chest pockets`."""
_FITS = frozenset("regular slim tapered skinny straight slouchy relaxed oversized loose".split())
_CARRYING = _forms(
    "with|with|with|made with|finished with|that has|designed with|featuring|done with|styled with|built with"
    "|shown with"
)
_FASTENINGS = {
    "zip": "a zip", "laces": "laces", "buttons": "buttons", "buckle": "a buckle", "buckles": "buckles",
    "drawstring": "a drawstring", "clasp": "a clasp", "hook": "a hook", "press stud": "a press stud",
    "buttoned": "buttons", "velcro": "velcro", "lace-up": "laces",
}  # fmt: skip
_ADJECTIVES = {
    "v-neck": "V-necked", "round neck": "round-necked", "boat neck": "boat-necked", "scoop neck": "scoop-necked",
    "high neck": "high-necked", "halter neck": "halter-necked", "henley neck": "henley-necked",
    "crew neck": "crew-necked", "roll neck": "roll-necked", "hood": "hooded", "long sleeves": "long-sleeved",
    "short sleeves": "short-sleeved", "long sleeve": "long-sleeved", "short sleeve": "short-sleeved",
    "three-quarter sleeves": "three-quarter-sleeved", "three-quarter": "three-quarter-sleeved",
    "analogue and digital": "analogue-digital", "no strap": "strapless", "zip": "zipped", "laces": "lace-up",
    "buttons": "buttoned", "elastic": "elasticated", "a-line": "A-line",
}  # fmt: skip


def adjective(attribute: str, value: str) -> str:
    """A facet in front of a noun: `slim-fit`, `navy`, `long-sleeved`, `block-heel`."""
    if value in _ADJECTIVES:
        return _ADJECTIVES[value]
    if attribute in ("colour", "material", "usage", "season", "tone", "accent", "lightness", "contrast"):
        return value
    return value.replace(" ", "-") if value.count(" ") == 1 and len(value) < 24 else value


@cache
def postmodifiers(attribute: str, value: str) -> tuple[str, ...]:
    """A facet behind a noun, in every way it is said: `in navy`, `with a slim fit`, `for casual days`."""
    if attribute == "usage":
        return _forms(_USAGE.get(value, f"for {value} use|made for {value}|of the {value} kind"))
    if attribute in NOUN_PHRASES and value not in _PATTERN:
        return (f"with {value}",)
    if attribute in ("pattern", "surface"):
        article = with_article(value)
        return _forms(_PATTERN.get(value, f"with {article} pattern|in {article} design|that is {value}"))
    for name, forms in (("season", _SEASON), ("colour", _COLOUR), ("material", _MATERIAL), ("tone", _TONE)):
        if attribute == name:
            return _forms(
                forms.format(v=value).replace(" a a", " an a").replace(" a o", " an o").replace(" a i", " an i")
            )
    if attribute == "accent":
        return (f"with touches of {value}", f"with {value} accents", f"with hints of {value}")
    if attribute == "lightness":
        return _forms(_LIGHTNESS.format(v=value, a=with_article(value)))
    if attribute in COMPARED:
        said = [f"{with_article(value) if noun in _COUNTED else value} {noun}" for noun in COMPARED[attribute]]
        return tuple(f"with {phrase}" for phrase in said)
    return _cut(attribute, value)


def _cut(attribute: str, value: str) -> tuple[str, ...]:
    """Facets of how a thing is made: neck, sleeve, length, heel, closure and their like."""
    name = attribute.replace("_", " ")
    if value.startswith("no "):
        return (f"with {value}", f"that has {value}", f"without {with_article(value[3:])}")
    if value == "sleeveless" or value == "strappy":
        return (f"in a {value} cut", f"that is {value}", f"in a {value} style")
    if attribute == "sleeve":
        sleeves = value if value.endswith("sleeves") else f"{value.removesuffix(' sleeve')} sleeves"
        base = sleeves.removesuffix(" sleeves")
        return (
            *dict.fromkeys(_carrying(sleeves)),
            f"with sleeves that are {base}",
            f"with the sleeves {base}",
            f"{base} in the sleeve",
        )
    if attribute == "closure" and value in _FASTENINGS:
        thing = _FASTENINGS[value]
        return (f"with {thing}", f"that closes with {thing}", f"fastened with {thing}")
    if attribute == "closure":
        return (f"with {with_article(value)} fastening", f"with {with_article(value)} closure")
    if attribute == "fit":
        base = with_article(value.removesuffix(" fit"))
        noun = "fit" if value.removesuffix(" fit") in _FITS or value.endswith(" fit") else "cut"
        return (*_carrying(f"{base} {noun}"), f"in {base} {noun}")
    if attribute in ("width", "height", "style"):
        return (f"in {with_article(value)} cut", f"with {with_article(value)} cut")
    if attribute == "length":
        noun = "cut" if re.search(r"length|leg|high|calf|thigh", value) else "length"
        return (*_carrying(f"{with_article(value)} {noun}"), f"in {with_article(value)} {noun}")
    last = value.split()[-1]
    parts = re.split("[ -]", value)
    if name in parts or name + "s" in parts or last in _NOUNS:
        thing = value if last.endswith("s") and not last.endswith("ss") else with_article(value)
    else:
        thing = with_article(f"{value} {name}")
    return _carrying(thing)


_NOUNS = frozenset(
    """neck collar lapels hood heel wedge platform strap straps handle handles bracelet display dial brim toe leg flap
    slingback flatform chain band frame pockets strand""".split()
)


def _carrying(thing: str) -> tuple[str, ...]:
    return tuple(f"{form} {thing}" for form in _CARRYING)


def postmodifier(attribute: str, value: str, rng: random.Random, *, plural: bool = False) -> str:
    """One of the ways; behind a plural noun, one without a verb that would have to agree."""
    forms = postmodifiers(attribute, value)
    if plural:
        forms = tuple(form for form in forms if not form.startswith("that ")) or forms
    return rng.choice(forms)


@cache
def surfaces(attribute: str, value: str) -> frozenset[str]:
    """All ways in which a facet is said, lower case."""
    if attribute in COMPARED:
        return frozenset({*postmodifiers(attribute, value), *(f"{value} {noun}" for noun in COMPARED[attribute])})
    forms = set(postmodifiers(attribute, value))
    if attribute == "usage":
        # Bare usage words also name occasions ("a party"), so only the fixed phrases count.
        forms.add(f"{value} style")
        if value in ("casual", "formal", "ethnic", "smart casual"):
            forms.add(value)
    elif attribute == "season":
        forms |= {f"{value} piece", f"{value} weight"}
    else:
        forms |= {value, adjective(attribute, value)}
    return frozenset(form.lower() for form in forms)


def bare_surfaces(attribute: str, value: str) -> frozenset[str]:
    """Values as they stand alone, which only a rejection is searched for: elsewhere they mean too much else."""
    return frozenset() if attribute in COMPARED else frozenset({value, adjective(attribute, value).lower()})
