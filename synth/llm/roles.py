"""Messages in strict alternation, for models that take nothing else."""

from __future__ import annotations

from itertools import groupby

from synth.prompts.templates import Message

_START = Message("user", "(The conversation begins.)")


def alternating(messages: list[Message]) -> list[list[Message]]:
    """Messages after the system's, grouped by role: the first group is the user's and roles take turns.

    Messages without text and pictures are left out: there is nothing to send.
    """
    spoken = [message for message in messages if message.role != "system" and (message.text.strip() or message.images)]
    if not spoken or spoken[0].role != "user":
        spoken.insert(0, _START)
    return [list(group) for _, group in groupby(spoken, key=lambda message: message.role)]
