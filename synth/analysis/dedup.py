"""De-duplication by sentence BLEU-4 (Papineni et al., ACL 2002): MUSE's filter of scenarios and backstories.

A text is a duplicate if its BLEU-4 against some text kept before it is above a threshold. The decision is exactly that
of `nltk.translate.bleu_score.sentence_bleu([kept], new, smoothing_function=SmoothingFunction(epsilon=0.1).method1)`,
both sides tokenised by nltk's `NLTKWordTokenizer` after lower-casing: the new text is the hypothesis, each kept text
alone the reference, and the highest score counts. Texts are judged strictly in the order in which they are offered.

All pairs would cost about half a millisecond each. Instead, an inverted index over 4-grams bounds the score of every
kept text from above, the n-grams of the few that remain are counted together in numpy, and only where the bound still
allows a duplicate are nltk's own floats computed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ORDER = 4
EPSILON = 0.1
"""What smoothing method 1 counts where no n-gram matches (Chen and Cherry, WMT 2014)."""
SLACK = 1e-9
"""Bounds are compared with `threshold - SLACK`, so that their rounding never excludes a duplicate."""
BLOCK = 256
"""Kept texts counted together; bounds the memory of a count to a few MB."""
SEPARATOR = 0
"""Token id between kept texts; words are numbered from 1."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Why a text was not kept."""

    index: int
    """The nearest kept text: from 0 in the order of keeping; the earliest where several are equally near."""
    bleu: float
    """Its score, in [0, 1]."""


class Deduplicator:
    """Keeps texts that are not too near to one kept before.

    Args:
        threshold: in [0, 1]; a text is a duplicate if its highest BLEU-4 is *above* it (so 1 keeps everything).
            Below about 0.2 for texts of 100 words (higher for shorter ones) smoothing alone can reach the threshold,
            and every kept text has to be counted: still exact, but slow.

    Raises:
        SynthError: the threshold is outside [0, 1].
    """

    def __init__(self, threshold: float) -> None:
        if not 0 <= threshold <= 1:
            raise SynthError(f"The BLEU threshold is {threshold}.", "Give a number from 0 to 1.")
        self.threshold = threshold
        self._words: Callable[[str], list[str]] | None = None
        self._vocabulary: dict[str, int] = {}
        self._postings: dict[int, array[int]] = {}
        """Kept texts that contain a 4-gram, by its hash."""
        self._tokens = _Growing(np.int32)
        """Token ids of all kept texts, each with a separator before it."""
        self._starts = _Growing(np.int64)
        """Position of each kept text's separator."""
        self._lengths = _Growing(np.int64)
        """Tokens of each kept text."""

    def __len__(self) -> int:
        """How many texts were kept."""
        return len(self._lengths.values)

    def offer(self, text: str) -> Duplicate | None:
        """Keeps the text and returns None, or says which kept text it is a duplicate of."""
        tokens = self._tokenize(text)
        grams = _hashes(tokens)
        duplicate = self._nearest(tokens, grams)
        if duplicate is None:
            self._keep(tokens, grams)
        return duplicate

    def add(self, text: str) -> None:
        """Keeps the text unseen: for texts that an earlier run has kept already."""
        tokens = self._tokenize(text)
        self._keep(tokens, _hashes(tokens))

    def _tokenize(self, text: str) -> Ints:
        if self._words is None:
            # nltk takes 0.3 s to import, which no command that does not de-duplicate should wait for.
            from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]

            self._words = NLTKWordTokenizer().tokenize
        ids = self._vocabulary
        return np.array([ids.setdefault(word, len(ids) + 1) for word in self._words(text.lower())], dtype=np.int64)

    def _keep(self, tokens: Ints, grams: list[int]) -> None:
        index = len(self)
        self._starts.extend([len(self._tokens.values)])
        self._lengths.extend([len(tokens)])
        self._tokens.extend([SEPARATOR])
        self._tokens.extend(tokens)
        for gram in dict.fromkeys(grams):
            posting = self._postings.get(gram)
            if posting is None:
                self._postings[gram] = array("i", (index,))
            else:
                posting.append(index)

    def _nearest(self, tokens: Ints, grams: list[int]) -> Duplicate | None:
        """The kept text of the highest BLEU, if that is above the threshold."""
        rows, fourgrams = self._possible(len(tokens), grams)
        if not len(rows):
            return None
        new = _NGrams(tokens, len(self._vocabulary) + 1)
        best: Duplicate | None = None
        for block in range(0, len(rows), BLOCK):
            part = slice(block, block + BLOCK)
            for row, matches in self._count(new, rows[part], fourgrams[part]):
                score = bleu(matches, len(tokens), int(self._lengths.values[row]))
                if score > self.threshold and (best is None or score > best.bleu):
                    best = Duplicate(row, score)
        return best

    def _possible(self, length: int, grams: list[int]) -> tuple[Ints, Ints]:
        """Kept texts that can be above the threshold by their length and their 4-grams, ascending; and how many of
        those match at most."""
        lengths = self._lengths.values
        postings = [self._postings[gram] for gram in grams if gram in self._postings]
        if postings:
            # A 4-gram of the new text matches at most as often as it occurs there; a hash collision only adds to that.
            hits = np.concatenate([np.frombuffer(posting, dtype=np.intc) for posting in postings])
            fourgrams: Ints = np.bincount(hits, minlength=len(lengths))
        else:
            fourgrams = np.zeros(len(lengths), dtype=np.int64)
        # A first sieve by the 4-grams alone, as if all else matched: it leaves few for the arithmetic below.
        needed = max(0.0, self.threshold - SLACK) ** ORDER * max(1, length - ORDER + 1)
        rows = np.flatnonzero(np.maximum(fourgrams, EPSILON) > needed)
        rows = rows[self._above({ORDER: fourgrams[rows]}, length, lengths[rows])]
        return rows, fourgrams[rows]

    def _count(self, new: _NGrams, rows: Ints, fourgrams: Ints) -> list[tuple[int, list[int]]]:
        """Those rows that can be above the threshold by their trigrams too, each with its clipped matches by order."""
        tokens, owners = self._gather(rows)
        # Not clipped, the count is a bound that costs little and leaves hardly any text that is not above.
        trigrams = np.bincount(owners[new.follow(tokens, 3)[-1] > 0], minlength=len(rows))
        rows = rows[self._above({3: trigrams, ORDER: fourgrams}, new.length, self._lengths.values[rows])]
        if not len(rows):
            return []
        tokens, owners = self._gather(rows)
        matches = new.clipped(new.follow(tokens, ORDER), owners, len(rows))
        return list(zip(rows.tolist(), matches.tolist(), strict=True))

    def _gather(self, rows: Ints) -> tuple[Ints, Ints]:
        """The tokens of kept texts one after the other, separators included, and the place in `rows` of each."""
        tokens, starts, lengths = self._tokens.values, self._starts.values[rows], self._lengths.values[rows] + 1
        ends = starts + lengths
        flat = np.concatenate([tokens[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
        return flat, np.repeat(np.arange(len(rows)), lengths)

    def _above(self, bounds: dict[int, Ints], length: int, lengths: Ints) -> NDArray[np.bool_]:
        """Which references can be above the threshold, by upper bounds of their matches of some orders."""
        product: Floats = np.ones(len(lengths))
        for order in range(1, ORDER + 1):
            most = np.minimum(np.minimum(length, lengths) - order + 1, bounds.get(order, length))
            product *= np.maximum(most, EPSILON) / max(1, length - order + 1)
        brevity = np.where(length > lengths, 1.0, np.exp(1 - lengths / max(1, length)))
        above: NDArray[np.bool_] = brevity * np.sqrt(np.sqrt(product)) > self.threshold - SLACK
        return above


def bleu(matches: Sequence[int], length: int, reference_length: int) -> float:
    """Sentence BLEU-4 with smoothing method 1, in the very floating-point steps of nltk.

    Args:
        matches: clipped n-gram matches of order 1 to 4.
        length: tokens of the hypothesis.
        reference_length: tokens of the only reference.
    """
    if not matches[0]:
        return 0.0
    precisions = [(m or EPSILON) / max(1, length - order) for order, m in enumerate(matches)]
    brevity = 1.0 if length > reference_length else math.exp(1 - reference_length / length)
    return brevity * math.exp(math.fsum(0.25 * math.log(p) for p in precisions))


class _NGrams:
    """The n-grams of one text as an automaton: which of them ends at each token of other texts.

    The distinct n-grams of each order are numbered from 1 (0: none of them), so an n-gram is the number of its first
    n - 1 words and the number of its last word, and a table leads from the one to the other.
    """

    def __init__(self, tokens: Ints, vocabulary: int) -> None:
        self.length = len(tokens)
        distinct, states, counts = np.unique(tokens, return_inverse=True, return_counts=True)
        self._words: Ints = np.zeros(vocabulary, dtype=np.int64)
        self._words[distinct] = np.arange(1, len(distinct) + 1)
        self._width = len(distinct) + 1
        self._counts: list[Ints] = [counts]
        self._tables: list[Ints] = []
        last = states = states + 1
        for order in range(2, ORDER + 1):
            pairs = states[:-1] * self._width + last[order - 1 :]
            table: Ints = np.zeros((len(self._counts[-1]) + 1) * self._width, dtype=np.int64)
            distinct, states, counts = np.unique(pairs, return_inverse=True, return_counts=True)
            table[distinct] = np.arange(1, len(distinct) + 1)
            states = states + 1
            self._tables.append(table)
            self._counts.append(counts)

    def follow(self, tokens: Ints, order: int) -> list[Ints]:
        """For 1 to `order`, the n-gram that ends at each token; the first token is a separator, where none ends."""
        words = self._words.take(tokens)
        states = [words]
        for table in self._tables[: order - 1]:
            state: Ints = np.zeros_like(words)
            table.take(states[-1][:-1] * self._width + words[1:], out=state[1:], mode="clip")
            states.append(state)
        return states

    def clipped(self, states: list[Ints], owners: Ints, texts: int) -> Ints:
        """How many n-grams match in each text, none more often than it occurs here; shape (texts, 4)."""
        matches: Ints = np.empty((texts, ORDER), dtype=np.int64)
        for order, (state, counts) in enumerate(zip(states, self._counts, strict=True)):
            width = len(counts) + 1
            found = np.bincount(owners * width + state, minlength=texts * width).reshape(texts, width)[:, 1:]
            matches[:, order] = np.minimum(found, counts).sum(axis=1)
        return matches


class _Growing:
    """An array that grows at its end in amortised constant time."""

    def __init__(self, dtype: type[np.integer[Any]]) -> None:
        self._room = np.zeros(1024, dtype=dtype)
        self._used = 0

    @property
    def values(self) -> NDArray[Any]:
        return self._room[: self._used]

    def extend(self, items: Sequence[int] | Ints) -> None:
        end = self._used + len(items)
        if end > len(self._room):
            room = np.zeros(max(end, 2 * len(self._room)), dtype=self._room.dtype)
            room[: self._used] = self.values
            self._room = room
        self._room[self._used : end] = items
        self._used = end


def _hashes(tokens: Ints) -> list[int]:
    """A 64-bit hash of each 4-gram, in order; equal 4-grams have equal hashes."""
    words = tokens.astype(np.uint64)
    count = max(0, len(words) - ORDER + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(ORDER):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + words[place : place + count]
    return hashes.tolist()
