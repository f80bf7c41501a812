"""How much the wording of conversations varies: Distinct-n (Li et al., NAACL 2016) and the commonest n-grams.

Tokens are those of nltk's `NLTKWordTokenizer` on lower-cased text, punctuation marks included. N-grams lie within one
turn; Distinct-n pools them over all turns. Every n-gram is numbered exactly (no hashing), by pairing the number of
its first n-1 tokens with its last token, so that a corpus costs a few 64-bit integers per token.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.corpora.records import Conversation

Ints = NDArray[np.int64]

ORDERS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class NGram:
    """An n-gram, and how common it is."""

    text: str
    """Its tokens between blanks."""
    share: float
    """Of all turns, in [0, 1]; it counts once per turn."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """The measures over one set of conversations."""

    conversations: int
    turns: int
    utterances: float
    """Turns per conversation."""
    words: float
    """Words between blanks, per turn."""
    distinct: dict[int, float]
    """Distinct n-grams over all n-grams, by n; 0 where there are none."""
    top: tuple[NGram, ...]
    """The commonest 4-grams."""


class Corpus:
    """Tokenised turns, some 4 bytes per token."""

    def __init__(self) -> None:
        self._tokenize: Callable[[str], list[str]] | None = None
        self._vocabulary: dict[str, int] = {}
        self._tokens = array("i")
        self._lengths = array("i")
        self._words = 0

    def add(self, text: str) -> None:
        """Adds one turn."""
        if self._tokenize is None:
            # nltk takes 0.3 s to import.
            from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]

            self._tokenize = NLTKWordTokenizer().tokenize
        tokens = self._tokenize(text.lower())
        ids = self._vocabulary
        self._tokens.extend(ids.setdefault(token, len(ids)) for token in tokens)
        self._lengths.append(len(tokens))
        self._words += len(text.split())

    def distinct(self, n: int) -> float:
        """Distinct n-grams over all n-grams, in [0, 1]; 0 where there are none."""
        numbers, _ = self._ngrams(n)
        return len(np.unique(numbers)) / len(numbers) if len(numbers) else 0.0

    def top(self, n: int, k: int) -> list[NGram]:
        """The `k` n-grams that occur in most turns; of equally common ones, those that come first."""
        numbers, starts = self._ngrams(n)
        if not len(numbers):
            return []
        turns = np.repeat(np.arange(len(self._lengths)), self._lengths)[starts]
        order = np.lexsort((starts, turns, numbers))
        numbers, turns, starts = numbers[order], turns[order], starts[order]
        new = np.append(True, numbers[1:] != numbers[:-1])
        once = new | np.append(True, turns[1:] != turns[:-1])
        counts = np.add.reduceat(once.astype(np.int64), np.flatnonzero(new))
        firsts = starts[new]
        words = list(self._vocabulary)
        return [
            NGram(" ".join(words[i] for i in self._tokens[firsts[g] : firsts[g] + n]), counts[g] / len(self._lengths))
            for g in np.lexsort((firsts, -counts))[:k]
        ]

    def measure(self, conversations: int, k: int = 3) -> Diversity:
        """All measures of the turns added so far, with the `k` commonest 4-grams."""
        turns = len(self._lengths)
        return Diversity(
            conversations=conversations,
            turns=turns,
            utterances=turns / conversations if conversations else 0.0,
            words=self._words / turns if turns else 0.0,
            distinct={n: self.distinct(n) for n in ORDERS},
            top=tuple(self.top(4, k)),
        )

    def _ngrams(self, n: int) -> tuple[Ints, Ints]:
        """The n-grams' numbers, equal for equal n-grams, and the positions of their first tokens."""
        if n < 1:
            raise ValueError(f"n is {n}, must be 1 or more")
        tokens = np.frombuffer(self._tokens, dtype=np.intc).astype(np.int64)
        ends = np.cumsum(np.frombuffer(self._lengths, dtype=np.intc), dtype=np.int64)
        left = np.repeat(ends, self._lengths) - np.arange(len(tokens))
        numbers, starts = tokens, np.arange(len(tokens))
        for length in range(2, n + 1):
            keep = left[starts] >= length
            numbers, starts = numbers[keep], starts[keep]
            pairs = numbers * len(self._vocabulary) + tokens[starts + length - 1]
            numbers = np.unique(pairs, return_inverse=True)[1]
        return numbers, starts


def distinct(texts: Iterable[str], n: int) -> float:
    """Distinct-n over all turns together, in [0, 1]."""
    return _corpus(texts).distinct(n)


def top_ngrams(turns: Iterable[str], n: int, k: int) -> list[NGram]:
    """The `k` n-grams that occur in most turns."""
    return _corpus(turns).top(n, k)


def diversity(conversations: Iterable[Conversation], drafts: bool = False) -> Diversity:
    """The measures over the final texts, or over the drafts."""
    corpus, count = Corpus(), 0
    for conversation in conversations:
        count += 1
        for text in conversation.drafts if drafts else (turn.text for turn in conversation.turns):
            corpus.add(text)
    return corpus.measure(count)


def _corpus(texts: Iterable[str]) -> Corpus:
    corpus = Corpus()
    for text in texts:
        corpus.add(text)
    return corpus
