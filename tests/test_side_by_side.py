"""`synth eval report`: metrics by choice, and one ceiling for every table."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.errors import SynthError
from synth.recommender.runs import Query, RunFile, write_run

pytest.importorskip("ir_measures", reason="the extra `eval` is not installed")

from synth.recommender.compare import compare
from synth.recommender.side_by_side import report
from tests.test_compare import ranked, save, searched, speaking, written


def test_any_metric_can_be_asked_for(tmp_path: Path) -> None:
    searches, texts = searched(), written()
    paths = [
        *save(tmp_path / "a", searches, ranked("x", searches, 0.5)),
        *save(tmp_path / "b", texts, speaking("y", texts, 0.5)),
    ]
    titles = [table.title for table in report(paths, ["recall@3", "words"])]
    assert titles == ["Data", "muse.recommend: recall@3", "muse.respond: words"]
    figure = compare({"x": ranked("x", searches, 0.5)}, searches, ["hit@7"]).figures["hit@7"]["x"]
    (row,) = report(paths[:1], ["hit@7"])[1].rows
    assert row[2].startswith(f"{figure.value:.4f} [")
    with pytest.raises(SynthError, match=r"no metric 'hti@1'"):
        report(paths, ["hti@1"])
    # What no run has is not left out silently.
    with pytest.raises(SynthError, match="None of these runs has words"):
        report(paths[:1], ["hit@1", "words"])


def test_the_ceiling_is_that_of_compare(tmp_path: Path) -> None:
    queries = [
        Query("q1", "c1", "a", ("a", "b"), repeats=3),
        Query("q2", "c2", "z", ("a", "b"), answers=("z", "b")),
        Query("q3", "c3", "z", ("a", "b")),
    ]
    run = RunFile("x", {query.id: {"a": 1.0, "b": 0.5} for query in queries}, facts={"data": "toy"})
    write_run(tmp_path, run, queries)
    assert report([tmp_path])[0].rows[0][5] == "0.8000"
    assert "4 of 5 pairs (0.8000)" in compare({"x": run}, queries).tables()[0].note
