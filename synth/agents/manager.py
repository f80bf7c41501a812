"""The manager: opening, the choice between chit-chat and recommendation, settling, and the round limit (MUSE §3.3)."""

from __future__ import annotations

import random
from typing import NamedTuple

from synth.agents.dialogue import Ask, Dialogue
from synth.prompts import calls
from synth.prompts.calls import OutfitInput, ProductCard
from synth.prompts.cards import Cards
from synth.traces.events import ChoiceEvent

MAX_RECOMMENDATIONS = 6
"""The last of them is the hand-over of the target, as in MUSE's code."""
_CHIT_CHAT = 0.9
_FADING = 0.65
"""Chance of chit-chat after the first recommendation, and what is left of it with every further one."""
_SETTLE = ((2, 0.05), (3, 0.45), (4, 0.5))
"""From which recommendation on a user takes a product that meets what they asked for: chances of the schedule."""
_OUTFIT_POOL = 60
_OUTFIT_TRIES = 2


class Schedule(NamedTuple):
    """What the manager has drawn for one conversation beforehand."""

    chit_chat: tuple[bool, ...]
    """After recommendation n (from 0): small talk before the user decides?"""
    settle_from: int
    """Number of recommendations after which the user also takes another product than the one in mind."""
    recommendations: int = MAX_RECOMMENDATIONS
    """The last of them is the hand-over."""


def schedule(rng: random.Random) -> Schedule:
    """Less chit-chat the longer it lasts, never twice running."""
    chats: list[bool] = []
    for n in range(MAX_RECOMMENDATIONS):
        after_chat = bool(chats and chats[-1])
        chats.append(not after_chat and rng.random() < _CHIT_CHAT * _FADING**n)
    settle = rng.choices([n for n, _ in _SETTLE], [p for _, p in _SETTLE])[0]
    return Schedule(tuple(chats), settle)


async def open_with_outfit(dialogue: Dialogue, ask: Ask, cards: Cards, ids: list[str], rng: random.Random) -> None:
    """Makes the opening multimodal where an item is found that goes with the target; only for things that are worn."""
    target = dialogue.target
    if target.wearer is None or "type" not in target.facets:
        return
    tries = 0
    for product_id in rng.sample(ids, min(_OUTFIT_POOL, len(ids))):
        item = cards[product_id]
        if not _plausible(target, item):
            continue
        tries += 1
        verdict = await ask(calls.OUTFIT, OutfitInput(target, item), f"0.outfit.{tries}")
        if verdict.verdict:
            dialogue.opening, dialogue.outfit = "multimodal", item
            dialogue.events.append(ChoiceEvent(step="0", choice="multimodal", reason=verdict.reason))
            return
        if tries == _OUTFIT_TRIES:
            break
    dialogue.events.append(ChoiceEvent(step="0", choice="text", reason="no item was found that goes with the target"))


def _plausible(target: ProductCard, item: ProductCard) -> bool:
    """What attributes alone can rule out is not worth a model call."""
    if item.image is None or item.facets.get("type") == target.facets["type"] or item.wearer is None:
        return False
    if item.categories and item.categories[:-1] == target.categories[:-1] and len(item.categories) > 1:
        return False
    assert target.wearer is not None
    genders = {target.wearer.gender, item.wearer.gender} - {None}
    same_use = target.facets.get("usage") == item.facets.get("usage")
    return len(genders) < 2 and target.wearer.child == item.wearer.child and same_use
