"""Text metrics that are one number for all responses together: corpus BLEU and Distinct-n.

They have no value for a single response, so their intervals and tests draw or exchange whole conversations and compute
the number anew each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from synth.analysis.tokens import Tokenizer
from synth.recommender.extras import require
from synth.recommender.runs import Query, RunFile
from synth.recommender.significance import LEVEL, Groups, Values, resample
from synth.recommender.table import Figure
from synth.recommender.text_metrics import references_of, texts_of

SWAPS = 999
"""Random exchanges for a test on Distinct-n."""
_ORDERS = 4
_BLEU = re.compile(r"bleu(?:\.(intl|zh|char))?")
_DISTINCT = re.compile(r"distinct([1-9])\.(corpus|sentence)")


@dataclass(frozen=True)
class Corpus:
    """One metric of all systems."""

    figures: dict[str, Figure]
    """By system."""
    p: dict[str, float]
    """Two-sided, by system, against the one that all are compared with."""
    test: str
    """`bootstrap` (paired, by conversation) or `permutation`."""
    signature: str = ""
    """sacrebleu's, of how it was computed."""


def is_corpus(name: str) -> bool:
    """Whether a name is one of these metrics'."""
    return bool(_BLEU.fullmatch(name) or _DISTINCT.fullmatch(name))


def corpus_metric(
    name: str, runs: Mapping[str, RunFile], queries: Sequence[Query], groups: Groups, against: str, seed: int = 0
) -> Corpus:
    """One metric of all systems over the queries with a reference.

    Args:
        name: `bleu`, `bleu.intl|zh|char`, `distinctN.corpus` or `distinctN.sentence`.
        groups: the conversation of each query, numbered from 0.
        against: the system that the others are tested against.
        seed: of bootstrap and permutations.

    Raises:
        SynthError: BLEU is wanted and `sacrebleu` is not installed.
    """
    references, counted = references_of(queries)
    kept = np.flatnonzero(counted)
    # Numbered anew: a conversation that holds nothing must not be drawn.
    owners: Groups = np.unique(groups[kept], return_inverse=True)[1].astype(np.int64)
    texts = {
        system: [text for text, has in zip(texts_of(run, queries), counted, strict=True) if has]
        for system, run in runs.items()
    }
    found = _BLEU.fullmatch(name)
    if found:
        return _bleu(texts, [references[place] for place in kept], owners, against, found[1] or "13a", seed)
    grams = _DISTINCT.fullmatch(name)
    if grams is None:
        raise ValueError(f"{name} is no metric of a corpus")
    return _distinct(texts, owners, int(grams[1]), grams[2] == "sentence", against, seed)


def _bleu(
    texts: Mapping[str, list[str]], references: list[str], owners: Groups, against: str, tokenize: str, seed: int
) -> Corpus:
    require("eval", "sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    # Sums of what sacrebleu counts in each response are what it counts in all of them.
    counter, scorer = BLEU(tokenize=tokenize, effective_order=True), BLEU(tokenize=tokenize)
    scorer.corpus_score(["a"], [["a"]])  # it has a signature only once it has been used

    def counts(text: str, reference: str) -> list[int]:
        found = counter.sentence_score(text, [reference])
        return [*found.counts, *found.totals, found.sys_len, found.ref_len]

    def score(sums: Values) -> float:
        whole = [round(number) for number in sums.tolist()]
        correct, total = whole[:_ORDERS], whole[_ORDERS : 2 * _ORDERS]
        return float(BLEU.compute_bleu(correct, total, whole[-2], whole[-1], smooth_method="exp").score)

    groups = int(owners.max()) + 1 if len(owners) else 0
    sums: dict[str, Values] = {}
    for system, written in texts.items():
        rows = np.array([counts(*pair) for pair in zip(written, references, strict=True)], dtype=np.float64)
        by_group = np.zeros((groups, 2 * _ORDERS + 2))
        np.add.at(by_group, owners, rows.reshape(-1, 2 * _ORDERS + 2))
        sums[system] = by_group
    seen = {system: score(rows.sum(axis=0)) for system, rows in sums.items()}
    signature = str(scorer.get_signature())
    if groups < 2:
        figures = {system: Figure(value, None, None, "") for system, value in seen.items()}
        return Corpus(figures, {system: 1.0 for system in texts if system != against}, "bootstrap", signature)
    drawn = resample(np.concatenate(list(sums.values()), axis=1), seed)
    parts = np.split(drawn, len(sums), axis=1)
    scores = {system: np.array([score(row) for row in part]) for system, part in zip(sums, parts, strict=True)}
    figures = {}
    for system, value in seen.items():
        low, high = np.quantile(scores[system], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        figures[system] = Figure(value, min(float(low), value), max(float(high), value), "percentile")
    p = {}
    for system in texts:
        if system != against:
            # How far the drawn differences stray from their own mean is how far chance would take an equal pair.
            apart = scores[system] - scores[against]
            reached = np.abs(apart - apart.mean()) >= abs(seen[system] - seen[against]) - 1e-9
            p[system] = float((reached.sum() + 1) / (len(apart) + 1))
    return Corpus(figures, p, "bootstrap", signature)


class _Grams(NamedTuple):
    ids: Groups
    """Numbers of n-grams, each once for a conversation."""
    owners: Groups
    """The conversation of each."""
    divisors: Values
    """What each conversation adds to the divisor, shape (conversations,)."""


def _distinct(
    texts: Mapping[str, list[str]], owners: Groups, n: int, sentence: bool, against: str, seed: int
) -> Corpus:
    numbers: dict[tuple[object, ...], int] = {}
    tokenizer = Tokenizer()
    # UniCRS splits at blanks; elsewhere the package's tokens are taken.
    split: Callable[[str], Sequence[object]] = str.split if sentence else lambda text: tokenizer(text)[0]
    grams = {system: _grams(written, owners, n, sentence, split, numbers) for system, written in texts.items()}
    figures = {system: Figure(_share(own), None, None, "") for system, own in grams.items()}
    p = {
        system: _swapped(own, grams[against], len(numbers), seed) for system, own in grams.items() if system != against
    }
    return Corpus(figures, p, "permutation")


def _grams(
    texts: Sequence[str],
    owners: Groups,
    n: int,
    sentence: bool,
    split: Callable[[str], Sequence[object]],
    numbers: dict[tuple[object, ...], int],
) -> _Grams:
    groups = int(owners.max()) + 1 if len(owners) else 0
    found: list[set[int]] = [set() for _ in range(groups)]
    divisors = np.zeros(groups)
    for text, owner in zip(texts, owners.tolist(), strict=True):
        tokens = split(text)
        grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
        found[owner].update(numbers.setdefault(gram, len(numbers)) for gram in grams)
        divisors[owner] += bool(text) if sentence else len(grams)
    ids = np.array([number for own in found for number in sorted(own)], dtype=np.int64)
    return _Grams(ids, np.repeat(np.arange(groups), [len(own) for own in found]), divisors)


def _share(grams: _Grams) -> float:
    return len(np.unique(grams.ids)) / grams.divisors.sum() if grams.divisors.sum() else 0.0


def _swapped(one: _Grams, other: _Grams, vocabulary: int, seed: int) -> float:
    """Two-sided p: how often systems that trade places in whole conversations are as far apart."""
    seen = abs(_share(one) - _share(other)) - 1e-12
    generator = np.random.default_rng(seed)
    reached = 0
    for _ in range(SWAPS):
        swap = generator.random(len(one.divisors)) < 0.5
        shares = []
        for traded in (swap, ~swap):
            present = np.zeros(vocabulary, dtype=np.bool_)
            present[one.ids[~traded[one.owners]]] = True
            present[other.ids[traded[other.owners]]] = True
            divisor = np.where(traded, other.divisors, one.divisors).sum()
            shares.append(present.sum() / divisor if divisor else 0.0)
        reached += bool(abs(shares[0] - shares[1]) >= seen)
    return (reached + 1) / (SWAPS + 1)
