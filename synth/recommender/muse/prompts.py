"""What a model is asked at a moment of a conversation. The wording is ours; the tasks are MUSE's (§5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synth.recommender.asking import Asked
from synth.recommender.muse.data import Line, Moment, MuseData, card

Task = Literal["recommend", "respond"]
TASKS: tuple[Task, ...] = ("recommend", "respond")
PICTURES = 3
"""Of the conversation's pictures, the latest so many are shown."""
QUERY_TOKENS, RESPONSE_TOKENS = 48, 160
"""Of an answer, at most."""

_SHOP = "You are the assistant in a shop's chat. "
_QUERY = _SHOP + (
    "Read the conversation{look}. Write the query with which the shop's "
    "product search finds what this customer wants now: the kind of product, for whom, and every wish as a word that "
    "product descriptions use; what was turned down as what is wanted instead. Answer with the query alone: keywords "
    "on one line, no sentence, no negation."
)
_ANSWER = (
    _SHOP + "Read the conversation, and say what you say next. Answer with your words alone, one to three sentences."
)
_RECOMMEND = _SHOP + (
    "Read the conversation, then recommend the product below{whose}: name it once, and give reasons that suit this "
    "customer{seen}. Answer with your words alone, two or three sentences."
)
_LOOK = ", and look at the pictures that were shown in it"
_WHOSE, _SEEN = ", whose picture is the last one", ", one of them to be seen in the picture"
_SAY = "\n\nWrite what you say next."
_SPEAKERS = {"user": "Customer", "assistant": "Assistant"}
_THOUGHT = re.compile(r"\A.*</think>|<think>.*\Z", re.DOTALL)
"""A template may have opened it in the prompt."""
_FENCE = re.compile(r"\s*```\s*\w*\s*")
_MARK = re.compile(r"^\s*(?:[-*•>]|\d{1,2}[.)])\s+")
_LABEL = re.compile(r"^(?:(?:the )?(?:search )?query|search)(?: is)?\s*:\s*", re.IGNORECASE)
_AROUND = "\"'“”‘’`*_ "
"""Quotes and markup."""
_NAMED = re.compile(r"^(?:assistant|response|answer)\s*:\s*", re.IGNORECASE)
_WORDS = 60


@dataclass(frozen=True)
class Fit:
    """How long a text may be."""

    measure: Callable[[str], int]
    """Tokens of a text."""
    room: int
    """Tokens; what is more is taken from the conversation's beginning."""


def ask(task: Task, moment: Moment, data: MuseData, pictures: int = PICTURES, fit: Fit | None = None) -> Asked:
    """What a model is asked at a moment.

    In the second task a turn that recommends is given its product, with its picture as the last one; any other turn is
    to be said from the conversation alone.

    Args:
        pictures: how many of the conversation's, the latest; 0 for none at all, for models that only read.
        fit: None keeps the whole conversation. The last utterance and the product are never cut.
    """
    head, tail, most = _ANSWER, _SAY, RESPONSE_TOKENS
    numbered, paths = _numbered(moment.context, pictures)
    own = None
    if task == "recommend":
        head, tail, most = _QUERY.format(look=_LOOK if paths else ""), "\n\nWrite the query.", QUERY_TOKENS
    elif moment.product:
        own = data.picture(moment.product) if pictures else None
        head = _RECOMMEND.format(whose=_WHOSE if own else "", seen=_SEEN if own else "")
        tail = f"\n\nProduct: {card(data.catalogue[moment.product])}{_SAY}"
    lines = _latest(numbered, fit, head, tail) if fit else numbered
    text = "\n".join([head, "\nConversation:", *lines]) + tail
    return Asked(f"{task}:{moment.id}", text, (*paths, own) if own else tuple(paths), max_tokens=most)


def _numbered(context: Sequence[Line], most: int) -> tuple[list[str], list[Path]]:
    """The lines, each with the numbers of its pictures, and the pictures' files."""
    every = [path for line in context for path in line.pictures]
    kept = every[len(every) - most :] if 0 < most < len(every) else every if most else []
    first = len(every) - len(kept)
    lines, seen = [], 0
    for line in context:
        numbers = [number - first + 1 for number in range(seen, seen + len(line.pictures)) if number >= first and most]
        seen += len(line.pictures)
        marks = "".join(f" (picture {number})" for number in numbers)
        lines.append(f"{_SPEAKERS[line.speaker]}: {' '.join(line.text.split())}{marks}")
    return lines, kept


def _latest(lines: Sequence[str], fit: Fit, head: str, tail: str) -> list[str]:
    room = fit.room - fit.measure(f"{head}\n\nConversation:\n{tail}")
    kept: list[str] = []
    for line in reversed(lines):
        room -= fit.measure(line + "\n")
        if room < 0 and kept:
            break
        kept.insert(0, line)
    return kept


def read_query(answer: str) -> str:
    """The query in what a model wrote: its first line that says something, without label, quotes, markup or list mark.

    Thoughts, fences and lines that only announce what follows (they end in a colon) say nothing.
    """
    for line in _THOUGHT.sub("", answer).splitlines():
        said = _MARK.sub("", line).strip(_AROUND)
        if _FENCE.fullmatch(line) or said.endswith(":"):
            continue
        text = _LABEL.sub("", said.replace("**", "").replace("__", "")).strip(_AROUND + "-")
        if text:
            return " ".join(text.split()[:_WORDS])
    return ""


def read_response(answer: str) -> str:
    """The words in what a model wrote, without its thoughts, on one line."""
    return _NAMED.sub("", " ".join(_THOUGHT.sub("", answer).split())).strip()
