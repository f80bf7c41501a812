"""Scoring stored answers of Imagery as Inquiry: seconds a file, and how much faster than loops over all pairs.

    python benchmarks/bench_imagery.py [--requests 1470] [--data FOLDER]

The answers are drawn: 20 lines a request, and as many recommended titles a request as the published data have (14 for
books, 66 for music), one line in 33 an edited copy of one. With --data, the stored outputs there (`outputs/`) are
scored too. One core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from synth.randomness import rng
from synth.recommender.imagery.matching import first_fixed, first_original
from synth.recommender.imagery.outputs import Output
from synth.recommender.imagery.parsing import titles_fixed, titles_original
from synth.recommender.imagery.scoring import Scorer, score_answers

PER_REQUEST = {"books": 14, "music": 66}
LIMIT = 5.0
"""Seconds that a file of 1,470 requests may take."""


def draw(requests: int, recommended: int, seed: int) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Answers and recommendations."""
    drawn = rng(seed, "bench", "imagery", recommended)
    syllables = [a + b for a in "bcdfghklmnprstv" for b in "aeiou"]

    def words(count: int) -> str:
        return " ".join("".join(drawn.choices(syllables, k=drawn.randint(1, 4))) for _ in range(count))

    def title() -> str:
        return f"{words(2)} - {words(drawn.randint(1, 4))}" if drawn.random() < 0.95 else words(2)

    answers, recs = {}, {}
    for number in range(requests):
        recs[str(number)] = {title(): 1 for _ in range(recommended)}
        lines = []
        for place in range(1, 21):
            line = drawn.choice(list(recs[str(number)])) if drawn.random() < 0.03 else title()
            cut = drawn.randrange(len(line))
            lines.append(f'{place}. "{line[:cut]}{drawn.choice(syllables)}{line[cut + 1 :]}"')
        answers[str(number)] = "\n".join(lines)
    return answers, recs


def plain_distance(one: str, other: str) -> int:
    """Levenshtein's, in Python."""
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b)))
        last = row
    return last[-1]


def naive(lines: list[str], recommended: dict[str, int], distance: Callable[[str, str], int]) -> int:
    """The rules of `original`, over all pairs: no cutoff, no stop at the first match."""
    places = []
    creators = [entry for entry in recommended if " - " not in entry]
    for place, line in enumerate(lines, 1):
        near = min(distance(line.lower(), entry.lower()) for entry in recommended)
        if near < 5 or any(creator in line.split("-")[0] for creator in creators):
            places.append(place)
    return min(places, default=0)


def seconds(work: Callable[[], object]) -> float:
    """Of processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1470)
    parser.add_argument("--checked", type=int, default=15, help="requests for the loop in Python")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    good = True
    first_original(["a - b"], {"a - b": 1})  # the first use imports rapidfuzz
    for name, recommended in PER_REQUEST.items():
        answers, recs = draw(args.requests, recommended, args.seed)
        output = Output(Path("drawn"), "drawn", name, "none", "rec_title")
        for mode in ("original", "fixed"):
            took = seconds(lambda: score_answers(output, answers, recs, {}, mode))  # noqa: B023 (called at once)
            print(f"{name}: {args.requests:,} requests with {recommended} titles each, {mode}: {took:.2f} s")
            good &= took < LIMIT * args.requests / 1470
        lines = {request: titles_original(said) for request, said in answers.items()}
        parted = {request: titles_fixed(said) for request, said in answers.items()}
        ours = seconds(lambda: [first_original(lines[r], recs[r]) for r in recs])  # noqa: B023
        fixed = seconds(lambda: [first_fixed(parted[r], recs[r]) for r in recs])  # noqa: B023
        loop = seconds(lambda: [naive(lines[r], recs[r], Levenshtein.distance) for r in recs])  # noqa: B023
        few = list(recs)[: args.checked]
        plain = seconds(lambda: [naive(lines[r], recs[r], plain_distance) for r in few])  # noqa: B023
        plain *= len(recs) / len(few)
        same = all(first_original(lines[r], recs[r]) == naive(lines[r], recs[r], Levenshtein.distance) for r in recs)
        same &= all(first_original(lines[r], recs[r]) == naive(lines[r], recs[r], plain_distance) for r in few)
        hits = sum(first_original(lines[r], recs[r]) > 0 for r in recs)
        good &= same and 0 < hits < len(recs)
        print(f"  matching alone: original {ours:.2f} s, fixed {fixed:.2f} s")
        print(f"  loop over all pairs, rapidfuzz without cutoff: {loop:.2f} s, ratio {loop / ours:.1f}")
        print(f"  loop over all pairs in Python: {plain:,.0f} s (from {len(few)} requests), ratio {plain / ours:,.0f}")
        print(f"  {'the same matches' if same else 'DIFFERENT MATCHES'}, {hits:,} of {len(recs):,} requests")
    if args.data:
        scorer = Scorer(args.data)
        for path in sorted((args.data / "outputs").glob("*__rec_*.jsonl*")):
            scorer.score(path, "original")
            for mode in ("original", "fixed"):
                print(f"{path.name}, {mode}: {seconds(lambda: scorer.score(path, mode)):.2f} s")  # noqa: B023
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
