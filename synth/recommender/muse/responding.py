"""What systems say in the assistant's place, beside what the run's assistant said (MUSE §5, Table 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synth.recommender.muse.data import Moment
from synth.recommender.runs import Query, Response, RunFile

TASK = "muse.respond"
METRICS = ("bleu4.char_method3", "bleu4.word_method3", "bleu", "rouge1", "rougeL", "distinct4.corpus", "words")
"""Table 5's, by their exact names: MUSE's BLEU-4 seems to be the first."""


def questions(moments: Sequence[Moment]) -> list[Query]:
    """What systems are asked, with the run's words as the reference."""
    return [Query(moment.id, moment.conversation, "", (), reference=moment.text) for moment in moments]


def said(name: str, responses: Mapping[str, str], moments: Sequence[Moment], facts: Mapping[str, Any]) -> RunFile:
    """A system's run: its words at each moment; empty where it said nothing.

    Args:
        facts: what tables say of the system.
    """
    kept = {moment.id: responses.get(moment.id, "") for moment in moments}
    answers = {query: Response(text, bool(text)) for query, text in kept.items()}
    return RunFile(name, {}, answers, {"task": TASK, "metrics": list(METRICS), **facts})
