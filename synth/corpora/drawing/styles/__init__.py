"""The range: every kind of product, and the styles each is made in."""

from synth.corpora.drawing.design import Kind
from synth.corpora.drawing.styles.accessories import ACCESSORIES
from synth.corpora.drawing.styles.bags import BAGS
from synth.corpora.drawing.styles.bottoms import BOTTOMS
from synth.corpora.drawing.styles.dresses import DRESSES
from synth.corpora.drawing.styles.footwear import FOOTWEAR
from synth.corpora.drawing.styles.jewellery import JEWELLERY
from synth.corpora.drawing.styles.knitwear import KNITWEAR
from synth.corpora.drawing.styles.outerwear import OUTERWEAR
from synth.corpora.drawing.styles.tops import TOPS

KINDS: tuple[Kind, ...] = (
    *TOPS,
    *KNITWEAR,
    *OUTERWEAR,
    *DRESSES,
    *BOTTOMS,
    *FOOTWEAR,
    *BAGS,
    *ACCESSORIES,
    *JEWELLERY,
)
"""In the order of the shop's menu."""
