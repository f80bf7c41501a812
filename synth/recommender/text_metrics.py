"""How written text compares with a reference, response by response: sentence BLEU, ROUGE and length.

Every name has one definition, in docs/evaluation.md; what is one number for all responses together is in
`corpus_metrics`. A response that is missing or empty scores 0 and has no words. Queries without a reference count in
none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from synth.recommender.estimates import Column
from synth.recommender.extras import require
from synth.recommender.runs import Query, RunFile
from synth.recommender.significance import Values

WORD_BLEU, CHAR_BLEU, WORDS = "bleu4.word_method3", "bleu4.char_method3", "words"
ROUGE = ("rouge1", "rouge2", "rougeL")
PER_RESPONSE = (WORD_BLEU, CHAR_BLEU, *ROUGE, WORDS)

Tick = Callable[[int], None]
"""Is told how many responses are done."""


def texts_of(run: RunFile, queries: Sequence[Query]) -> list[str]:
    """What a system wrote to each query, without blanks around it; empty where it wrote nothing."""
    return [run.responses[query.id].response.strip() if query.id in run.responses else "" for query in queries]


def references_of(queries: Sequence[Query]) -> tuple[list[str], Values]:
    """The references without blanks around them, and whether there is one (1 or 0), shape (queries,)."""
    references = [query.reference.strip() for query in queries]
    return references, np.array([float(bool(reference)) for reference in references])


def text_columns(
    run: RunFile, queries: Sequence[Query], names: Collection[str], tick: Tick | None = None
) -> dict[str, Column]:
    """Metrics of single responses.

    Args:
        names: of `PER_RESPONSE`; others are passed over.

    Returns:
        By name, with one value for each query. Every query with a reference counts once.

    Raises:
        SynthError: ROUGE is wanted and `rouge_score` is not installed.
    """
    scorers = [_SCORERS[name](name) for name in PER_RESPONSE if name in names]
    wanted = [name for name in PER_RESPONSE if name in names]
    references, counted = references_of(queries)
    values = np.zeros((len(wanted), len(queries)))
    for place, (text, reference) in enumerate(zip(texts_of(run, queries), references, strict=True)):
        if text and reference:
            values[:, place] = [score(text, reference) for score in scorers]
        if tick:
            tick(place + 1)
    return {name: Column(values[number], counted) for number, name in enumerate(wanted)}


_Score = Callable[[str, str], float]
"""Of a text and its reference."""


def _bleu(name: str) -> _Score:
    """Sentence BLEU-4 by nltk with its third smoothing (Chen and Cherry, WMT 2014, NIST's)."""
    from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu  # type: ignore[import-untyped]

    split: Callable[[str], list[str]] = list if name == CHAR_BLEU else NLTKWordTokenizer().tokenize
    smoothing = SmoothingFunction().method3

    def score(text: str, reference: str) -> float:
        return float(sentence_bleu([split(reference)], split(text), smoothing_function=smoothing))

    return score


def _rouge(name: str) -> _Score:
    """ROUGE's F1 by rouge-score, with its tokens (runs of a to z and 0 to 9) and Porter's stemmer."""
    require("eval", "rouge_score")
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

    scorer = RougeScorer([name], tokenizer=_rouge_tokens())

    def score(text: str, reference: str) -> float:
        return float(scorer.score(reference, text)[name].fmeasure)

    return score


@cache
def _rouge_tokens() -> Any:
    """The library's own tokenizer; a text is stemmed once for all its metrics, a reference once for all systems."""
    from rouge_score.tokenizers import DefaultTokenizer  # type: ignore[import-untyped]

    return SimpleNamespace(tokenize=lru_cache(maxsize=1 << 16)(DefaultTokenizer(use_stemmer=True).tokenize))


def _words(_: str) -> _Score:
    return lambda text, reference: float(len(text.split()))


_SCORERS: dict[str, Callable[[str], _Score]] = {
    WORD_BLEU: _bleu,
    CHAR_BLEU: _bleu,
    **dict.fromkeys(ROUGE, _rouge),
    WORDS: _words,
}


def unseen_by_rouge(queries: Sequence[Query]) -> int:
    """References in which ROUGE finds no token: those in other scripts than Latin."""
    return sum(
        bool(query.reference.strip()) and not any(c.isascii() and c.isalnum() for c in query.reference.lower())
        for query in queries
    )
