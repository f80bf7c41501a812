"""What every reader yields: conversations with as much beside their texts as a data set tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synth.corpora.records import Act, Ending, Gender, Opening, Product, Speaker


@dataclass(frozen=True, slots=True)
class Buyer:
    """Whoever looks for something, and why, as far as the data set says."""

    name: str
    gender: Gender | None
    age: int | None
    """Years."""
    profession: str = ""
    backstory: str = ""
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn."""

    speaker: Speaker
    text: str
    act: Act | None = None
    draft: str | None = None
    """The text before a rewriter had it; None where nothing is known of one."""
    items: tuple[str, ...] = ()
    """Ids of the products (films, …) it is about."""
    images: tuple[str, ...] = ()
    """Names of the pictures shown with it; equal names are the same picture."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation, or a profile for one that was never held: then it has no turns."""

    id: str
    turns: tuple[Utterance, ...]
    users: tuple[str, ...] = ()
    """Names of the people in it. Human-to-human data have two; a simulated assistant is nobody."""
    buyer: Buyer | None = None
    target: str | None = None
    opening: Opening | None = None
    ended_by: Ending | None = None
    number: int | None = None
    """The number of its draw, in a run."""

    @property
    def items(self) -> set[str]:
        """Ids of all that is named or shown in it, and of the target."""
        named = {item for turn in self.turns for item in turn.items}
        return named | {self.target} if self.target else named


@dataclass(frozen=True, slots=True)
class Data:
    """A data set that a reader has recognised; `dialogues()` reads it from the start each time."""

    name: str
    format: str
    path: Path
    dialogues: Callable[[], Iterator[Dialogue]]
    product: Callable[[str], Product | None] = lambda _: None
    """A product's record by its id; None where the data set has none (any more)."""
    catalogue: tuple[int, int] | None = None
    """Products and pictures of the catalogue behind it; None where it is not part of the data set."""
