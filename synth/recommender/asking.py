"""What a writer is asked, and what a writer is: any model that answers in free text, local or of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # Importing it loads torch, which models of the gateway do not need.
    from synth.recommender.method import Progress


ANSWERS = "answers"
"""Folder in `--out` of all that was answered there: with one log, a cap on money holds for all of it."""


@dataclass(frozen=True)
class Asked:
    """One thing asked of a model."""

    id: str
    """Names the answer; unlike all others that are asked at once."""
    text: str
    images: tuple[Path, ...] = ()
    """Files of pictures, shown before the text, in this order."""
    system: str = ""
    max_tokens: int = 256
    """Of the answer."""


class Writer(Protocol):
    """A model that answers in free text, always the same to the same (greedy, or temperature 0)."""

    @property
    def name(self) -> str:
        """As tables show it."""
        ...

    def write(self, asked: Sequence[Asked], folder: Path, progress: Progress | None = None) -> dict[str, str]:
        """Answers by id. An id for which no answer came is missing, and `progress` has been told why.

        What is answered lies in `folder` and is never asked again: its key is a hash of the model, its settings, the
        system text, the text, the bytes of the images and the length allowed. Killed at any time, the same call goes
        on where it was.

        Raises:
            SynthError: an id comes twice, a picture cannot be read, or the model cannot answer at all.
        """
        ...
