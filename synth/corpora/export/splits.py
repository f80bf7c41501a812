"""Splits 8:1:1 in which no target product and no person is on two sides, the same in every export of a run."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.corpora.records import Conversation
from synth.randomness import rng

SPLITS = ("train", "validation", "test")
FILE = "splits.json"
_SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Splits:
    """Which conversation is in which split."""

    split: dict[str, str]
    """By conversation id."""
    group: dict[str, str]
    """By conversation id: the first conversation it is tied to, by target or person, directly or through others."""
    held: dict[str, dict[str, int]]
    """By split: how many conversations, targets and persons."""
    leaks: dict[str, int]
    """Targets and persons that are in two splits; counted, and 0."""

    def facts(self) -> dict[str, Any]:
        """What `splits.json` says."""
        sizes = Counter(self.group.values())
        total = max(len(self.split), 1)
        return {
            "rule": "8:1:1; conversations that share a target or a person, directly or through others, stay together",
            "splits": {
                name: {**held, "share": round(held["conversations"] / total, 4)} for name, held in self.held.items()
            },
            "groups": len(sizes),
            "largest_group": max(sizes.values(), default=0),
            "in_two_splits": self.leaks,
            "conversations": self.split,
        }

    def write(self, folder: Path) -> None:
        """Writes `splits.json`."""
        text = json.dumps(self.facts(), ensure_ascii=False, indent=1) + "\n"
        (folder / FILE).write_text(text, "utf-8", newline="\n")


def split(conversations: Iterable[Conversation], seed: int, kept: Callable[[str], bool] = lambda _: True) -> Splits:
    """Splits conversations by groups; see `assign` for the sizes.

    Args:
        kept: whether the conversation of an id is exported; the others only tie groups together.
    """
    keys = {conversation.id: _keys(conversation) for conversation in conversations}
    group = _groups(keys)
    chosen = assign(Counter(group.values()), seed)
    keys = {name: pair for name, pair in keys.items() if kept(name)}
    group = {name: group[name] for name in keys}
    return report(keys, {name: SPLITS[chosen[first]] for name, first in group.items()}, group)


def report(keys: Mapping[str, tuple[str, str]], split: dict[str, str], group: dict[str, str]) -> Splits:
    """Counts what fell where, from the splits as they are and not as they were meant.

    Args:
        keys: target and person by conversation id.
    """
    sides: list[dict[str, set[str]]] = [defaultdict(set), defaultdict(set)]
    held: dict[str, list[set[str]]] = {name: [set(), set(), set()] for name in SPLITS}
    for name, pair in keys.items():
        for place, key in enumerate((name, *pair)):
            held[split[name]][place].add(key)
        for side, key in zip(sides, pair, strict=True):
            side[key].add(split[name])
    kinds = ("conversations", "targets", "persons")
    return Splits(
        split=split,
        group=group,
        held={name: dict(zip(kinds, map(len, sets), strict=True)) for name, sets in held.items()},
        leaks={
            kind: sum(len(names) > 1 for names in side.values()) for kind, side in zip(kinds[1:], sides, strict=True)
        },
    )


def assign(sizes: Mapping[str, int], seed: int) -> dict[str, int]:
    """A split (0 train, 1 validation, 2 test) for each group, near 8:1:1 in conversations.

    The largest group comes first. A group goes where its hash says, or, where that split has no room left, to the
    split with the most room: splits are as near to their sizes as whole groups allow, and each holds groups of all
    sizes.
    """
    room = _quotas(sum(sizes.values()))
    chosen: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], rng(seed, "order", name).random())):
        wanted = split_of(name, seed)
        if room[wanted] < sizes[name]:
            wanted = room.index(max(room))
        room[wanted] -= sizes[name]
        chosen[name] = wanted
    return chosen


def split_of(key: str, seed: int) -> int:
    """What the hash of a key says: 0 (train), 1 (validation) or 2 (test)."""
    drawn = rng(seed, "split", key).random()
    return (drawn >= _SHARES[0]) + (drawn >= _SHARES[0] + _SHARES[1])


def _quotas(total: int) -> list[int]:
    """Whole numbers near 8:1:1 that add up; what is left over goes to the largest remainders."""
    exact = [total * share for share in _SHARES]
    quotas = [int(size + 1e-9) for size in exact]
    order = sorted(range(len(exact)), key=lambda place: quotas[place] - exact[place])
    for place in order[: total - sum(quotas)]:
        quotas[place] += 1
    return quotas


def _keys(conversation: Conversation) -> tuple[str, str]:
    return conversation.target_id, conversation.profile.person.model_dump_json()


def _groups(keys: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The first conversation of its group, by conversation id; groups are found by joining what shares a key."""
    parent: dict[str, str] = {}
    holder: dict[tuple[int, str], str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    order: dict[str, int] = {}
    for name, pair in keys.items():
        parent[name], order[name] = name, len(order)
        for key in enumerate(pair):
            first, second = sorted((root(name), root(holder.setdefault(key, name))), key=order.__getitem__)
            parent[second] = first
    return {name: root(name) for name in parent}
