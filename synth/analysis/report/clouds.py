"""Word clouds (MUSE, Figs. 11 and 12), laid out by `wordcloud`, written as SVG text in a font that the page brings.

The font is cut down to the letters that are needed, so words stand where they were measured on every machine, and
stay text that can be searched and copied.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from synth.analysis.statistics.stopwords import STOPWORDS


@dataclass(frozen=True, slots=True)
class Box:
    """How large a cloud is."""

    width: int
    """In the units of its picture."""
    height: int
    words: int
    """At most."""
    largest: int
    """Size of the font."""


WIDE = Box(760, 320, 80, 64)
NARROW = Box(400, 280, 50, 44)
TONES = 4
"""Shades, the commonest words have the first."""
_EDGE = re.compile(r"^[^\w]+|[^\w]+$")
_ADDRESS = re.compile(r"@|\w\.\w")
_SEED = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A word in a cloud."""

    text: str
    count: int
    size: int
    """Of the font."""
    length: float
    """The word's width at that size; what a font without some letters is fitted to."""
    x: float
    """Of the beginning of its base line."""
    y: float
    upright: bool
    tone: int


def words(counts: Mapping[str, int]) -> dict[str, int]:
    """The words that tell something, the commonest first: without what hangs on them, addresses and function words."""
    found: Counter[str] = Counter()
    for token, count in counts.items():
        word = _EDGE.sub("", token)
        if len(word) > 1 and word not in STOPWORDS and not _ADDRESS.search(word):
            found[word] += count
    return dict(found.most_common())


def cloud(counts: Mapping[str, int], box: Box) -> list[Placed]:
    """Where the words stand; equal counts give equal clouds."""
    kept = words(counts)
    if not kept:
        return []
    from PIL import Image, ImageFont
    from wordcloud import WordCloud  # type: ignore[import-untyped]

    drawn = WordCloud(
        font_path=str(_font()),
        width=box.width,
        height=box.height,
        max_words=box.words,
        max_font_size=box.largest,
        min_font_size=9,
        prefer_horizontal=0.94,
        relative_scaling=0.5,
        margin=6,
        random_state=_SEED,
        color_func=lambda *_, **__: "",
    ).generate_from_frequencies(kept)
    placed = []
    for rank, ((text, _), size, (top, left), turned, _) in enumerate(drawn.layout_):
        font = ImageFont.truetype(str(_font()), size)
        length = font.getlength(text)
        # `wordcloud` places the box of the ink; SVG wants the beginning of the base line.
        ink_left, ink_top, ink_right, _ = font.getbbox(text, anchor="ls")
        upright = turned == Image.Transpose.ROTATE_90
        x, y = (left - ink_top, top + ink_right) if upright else (left - ink_left, top - ink_top)
        placed.append(
            Placed(text, kept[text], size, round(length, 1), float(x), float(y), upright, rank * TONES // box.words)
        )
    return placed


def font_face(placed: Iterable[Placed]) -> str:
    """The font's letters that the words need, as a data URI; empty where there are no words."""
    letters = {letter for word in placed for letter in word.text}
    if not letters:
        return ""
    from fontTools import subset  # type: ignore[import-untyped]

    options = subset.Options(flavor="woff", layout_features=[], hinting=False)
    options.drop_tables += ["FFTM"]  # FontForge's time stamp
    stream = io.BytesIO()
    with subset.load_font(str(_font()), options) as font:
        cut = subset.Subsetter(options)
        cut.populate(unicodes=[ord(letter) for letter in letters])
        cut.subset(font)
        subset.save_font(font, stream, options)
    return f"data:font/woff;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _font() -> Path:
    """DejaVu Sans, which comes with matplotlib and may be embedded: Latin, Greek, Cyrillic, Arabic and more."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
