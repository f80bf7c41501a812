"""Turns by role and act."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from synth.corpora.readers import Dialogue
from synth.corpora.records import Act, Speaker


@dataclass(slots=True)
class Acts:
    """How many turns of what kind, and how conversations open."""

    turns: Counter[Speaker] = field(default_factory=Counter)
    acts: Counter[tuple[Speaker, Act]] = field(default_factory=Counter)
    """Turns whose act is stated."""
    openings: Counter[str] = field(default_factory=Counter)
    """`text`, `multimodal`; conversations of which it is known."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Conversations by their number of turns."""

    def add(self, dialogue: Dialogue) -> None:
        self.lengths[len(dialogue.turns)] += 1
        if dialogue.opening is not None:
            self.openings[dialogue.opening] += 1
        for turn in dialogue.turns:
            self.turns[turn.speaker] += 1
            if turn.act is not None:
                self.acts[turn.speaker, turn.act] += 1

    def to_json(self) -> dict[str, Any]:
        acts: dict[str, dict[str, int]] = {}
        for (speaker, act), count in self.acts.most_common():
            acts.setdefault(speaker, {})[act] = count
        return {
            "turns": dict(self.turns.most_common()),
            "acts": acts,
            "openings": dict(self.openings.most_common()),
            "lengths": {str(length): self.lengths[length] for length in sorted(self.lengths)},
        }
