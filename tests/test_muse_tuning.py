"""Tuning on a run: prompts as the writer asks them, a frozen tower, checkpoints that open by themselves, a tiny model
made from nothing."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate", "tensorboard"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.recommender.adapters import Lora
from synth.recommender.architecture import load
from synth.recommender.method import TrainSettings
from synth.recommender.muse.data import Division, MuseData, read_muse
from synth.recommender.muse.learnt import Learnt
from synth.recommender.muse.prompts import ask
from synth.recommender.muse.tuned import learnt_of, open_tuned
from synth.recommender.muse.tuning import MuseSettings, Reading, Shown, Tuning
from synth.recommender.muse.warming import Talk, Warming, make_tiny, talk
from synth.recommender.training import train
from synth.recommender.warmup import ATTRIBUTE_SETTINGS, CAPTION_SETTINGS
from synth.recommender.writer import LocalWriter
from tests.support.tiny_llava import write_model

QUICK = TrainSettings(epochs=4, batch=4, lr=2e-2, workers=0, trackers=())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def run(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "run"
    generate(Options(catalog=catalogue, scenarios=20, convs=14, out=folder, seed=5))
    return folder


@pytest.fixture(scope="module")
def data(run: Path) -> MuseData:
    return read_muse(run)


@pytest.fixture(scope="module")
def division(data: MuseData) -> Division:
    return data.divide(6, 4)


@pytest.fixture(scope="module")
def model(data: MuseData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    every = data.responses(data.moments)
    texts = [moment.whole for moment in every] + [moment.query for moment in every]
    return write_model(tmp_path_factory.mktemp("model") / "base", [*texts, ask("recommend", every[0], data).text])


def make(data: MuseData, division: Division, model: Path, **changed: Any) -> Tuning:
    settings = MuseSettings(model=str(model), lora=Lora(dropout=0.0), max_length=1600, **changed)
    architecture = load(model, "fp32", "cpu")
    reading = Reading(architecture, settings)
    draw = data.queries if settings.task == "recommend" else data.responses
    facts = {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "learnt": Learnt.of(data, (*division.train, *division.valid), "--convs 6 --seed 0").json(),
    }
    lessons = [reading.lessons(draw(part), data) for part in (division.train, division.valid)]
    return Tuning(architecture, lessons[0], lessons[1], settings, facts=facts)


@pytest.mark.parametrize("task", ["recommend", "respond"])
def test_a_lesson_is_what_the_writer_asks(data: MuseData, division: Division, model: Path, task: Any) -> None:
    """The loss of the run's answer is what the untuned model gives it as the writer's continuation."""
    method = make(data, division, model, task=task)
    lessons = method.reading.lessons(
        (data.queries if task == "recommend" else data.responses)(division.train[:2]), data
    )
    assert any(lesson.asked.images for lesson in lessons)
    architecture = method.architecture
    total, count = 0.0, 0
    with torch.no_grad():
        for lesson in lessons:
            spoken = method.reading.spoken(lesson)
            inputs = method.reading.speaker.inputs([lesson.asked])
            answer = torch.tensor([spoken.answer])
            embedded = torch.cat([inputs["inputs_embeds"], architecture.embed(answer)], dim=1)
            logits = architecture.model(inputs_embeds=embedded).logits[0, -len(spoken.answer) - 1 : -1]
            total += float(torch.nn.functional.cross_entropy(logits.float(), answer[0], reduction="sum"))
            count += len(spoken.answer)
            assert embedded.shape[1] <= spoken.bound
        batch = method.collate([method.reading.spoken(lesson) for lesson in lessons])
        loss, labels = method.step(method.model, batch)
        again, _ = method.step(method.model, method.collate([method.reading.spoken(lesson) for lesson in lessons]))
    assert labels == count and float(loss) == pytest.approx(total, rel=1e-4)
    assert float(again) == pytest.approx(float(loss), rel=1e-6)  # pictures now from memory
    assert max(batch["lengths"]) <= max(method.reading.spoken(lesson).bound for lesson in lessons)


def test_pictures_are_kept_up_to_a_limit(data: MuseData, model: Path) -> None:
    architecture = load(model, "fp32", "cpu")
    paths = [path for m in data.queries(data.moments) if (path := data.picture(m.product))][:4]
    whole = Shown(architecture).tokens(paths, Shown(architecture).pixels(paths))
    none = Shown(architecture, limit=0)
    for _ in range(2):
        pixels = none.pixels(paths)
        assert pixels["new"] == list(dict.fromkeys(paths))
        assert all(torch.equal(a, b) for a, b in zip(none.tokens(paths, pixels), whole, strict=True))
    kept = Shown(architecture)
    kept.tokens(paths, kept.pixels(paths))
    assert kept.pixels(paths)["new"] == []
    assert all(torch.equal(a, b) for a, b in zip(kept.tokens(paths, kept.pixels(paths)), whole, strict=True))


@pytest.fixture(scope="module")
def tuned(data: MuseData, division: Division, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A method tuned on queries, its folder, and the tower and projector as they were."""
    method = make(data, division, model)
    frozen = {
        name: p.detach().clone() for name, p in method.model.named_parameters() if "vision" in name or "proj" in name
    }
    folder = tmp_path_factory.mktemp("tuned") / "queries"
    return method, train(method, QUICK, folder), folder, frozen


def test_it_learns_and_the_tower_stays(tuned: Any) -> None:
    method, trained, _, frozen = tuned
    losses = [entry["train_loss"] for entry in trained.metrics["history"]]
    assert losses[-1] < 0.8 * losses[0]
    assert trained.metrics["best"]["metric"] == "loss"
    for name, p in method.model.named_parameters():
        if "vision_tower" in name or "multi_modal_projector" in name:
            assert torch.equal(p, frozen[name]) and not p.requires_grad
        assert not p.requires_grad or "language_model" in name


def test_the_folder_alone_answers_as_the_model_in_memory(
    tuned: Any, data: MuseData, division: Division, tmp_path: Path
) -> None:
    method, _, folder, _ = tuned
    moments = data.queries(division.test)[:6]
    opened = open_tuned(folder, "fp32", "cpu")
    questions = [opened.reading.ask(moment, data) for moment in moments]
    assert questions == [method.reading.ask(moment, data) for moment in moments]
    said = opened.writer.write(questions, tmp_path / "answers")
    method.model.eval()
    here = LocalWriter(method.reading.speaker, "memory").write(questions, tmp_path / "memory")
    assert said == here
    base = LocalWriter(Reading(load(opened.card["model"], "fp32", "cpu"), method.settings).speaker, "base")
    assert base.write(questions, tmp_path / "answers") != said  # another key in the same log
    assert opened.writer.name == "queries"
    learnt_of(folder).check("it", data, division.test)
    for name in (division.train[0], division.valid[0]):
        with pytest.raises(SynthError, match="has learnt from 1 of the conversations"):
            learnt_of(folder).check("it", data, [*division.test, name])


def test_another_base_is_refused(tuned: Any, data: MuseData, tmp_path: Path) -> None:
    folder = tuned[2]
    write_model(folder / "base", ["other words"], seed=3, width=16)
    try:
        with pytest.raises(SynthError, match="was trained on another model"):
            open_tuned(folder, "fp32", "cpu")
    finally:
        (folder / "base").rename(tmp_path / "away")
    with pytest.raises(SynthError, match="is not a checkpoint"):
        open_tuned(tmp_path)


def test_the_judge_picks_the_best(data: MuseData, division: Division, model: Path, tmp_path: Path) -> None:
    method = make(data, division, model)
    seen: list[set[str]] = []

    def judge(answers: Any) -> dict[str, float]:
        seen.append(set(answers))
        return {"mrr@10": {1: 0.5, 2: 0.9}.get(len(seen), 0.1)}

    method.judge, method.metric, method.higher = judge, "mrr@10", True
    trained = train(method, replace(QUICK, epochs=2, evaluate_first=True), tmp_path)
    assert trained.metrics["best"] == {"metric": "mrr@10", "value": 0.9, "epoch": 1}
    assert seen == [{f"recommend:{m.id}" for m in data.queries(division.valid)}] * 3


def test_what_cannot_fit_or_be_learnt_is_said_first(data: MuseData, division: Division, model: Path) -> None:
    reading = Reading(load(model, "fp32", "cpu"), MuseSettings(max_length=150, pictures=0))
    with pytest.raises(SynthError, match="more than the 150 allowed. Raise --max-length"):
        reading.spoken(reading.lessons(data.queries(division.train), data)[0])
    roomy = Reading(load(model, "fp32", "cpu"), MuseSettings())
    empty = replace(roomy.lessons(data.queries(division.train), data)[0], target=" ")
    with pytest.raises(SynthError, match="has no token"):
        roomy.spoken(empty)


def test_a_tiny_model_reads_no_query_and_comes_back(data: MuseData, division: Division, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"epochs": 1, "batch": 8}
    warming = Warming(
        pictures=60,
        attributes=replace(ATTRIBUTE_SETTINGS, **quick),
        captions=replace(CAPTION_SETTINGS, **quick),
        talk=TrainSettings(**quick, trackers=(), workers=0),
        device="cpu",
    )
    reads = [talk(data, name) for name in division.train]
    assert not any(moment.query in text for text in reads for moment in data.queries(division.train))
    split = "--convs 6 --seed 0"
    out = make_tiny(data, division.train[:2], division.valid, tmp_path / "tiny", split, warming)
    figures = json.loads((out / "warmup.json").read_text("utf-8"))
    assert figures.keys() == {"attributes", "captions", "talk"} and figures["talk"]["value"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]
    stamp = (out / "warmup.json").stat().st_mtime_ns
    again = make_tiny(data, division.train[:2], division.valid, out, split, warming)
    assert again == out and (out / "warmup.json").stat().st_mtime_ns == stamp
    assert Learnt.read(out) == Learnt.of(data, (*division.train[:2], *division.valid), split)
    for read, other in ((division.train[:3], split), (division.train[:2], "--convs 6 --seed 1")):
        with pytest.raises(SynthError, match="was made for another split or run"):
            make_tiny(data, read, division.valid, out, other, warming)
    (tmp_path / "next.begun").mkdir()
    (tmp_path / "next.begun" / "learnt.json").write_text((out / "learnt.json").read_text("utf-8"), "utf-8")
    with pytest.raises(SynthError, match=r"next\.begun was made for another split"):
        make_tiny(data, division.train, division.valid, tmp_path / "next", split, warming)
    with pytest.raises(SynthError, match="There is no example"):
        train(Talk(load(out, "fp32", "cpu"), [], []), TrainSettings(trackers=()), tmp_path / "no")


def test_from_the_command_line(run: Path, model: Path, tmp_path: Path) -> None:
    for name in ("ir_measures", "scipy"):
        pytest.importorskip(name, reason="metrics need the extra `eval`")

    def call(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    split = ["--convs", 6, "--test", 3]
    common = ["--device", "cpu", "--precision", "fp32"]
    out = tmp_path / "tuned"
    # A base that was made has read conversations of its own: the tuned model has learnt from these as well.
    model = Path(shutil.copytree(model, tmp_path / "base"))
    (model / "learnt.json").write_text('{"split": "--convs 6 --seed 0", "conversations": ["of the base"]}', "utf-8")
    train_it = ["train", "muse", run, "--task", "recommend", "--model", model, "--out", out, *split, *common]
    train_it += ["--epochs", 1, "--lr", 0.01, "--tracker", "none", "--pictures", 1]
    done = call(*train_it)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "mrr@10" in done.stdout and "Next: synth eval muse" in done.stdout
    done = call(*train_it, "--quiet")
    assert done.exit_code == 0 and not done.stdout  # finished: taken as it is
    learnt = learnt_of(out)
    assert len(learnt.conversations) == 8 and "of the base" in learnt.conversations
    assert learnt.split == "--convs 6 --seed 0 --test 3"
    asked = ["eval", "muse", run, "--task", "recommend", "--out", tmp_path / "eval", *common, "--quiet", "--json"]
    done = call(*asked, *split, "--methods", f"last-turn,{model},{out}", "--pictures", 1)
    assert done.exit_code == 0, (done.output, done.exception)
    (found,) = json.loads(done.stdout)
    assert found["systems"] == ["last-turn", "base", "tuned"] and found["against"] == "tuned"
    done = call(*asked, "--convs", 3, "--methods", out)
    assert "has learnt from" in str(done.exception) and "--convs 6 --seed 0" in str(done.exception)
    done = call(*asked, *split, "--methods", out, "--task", "respond")
    assert "was tuned for --task recommend" in str(done.exception)
    for wrong, said in (
        (["--model", model, "--preset", "tiny"], "One of --model and --preset"),
        (["--model", model, "--metric", "loss", "--convs", 0], "leaves nothing to learn from"),
        (["--model", model, "--metric", "hr1"], "--metric hr1 is not possible"),
        (["--model", tmp_path / "none"], "There is no folder"),
    ):
        done = call("train", "muse", run, "--task", "recommend", "--out", tmp_path / "x", *split, *wrong)
        assert isinstance(done.exception, SynthError) and said in str(done.exception), done.exception
