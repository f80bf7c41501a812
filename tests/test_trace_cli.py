"""`synth trace`: what it shows of a real (offline) run, and of broken ones."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_run
from rich.console import Console
from typer.testing import CliRunner

from synth.cli import outline
from synth.cli.plain import cut, safe
from synth.cli.trace import app
from synth.errors import Exit, SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces.reader import RunReader
from synth.traces.tree import tree

RUNNER = CliRunner()
EVIL = "\x1b]0;owned\x07\x1b[2J <b>\u202e"


def synth(*arguments: str | Path) -> str:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def rows(*arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in synth(*arguments, "--json").splitlines()]


def fails(*arguments: str | Path) -> str:
    with pytest.raises(SynthError) as failure:
        synth(*arguments)
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "traced"
    generate(Options(catalog=catalogue, scenarios=30, convs=12, out=out, seed=5))
    return out


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def first_row(run: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads((run / "conversations.jsonl").read_text("utf-8").splitlines()[0])
    return row


def test_list_has_every_draw_with_its_numbers(run: Path) -> None:
    listed = rows("list", run)
    reader = RunReader(run)
    draws = list(reader.draws())
    assert [line["id"] for line in listed] == [draw.id for draw in draws]
    for line, draw in zip(listed, draws, strict=True):
        calls = [step.call for step in reader.steps(draw.number)]
        assert line["calls"] == len(calls)
        assert line["tokens"] == sum(call.input_tokens + call.output_tokens for call in calls)
        assert line["seconds"] == pytest.approx(sum(call.seconds for call in calls))
    reader.close()
    first = first_row(run)
    user = next(turn["text"] for turn in first["turns"] if turn["speaker"] == "user")
    assert listed[0]["first"] == user and listed[0]["turns"] == len(first["turns"])
    lines = synth("list", run).splitlines()
    assert len(lines) == len(draws) + 1 and lines[1].startswith(first["id"])


def test_list_filters(run: Path) -> None:
    everything = rows("list", run)
    one = everything[0]
    part = one["category"].split(" › ")[-1].lower()
    for option, value, keep in (
        ("--verdict", "accepted", lambda line: line["verdict"] == "accepted"),
        ("--verdict", "rejected", lambda line: line["verdict"] != "accepted"),
        ("--verdict", "match", lambda line: line["verdict"] == "match"),
        ("--ending", one["ending"], lambda line: line["ending"] == one["ending"]),
        ("--scenario", one["family"], lambda line: line["family"] == one["family"]),
        ("--scenario", one["scenario"], lambda line: line["scenario"] == one["scenario"]),
        ("--category", part, lambda line: part in line["category"].lower()),
    ):
        assert rows("list", run, option, value) == [line for line in everything if keep(line)]
    assert len(rows("list", run, "--limit", "2")) == 2
    assert synth("list", run, "--scenario", "no such thing") == "No draw is like that.\n"
    assert "Verdicts: accepted" in fails("list", run, "--verdict", "nice")


def test_list_of_errors(copy: Path) -> None:
    assert not [line for line in rows("list", copy, "--error") if line["verdict"] != "failed"]
    with sqlite3.connect(copy / "run.db") as db:
        db.execute("UPDATE calls SET tries = 3 WHERE stage = 'conversation' AND item = 0 AND step = '0.greet'")
    number = first_row(copy)["id"]
    if number != "c000000":
        with sqlite3.connect(copy / "run.db") as db:
            db.execute("UPDATE calls SET tries = 3 WHERE item = ? AND step = '0.greet'", (int(number[1:]),))
    assert number in [line["id"] for line in rows("list", copy, "--error")]
    assert "3 tries" in synth("show", copy, number, "--steps")


def test_show_unfolds_as_far_as_asked(run: Path) -> None:
    first = first_row(run)
    turns, steps, full = (synth("show", run, first["id"], *option) for option in ((), ("--steps",), ("--full",)))
    assert len(turns) < len(steps) < len(full)
    assert "rewriter.rewrite, rewriter.check, reviewer.review · 3 calls" in turns
    assert "#c-0-greet" in steps and "#c-0-greet" not in turns and "of 30 (accepted)" in turns
    searched = next(turn["retrieval"] for turn in first["turns"] if turn["retrieval"])
    chosen = next(line for line in steps.splitlines() if "← chosen" in line)
    score = next(found["score"] for found in searched["candidates"] if found["id"] == searched["chosen"])
    assert f"{score:.4f}" in chosen
    assert "You greet" in full or "system" in full
    assert "before: " in steps


def test_show_json_has_all_of_a_draw(run: Path) -> None:
    first = first_row(run)
    shown = json.loads(synth("show", run, first["id"], "--json"))
    said = [branch["text"] for branch in shown["branches"] if branch["speaker"]]
    assert said == [turn["text"] for turn in first["turns"]]
    assert [branch["name"] for branch in shown["branches"]][0] == "profile"
    assert shown["branches"][-1]["name"] == "optimizer"
    reader = RunReader(run)
    anchors = [step.anchor for step in reader.steps(int(first["id"][1:]))]
    reader.close()
    assert sorted(step["anchor"] for branch in shown["branches"] for step in branch["steps"]) == sorted(anchors)
    for turn, branch in zip(first["turns"], [b for b in shown["branches"] if b["speaker"]], strict=True):
        rewrite = branch["rewrite"]
        if rewrite:
            assert rewrite["before"] == first["drafts"][turn["index"]]
            assert turn["text"] == (rewrite["before"] if rewrite["kept"] else rewrite["after"])
        if turn["retrieval"]:
            assert branch["search"]["retrieval"] == turn["retrieval"]


def test_show_one_step(run: Path) -> None:
    draw = first_row(run)["id"]
    step = json.loads(synth("show", run, draw, "--step", "#c-0-greet", "--json"))
    assert step["call"] == "chatter.greet" and step["messages"][0]["role"] == "system"
    assert step["messages"][0]["text"].splitlines()[0] in synth("show", run, draw, "--step", "c-0-greet")
    assert step["messages"][0]["text"] in synth("show", run, draw, "--step", "c-0-greet", "--markdown")
    assert "has no step 'c-99-greet'" in fails("show", run, draw, "--step", "c-99-greet")


def test_show_a_refused_draw_tells_why(run: Path) -> None:
    refused = next(line for line in rows("list", run, "--verdict", "match"))
    assert f"refused by match: {refused['first']}" in " ".join(synth("show", run, refused["id"]).split())
    assert f"p{refused['id'][1:]}" not in synth("show", run, f"p{refused['id'][1:]}")


def test_grep_finds_every_place_once(run: Path) -> None:
    texts = [json.loads(line) for line in (run / "conversations.jsonl").read_text("utf-8").splitlines()]
    word = max(texts[0]["turns"][1]["text"].split(), key=len)
    found = rows("grep", run, word, "--verdict", "accepted")
    assert len(found) == sum(turn["text"].count(word) for row in texts for turn in row["turns"])
    assert found[0]["place"] == "turn 1" and found[0]["part"] == "user" and found[0]["match"] == word
    both = rows("grep", run, word, "--verdict", "accepted", "--in", "all")
    messages = rows("grep", run, word, "--verdict", "accepted", "--in", "messages")
    assert len(both) == len(found) + len(messages) and len(messages) >= 1
    draft = texts[0]["drafts"][1]
    holding = rows("grep", run, draft, "--in", "messages", "--limit", "20")
    whole = [match["part"] for match in holding if not match["before"] + match["after"]]
    assert whole == ["user"]  # every later prompt holds it too
    assert word in synth("grep", run, word, "--limit", "1")


def test_grep_patterns(run: Path) -> None:
    assert rows("grep", run, "hello", "-i") and RUNNER.invoke(app, ["grep", str(run), "zz9zz"]).exit_code == 1
    assert RUNNER.invoke(app, ["grep", str(run), "h.llo", "-i"]).exit_code == Exit.CHECK_FAILED
    assert rows("grep", run, r"h.ll?o\b|hi\b", "-i", "--regex", "--limit", "1")
    assert "is no regular expression" in fails("grep", run, "(", "--regex")
    assert "nothing to look for" in fails("grep", run, "")


def test_texts_of_a_run_do_not_steer_the_terminal(copy: Path) -> None:
    path = copy / "conversations.jsonl"
    lines = path.read_text("utf-8").splitlines()
    row = json.loads(lines[0])
    row["turns"][1]["text"] = EVIL + row["turns"][1]["text"]
    path.write_text("\n".join([json.dumps(row, separators=(",", ":")), *lines[1:]]) + "\n", "utf-8")
    with sqlite3.connect(copy / "run.db") as db:
        db.execute("UPDATE calls SET reply = ? WHERE step = '0.greet'", (EVIL,))
    commands: list[tuple[str | Path, ...]] = [
        ("list", copy),
        ("list", copy, "--json"),
        ("grep", copy, "owned", "--in", "all"),
        ("show", copy, row["id"], "--full"),
        ("show", copy, row["id"], "--markdown", "--full"),
        ("show", copy, row["id"], "--json"),
    ]
    for command in commands:
        out = synth(*command)
        assert not set(out) & {"\x1b", "\x07", "\u202e"} and "owned" in out
    markdown = synth("show", copy, row["id"], "--markdown")
    assert "<b>" not in markdown and "&lt;b&gt;" in markdown


def test_the_tree_in_colour(run: Path) -> None:
    reader = RunReader(run)
    found = tree(reader, next(reader.draws()))
    reader.close()
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=90).print(outline.outline(found, "full"))
    assert "\x1b[" in stream.getvalue()


def test_plain() -> None:
    assert safe("a\x1b[31m\x9b\r\nb\x00\tc") == "a\\x1b[31m\\x9b\nb\\x00\tc"
    assert cut("one two\nthree", 8) == "one two…" and cut("é", 1) == "é"


def test_what_is_no_run_is_one_line(run: Path, tmp_path: Path) -> None:
    assert "is not a run" in fails("list", tmp_path / "nothing")
    assert "has no conversation 'c999999'" in fails("show", run, "c999999")
    assert "has no conversation '../x'" in fails("show", run, "../x")
    bare = make_run(tmp_path / "bare")
    (bare.path / "run.db").unlink()
    assert "has no run.db yet" in fails("list", bare.path)


def test_a_truncated_store_is_one_line(copy: Path) -> None:
    data = (copy / "run.db").read_bytes()
    draw = first_row(copy)["id"]
    for part in (2, 3, 10):
        (copy / "run.db").write_bytes(data[: len(data) // part])
        for command in (("list", copy), ("show", copy, draw), ("grep", copy, "x9x9", "--in", "all")):
            result = RUNNER.invoke(app, list(map(str, command)))
            assert result.exception is None or isinstance(result.exception, SynthError | SystemExit)
        assert "run.db" in fails("grep", copy, "x9x9", "--in", "all")
    with sqlite3.connect(":memory:"):
        (copy / "run.db").write_bytes(b"no database at all, " * 100)
    assert "cannot be opened" in fails("list", copy)


def test_a_locked_store_is_one_line(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    def hasty(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return real(*arguments, **{**options, "timeout": 0})

    lock = real(copy / "run.db", isolation_level=None)
    lock.execute("PRAGMA journal_mode=DELETE")
    lock.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(sqlite3, "connect", hasty)
    try:
        assert "locked" in fails("list", copy)
    finally:
        lock.close()
