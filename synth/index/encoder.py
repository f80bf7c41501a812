"""What an encoder is: it turns products and queries into vectors under names of its own.

BM25 gives one sparse vector, MiniLM one dense, CLIP one of the picture, BGE-M3 a dense, a sparse and a multi-vector;
an index searches by all of them and fuses what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from synth.index.parts import Parts
from synth.index.vectors import QueryVector

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (encoder, items done, items in all)."""


@dataclass(frozen=True)
class Items:
    """What is known of all products, in the order of an index's rows."""

    texts: Sequence[str]
    """Their summaries."""
    pictures: Sequence[Path | None]
    """The file of each one's first picture."""


class Encoder(Protocol):
    """One way to encode products and queries."""

    name: str
    names: tuple[str, ...]
    """Of its vectors."""
    signature: str
    """Says what made the vectors; an index with another signature cannot be searched with this encoder."""
    frozen: str
    """How a run's settings call it: its name, with a hash of the weights where a user can give others."""

    def encode_items(self, items: Items, parts: Parts, folder: Path) -> Mapping[str, str]:
        """Writes the vectors of all items to `folder`, with what it learnt from them (a vocabulary).

        Args:
            parts: keeps what is encoded already through a kill, and tells the progress.

        Returns:
            The kind of each vector by its name.
        """
        ...

    def encode_query(self, text: str) -> Mapping[str, QueryVector]:
        """A query's vectors under the same names: always the same bits for the same text."""
        ...

    def load(self, folder: Path) -> None:
        """Reads what was learnt; raises OSError or ValueError where it cannot."""
        ...
