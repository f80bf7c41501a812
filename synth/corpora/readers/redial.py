"""Reads ReDial's JSON lines (Li et al., NeurIPS 2018), and data sets written in its form.

The initiator looks for a film and is the user; the respondent recommends and is the assistant. `@12345` in a text
stands for a film, and is read as its title, as the people saw it. Both workers are users, as ReDial counts them; in our
own exports worker 0 is a simulated assistant, and nobody.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from synth.corpora.readers.dialogue import Data, Dialogue, Utterance
from synth.corpora.readers.rows import parse_rows, read_rows
from synth.corpora.records import Act, Ending

_MENTION = re.compile(r"@(\w+)")


def recognises(value: Any) -> bool:
    return isinstance(value, dict) and {"messages", "initiatorWorkerId", "respondentWorkerId"} <= value.keys()


def read(path: Path) -> Data:
    return Data(path.resolve().stem, "redial", path, lambda: parse_rows(read_rows(path), _dialogue, "ReDial"))


def _dialogue(value: Any, _: int) -> Dialogue:
    if not recognises(value):
        raise ValueError("no messages between an initiator and a respondent")
    titles = _titles(value.get("movieMentions"))
    seeker, guide = value["initiatorWorkerId"], value["respondentWorkerId"]
    ours = value.get("synth") or {}
    acts = ours.get("acts") or []
    turns = []
    for number, message in enumerate(value["messages"]):
        text = str(message["text"])
        act = acts[number] if number < len(acts) else None
        turns.append(
            Utterance(
                "user" if message["senderWorkerId"] == seeker else "assistant",
                _MENTION.sub(lambda found: titles.get(found[1]) or found[0], text),
                act if act in get_args(Act) else None,
                items=tuple(dict.fromkeys(item for item in _MENTION.findall(text) if item in titles)),
            )
        )
    target, ended_by = ours.get("target"), ours.get("ended_by")
    return Dialogue(
        id=str(value.get("conversationId", "")),
        turns=tuple(turns),
        users=(str(seeker),) if ours else tuple(map(str, dict.fromkeys((seeker, guide)))),
        target=None if target is None else str(target),
        ended_by=ended_by if ended_by in get_args(Ending) else None,
    )


def _titles(mentions: Any) -> dict[str, str]:
    """Titles by id. An empty dictionary is an empty list in the released files; other copies have a list of pairs."""
    if isinstance(mentions, dict):
        return {str(item): str(title or "") for item, title in mentions.items()}
    return {str(film["movieId"]): str(film.get("movieName") or "") for film in mentions or ()}
