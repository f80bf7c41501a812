"""Readers of published data: every form gives the same dialogues, and what is no such form says so in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_run
from typer.testing import CliRunner

from synth.analysis.profiles import ALONE, OPPOSITE, check_profiles
from synth.cli import app
from synth.corpora.readers import Dialogue, read
from synth.errors import SynthError

RELEASED = Path(os.environ.get("SYNTH_TEST_DATA", "")) / "muse" / "user_scenarios.json"


def item(number: int, department: str = "Womens", **more: Any) -> dict[str, Any]:
    return {
        "title": f"Plain Shirt {number}",
        "description": ["Soft."],
        "price": 12.5,
        "features": ["Cotton"],
        "categories": ["Clothing", "Shirts"],
        "details": {"Department": department, "Package Dimensions": "1 x 1 x 1 inches"},
        "images": f"images_main/{number}.jpg",
        "new_description": "A plain shirt.",
        "item_id": str(number),
        **more,
    }


PROFILE: dict[str, Any] = {
    "profile": "'Name: Mrs. Ann Crawford PhD, Gender: female, Age: 23,Profession: Engineer, maintenance",
    "scenario": "Ann has a new job.",
    "requirements": "Comfort, and easy care.",
    "target_item": item(7),
}
TURNS = [
    {"Assistant": "Hello!", "Action": "chit-chat", "Mentioned_item": [], "Image": []},
    {"User": "I need a shirt.", "Action": "chit-chat", "Image": []},
    {"Assistant": "This one.", "Action": "recommend", "Mentioned_item": ["8"], "Image": ["images_main/8"]},
    {"User": "No.", "Action": "reject", "Mentioned_item": [], "Image": []},
]
DETAILED = {
    "Persona": PROFILE["profile"],
    "Scenario": PROFILE["scenario"],
    "Target_item": PROFILE["target_item"],
    "Conversations": TURNS,
}
REDIAL = {
    "movieMentions": {"111776": "Super Troopers (2001)", "91481": None},
    "respondentQuestions": {},
    "messages": [
        {"timeOffset": 0, "text": "Hi, I liked @111776 ", "senderWorkerId": 956, "messageId": 1},
        {"timeOffset": 9, "text": "Try @91481 or @5, mail me@home", "senderWorkerId": 957, "messageId": 2},
    ],
    "conversationId": "391",
    "respondentWorkerId": 957,
    "initiatorWorkerId": 956,
    "initiatorQuestions": [],
}
CHAT = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "a.jpg"}}],
        },
        {"role": "assistant", "content": "Hello."},
    ]
}
SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "<image>Like this?"},
        {"from": "function_call", "value": "{}"},
        {"from": "observation", "value": "<image>{}"},
        {"from": "gpt", "value": "This one."},
    ],
    "images": ["a.jpg", "b.jpg"],
}


def put(path: Path, *rows: Any, whole: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows[0] if whole else list(rows)) if path.suffix == ".json" else None
    path.write_text(text or "".join(json.dumps(row) + "\n" for row in rows), "utf-8", newline="\n")
    return path


def dialogues(path: Path, format: str | None = None) -> list[Dialogue]:
    return list(read(path, format).dialogues())


def problem(path: Path, format: str | None = None) -> str:
    with pytest.raises(SynthError) as error:
        dialogues(path, format)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- the forms


def test_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    data = read(run.path)
    originals = list(run.conversations())
    assert (data.format, data.name, data.catalogue) == ("run", "run", (12, 12))
    for dialogue, original in zip(data.dialogues(), originals, strict=True):
        assert [t.text for t in dialogue.turns] == [t.text for t in original.turns]
        assert [t.draft for t in dialogue.turns] == list(original.drafts)
        assert [(t.speaker, t.act, t.items, t.images) for t in dialogue.turns] == [
            (t.speaker, t.act, t.products, t.images) for t in original.turns
        ]
        assert dialogue.buyer and dialogue.buyer.name == original.profile.person.name
        assert (dialogue.target, dialogue.ended_by) == (original.target_id, original.ended_by)
        assert dialogue.number == int(original.id[1:])
    assert list(data.dialogues()) == list(data.dialogues())


def test_a_run_that_is_being_written_and_one_that_is_broken(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = run.path / "conversations.jsonl"
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-20])
    assert len(dialogues(run.path)) == 39
    lines = whole.splitlines(keepends=True)
    rows.write_bytes(b"".join([*lines[:2], b'{"id": 1}\n', *lines[2:]]))
    assert "line 3 is broken" in problem(run.path)
    rows.unlink()
    assert "does not exist" in problem(run.path)


def test_muse_profiles(tmp_path: Path) -> None:
    (found,) = dialogues(put(tmp_path / "user_scenarios.json", PROFILE))
    assert found.turns == () and found.target == "7"
    buyer = found.buyer
    assert buyer and (buyer.name, buyer.gender, buyer.age) == ("Mrs. Ann Crawford PhD", "female", 23)
    assert buyer.profession == "Engineer, maintenance" and buyer.requirements == ("Comfort, and easy care.",)


def test_muse_conversations(tmp_path: Path) -> None:
    folder = tmp_path / "detail_convs"
    for number in (1, 2, 10):
        put(folder / f"conv_{number}.json", {**DETAILED, "Target_item": item(number)}, whole=True)
    data = read(folder)
    found = list(data.dialogues())
    assert [dialogue.target for dialogue in found] == ["1", "2", "10"]
    turns = found[0].turns
    assert [turn.speaker for turn in turns] == ["assistant", "user", "assistant", "user"]
    assert [turn.act for turn in turns] == ["chit_chat", "chit_chat", "recommend", "reject"]
    assert turns[2].items == ("8",) and turns[2].images == ("8",)
    product = data.product("10")
    assert product and product.price == 12.5 and product.attributes == {"department": "women"}
    assert read(tmp_path).format == "muse" and dialogues(tmp_path) == found


def test_muse_bare_conversations(tmp_path: Path) -> None:
    bare = [{"Assistant": "Hello!"}, {"User": "Hi."}]
    put(tmp_path / "conv_1.json", bare, whole=True)
    put(tmp_path / "conv_2.json", bare[:1], whole=True)
    assert [[turn.text for turn in d.turns] for d in dialogues(tmp_path)] == [["Hello!", "Hi."], ["Hello!"]]
    assert "without `Assistant` or `User`" in problem(put(tmp_path / "x" / "conv_1.json", [*bare, {"Other": 1}]))


def test_redial(tmp_path: Path) -> None:
    (found,) = dialogues(put(tmp_path / "test_data.jsonl", REDIAL))
    first, second = found.turns
    assert (first.speaker, first.text, first.items) == ("user", "Hi, I liked Super Troopers (2001) ", ("111776",))
    # A film without a title, and an @ that names none, stay as they are.
    assert (second.speaker, second.text, second.items) == ("assistant", "Try @91481 or @5, mail me@home", ("91481",))
    assert found.users == ("956", "957") and found.id == "391"
    pairs = [{"movieId": "111776", "movieName": "Super Troopers (2001)"}]
    assert dialogues(put(tmp_path / "pairs.jsonl", {**REDIAL, "movieMentions": pairs}))[0].turns[0] == first
    assert dialogues(put(tmp_path / "none.jsonl", {**REDIAL, "movieMentions": []}))[0].turns[0].items == ()


def test_messages(tmp_path: Path) -> None:
    (found,) = dialogues(put(tmp_path / "chat.jsonl", CHAT))
    assert [(t.speaker, t.text, t.images) for t in found.turns] == [
        ("user", "Hi", ("a.jpg",)),
        ("assistant", "Hello.", ()),
    ]
    assert dialogues(put(tmp_path / "chat.json", CHAT)) == [found]


def test_sharegpt(tmp_path: Path) -> None:
    """A picture that a tool found is shown with what is said of it."""
    (found,) = dialogues(put(tmp_path / "chat.jsonl", SHAREGPT))
    assert [(t.speaker, t.text, t.images) for t in found.turns] == [
        ("user", "Like this?", ("a.jpg",)),
        ("assistant", "This one.", ("b.jpg",)),
    ]


@pytest.mark.parametrize("format", ["messages", "muse", "redial"])
def test_our_exports_read_back(tmp_path: Path, format: str) -> None:
    run = make_run(tmp_path / "run")
    out = tmp_path / format
    result = CliRunner().invoke(app, ["export", str(run.path), "--format", format, "--out", str(out)])
    assert result.exit_code == 0, result.output
    data = read(out)
    found = list(data.dialogues())
    assert data.format == format and len(found) == 40
    assert sorted(d.ended_by or "" for d in found) == sorted(c.ended_by for c in run.conversations())
    assert {len(d.turns) for d in found} == {6} and {len(d.users) for d in found} == {1}
    assert all(d.target for d in found)


# ---- what is none


def test_nothing_there(tmp_path: Path) -> None:
    assert "There is no" in problem(tmp_path / "none.jsonl")
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert "is empty" in problem(empty)
    empty.write_bytes(b" \r\n\n")
    assert "is empty" in problem(empty)
    assert "empty list" in problem(put(tmp_path / "list.json"))
    (tmp_path / "folder").mkdir()
    assert "no .jsonl or .json file" in problem(tmp_path / "folder")


def test_another_form_than_said(tmp_path: Path) -> None:
    path = put(tmp_path / "chat.jsonl", CHAT)
    assert problem(path, "redial") == f"{path} is not redial; it looks like messages. Leave out --format."
    assert "no format 'csv' to read" in problem(path, "csv")
    assert "of no form that is read" in problem(put(tmp_path / "other.jsonl", {"a": 1}))
    assert "of no form that is read" in problem(put(tmp_path / "number.json", 5, whole=True))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (REDIAL, b'{"messages": '),
        (REDIAL, b'{"conversationId": 4}'),
        (CHAT, b'{"messages": 5}'),
        (CHAT, b'{"messages": [{"role": "pirate", "content": "Arr"}]}'),
        (CHAT, b'{"messages": ["Hi"]}'),
        (SHAREGPT, b"[1]"),
        (DETAILED, b'{"Persona": "x"}'),
        (DETAILED, b'{"Conversations": [{"Nobody": "x"}]}'),
        (DETAILED, b'{"Conversations": [], "Target_item": {"title": "x"}}'),
        (CHAT, b'{"messages": "\xff"}'),
        (CHAT, b"[" * 100_000),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: Any, said: bytes) -> None:
    path = put(tmp_path / "data.jsonl", row, row)
    path.write_bytes(path.read_bytes() + said + b"\n")
    assert "data.jsonl, line 3" in problem(path)


def test_a_json_file_that_is_cut_off(tmp_path: Path) -> None:
    path = put(tmp_path / "user_scenarios.json", PROFILE)
    path.write_text(path.read_text("utf-8")[:-9], "utf-8")
    assert "user_scenarios.json, line 1" in problem(path)
    assert "entry 2" in problem(put(tmp_path / "two.json", PROFILE, {"profile": "x"}))


# ---- profiles


def test_contradictions_in_profiles(tmp_path: Path) -> None:
    man = PROFILE["profile"].replace("Gender: female", "Gender: male")
    rows = [
        PROFILE,
        {**PROFILE, "profile": man},
        {**PROFILE, "profile": man, "scenario": "A gift for his wife's birthday."},
        {**PROFILE, "target_item": item(8, "Unisex-adult")},
        {**PROFILE, "profile": PROFILE["profile"].replace("23", "12"), "scenario": "She saw the Plain Shirt 7."},
        {**PROFILE, "target_item": item(9, "Girls", categories=["Clothing", "Girls"])},
    ]
    report = check_profiles(read(put(tmp_path / "p.json", *rows)), show=1)
    assert list(report.counts.values()) == [2, 1, 1, 1, 1, 0] and report.profiles == 6
    assert [finding.conversation for finding in report.examples[OPPOSITE]] == ["m00001"]
    result = CliRunner().invoke(app, ["check", str(tmp_path / "p.json")])
    assert result.exit_code == 1 and f"{OPPOSITE}: 2" in result.output
    assert CliRunner().invoke(app, ["check", str(put(tmp_path / "q.json", PROFILE)), "--json"]).exit_code == 0


def test_nobody_to_check(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no profile in it"):
        check_profiles(read(put(tmp_path / "chat.jsonl", CHAT)))


@pytest.mark.real_data
@pytest.mark.skipif(not RELEASED.is_file(), reason="SYNTH_TEST_DATA names no folder with muse/user_scenarios.json")
def test_the_profiles_that_muse_released() -> None:
    report = check_profiles(read(RELEASED, "muse"))
    assert report.profiles == 20
    assert report.counts[OPPOSITE] == 7 and report.counts[ALONE] == 4
    assert sum(report.counts.values()) == 11
    assert CliRunner().invoke(app, ["stats", str(RELEASED)]).exit_code == 0
