"""What people say of a run's conversations: `judgements.jsonl`, append-only, one record a line.

A later word of the same annotator on the same conversation replaces the earlier one when read; nothing is erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import ValidationError

from synth.corpora.records import Record

FILE = "judgements.jsonl"
Judgement = Literal["good", "unsure", "bad"]


class Verdict(Record):
    """A person's verdict on one conversation: the sixth filter of MUSE's Fig. 9."""

    kind: Literal["verdict"] = "verdict"
    conversation: str
    annotator: str
    """A pseudonym."""
    verdict: Judgement
    note: str = ""
    at: float
    """Unix time."""


def add(run: Path, verdict: Verdict) -> None:
    """Appends a verdict; half a line that a killed process left is closed first, and stays unread."""
    path = run / FILE
    with FileLock(path.with_suffix(".lock")), path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(verdict.model_dump_json().encode() + b"\n")


def verdicts(run: Path) -> Iterator[Verdict]:
    """All verdicts in the order they were given; lines that are none are passed over."""
    path = run / FILE
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield Verdict.model_validate_json(line)
            except ValidationError:
                continue


def latest_verdicts(run: Path) -> dict[str, Judgement]:
    """The last verdict on each conversation, whoever gave it."""
    return {verdict.conversation: verdict.verdict for verdict in verdicts(run)}
