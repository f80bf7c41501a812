"""What is decided about a product before it is drawn or described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Options = Mapping[str, tuple[str, ...]]
"""Cut attribute (`neck`, `sleeve`, `heel` …) to the values it can have; a repeated value is likelier."""


@dataclass(frozen=True)
class Style:
    """One way a kind of product is made; everything it lists goes together."""

    name: str
    """The word it has in a title, e.g. `Oxford`; may be empty."""
    shape: str
    """The cut it is drawn with; the shape function reads it."""
    materials: tuple[str, ...]
    cut: Options = field(default_factory=dict)
    usages: tuple[str, ...] = ("Casual",)
    seasons: tuple[str, ...] = ()
    """Seasons it can be for, before the material has its say; empty means all the year."""
    patterns: tuple[str, ...] = ("Plain",)
    colours: tuple[str, ...] = ()
    """Colours it is limited to; empty means all dyes."""
    details: tuple[tuple[str, ...], ...] = ()
    """Groups of details, one drawn from each; an empty string means none of the group."""
    genders: tuple[str, ...] = ()
    """Overrides the kind's."""
    factor: float = 1.0
    """Price relative to the kind's."""
    nouns: tuple[str, ...] = ()
    """Overrides the kind's."""


@dataclass(frozen=True)
class Kind:
    """A type of product of the shop."""

    type: str
    """As the shop names it, e.g. `Dresses`."""
    path: tuple[str, ...]
    """Categories above the type, the most general first."""
    nouns: tuple[str, ...]
    """What a title calls one piece, e.g. `Dress`."""
    price: float
    """Of a plain piece by a middling brand, EUR."""
    genders: tuple[str, ...]
    """A repeated value is likelier."""
    styles: tuple[Style, ...]
    share: int = 4
    """How many of each hundred-odd products are of this kind."""

    @property
    def group(self) -> str:
        """`Clothing`, `Footwear`, `Bags` or `Accessories`."""
        return self.path[0]


@dataclass(frozen=True)
class Brand:
    """An invented maker."""

    name: str
    level: float
    """Its prices relative to a middling brand's."""
    usages: frozenset[str]
    groups: frozenset[str]
    genders: frozenset[str]


@dataclass(frozen=True)
class Design:
    """A product, decided."""

    index: int
    seed: int
    kind: Kind
    style: Style
    brand: Brand
    gender: str
    colour: str
    pattern: str
    accent: str
    """The second colour; seen only where the pattern or a detail uses it."""
    second: str
    """The third colour of patterns that have one."""
    motif: str
    """Of a graphic print, else empty."""
    material: str
    cut: Mapping[str, str]
    usage: str
    season: str
    """Empty means all the year."""
    details: tuple[str, ...]
    price: float
    """EUR."""
    variant: int
    """Which version of the pattern is drawn."""

    @property
    def child(self) -> bool:
        return self.gender in ("Girls", "Boys")

    def has(self, detail: str) -> bool:
        return detail in self.details

    def is_cut(self, attribute: str, *values: str) -> bool:
        return self.cut.get(attribute) in values
