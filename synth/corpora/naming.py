"""Whether a text gives a product away."""

from __future__ import annotations

from synth.corpora.attributes import words

_GIVEAWAY = 4
"""Words of a title in a row that name the product."""


def names_product(text: str, title: str, brand: str | None) -> str | None:
    """What of the product a text gives away: its title, its brand, or four words of its title in a row."""
    joined = f" {' '.join(words(text))} "
    if brand and len(brand) > 2 and f" {' '.join(words(brand))} " in joined and brand in text:
        return f"brand {brand}"
    named = words(title)
    runs = [named[i : i + _GIVEAWAY] for i in range(max(len(named) - _GIVEAWAY, 0) + 1)]
    for run in runs:
        if len(run) > 1 and f" {' '.join(run)} " in joined:
            return " ".join(run)
    return None
