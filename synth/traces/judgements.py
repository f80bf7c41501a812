"""What people say of a run's conversations: `judgements.jsonl`, append-only, one record a line.

A later word of the same annotator on the same subject replaces the earlier one when read; nothing is erased.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError

from synth.corpora.records import Record
from synth.errors import SynthError

FILE = "judgements.jsonl"
Opinion = Literal["good", "unsure", "bad"]
Aspect = Literal["logical", "informative", "natural", "coherent"]
"""What MUSE's annotators compared conversations by (Figs. 20 and 21)."""
Choice = Literal["a", "b", "tie"]
Version = Literal["final", "draft"]
ReplyAct = Literal["recommend", "chit_chat", "accept", "reject"]

OPINIONS: tuple[Opinion, ...] = get_args(Opinion)
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
REPLY_ACTS: tuple[ReplyAct, ...] = get_args(ReplyAct)
NOTE, REPLY = 2_000, 4_000
"""Characters of a note, and of a reply, at most."""
_PSEUDONYM = r"^[^\W_][\w .'-]{0,39}$"
_WAIT = 10.0
"""Seconds that an append waits for other writers."""

Annotator = Annotated[str, Field(pattern=_PSEUDONYM)]
"""A pseudonym."""
ConversationId = Annotated[str, Field(pattern=r"^c\d{6,12}$")]
Seconds = Annotated[float, Field(ge=0)]


class Verdict(Record):
    """A person's verdict on one conversation: the sixth filter of MUSE's Fig. 9."""

    kind: Literal["verdict"] = "verdict"
    conversation: ConversationId
    annotator: Annotator
    verdict: Opinion | None
    """None: taken back, or a note only."""
    note: Annotated[str, Field(max_length=NOTE)] = ""
    at: Seconds
    """Unix time."""

    @property
    def subject(self) -> Hashable:
        return self.kind, self.conversation


class Side(Record):
    """One conversation of a pair, and whose it is."""

    source: str
    """Name of the run, or of the file."""
    conversation: str
    version: Version = "final"
    """`draft`: as it was before the rewriter."""

    @property
    def system(self) -> str:
        """What is compared."""
        return self.source if self.version == "final" else f"{self.source}, drafts"


def pair_subject(a: Side, b: Side) -> Hashable:
    """The same pair the other way round is the same subject."""
    return "pair", frozenset((a, b))


class PairChoice(Record):
    """Which of two conversations is better by each aspect, said without knowing whose they are."""

    kind: Literal["pair"] = "pair"
    a: Side
    b: Side
    left: Literal["a", "b"]
    """The one that was shown on the left, as A."""
    choices: Annotated[dict[Aspect, Choice], Field(min_length=1)]
    annotator: Annotator
    seconds: Seconds
    """From the page to the answer."""
    at: Seconds
    """Unix time."""

    @property
    def subject(self) -> Hashable:
        return pair_subject(self.a, self.b)


class HumanReply(Record):
    """What a person wrote in an agent's place."""

    kind: Literal["reply"] = "reply"
    conversation: ConversationId
    turn: Annotated[int, Field(ge=0)]
    """Index of the turn it stands for; the turns before it were all that the person saw of the conversation."""
    act: ReplyAct
    text: Annotated[str, Field(min_length=1, max_length=REPLY)]
    annotator: Annotator
    at: Seconds
    """Unix time."""

    @property
    def subject(self) -> Hashable:
        return self.kind, self.conversation, self.turn


Judgement = Verdict | PairChoice | HumanReply
_ADAPTER: TypeAdapter[Judgement] = TypeAdapter(Annotated[Judgement, Field(discriminator="kind")])


def pseudonym(text: str) -> str:
    """The pseudonym in what somebody typed.

    Raises:
        SynthError: it is none.
    """
    name = " ".join(text.split())
    if not name:
        raise SynthError("Choose a pseudonym first.", "Any word will do; not your name.")
    if "@" in name:
        raise SynthError("That looks like an address.", "Choose a pseudonym: no e-mail address, no handle.")
    if len(name) > 40:
        raise SynthError("A pseudonym has 40 characters at most.")
    if not re.match(_PSEUDONYM, name):
        raise SynthError("A pseudonym begins with a letter, and has letters, digits, spaces, dots and hyphens only.")
    return name


def add(run: Path, judgement: Judgement) -> None:
    """Appends a record; half a line that a killed process left is closed first, and stays unread.

    Raises:
        SynthError: the run's folder cannot be written to.
    """
    path = run / FILE
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_WAIT), path.open("a+b") as file:
            if file.seek(0, 2):
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(judgement.model_dump_json().encode() + b"\n")
    except Timeout:
        raise SynthError(f"{path} is held by another process.", "Try again.") from None
    except OSError as error:
        raise SynthError(f"{path} cannot be written: {error.strerror or error}.", "Nothing was saved.") from error


def read(run: Path) -> Iterator[Judgement]:
    """All records in the order they were given; lines that are none are passed over."""
    path = run / FILE
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                try:
                    yield _ADAPTER.validate_json(line)
                except ValidationError:
                    continue


def latest(run: Path) -> list[Judgement]:
    """Each annotator's last word on each subject, in the order of their first."""
    return list({(record.annotator, record.subject): record for record in read(run)}.values())


def consensus(opinions: Iterable[Opinion]) -> Opinion | None:
    """What most say; `unsure` where that is not one answer, None where there is no opinion."""
    counts = Counter(opinions).most_common(2)
    if not counts:
        return None
    return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else "unsure"


def verdicts_of(records: Iterable[Judgement]) -> Mapping[str, list[Verdict]]:
    """Verdicts and notes by conversation."""
    found: defaultdict[str, list[Verdict]] = defaultdict(list)
    for record in records:
        if isinstance(record, Verdict) and (record.verdict or record.note):
            found[record.conversation].append(record)
    return found


def latest_verdicts(run: Path) -> dict[str, Opinion]:
    """What the annotators together say of each conversation that has a verdict."""
    found = {
        conversation: consensus(verdict.verdict for verdict in verdicts if verdict.verdict)
        for conversation, verdicts in verdicts_of(latest(run)).items()
    }
    return {conversation: opinion for conversation, opinion in found.items() if opinion}
