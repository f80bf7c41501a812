"""Prompts of both stages: nothing empty, nothing of a candidate cut, every slot where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("transformers", reason="training needs the extra `train`")

from synth.errors import SynthError
from synth.recommender.batches import pad
from synth.recommender.data import RecExample, Utterance
from synth.recommender.items import Item
from synth.recommender.prompts import DescribePrompt, RecommendPrompt, Tokens
from tests.support.tiny_llava import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("prompts"))


@pytest.fixture(scope="module")
def tokens(world: World) -> Iterator[Tokens]:
    from transformers import AutoTokenizer

    yield Tokens(AutoTokenizer.from_pretrained(world.model), 3)


CROPS = {0: 5, 1: 3, 2: 4, 3: 0}


def crops(item: str) -> int:
    """A picture's crops by its item: of all numbers, none among them."""
    return CROPS[int(item[1:]) % 4]


def prompt_of(tokens: Tokens, world: World, **options: object) -> RecommendPrompt:
    return RecommendPrompt(tokens, world.items, crops, **options)  # type: ignore[arg-type]


def text(tokens: Tokens, ids: tuple[int, ...]) -> str:
    return str(tokens.tokenizer.decode(list(ids)))


def test_slots_are_beside_their_own_candidate(tokens: Tokens, world: World) -> None:
    prompt = prompt_of(tokens, world)
    for example in world.train:
        made = prompt.encode(example)
        assert [slot.position for slot in made.slots] == [i for i, v in enumerate(made.ids) if v == tokens.image]
        whole = text(tokens, made.ids)
        listed = whole[whole.index("Candidates:") :]
        for number, name in enumerate(example.candidates):
            own = [slot.crop for slot in made.slots if slot.image == number]
            assert own == list(range(crops(name)))
            line = f"{name}: {world.items[name].title}\n" + "<image>" * crops(name) + "\n"
            assert line in listed


def test_an_id_has_the_same_tokens_in_the_list_and_in_the_answer(tokens: Tokens, world: World) -> None:
    made = prompt_of(tokens, world).encode(world.train[0])
    answer = made.answer[:-1]
    found = [i for i in range(len(made.ids)) if made.ids[i : i + len(answer)] == answer]
    assert len(found) == 1
    assert text(tokens, answer) == world.train[0].gt


def test_the_end_is_learnt_unless_the_papers_way_is_asked_for(tokens: Tokens, world: World) -> None:
    example = world.train[0]
    with_end = prompt_of(tokens, world).encode(example).answer
    assert with_end[-1] == tokens.tokenizer.eos_token_id
    without = prompt_of(Tokens(tokens.tokenizer, 3, end_token=False), world).encode(example).answer
    assert without == with_end[:-1]


def test_what_a_user_writes_is_never_a_special_token(tokens: Tokens, world: World) -> None:
    talk = (Utterance("user", "</s><image><s> <pad> please <image>"),)
    made = prompt_of(tokens, world).encode(replace(world.train[0], context=talk), answer=False)
    special = [i for i in made.ids if i in tokens.tokenizer.all_special_ids]
    assert special == [tokens.tokenizer.bos_token_id] + [tokens.image] * len(made.slots)
    assert "</s><image><s>" in text(tokens, made.ids)


def long_talk(example: RecExample, turns: int = 30) -> RecExample:
    return replace(example, context=tuple(Utterance("user", f"Number {n} is red and green.") for n in range(turns)))


def test_the_conversation_is_cut_oldest_first_and_the_candidates_never(tokens: Tokens, world: World) -> None:
    example = long_talk(world.train[0])
    whole = prompt_of(tokens, world, max_length=10_000).encode(example)
    assert whole.cut == 0
    short = prompt_of(tokens, world, max_length=len(whole) - 100).encode(example)
    assert len(whole) - 130 < len(short) <= len(whole) - 100
    assert len(whole) - len(short) == short.cut
    end = whole.ids.index(tokens.image)
    assert short.ids[end - short.cut :] == whole.ids[end:]  # all that follows the first picture is still there
    said = text(tokens, short.ids)
    assert "Number 0 is" not in said and "Number 29 is" in said
    assert all(f"{name}: " in said for name in example.candidates)
    assert short.answer == whole.answer


def test_of_one_long_utterance_the_end_stays(tokens: Tokens, world: World) -> None:
    talk = (Utterance("user", "start " + "red shirt " * 200 + "finish"),)
    made = prompt_of(tokens, world, max_length=420).encode(replace(world.train[0], context=talk))
    said = text(tokens, made.ids)
    assert len(made) <= 420 and "finish\n" in said and "start" not in said and "User: " in said


def test_the_end_of_the_utterance_that_does_not_fit_stays(tokens: Tokens, world: World) -> None:
    asked = Utterance("user", "start " + "red shirt " * 200 + "in medium")
    talk = (Utterance("user", "Hello."), asked, Utterance("assistant", "Sure, which size?"))
    made = prompt_of(tokens, world, max_length=420).encode(replace(world.train[0], context=talk))
    said = text(tokens, made.ids)
    assert len(made) == 420 and "Hello" not in said and "start" not in said
    assert "User: " in said and "shirt in medium\nAssistant: Sure, which size?\n" in said
    whole = prompt_of(tokens, world, max_length=10_000).encode(replace(world.train[0], context=talk))
    assert made.cut == len(whole) - len(made)


def test_an_id_that_is_to_be_one_token_is(tokens: Tokens, world: World) -> None:
    prompt = prompt_of(tokens, world, labels="tokens")
    with pytest.raises(SynthError, match=r"The id B\d+ is \d+ tokens of this model.*--labels text"):
        prompt.encode(world.train[0])
    known = Tokens(tokens.tokenizer, 3)
    known._known.update({name: [400 + n] for n, name in enumerate(world.items)})
    made = prompt_of(known, world, labels="tokens").encode(world.train[0])
    assert len(made.answer) == 2


def test_a_prompt_that_cannot_fit_says_so(tokens: Tokens, world: World) -> None:
    with pytest.raises(SynthError, match=r"train:0#0 cannot fit in 150 tokens.*--max-length"):
        prompt_of(tokens, world, max_length=150).encode(world.train[0])


def test_bad_examples_are_refused(tokens: Tokens, world: World) -> None:
    example = world.train[0]
    prompt = prompt_of(tokens, world)
    missing = replace(example, gt="B999999999")
    with pytest.raises(SynthError, match="B999999999 of example train:0#0 is not among its candidates"):
        prompt.encode(missing)
    assert prompt.encode(missing, answer=False).answer == ()
    with pytest.raises(SynthError, match="has no candidates"):
        prompt.encode(replace(example, candidates=()))
    with pytest.raises(SynthError, match="a candidate twice"):
        prompt.encode(replace(example, candidates=(example.gt, example.gt)))
    with pytest.raises(SynthError, match="B777777777 of example train:0#0 is not among the items"):
        prompt.encode(replace(example, candidates=(example.gt, "B777777777")))
    with pytest.raises(SynthError, match="nothing to learn"):
        tokens.answer("")


def test_letters_name_candidates_by_place(tokens: Tokens, world: World) -> None:
    example = world.train[1]
    prompt = prompt_of(tokens, world, labels="letters")
    made = prompt.encode(example)
    place = example.candidates.index(example.gt)
    assert text(tokens, made.answer[:-1]) == "ABCD"[place]
    assert f"\n{'ABCD'[place]}: {world.items[example.gt].title}\n" in text(tokens, made.ids)
    with pytest.raises(SynthError, match="more than there are letters"):
        prompt.names([str(n) for n in range(27)])


def test_descriptions_or_nothing_in_the_pictures_place(tokens: Tokens, world: World) -> None:
    example = world.train[0]
    named = prompt_of(tokens, world, show="descriptions").encode(example)
    bare = prompt_of(tokens, world, show="nothing").encode(example)
    assert named.slots == bare.slots == ()
    descriptions = [d for name in example.candidates for d in list(world.items[name].descriptions.values())[:1]]
    assert all(d in text(tokens, named.ids) and d not in text(tokens, bare.ids) for d in descriptions)


def test_a_candidate_without_title_or_picture_stays_in_the_list(tokens: Tokens, world: World) -> None:
    bare = Item("B123456789", "", (), {})
    items = {**world.items, bare.id: bare}
    prompt = RecommendPrompt(tokens, items, lambda name: 0 if name == bare.id else 5)
    example = replace(world.train[0], candidates=(*world.train[0].candidates, bare.id))
    made = prompt.encode(example)
    assert "B123456789: (no title)\n" in text(tokens, made.ids)
    assert {slot.image for slot in made.slots} == {0, 1, 2, 3}


def test_padding_on_either_side_has_the_same_labels(tokens: Tokens, world: World) -> None:
    prompt = prompt_of(tokens, world)
    made = [prompt.encode(example) for example in world.train[:5]]
    right, left = pad(made, 0), pad(made, 0, left=True)
    assert right["labels"].tolist() == left["labels"].tolist() == [v for each in made for v in each.answer]
    for batch in (right, left):
        for row, each in enumerate(made):
            kept = batch["ids"][row][batch["mask"][row].bool()]
            assert kept.tolist() == [*each.ids, *each.answer]
            assert batch["positions"][row][batch["mask"][row].bool()].tolist() == list(range(len(each)))
        # The state before a label is the token before it.
        before = batch["ids"][batch["rows"], batch["columns"]].tolist()
        assert before == [v for each in made for v in (each.ids[-1], *each.answer[:-1])]


def test_a_description_prompt_has_a_slot_for_each_crop(tokens: Tokens) -> None:
    prompt = DescribePrompt(tokens)
    made = prompt.encode("plain shirt", "A red thing.", 4)
    assert made.ids.count(tokens.image) == 4 == len(made.slots)
    assert all(made.ids[slot.position] == tokens.image for slot in made.slots)
    assert "Title: plain shirt\n<image><image><image><image>\n\nDescription: " in text(tokens, made.ids)
    assert text(tokens, made.answer[:-1]) == "A red thing." and made.answer[-1] == tokens.end[0]


def test_a_description_is_learnt_to_128_tokens_and_its_end_only_if_it_is_there(tokens: Tokens) -> None:
    made = DescribePrompt(tokens).encode("shirt", "red green " * 200, 1)
    assert len(made.answer) == 128 and made.answer[-1] != tokens.end[0]
    with pytest.raises(SynthError, match="description of 'shirt' is empty"):
        DescribePrompt(tokens).encode("shirt", "  ", 1)


def test_no_end_token_in_the_tokenizer(tokens: Tokens, tmp_path: Path) -> None:
    class Endless:
        bos_token_id = eos_token_id = None

    assert Tokens(Endless(), 3, end_token=False).end == []
    with pytest.raises(SynthError, match="--no-end-token"):
        Tokens(Endless(), 3)
