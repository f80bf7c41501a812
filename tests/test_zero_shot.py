"""`synth eval zero-shot`: what a model is asked, how its answer is read, and the runs that come of it."""

# ruff: noqa: E402  what is imported below needs the extras
from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ir_measures", reason="tables need the extra `eval`")
pytest.importorskip("scipy", reason="tables need the extra `eval`")
torch = pytest.importorskip("torch", reason="a model's folder is made with the extra `train`")
pytest.importorskip("accelerate", reason="local models need the extra `train`")

from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.recommender.asking import Asked
from synth.recommender.comparison import Asking, asked_examples
from synth.recommender.data import Dataset, RecExample, Utterance, read_lavic
from synth.recommender.generate import ASIN
from synth.recommender.runs import read_run
from synth.recommender.zero_shot import ZeroShot, check_shown, conversation, draw, facts, questions, write
from tests.support.fakes import Fake
from tests.support.tiny_llava import World, make_world


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("zero"))


@pytest.fixture(scope="module")
def data(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world as an export."""
    folder = tmp_path_factory.mktemp("data") / "toys"
    (folder / "images").mkdir(parents=True)
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
    tags = {"user": "submission", "assistant": "comment"}
    for split, examples in {"train": world.train, "test": world.valid}.items():
        rows = [
            {
                "context": "".join(f"<{tags[u.speaker]}>{u.text}</{tags[u.speaker]}>\n" for u in example.context),
                "context_items": [],
                "gt": "Take this.",
                "gt_items": [example.gt],
                "candidates_retrieved": list(example.candidates),
            }
            for example in examples
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def dataset(data: Path) -> Dataset:
    return read_lavic(data)


@pytest.fixture(scope="module")
def examples(dataset: Dataset) -> list[RecExample]:
    return asked_examples(dataset, Asking())


class Script:
    """A writer that says what a function makes of the question."""

    name = "script"

    def __init__(self, say: Any) -> None:
        self.say, self.asked = say, list[Asked]()

    def write(self, asked: Sequence[Asked], folder: Path, progress: Any = None) -> dict[str, str]:
        self.asked = list(asked)
        said = {one.id: self.say(one) for one in asked}
        return {id_: text for id_, text in said.items() if text is not None}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["eval", "zero-shot", *(str(argument) for argument in arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_question_has_all_there_is_to_choose_by(dataset: Dataset, examples: list[RecExample]) -> None:
    for show in ("titles", "images", "descriptions"):
        for example, asked in zip(examples, questions(examples, dataset.items, ZeroShot(show)), strict=True):
            items = [dataset.items[candidate] for candidate in example.candidates]
            listed = re.findall(r"^(B\d{9}): (.*)$", asked.text, re.MULTILINE)
            assert [name for name, _ in listed] == list(example.candidates)
            assert asked.id == example.id and all(u.text.split()[-1] in asked.text for u in example.context)
            assert all(title.startswith(item.title) for item, (_, title) in zip(items, listed, strict=True))
            pictured = [item for item in items if item.images]
            assert asked.images == (tuple(item.images[0] for item in pictured) if show == "images" else ())
            for number, item in enumerate(pictured, 1):
                place = f"{item.id}: {item.title} (picture {number})"
                assert (place in asked.text) == (show == "images")
            told = [next(iter(item.descriptions.values())) for item in items if item.descriptions]
            assert all((text in asked.text) == (show == "descriptions") for text in told)
            # Nothing in the question but its place tells which is right.
            assert asked.text.count(example.gt) == 1


def test_the_oldest_of_a_long_conversation_is_left_out() -> None:
    talk = [Utterance("user", "one two three"), Utterance("assistant", "four"), Utterance("user", "five six")]
    assert conversation(talk, 9) == "User: one two three\nAssistant: four\nUser: five six"
    assert conversation(talk, 5) == "User: … two three\nAssistant: four\nUser: five six"
    assert conversation(talk, 3) == "Assistant: four\nUser: five six"
    assert conversation(talk, 1) == "User: … six"


def test_answers_are_read_and_counted(dataset: Dataset, examples: list[RecExample], tmp_path: Path) -> None:
    right = {example.id: example.gt for example in examples}
    others = {e.id: next(c for c in e.candidates if c != e.gt) for e in examples}
    sayings = {
        0: lambda id_: right[id_],
        1: lambda id_: f"I would pick {others[id_].lower()}, not {right[id_]}.",
        2: lambda id_: "None of them.",
        3: lambda id_: "B999999999",
        4: lambda id_: None,
        5: lambda id_: f"x{right[id_]}x",
    }
    order = {example.id: n for n, example in enumerate(examples)}
    writer = Script(lambda asked: sayings[order[asked.id] % 6](asked.id))
    found = write(writer, dataset, examples, ZeroShot(), tmp_path, "s", facts(dataset, "test", "titles"))
    ids = [example.id for example in examples]
    assert found.scores[ids[0]] == {right[ids[0]]: 1.0} and found.responses[ids[0]].valid
    assert found.scores[ids[1]] == {others[ids[1]]: 1.0} and found.responses[ids[1]].valid
    for place in (2, 3, 5):
        assert found.scores[ids[place]] == {} and not found.responses[ids[place]].valid
    assert ids[4] not in found.scores and ids[4] not in found.responses
    paper = write(writer, dataset, examples, ZeroShot(pattern=ASIN), tmp_path, "s", {})
    assert paper.scores[ids[3]] == {"B999999999": 1.0} and not paper.responses[ids[3]].valid
    # The released pattern does not know small letters, so it finds the second id.
    assert paper.scores[ids[1]] == {right[ids[1]]: 1.0}
    with pytest.raises(SynthError, match="answered nothing"):
        write(Script(lambda _: None), dataset, examples, ZeroShot(), tmp_path, "s", {})


def test_a_larger_draw_holds_the_smaller_one(examples: list[RecExample]) -> None:
    drawn = [draw(examples, limit, 1) for limit in (2, 4, None)]
    assert [len(part) for part in drawn] == [2, 4, len(examples)]
    assert {e.id for e in drawn[0]} < {e.id for e in drawn[1]}
    assert drawn[1] == [e for e in examples if e in drawn[1]] and draw(examples, 4, 2) != drawn[1]


def test_nothing_to_show_is_said_before_anything_is_asked(dataset: Dataset, examples: list[RecExample]) -> None:
    bare = {id_: replace(item, images=(), descriptions={}) for id_, item in dataset.items.items()}
    poor = replace(dataset, items=bare)
    with pytest.raises(SynthError, match="has a picture"):
        check_shown(poor, examples, "images")
    with pytest.raises(SynthError, match="has a description"):
        check_shown(poor, examples, "descriptions")
    with pytest.raises(SynthError, match="has a title"):
        check_shown(replace(poor, items={i: replace(x, title=" ") for i, x in bare.items()}), examples, "titles")
    assert "6 examples" in check_shown(dataset, examples, "images")


@pytest.mark.parametrize("show", ["titles", "images"])
def test_a_local_model_makes_runs(world: World, data: Path, tmp_path: Path, show: str) -> None:
    base = ["--data", data, "--model", world.model, "--device", "cpu", "--show", show, "--out", tmp_path / "z"]
    shown = run(*base, "--max-tokens", 6, "--rank", "--limit", 4)
    assert f"model, {show}" in shown and f"model, {show}, ranked" in shown and "Next: synth eval recommend" in shown
    written, asked = read_run(tmp_path / "z" / "written")
    scored, _ = read_run(tmp_path / "z" / "scored")
    assert len(asked) == len(written.responses) == len(scored.scores) == 4 and not scored.responses
    for query in asked:
        assert scored.scores[query.id].keys() == set(query.candidates)
    assert written.facts["family"].startswith("zero-shot") and written.facts["protocol"] == "written"
    report = CliRunner().invoke(
        app,
        ["eval", "recommend", *(str(tmp_path / "z" / part) for part in ("written", "scored")), "--data", str(data),
         "--methods", "bm25", "--layout", "overview", "--markdown"],
    )  # fmt: skip
    assert report.exit_code == 0, report.output
    assert written.facts["family"] in report.output and "retrieval" in report.output and "ValidRatio" in report.output
    found = json.loads(run(*base, "--max-tokens", 6, "--json"))
    assert found["results"]["unique_pairs"] == 6 and list(found["results"]["systems"]) == [f"model, {show}"]
    rows = (tmp_path / "z" / "answers" / "answers.jsonl").read_text().splitlines()
    assert len(rows) == 6, "the four of the smaller draw were asked again"


def test_a_model_of_the_gateway_makes_a_run(data: Path, tmp_path: Path) -> None:
    with Fake(in_thread=True) as server:
        base = ["--data", data, "--model", "openai:gpt-4o-mini", "--base-url", server.openai_url, "--yes"]
        shown = run(*base, "--show", "images", "--out", tmp_path / "z", "--name", "A model")
        assert "A model" in shown
        again = run(*base, "--show", "images", "--out", tmp_path / "z", "--name", "A model", "--quiet")
        assert not again
        asked = server.ledger()["requests"]["POST /v1/chat/completions"]
        assert asked == {"200": 6}
        told = run(*base, "--show", "descriptions", "--out", tmp_path / "y", "--dry-run")
        assert "6 calls" in told and server.ledger()["requests"]["POST /v1/chat/completions"] == asked
    found, queries = read_run(tmp_path / "z" / "written")
    # The fake names one of the ids it was shown.
    assert all(said.valid for said in found.responses.values()) and len(found.responses) == len(queries) == 6


def test_mistakes_are_one_line(data: Path, world: World, tmp_path: Path) -> None:
    base = ["--data", data, "--out", tmp_path / "z"]
    for arguments, what in (
        (["--model", "offline", "--rank"], "no likelihoods"),
        (["--model", "offline", "--show", "smells"], "--show smells"),
        (["--model", "offline", "--split", "valid"], "no valid split"),
        (["--model", "offline", "--candidates", "st"], "has no list"),
        (["--model", "offline", "--others", "in"], "--others in"),
        (["--model", tmp_path / "gone"], "no folder"),
    ):
        with pytest.raises(SynthError, match=what):
            run(*base, *arguments)
    assert not (tmp_path / "z").exists()
