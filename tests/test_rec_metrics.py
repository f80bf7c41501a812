"""Metrics, intervals and tests against independent computations; run files; tables; `synth eval recommend`."""

from __future__ import annotations

import json
import math
import random
import re
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from synth.analysis.agreement import sign_test, wilson
from synth.analysis.statistics.table import markdown
from synth.cli import app
from synth.errors import SynthError
from synth.recommender.runs import Query, Response, RunFile, ranking, read_run, write_lines, write_run, write_whole
from synth.recommender.table import ablation, domains, overview, print_tables

pytest.importorskip("ir_measures", reason="the extra `eval` is not installed")
pytest.importorskip("scipy", reason="the extra `eval` is not installed")

from synth.recommender.compare import compare
from synth.recommender.metrics import GIVEN, MACRO, MICRO, MRR, NDCG, VALID, evaluate
from synth.recommender.ranking_metrics import depth, is_ranking, rank_columns
from synth.recommender.significance import bootstrap, holm, mcnemar, permutation


def make_queries(count: int = 120, seed: int = 0, hit_rate: float = 0.7) -> list[Query]:
    """Conversations of one to three pairs, some repeated, some without the right answer in the list."""
    drawn = random.Random(seed)
    queries: list[Query] = []
    conversation = 0
    while len(queries) < count:
        for part in range(drawn.choice([1, 1, 1, 2, 3])):
            items = [f"i{n}" for n in drawn.sample(range(60), 10)]
            gt = drawn.choice(items) if drawn.random() < hit_rate else "absent"
            name = f"test:{conversation}#{part}"
            queries.append(Query(name, f"test:{conversation}", gt, tuple(items), drawn.choice([1, 1, 1, 2])))
        conversation += 1
    return queries


def make_run(name: str, queries: list[Query], skill: float, seed: int, **facts: Any) -> RunFile:
    drawn = random.Random(seed)
    scores = {
        query.id: {item: drawn.random() + skill * (item == query.gt) for item in query.candidates} for query in queries
    }
    return RunFile(name, scores, facts={"data": "toy", "split": "test", **facts})


def by_hand(run: RunFile, queries: list[Query]) -> dict[str, float]:
    """The definitions of docs/evaluation.md, spelt out."""
    hits = pairs = held = held_hits = rr = ndcg = 0.0
    of_conversation: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for query in queries:
        scores = run.scores.get(query.id, {})
        order = sorted(scores, key=lambda item: -scores[item])
        first = order[0] if order else None
        rank = order.index(query.gt) + 1 if query.gt in order else None
        for _ in range(query.repeats):
            pairs += 1
            hits += first == query.gt
            rr += 1 / rank if rank else 0
            ndcg += 1 / math.log2(rank + 1) if rank and rank <= 10 else 0
            if query.gt in query.candidates:
                held += 1
                held_hits += first == query.gt
            of_conversation[query.conversation].append((first == query.gt, first in query.candidates, 1))
    means = [[sum(x[n] for x in listed) / len(listed) for n in (0, 1)] for listed in of_conversation.values()]
    return {
        MICRO: hits / pairs,
        MACRO: sum(mean[0] for mean in means) / len(means),
        VALID: sum(mean[1] for mean in means) / len(means),
        GIVEN: held_hits / held,
        MRR: rr / pairs,
        NDCG: ndcg / pairs,
        "ceiling": held / pairs,
    }


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_agrees_with_the_definition(seed: int) -> None:
    queries = make_queries(seed=seed)
    runs = {name: make_run(name, queries, skill, seed) for name, skill in (("weak", 0.1), ("strong", 0.8))}
    table = evaluate(runs, queries)
    for name, run in runs.items():
        expected = by_hand(run, queries)
        for metric in (MICRO, MACRO, VALID, GIVEN, MRR, NDCG):
            figure = table.systems[name].figures[metric]
            assert figure.value == pytest.approx(expected[metric], abs=1e-9), metric
            assert figure.low is not None and figure.high is not None
            assert figure.low <= figure.value <= figure.high
        assert table.ceiling.value == pytest.approx(expected["ceiling"])
    assert table.pairs == sum(query.repeats for query in queries) and table.unique_pairs == len(queries)
    assert table.chance == pytest.approx(table.ceiling.value / 10)


def rank_by_hand(order: list[str], right: set[str], name: str) -> float:
    """One query's value by the definitions of docs/evaluation.md."""
    kind, _, cutoff = name.removesuffix("_macro").partition("@")
    ranks = [place + 1 for place, item in enumerate(order) if item in right]
    k = int(cutoff) if cutoff else len(order)
    within = [rank for rank in ranks if rank <= k]
    if kind == "hit":
        return float(bool(within))
    if kind == "recall":
        return len(within) / len(right)
    if kind == "mrr":
        return 1 / within[0] if within else 0.0
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(right)) + 1))
    return sum(1 / math.log2(rank + 1) for rank in within) / ideal


ANY_DEPTH = [f"{kind}@{k}" for kind in ("hit", "recall", "mrr", "ndcg") for k in (1, 2, 3, 10, 1000)]


@pytest.mark.parametrize("seed", range(5))
def test_rankings_of_any_depth_agree_with_brute_force(seed: int) -> None:
    """Ties, several right answers or none, repeats of them, one item, no item, no answer, long ids in other scripts."""
    drawn = random.Random(seed)
    items = [f"предмет {n}" for n in range(15)] + ["x" * 300, "猫", "a b", "c\td"]
    queries, scores = [], {}
    for n in range(60):
        right = drawn.choices(items, k=drawn.choice([0, 1, 1, 2, 5]))
        gt = drawn.choice(right) if right else ""
        answers = tuple(right) if len(right) != 1 or drawn.random() < 0.5 else ()
        queries.append(Query(f"q{n}", f"c{n // 2}", gt, (), drawn.choice([1, 1, 3]), answers))
        listed = drawn.sample(items, drawn.choice([0, 1, 1, 5, len(items)]))
        if drawn.random() < 0.9:
            scores[f"q{n}"] = {item: float(drawn.choice([0, 0, 1, 2])) for item in listed}
    run = RunFile("x", scores)
    names = [*ANY_DEPTH, "mrr", "mrr_macro", "recall@3_macro"]
    found = rank_columns(run, queries, names)
    for name in names:
        hand: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for query, value in zip(queries, found[name].value.tolist(), strict=True):
            if not query.right:
                continue
            order = ranking(query.id, scores.get(query.id, {}))
            expected = rank_by_hand(order, set(query.right), name)
            assert value == pytest.approx(expected, abs=1e-9), (name, query)
            hand[query.conversation].append((expected, query.repeats))
        means = [sum(v * r for v, r in listed) / sum(r for _, r in listed) for listed in hand.values()]
        pairs = [(v, r) for listed in hand.values() for v, r in listed]
        micro = sum(v * r for v, r in pairs) / sum(r for _, r in pairs)
        assert found[name].mean == pytest.approx(sum(means) / len(means) if "macro" in name else micro)


def test_without_any_right_answer_nothing_counts() -> None:
    queries = [Query("q0", "c0", "", ()), Query("q1", "c1", "", ())]
    found = rank_columns(RunFile("x", {"q0": {"a": 1.0}}), queries, ["hit@1", "ndcg@10"])
    assert all(column.weight.sum() == 0 and column.mean == 0 for column in found.values())


def test_names_of_ranking_metrics() -> None:
    assert all(map(is_ranking, (MICRO, MACRO, VALID, GIVEN, MRR, "hit@1", "recall@20_macro", "ndcg@5", "mrr@10")))
    assert not any(map(is_ranking, ("hit", "hit@0", "hit@", "ndcg", "recall@-1", "hit@1.5", "mrr@10_micro", "bleu")))
    assert [depth(name) for name in (MICRO, VALID, MRR, "ndcg@5", "hit@1_macro")] == [1, 1, 0, 5, 1]


def test_right_answers_are_listed_once() -> None:
    assert Query("q", "c", "a", (), answers=("b", "a", "b")).right == ("a", "b")
    assert Query("q", "c", "a", ()).right == ("a",)
    assert Query("q", "c", "", ()).right == ()


def test_answers_left_out_or_outside_the_list_are_misses() -> None:
    queries = [Query(f"q{n}", f"c{n}", "a", ("a", "b")) for n in range(4)]
    run = RunFile(
        "llm",
        {"q0": {"a": 1.0}, "q1": {"z": 1.0}, "q2": {}},
        {"q0": Response("a", True), "q1": Response("z!", False), "q2": Response("I cannot", False)},
    )
    table = evaluate({"llm": run}, queries)
    figures = table.systems["llm"].figures
    assert (figures[MICRO].value, figures[VALID].value) == (0.25, 0.25)
    assert table.systems["llm"].missing == 1
    # One answer is no ranking: MRR would be HR@1 by another name.
    assert MRR not in figures and NDCG not in figures
    assert "left 1 unanswered" in table.tables()[0].note


def test_ties_favour_no_place_and_no_id() -> None:
    queries = [Query(f"q{n}", f"c{n}", "x", tuple(f"i{m}" for m in range(10))) for n in range(2000)]
    first = [ranking(query.id, dict.fromkeys(query.candidates, 0.0))[0] for query in queries]
    counts = np.bincount([int(item[1:]) for item in first], minlength=10)
    assert counts.min() > 140 and counts.max() < 260
    assert ranking("q", {"a": 1.0, "b": 2.0, "c": 0.0}) == ["b", "a", "c"]
    assert ranking("q", {"a": 0.0, "b": 0.0}) == ranking("q", {"b": 0.0, "a": 0.0})


def test_scores_that_differ_in_their_last_bits_are_no_ties() -> None:
    queries = [Query("q", "c", "a", ("a", "b"))]
    table = evaluate({"x": RunFile("x", {"q": {"a": 0.5 + 1e-12, "b": 0.5}})}, queries)
    assert table.systems["x"].figures[MICRO].value == 1


def test_hits_by_place() -> None:
    items = ("a", "b", "c")
    queries = [Query(f"q{n}", f"c{n}", items[n % 3], items) for n in range(9)]
    always_a = RunFile("a", {query.id: {"a": 3.0, "b": 2.0, "c": 1.0} for query in queries})
    table = evaluate({"a": always_a}, queries)
    assert table.places == (3, 3, 3) and table.systems["a"].hits_by_place == (3, 0, 0)
    assert "not spread evenly" not in table.tables()[-1].note
    uneven = evaluate({"a": always_a}, [*queries, Query("q9", "c9", "a", items), Query("q10", "c10", "a", items)])
    assert "not spread evenly" in uneven.tables()[-1].note


def test_a_run_over_other_questions_is_refused() -> None:
    queries = make_queries(10)
    with pytest.raises(SynthError, match="were not asked"):
        evaluate({"x": RunFile("x", {"other": {"a": 1.0}})}, queries)
    with pytest.raises(SynthError, match="nothing to evaluate"):
        evaluate({}, queries)
    with pytest.raises(SynthError, match="no run 'y'"):
        evaluate({"x": make_run("x", queries, 1, 0)}, queries, against="y")


def bounds(hits: int, trials: int) -> tuple[float, float]:
    found = wilson(hits, trials)
    assert found
    return found.low, found.high


def test_wilsons_interval_and_the_sign_test_are_scipys() -> None:
    from scipy.stats import binomtest

    for hits, trials in ((0, 10), (3, 10), (10, 10), (106, 890)):
        expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
        assert bounds(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)
    for one, other in ((1, 0), (4, 4), (3, 12), (40, 61), (700, 810)):
        assert sign_test(one, other) == pytest.approx(binomtest(one, one + other).pvalue, rel=1e-9)


def test_single_pairs_have_wilsons_interval_and_others_the_bootstraps() -> None:
    single = [Query(f"q{n}", f"c{n}", "a", ("a", "b")) for n in range(40)]
    run = RunFile("x", {q.id: {"a": float(n % 4 == 0), "b": 0.5} for n, q in enumerate(single)})
    figure = evaluate({"x": run}, single).systems["x"].figures[MICRO]
    assert figure.interval == "wilson" and (figure.low, figure.high) == pytest.approx(bounds(10, 40))
    paired = [Query(q.id, f"c{n // 2}", q.gt, q.candidates) for n, q in enumerate(single)]
    clustered = evaluate({"x": run}, paired).systems["x"].figures[MICRO]
    assert clustered.interval == "bca" and clustered.value == figure.value
    never = RunFile("never", {q.id: {"a": 0.0, "b": 0.5} for q in single})
    zero = evaluate({"never": never}, paired).systems["never"].figures[MICRO]
    assert zero.value == 0 and zero.high == pytest.approx(bounds(0, 20)[1])


def test_the_bootstrap_is_scipys_bca_over_conversations() -> None:
    from scipy.stats import bootstrap as scipy_bootstrap

    drawn = np.random.default_rng(3)
    groups = np.repeat(np.arange(150), drawn.integers(1, 4, 150))
    value = (drawn.random(150) ** 3)[groups]  # the pairs of a conversation are alike
    weight = drawn.integers(1, 3, len(groups)).astype(np.float64)
    low, high = bootstrap({"x": (value, weight)}, groups, seed=1)["x"] or (0, 0)
    above, below = np.bincount(groups, value * weight), np.bincount(groups, weight)
    expected = scipy_bootstrap(
        (above, below),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=9_999,
        method="BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = expected.high - expected.low
    assert abs(low - expected.low) < 0.05 * width and abs(high - expected.high) < 0.05 * width
    # Treating pairs as independent would give another interval.
    alone = bootstrap({"x": (value, weight)}, np.arange(len(groups)), seed=1)["x"] or (0, 0)
    assert abs((alone[1] - alone[0]) - width) > 0.1 * width


def test_an_interval_needs_something_to_draw_from() -> None:
    groups = np.arange(5)
    found = bootstrap({"same": (np.ones(5), np.ones(5)), "none": (np.ones(5), np.zeros(5))}, groups)
    assert found == {"same": None, "none": None}


def test_mcnemar_is_the_exact_binomial_tail() -> None:
    one = np.array([True] * 12 + [False] * 3 + [True] * 20 + [False] * 30)
    other = np.array([False] * 12 + [True] * 3 + [True] * 20 + [False] * 30)
    tail = sum(math.comb(15, k) for k in range(4))
    first, second, p = mcnemar(one, other)
    assert (first, second) == (12, 3) and p == pytest.approx(float(Fraction(2 * tail, 2**15)))
    assert mcnemar(one, one) == (0, 0, 1.0)


def test_the_permutation_test_is_scipys_where_all_can_be_tried() -> None:
    from scipy.stats import permutation_test

    drawn = np.random.default_rng(5)
    for _ in range(5):
        one, other = drawn.random(10), drawn.random(10) * 0.7
        expected = permutation_test(
            (one, other),
            lambda a, b, axis: (a - b).mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        ).pvalue
        assert permutation(one, other, np.arange(10)) == pytest.approx(min(expected, 1.0))
    one = drawn.random(80)
    other = one + drawn.normal(0.01, 0.1, 80)
    sampled = permutation_test(
        (one, other),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    ).pvalue
    assert 0.05 < sampled < 0.95
    assert permutation(one, other, np.arange(80)) == pytest.approx(sampled, abs=0.02)
    # The pairs of one conversation change places together.
    assert permutation(one, other, np.zeros(80, dtype=np.int64)) == 1.0
    assert permutation(one, one, np.arange(80)) == 1.0


def test_holm_is_holms() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_comparisons_are_adjusted_for_the_number_of_systems() -> None:
    queries = make_queries(150)
    runs = {name: make_run(name, queries, skill, 1) for name, skill in (("a", 0.0), ("b", 0.2), ("best", 1.0))}
    table = evaluate(runs, queries, against="best")
    tested = [one for one in table.comparisons if one.metric == MICRO]
    assert {one.system for one in tested} == {"a", "b"}
    assert [one.p_holm for one in tested] == pytest.approx(holm([one.p for one in tested]))
    for one in tested:
        assert one.gain < 0 and one.p_holm < 0.01
    assert {one.test for one in table.comparisons} == {"permutation"}
    again = evaluate(runs, queries, against="best")
    assert again == table
    # One pair a conversation: the exact test, by the same engine as `compare`.
    lone = [Query(query.id, query.id, query.gt, query.candidates) for query in queries]
    exact = [one for one in evaluate(runs, lone, against="best").comparisons if one.metric == MICRO]
    assert exact == compare(runs, lone, [MICRO], against="best").comparisons
    assert all(one.test == "mcnemar" and one.apart and one.apart[0] < one.apart[1] for one in exact)


def test_pairs_of_one_conversation_are_not_tested_as_independent() -> None:
    """Few conversations, of many pairs each, are few witnesses: McNemar over pairs would be sure."""
    items = ("a", "b")
    queries = [Query(f"q{c}.{n}", f"c{c}", "a", items, repeats=1 + n) for c in range(4) for n in range(6)]
    good = RunFile("good", {query.id: {"a": 1.0, "b": 0.0} for query in queries})
    bad = RunFile("bad", {query.id: {"a": 0.0, "b": 1.0} for query in queries})
    (one,) = [c for c in evaluate({"bad": bad, "good": good}, queries).comparisons if c.metric == MICRO]
    assert (one.test, one.apart) == ("permutation", None)
    assert one.p == 2 / 2**4
    (other,) = compare({"bad": bad, "good": good}, queries, [MICRO]).comparisons
    assert other == one


def test_a_run_survives_the_disk(tmp_path: Path) -> None:
    queries = make_queries(20)
    run = make_run("mine é", queries, 0.3, 0, generator="g", trained=["toy"])
    spoken = RunFile(run.name, run.scores, {queries[0].id: Response("B1\n", False)}, run.facts)
    write_run(tmp_path / "run", spoken, queries)
    assert read_run(tmp_path / "run") == (spoken, queries)
    assert read_run(tmp_path / "run" / "run.jsonl")[0] == spoken
    write_run(tmp_path / "run", run, queries)
    assert read_run(tmp_path / "run")[0].responses == {}
    with (tmp_path / "run" / "run.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(SynthError, match="is damaged"):
        read_run(tmp_path / "run")
    with pytest.raises(SynthError, match="is not a run"):
        read_run(tmp_path)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", "text")
    with pytest.raises(TypeError):
        write_lines(tmp_path / "lines", [{"a": object()}])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_runs_with_several_answers_and_references_survive_the_disk(tmp_path: Path) -> None:
    queries = [
        Query("q0", "c0", "a", (), answers=("a", "b")),
        Query("q1", "c0", "", (), reference="Nice «bag»\u2028here"),
        Query("q2", "c1", "x", ("x", "y"), 2),
    ]
    run = RunFile("r", {"q0": {"b": 1.0}}, {"q1": Response("", False)}, {"task": "muse.respond"})
    write_run(tmp_path, run, queries)
    assert read_run(tmp_path) == (run, queries) and run.task == "muse.respond"
    assert RunFile("r", {}).task == "recommend"
    # Folders from before there were these columns, and nothing else in the lines of tasks that lack them.
    lines = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text("utf-8").split("\n") if line]
    assert list(lines[2]) == ["id", "conversation", "gt", "candidates", "repeats"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("queries.jsonl", '{"id": "q", "conversation": "c", "candidates": []}', "a row has no 'gt'"),
        ("queries.jsonl", '{"id": "q", "conversation": "c", "gt": null, "candidates": []}', "None is no text"),
        ("queries.jsonl", '{"id": "q", "conversation": "c", "gt": "a", "candidates": ["a"]}\n' * 2, "q stands twice"),
        ("queries.jsonl", "", "does not say what was asked"),
        ("queries.jsonl", "[]", "is damaged"),
        ("run.jsonl", '{"query": "q"}', "a row has no 'scores'"),
        ("run.jsonl", '{"query": "q", "scores": {"a": NaN}}', "a score is no number"),
        ("run.jsonl", '{"query": "q", "scores": {}}\n' * 2, "q stands twice"),
        ("run.jsonl", '{"query": "z", "scores": {}}', "1 queries that were not asked, such as z"),
        ("responses.jsonl", '{"query": "q", "response": "x"}', "a row has no 'valid'"),
        ("responses.jsonl", '{"query": "q", "response": 5, "valid": true}', "5 is no text"),
        ("responses.jsonl", '{"query": "z", "response": "x", "valid": true}', "were not asked, such as z"),
        ("run.json", '{"facts": {}}', "a row has no 'name'"),
        ("run.json", '{"name": "x", "facts": []}', "its facts are no object"),
        ("run.json", '{"name": "x", "facts": {"trained": 5}}', "trained is no list"),
        ("run.json", '{"name": "x", "facts": {"trained": "books"}}', "trained is no list"),
        ("run.json", '{"name": "x", "facts": {"metrics": [5]}}', "5 is no text"),
        ("run.json", '{"name": "x", "facts": {"task": 5}}', "5 is no text"),
        ("run.json", '{"name": "x", "facts": {"coverage": {"a": 1}}}', "no 'with_titles'"),
        ("run.json", '{"name": "x", "facts": {"coverage": "all"}}', "is damaged"),
        *(
            (
                "queries.jsonl",
                f'{{"id": "q", "conversation": "c", "gt": "a", "candidates": ["a"], "repeats": {n}}}',
                "no count from 1",
            )
            for n in ("0", "-2", "1.5", "true", '"2"')
        ),
    ],
)
def test_a_damaged_run_is_one_line(tmp_path: Path, file: str, text: str, said: str) -> None:
    write_run(tmp_path, RunFile("r", {"q": {"a": 1.0}}, {"q": Response("a", True)}), [Query("q", "c", "a", ("a",))])
    read_run(tmp_path)
    (tmp_path / file).write_text(text, "utf-8")
    with pytest.raises(SynthError, match=re.escape(said)) as raised:
        read_run(tmp_path)
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def two_sets() -> list[Any]:
    tables = []
    for data in ("beauty", "home"):
        queries = make_queries(60, seed=len(data))
        runs = {
            "BM25": make_run("BM25", queries, 0.1, 0, family="retrieval"),
            "apart": make_run("apart", queries, 0.5, 1, family="trained", trained=[data]),
            "all": make_run("all", queries, 0.6, 2, family="trained", trained=["beauty", "home"]),
        }
        for run in runs.values():
            run.facts["data"] = data
            run.facts["generator"] = "the simulator" if data == "home" else ""
        tables.append(evaluate(runs, queries))
    return tables


def test_layouts_of_the_papers_tables(capsys: pytest.CaptureFixture[str]) -> None:
    tables = two_sets()
    wide = overview(tables)
    assert wide.columns[2:] == ("beauty HR@1", "beauty ValidRatio", "home HR@1", "home ValidRatio")
    assert [row[0] for row in wide.rows] == ["retrieval", "trained", "trained", ""]
    assert wide.rows[0][2] == f"{tables[0].systems['BM25'].figures[MICRO].value:.4f}"
    assert wide.rows[-1][1:3] == ("ceiling", f"{tables[0].ceiling.value:.4f}")
    # Synthetic tables name what made them, in every layout.
    for shown in (wide, ablation(tables), domains(tables), tables[1].tables()[0]):
        assert "the simulator" in shown.title + shown.note
    assert "made by the simulator" in tables[1].tables()[0].note
    assert "the simulator" not in tables[0].tables()[0].title + tables[0].tables()[0].note
    assert [row[:2] for row in domains(tables).rows] == [("apart", "separate"), ("all", "combined (beauty, home)")]
    compared = ablation(tables)
    assert compared.rows[-1][2] == "–" and compared.rows[0][2] != "–"
    figure = tables[0].systems["BM25"].figures[MICRO]
    assert compared.rows[0][1] == f"{figure.value:.4f} [{figure.low:.3f}, {figure.high:.3f}]"
    assert "beauty: p against all, permutation, paired, Holm." in compared.note
    for shown in (wide, compared, domains(tables)):
        assert f"beauty: {tables[0].conversations} conversations, {tables[0].pairs} pairs." in shown.note
    assert "| BM25 |" in markdown(compared)
    print_tables([wide])
    assert "beauty HR@1" in capsys.readouterr().out
    with pytest.raises(SynthError, match="trained on"):
        domains([evaluate({"x": make_run("x", make_queries(10), 0, 0)}, make_queries(10))])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A small export by hand: the wanted colour is in the title."""
    colours = ["red", "blue", "green", "black", "white", "pink", "grey", "brown", "teal", "gold"]
    folder = tmp_path / "toys"
    folder.mkdir()
    for split, count in (("train", 30), ("valid", 5), ("test", 25)):
        rows = []
        for n in range(count):
            listed = [f"t{m}" for m in range(10)]
            random.Random(n).shuffle(listed)
            rows.append(
                {
                    "context": f"<submission>I want the {colours[n % 10]} one.</submission>\n",
                    "gt_items": [f"t{n % 10}"],
                    "candidates_retrieved": listed,
                    "conversation": f"{split}-{n}",
                }
            )
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    table = {f"t{n}": {"title": f"Toy car, {colour}", "images": []} for n, colour in enumerate(colours)}
    (folder / "item2meta.json").write_text(json.dumps(table, indent=0), "utf-8")
    (folder / "README.md").write_text('tags: ["offline-simulator"]', "utf-8")
    return folder


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["eval", "recommend", *map(str, arguments)])


def test_baselines_from_the_command_line(export: Path, tmp_path: Path) -> None:
    result = invoke("--data", export, "--methods", "bm25", "--out", tmp_path / "res", "--json", "--quiet")
    assert result.exit_code == 0, result.output
    (table,) = json.loads(result.stdout)["results"]
    assert table["systems"]["bm25"]["figures"][MICRO]["value"] == 1.0
    assert table["ceiling"]["value"] == 1.0 and table["generator"] == "Synth's offline simulator"
    assert max(table["places"]) - min(table["places"]) <= 1
    run, queries = read_run(tmp_path / "res" / "toys" / "bm25")
    assert len(queries) == 25 and run.facts["family"] == "retrieval"
    assert json.loads((tmp_path / "res" / "metrics.json").read_text("utf-8")) == [table]
    # A run and a baseline over the same questions, whatever the seed of the baseline's lists would have been.
    worst = {query.id: {item: -score for item, score in run.scores[query.id].items()} for query in queries}
    write_run(tmp_path / "worst", RunFile("worst", worst, facts=run.facts), queries)
    result = invoke(tmp_path / "worst", "--data", export, "--methods", "bm25", "--seed", "9", "--markdown", "--quiet")
    assert result.exit_code == 0, result.output
    assert "offline simulator" in result.stdout and "| worst |" in result.stdout and "Against bm25" in result.stdout
    for layout in ("overview", "ablation"):
        shown = invoke(tmp_path / "worst", "--data", export, "--layout", layout, "--quiet").stdout
        assert "toys, test (synthetic: Synth's offline simulator). A system that favours a place" in shown, layout


def test_candidates_of_a_retriever(export: Path) -> None:
    result = invoke("--data", export, "--candidates", "bm25", "-k", "3", "--json", "--quiet")
    assert result.exit_code == 0, result.output
    (table,) = json.loads(result.stdout)["results"]
    assert len(table["places"]) == 3 and table["ceiling"]["value"] == 1.0


def test_data_without_metadata_shows_counts_and_no_hit_rate(tmp_path: Path) -> None:
    row = {
        "context": "<submission>Which bag?</submission>",
        "gt_items": ["B000000001"],
        "candidates_st": ["B000000001", "B000000002"],
    }
    (tmp_path / "test.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    result = invoke("--data", tmp_path, "--quiet")
    assert result.exit_code == 0, result.output
    assert "1.0000" in result.stdout and "0 of 2 items named have a title" in result.stdout
    assert "HR@1 macro" not in result.stdout
    refused = invoke("--data", tmp_path, "--methods", "bm25", "--quiet")
    assert isinstance(refused.exception, SynthError) and "--meta" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to evaluate"),
        (["--methods", "bm25", "RUN"], "--methods needs"),
        (["--data", "nowhere"], "There is no folder or file nowhere"),
        (["--data", "EXPORT", "--candidates", "st"], "has no list 'st'"),
        (["--data", "EXPORT", "--methods", "nonsense"], "no retriever"),
        (["--data", "EXPORT", "--json", "--markdown"], "exclude each other"),
        (["RUN"], "is not a run"),
    ],
)
def test_mistakes_are_one_line(export: Path, arguments: list[str], said: str) -> None:
    result = invoke(*[str(export) if word in ("EXPORT", "RUN") else word for word in arguments])
    assert isinstance(result.exception, SynthError) and said in str(result.exception)


def test_runs_over_other_lists_are_not_compared(export: Path, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        assert invoke("--data", export, "--out", tmp_path / seed, "--seed", seed, "--quiet").exit_code == 0
    result = invoke(tmp_path / "0" / "toys" / "bm25", tmp_path / "1" / "toys" / "bm25")
    assert isinstance(result.exception, SynthError) and "other questions" in str(result.exception)


def test_the_python_of_the_page_runs(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text("utf-8")
    (code,) = re.findall(r"From Python:\n\n```python\n(.*?)```", page, re.DOTALL)
    exec(code, {"folder": export})
    assert "Figure(value=1.0" in capsys.readouterr().out


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    queries = make_queries(5)
    with pytest.raises(SynthError, match=r"synth-crs\[eval\]"):
        evaluate({"x": make_run("x", queries, 0, 0)}, queries)
