"""Many product pictures on one page."""

from __future__ import annotations

from PIL import Image

from synth.corpora.catalogue import Catalogue

TILE = (160, 200)
"""Width and height of a picture on the page, pixels."""
PAPER = (255, 255, 255)


def contact_sheet(catalogue: Catalogue, n: int = 40, columns: int = 10) -> Image.Image:
    """The first picture of each of the first `n` products that have one, row by row.

    Returns:
        An RGB picture, 160 × `columns` pixels wide and 200 pixels high for each row.
    """
    shown = [product for product in catalogue if product.images][:n]
    rows = max(1, -(-len(shown) // columns))
    page = Image.new("RGB", (TILE[0] * columns, TILE[1] * rows), PAPER)
    for place, product in enumerate(shown):
        with Image.open(catalogue.image_path(product.images[0])) as picture:
            tile = picture.convert("RGB")
        tile.thumbnail(TILE, Image.Resampling.LANCZOS)
        row, column = divmod(place, columns)
        left = column * TILE[0] + (TILE[0] - tile.width) // 2
        page.paste(tile, (left, row * TILE[1] + (TILE[1] - tile.height) // 2))
    return page
