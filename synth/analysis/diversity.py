"""How much the wording of conversations varies: Distinct-n (Li et al., NAACL 2016), specificity, commonest n-grams.

Tokens are those of nltk's `NLTKWordTokenizer` on lower-cased text, punctuation marks included. N-grams lie within one
turn; Distinct-n pools them over all turns. Every n-gram is numbered exactly (no hashing), by pairing the number of
its first n-1 tokens with its last token, so that a corpus costs a few 64-bit integers per token.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synth.analysis.tokens import Tokenizer
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


@dataclass(frozen=True, slots=True)
class NGrams:
    """All n-grams of one length in a corpus. Equal n-grams have equal numbers, from 0 to `len(turns_with) - 1`."""

    n: int
    numbers: Ints
    """By occurrence, in the order of the text."""
    starts: Ints
    """Position of the first token, by occurrence."""
    turns: Ints
    """Index of the turn, by occurrence."""
    turns_with: Ints
    """In how many turns it occurs, by number."""
    firsts: Ints
    """Position of the first token of its first occurrence, by number."""

    @property
    def total(self) -> int:
        return len(self.numbers)

    @property
    def kinds(self) -> int:
        """How many different ones there are."""
        return len(self.turns_with)

    @property
    def distinct(self) -> float:
        """Distinct-n: different n-grams over all n-grams; 0 where there are none."""
        return self.kinds / self.total if self.total else 0.0

    @property
    def specificity(self) -> float:
        """How rare a turn's n-grams are, in [0, 1]: the mean over a turn's n-grams of 1 - log(t) / log(T), and the
        mean of that over all turns that have an n-gram. T is the number of these turns, t of those with the n-gram.

        This is the normalised inverse document frequency by which See et al. (NAACL 2019) measure how specific an
        utterance is, with n-grams for words, and scaled by its greatest value instead of by the data's extremes: an
        n-gram that is in one turn only has 1, one that is in every turn 0. It is 0 where there are no two turns.
        """
        lengths = np.bincount(self.turns)
        lengths = lengths[lengths > 0]
        if len(lengths) < 2:
            return 0.0
        rare = 1 - np.log(self.turns_with) / np.log(len(lengths))
        sums = np.add.reduceat(rare[self.numbers], np.append(0, np.cumsum(lengths)[:-1]))
        return float(np.mean(sums / lengths))


class Corpus:
    """Tokenised turns, some 4 bytes per token."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self._tokenizer = tokenizer or Tokenizer()
        self._tokens = array("i")
        self._lengths = array("i")
        self._words = array("i")

    def __len__(self) -> int:
        """Turns."""
        return len(self._lengths)

    @property
    def tokens(self) -> Ints:
        """Numbers of all tokens, in the order of the text."""
        return np.frombuffer(self._tokens, dtype=np.intc).astype(np.int64)

    @property
    def lengths(self) -> Ints:
        """Tokens of each turn."""
        return np.frombuffer(self._lengths, dtype=np.intc).astype(np.int64)

    @property
    def words(self) -> int:
        """Words between blanks."""
        return sum(self._words)

    @cached_property
    def vocabulary(self) -> list[str]:
        """Tokens by number; ask for it when all turns are in."""
        return list(self._tokenizer.vocabulary)

    def add(self, text: str) -> int:
        """Adds one turn; the number of its tokens."""
        tokens, words = self._tokenizer(text)
        self._tokens.extend(tokens)
        self._lengths.append(len(tokens))
        self._words.append(words)
        return len(tokens)

    def part(self, turns: Iterable[int], tokens: int) -> Corpus:
        """A corpus of some of the turns, in the order given, up to so many tokens: the last turn is cut there.

        A turn that is cut counts with the share of its words that its tokens are.
        """
        cut = Corpus(self._tokenizer)
        ends = np.cumsum(self.lengths)
        left = tokens
        for turn in turns:
            if left <= 0:
                break
            length = self._lengths[turn]
            kept = min(length, left)
            start = int(ends[turn]) - length
            cut._tokens.extend(self._tokens[start : start + kept])
            cut._lengths.append(kept)
            cut._words.append(self._words[turn] if kept == length else round(self._words[turn] * kept / length))
            left -= kept
        return cut

    def distinct(self, n: int) -> float:
        """Distinct n-grams over all n-grams, in [0, 1]; 0 where there are none."""
        return self.ngrams(n).distinct

    def top(self, n: int, k: int) -> list[NGram]:
        """The `k` n-grams that occur in most turns; of equally common ones, those that come first."""
        return self.commonest(self.ngrams(n), k)

    def commonest(self, ngrams: NGrams, k: int) -> list[NGram]:
        """The `k` of these that occur in most turns; of equally common ones, those that come first."""
        words = self.vocabulary
        return [
            NGram(
                " ".join(words[i] for i in self._tokens[ngrams.firsts[g] : ngrams.firsts[g] + ngrams.n]),
                int(ngrams.turns_with[g]) / len(self),
            )
            for g in np.lexsort((ngrams.firsts, -ngrams.turns_with))[:k]
        ]

    def measure(self, conversations: int, k: int = 3) -> Diversity:
        """All measures of the turns added so far, with the `k` commonest 4-grams."""
        turns = len(self)
        distinct, top = {}, []
        for ngrams in self.levels(max(ORDERS)):
            if ngrams.n in ORDERS:
                distinct[ngrams.n] = ngrams.distinct
            if ngrams.n == 4:
                top = self.commonest(ngrams, k)
        return Diversity(
            conversations=conversations,
            turns=turns,
            utterances=turns / conversations if conversations else 0.0,
            words=self.words / turns if turns else 0.0,
            distinct=distinct,
            top=tuple(top),
        )

    def ngrams(self, n: int) -> NGrams:
        """The n-grams of one length; `levels` is quicker for several."""
        if n < 1:
            raise ValueError(f"n is {n}, must be 1 or more")
        *_, last = self.levels(n)
        return last

    def levels(self, longest: int) -> Iterator[NGrams]:
        """The 1-grams, 2-grams, … up to `longest`, each found from the ones before."""
        tokens, lengths = self.tokens, self.lengths
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
        turns = np.repeat(np.arange(len(lengths)), lengths)
        numbers, starts = tokens, np.arange(len(tokens))
        size = len(self._tokenizer.vocabulary)
        for n in range(1, longest + 1):
            if n > 1:
                keep = left[starts] >= n
                starts = starts[keep]
                numbers = numbers[keep] * size + tokens[starts + n - 1]
            found = _number(n, numbers, starts, turns[starts])
            numbers = found.numbers
            yield found


def _number(n: int, keys: Ints, starts: Ints, turns: Ints) -> NGrams:
    """N-grams numbered from 0; `keys` are equal for equal ones."""
    if not len(keys):
        return NGrams(n, keys, starts, turns, keys, keys)
    order = np.argsort(keys, kind="stable")  # equal ones stay in the order of the text
    ordered, where = keys[order], turns[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    once = new | np.append(True, where[1:] != where[:-1])
    begins = np.flatnonzero(new)
    numbers = np.empty_like(keys)
    numbers[order] = np.cumsum(new) - 1
    return NGrams(n, numbers, starts, turns, np.add.reduceat(once.astype(np.int64), begins), starts[order[begins]])


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
