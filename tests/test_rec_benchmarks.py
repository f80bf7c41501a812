"""The benchmarks of training run on the tiny model and say that it is that."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("transformers", "peft", "accelerate"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from benchmarks import bench_training, lavic_gpu, rig, through
from synth.recommender.flops import decoder_forward, tower_forward
from synth.recommender.precision import out_of_memory

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """The tiny model with one layer in each part, on one thread: the scripts are tried, not their figures."""
    torch.set_num_threads(1)
    size = rig.SIZES["tiny"]
    language = {**size.language, "num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 128}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rig.SIZES, "tiny", replace(size, language=language, tower=replace(size.tower, layers=1)))
        yield


@pytest.fixture(scope="module")
def bench() -> Any:
    data = rig.draw(rig.SIZES["tiny"], 12)
    return data, rig.make_architecture(rig.SIZES["tiny"], data, CPU, torch.float32)


def figures(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["rows"]
    return found


def test_the_gpu_script_runs_whole_on_the_tiny_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv",
        ["lavic_gpu.py", "--model", "tiny", "--device", "cpu", "--max-batch", "2", "--steps", "1", "--warm", "1",
         "--examples", "6", "--json", str(tmp_path / "out.json")],
    )  # fmt: skip
    assert lavic_gpu.main() == 0
    said = capsys.readouterr().out
    assert "This is the tiny model, to try the script" in said and "This is a CPU" in said
    rows = figures(tmp_path / "out.json")
    kinds = {(r["section"], r.get("checkpointing"), r.get("batch"), r.get("kind")) for r in rows if "fits" in r}
    scored = ("scoring", "scoring, uncached")
    both = [(way, batch) for way in (False, True) for batch in (1, 2)]
    assert kinds == (
        {("stage1", *one, "") for one in both}
        | {("stage2", *one, kind) for one in both for kind in ("cached", "uncached")}
        | {("evaluation", None, batch, kind) for batch in (1, 2) for kind in (*scored, "generation")}
    )
    assert all(r["examples_per_second"] > 0 and r["peak_memory_bytes"] > 0 for r in rows if r.get("fits"))
    assert all(0 < r["mfu"] < 2 for r in rows if r.get("mfu"))
    assert sum("cached_over" in r for r in rows) == 4 and "goal x3" in said and "goal 40%" in said
    ratios = [(r["batch"], r["scoring_over"]) for r in rows if "scoring_over" in r]
    assert ratios == [(batch, way) for batch in (1, 2) for way in ("scoring, uncached", "generation")]
    assert all(r["mfu"] for r in rows if r.get("kind") in scored)


def test_what_does_not_fit_is_said_and_smaller_batches_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rig.Uncached.step

    def small(self: Any, model: Any, batch: Any) -> Any:
        if len(batch["pixels"]) > 50:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, model, batch)

    monkeypatch.setattr(rig.Uncached, "step", small)
    monkeypatch.setattr(
        sys, "argv",
        ["lavic_gpu.py", "--model", "tiny", "--device", "cpu", "--max-batch", "2", "--steps", "1", "--warm", "1",
         "--examples", "6", "--sections", "stage2", "--json", str(tmp_path / "out.json")],
    )  # fmt: skip
    assert lavic_gpu.main() == 0
    assert "batch 2 of" in (said := capsys.readouterr().out) and "uncached: does not fit in memory" in said
    fits = {(r["kind"], r["batch"]): r["fits"] for r in figures(tmp_path / "out.json") if "fits" in r}
    assert fits == {("cached", 1): True, ("uncached", 1): True, ("cached", 2): True, ("uncached", 2): False}


def test_time_that_is_up_leaves_the_rest_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lavic_gpu.py", "--model", "tiny", "--device", "cpu", "--minutes", "0"])
    assert lavic_gpu.main() == 0
    assert "time is up (--minutes 0): stage1 is left out" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_full_model_is_refused_without_a_gpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lavic_gpu.py"])
    assert lavic_gpu.main() == 1
    assert "needs a GPU; --model tiny" in capsys.readouterr().err


def test_the_uncached_path_is_the_cached_one_with_the_tower_in_it(tmp_path: Path) -> None:
    """On equal features both give one loss; and the tower sees fifty crops an example."""
    data = rig.draw(rig.SIZES["tiny"], 3, tmp_path)
    architecture = rig.make_architecture(rig.SIZES["tiny"], data, CPU, torch.float32)
    method = rig.stage_2(architecture, data)
    other = rig.twin(method, None)
    examples = method.examples("train")[:2]
    batch = other.collate(list(examples))
    assert len(batch["pixels"]) == 2 * rig.CANDIDATES * rig.CROPS
    method.model.eval()
    with torch.no_grad():
        cached = {**method.collate(list(examples)), "features": architecture.encode(batch["pixels"])}
        assert torch.allclose(method.step(method.model, cached)[0], other.step(method.model, batch)[0], rtol=1e-5)
    assert other.flops(batch) > method.flops(batch) > 0
    asked = data.examples[:2]
    rows = dict(zip([id_ for one in asked for id_ in one.candidates], batch["pixels"].split(rig.CROPS), strict=False))
    seen = {id_: architecture.encode(crops).detach() for id_, crops in rows.items()}
    method.recommender.pictures = rig.Pictures(SimpleNamespace(get=seen.__getitem__), {id_: id_ for id_ in seen})
    cached, again = method.recommender.rank(asked, 2), other.recommender.rank(asked, 2)
    for one in asked:
        assert again[one.id] == pytest.approx(cached[one.id], rel=1e-4)


def test_operations_of_scoring_are_those_of_what_is_fed(bench: Any) -> None:
    data, architecture = bench
    method = rig.stage_2(architecture, data)
    try:
        entry = method.examples("train")[0]
        answers = method.recommender.prompt.answers(entry.example)
        measured = SimpleNamespace(architecture=architecture)
        decoder, tower = lavic_gpu.Bench._operations(measured, method.recommender, [entry])  # type: ignore[arg-type]
        fed = len(entry.prompt.ids) + sum(len(answer) - 1 for answer in answers)
        config = architecture.model.config
        assert decoder == decoder_forward(config.text_config, [fed], sum(map(len, answers)))
        assert tower == tower_forward(config.vision_config, rig.CANDIDATES * rig.CROPS)
    finally:
        rig.bare(architecture, method)


def test_adapters_leave_the_model_as_it_was(bench: Any) -> None:
    data, architecture = bench
    names = [name for name, _ in architecture.model.named_parameters()]
    for make in (rig.stage_2, lambda a, d: rig.stage_1(a, d, rig.crop_pool(rig.SIZES["tiny"], 5, CPU, torch.float32))):
        method = make(architecture, data)
        assert any(p.requires_grad for p in architecture.model.parameters())
        rig.bare(architecture, method)
        assert [name for name, _ in architecture.model.named_parameters()] == names
        assert not any(p.requires_grad for p in architecture.model.parameters())


def test_lengths_are_those_of_the_real_data() -> None:
    """Reference: prompts of about 920 tokens, p95 of 1.24 to 1.73 thousand; ids of about nine tokens."""
    from synth.recommender.prompts import RecommendPrompt, Tokens
    from synth.recommender.tokenizer import IMAGE, build_tokenizer

    data = rig.draw(rig.SIZES["7b"], 120)
    texts = [rig.TASK, " ".join(data.items), *([" ".join(data.words)] * 40)]
    tokenizer = build_tokenizer(texts, 2000, lower=False)
    prompt = RecommendPrompt(Tokens(tokenizer, tokenizer.convert_tokens_to_ids(IMAGE)), data.items, lambda _: 5)
    lengths = sorted(len(prompt.encode(example)) for example in data.examples)
    assert 850 < sum(lengths) / len(lengths) < 1000 and 1100 < lengths[114] < 1800


def test_the_ratios_are_printed_one_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = rig.draw
    monkeypatch.setattr(bench_training, "draw", lambda size, examples, folder: real(size, 8, folder))
    monkeypatch.setattr(bench_training, "turns", lambda rounds, device, *dos: [rig.clock(do, device) for do in dos])
    monkeypatch.setattr(sys, "argv", ["bench_training.py", "--quick", "--device", "cpu", "--batch", "2"])
    assert bench_training.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].startswith("tiny preset, cpu")
    assert "50 crops an example" in lines[1] and "padding" in lines[3] and "scoring all 10 ids" in lines[4]


def test_a_stage_that_fails_ends_it_with_its_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def ran(command: list[str], **_: Any) -> Any:
        asked.append(command[3:])
        return subprocess.CompletedProcess(command, int(len(asked) == 3), "5 examples/s\nother\n", "synth: no.\n")

    monkeypatch.setattr(through.subprocess, "run", ran)
    (tmp_path / "data").mkdir()
    assert through.train_through("tiny", None, 5, tmp_path, "cpu") == 1
    out = capsys.readouterr()
    assert [command[0] for command in asked] == ["generate", "export", "train"] and asked[2][1] == "warmup"
    assert "synth: no." in out.err and "  5 examples/s" in out.out and "other" not in out.out


@pytest.mark.slow
def test_a_preset_is_trained_through_to_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert through.train_through("tiny", None, 30, tmp_path / "out", "cpu", ("--epochs", "1")) == 0
    said = capsys.readouterr().out
    assert "Ablations" in said and "without self-distillation" in said and "by the right answer's place" in said


def test_every_way_to_say_that_memory_is_out() -> None:
    for said in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling", "can't allocate memory: 1"):
        assert out_of_memory(RuntimeError(said))
    assert out_of_memory(MemoryError()) and out_of_memory(torch.OutOfMemoryError("x"))
    assert not out_of_memory(RuntimeError("shapes differ"))
