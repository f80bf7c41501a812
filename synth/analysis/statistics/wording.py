"""Wording in figures: the lexical columns of MUSE's Tables 2 and 8, over everything and over a fixed number of tokens.

Tokens are those of nltk's `NLTKWordTokenizer` on lower-cased text; n-grams lie within one turn and are pooled over all
turns (`synth.analysis.diversity`).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synth.analysis.diversity import ORDERS, Corpus, Ints, NGram
from synth.analysis.tokens import Tokenizer

LONGEST = max(ORDERS)


@dataclass(frozen=True, slots=True)
class Wording:
    """One row: the words of a set of turns."""

    turns: int
    tokens: int
    words_per_turn: float
    """Words between blanks."""
    ngrams: dict[int, int]
    """How many there are, by length."""
    different: dict[int, int]
    """How many different ones, by length."""
    distinct: dict[int, float]
    """Distinct-n: the second over the first."""
    specificity: dict[int, float]
    """How rare a turn's n-grams are among the turns (`NGrams.specificity`)."""
    complete: bool = True
    """False for a sample that was to have more tokens than there are."""

    def to_json(self) -> dict[str, Any]:
        return {
            name: {str(n): figure for n, figure in value.items()} if isinstance(value, dict) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Words:
    """How often words occur, for clouds."""

    all: dict[str, int]
    user: dict[str, int]
    assistant: dict[str, int]


class Texts:
    """The turns of a data set in one version, drafts or final, with who said them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.corpus = Corpus(tokenizer)
        self._users = array("b")
        self._ends = array("i")
        """Turns up to the end of each conversation."""

    def add(self, text: str, *, user: bool) -> None:
        self.corpus.add(text)
        self._users.append(user)

    def end(self) -> None:
        """Closes a conversation."""
        self._ends.append(len(self.corpus))

    def sample(self, tokens: int, seed: int) -> Corpus:
        """Whole conversations in a drawn order, up to so many tokens; the last turn is cut there.

        The order is that of blake2b over `SEED:NUMBER`, the number from 0, so it is the same on every machine and for
        drafts and final texts.
        """
        starts = [0, *self._ends]

        def turns() -> Iterator[int]:
            for number in sorted(range(len(self._ends)), key=lambda number: _rank(seed, number)):
                yield from range(starts[number], starts[number + 1])

        return self.corpus.part(turns(), tokens)

    def counts(self, keep: frozenset[int], k: int) -> Words:
        """The `k` commonest of the tokens to keep, overall and by role."""
        users = np.repeat(np.frombuffer(self._users, dtype=np.int8).astype(bool), self.corpus.lengths)
        tokens = self.corpus.tokens
        vocabulary = self.corpus.vocabulary
        kept = np.zeros(len(vocabulary), dtype=bool)
        kept[list(keep)] = True

        def top(found: Ints) -> dict[str, int]:
            counts = np.bincount(found, minlength=len(vocabulary)) * kept
            order = np.argsort(-counts, kind="stable")[:k]
            return {vocabulary[token]: int(counts[token]) for token in order if counts[token]}

        return Words(top(tokens), top(tokens[users]), top(tokens[~users]))


def _rank(seed: int, number: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()


def measure(corpus: Corpus, k: int = 0, *, asked: int = 0) -> tuple[Wording, tuple[NGram, ...]]:
    """The row of a corpus, and its `k` commonest 4-grams.

    Args:
        asked: tokens that it should have; 0 where it is not a sample.
    """
    figures: dict[int, tuple[int, int, float, float]] = {}
    top: list[NGram] = []
    for ngrams in corpus.levels(LONGEST):
        if ngrams.n in ORDERS:
            figures[ngrams.n] = (ngrams.total, ngrams.kinds, ngrams.distinct, ngrams.specificity)
        if ngrams.n == LONGEST and k:
            top = corpus.commonest(ngrams, k)
    turns, tokens = len(corpus), int(corpus.lengths.sum())
    total, different, distinct, specificity = (
        dict(zip(figures, column, strict=True)) for column in zip(*figures.values(), strict=True)
    )
    row = Wording(
        turns=turns,
        tokens=tokens,
        words_per_turn=corpus.words / turns if turns else 0.0,
        ngrams=total,
        different=different,
        distinct=distinct,
        specificity=specificity,
        complete=tokens >= asked,
    )
    return row, tuple(top)
