"""Scoring and generation: equal to the plain forward pass, whatever the batch."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("peft", reason="training needs the extra `train`")

from dataclasses import replace

from synth.errors import SynthError
from synth.recommender.answering import Pictures, PromptSettings, Recommender
from synth.recommender.architecture import Architecture, load
from synth.recommender.batches import pad
from synth.recommender.crops import crops, open_image
from synth.recommender.generate import ASIN, first_id, greedy, read_answer
from synth.recommender.prompts import Encoded
from synth.recommender.recommend import figures
from synth.recommender.scoring import label_losses, pack, visible
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("scoring"))


@pytest.fixture(scope="module")
def architecture(world: World) -> Architecture:
    return load(world.model, device="cpu")


@pytest.fixture(scope="module")
def pictures(world: World, architecture: Architecture) -> Pictures:
    return Pictures(MemoryFeatures(architecture, world.items), hashes(world.items))


@pytest.fixture(scope="module")
def recommender(world: World, architecture: Architecture, pictures: Pictures) -> Recommender:
    return Recommender(architecture, world.items, pictures, PromptSettings())


def plain(recommender: Recommender, example: object, answer: tuple[int, ...]) -> float:
    """Log-likelihood of one answer by a whole forward pass of its own."""
    prompt = replace(recommender.prompt.encode(example, answer=False), answer=answer)  # type: ignore[arg-type]
    with torch.no_grad():
        images = recommender.embed(recommender.pictures.stack([example], [prompt], 24))  # type: ignore[list-item]
        return -float(label_losses(recommender.architecture, pad([prompt], 0), images).sum())


def test_one_pass_scores_equal_a_full_forward_for_each_candidate(recommender: Recommender, world: World) -> None:
    run = recommender.rank(world.valid, batch=4)
    for example in world.valid:
        for name, answer in zip(example.candidates, recommender.prompt.answers(example), strict=True):
            assert run[example.id][name] == pytest.approx(plain(recommender, example, answer), abs=2e-4)


def test_other_attention_than_torchs_gives_the_same_scores(recommender: Recommender, world: World) -> None:
    config = recommender.architecture.language_model.config
    fused = recommender.rank(world.valid[:3])
    assert config._attn_implementation == "sdpa"
    config._attn_implementation = "eager"
    try:
        plainly = recommender.rank(world.valid[:3])
    finally:
        config._attn_implementation = "sdpa"
    for name, scores in fused.items():
        assert plainly[name] == pytest.approx(scores, abs=2e-4)


def test_scores_do_not_depend_on_the_batch(recommender: Recommender, world: World) -> None:
    alone, together = recommender.rank(world.valid, batch=1), recommender.rank(world.valid, batch=6)
    assert list(alone) and alone.keys() == together.keys() == {example.id for example in world.valid}
    for name, scores in alone.items():
        assert together[name] == pytest.approx(scores, abs=2e-4)


def test_lists_of_several_lengths_are_ranked(recommender: Recommender, world: World) -> None:
    short = [replace(world.valid[0], id="short", candidates=world.valid[0].candidates[:2]), *world.valid]
    run = recommender.rank(short, batch=8)
    assert [len(run[example.id]) for example in short] == [2] + [4] * len(world.valid)


def test_letters_of_one_token_are_scored(world: World, architecture: Architecture, pictures: Pictures) -> None:
    letters = Recommender(architecture, world.items, pictures, PromptSettings(labels="letters", end_token=False))
    run = letters.rank(world.valid[:2])
    for example in world.valid[:2]:
        for name, answer in zip(example.candidates, letters.prompt.answers(example), strict=True):
            assert len(answer) == 1
            assert run[example.id][name] == pytest.approx(plain(letters, example, answer), abs=2e-4)


def test_an_answer_sees_the_prompt_and_itself_only() -> None:
    seen = visible(torch.tensor([[0, 0, 1, 1, 2, -1]]))[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_packed_labels_follow_their_prefix() -> None:
    packed = pack([Encoded((7, 8, 9), (), ())], [[(1, 2, 3), (4, 5)]], 0)
    assert packed["ids"].tolist() == [[7, 8, 9, 1, 2, 4]]
    assert packed["positions"].tolist() == [[0, 1, 2, 3, 4, 3]]
    before = packed["ids"][packed["rows"], packed["columns"]].tolist()
    assert list(zip(before, packed["labels"].tolist(), packed["owners"].tolist(), strict=True)) == [
        (9, 1, 0),
        (1, 2, 0),
        (2, 3, 0),
        (9, 4, 1),
        (4, 5, 1),
    ]


@pytest.mark.parametrize("left", [False, True])
def test_losses_of_any_batch_are_those_of_batch_one(recommender: Recommender, world: World, left: bool) -> None:
    examples = world.train[:6]
    prompts = [recommender.prompt.encode(example) for example in examples]
    assert len({len(prompt) for prompt in prompts}) > 3

    def losses(which: slice) -> list[float]:
        images = recommender.embed(recommender.pictures.stack(examples[which], prompts[which], 24))
        with torch.no_grad():
            found: list[float] = label_losses(
                recommender.architecture, pad(prompts[which], 0, left=left), images
            ).tolist()
        return found

    singly = [loss for n in range(6) for loss in losses(slice(n, n + 1))]
    for size in (2, 3, 6):
        batched = [loss for start in range(0, 6, size) for loss in losses(slice(start, start + size))]
        assert batched == pytest.approx(singly, abs=1e-4)


def test_crops_of_every_shape_land_on_their_own_candidate(
    recommender: Recommender, world: World, architecture: Architecture
) -> None:
    examples = world.train[:5]
    prompts = [recommender.prompt.encode(example) for example in examples]
    batch = pad(prompts, 0)
    images = recommender.embed(recommender.pictures.stack(examples, prompts, 24))
    placed = architecture.place(architecture.embed(batch["ids"]), batch["ids"], images)
    counts = set()
    for row, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        for number, name in enumerate(example.candidates):
            where = [slot.position for slot in prompt.slots if slot.image == number]
            if not world.items[name].images:
                assert where == []
                continue
            pixels = crops(open_image(world.items[name].images[0]), architecture.image_processor)
            fresh = architecture.project(architecture.encode(pixels))
            counts.add(len(fresh))
            torch.testing.assert_close(placed[row, where], fresh, atol=1e-5, rtol=1e-4)
    assert counts >= {3, 4, 5}
    texts = batch["ids"] != architecture.image_token_id
    assert torch.equal(placed[texts], architecture.embed(batch["ids"])[texts])


def test_greedy_generation_follows_the_full_forward_in_any_batch(recommender: Recommender, world: World) -> None:
    prompts = [recommender.prompt.encode(example, answer=False) for example in world.valid]
    images = recommender.embed(recommender.pictures.stack(world.valid, prompts, 24))
    written = greedy(recommender.architecture, prompts, images, most=6, filler=0, end=None)
    for example, prompt, ids in zip(world.valid, prompts, written, strict=True):
        assert len(ids) == 6
        own = recommender.embed(recommender.pictures.stack([example], [prompt], 24))
        model = recommender.architecture
        for n, token in enumerate(ids):
            batch = pad([replace(prompt, answer=tuple(ids[:n]))], 0)
            embedded = model.place(model.embed(batch["ids"]), batch["ids"], own)
            with torch.no_grad():
                hidden = model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
                scores = model.lm_head(hidden[0, -1])
            # Not argmax: two tokens may be equal to the last bit but one.
            assert float(scores[token]) == pytest.approx(float(scores.max()), abs=1e-4)


def test_generation_stops_at_the_end_token(recommender: Recommender, world: World) -> None:
    prompts = [recommender.prompt.encode(example, answer=False) for example in world.valid[:2]]
    images = recommender.embed(recommender.pictures.stack(world.valid[:2], prompts, 24))
    free = greedy(recommender.architecture, prompts, images, most=6, filler=0, end=None)
    end = free[0][3]
    stopped = greedy(recommender.architecture, prompts, images, most=6, filler=0, end=end)
    assert stopped[0] == free[0][: free[0].index(end)]
    assert end not in stopped[1]


def test_responses_come_in_order_with_validity(recommender: Recommender, world: World) -> None:
    responses = recommender.respond(world.valid, batch=4)
    assert [response.query for response in responses] == [example.id for example in world.valid]
    for response, example in zip(responses, world.valid, strict=True):
        assert response.valid == (response.item in example.candidates)


def test_the_first_id_in_a_text() -> None:
    listed = ["B000000001", "B000000002"]
    assert first_id("I would say B000000002, not B000000001.", listed, listed) == "B000000002"
    assert first_id("b000000001", listed, listed) == "B000000001"
    assert first_id("none of them", listed, listed) is None
    assert first_id("Answer: B", ["x", "y"], ["A", "B"]) == "y"
    assert first_id("1234567890 it is", ["1234567890"], ["1234567890"]) == "1234567890"
    # LaViC's way: books' ids are never found, nor one that runs on; another item's id is, and is not valid.
    assert first_id("1234567890", ["1234567890"], ["1234567890"], ASIN) is None
    assert first_id("B000000001X", listed, listed, ASIN) is None
    assert read_answer("q", "B999999999", listed, listed, ASIN).item == "B999999999"
    assert not read_answer("q", "B999999999", listed, listed, ASIN).valid
    assert read_answer("q", "B000000001", listed, listed).valid


def test_figures_count_pairs_and_hold_ties_against_the_answer(world: World) -> None:
    first, second, third = world.valid[:3]
    second = replace(second, repeats=2)
    third = replace(third, gt="elsewhere")
    run = {
        first.id: dict.fromkeys(first.candidates, -1.0),
        second.id: {name: (-0.5 if name == second.gt else -2.0) for name in second.candidates},
        third.id: dict.fromkeys(third.candidates, -1.0),
    }
    found = figures([first, second, third], run)
    assert found == pytest.approx({"hr1": 2 / 4, "mrr": (1 / 4 + 2) / 4, "ceiling": 3 / 4, "loss": 0.75})


def test_features_that_were_not_computed_are_named(architecture: Architecture, world: World, tmp_path: Path) -> None:
    class Empty:
        def get(self, image_hash: str) -> object:
            raise KeyError(image_hash)

    lacking = Recommender(architecture, world.items, Pictures(Empty(), hashes(world.items)), PromptSettings())
    with pytest.raises(SynthError, match=r"no picture .* of item B.*synth train features"):
        lacking.rank(world.valid[:1])


def test_without_pictures_nothing_is_asked_of_the_cache(architecture: Architecture, world: World) -> None:
    blind = Recommender(architecture, world.items, Pictures(None, {}), PromptSettings(show="nothing"))
    assert len(blind.rank(world.valid[:2])) == 2


def test_running_out_of_memory_says_what_to_change(
    recommender: Recommender, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("synth.recommender.answering.score_candidates", full)
    with pytest.raises(SynthError, match=r"Out of memory with 6 examples of up to .* tokens. Try a smaller --batch\."):
        recommender.rank(world.valid, batch=6)
    monkeypatch.setattr(recommender, "batch_option", "--evaluation-batch")
    with pytest.raises(SynthError, match=r"Try a smaller --evaluation-batch\."):
        recommender.rank(world.valid, batch=6)
    with pytest.raises(SynthError, match="Out of memory with 1 example of up to .* tokens. Try --quantise 4bit, fewer"):
        recommender.rank(world.valid[:1])
