"""The drawn sample catalogue: an invented shop's range, its pictures drawn, everything decided by a seed.

Synth runs on it with no download. Colour, pattern, cut and type are really in the pictures, and `Product.visual` says
what else is, so that what a user or an agent claims about a picture can be checked.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.drawing.assortment import decide
from synth.corpora.drawing.records import LICENCE, product
from synth.corpora.drawing.shapes import draw
from synth.corpora.drawing.sheet import contact_sheet
from synth.errors import SynthError

__all__ = ["contact_sheet", "draw_catalogue"]

JPEG_QUALITY = 75


def draw_catalogue(
    out: Path, products: int = 2000, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Catalogue:
    """Draws the sample catalogue into a new folder.

    Product i depends on `seed` and i alone, so a larger range begins with the smaller one, and the same call writes
    the same bytes.

    Args:
        out: folder to make; it must not exist or be empty.
        products: how many to draw, 1 or more.
        seed: of the whole range.
        progress: called after each product with (done, all).

    Raises:
        SynthError: `products` is not positive, or `out` exists.
    """
    if products < 1:
        raise SynthError(f"A catalogue of {products} products cannot be drawn.", "Ask for 1 or more.")
    # Pictures that an interrupted call left behind may be another seed's.
    CatalogueWriter(out).abandon()
    writer = CatalogueWriter(out)
    try:
        rows = []
        for index in range(products):
            design = decide(seed, index)
            picture = draw(design)
            stored = writer.store_image(_encoded(picture), "image/jpeg", picture.width, picture.height)
            rows.append(product(design, stored))
            if progress:
                progress(index + 1, products)
        info = CatalogueInfo(name="sample", source=f"drawn (seed {seed})", licence=LICENCE)
        return writer.finish(info, rows)
    except BaseException:
        writer.abandon()
        raise


def _encoded(picture: Image.Image) -> bytes:
    """The picture as a JPEG file of some 10 kB."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0", optimize=True)
    return stream.getvalue()
