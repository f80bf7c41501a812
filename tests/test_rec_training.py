"""The training loop on stage 2: exact resume, token-weighted steps, the best checkpoint, clear refusals."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate", "tensorboard"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from synth.errors import SynthError
from synth.recommender import batches
from synth.recommender.adapters import Lora, apply_distilled, attach_trained, read_card
from synth.recommender.answering import Pictures, PromptSettings
from synth.recommender.architecture import Architecture, load
from synth.recommender.checkpoint import recover
from synth.recommender.method import rate
from synth.recommender.precision import Precision, choose_precision, memory_guard, on_data_sheet, peak_flops
from synth.recommender.recommend import Recommend, RecommendSettings, load_recommender
from synth.recommender.training import Method, Trained, TrainSettings, train
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world

QUICK = TrainSettings(epochs=2, batch=3, lr=1e-2, workers=0, trackers=())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def features(world: World) -> MemoryFeatures:
    return MemoryFeatures(load(world.model, device="cpu"), world.items)


def make(world: World, features: MemoryFeatures, *, tower: bool = False, **options: Any) -> Recommend:
    """Stage 2 on a freshly loaded model."""
    train_on = options.pop("train", world.train)
    model = load(world.model, "fp32", "cpu", tower=tower)
    pictures = Pictures(features, hashes(world.items))
    return Recommend(model, train_on, world.valid, world.items, pictures, RecommendSettings(**options))


def weights(method: Method) -> dict[str, Any]:
    return {name: p.detach().clone() for name, p in method.model.named_parameters() if p.requires_grad}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class Killed(Exception):
    pass


def dying(method: Recommend, at: int) -> Recommend:
    """The method, killed in its n-th step."""
    calls, step = 0, method.step

    def count(model: Any, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        return step(model, batch)

    method.step = count  # type: ignore[method-assign]
    return method


@pytest.fixture(scope="module")
def uninterrupted(world: World, features: MemoryFeatures, tmp_path_factory: pytest.TempPathFactory) -> Any:
    method = make(world, features)
    return train(method, QUICK, tmp_path_factory.mktemp("whole")), weights(method)


@pytest.mark.parametrize("at", [2, 5, 8])
def test_resume_equals_uninterrupted(
    world: World, features: MemoryFeatures, tmp_path: Path, uninterrupted: Any, at: int
) -> None:
    often = replace(QUICK, save_minutes=0.0)
    with pytest.raises(Killed):
        train(dying(make(world, features), at), often, tmp_path)
    assert (tmp_path / "state.pt").is_file()
    method = make(world, features)
    calls = []
    step = method.step
    method.step = lambda model, batch: calls.append(0) or step(model, batch)  # type: ignore[method-assign, func-returns-value]
    trained = train(method, often, tmp_path)
    whole, final = uninterrupted
    assert len(calls) == 10 - (at - 1)
    assert trained.metrics["history"] == whole.metrics["history"]
    assert same(weights(method), final)
    assert not (tmp_path / "state.pt").exists()


def test_ctrl_c_ends_after_the_step_and_the_same_call_goes_on(
    world: World, features: MemoryFeatures, tmp_path: Path, uninterrupted: Any
) -> None:
    method = make(world, features)
    step, calls = method.step, 0

    def interrupted(model: Any, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(model, batch)

    method.step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(method, QUICK, tmp_path)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["state"]["done"] == 3
    method = make(world, features)
    trained = train(method, QUICK, tmp_path)
    assert trained.metrics["history"] == uninterrupted[0].metrics["history"]
    assert same(weights(method), uninterrupted[1])


def test_a_finished_run_is_not_trained_again(world: World, features: MemoryFeatures, uninterrupted: Any) -> None:
    whole: Trained = uninterrupted[0]
    method = dying(make(world, features), 1)
    again = train(method, QUICK, whole.out)
    assert again.metrics == whole.metrics
    assert same(weights(method), uninterrupted[1])


def test_another_run_in_the_folder_is_refused(world: World, features: MemoryFeatures, uninterrupted: Any) -> None:
    with pytest.raises(SynthError, match=r"holds a run with other settings: lr was 0\.01, now 0\.02"):
        train(make(world, features), replace(QUICK, lr=2e-2), uninterrupted[0].out)
    with pytest.raises(SynthError, match="show was features, now nothing"):
        train(make(world, features, prompt=PromptSettings(show="nothing")), QUICK, uninterrupted[0].out)


def test_other_data_in_the_folder_is_refused(world: World, features: MemoryFeatures, uninterrupted: Any) -> None:
    out = uninterrupted[0].out
    # Answers of as many tokens: neither the number nor the lengths of the examples differ.
    others = [replace(e, gt=e.candidates[e.candidates.index(e.gt) - 1]) for e in world.train]
    with pytest.raises(SynthError, match="holds a run with other settings: data was"):
        train(make(world, features, train=others), QUICK, out)
    held = [replace(world.valid[0], gt=world.valid[1].gt), *world.valid[1:]]
    with pytest.raises(SynthError, match="data was"):
        train(make(replace(world, valid=held), features), QUICK, out)
    method = make(world, features)
    method.architecture.image_processor.image_mean = [0.1, 0.2, 0.3]
    with pytest.raises(SynthError, match="features was"):
        train(method, QUICK, out)


def test_another_number_of_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter([1.0, 1.0])
    method = Toy()
    method.evaluate = lambda model: {"score": next(calls)}  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        train(method, replace(QUICK, epochs=3), tmp_path)
    assert (tmp_path / "state.pt").is_file()
    monkeypatch.setattr(batches, "processes", lambda: (0, 2))
    with pytest.raises(SynthError, match="batches_a_step was 1, now 2"):
        train(Toy(), replace(QUICK, epochs=3), tmp_path)


def test_waiting_for_data_counts(tmp_path: Path) -> None:
    method = Toy()
    collate = method.collate
    method.collate = lambda examples: time.sleep(0.05) or collate(examples)  # type: ignore[method-assign, func-returns-value]
    metrics = train(method, replace(QUICK, epochs=1), tmp_path).metrics
    assert metrics["seconds"] > 0.15 and metrics["examples_per_second"] < 8 / 0.15
    assert 0.15 / metrics["seconds"] - 0.01 < metrics["waiting_share"] <= 1


@pytest.mark.parametrize(("batch", "accumulate"), [(1, 6), (2, 3), (3, 2)])
def test_accumulated_batches_are_one_large_batch(
    world: World, features: MemoryFeatures, tmp_path: Path, batch: int, accumulate: int
) -> None:
    """Answers differ in length (an id of one token among ids of ten), so a mean of means would differ."""
    quiet = {"lora": Lora(dropout=0.0), "prompt": PromptSettings(labels="text")}
    odd = {name: replace(item, id=name) for name, item in world.items.items()}
    short = next(iter(odd))
    renamed = {("a" if name == short else name): replace(item, id="a" if name == short else name)
               for name, item in odd.items()}  # fmt: skip
    examples = [
        replace(e, gt=e.gt.replace(short, "a"), candidates=tuple(c.replace(short, "a") for c in e.candidates))
        for e in world.train[:6]
    ]
    examples[0] = replace(examples[0], candidates=("a", *examples[0].candidates[1:]), gt="a")
    # Several steps: Adam's first depends on no gradient's size.
    settings = replace(QUICK, epochs=4, grouped=False, lr=1e-3, weight_decay=0.0, clip=0.0)

    def run(size: int, together: int) -> dict[str, Any]:
        model = load(world.model, "fp32", "cpu", tower=False)
        known = {("a" if k == short else k): v for k, v in hashes(world.items).items()}
        method = Recommend(model, examples, [], renamed, Pictures(features, known), RecommendSettings(**quiet))  # type: ignore[arg-type]
        assert len({len(entry.prompt.answer) for entry in method.examples("train")}) > 1
        train(method, replace(settings, batch=size, accumulate=together), tmp_path / f"{size}")
        return weights(method)

    whole, parts = run(6, 1), run(batch, accumulate)
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], atol=2e-5, rtol=1e-3)


def test_gradient_checkpointing_changes_nothing_but_memory(
    world: World, features: MemoryFeatures, tmp_path: Path, uninterrupted: Any
) -> None:
    settings = replace(QUICK, gradient_checkpointing=True)
    trained = train(make(world, features), settings, tmp_path)
    losses = [entry["train_loss"] for entry in trained.metrics["history"]]
    assert losses == pytest.approx([entry["train_loss"] for entry in uninterrupted[0].metrics["history"]], rel=1e-3)


def digest(module: Any) -> str:
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def test_tower_and_projector_are_bit_identical_after_stage_2(
    world: World, features: MemoryFeatures, tmp_path: Path
) -> None:
    method = make(world, features, tower=True)
    model = method.architecture
    before = digest(model.vision_tower), digest(model.projector)
    head = digest(model.lm_head)
    trained = weights(method)
    train(method, QUICK, tmp_path)
    assert (digest(model.vision_tower), digest(model.projector)) == before
    assert digest(model.lm_head) == head
    assert trained.keys() and all("language_model" in name and "lora" in name for name in trained)
    assert not same(trained, weights(method))


def test_every_linear_map_of_the_language_model_is_adapted_and_the_head_by_choice(
    world: World, features: MemoryFeatures
) -> None:
    names = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in weights(make(world, features))}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    with_head = weights(make(world, features, lora=Lora(head=True)))
    assert any("lm_head" in name for name in with_head)


_LOAD = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from synth.recommender.answering import Pictures
from synth.recommender.architecture import load
from synth.recommender.recommend import load_recommender
from tests.support.tiny_llava import MemoryFeatures, hashes, make_world
folder, checkpoint = map(Path, sys.argv[1:3])
world = make_world(folder / "again")
features = MemoryFeatures(load(folder / "model", device="cpu"), world.items)
base = load(folder / "model", "fp32", "cpu", tower=False)
recommender = load_recommender(base, checkpoint, world.items, Pictures(features, hashes(world.items)))
print(json.dumps(recommender.rank(world.valid, batch=3)))
"""


@pytest.mark.parametrize("rank", [8, 0])
def test_a_new_process_loads_equal_scores(world: World, features: MemoryFeatures, tmp_path: Path, rank: int) -> None:
    method = make(world, features, lora=Lora(rank=rank))
    trained = train(method, replace(QUICK, lr=3e-3), tmp_path / "out")
    here = method.recommender.rank(world.valid, batch=3)
    base = load(world.model, "fp32", "cpu", tower=False)
    pictures = Pictures(features, hashes(world.items))
    assert load_recommender(base, trained.out, world.items, pictures).rank(world.valid, batch=3) == here
    untrained = make(world, features).recommender.rank(world.valid, batch=3)
    assert untrained != here
    if rank:
        ran = subprocess.run(
            [sys.executable, "-c", _LOAD, str(world.model.parent), str(trained.out)],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        assert json.loads(ran.stdout.splitlines()[-1]) == here


class Toy(Method):
    """One weight that is drawn to 1, and figures that are told."""

    name, metric, higher = "toy", "score", True

    def __init__(self, scores: Sequence[float] = (), labels: int = 1, loss: float | BaseException = 1.0) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)
        self.scores, self.labels, self.loss = list(scores), labels, loss
        self.at: list[float] = []

    def examples(self, split: str) -> Sequence[int]:
        return range(8)

    def length(self, example: Any) -> int:
        return 1 + int(example)

    def collate(self, examples: list[Any]) -> Any:
        return {"x": torch.ones(len(examples), 1)}

    def step(self, model: Any, batch: Any) -> Any:
        if isinstance(self.loss, BaseException):
            raise self.loss
        return self.loss * ((model(batch["x"]) - 1) ** 2).sum(), self.labels * len(batch["x"])

    def evaluate(self, model: Any) -> dict[str, float]:
        self.at.append(model.weight.item())
        return {"score": self.scores[len(self.at) - 1]} if self.scores else {}

    def save(self, folder: Path) -> None:
        (folder / "weight").write_text(str(self.model.weight.item()))


def test_the_best_checkpoint_is_kept_on_disk_and_in_memory(tmp_path: Path) -> None:
    method = Toy([0.5, 0.7, 0.7, 0.6])
    trained = train(method, replace(QUICK, epochs=4), tmp_path)
    assert trained.metrics["best"] == {"metric": "score", "value": 0.7, "epoch": 2}
    assert float((trained.best / "weight").read_text()) == method.at[1] == method.model.weight.item()
    assert len(set(method.at)) == 4
    assert [entry["score"] for entry in trained.metrics["history"]] == [0.5, 0.7, 0.7, 0.6]


def test_lower_is_better_where_the_method_says_so(tmp_path: Path) -> None:
    method = Toy([0.5, 0.3, 0.4])
    method.higher = False
    assert train(method, replace(QUICK, epochs=3), tmp_path).metrics["best"]["epoch"] == 2


def test_without_anything_held_out_the_last_epoch_is_kept(tmp_path: Path) -> None:
    method = Toy()
    trained = train(method, replace(QUICK, epochs=3), tmp_path)
    assert trained.metrics["best"]["epoch"] == 3
    assert float((trained.best / "weight").read_text()) == method.at[-1]


def test_figures_before_the_first_step(tmp_path: Path) -> None:
    method = Toy([0.9, 0.1])
    trained = train(method, replace(QUICK, epochs=1, evaluate_first=True), tmp_path)
    assert method.at[0] == 0.0
    assert [entry["epoch"] for entry in trained.metrics["history"]] == [0, 1]
    assert trained.metrics["best"]["epoch"] == 0


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Toy(labels=0), "A batch of toy has no label to learn"),
        (Toy(loss=math.nan), "loss of optimizer step 1 is not a number.*lower --lr"),
        (Toy(loss=torch.OutOfMemoryError("CUDA out of memory")), "Out of memory with 3 examples of up to 6 tokens"),
        (Toy(loss=RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")), "Out of memory"),
    ],
)
def test_what_cannot_go_on_is_one_clear_line(method: Toy, said: str, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match=said) as raised:
        train(method, QUICK, tmp_path)
    if "memory" in said:
        assert "--batch 1 --accumulate 2" in raised.value.fix and "--gradient-checkpointing" in raised.value.fix


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_guard("x", "y"):
        raise RuntimeError("shapes differ")


def test_a_method_that_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    frozen = Toy()
    frozen.model.requires_grad_(False)
    with pytest.raises(SynthError, match="trains no parameter"):
        train(frozen, QUICK, tmp_path)
    half = Toy()
    half.model.half()
    with pytest.raises(SynthError, match="must be float32"):
        train(half, QUICK, tmp_path)
    with pytest.raises(SynthError, match="'nonesuch' is not installed"):
        train(Toy(), replace(QUICK, trackers=("nonesuch",)), tmp_path)


def test_a_broken_state_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(SynthError, match=r"state.pt cannot be read"):
        train(Toy(), QUICK, tmp_path)
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "metrics.json").write_text("[1]")
    with pytest.raises(SynthError, match="not the file of a training run"):
        train(Toy(), QUICK, tmp_path)


def test_a_kill_between_two_moves_loses_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "best.old").mkdir()
    (tmp_path / "best.part").mkdir()
    recover(tmp_path / "best")
    assert (tmp_path / "best").is_dir() and not (tmp_path / "best.old").exists()


def test_tensorboard_and_metrics_hold_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained = train(Toy([0.5, 0.7]), replace(QUICK, trackers=("tensorboard",), log_every=1), tmp_path)
    written = EventAccumulator(str(tmp_path / "logs" / "toy")).Reload()
    tags = set(written.Tags()["scalars"])
    assert {"loss", "norm", "lr", "examples_per_second", "mfu", "peak_memory_bytes", "valid/score"} <= tags
    assert [event.step for event in written.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(trained.metrics))
    assert metrics["finished"] and metrics["examples_per_second"] > 0 and metrics["peak_memory_bytes"] > 1e6


def test_a_run_says_how_fast_it_was(uninterrupted: Any) -> None:
    metrics = uninterrupted[0].metrics
    assert 0 < metrics["mfu"] < 1 and metrics["tokens_per_second"] > 100
    assert 0.9 < metrics["unpadded_share"] <= 1
    assert metrics["trained_parameters"] == 2 * 8 * sum([64, 48, 48, 64, 96, 96, 96])


def test_every_example_is_in_one_batch_and_like_lengths_are_together() -> None:
    lengths = [(37 * n) % 1000 + 50 for n in range(1003)]
    grouped = batches.plan(lengths, 8, seed=1, epoch=0)
    assert sorted(i for batch in grouped for i in batch) == list(range(1003))
    assert grouped == batches.plan(lengths, 8, seed=1, epoch=0) != batches.plan(lengths, 8, seed=1, epoch=1)
    assert batches.plan(lengths, 8, seed=2, epoch=0) != grouped
    random = batches.plan(lengths, 8, seed=1, epoch=0, grouped=False)
    assert batches.efficiency(lengths, grouped) > 0.97 > 0.7 > batches.efficiency(lengths, random)
    area = [len(batch) * max(lengths[i] for i in batch) for batch in grouped]
    assert area[0] == max(area)
    assert [len(batch) for batch in batches.plan([1] * 7, 3, seed=0, epoch=0)].count(3) == 2


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_batches_made_ahead_keep_their_order_and_their_errors(workers: int) -> None:
    assert list(batches.prefetch(range(50), lambda n: n * n, workers)) == [n * n for n in range(50)]

    def broken(n: int) -> int:
        if n == 7:
            raise ValueError("seven")
        return n

    made = batches.prefetch(range(50), broken, workers)
    assert [next(made) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(made)


def test_the_rate_rises_and_falls() -> None:
    settings = TrainSettings(schedule="cosine", warmup=0.2)
    rates = [rate(n, 10, settings) for n in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0] and rates[6] == pytest.approx(0.5) and rates[-1] < 0.05
    assert {rate(n, 10, TrainSettings()) for n in range(10)} == {1.0}


def test_number_formats() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu).name == "fp32"
    assert choose_precision("bf16", cpu).dtype == torch.bfloat16
    with pytest.raises(SynthError, match="fp16 needs a CUDA GPU"):
        choose_precision("fp16", cpu)
    reached, source = peak_flops(cpu, Precision("fp32"))
    assert reached > 1e8 and "matrix product" in source


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", ""),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA A10G", "A10G"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2"),
        ("Tesla T4", "T4"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", ""),
        ("NVIDIA GeForce RTX 3090 Ti", ""),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("NVIDIA RTX A1000", ""),
        ("NVIDIA T400 4GB", ""),
        ("Quadro T400", ""),
        ("NVIDIA GB200", ""),
    ],
)
def test_a_gpu_is_known_by_whole_words_of_its_name(name: str, known: str) -> None:
    assert on_data_sheet(name) == known


@pytest.mark.parametrize("rank", [8, 0])
def test_bf16_keeps_what_is_trained_in_float32(
    world: World, features: MemoryFeatures, tmp_path: Path, rank: int
) -> None:
    model = load(world.model, "bf16", "cpu", tower=False)
    pictures, settings = Pictures(features, hashes(world.items)), RecommendSettings(lora=Lora(rank=rank))
    method = Recommend(model, world.train, world.valid, world.items, pictures, settings)
    assert {p.dtype for p in method.model.parameters()} == {torch.bfloat16, torch.float32}
    trained = train(method, replace(QUICK, precision="bf16", lr=1e-3), tmp_path)
    first, last = (entry["train_loss"] for entry in trained.metrics["history"])
    assert last < first


def test_folders_that_are_no_checkpoint_or_of_something_else(
    world: World, features: MemoryFeatures, uninterrupted: Any, tmp_path: Path
) -> None:
    from tests.support.tiny_llava import write_model

    with pytest.raises(SynthError, match=r"is not a checkpoint: it has no synth.json"):
        read_card(tmp_path, "recommend")
    with pytest.raises(SynthError, match="is a checkpoint of recommend, not of distill"):
        read_card(uninterrupted[0].out, "distill")
    other = load(write_model(tmp_path / "other", ["red shirt"] * 3, seed=1), device="cpu")
    with pytest.raises(SynthError, match="was trained on another model"):
        load_recommender(other, uninterrupted[0].out, world.items, Pictures(None, {}))
    broken = tmp_path / "broken"
    shutil.copytree(uninterrupted[0].best, broken)
    (broken / "adapter_model.safetensors").write_bytes(b"?")
    with pytest.raises(SynthError, match="holds no readable adapter"):
        attach_trained(load(world.model, device="cpu"), broken)
    with pytest.raises(SynthError, match="is a checkpoint of recommend"):
        apply_distilled(load(world.model, device="cpu"), uninterrupted[0].out)


def test_a_model_is_not_adapted_twice(world: World, features: MemoryFeatures) -> None:
    method = make(world, features)
    architecture: Architecture = method.architecture
    with pytest.raises(SynthError, match="has an adapter already"):
        Recommend(architecture, world.train, [], world.items, Pictures(features, hashes(world.items)))


def test_labels_that_are_no_candidate_stop_it_before_training(world: World, features: MemoryFeatures) -> None:
    with pytest.raises(SynthError, match="is not among its candidates"):
        make(world, features, train=[replace(world.train[0], gt="B999999999")])
    with pytest.raises(SynthError, match="cannot fit in 100 tokens"):
        make(world, features, prompt=PromptSettings(max_length=100))


_TWO = """
import os, sys
from pathlib import Path
import accelerate
import torch
torch.set_num_threads(1)
from tests.test_rec_training import QUICK, make, weights
from tests.support.tiny_llava import MemoryFeatures, make_world
from synth.recommender.architecture import load
from synth.recommender.training import train
from dataclasses import replace
if __name__ == "__main__":
    # Before the processes know of each other: transformers then writes on the first of them only.
    world = make_world(Path(sys.argv[1]) / os.environ["RANK"])
    accelerate.PartialState(cpu=True)
    method = make(world, MemoryFeatures(load(world.model, device="cpu"), world.items))
    train(method, replace(QUICK, accumulate=int(sys.argv[2])), Path(sys.argv[1]) / "out")
"""


@pytest.mark.slow
def test_two_processes_equal_one(world: World, features: MemoryFeatures, tmp_path: Path) -> None:
    """The same global batch on gloo, the last step of an epoch with nothing left for the second process."""
    script = tmp_path / "two.py"
    script.write_text(_TWO)
    root = Path(__file__).parent.parent
    ran = subprocess.run(
        # accelerate's launcher starts several processes on a CPU through MPI only; torchrun sets the same variables.
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
         str(script), str(tmp_path), "1"],
        capture_output=True, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    two = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert two["processes"] == 2
    method = make(world, features)
    one = train(method, replace(QUICK, accumulate=2), tmp_path / "one")
    for left, right in zip(one.metrics["history"], two["history"], strict=True):
        assert right == pytest.approx(left, rel=1e-4)
    final = torch.load(tmp_path / "out" / "best" / "trained.pt", weights_only=True)
    best = torch.load(tmp_path / "one" / "best" / "trained.pt", weights_only=True)
    for name in best:
        torch.testing.assert_close(final[name], best[name], atol=1e-5, rtol=1e-4)


_KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from dataclasses import replace
from tests.test_rec_training import QUICK, make
from tests.support.tiny_llava import MemoryFeatures, make_world
from synth.recommender.architecture import load
from synth.recommender.training import train
world = make_world(Path(sys.argv[1]) / "world")
method = make(world, MemoryFeatures(load(world.model, device="cpu"), world.items))
step, calls = method.step, 0
def kill(model, batch):
    global calls
    calls += 1
    if calls == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(model, batch)
method.step = kill
train(method, replace(QUICK, save_minutes=0.0), Path(sys.argv[1]) / "out")
"""


@pytest.mark.slow
def test_kill_9_and_the_same_call_goes_on(
    world: World, features: MemoryFeatures, tmp_path: Path, uninterrupted: Any
) -> None:
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=root, capture_output=True)
    assert ran.returncode == -signal.SIGKILL
    method = make(world, features)
    trained = train(method, replace(QUICK, save_minutes=0.0), tmp_path / "out")
    assert trained.metrics["history"] == uninterrupted[0].metrics["history"]
    assert same(weights(method), uninterrupted[1])
