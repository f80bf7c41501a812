"""`synth train features|distill|recommend` and `synth recommend`, from a folder of data to an answer."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate", "tensorboard"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.recommender.runs import read_run
from tests.support.tiny_llava import World, make_world

QUICK = ["--epochs", "1", "--lr", "0.01", "--device", "cpu", "--tracker", "none", "--workers", "1"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def data(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world in the form of the released data."""
    folder = tmp_path_factory.mktemp("data") / "toys"
    folder.mkdir()
    (folder / "images").mkdir()
    meta = {}
    for item in world.items.values():
        for image in item.images:
            shutil.copy(image, folder / "images")
        meta[item.id] = {
            "title": item.title,
            "images": [f"images/{image.name}" for image in item.images],
            "image_descriptions_llava_cleaned": item.descriptions,
        }
    (folder / "item2meta.json").write_text(json.dumps(meta))
    for split, examples in {"train": world.train, "valid": world.valid, "test": world.valid}.items():
        rows = [
            {
                "context": "".join(
                    f"<{tag}>{u.text}</{tag}>\n"
                    for u in example.context
                    for tag in [{"user": "submission", "assistant": "comment"}[u.speaker]]
                ),
                "context_items": [],
                "gt": "Take this.",
                "gt_items": [example.gt],
                "candidates_retrieved": list(example.candidates),
            }
            for example in examples
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def stages(world: World, data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every stage once."""
    out = tmp_path_factory.mktemp("stages")
    common = ["--data", data, "--model", world.model]
    said = {
        "distill": run("train", "distill", *common, "--out", out / "distilled", *QUICK),
        "features": run(
            "train", "features", *common, "--adapter", out / "distilled", "--out", out / "features", "--device", "cpu"
        ),
        "recommend": run(
            "train", "recommend", *common, "--features", out / "features", "--distilled", out / "distilled",
            "--out", out / "trained", "--batch", 3, *QUICK,
        ),
    }  # fmt: skip
    return {"out": out, "common": common, **said}


def test_the_stages_follow_one_another(stages: dict[str, Any]) -> None:
    assert "epoch 0: perplexity" in stages["distill"] and "epoch 1: perplexity" in stages["distill"]
    assert "Next: synth train features" in stages["distill"]
    assert "Best hr1" in stages["recommend"] and "tokens/s, MFU" in stages["recommend"]
    metrics = json.loads((stages["out"] / "trained" / "metrics.json").read_text())
    assert metrics["finished"] and metrics["history"][0]["ceiling"] == 1.0


def test_the_runs_can_be_evaluated(stages: dict[str, Any], data: Path) -> None:
    runs = stages["out"] / "trained" / "runs"
    shown = json.loads(run("eval", "recommend", runs / "scored", runs / "written", "--json"))
    assert {"LaViC", "LaViC, written"} <= set(str(shown).replace('"', "'").split("'"))


def test_the_same_command_again_trains_nothing(stages: dict[str, Any]) -> None:
    weights = stages["out"] / "trained" / "best" / "adapter_model.safetensors"
    before = weights.stat().st_mtime_ns
    again = run(
        "train", "recommend", *stages["common"], "--features", stages["out"] / "features",
        "--distilled", stages["out"] / "distilled", "--out", stages["out"] / "trained", "--batch", 3, *QUICK,
    )  # fmt: skip
    assert "Best hr1" in again and weights.stat().st_mtime_ns == before


def test_a_model_is_trained_and_asked_over_chosen_candidates(
    stages: dict[str, Any], world: World, data: Path, tmp_path: Path
) -> None:
    """On a single file in the released form, whose lists hold two right answers each."""
    rows = [
        {
            "context": f"<submission>Number {n}: {example.text}</submission>",
            "gt_items": list(example.candidates[:2]),
            "candidates_st": list(example.candidates[2:]),
            "candidates_gpt_large": list(example.candidates),
        }
        for n, example in enumerate([*world.train, *world.valid])
    ]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["--data", tmp_path / "all.jsonl", "--meta", data / "item2meta.json", "--model", world.model]
    trained = tmp_path / "trained"
    run("train", "recommend", *asked, "--show", "nothing", "--candidates", "gpt_large", "--others", "kept",
        "--out", trained, "--batch", 4, *QUICK)  # fmt: skip
    own, queries = read_run(trained / "runs" / "scored")
    lists = {frozenset(row["candidates_gpt_large"]) for row in rows}
    assert queries and {frozenset(query.candidates) for query in queries} <= lists
    assert (own.facts["candidates"], own.facts["others"]) == ("gpt_large", "kept")
    again = ["eval", "trained", trained, *asked, "--device", "cpu"]
    run(*again, "--candidates", "gpt_large", "--others", "kept", "--out", tmp_path / "same")
    assert read_run(tmp_path / "same" / "scored")[1] == queries
    run(*again, "--candidates", "bm25", "-k", 3, "--out", tmp_path / "bm25")
    other, queries = read_run(tmp_path / "bm25" / "scored")
    assert other.facts["candidates"] == "bm25" and {len(query.candidates) for query in queries} == {3}
    with pytest.raises(SynthError, match="An export has no list 'gpt_large'"):
        run("train", "recommend", *stages["common"], "--show", "nothing", "--candidates", "gpt_large",
            "--out", tmp_path / "none")  # fmt: skip
    with pytest.raises(SynthError, match="--others all is not possible"):
        run(*again, "--others", "all", "--out", tmp_path / "none")


def test_a_conversation_is_answered(stages: dict[str, Any], world: World) -> None:
    listed = world.valid[0].candidates
    asked = ["recommend", stages["out"] / "trained", "I want something red.", "For what?", "For summer."]
    asked += [*stages["common"], "--device", "cpu"]
    answer = json.loads(run(*asked, "--candidates", ",".join(listed), "--json"))
    assert {row["id"] for row in answer["ranking"]} == set(listed)
    scores = [row["log_likelihood"] for row in answer["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(row["share"] for row in answer["ranking"]) == pytest.approx(1)
    shown = run(*asked, "-k", 3)
    assert "Written by itself" in shown and len([line for line in shown.splitlines() if " B0000" in line]) == 3


def test_the_ablation_without_images_needs_no_features(stages: dict[str, Any], tmp_path: Path) -> None:
    said = run(
        "train", "recommend", *stages["common"], "--show", "nothing", "--out", tmp_path / "blind", "--no-test",
        "--batch", 4, *QUICK,
    )  # fmt: skip
    assert "Best hr1" in said and not (tmp_path / "blind" / "runs").exists()


def test_the_grid_trains_every_pair_from_the_same_start(
    stages: dict[str, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.recommender.grid.search.__defaults__", ((1e-2, 1e-3), (0.1,), None))
    out = tmp_path / "grid"
    run("train", "recommend", *stages["common"], "--show", "nothing", "--out", out, "--no-test", "--grid",
        "--batch", 7, *QUICK)  # fmt: skip
    table = json.loads((out / "grid.json").read_text())
    assert [(arm["lr"], arm["weight_decay"]) for arm in table["arms"]] == [(1e-2, 0.1), (1e-3, 0.1)]
    best = max(arm["hr1"] for arm in table["arms"])
    assert next(arm["hr1"] for arm in table["arms"] if arm["out"] == table["best"]) == best
    # The best arm's checkpoint is the search's own.
    for name in ("adapter_model.safetensors", "synth.json", "trained.pt"):
        assert (out / "best" / name).read_bytes() == (out / table["best"] / "best" / name).read_bytes()
    listed = ",".join(json.loads((data / "train.jsonl").read_text().splitlines()[0])["candidates_retrieved"])
    answer = run("recommend", out, "red", *stages["common"], "--device", "cpu", "--candidates", listed, "--json")
    assert len(json.loads(answer)["ranking"]) == 4
    # An arm is what it would be alone.
    alone = tmp_path / "alone"
    run("train", "recommend", *stages["common"], "--show", "nothing", "--out", alone, "--no-test", "--batch", 7,
        *QUICK, "--lr", 0.001, "--weight-decay", 0.1)  # fmt: skip
    second = json.loads((out / table["arms"][1]["out"] / "metrics.json").read_text())
    assert json.loads((alone / "metrics.json").read_text())["history"] == second["history"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--show", "features"], "--show features needs them"),
        (["--show", "pictures"], "--show pictures is not possible"),
        (["--show", "nothing", "--metric", "loss"], "--metric loss is not possible"),
        (["--show", "nothing", "--schedule", "linear"], "--schedule linear is not possible"),
        (["--show", "nothing", "--tracker", "nonesuch"], "'nonesuch' is not installed"),
        (["--show", "nothing", "--max-length", "90"], "cannot fit in 90 tokens"),
        (["--show", "nothing", "--distilled", "/nowhere"], "/nowhere is not a checkpoint"),
    ],
)
def test_bad_options_are_one_line(stages: dict[str, Any], tmp_path: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(SynthError, match=said):
        run("train", "recommend", *stages["common"], "--out", tmp_path / "out", "--device", "cpu", *arguments)


def test_as_many_are_answered_at_once_as_asked_for(
    stages: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def full(architecture: Any, batch: dict[str, Any], images: Any) -> Any:
        sizes.append(len(batch["ids"]))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("synth.recommender.answering.score_candidates", full)
    asked = ["train", "recommend", *stages["common"], "--show", "nothing", *QUICK]
    with pytest.raises(SynthError, match=r"Try a smaller --evaluation-batch\."):
        run(*asked, "--out", tmp_path / "two", "--batch", 7, "--evaluation-batch", 2)
    with pytest.raises(SynthError, match="Out of memory with 1 example of"):
        run(*asked, "--out", tmp_path / "one", "--batch", 1)
    assert sizes == [2, 1]


def test_without_pictures_held_out_it_says_so(stages: dict[str, Any], tmp_path: Path) -> None:
    said = run("train", "distill", *stages["common"], "--out", tmp_path / "out", "--held-out", 0, *QUICK)
    assert "epoch 1: nothing held out" in said and "nan" not in said


def test_what_is_not_stage_1_or_of_another_model_is_named(stages: dict[str, Any], tmp_path: Path) -> None:
    from tests.support.tiny_llava import write_model

    features = ["--features", stages["out"] / "features", "--device", "cpu"]
    learn = ["train", "recommend", *stages["common"], *features, "--out", tmp_path / "out"]
    with pytest.raises(SynthError, match="nosuch is not a checkpoint: it has no synth.json.*synth train distill"):
        run(*learn, "--distilled", tmp_path / "nosuch")
    other = write_model(tmp_path / "other", ["red shirt"] * 3, seed=1)
    data = stages["common"][:2]
    with pytest.raises(SynthError, match=r"trained was trained on another model.*Give the one it was trained on"):
        run("recommend", stages["out"] / "trained", "red", *data, "--model", other, "--device", "cpu")
    with pytest.raises(SynthError, match=r"distilled was trained on another model"):
        run("train", "recommend", *data, "--model", other, *features, "--distilled", stages["out"] / "distilled",
            "--out", tmp_path / "out")  # fmt: skip
    with pytest.raises(SynthError, match=r"trained was trained on another model"):
        run("eval", "trained", stages["out"] / "trained", *data, "--model", other, *features, "--out", tmp_path / "r")


def test_memory_is_reckoned_on_the_device_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import accelerate

    from synth.cli import train_run
    from synth.recommender import devices, footprint, memory

    asked: list[str] = []
    needed = memory.Estimate(1, 1)

    def note(device: Any) -> int:
        asked.append(str(device))
        return 10**9

    state = SimpleNamespace(num_processes=2, device=torch.device("cuda:1"))
    monkeypatch.setattr(accelerate, "PartialState", lambda: state)
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(footprint, "footprint", lambda name, precision, device, *a, **k: (note(device), needed)[1])
    monkeypatch.setattr(memory, "available", note)
    monkeypatch.setattr("synth.recommender.architecture.load", lambda name, precision, device, *a, **k: note(device))
    bar: Any = SimpleNamespace(note=lambda text: None)
    lora: Any = None
    train_run.tell_memory(bar, "model", "bf16", "auto", None, "language", lora, batch=1, tokens=10)
    train_run.load_model("model", "bf16", "auto", None, tower=False)
    assert set(asked) == {"cuda:1"} and len(asked) == 4
    state.num_processes = 1
    assert train_run.own_device("auto") == "auto" and train_run.own_device("cuda:3") == "cuda:3"
    # A large model is refused on a machine without a GPU however many processes there are.
    state.num_processes, state.device = 2, torch.device("cpu")
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    assert train_run.own_device("auto") == "auto"


def test_bad_questions_are_one_line(stages: dict[str, Any], tmp_path: Path) -> None:
    end = [*stages["common"], "--device", "cpu"]
    with pytest.raises(SynthError, match="is not a checkpoint"):
        run("recommend", tmp_path, "red", *end)
    with pytest.raises(SynthError, match="is a checkpoint of distill"):
        run("recommend", stages["out"] / "distilled", "red", *end)
    with pytest.raises(SynthError, match="has no item nothing"):
        run("recommend", stages["out"] / "trained", "red", *end, "--candidates", "nothing")
    with pytest.raises(SynthError, match="conversation is empty"):
        run("recommend", stages["out"] / "trained", " ", *end)
    with pytest.raises(SynthError, match="has no features of this kind"):
        run("recommend", stages["out"] / "trained", "red", *end, "--features", tmp_path)
