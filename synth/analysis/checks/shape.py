"""How a conversation is built, and whether its ending is what it says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from synth.analysis.checks.case import Case, Finding

STRUCTURE = "broken structure"
CHATTER = "chit-chat twice running"
ENDING = "endings that contradict"
PICTURES = "missing pictures"
CHECKS = (STRUCTURE, CHATTER, ENDING, PICTURES)

_ACTS = {
    "user": {"need", "answer", "reject", "accept", "chit_chat"},
    "assistant": {"greet", "ask", "recommend", "chit_chat"},
}
_ID = re.compile(r"c(\d+)\Z")


def number(conversation_id: str) -> int | None:
    """The draw that a conversation came from, which is its calls' item in the run's store."""
    match = _ID.match(conversation_id)
    return int(match[1]) if match else None


def structure(case: Case) -> Iterator[Finding]:
    conversation = case.conversation
    turns = conversation.turns

    def broken(turn: int | None, what: str) -> Finding:
        return case.found(STRUCTURE, turn, what)

    if number(conversation.id) is None:
        yield broken(None, "the id names no draw, so the prompts behind it cannot be found")
    if not case.scenario:
        yield broken(None, f"scenario {conversation.profile.scenario_id} is not in scenarios.jsonl")
    if conversation.profile.target_id != conversation.target_id:
        yield broken(None, f"target is {conversation.target_id}, the profile's {conversation.profile.target_id}")
    if len(conversation.drafts) != len(turns):
        yield broken(None, f"{len(conversation.drafts)} drafts for {len(turns)} turns")
    if not turns or turns[-1].speaker != "user" or turns[-1].act != "accept":
        yield broken(len(turns) - 1 if turns else None, "it does not end with the user's acceptance")
    for place, turn in enumerate(turns):
        if turn.index != place:
            yield broken(place, f"its index is {turn.index}")
        if turn.act not in _ACTS[turn.speaker]:
            yield broken(place, f"{turn.act} is no act of the {turn.speaker}")
        if turn.act == "recommend" and len(turn.products) != 1:
            yield broken(place, f"it recommends {len(turn.products)} products")
    for one, other in pairwise(turns):
        if one.speaker == other.speaker:
            yield broken(other.index, f"the {one.speaker} speaks twice running")
    named = {conversation.target_id, conversation.outfit_id, *(i for turn in turns for i in turn.products)}
    for product_id in sorted(named - {None}, key=str):
        if case.goods.get(product_id) is None:
            yield broken(None, f"product {product_id} is not in the run's catalogue")


def chatter(case: Case) -> Iterator[Finding]:
    last: dict[str, str] = {}
    for turn in case.conversation.turns:
        if turn.act == "chit_chat" and last.get(turn.speaker) == "chit_chat":
            yield case.found(CHATTER, turn.index, f"the {turn.speaker}'s last turn was chit-chat, too")
        last[turn.speaker] = turn.act


def ending(case: Case) -> Iterator[Finding]:
    """`hit` is the target, `fit` another product that contradicts nothing, `forced` a hand-over of the target."""
    conversation = case.conversation
    accepted, target = conversation.accepted_id, conversation.target_id
    last = case.recommendations[-1] if case.recommendations else None
    turn = len(conversation.turns) - 1

    def contradiction(what: str) -> Finding:
        return case.found(ENDING, turn, f"{conversation.ended_by}: {what}")

    if accepted is None or last is None or accepted not in last.products:
        yield contradiction(f"accepted is {accepted}, which is not the last product recommended")
    if conversation.ended_by == "fit":
        if accepted == target:
            yield contradiction("the accepted product is the target, which is a hit")
        elif accepted is not None:
            for what in misfits(case, accepted):
                yield contradiction(what)
    elif accepted != target:
        yield contradiction(f"accepted is {accepted}, the target {target}")
    if conversation.ended_by == "forced" and (last is None or last.retrieval is not None):
        yield contradiction("the last recommendation is no hand-over")


def misfits(case: Case, product_id: str) -> Iterator[str]:
    """In what an accepted product contradicts the requirements or its wearer."""
    profile = case.conversation.profile
    for requirement in profile.requirements:
        if case.goods.contradicts(product_id, requirement):
            yield f"{product_id} contradicts {requirement.attribute} {requirement.value!r}"
    who, child = (profile.recipient, profile.recipient.child) if profile.recipient else (profile.person, False)
    misfit = case.goods.misfit(product_id, who.gender, child)
    if misfit:
        yield f"{product_id}: {misfit}"


def pictures(case: Case, stored: Collection[str]) -> Iterator[Finding]:
    """
    Args:
        stored: hashes of the pictures in the run's folder.
    """
    for turn in case.conversation.turns:
        for image in turn.images:
            if image not in stored:
                yield case.found(PICTURES, turn.index, f"{image} is not in the run's images folder")
