"""The invented makers of the sample range. None of them exists; a likeness to a real name is chance."""

from __future__ import annotations

from random import Random

from synth.corpora.drawing.design import Brand, Kind

ALL = frozenset({"Clothing", "Footwear", "Bags", "Accessories"})
GROWN = frozenset({"Women", "Men", "Unisex"})
SMALL = frozenset({"Girls", "Boys"})
BOTH = GROWN | SMALL


def _brand(name: str, level: float, usages: str, groups: frozenset[str], genders: frozenset[str]) -> Brand:
    return Brand(name, level, frozenset(usages.split()), groups, genders)


BRANDS: tuple[Brand, ...] = (
    _brand("Halvorne", 1.0, "Casual Work Travel", ALL, BOTH),
    _brand("Brisella", 0.9, "Casual Party Travel", ALL, frozenset({"Women", "Girls"})),
    _brand("Quillmere", 1.35, "Work Formal", ALL, GROWN),
    _brand("Tamsin & Rook", 1.2, "Casual Work Party", ALL, frozenset({"Women", "Girls"})),
    _brand("Ardlowe", 1.5, "Formal Work", ALL, frozenset({"Men", "Unisex", "Boys"})),
    _brand("Strivane", 1.1, "Sports Outdoor", ALL, BOTH),
    _brand("Kestrane", 1.3, "Outdoor Sports Travel", ALL, BOTH),
    _brand("Pippaloo", 0.8, "Casual Party Outdoor Work Travel Formal", ALL, SMALL),
    _brand("Mossling", 0.95, "Casual Outdoor Travel Sports", ALL, SMALL),
    _brand("Corvessa", 1.8, "Formal Party Work", ALL, frozenset({"Women"})),
    _brand("Wexholt", 1.0, "Casual Outdoor Work", ALL, frozenset({"Men", "Boys", "Unisex"})),
    _brand("Lunavey", 0.75, "Casual Party", ALL, frozenset({"Women", "Girls", "Unisex"})),
    _brand("Saltmere Row", 1.05, "Travel Casual Outdoor", ALL, BOTH),
    _brand("Ottiline", 1.25, "Party Formal Casual", ALL, frozenset({"Women", "Girls"})),
    _brand("Bramwyck", 1.4, "Outdoor Casual Work", ALL, GROWN),
    _brand("Fennimoor", 1.15, "Casual Work", ALL, GROWN),
    _brand("Plainsong Goods", 0.7, "Casual Sports Work", ALL, BOTH),
    _brand("Volterane", 0.85, "Sports Casual", ALL, BOTH),
    _brand("Juniper & Lathe", 1.3, "Casual Travel Work", frozenset({"Bags", "Accessories", "Footwear"}), GROWN),
    _brand("Tindlefox", 0.9, "Casual Travel Sports Outdoor Party", ALL, BOTH),
    _brand("Maison Ravelle", 2.1, "Party Formal Work Travel", ALL, GROWN),
    _brand("Osterwick", 1.6, "Work Formal Sports", frozenset({"Accessories", "Bags", "Footwear"}), GROWN),
    _brand("Driftlane", 0.8, "Casual Travel Party", ALL, BOTH),
    _brand("Hobbrook", 0.65, "Casual Outdoor Work Formal Sports Party Travel", ALL, BOTH),
    _brand("Nordhavre", 1.45, "Outdoor Casual Travel", ALL, BOTH),
    _brand("Sable Finch", 1.1, "Party Casual Formal Work", ALL, GROWN),
)


def brand_for(kind: Kind, gender: str, usage: str, rng: Random) -> Brand:
    """A maker who sells that kind of product to these people for this use."""
    fitting = [b for b in BRANDS if usage in b.usages and kind.group in b.groups and gender in b.genders]
    return rng.choice(fitting)
