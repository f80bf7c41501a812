"""Text metrics against independent computations, on random texts and at the edges."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from synth.errors import SynthError
from synth.recommender.runs import Query, Response, RunFile

pytest.importorskip("sacrebleu", reason="the extra `eval` is not installed")
pytest.importorskip("rouge_score", reason="the extra `eval` is not installed")
pytest.importorskip("scipy", reason="the extra `eval` is not installed")

from synth.analysis.diversity import distinct
from synth.recommender.corpus_metrics import corpus_metric, is_corpus
from synth.recommender.estimates import groups_of
from synth.recommender.text_metrics import CHAR_BLEU, PER_RESPONSE, WORD_BLEU, text_columns, unseen_by_rouge

WORDS = (
    "the a red blue bags shoes nicely strapped under price fits, good! for summers running 20 don't Ünder 猫が".split()
)
EDGES = [
    ("", "a red bag"),
    ("   ", "a red bag"),
    ("a", "a"),
    ("a red", "a red bag for her"),
    ("a red bag", "a red bag"),
    ("bag bag bag bag bag", "bag"),
    ("red", "Red"),
    ("猫が好きです", "猫が好き"),
    ("Красная сумка", "красная сумка"),
    ("🙂🙂", "🙂"),
    ("Nice!\nSecond line.", "Nice! Second line."),
]


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts with their references, some alike, some not."""
    drawn = random.Random(seed)
    found = []
    for _ in range(count):
        reference = drawn.choices(WORDS, k=drawn.randint(1, 14))
        text = [word if drawn.random() < 0.6 else drawn.choice(WORDS) for word in reference]
        found.append((" ".join(text[: drawn.randint(1, len(text))]), " ".join(reference)))
    return found


def asked(listed: Sequence[tuple[str, str]], name: str = "x", size: int = 1) -> tuple[RunFile, list[Query]]:
    queries = [Query(f"q{n}", f"c{n // size}", "", (), reference=reference) for n, (_, reference) in enumerate(listed)]
    return RunFile(name, {}, {f"q{n}": Response(text, True) for n, (text, _) in enumerate(listed)}), queries


def bleu4(text: Sequence[str], reference: Sequence[str]) -> float:
    """Sentence BLEU-4 from its definition; the n-th order without a match counts 1 / 2^i, where it is the i-th such."""
    precisions, empty = [], 0
    for n in range(1, 5):
        mine = Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
        theirs = Counter(tuple(reference[i : i + n]) for i in range(len(reference) - n + 1))
        matched, total = sum((mine & theirs).values()), max(sum(mine.values()), 1)
        if n == 1 and not matched:
            return 0.0
        if not matched:
            empty += 1
        precisions.append(matched / total if matched else 1 / (2**empty * total))
    brevity = 1.0 if len(text) > len(reference) else math.exp(1 - len(reference) / len(text))
    return brevity * math.exp(sum(math.log(p) for p in precisions) / 4)


def rouge_tokens(text: str) -> list[str]:
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    return [stem(word) if len(word) > 3 else word for word in re.findall("[a-z0-9]+", text.lower())]


def f1(matched: int, one: int, other: int) -> float:
    return 2 * matched / (one + other) if matched else 0.0


def rouge_n(text: str, reference: str, n: int) -> float:
    one, other = (
        Counter(zip(*(tokens[i:] for i in range(n)), strict=False))
        for tokens in (rouge_tokens(text), rouge_tokens(reference))
    )
    return f1(sum((one & other).values()), sum(one.values()), sum(other.values()))


def rouge_l(text: str, reference: str) -> float:
    one, other = rouge_tokens(text), rouge_tokens(reference)
    longest = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, j in itertools.product(range(len(one)), range(len(other))):
        same = longest[i][j] + 1 if one[i] == other[j] else 0
        longest[i + 1][j + 1] = max(same, longest[i][j + 1], longest[i + 1][j])
    return f1(longest[-1][-1], len(one), len(other))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_responses_agree_with_their_definitions(seed: int) -> None:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    listed = [*EDGES, *pairs(60, seed)]
    run, queries = asked(listed)
    found = text_columns(run, queries, PER_RESPONSE)
    split = NLTKWordTokenizer().tokenize
    for place, (raw, reference) in enumerate(listed):
        text = raw.strip()
        expected = {
            WORD_BLEU: bleu4(split(text), split(reference)),
            CHAR_BLEU: bleu4(text, reference),
            "rouge1": rouge_n(text, reference, 1),
            "rouge2": rouge_n(text, reference, 2),
            "rougeL": rouge_l(text, reference),
            "words": len(text.split()),
        }
        for name, value in expected.items():
            assert found[name].value[place] == pytest.approx(value, abs=1e-9), (name, raw, reference)
    assert set(found) == set(PER_RESPONSE) and all(column.weight.min() == 1 for column in found.values())


def test_a_missing_response_is_an_empty_one_and_a_missing_reference_counts_nowhere() -> None:
    queries = [Query("q0", "c0", "", (), reference="a red bag"), Query("q1", "c1", "", (), reference="a bag")]
    queries.append(Query("q2", "c2", "", (), reference="  "))
    run = RunFile("x", {}, {"q1": Response("a bag", True), "q2": Response("long long text", True)})
    found = text_columns(run, queries, ["words", "rouge1"])
    assert found["words"].mean == 1.0 and found["rouge1"].mean == 0.5
    assert found["words"].weight.tolist() == [1, 1, 0]
    groups = groups_of(queries)
    assert corpus_metric("distinct1.corpus", {"x": run}, queries, groups, "x").figures["x"].value == 1.0
    # UniCRS divides by the responses that are not empty.
    assert corpus_metric("distinct1.sentence", {"x": run}, queries, groups, "x").figures["x"].value == 2.0


def test_the_character_mode_is_far_above_the_word_mode() -> None:
    """What sets MUSE's BLEU-4, higher than its ROUGE-1, apart from word-level BLEU."""
    run, queries = asked(pairs(200, 1))
    found = text_columns(run, queries, [WORD_BLEU, CHAR_BLEU])
    assert found[CHAR_BLEU].mean > 1.3 * found[WORD_BLEU].mean


def test_progress_is_told() -> None:
    run, queries = asked(pairs(5, 0))
    told: list[int] = []
    text_columns(run, queries, ["words"], told.append)
    assert told == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "tokenize"), [("bleu", "13a"), ("bleu.intl", "intl"), ("bleu.zh", "zh"), ("bleu.char", "char")]
)
def test_corpus_bleu_is_sacrebleus(name: str, tokenize: str) -> None:
    from sacrebleu.metrics.bleu import BLEU

    for seed, listed in ((0, pairs(80, 0)), (1, [*EDGES, *pairs(10, 1)]), (2, EDGES[:2]), (3, [("猫", "猫")])):
        run, queries = asked(listed)
        scorer = BLEU(tokenize=tokenize)
        expected = scorer.corpus_score([text.strip() for text, _ in listed], [[reference for _, reference in listed]])
        found = corpus_metric(name, {"x": run}, queries, groups_of(queries), "x", seed)
        assert found.figures["x"].value == pytest.approx(expected.score, abs=1e-9)
        assert found.signature == str(scorer.get_signature()) and f"tok:{tokenize}" in found.signature


def test_corpus_bleu_is_its_definition_on_plain_words() -> None:
    drawn = random.Random(4)
    words = [f"w{n}" for n in range(12)]
    listed = []
    for _ in range(40):
        reference = drawn.choices(words, k=10)
        listed.append((" ".join(w if drawn.random() < 0.7 else "w0" for w in reference[:8]), " ".join(reference)))
    log, length, wanted = 0.0, 0, 0
    for n in range(1, 5):
        matched = total = 0
        for text, reference in listed:
            one, other = (
                Counter(zip(*(side.split()[i:] for i in range(n)), strict=False)) for side in (text, reference)
            )
            matched, total = matched + sum((one & other).values()), total + sum(one.values())
        log += math.log(matched / total) / 4
    for text, reference in listed:
        length, wanted = length + len(text.split()), wanted + len(reference.split())
    run, queries = asked(listed)
    figure = corpus_metric("bleu", {"x": run}, queries, groups_of(queries), "x").figures["x"]
    assert figure.value == pytest.approx(100 * math.exp(log + min(0.0, 1 - wanted / length)))
    assert figure.interval == "percentile" and figure.low and figure.high and figure.low < figure.value < figure.high


def two_systems(count: int, gain: float, size: int = 1) -> tuple[dict[str, RunFile], list[Query]]:
    drawn = random.Random(7)
    base = pairs(count, 5)
    better = []
    for text, reference in pairs(count, 5):
        words = text.split()
        better.append(
            (
                " ".join(r if drawn.random() < gain else w for w, r in zip(words, reference.split(), strict=False)),
                reference,
            )
        )
    one, queries = asked(base, "base", size)
    return {"base": one, "better": asked(better, "better", size)[0]}, queries


def test_the_paired_bootstrap_is_sacrebleus_where_queries_are_independent() -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    runs, queries = two_systems(120, 0.03)
    found = corpus_metric("bleu", runs, queries, groups_of(queries), "base")
    systems = [(name, [run.responses[q.id].response for q in queries]) for name, run in runs.items()]
    scorer = BLEU(references=[[q.reference for q in queries]])
    _, scores = PairedTest(systems, {"BLEU": scorer}, references=None, test_type="bs", n_samples=2000)()
    base, better = scores["BLEU"]
    assert found.figures["better"].value == pytest.approx(better.score)
    assert 0.01 < better.p_value < 0.99
    assert found.p["better"] == pytest.approx(better.p_value, abs=0.03)
    width = (found.figures["base"].high or 0) - (found.figures["base"].low or 0)
    assert width / 2 == pytest.approx(base.ci, rel=0.15)


def test_intervals_and_tests_of_bleu_draw_whole_conversations() -> None:
    alone, queries = two_systems(120, 0.5)
    found = corpus_metric("bleu", alone, queries, groups_of(queries), "base")
    assert found.p["better"] < 0.001 and found.test == "bootstrap"
    one_conversation = corpus_metric("bleu", alone, queries, np.zeros(120, dtype=np.int64), "base")
    assert one_conversation.p["better"] == 1.0 and one_conversation.figures["base"].low is None
    same = corpus_metric("bleu", {"base": alone["base"], "again": alone["base"]}, queries, groups_of(queries), "base")
    assert same.p["again"] == 1.0


@pytest.mark.parametrize("n", [1, 2, 4])
def test_distinct_agrees_with_brute_force(n: int) -> None:
    listed = [*EDGES, *pairs(50, n)]
    run, queries = asked(listed, size=3)
    texts = [text.strip() for text, _ in listed]
    found = {
        kind: corpus_metric(f"distinct{n}.{kind}", {"x": run}, queries, groups_of(queries), "x").figures["x"].value
        for kind in ("corpus", "sentence")
    }
    assert found["corpus"] == pytest.approx(distinct(texts, n))
    grams = {tuple(text.split()[i : i + n]) for text in texts for i in range(len(text.split()) - n + 1)}
    assert found["sentence"] == pytest.approx(len(grams) / sum(bool(text) for text in texts))


def test_distinct_of_the_sentence_kind_may_exceed_one_and_of_nothing_is_nothing() -> None:
    run, queries = asked([("a b c d e f", "x")])
    both = [
        corpus_metric(f"distinct1.{k}", {"x": run}, queries, groups_of(queries), "x") for k in ("corpus", "sentence")
    ]
    assert [found.figures["x"].value for found in both] == [1.0, 6.0]
    silent, queries = asked([("", "x"), ("", "y")])
    for name in ("distinct4.corpus", "distinct4.sentence", "bleu"):
        assert corpus_metric(name, {"x": silent}, queries, groups_of(queries), "x").figures["x"].value == 0


def test_the_exchange_test_on_distinct_is_close_to_all_exchanges() -> None:
    drawn = random.Random(3)
    one = [(" ".join(drawn.choices(WORDS[:9], k=6)), "x") for _ in range(8)]
    other = [(" ".join(drawn.choices(WORDS[:6], k=6)), "x") for _ in range(8)]
    (run, queries), (second, _) = asked(one, "one"), asked(other, "other")

    def share(texts: Sequence[str]) -> float:
        grams = [tuple(text.split()[i : i + 2]) for text in texts for i in range(len(text.split()) - 1)]
        return len(set(grams)) / len(texts)

    mine, theirs = [text for text, _ in one], [text for text, _ in other]
    seen = abs(share(mine) - share(theirs)) - 1e-12
    reached = 0
    for swap in itertools.product((False, True), repeat=8):
        first = [b if s else a for a, b, s in zip(mine, theirs, swap, strict=True)]
        then = [a if s else b for a, b, s in zip(mine, theirs, swap, strict=True)]
        reached += abs(share(first) - share(then)) >= seen
    found = corpus_metric("distinct2.sentence", {"one": run, "other": second}, queries, groups_of(queries), "other")
    assert found.p["one"] == pytest.approx(reached / 256, abs=0.05)
    assert found.figures["one"].low is None
    same = corpus_metric("distinct2.corpus", {"one": run, "again": run}, queries, groups_of(queries), "one")
    assert same.p["again"] == 1.0


def test_names_of_corpus_metrics() -> None:
    assert all(map(is_corpus, ("bleu", "bleu.zh", "distinct1.corpus", "distinct9.sentence")))
    assert not any(map(is_corpus, ("bleu4", "bleu.13a", "distinct.corpus", "distinct0.corpus", "distinct4", "rouge1")))


def test_references_that_rouge_cannot_see_are_counted() -> None:
    texts = ["猫", "красная", "red", "5", " ", "猫 cat"]
    assert unseen_by_rouge([Query(str(n), "c", "", (), reference=text) for n, text in enumerate(texts)]) == 2


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    run, queries = asked(pairs(3, 0))
    with pytest.raises(SynthError, match=r"rouge_score.*synth-crs\[eval\]"):
        text_columns(run, queries, ["rouge1"])
    with pytest.raises(SynthError, match=r"sacrebleu.*synth-crs\[eval\]"):
        corpus_metric("bleu", {"x": run}, queries, groups_of(queries), "x")
