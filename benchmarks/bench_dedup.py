"""De-duplication against nltk: the same decisions, and how much faster than all pairs.

    python benchmarks/bench_dedup.py [--texts 7000] [--checked 500] [--threshold 0.5]

The texts have 100 to 250 words of a Zipf vocabulary; a third of their words come from stock phrases, so that some
4-grams occur in 1 to 5 % of the texts, and every tenth text is an edited copy of an earlier one.
"""

from __future__ import annotations

import argparse
import sys
import time

from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from synth.analysis.dedup import Deduplicator
from synth.randomness import rng

SMOOTHING = SmoothingFunction(epsilon=0.1).method1
TOKENIZE = NLTKWordTokenizer().tokenize


def draw_texts(count: int, seed: int) -> list[str]:
    """Texts of 100 to 250 words, with stock phrases and near-duplicates at several strengths of editing."""
    draw = rng(seed, "bench", "dedup")
    words = [f"w{i}" for i in range(20_000)]
    odds = [1 / (i + 3) for i in range(len(words))]
    phrases = [draw.choices(words, odds, k=draw.randint(5, 12)) for _ in range(300)]
    phrase_odds = [1 / (i + 20) for i in range(len(phrases))]
    texts: list[list[str]] = []
    for i in range(count):
        length = draw.randint(100, 250)
        if texts and i % 10 == 9:
            strength = draw.choice([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
            source = draw.choice(texts)
            text = [draw.choices(words, odds)[0] if draw.random() < strength else word for word in source]
        else:
            text = []
            while len(text) < length:
                text += draw.choices(words, odds, k=draw.randint(8, 20))
                text += draw.choices(phrases, phrase_odds)[0]
        texts.append(text[:length])
    return [" ".join(text) + "." for text in texts]


def decide_all_pairs(texts: list[str], threshold: float) -> tuple[list[bool], int]:
    """nltk against every kept text: is each a duplicate, and how many pairs that took."""
    kept: list[list[str]] = []
    decisions: list[bool] = []
    pairs = 0
    for text in texts:
        words = TOKENIZE(text.lower())
        pairs += len(kept)
        best = max((sentence_bleu([other], words, smoothing_function=SMOOTHING) for other in kept), default=-1.0)
        decisions.append(best > threshold)
        if best <= threshold:
            kept.append(words)
    return decisions, pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=7000)
    parser.add_argument("--checked", type=int, default=500, help="texts to decide with nltk as well (0: none)")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    texts = draw_texts(args.texts, args.seed)
    Deduplicator(args.threshold).offer(texts[0])  # the first use imports nltk's tokeniser
    dedup = Deduplicator(args.threshold)
    start = time.perf_counter()
    duplicates = sum(dedup.offer(text) is not None for text in texts)
    seconds = time.perf_counter() - start
    print(f"{len(texts):,} texts, threshold {args.threshold}: {seconds:.2f} s, {duplicates} duplicates")

    sample = [TOKENIZE(text.lower()) for text in texts[:80]]
    start = time.perf_counter()
    for i, words in enumerate(sample):
        for other in sample[:i]:
            sentence_bleu([other], words, smoothing_function=SMOOTHING)
    pair = (time.perf_counter() - start) / (len(sample) * (len(sample) - 1) / 2)
    kept = len(texts) - duplicates
    all_pairs = kept * (kept - 1) / 2 + duplicates * kept / 2
    print(f"nltk: {pair * 1000:.3f} ms a pair, so all {all_pairs:,.0f} pairs: {all_pairs * pair:,.0f} s")
    print(f"ratio: {all_pairs * pair / seconds:,.0f}")

    same = True
    if args.checked:
        some = draw_texts(args.checked, args.seed + 1)
        start = time.perf_counter()
        wanted, pairs = decide_all_pairs(some, args.threshold)
        seconds = time.perf_counter() - start
        dedup = Deduplicator(args.threshold)
        got = [dedup.offer(text) is not None for text in some]
        agree = sum(a == b for a, b in zip(got, wanted, strict=True))
        same = agree == len(some)
        print(
            f"{agree} of {len(some)} decisions as nltk ({sum(wanted)} duplicates; "
            f"nltk took {seconds:.0f} s for {pairs:,} pairs)"
        )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
