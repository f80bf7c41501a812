"""De-duplication decides exactly as nltk does, whatever it leaves uncomputed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from synth.analysis.dedup import Deduplicator, bleu
from synth.errors import SynthError
from synth.randomness import rng

Decision = tuple[int, float] | None


def decide(texts: list[str], threshold: float) -> list[Decision]:
    """(nearest kept text, its BLEU) for each duplicate, by nltk on all pairs."""
    tokenize = NLTKWordTokenizer().tokenize
    smoothing = SmoothingFunction(epsilon=0.1).method1
    kept: list[list[str]] = []
    decisions: list[Decision] = []
    for text in texts:
        words = tokenize(text.lower())
        scores = [sentence_bleu([other], words, smoothing_function=smoothing) for other in kept]
        best = max(scores, default=-1.0)
        decisions.append((scores.index(best), best) if best > threshold else None)
        if best <= threshold:
            kept.append(words)
    return decisions


def offered(texts: list[str], threshold: float) -> list[Decision]:
    dedup = Deduplicator(threshold)
    return [(found.index, found.bleu) if found else None for found in map(dedup.offer, texts)]


def long_texts(count: int, seed: int) -> list[str]:
    """Texts of 100 to 250 words; every third is an earlier one, edited from hardly to beyond recognition."""
    draw = rng(seed, "dedup")
    words = [f"w{i}" for i in range(3000)]
    odds = [1 / (i + 3) for i in range(len(words))]
    phrases = [draw.choices(words, odds, k=8) for _ in range(20)]
    texts: list[list[str]] = []
    for i in range(count):
        if i % 3 == 2:
            source = draw.choice(texts)[draw.randint(0, 20) :]
            strength = draw.choice([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
            text = [draw.choice(words) if draw.random() < strength else word for word in source]
            text += draw.choices(words, odds, k=max(0, 100 - len(text)))
        else:
            text = draw.choices(words, odds, k=draw.randint(92, 242))
            place = draw.randint(0, len(text))
            text[place:place] = draw.choice(phrases)
        texts.append(text)
    return [" ".join(text).capitalize() + "." for text in texts]


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_near_duplicates_are_found_as_nltk_finds_them(threshold: float) -> None:
    texts = long_texts(45, seed=1)
    wanted = decide(texts, threshold)
    assert 3 <= sum(decision is not None for decision in wanted) <= 42
    assert offered(texts, threshold) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_500_texts_are_decided_as_by_nltk(threshold: float) -> None:
    texts = long_texts(500, seed=2)
    assert offered(texts, threshold) == decide(texts, threshold)


def test_any_small_texts_are_decided_as_by_nltk() -> None:
    """Few words make repeats, clipping, ties, empty texts and texts under four tokens common."""
    for trial in range(60):
        draw = rng(3, trial)
        words = ["aa", "Bb", "cc.", "isn't", "dd", "Aa", '"ee"', "ff", "服"][: draw.choice([2, 4, 9])]
        most = draw.choice([3, 8, 30])
        texts = [" ".join(draw.choices(words, k=draw.randint(0, most))) for _ in range(22)]
        threshold = draw.choice([0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0])
        assert offered(texts, threshold) == decide(texts, threshold), (trial, threshold, texts)


def test_blocks_of_kept_texts_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = long_texts(30, seed=4)
    wanted = decide(texts, 0.1)
    monkeypatch.setattr("synth.analysis.dedup.BLOCK", 3)
    assert offered(texts, 0.1) == wanted


def test_floats_are_those_of_nltk() -> None:
    smoothing = SmoothingFunction(epsilon=0.1).method1
    new, kept = "a b c d e f g h".split(), "a b c d x f g h i j".split()
    assert bleu((7, 5, 3, 1), 8, 10) == sentence_bleu([kept], new, smoothing_function=smoothing)
    assert bleu((0, 0, 0, 0), 8, 10) == sentence_bleu([["z"] * 10], new, smoothing_function=smoothing) == 0


def test_direction_is_the_new_text_against_the_kept_one() -> None:
    short, long = "one two three four five six", "one two three four five six seven eight nine ten eleven twelve"
    assert offered([short, long], 0.4) == [None, (0, pytest.approx(decide([short, long], 0.4)[1][1]))]
    # The other way round the brevity penalty (exp(1 - 12/6)) applies to a perfect precision.
    assert offered([long, short], 0.4) == [None, None]
    assert offered([long, short], 0.36) == [None, (0, pytest.approx(0.3679, abs=1e-4))]


def test_added_texts_count_but_are_not_judged() -> None:
    texts = long_texts(30, seed=5)
    one = Deduplicator(0.5)
    kept = [text for text in texts[:20] if one.offer(text) is None]
    other = Deduplicator(0.5)
    for text in kept:
        other.add(text)
    assert len(one) == len(other) == len(kept) < 20
    assert [one.offer(text) for text in texts[20:]] == [other.offer(text) for text in texts[20:]]


def test_rejected_texts_leave_no_trace() -> None:
    dedup = Deduplicator(0.5)
    text = "a warm coat for the long walk home in the rain"
    assert dedup.offer(text) is None
    assert dedup.offer(text + " tonight") is not None
    assert len(dedup) == 1


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(SynthError, match="from 0 to 1"):
        Deduplicator(threshold)


def test_nltk_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, synth.analysis.dedup; sys.exit('nltk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
