"""What blind pairwise A/B comes to: wins with a test, verdicts that flip with the order, and the pull of a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from synth.analysis.agreement import Interval, sign_test, wilson
from synth.corpora.records import Record
from synth.prompts.calls import Better, CompareOutput
from synth.traces.judgements import Choice

Question = Literal["logical", "informative", "natural", "coherent", "overall"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
CHOICES: tuple[Choice, ...] = ("a", "tie", "b")
COMMON = (
    "the same person, scenario and target",
    "the same scenario and target",
    "the same target",
    "the same scenario",
    "nothing",
)
"""What the two of a pair have in common, by closeness (`pairing.matched`)."""


class Duel(NamedTuple):
    """One pair, asked about twice."""

    a: str
    """Conversation of A."""
    b: str
    closeness: int
    forward: CompareOutput | None
    """With A as the first; None where it came to nothing."""
    backward: CompareOutput | None
    """With B as the first."""


class Preference(Record):
    """One question. A win is one in both orders; everything else is a tie (Zheng et al., NeurIPS 2023)."""

    question: Question
    pairs: dict[Choice, int]
    shares: dict[Choice, Interval]
    """Of the pairs, with Wilson's intervals."""
    flipped: int
    """Pairs of which the first, or the second, won in both orders: ties that are the order's."""
    same: Interval | None
    """Pairs with the same verdict in both orders."""
    p: float
    """The sign test's over pairs that are no tie; not corrected for there being several questions."""


class Outcome(Record):
    """One pair's verdicts."""

    a: str
    b: str
    choices: dict[Question, Choice]


class Comparison(Record):
    """Two data sets, compared pair by pair."""

    a: str
    b: str
    pairs: int
    """With verdicts in both orders."""
    failed: int
    """Pairs left out, for a verdict is missing."""
    common: dict[str, int]
    """Pairs by what the two have in common."""
    pictures: bool
    """Whether both sides had pictures; where one has none, neither shows any."""
    questions: tuple[Preference, ...]
    first: Interval | None
    """How often the first was chosen overall, where one was: far from a half, places were judged."""
    single: tuple[Outcome, ...]


def comparison(a: str, b: str, duels: Sequence[Duel], *, pictures: bool) -> Comparison:
    """
    Args:
        a: name of the data set.
        b: of the other.
    """
    both = [(duel, duel.forward, duel.backward) for duel in duels if duel.forward and duel.backward]
    verdicts = {
        question: [(_better(forward, question), _better(backward, question)) for _, forward, backward in both]
        for question in QUESTIONS
    }
    decided = [word for words in verdicts["overall"] for word in words if word != "tie"]
    closeness = Counter(duel.closeness for duel, _, _ in both)
    return Comparison(
        a=a,
        b=b,
        pairs=len(both),
        failed=len(duels) - len(both),
        common={COMMON[n]: closeness[n] for n in sorted(closeness)},
        pictures=pictures,
        questions=tuple(_preference(question, verdicts[question]) for question in QUESTIONS),
        first=wilson(decided.count("first"), len(decided)),
        single=tuple(
            Outcome(
                a=duel.a, b=duel.b, choices={q: winner(_better(forward, q), _better(backward, q)) for q in QUESTIONS}
            )
            for duel, forward, backward in both
        ),
    )


def winner(forward: Better, backward: Better) -> Choice:
    """Who won in both orders."""
    words: Mapping[tuple[Better, Better], Choice] = {("first", "second"): "a", ("second", "first"): "b"}
    return words.get((forward, backward), "tie")


def _better(verdict: CompareOutput, question: Question) -> Better:
    word: Better = getattr(verdict, question)
    return word


def _preference(question: Question, verdicts: Sequence[tuple[Better, Better]]) -> Preference:
    counts = Counter(winner(*words) for words in verdicts)
    flipped = sum(forward == backward != "tie" for forward, backward in verdicts)
    same = sum(words == ("tie", "tie") or winner(*words) != "tie" for words in verdicts)
    return Preference(
        question=question,
        pairs={choice: counts[choice] for choice in CHOICES},
        shares={choice: found for choice in CHOICES if (found := wilson(counts[choice], len(verdicts)))},
        flipped=flipped,
        same=wilson(same, len(verdicts)),
        p=sign_test(counts["a"], counts["b"]),
    )
