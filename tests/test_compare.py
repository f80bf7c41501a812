"""`synth eval compare`: any run folders of one task, in every form; what cannot be compared is refused."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.analysis.statistics.table import Table as TextTable
from synth.cli import app
from synth.errors import SynthError
from synth.recommender.latex import latex
from synth.recommender.runs import Query, Response, RunFile, write_run

pytest.importorskip("ir_measures", reason="the extra `eval` is not installed")
pytest.importorskip("sacrebleu", reason="the extra `eval` is not installed")
pytest.importorskip("rouge_score", reason="the extra `eval` is not installed")
pytest.importorskip("scipy", reason="the extra `eval` is not installed")

from synth.recommender.compare import LISTED, SEARCHED, WRITTEN, compare, gather
from synth.recommender.compared import Compared
from synth.recommender.metrics import evaluate
from synth.recommender.significance import holm

ITEMS = [f"i{n}" for n in range(30)]


def searched(count: int = 60, size: int = 1) -> list[Query]:
    drawn = random.Random(0)
    return [Query(f"q{n}", f"c{n // size}", drawn.choice(ITEMS), ()) for n in range(count)]


def ranked(name: str, queries: list[Query], skill: float, seed: int = 1, **facts: Any) -> RunFile:
    drawn = random.Random(seed)
    scores = {
        q.id: {item: drawn.random() + skill * (item in q.right) for item in q.candidates or ITEMS} for q in queries
    }
    return RunFile(name, scores, facts={"task": "muse.recommend", "data": "toy", "split": "test", **facts})


def written(count: int = 40) -> list[Query]:
    drawn = random.Random(1)
    words = "a red blue bag with straps for her summer trip".split()
    return [Query(f"q{n}", f"c{n // 2}", "", (), reference=" ".join(drawn.choices(words, k=8))) for n in range(count)]


def speaking(name: str, queries: list[Query], skill: float, **facts: Any) -> RunFile:
    drawn = random.Random(2)
    said = {
        q.id: Response(" ".join(w if drawn.random() < skill else "well" for w in q.reference.split()), True)
        for q in queries
    }
    return RunFile(name, {}, said, {"task": "muse.respond", "data": "toy", "split": "test", **facts})


def save(folder: Path, queries: list[Query], *runs: RunFile) -> list[Path]:
    paths = [folder / f"run{number}" for number in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        write_run(path, run, queries)
    return paths


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["eval", "compare", *map(str, arguments), "--quiet"])


def test_searches_of_the_whole_catalogue() -> None:
    queries = searched()
    found = compare({"weak": ranked("weak", queries, 0.1), "good": ranked("good", queries, 0.9)}, queries)
    assert tuple(found.figures) == SEARCHED and found.against == "good"
    for own in found.figures.values():
        assert own["weak"].value < own["good"].value
        for figure in own.values():
            assert figure.low is not None and figure.high is not None and figure.low <= figure.value <= figure.high
    tests = {one.metric: one for one in found.comparisons}
    # One query a conversation: an exact test on shares, and Wilson's interval.
    assert tests["hit@1"].test == tests["recall@20"].test == "mcnemar"
    assert found.figures["hit@1"]["weak"].interval == "wilson"
    assert tests["mrr@10"].test == "permutation" and found.figures["mrr@10"]["weak"].interval == "bca"
    assert all(one.p < 0.01 and one.gain < 0 for one in found.comparisons)


def test_the_queries_of_a_conversation_are_not_independent() -> None:
    queries = searched(size=30)
    found = compare({"weak": ranked("weak", queries, 0.1), "good": ranked("good", queries, 0.9)}, queries, ["hit@1"])
    (test,) = found.comparisons
    assert test.test == "permutation" and test.p == 0.5  # of two conversations, both signs alike: 2 of 4
    assert found.figures["hit@1"]["weak"].interval == "bca"


def test_lists_have_the_figures_of_eval_recommend() -> None:
    drawn = random.Random(3)
    queries = []
    for n in range(50):
        listed = tuple(drawn.sample(ITEMS, 10))
        gt = drawn.choice(listed) if n % 5 else "absent"
        queries.append(Query(f"q{n}", f"c{n // 2}", gt, listed, drawn.choice([1, 2])))
    runs = {name: ranked(name, queries, skill) for name, skill in (("a", 0.1), ("b", 0.7))}
    found, table = compare(runs, queries), evaluate(runs, queries)
    assert tuple(found.figures) == LISTED
    for metric, own in found.figures.items():
        for system, figure in own.items():
            known = table.systems[system].figures[metric]
            assert figure.value == known.value and figure.low == pytest.approx(known.low, abs=0.01)
    held = sum(q.repeats for q in queries if q.gt != "absent")
    assert f"candidates of {held} of {found.pairs} pairs" in found.tables()[0].note


def test_one_answer_is_no_ranking() -> None:
    queries = [Query(f"q{n}", f"c{n}", "a", ("a", "b", "c")) for n in range(10)]
    one = RunFile("one", {q.id: {"a": 1.0} for q in queries[:8]})
    full = RunFile("full", {q.id: {"a": 1.0, "b": 2.0, "c": 0.0} for q in queries})
    found = compare({"one": one, "full": full}, queries)
    assert "one" not in found.figures["mrr"] and found.figures["mrr"]["full"].value == 0.5
    assert {one.metric for one in found.comparisons}.isdisjoint({"mrr", "ndcg@10"})
    note = found.tables()[0].note
    assert "one left 2 unanswered" in note and "one does not score all candidates" in note
    # Against one that has no ranking, nothing is tested on rankings.
    assert {c.metric for c in compare({"full": full, "one": one}, queries).comparisons}.isdisjoint({"mrr", "ndcg@10"})


def test_what_limits_the_figures_is_said() -> None:
    queries = [*searched(20), Query("none", "cx", "", ())]
    short = RunFile("short", {q.id: {"i0": 1.0, "i1": 0.5} for q in queries})
    note = compare({"short": short}, queries).tables()[0].note
    assert "1 queries have no right answer" in note and "short ranks 2 items at most" in note
    generated = compare({"x": ranked("x", searched(), 0.5, generator="the simulator")}, searched())
    assert "the simulator" in generated.title() and "no figure here is about people" in generated.tables()[0].note


def test_texts_have_all_their_metrics() -> None:
    queries = written()
    runs = {name: speaking(name, queries, skill) for name, skill in (("weak", 0.2), ("mid", 0.5), ("good", 0.9))}
    told: list[tuple[str, int, int]] = []
    found = compare(runs, queries, seed=3, report=lambda *what: told.append(what))
    assert tuple(found.figures) == WRITTEN
    for metric in ("bleu", "bleu4.char_method3", "rouge1", "rougeL"):
        assert [found.figures[metric][s].value for s in runs] == sorted(found.figures[metric][s].value for s in runs)
    tests = {(one.metric, one.system): one for one in found.comparisons}
    assert tests["bleu", "weak"].test == "bootstrap" and tests["rouge1", "weak"].test == "permutation"
    assert tests["rouge1", "weak"].p < 0.01
    for metric in WRITTEN:
        pair = [tests[metric, system] for system in ("weak", "mid")]
        assert [one.p_holm for one in pair] == holm([one.p for one in pair])
    assert "tok:13a" in found.signatures["bleu"] and found.signatures["bleu"] in found.tables()[0].note
    assert ("texts of mid", 40, 40) in told
    again = compare(runs, queries, ["bleu", "distinct4.corpus", "words"], seed=3)
    assert all(again.figures[metric] == found.figures[metric] for metric in again.figures)
    assert all(one in found.comparisons for one in again.comparisons)


def test_metrics_of_choice_and_of_the_run() -> None:
    queries = searched()
    run = ranked("x", queries, 0.5, metrics=["hit@20", "mrr"])
    assert tuple(compare({"x": run}, queries).figures) == ("hit@20", "mrr")
    assert tuple(compare({"x": run}, queries, ["recall@7", "ndcg@3_macro", "recall@7"]).figures) == (
        "recall@7",
        "ndcg@3_macro",
    )


def test_every_form_is_written(tmp_path: Path) -> None:
    queries = searched()
    paths = save(tmp_path, queries, ranked("a_1 & $b$", queries, 0.1), ranked("good", queries, 0.9))
    shown = invoke(*paths)
    assert shown.exit_code == 0, shown.output
    assert "a_1 & $b$" in shown.stdout and "McNemar, exact" in shown.stdout and "Against good" in shown.stdout
    forms = {}
    for form, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv"), ("json", "json")):
        printed = invoke(*paths, "--format", form)
        assert printed.exit_code == 0, printed.output
        out = tmp_path / "new" / f"table.{ending}"
        silent = invoke(*paths, "--out", out)
        assert silent.exit_code == 0 and silent.stdout == ""
        assert out.read_text("utf-8") == printed.stdout
        forms[form] = printed.stdout
    found = json.loads(forms["json"])
    rows = list(csv.DictReader(io.StringIO(forms["csv"])))
    assert len(rows) == 2 * len(SEARCHED)
    for row in rows:
        assert float(row["value"]) == found["figures"][row["metric"]][row["system"]]["value"]
        assert (row["p_holm"] != "") == (row["system"] != "good")
    assert rows[0]["system"] == "a_1 & $b$" and rows[0]["test"] == "mcnemar" and rows[0]["against"] == "good"
    value = found["figures"]["hit@1"]["good"]["value"]
    assert f"{value:.4f}" in forms["markdown"] and f"{value:.4f}" in forms["latex"]
    assert r"a\_1 \& \$b\$" in forms["latex"] and r"\toprule" in forms["latex"]
    assert invoke(*paths, "--format", "csv", "--out", tmp_path / "x.txt").exit_code == 0


def test_plots_are_drawn_and_the_same_again(tmp_path: Path) -> None:
    queries = written()
    names = ("猫 $x^{", "good")
    paths = save(tmp_path, queries, speaking(names[0], queries, 0.2), speaking(names[1], queries, 0.9))
    for ending in ("svg", "png", "pdf"):
        files = [tmp_path / f"{number}.{ending}" for number in range(2)]
        for file in files:
            assert invoke(*paths, "--metrics", "rougeL,distinct2.corpus,words", "--plot", file).exit_code == 0
        drawn = files[0].read_bytes()
        assert drawn == files[1].read_bytes() and len(drawn) > 5_000
    assert b"<svg" in (tmp_path / "0.svg").read_bytes() and (tmp_path / "0.png").read_bytes()[1:4] == b"PNG"
    assert not list(tmp_path.glob("*.partial"))


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    queries = searched()
    paths = save(tmp_path, queries, ranked("x", queries, 0.1), ranked("x", queries, 0.9), ranked("y", queries, 0.5))
    runs, asked = gather(paths)
    assert list(runs) == [f"x ({paths[0]})", f"x ({paths[1]})", "y"] and asked == queries
    with pytest.raises(SynthError, match="stands twice"):
        gather([paths[0], paths[0]])


CHANGES: list[tuple[Any, str]] = [
    (lambda q: q[:-1], "1 of 6 differ; only {first} was asked q5"),
    (lambda q: [*q, replace(q[0], id="new")], "1 of 7 differ; only {second} was asked new"),
    (lambda q: [replace(q[0], gt="i29"), *q[1:]], "1 of 6 differ; q0 was asked with another right answer"),
    (lambda q: [replace(q[0], answers=("i3",)), *q[1:]], "q0 was asked with other right answers"),
    (
        lambda q: [*q[:2], *(replace(one, candidates=("i1",)) for one in q[2:])],
        "4 of 6 differ; q2 was asked with other cand",
    ),
    (lambda q: [replace(q[0], reference="x"), *q[1:]], "q0 was asked with another reference"),
    (lambda q: [replace(q[0], conversation="x"), *q[1:]], "q0 was asked in another conversation"),
    (lambda q: [replace(one, id=f"z{one.id}") for one in q], "12 of 12 differ"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_other_questions_are_refused(tmp_path: Path, change: Any, said: str) -> None:
    queries = searched(6)
    first, second = tmp_path / "first", tmp_path / "second"
    write_run(first, ranked("a", queries, 0.1), queries)
    other = change(queries)
    write_run(second, ranked("b", other, 0.1), other)
    result = invoke(first, second)
    assert isinstance(result.exception, SynthError)
    message = str(result.exception)
    assert said.format(first=first, second=second) in message and "same questions" in message and "\n" not in message
    # In another order they are the same.
    write_run(second, ranked("b", queries, 0.1), queries[::-1])
    assert invoke(first, second).exit_code == 0


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    queries, texts = searched(), written()
    (run,) = save(tmp_path / "a", queries, ranked("x", queries, 0.1))
    (said,) = save(tmp_path / "b", texts, speaking("y", texts, 0.5))
    (empty,) = save(tmp_path / "c", texts, RunFile("y", {}, {}, {"task": "muse.respond"}))
    (strange,) = save(tmp_path / "d", queries, ranked("x", queries, 0.1, metrics=["fame"]))
    (bare,) = save(tmp_path / "e", [Query("q", "c", "", ())], RunFile("x", {"q": {"a": 1.0}}))
    outputs = tmp_path / "model__books__image__rec_title.jsonl.gz"
    outputs.write_bytes(b"")
    for arguments, message in (
        ([run, said], "is of the task muse.respond, and"),
        ([empty], "answers nothing"),
        ([tmp_path], "is not a run"),
        ([outputs], "is not a run"),
        ([run, "--metrics", "hit@0"], "no metric 'hit@0'"),
        ([strange], "no metric 'fame'"),
        ([run, "--metrics", "bleu"], "bleu needs references"),
        ([said, "--metrics", "mrr"], "mrr needs right answers"),
        ([bare], "No question has a right answer or a reference"),
        ([run, "--against", "z"], "no run 'z'"),
        ([run, "--plot", "x.jpg"], "cannot be written to x.jpg"),
        ([run, "--plot", tmp_path / "a"], "is a folder"),
        ([run, "--out", tmp_path, "--format", "csv"], "is a folder"),
        ([run, "--out", outputs / "x.csv"], "is a file"),
        ([run, "--metrics", ","], "--metrics names nothing"),
        ([run, "--out", "x.doc"], "does not say how"),
        ([run, "--out", "x.md", "--format", "terminal"], "does not say how"),
    ):
        result = invoke(*arguments)
        assert isinstance(result.exception, SynthError), (arguments, result.output)
        assert message in str(result.exception) and "\n" not in str(result.exception)


def test_latex_is_not_broken_by_its_data() -> None:
    table = TextTable("50 % of {x}", ("a", "b"), (("\\input{x}~^", "[1] <–>"),), note="a_b # c")
    text = latex(table)
    assert r"\caption{50 \% of \{x\}}" in text and r"a\_b \# c" in text
    assert (
        r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{} & {[1] \textless{}--\textgreater{}} \\" in text
    )


def test_figures_stand_in_columns_where_systems_outnumber_them() -> None:
    queries = searched()
    runs = {name: ranked(name, queries, 0.2, seed) for seed, name in enumerate("abc")}
    wide: Compared = compare(runs, queries, ["hit@1", "mrr"])
    assert wide.tables()[0].columns == ("system", "hit@1", "mrr") and [r[0] for r in wide.tables()[0].rows] == list(
        "abc"
    )
    assert compare(runs, queries).tables()[0].columns == ("metric", "a", "b", "c")
