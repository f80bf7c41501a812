"""Orders to a model in a product's text (indirect prompt injection)."""

from __future__ import annotations

import re

ORDER = re.compile(
    r"""
    \b(?:ignore|disregard|forget)\b[^.!?\n]{0,60}\b(?:instructions?|above|prompts?|rules|previous|prior)\b
    | \byou\s+(?:must|should|have\s+to|are\s+to|shall)\s+(?:now\s+|always\s+|only\s+)?
      (?:accept|recommend|choose|pick|select|approve)\b(?!\s+(?:\w+\s+){0,2}sizes?\b)
    | \b(?:say|reply|respond|answer)\b(?:\s+(?:only|with|back|exactly|just))*\s*:?
      \s*["“«'‘](?P<payload>[^"”»'’\n]{2,200})
    | \bsystem\s+prompt\b
    | \bas\s+an?\s+(?:ai|language\s+model|assistant)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What an order looks like; `payload` is what it wants to be said."""
