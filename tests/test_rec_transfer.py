"""Trained on synthetic conversations, tested on data in the form of Reddit-Amazon; and both in one report."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate", "ir_measures", "scipy"):
    pytest.importorskip(_name, reason="training and metrics need the extras `train` and `eval`")

from PIL import Image
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.recommender.prompts import TASK
from synth.recommender.runs import read_run
from tests.support.tiny_llava import write_model

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "green": (30, 160, 30), "black": (20, 20, 20)}


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def item(number: int) -> str:
    return f"B{number:09d}"


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A domain in the released form. Of its 20 items the last four have no metadata, and every fourth no picture."""
    folder = tmp_path_factory.mktemp("reddit") / "bags"
    (folder / "images").mkdir(parents=True)
    meta = {}
    for number in range(16):
        name, colour = item(number), list(COLOURS)[number % 4]
        if number % 4 != 3:
            Image.new("RGB", (60, 40 + number), COLOURS[colour]).save(folder / "images" / f"{name}_0.jpg")
        meta[name] = {
            "title": f"A {colour} bag, model {number}",
            "images": [f"https://shop.example.org/{name}_0.jpg"],
            "image_descriptions_llava_cleaned": {},
        }
    (folder / "item2meta_test.json").write_text(json.dumps(meta))
    rows = [
        {
            "context": f"<submission>I need a {list(COLOURS)[n % 4]} bag.</submission>\n<comment>What for?</comment>\n",
            "context_items": [],
            "gt": "this one",
            "gt_items": [item(n)],
            "candidates_st": [item((n + step) % 20) for step in range(4)],
            "candidates_gpt_large": [item((n + step) % 20) for step in range(4)],
        }
        for n in range(20)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def trained(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model trained on an export of a run, with what it was trained on."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("synthetic")
    generate(Options(catalog=catalogue, scenarios=20, convs=24, out=home / "run", seed=5))
    done("export", home / "run", "--format", "lavic", "--out", home / "lavic", "--images", "files", "--quiet")
    model = write_model(
        home / "model", [TASK, "Candidates: User: Assistant: a red blue green black bag number B0 b1"] * 3
    )
    common = ["--data", home / "lavic", "--model", model, "--device", "cpu", "--quiet"]
    done("train", "features", *common, "--out", home / "features")
    learn = ["--epochs", 1, "--lr", 0.01, "--tracker", "none", "--workers", 0, "--precision", "fp32"]
    done("train", "recommend", *common, "--features", home / "features", "--out", home / "trained", *learn)
    return {"model": model, "trained": home / "trained", "lavic": home / "lavic"}


def test_train_on_synthetic_and_test_on_reddit(trained: dict[str, Path], reddit: Path, tmp_path: Path) -> None:
    common = ["--data", reddit, "--images", reddit / "images", "--model", trained["model"], "--device", "cpu"]
    done("train", "features", *common, "--out", tmp_path / "features", "--quiet")
    asked = ["eval", "trained", trained["trained"], *common, "--precision", "fp32"]
    said = done(*asked, "--features", tmp_path / "features", "--out", tmp_path / "runs")
    assert "13 of 20 examples have the titles of all candidates." in said
    run, queries = read_run(tmp_path / "runs" / "scored")
    assert len(queries) == 13 and run.facts["trained"] == ["lavic"] and run.facts["transfer"] is True
    assert run.facts["coverage"] == {"examples": 20, "with_titles": 13, "items": 16, "with_picture": 12}
    assert all(set(run.scores[query.id]) == set(query.candidates) for query in queries)
    assert run.facts["data"] == "bags" and run.facts["generator"] == ""
    own = trained["trained"] / "runs"
    out = tmp_path / "report.md"
    shown = done("eval", "report", own / "scored", tmp_path / "runs" / "scored", "--data", reddit, "--out", out)
    text = out.read_text("utf-8")
    assert "Synth's offline simulator" in text and "13 of 20" in text
    lines = [line for line in text.splitlines() if line.startswith("| LaViC | lavic |")]
    others = [line for line in text.splitlines() if line.startswith("| LaViC | lavic (not on this data)")]
    assert len(lines) == len(others) == 2  # HR@1, micro and macro
    assert all(line.count("–") == 1 for line in (*lines, *others))  # each on its own data
    assert "bags (real), n = 13" in text and "lavic (synthetic), n = " in text
    assert "16 of 20 items named have a title" in text and "Data as delivered" in shown
    assert done("eval", "compare", tmp_path / "runs" / "scored", tmp_path / "runs" / "written")


def test_what_is_missing_is_said(trained: dict[str, Path], reddit: Path, tmp_path: Path) -> None:
    asked = ["eval", "trained", trained["trained"], "--data", reddit, "--model", trained["model"], "--out", tmp_path]
    for options, said in (
        ([], "This model looks at pictures"),
        (["--split", "train"], "bags has no train split"),
    ):
        error = call(*asked, *options).exception
        assert isinstance(error, SynthError) and said in str(error), error
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "test.jsonl").write_bytes((reddit / "test.jsonl").read_bytes())
    asked[asked.index(reddit)] = bare
    error = call(*asked, "--features", tmp_path / "none").exception
    assert "None of the 20 examples of bare has the titles" in str(error)


def test_a_report_refuses_what_cannot_stand_together(trained: dict[str, Path], tmp_path: Path) -> None:
    own = trained["trained"] / "runs" / "scored"
    assert "are named LaViC" in str(call("eval", "report", own, own).exception)
    assert "None of these runs has bleu" in str(call("eval", "report", own, "--metrics", "bleu").exception)
    assert "is not a run" in str(call("eval", "report", tmp_path).exception)
