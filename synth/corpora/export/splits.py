"""Splits 8:1:1, decided by hash: the same conversation is in the same split in every export of a run."""

from __future__ import annotations

from collections.abc import Iterable

from synth.corpora.records import Conversation
from synth.randomness import rng

_SHARES = (0.8, 0.9)


def split_of(key: str, seed: int) -> int:
    """0 (train), 1 (validation) or 2 (test)."""
    drawn = rng(seed, "split", key).random()
    return sum(drawn >= share for share in _SHARES)


def groups(conversations: Iterable[Conversation]) -> dict[str, str]:
    """Group by conversation id: conversations that share a target product or a person, directly or through others.

    A group is named by its first conversation, so a run that was extended keeps its groups, except where a new
    conversation joins two of them.
    """
    parent: dict[str, str] = {}
    holder: dict[tuple[str, str], str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    order: dict[str, int] = {}
    for conversation in conversations:
        name = conversation.id
        parent[name], order[name] = name, len(order)
        person = conversation.profile.person.model_dump_json()
        for key in (("target", conversation.target_id), ("person", person)):
            first, second = sorted((root(name), root(holder.setdefault(key, name))), key=order.__getitem__)
            parent[second] = first
    return {name: root(name) for name in parent}
