"""What came of people's judgements: shares with confidence intervals, preferences with a test, agreement."""

from __future__ import annotations

import csv
import io
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

from synth.analysis.agreement import Interval, cohen, fleiss, sign_test, wilson
from synth.corpora.records import Record
from synth.traces.judgements import (
    ASPECTS,
    OPINIONS,
    REPLY_ACTS,
    Aspect,
    Choice,
    HumanReply,
    Judgement,
    Opinion,
    PairChoice,
    ReplyAct,
    consensus,
    verdicts_of,
)

L = TypeVar("L", bound=str)
CHOICES: tuple[Choice, ...] = ("a", "tie", "b")
COLUMNS = (
    *("kind", "annotator", "at", "conversation", "turn", "a", "a_conversation", "b", "b_conversation", "left"),
    *("aspect", "value", "seconds", "text"),
)
"""Of the table of all judgements."""


class Kappa(Record):
    """Agreement of two annotators."""

    one: str
    other: str
    items: int
    """That both judged."""
    kappa: float | None
    """Cohen's; None where it is not defined."""


class Agreement(Record):
    """Agreement of all annotators on one question."""

    items: int
    """That at least two judged."""
    fleiss: float | None
    cohen: tuple[Kappa, ...]


class AspectResult(Record):
    """One aspect of a comparison. A pair counts once: for what most of its annotators chose, else as a tie."""

    aspect: Aspect
    pairs: dict[Choice, int]
    judgements: dict[Choice, int]
    """Single choices, before they were taken together."""
    shares: dict[Choice, Interval]
    """Of the pairs, with Wilson's intervals."""
    p: float
    """The sign test's, over pairs that are no tie; not corrected for there being four aspects."""
    agreement: Agreement


class ComparisonResult(Record):
    """Two systems, compared blindly."""

    a: str
    b: str
    pairs: int
    judgements: int
    annotators: dict[str, int]
    """Pairs by annotator."""
    aspects: tuple[AspectResult, ...]
    left: Interval | None
    """How often the conversation on the left was chosen where one was: far from a half, place was judged."""
    seconds: float
    """Median time for a pair."""


class VerdictResult(Record):
    """Verdicts on single conversations; one that several judged counts for what most of them say."""

    conversations: dict[Opinion, int]
    shares: dict[Opinion, Interval]
    annotators: dict[str, dict[Opinion, int]]
    notes: int
    agreement: Agreement


class ReplyResult(Record):
    """Texts that people wrote in an agent's place."""

    acts: dict[ReplyAct, int]
    annotators: dict[str, int]
    turns: int
    """Turns that have one."""


class Results(Record):
    """All of it."""

    verdicts: VerdictResult
    comparisons: tuple[ComparisonResult, ...]
    replies: ReplyResult


def results(records: Iterable[Judgement]) -> Results:
    """
    Args:
        records: each annotator's last word on each subject.
    """
    kept = list(records)
    return Results(
        verdicts=_verdicts(kept),
        comparisons=tuple(
            _comparison(*systems, group) for systems, group in _by_systems(r for r in kept if isinstance(r, PairChoice))
        ),
        replies=_replies([record for record in kept if isinstance(record, HumanReply)]),
    )


def agreement(labels: Mapping[Hashable, Mapping[str, Hashable]]) -> Agreement:
    """
    Args:
        labels: by item, and in it by annotator.
    """
    annotators = sorted({annotator for given in labels.values() for annotator in given})
    kappas = []
    for one, other in combinations(annotators, 2):
        both = [(given[one], given[other]) for given in labels.values() if one in given and other in given]
        if both:
            kappa = cohen([first for first, _ in both], [second for _, second in both])
            kappas.append(Kappa(one=one, other=other, items=len(both), kappa=kappa))
    shared = [Counter(given.values()) for given in labels.values() if len(given) > 1]
    return Agreement(items=len(shared), fleiss=fleiss(shared), cohen=tuple(kappas))


def _verdicts(records: Sequence[Judgement]) -> VerdictResult:
    given = {
        conversation: {verdict.annotator: verdict.verdict for verdict in verdicts if verdict.verdict}
        for conversation, verdicts in verdicts_of(records).items()
    }
    counts = Counter(opinion for words in given.values() if (opinion := consensus(words.values())))
    single: defaultdict[str, Counter[Opinion]] = defaultdict(Counter)
    for words in given.values():
        for annotator, word in words.items():
            single[annotator][word] += 1
    return VerdictResult(
        conversations={opinion: counts[opinion] for opinion in OPINIONS},
        shares=_shares(counts, OPINIONS),
        annotators={name: {opinion: single[name][opinion] for opinion in OPINIONS} for name in sorted(single)},
        notes=sum(bool(verdict.note) for verdicts in verdicts_of(records).values() for verdict in verdicts),
        agreement=agreement({conversation: words for conversation, words in given.items() if words}),
    )


def _by_systems(records: Iterable[PairChoice]) -> Iterator[tuple[tuple[str, str], list[PairChoice]]]:
    """Records by what they compare, each turned to the order of the first."""
    groups: dict[frozenset[str], tuple[tuple[str, str], list[PairChoice]]] = {}
    for record in records:
        systems = record.a.system, record.b.system
        order, group = groups.setdefault(frozenset(systems), (systems, []))
        group.append(record if order == systems else turned(record))
    yield from groups.values()


def turned(record: PairChoice) -> PairChoice:
    """The same said of the pair the other way round."""
    swap: dict[Choice, Choice] = {"a": "b", "b": "a", "tie": "tie"}
    return record.model_copy(
        update={
            "a": record.b,
            "b": record.a,
            "left": swap[record.left],
            "choices": {aspect: swap[choice] for aspect, choice in record.choices.items()},
        }
    )


def _comparison(a: str, b: str, records: Sequence[PairChoice]) -> ComparisonResult:
    decided = [(record.left, choice) for record in records for choice in record.choices.values() if choice != "tie"]
    return ComparisonResult(
        a=a,
        b=b,
        pairs=len({record.subject for record in records}),
        judgements=len(records),
        annotators=dict(sorted(Counter(record.annotator for record in records).items())),
        aspects=tuple(_aspect(aspect, records) for aspect in ASPECTS),
        left=wilson(sum(left == choice for left, choice in decided), len(decided)),
        seconds=statistics.median(record.seconds for record in records),
    )


def _aspect(aspect: Aspect, records: Sequence[PairChoice]) -> AspectResult:
    labels: defaultdict[Hashable, dict[str, Choice]] = defaultdict(dict)
    for record in records:
        if aspect in record.choices:
            labels[record.subject][record.annotator] = record.choices[aspect]
    single = Counter(choice for given in labels.values() for choice in given.values())
    pairs = Counter(_majority(given.values()) for given in labels.values())
    return AspectResult(
        aspect=aspect,
        pairs={choice: pairs[choice] for choice in CHOICES},
        judgements={choice: single[choice] for choice in CHOICES},
        shares=_shares(pairs, CHOICES),
        p=sign_test(pairs["a"], pairs["b"]),
        agreement=agreement(labels),
    )


def _majority(choices: Iterable[Choice]) -> Choice:
    counts = Counter(choices)
    return "a" if counts["a"] > counts["b"] else "b" if counts["b"] > counts["a"] else "tie"


def _shares(counts: Mapping[L, int], labels: Sequence[L]) -> dict[L, Interval]:
    whole = sum(counts.values())
    return {label: found for label in labels if (found := wilson(counts.get(label, 0), whole))}


def _replies(records: Sequence[HumanReply]) -> ReplyResult:
    acts = Counter(record.act for record in records)
    return ReplyResult(
        acts={act: acts[act] for act in REPLY_ACTS},
        annotators=dict(sorted(Counter(record.annotator for record in records).items())),
        turns=len({record.subject for record in records}),
    )


def as_csv(records: Iterable[Judgement]) -> str:
    """A row for each verdict, each choice by one aspect, and each reply."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _rows(records):
        # A spreadsheet would take such a text for a formula.
        if str(row["text"])[:1] in ("=", "+", "-", "@"):
            row["text"] = f"'{row['text']}"
        writer.writerow(row)
    return file.getvalue()


def _rows(records: Iterable[Judgement]) -> Iterator[dict[str, str | int | float]]:
    for record in records:
        row: dict[str, str | int | float] = dict.fromkeys(COLUMNS, "")
        row |= {"kind": record.kind, "annotator": record.annotator, "at": record.at}
        if isinstance(record, PairChoice):
            row |= {"a": record.a.system, "a_conversation": record.a.conversation, "left": record.left}
            row |= {"b": record.b.system, "b_conversation": record.b.conversation, "seconds": record.seconds}
            for aspect, choice in record.choices.items():
                yield {**row, "aspect": aspect, "value": choice}
        elif isinstance(record, HumanReply):
            yield {
                **row,
                "conversation": record.conversation,
                "turn": record.turn,
                "value": record.act,
                "text": record.text,
            }
        elif record.verdict or record.note:
            yield {**row, "conversation": record.conversation, "value": record.verdict or "", "text": record.note}
