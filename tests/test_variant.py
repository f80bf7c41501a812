"""Variants of a run, exports that mind what people said, and the command that prints it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from fixtures import make_conversation, make_run

from synth.analysis.check import check
from synth.analysis.pairing import Comparison
from synth.analysis.talks import Talks
from synth.analysis.variant import CHANGES, Change, chosen_replies, make_variant
from synth.errors import SynthError
from synth.graphs.generation import find_run
from synth.graphs.options import Options
from synth.graphs.settings import Settings
from synth.traces.judgements import FILE, HumanReply, PairChoice, Side, Verdict, add
from synth.traces.reader import RunReader
from synth.traces.run import RunFolder, read_rows
from tests.support.commands import synth


def reply(number: int, turn: int, text: str, annotator: str = "wren", act: str = "reject", at: float = 1) -> HumanReply:
    return HumanReply.model_validate(
        {"conversation": f"c{number:06d}", "turn": turn, "act": act, "text": text, "annotator": annotator, "at": at}
    )


def judge(run: RunFolder, number: int, word: str | None, annotator: str = "wren", note: str = "") -> None:
    said = {"conversation": f"c{number:06d}", "verdict": word, "annotator": annotator, "note": note, "at": 1}
    add(run.path, Verdict.model_validate(said))


# ---- variants


def test_turns_in_peoples_words(run: RunFolder, tmp_path: Path) -> None:
    replies = [reply(1, 3, "Too small, I fear."), reply(1, 5, "Mine!", "jay", "accept"), reply(4, 3, "Too blue.")]
    made = make_variant(run, tmp_path / "human", replies=replies)
    assert (made.conversations, made.changed, made.replies, made.captions) == (40, 2, 3, 0)
    before, after = list(run.conversations()), list(RunFolder.open(tmp_path / "human").conversations())
    assert [t.text for t in after[1].turns[3:]] == ["Too small, I fear.", "Then this one.", "Mine!"]
    assert after[1].turns[3].model_copy(update={"text": ""}) == before[1].turns[3].model_copy(update={"text": ""})
    assert after[1].drafts == before[1].drafts
    assert after[1].provenance.models["replies"] == "human: turns 3 (wren), 5 (jay)"
    assert [i for i in range(40) if before[i] != after[i]] == [1, 4]
    changes = list(read_rows(tmp_path / "human" / CHANGES, Change))
    assert [(c.conversation, c.turn, c.annotator, c.before) for c in changes][0] == (
        "c000001",
        3,
        "wren",
        "Too pale – no.",
    )
    config = RunFolder(tmp_path / "human").config()
    assert config["variant"] == {"of": "bags", "annotators": ["jay", "wren"], "reply": 3}
    reader = RunReader(tmp_path / "human")
    picture = before[1].turns[2].images[0]
    assert reader.picture(picture)
    assert reader.store.meta("convs") == 40
    reader.close()
    assert not (tmp_path / "human" / FILE).exists()
    assert not (tmp_path / "human.partial").exists()


def test_captions_for_pictures(run: RunFolder, tmp_path: Path) -> None:
    made = make_variant(run, tmp_path / "captions", captions=True)
    assert (made.changed, made.replies) == (40, 0)
    variant = RunFolder.open(tmp_path / "captions")
    for before, after in zip(run.conversations(), variant.conversations(), strict=True):
        assert not any(turn.images for turn in after.turns)
        assert after.opening == "text"
        assert [turn.products for turn in after.turns] == [turn.products for turn in before.turns]
        for turn, old in zip(after.turns, before.turns, strict=True):
            assert turn.text.startswith(old.text)
            assert turn.text.count("[Picture: colour") == len(old.images)
    text = next(variant.conversations()).turns[2].text
    assert text == "This one is roomy. [Picture: colour 1 bag]"
    assert "Bag number" not in text  # neither title nor brand: no picture shows them
    assert not (tmp_path / "captions" / "images").exists()
    assert variant.config()["models"]["pictures"] == "captions"
    check(variant)  # it is a run like any other


def test_both_at_once(run: RunFolder, tmp_path: Path) -> None:
    make_variant(run, tmp_path / "both", replies=[reply(1, 4, "Look here.", act="recommend")], captions=True)
    turn = list(RunFolder.open(tmp_path / "both").conversations())[1].turns[4]
    assert turn.text.startswith("Look here. [Picture: ")
    assert not turn.images


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([], "Nothing in"),
        ([reply(99, 3, "No.")], "no accepted conversation 'c000099'"),
        ([reply(1, 4, "No.")], "no reject turn"),
        ([reply(1, 44, "No.")], "no reject turn"),
        ([reply(1, 3, "No."), reply(1, 3, "Never.", "jay")], "two replies to turn 3"),
    ],
)
def test_variants_that_cannot_be(run: RunFolder, tmp_path: Path, replies: list[HumanReply], why: str) -> None:
    with pytest.raises(SynthError, match=why):
        make_variant(run, tmp_path / "out", replies=replies)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_nothing_is_overwritten_and_a_run_at_work_is_left_alone(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="exists already"):
        make_variant(run, run.path, captions=True)
    other = RunFolder(run.path)
    other.lock()
    try:
        with pytest.raises(SynthError, match="being written"):
            make_variant(run, tmp_path / "out", captions=True)
    finally:
        other.unlock()


def test_the_last_reply_to_a_turn_is_taken(run: RunFolder) -> None:
    with pytest.raises(SynthError, match="no human replies"):
        chosen_replies(run.path)
    for one in (reply(1, 3, "jay's", "jay", at=5), reply(1, 3, "wren's first", at=2), reply(1, 3, "wren's", at=3)):
        add(run.path, one)
    assert [chosen.text for chosen in chosen_replies(run.path)] == ["jay's"]
    assert [chosen.text for chosen in chosen_replies(run.path, "wren")] == ["wren's"]
    with pytest.raises(SynthError, match="by owl"):
        chosen_replies(run.path, "owl")


def test_generate_does_not_go_on_with_a_variant(run: RunFolder, tmp_path: Path) -> None:
    config = run.config()
    settings = Settings.model_validate({name: config[name] for name in Settings.model_fields if name in config})
    catalogue = run.catalogue()
    name = f"bags-{settings.identity()}"
    make_variant(run, tmp_path / "runs" / f"{name}-7", captions=True)
    found, resumed = find_run(Options(runs=tmp_path / "runs"), settings, catalogue)
    assert (found.path.name, resumed) == (name, False)
    with pytest.raises(SynthError, match="other settings"):
        find_run(Options(out=tmp_path / "runs" / f"{name}-7"), settings, catalogue)


# ---- exports


def exported(folder: Path) -> list[dict[str, Any]]:
    """Rows of all splits."""
    files = [folder / f"{split}.jsonl" for split in ("train", "valid", "validation", "test")]
    return [json.loads(line) for path in files if path.is_file() for line in path.read_text("utf-8").splitlines()]


def test_exports_keep_what_people_found_good(run: RunFolder, tmp_path: Path) -> None:
    judge(run, 1, "good", note="write to nina@example.org")
    judge(run, 2, "good")
    judge(run, 2, "bad", "jay")
    judge(run, 3, "bad")
    add(run.path, reply(1, 3, "Too small."))
    said = synth("export", "bags", "--format", "messages", "--images", "none", "--verdict", "good", "--out", "good")
    (row,) = exported(tmp_path / "good")
    assert row["id"] == "c000001"
    assert row["metadata"]["verdict"] == "good"
    assert row["metadata"]["verdicts"] == [{"annotator": "wren", "verdict": "good", "note": "write to [email]"}]
    assert row["metadata"]["human_replies"] == [{"turn": 3, "act": "reject", "annotator": "wren", "text": "Too small."}]
    assert "37 left out: people's verdict: unjudged" in said
    assert "accepted, but left out here: people's verdict: bad | 1" in (tmp_path / "good" / "README.md").read_text(
        "utf-8"
    )
    synth("export", "bags", "--format", "messages", "--images", "none", "--without", "bad", "--out", "rest")
    ids = {row["id"] for row in exported(tmp_path / "rest")}
    assert len(ids) == 39
    assert "c000003" not in ids
    synth(*("export bags --format messages --images none --out two --verdict good --verdict unsure".split()))
    assert len(exported(tmp_path / "two")) == 2


def test_other_formats_carry_the_verdict_too(run: RunFolder, tmp_path: Path) -> None:
    for number in range(0, 40, 2):
        judge(run, number, "good")
    add(run.path, reply(0, 3, "Too small."))
    for form in ("hf", "lavic"):
        synth("export", "bags", "--format", form, "--images", "none", "--verdict", "good", "--out", form)
        synth("export", "bags", "--format", form, "--images", "none", "--out", f"{form}-all")
    splits = {}
    for folder in ("hf", "hf-all"):
        for path in (tmp_path / folder / "conversations").iterdir():
            for row in pq.read_table(path).to_pylist():
                splits[folder, row["id"]] = path.name.split("-")[0]
                assert row["verdict"] == ("unjudged" if int(row["id"][1:]) % 2 else "good")
                assert len(row["human_replies"]) == (row["id"] == "c000000")
    # Whom people judged does not move a conversation from training to test.
    kept = [id_ for folder, id_ in splits if folder == "hf"]
    assert len(kept) == 20
    assert all(splits["hf", id_] == splits["hf-all", id_] for id_ in kept)
    rows = exported(tmp_path / "lavic")
    assert {row["verdict"] for row in rows} == {"good"}
    assert sum(len(row["human_replies"]) for row in rows) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--format messages --verdict good", "no conversation whose verdict is good"),
        ("--format messages --verdict good --without good", "leave nothing"),
        ("--format inspect --verdict good", "not for inspect"),
    ],
)
def test_exports_that_cannot_be(run: RunFolder, tmp_path: Path, arguments: str, why: str) -> None:
    with pytest.raises(SynthError, match=why):
        synth("export", "bags", "--out", "out", *arguments.split())
    assert not (tmp_path / "out").exists()


# ---- pairing


def test_pairs_have_as_much_in_common_as_can_be(run: RunFolder, tmp_path: Path) -> None:
    catalogue = run.catalogue()
    other = make_run(tmp_path / "other", [make_conversation(n, catalogue) for n in (14, 13, 30, 90)], catalogue)
    talks = [Talks(name, folder.path / "conversations.jsonl", scenarios={"s0": "A trip."}) for name, folder in
             (("bags", run), ("other", other))]  # fmt: skip
    pairs = {pair.b.conversation: pair for pair in Comparison("runs", *talks).pairs(100)}
    # 13, 14 and 30 are in both runs, and say the same there: of such two neither is better.
    assert set(pairs) == {"c000090"}
    assert pairs["c000090"].closeness == 1  # the same scenario and product, another person
    assert talks[0].briefs()[pairs["c000090"].a.conversation].target == talks[1].briefs()["c000090"].target


@pytest.mark.parametrize(
    "row", ["{", "[]", '{"id": "x"}', '{"turns": [{"speaker": "clerk", "text": ""}]}', '{"messages": 3}']
)
def test_files_that_hold_no_conversations(tmp_path: Path, row: str) -> None:
    path = tmp_path / "theirs.jsonl"
    path.write_text(f'{{"messages": []}}\n{row}\n', "utf-8")
    with pytest.raises(SynthError, match="line 2"):
        Talks("theirs", path).briefs()
    with pytest.raises(SynthError, match="line 2"):
        synth("view", "bags", "--against", str(path))


# ---- the command


def test_nobody_has_judged(run: RunFolder) -> None:
    assert "Nobody has judged" in synth("judgements", "bags")
    assert json.loads(synth("judgements", "bags", "--json"))["comparisons"] == []


def test_results_in_the_terminal(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for number in range(4):
        judge(run, number, "good" if number else "bad")
        judge(run, number, "good", "jay")
        for annotator in ("wren", "jay"):
            sides = [Side(source="bags", conversation=f"c{number:06d}", version=v) for v in ("final", "draft")]  # type: ignore[arg-type]
            add(
                run.path,
                PairChoice(
                    a=sides[number % 2],
                    b=sides[1 - number % 2],
                    left="a",
                    choices={"natural": "b" if number % 2 else "a"},
                    annotator=annotator,
                    seconds=30,
                    at=1,
                ),
            )
    add(run.path, reply(1, 3, "Too small."))
    said = synth("judgements", "bags")
    assert "good       3  75 % [30, 95]" in said
    assert "A: bags, B: bags, drafts; 4 pairs, 8 judgements" in said
    assert "natural      4    0  0  100 % [51, 100]" in said
    assert "0.125" in said
    assert "undefined (n=4)" in said
    assert "Replies to 1 turn: 1 reject" in said
    rows = list(csv.DictReader(io.StringIO(synth("judgements", "bags", "--csv"))))
    assert len(rows) == 8 + 8 + 1
    assert json.loads(synth("judgements", "results", "bags", "--json"))["replies"]["turns"] == 1


def test_variants_from_the_command_line(run: RunFolder, tmp_path: Path) -> None:
    add(run.path, reply(1, 3, "Too small."))
    said = synth("judgements", "variant", "bags", "--out", "human", "--replies")
    assert "40 conversations written to human, 1 of them changed" in said
    made = json.loads(synth(*"judgements variant bags --out captions --captions --json".split()))
    assert made["captions"] == 100
    with pytest.raises(SynthError, match="Give --replies"):
        synth("judgements", "variant", "bags", "--out", "x")
