"""A catalogue whose pictures lie in several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Picture


class Gathered(Catalogue):
    """
    Args:
        catalogue: its records.
        images: folders with pictures, the first that has one counts.
    """

    def __init__(self, catalogue: Catalogue, images: Sequence[Path]) -> None:
        super().__init__(catalogue.folder, catalogue.info, catalogue.products, catalogue.images)
        self._folders = images
        self.missing: set[str] = set()
        """Hashes of pictures that were looked for and are nowhere."""

    def image_path(self, picture: Picture) -> Path:
        for folder in self._folders:
            path = folder / picture.filename
            if path.is_file():
                return path
        self.missing.add(picture.hash)
        return super().image_path(picture)
