"""The matching warm-up, the shop that the CPU benchmark trains on, and the benchmark's whole path."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("transformers", "peft", "accelerate", "ir_measures", "scipy"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from benchmarks import lavic_cpu
from benchmarks.colour_shop import Shop, conversations, open_shop, without_colours
from synth.corpora.catalogue import Catalogue
from synth.errors import SynthError
from synth.recommender.answering import Pictures, PromptSettings
from synth.recommender.architecture import Architecture, load
from synth.recommender.labelled import Labelled, of_items
from synth.recommender.matching import Match, Matching, MatchingSettings, balanced, verdict_head
from synth.recommender.method import TrainSettings
from synth.recommender.prompts import TASK
from synth.recommender.training import train
from synth.recommender.warmup import CaptionWarmup
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world

PROMPT = PromptSettings(labels="letters")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("matching"))


@pytest.fixture
def model(world: World) -> Architecture:
    return load(world.model, "fp32", "cpu")


def matching(world: World, model: Architecture, **settings: Any) -> Matching:
    pictures = Pictures(MemoryFeatures(model, world.items), hashes(world.items))
    captions = settings.pop("captions", None)
    how = MatchingSettings(PROMPT, **settings)
    return Matching(model, world.train, world.valid, world.items, pictures, how, captions=captions)


def captions(world: World, model: Architecture) -> CaptionWarmup:
    return CaptionWarmup(model, of_items(world.items.values()), [])


def matches(method: Matching) -> list[Match]:
    return [entry for entry in method.examples("train") if isinstance(entry, Match)]


def test_both_kinds_of_verdict_count_alike_however_many_there_are() -> None:
    said = torch.tensor([2.0, -1.0, 0.5, 3.0, -2.0])
    fits = torch.tensor([True, False, False, False, False])
    yes = float(balanced(said[:1].repeat(2), torch.tensor([True, False]))) - float(
        torch.nn.functional.softplus(torch.tensor(2.0)) / 2
    )
    no = torch.nn.functional.softplus(said[1:]).mean() / 2
    assert float(balanced(said, fits)) == pytest.approx(yes + float(no), rel=1e-5)
    # Four more of the wrong kind, the same ones again, change nothing.
    again = balanced(torch.cat([said, said[1:]]), torch.cat([fits, fits[1:]]))
    assert float(again) == pytest.approx(float(balanced(said, fits)), rel=1e-6)


def test_a_verdict_is_asked_for_where_an_entry_ends(world: World, model: Architecture) -> None:
    method = matching(world, model, bridge=0.5)
    decode = model.tokenizer.decode
    for match in matches(method):
        assert len(match.prompt.ends) == len(match.example.candidates)
        for number, (end, item) in enumerate(zip(match.prompt.ends, match.example.candidates, strict=True)):
            said = next(iter(world.items[item].descriptions.values()), "")
            if match.show == "descriptions" and said:
                assert decode(match.prompt.ids[: end + 1]).endswith(said)
            slots = [slot.position for slot in match.prompt.slots if slot.image == number]
            if slots:
                assert end == slots[-1] and match.prompt.ids[end] == model.image_token_id


def test_the_bridge_has_its_share(world: World, model: Architecture) -> None:
    for share in (0.0, 0.25, 0.7, 1.0):
        shown = Counter(match.show for match in matches(matching(world, model, bridge=share)))
        assert shown["features"] == int(len(world.train) * share + 1e-9)


@pytest.mark.parametrize("bridge", [0.0, 1.0])
def test_a_brief_prompt_lacks_the_task_and_nothing_else(world: World, model: Architecture, bridge: float) -> None:
    long = matches(matching(world, model, bridge=bridge))
    brief = matches(matching(world, model, bridge=bridge, brief=True))
    for one, other in zip(long, brief, strict=True):
        whole, cut = model.tokenizer.decode(one.prompt.ids), model.tokenizer.decode(other.prompt.ids)
        assert whole == cut.replace("<s>", "<s>" + TASK + "Conversation:\n", 1)
        assert [other.prompt.ids[slot.position] for slot in other.prompt.slots] == [model.image_token_id] * len(
            one.prompt.slots
        )
        assert [other.prompt.ids[end] for end in other.prompt.ends] == [one.prompt.ids[end] for end in one.prompt.ends]


def moved(method: Matching, model: Architecture) -> set[str]:
    """The parts of a model that one step changes."""
    before = {name: value.detach().clone() for name, value in model.model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in method.model.parameters() if p.requires_grad], lr=0.1)
    loss, count = method.step(method.model, method.collate(list(method.examples("train"))))
    assert count > 0
    loss.backward()
    optimizer.step()
    changed = {name for name, value in model.model.named_parameters() if not torch.equal(value, before[name])}
    return {part for part in ("vision_tower", "projector", "language_model") if any(part in name for name in changed)}


def test_what_learns(world: World, model: Architecture) -> None:
    assert moved(matching(world, model), model) == {"language_model"}
    assert moved(matching(world, model, bridge=0.5), model) == {"language_model", "projector"}
    everything = {"language_model", "projector", "vision_tower"}
    assert moved(matching(world, model, captions=captions(world, model)), model) == everything
    # The embeddings of a bridge are cached: a tower that moved would no longer be the one that made them.
    bridged = matching(world, model, bridge=0.5, captions=captions(world, model))
    assert moved(bridged, model) == {"language_model", "projector"}


def test_a_loss_is_the_sum_of_its_parts(world: World, model: Architecture) -> None:
    method = matching(world, model, bridge=0.5, captions=captions(world, model))
    entries = method.examples("train")
    shown = [entry for entry in entries if isinstance(entry, Match)]
    told = [entry for entry in entries if isinstance(entry, Labelled)]
    assert shown and told
    with torch.no_grad():
        both, count = method.step(method.model, method.collate([*shown, *told]))
        one, n = method.step(method.model, method.collate(shown))
        other, m = method.step(method.model, method.collate(told))
    assert count == n + m and float(both) == pytest.approx(float(one + other), rel=1e-5)


def test_it_learns_to_match_words(world: World, model: Architecture, tmp_path: Path) -> None:
    few = [replace(e, candidates=(e.gt, *[c for c in e.candidates if c != e.gt][:1])) for e in world.train]
    head = verdict_head(model)
    method = Matching(model, few, [], world.items, Pictures(None, {}), MatchingSettings(PROMPT, brief=True),
                      verdicts=head)  # fmt: skip
    settings = TrainSettings(epochs=12, batch=7, lr=3e-3, workers=0, trackers=(), log_every=1000)
    before = _loss(method)
    done = train(method, settings, tmp_path / "lesson")
    assert _loss(method) < 0.5 * before
    # What a finished lesson leaves is taken up again, the verdicts' head included: the next lesson goes on with it.
    again = load(world.model, "fp32", "cpu")
    other = Matching(again, few, [], world.items, Pictures(None, {}), MatchingSettings(PROMPT, brief=True))
    assert train(other, settings, tmp_path / "lesson").metrics == done.metrics
    assert _loss(other) == pytest.approx(_loss(method), rel=1e-5)
    assert torch.equal(other.verdicts.weight, head.weight)


def _loss(method: Matching) -> float:
    with torch.no_grad():
        loss, count = method.step(method.model, method.collate(list(method.examples("train"))))
    return float(loss) / count


def test_figures_tell_words_from_pictures(world: World, model: Architecture) -> None:
    found = matching(world, model, bridge=0.5).evaluate(None)
    assert found["hr1"] == pytest.approx((found["hr1_words"] + found["hr1_pictures"]) / 2)
    assert set(matching(world, model).evaluate(None)) == {"hr1", "hr1_words"}


@pytest.fixture(scope="module")
def shop(catalogue: Path) -> Shop:
    return open_shop(Catalogue.open(catalogue), held=80, valid=20, seed=0)


def test_only_pictures_tell_candidates_apart(shop: Shop) -> None:
    asked = conversations(shop, shop.held, 60, "test", 0, fewest=3, most=3)
    for example in asked:
        colours = [shop.colour(item) for item in example.candidates]
        assert len(example.candidates) == 3 and set(example.candidates) <= set(shop.held)
        assert {shop.kind(item) for item in example.candidates} == {shop.kind(example.gt)}
        assert colours.count(shop.colour(example.gt)) == 1
        assert shop.colour(example.gt) in example.text.lower() or shop.named[example.gt] in example.text.lower()
    places = Counter(example.candidates.index(example.gt) for example in asked)
    assert set(places.values()) == {20}
    assert asked == conversations(shop, shop.held, 60, "test", 0, fewest=3, most=3)
    assert asked != conversations(shop, shop.held, 60, "test", 1, fewest=3, most=3)


def test_no_product_is_in_two_parts(shop: Shop) -> None:
    assert not set(shop.train) & set(shop.held) and not set(shop.valid) & {*shop.train, *shop.held}
    assert len(shop.held) == 80 and len(shop.valid) == 20


def test_titles_name_no_colour() -> None:
    assert without_colours("Puma Men Navy-Blue Track T-shirt (Black) in cotton") == "Puma Men Track T shirt"


def test_lists_that_cannot_be_filled_are_refused(shop: Shop) -> None:
    with pytest.raises(SynthError, match="others of its kind"):
        conversations(shop, shop.held, 1, "test", 0, most=79)


SMALLEST = replace(
    lavic_cpu.QUICK,
    drawn=120, held=40, valid=36, candidates=2,
    words=(lavic_cpu.Lesson(16, (2, 2), 8, plain=True, brief=True), lavic_cpu.Lesson(8, (2, 2), 8, captions=True)),
    bridge=(lavic_cpu.Lesson(8, (2, 2), 8, bridge=0.5, captions=True),),
    examples=16, asked_valid=6, asked_test=12,
)  # fmt: skip


def test_the_benchmark_from_pictures_to_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--threads", "1", "--out", str(tmp_path / "out")]
    assert lavic_cpu.main(arguments, SMALLEST) == 0
    first = capsys.readouterr().out
    for name, aim in (("a", "0.55"), ("b", "0.70"), ("c", "0.60")):
        assert any(f"gate {name}" in line and f"aim {aim}" in line for line in first.splitlines())
    for system in ("bm25", "without images", "without self-distillation", "LaViC"):
        assert system in first
    assert "Aim: LaViC above without images" in first and "right answers there" in first
    kept = json.loads((tmp_path / "out" / "stages.json").read_text())
    assert all("result" in entry for name, entry in kept.items() if name != "settings")
    # The same command again makes nothing anew.
    assert lavic_cpu.main(arguments, SMALLEST) == 0
    second = capsys.readouterr().out
    assert second.count("(kept)") == len(kept) - 1
    assert second[second.index("Against LaViC") :] == first[first.index("Against LaViC") :]
    assert lavic_cpu.main([*arguments, "--seed", "1"], SMALLEST) == 1
    assert "another size or seed" in capsys.readouterr().err


def test_the_benchmark_needs_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNTH_TEST_DATA", raising=False)
    assert lavic_cpu.main([]) == 2 and lavic_cpu.main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("No real pictures") == 2
