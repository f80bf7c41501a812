"""How conversations end, and after how many recommendations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from synth.corpora.readers import Dialogue


@dataclass(slots=True)
class Rounds:
    """Conversations whose ending is known; a round is a recommendation."""

    endings: Counter[str] = field(default_factory=Counter)
    """`hit`, `fit`, `forced`."""
    by_round: Counter[tuple[int, str]] = field(default_factory=Counter)

    def add(self, dialogue: Dialogue) -> None:
        if dialogue.ended_by is not None:
            self.endings[dialogue.ended_by] += 1
            self.by_round[sum(turn.act == "recommend" for turn in dialogue.turns), dialogue.ended_by] += 1

    def to_json(self) -> dict[str, Any]:
        rounds: dict[str, dict[str, int]] = {}
        for (number, ending), count in sorted(self.by_round.items()):
            rounds.setdefault(str(number), {})[ending] = count
        return {"endings": dict(self.endings.most_common()), "rounds": rounds}
