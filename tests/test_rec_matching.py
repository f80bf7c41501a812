"""The matching warm-up, the shop that the CPU benchmark trains on, and the benchmark's whole path."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
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
from synth.recommender.aligning import Alignment, AlignSettings, Read
from synth.recommender.answering import Pictures, PromptSettings
from synth.recommender.architecture import Architecture, load
from synth.recommender.labelled import Labelled, of_items
from synth.recommender.matching import Match, Matching, MatchingSettings, Retold, balanced, verdict_head
from synth.recommender.method import Method, TrainSettings
from synth.recommender.prompts import TASK, DescribePrompt, Tokens
from synth.recommender.training import train
from synth.recommender.warmup import CaptionWarmup
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world

PROMPT = PromptSettings(labels="letters")
WORDS = ("red shoes", "a blue bag for a man", "green")


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
    captions = settings.pop("captions", None)
    how = MatchingSettings(PROMPT, **settings)
    return Matching(model, world.train, world.valid, world.items, how, captions=captions)


def alignment(world: World, model: Architecture, **settings: Any) -> Alignment:
    pictures = Pictures(MemoryFeatures(model, world.items), hashes(world.items))
    seen = [key for key, item in world.items.items() if item.images]
    captions = settings.pop("captions", None)
    words = {key: WORDS[n % len(WORDS)] for n, key in enumerate(seen)}
    how = AlignSettings(**settings)
    return Alignment(model, seen, seen, words, pictures, how, captions=captions)


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
    for match in matches(matching(world, model)):
        assert len(match.prompt.ends) == len(match.example.candidates)
        for end, item in zip(match.prompt.ends, match.example.candidates, strict=True):
            said = next(iter(world.items[item].descriptions.values()), "")
            assert model.tokenizer.decode(match.prompt.ids[: end + 1]).endswith(said)


def test_a_brief_prompt_lacks_the_task_and_nothing_else(world: World, model: Architecture) -> None:
    long, brief = matches(matching(world, model)), matches(matching(world, model, brief=True))
    for one, other in zip(long, brief, strict=True):
        whole, cut = model.tokenizer.decode(one.prompt.ids), model.tokenizer.decode(other.prompt.ids)
        assert whole == cut.replace("<s>", "<s>" + TASK + "Conversation:\n", 1)
        assert [other.prompt.ids[end] for end in other.prompt.ends] == [one.prompt.ids[end] for end in one.prompt.ends]


def moved(method: Method, model: Architecture) -> set[str]:
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
    # What the tower tells apart is what it was warmed up for; captions would make it forget.
    assert moved(matching(world, model, captions=captions(world, model)), model) == {"language_model", "projector"}
    # The features that are aligned are cached: a tower that moved would no longer be the one that made them.
    assert moved(alignment(world, model), model) == {"projector"}
    assert moved(alignment(world, model, captions=captions(world, model)), model) == {"projector"}


@pytest.mark.parametrize("made", [matching, alignment])
def test_a_loss_is_the_sum_of_its_parts(world: World, model: Architecture, made: Callable[..., Method]) -> None:
    method = made(world, model, captions=captions(world, model))
    entries = method.examples("train")
    shown = [entry for entry in entries if isinstance(entry, Match | Read)]
    told = [entry for entry in entries if isinstance(entry, Labelled)]
    retold = [entry for entry in entries if isinstance(entry, Retold)]
    assert shown and told and bool(retold) == (made is matching)
    with torch.no_grad():
        together, count = method.step(method.model, method.collate([*shown, *retold, *told]))
        parts = [method.step(method.model, method.collate(part)) for part in (shown, retold, told) if part]
    assert count == sum(labels for _, labels in parts)
    assert float(together) == pytest.approx(sum(float(loss) for loss, _ in parts), rel=1e-5)


def test_captions_are_learnt_from_words_in_stage_1s_request(world: World, model: Architecture) -> None:
    method = matching(world, model, captions=captions(world, model))
    retold = [entry for entry in method.examples("train") if isinstance(entry, Retold)]
    described = of_items(world.items.values())
    assert [entry.id for entry in retold] == [each.id for each in described]
    stage = DescribePrompt(Tokens(model.tokenizer, model.image_token_id))
    for entry, each in zip(retold, described, strict=True):
        assert not entry.prompt.slots and model.image_token_id not in entry.prompt.ids
        words = next(iter(world.items[each.id].descriptions.values()))
        shown = stage.encode(each.title, each.caption, 1)
        before, after = (model.tokenizer.decode(part) for part in _around(shown.ids, model.image_token_id))
        assert model.tokenizer.decode(entry.prompt.ids) == before + words + after
        assert entry.prompt.answer == shown.answer


def _around(ids: tuple[int, ...], token: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    at = ids.index(token)
    return ids[:at], ids[at + 1 :]


def test_it_learns_to_match_words(world: World, model: Architecture, tmp_path: Path) -> None:
    few = [replace(e, candidates=(e.gt, *[c for c in e.candidates if c != e.gt][:1])) for e in world.train]
    head = verdict_head(model)
    method = Matching(model, few, [], world.items, MatchingSettings(PROMPT, brief=True), verdicts=head)
    settings = TrainSettings(epochs=12, batch=7, lr=3e-3, workers=0, trackers=(), log_every=1000)
    before = _loss(method)
    done = train(method, settings, tmp_path / "lesson")
    assert _loss(method) < 0.5 * before
    # What a finished lesson leaves is taken up again, the verdicts' head included: the next lesson goes on with it.
    again = load(world.model, "fp32", "cpu")
    other = Matching(again, few, [], world.items, MatchingSettings(PROMPT, brief=True))
    assert train(other, settings, tmp_path / "lesson").metrics == done.metrics
    assert _loss(other) == pytest.approx(_loss(method), rel=1e-5)
    assert torch.equal(other.verdicts.weight, head.weight)


def _loss(method: Matching) -> float:
    with torch.no_grad():
        loss, count = method.step(method.model, method.collate(list(method.examples("train"))))
    return float(loss) / count


def test_pictures_begin_as_long_as_words(world: World, model: Architecture) -> None:
    words = model.embed(torch.arange(len(model.tokenizer))).norm(dim=-1).mean()
    method = alignment(world, model)
    seen = torch.cat([method.pictures.get(read.item) for read in method.examples("valid")])
    with torch.no_grad():
        assert float(model.project(seen).norm(dim=-1).mean()) == pytest.approx(float(words), rel=1e-3)


def test_each_embedding_has_its_word(world: World, model: Architecture) -> None:
    known = model.tokenizer
    for number, read in enumerate(alignment(world, model).examples("valid")):
        said = known(WORDS[number % len(WORDS)], add_special_tokens=False)["input_ids"]
        crops = len(MemoryFeatures(model, world.items).get(hashes(world.items)[read.item]))
        assert len(read.tokens) == crops
        assert read.tokens == tuple([*said, *[said[-1]] * crops][:crops])
    assert len(alignment(world, model, looks=3).examples("train")) == 3 * len(alignment(world, model).examples("valid"))


def test_it_learns_to_read_pictures_as_words(world: World, model: Architecture, tmp_path: Path) -> None:
    method = alignment(world, model, looks=40)
    before = method.evaluate(None)
    settings = TrainSettings(epochs=2, batch=8, lr=3e-2, grouped=False, workers=0, trackers=(), log_every=1000)
    done = train(method, settings, tmp_path / "aligned")
    after = method.evaluate(None)
    assert before["right"] < 0.2 and after["right"] > before["right"] + 0.2
    assert done.metrics["best"]["value"] == pytest.approx(after["right"])
    # The right word's share over all embeddings, and over the first of each picture, counted by hand.
    words = model.embed(torch.arange(len(model.tokenizer))).detach()
    reads = method.examples("valid")
    found = [(model.project(method.pictures.get(read.item)).detach() @ words.T).argmax(-1).tolist() for read in reads]
    hits = [[a == b for a, b in zip(f, read.tokens, strict=True)] for f, read in zip(found, reads, strict=True)]
    assert after["right"] == pytest.approx(sum(map(sum, hits)) / sum(map(len, hits)))
    assert after["first"] == pytest.approx(sum(hit[0] for hit in hits) / len(hits))


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
    words=(lavic_cpu.Lesson(16, (2, 2), 8, plain=True, brief=True), lavic_cpu.Lesson(8, (2, 2), 2, captions=True)),
    looks=1,
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
