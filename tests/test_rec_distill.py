"""Stage 1: tower and projector learn, the language model does not; what is learnt reaches stage 2."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from synth.errors import SynthError
from synth.recommender.adapters import Lora, apply_distilled, fingerprint
from synth.recommender.answering import Pictures
from synth.recommender.architecture import Architecture, load
from synth.recommender.crops import crops, open_image
from synth.recommender.distill import Distill, DistillSettings, check_described, described_images, hold_out
from synth.recommender.recommend import Recommend, load_recommender
from synth.recommender.training import Trained, TrainSettings, train
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world

QUICK = TrainSettings(epochs=3, batch=4, lr=1e-2, workers=1, evaluate_first=True, trackers=())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("distill"))


def make(world: World, **options: Any) -> Distill:
    images, _ = described_images(world.items)
    return Distill(load(world.model, device="cpu"), images[:-4], images[-4:], DistillSettings(**options))


def frozen(architecture: Architecture) -> dict[str, Any]:
    model = architecture.model
    return {n: p.detach().clone() for n, p in model.named_parameters() if "language_model" in n or "lm_head" in n}


@pytest.fixture(scope="module")
def distilled(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Distill, Trained]:
    method = make(world)
    before = frozen(method.architecture)
    trained = train(method, QUICK, tmp_path_factory.mktemp("distilled"))
    assert all(torch.equal(value, frozen(method.architecture)[name]) for name, value in before.items())
    return method, trained


def test_only_tower_and_projector_are_trained_and_perplexity_falls(distilled: tuple[Distill, Trained]) -> None:
    method, trained = distilled
    names = [name for name, p in method.model.named_parameters() if p.requires_grad]
    adapted = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in names}
    assert adapted == {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "linear_1", "linear_2"}
    assert not any("language_model" in name for name in names)
    curve = json.loads((trained.out / "metrics.json").read_text())["history"]
    assert [entry["epoch"] for entry in curve] == [0, 1, 2, 3]
    assert curve[-1]["perplexity"] < 0.8 * curve[0]["perplexity"]
    assert all(entry["perplexity"] == pytest.approx(math.exp(entry["loss"])) for entry in curve)
    assert trained.metrics["best"]["value"] == min(entry["perplexity"] for entry in curve)


def test_the_tower_gets_a_gradient_through_the_frozen_language_model(world: World) -> None:
    method = make(world)
    loss, labels = method.step(method.model, method.collate(method.examples("train")[:3]))  # type: ignore[arg-type]
    loss.backward()
    assert labels == sum(len(method._parts[image].answer) for image in method.examples("train")[:3])
    got = {name for name, p in method.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("vision_tower" in name for name in got) and any("linear_1" in name for name in got)


def test_pictures_of_mixed_shapes_have_the_losses_of_batch_one(world: World) -> None:
    method = make(world, lora=Lora(dropout=0.0))
    images = list(method.examples("train")[:6])
    counts = {len(crops(open_image(image.image), method.architecture.image_processor)) for image in images}
    assert len(counts) > 1
    with torch.no_grad():
        together, labels = method.step(method.model, method.collate(images))
        single = [method.step(method.model, method.collate([image])) for image in images]
    assert labels == sum(count for _, count in single)
    assert float(together) == pytest.approx(sum(float(loss) for loss, _ in single), rel=1e-4)


def test_the_loaded_adapter_gives_the_features_that_were_trained(
    world: World, distilled: tuple[Distill, Trained]
) -> None:
    method, trained = distilled
    fresh = load(world.model, device="cpu")
    plain = MemoryFeatures(fresh, world.items)
    assert apply_distilled(fresh, trained.out) == fingerprint(trained.best)
    method.model.eval()
    learnt, merged = MemoryFeatures(method.architecture, world.items), MemoryFeatures(fresh, world.items)
    for key in hashes(world.items).values():
        torch.testing.assert_close(torch.tensor(merged.get(key)), torch.tensor(learnt.get(key)), atol=1e-4, rtol=1e-4)
        assert abs(plain.get(key) - learnt.get(key)).max() > 1e-3
        here = torch.tensor(learnt.get(key))
        with torch.no_grad():
            torch.testing.assert_close(fresh.project(here), method.architecture.project(here), atol=1e-4, rtol=1e-4)
    assert not any(p.requires_grad for p in fresh.model.parameters())


def test_stage_2_carries_the_distilled_projector_in_its_checkpoint(
    world: World, distilled: tuple[Distill, Trained], tmp_path: Path
) -> None:
    _, trained = distilled
    whole = load(world.model, device="cpu")
    apply_distilled(whole, trained.out)
    pictures = Pictures(MemoryFeatures(whole, world.items), hashes(world.items))
    method = Recommend(
        load(world.model, device="cpu", tower=False),
        world.train,
        world.valid,
        world.items,
        pictures,
        distilled=trained.out,
    )
    projector = method.architecture.projector.linear_1.weight.clone()
    assert torch.equal(projector, whole.projector.linear_1.weight)
    assert not torch.equal(projector, load(world.model, device="cpu").projector.linear_1.weight)
    out = train(method, replace(QUICK, epochs=1, evaluate_first=False), tmp_path)
    assert torch.equal(method.architecture.projector.linear_1.weight, projector)
    base = load(world.model, device="cpu", tower=False)
    loaded = load_recommender(base, out.out, world.items, pictures)
    assert torch.equal(base.projector.linear_1.weight, projector)
    assert loaded.rank(world.valid) == method.recommender.rank(world.valid)


def test_whole_weights_can_be_trained_saved_and_loaded(world: World, tmp_path: Path) -> None:
    method = make(world, lora=Lora(rank=0))
    trained = train(method, replace(QUICK, epochs=1, lr=1e-3), tmp_path)
    fresh = load(world.model, device="cpu")
    apply_distilled(fresh, trained.out)
    left, right = fresh.model.state_dict(), method.model.state_dict()
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_whole_items_are_held_out(world: World) -> None:
    images, without = described_images(world.items)
    assert without == 0 and len(images) == sum(len(item.images) for item in world.items.values())
    many = [replace(image, item=f"{image.item}/{n}") for n in range(10) for image in images]
    train_on, valid = hold_out(many, 12)
    assert 10 <= len(valid) <= 12 and len(train_on) + len(valid) == len(many)
    assert not {image.item for image in valid} & {image.item for image in train_on}
    assert hold_out(list(reversed(many)), 12)[1] == list(reversed(valid)) and hold_out(many, 12, seed=1)[1] != valid
    with pytest.raises(SynthError, match="synth train describe"):
        check_described([])


def test_other_descriptions_are_another_run(world: World, distilled: tuple[Distill, Trained]) -> None:
    images, _ = described_images(world.items)
    other = [replace(images[0], description=images[0].description[::-1]), *images[1:-4]]
    assert make(world).signature() == distilled[0].signature()
    changed = Distill(load(world.model, device="cpu"), other, images[-4:])
    assert changed.signature()["data"] != distilled[0].signature()["data"]


def test_an_empty_description_is_refused_before_training(world: World) -> None:
    images, _ = described_images(world.items)
    with pytest.raises(SynthError, match="is empty: there would be nothing to learn"):
        Distill(load(world.model, device="cpu"), [replace(images[0], description=" ")], [])


def test_a_damaged_picture_is_named(world: World, tmp_path: Path) -> None:
    images, _ = described_images(world.items)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = replace(images[0], image=tmp_path / "broken.png")
    method = Distill(load(world.model, device="cpu"), [broken], [])
    with pytest.raises(SynthError, match=r"broken.png cannot be read"):
        train(method, QUICK, tmp_path / "out")
