"""A very small grammar: `[a|b]` is one of the alternatives (they may nest), `{name}` is filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

INNERMOST = re.compile(r"\[([^\[\]]*)\]")


def say(template: str, random: Random, words: Mapping[str, str]) -> str:
    """One sentence of a template.

    >>> say("[Soft|Smooth] {material}", Random(0), {"material": "cotton"})
    'Smooth cotton'
    """
    while "[" in template:
        template = INNERMOST.sub(lambda match: random.choice(match[1].split("|")), template)
    return " ".join(template.format(**words).split())
