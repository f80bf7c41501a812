"""Product titles: like a shop's, they leave out much of what the picture shows."""

from __future__ import annotations

from importlib import resources

from synth.corpora.drawing.design import Design
from synth.randomness import rng

MODELS = tuple(resources.files(__package__).joinpath("models.txt").read_text("utf-8").split())
"""Names of models and collections."""
PATTERN_WORDS = {
    "Striped": "Striped",
    "Pinstriped": "Pinstripe",
    "Checked": "Checked",
    "Polka dots": "Polka Dot",
    "Floral": "Floral",
    "Leaf print": "Leaf Print",
    "Leopard print": "Leopard",
    "Camouflage": "Camouflage",
    "Geometric": "Geometric",
    "Fair Isle": "Fair Isle",
    "Colour-block": "Colour-Block",
    "Graphic print": "Printed",
}
GENDER_WORDS = {"Women": "Women's", "Men": "Men's", "Girls": "Girls'", "Boys": "Boys'", "Unisex": "Unisex"}


def title(design: Design) -> str:
    """The title of a product; the same design always has the same one."""
    random = rng(design.seed, "title", design.index)
    words = []
    way = random.random()
    if way < 0.62:
        words.append(design.brand.name)
    if way < 0.12 or way > 0.24:
        words.append(random.choice(MODELS))
    if random.random() < 0.3:
        words.append(GENDER_WORDS[design.gender])
    if random.random() < 0.42:
        words.append(design.colour)
    if design.pattern in PATTERN_WORDS and random.random() < 0.5 and PATTERN_WORDS[design.pattern] != design.style.name:
        words.append(PATTERN_WORDS[design.pattern])
    noun = random.choice(design.style.nouns or design.kind.nouns)
    style = design.style.name
    if style and style.split()[0] not in noun and random.random() < 0.85:
        words.append(style)
    return " ".join([*words, noun])
