"""How large a data set is (MUSE, Table 2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from synth.corpora.readers import Data, Dialogue


@dataclass(frozen=True, slots=True)
class Size:
    conversations: int
    """With at least one turn."""
    profiles: int
    """Dialogues that say who buys, held or not."""
    turns: int
    users: int
    """Different people, as the data set tells them apart; 0 where it does not."""
    items: int
    """Different products that are shown, named or wanted."""
    images: int
    """Different pictures that are shown."""
    catalogue_items: int | None
    """Products of the catalogue behind it; None where there is none."""
    catalogue_images: int | None

    @property
    def turns_per_conversation(self) -> float:
        return self.turns / self.conversations if self.conversations else 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "turns_per_conversation": self.turns_per_conversation}


class SizeCounter:
    """Counts as conversations go by."""

    def __init__(self) -> None:
        self._conversations = self._profiles = self._turns = 0
        self._users: set[str] = set()
        self._items: set[str] = set()
        self._images: set[str] = set()

    def add(self, dialogue: Dialogue) -> None:
        self._conversations += bool(dialogue.turns)
        self._profiles += dialogue.buyer is not None
        self._turns += len(dialogue.turns)
        self._users.update(dialogue.users)
        self._items.update(dialogue.items)
        for turn in dialogue.turns:
            self._images.update(turn.images)

    def size(self, data: Data) -> Size:
        items, images = data.catalogue or (None, None)
        return Size(
            self._conversations,
            self._profiles,
            self._turns,
            len(self._users),
            len(self._items),
            len(self._images),
            items,
            images,
        )
