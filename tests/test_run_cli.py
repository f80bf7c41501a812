"""`synth run` as seen from another shell."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import make_catalogue, make_conversation, make_run
from typer.testing import CliRunner

from synth.cli.run import app
from synth.errors import Exit, SynthError
from synth.traces.run import RunFolder

RUNNER = CliRunner()

WRITER = """
import sys, time
from pathlib import Path
from synth.traces.run import RunFolder

run = RunFolder(Path(sys.argv[1]))
run.lock()
print("locked", flush=True)
while not (run.path / "stop").exists():
    time.sleep(0.05)
run.unlock()
"""


def synth(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def writer(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on the run until it is asked to stop."""
    command = [sys.executable, "-c", WRITER, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        yield process
        (run.path / "stop").touch()
        process.wait(timeout=10)


def log(run: RunFolder, *entries: tuple[float, str]) -> None:
    """Writes a log; each entry is seconds before now, and its text."""
    now = time.time()
    stamps = [(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now - ago)), text) for ago, text in entries]
    (run.path / "run.log").write_text("".join(f"{at},250 INFO {text}\n" for at, text in stamps), "utf-8")


def test_list(run: RunFolder, tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    make_run(tmp_path / "runs" / "cut", [make_conversation(0, catalogue)], catalogue, wanted=9, finished=False)
    make_run(tmp_path / "runs" / "extended", [make_conversation(0, catalogue)], catalogue, wanted=9, finished=True)
    (tmp_path / "runs" / "old").mkdir()
    (tmp_path / "runs" / "old" / "config.toml").write_text("format = 0\n", "utf-8")
    made = {facts["name"]: facts for facts in json.loads(synth("list", "--json"))}
    assert {name: facts["state"] for name, facts in made.items()} == {
        "bags": "finished",
        "cut": "stopped",
        "extended": "stopped",
        "old": "unreadable",
    }
    assert (made["cut"]["accepted"], made["cut"]["wanted"], made["cut"]["seed"]) == (1, 9, 3)
    assert made["bags"]["models"]["simulator"] == "offline" and "captioner" not in made["bags"]["models"]
    text = synth("list")
    assert "40 of 40" in text and "1 of 9" in text and "format 0" in text


def test_list_of_nothing(tmp_path: Path) -> None:
    assert "No run in" in synth("list", "--runs", str(tmp_path / "none"))
    assert json.loads(synth("list", "--runs", str(tmp_path / "none"), "--json")) == []


def test_status(run: RunFolder) -> None:
    facts = json.loads(synth("status", "bags", "--json"))
    assert (facts["state"], facts["accepted"], facts["wanted"], facts["drawn"]) == ("finished", 40, 40, 43)
    assert facts["rejected"] == {"review": 2, "duplicate": 1} and facts["calls"] == {}
    assert facts["bytes"] >= (run.path / "conversations.jsonl").stat().st_size
    text = synth("status", str(run.path))
    assert "bags: finished, 40 of 40 conversations accepted" in text
    assert "drawn 43, rejected 2 review, 1 duplicate" in text and "models offline" in text


def test_status_before_there_is_a_store(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new")
    run.create({"seed": 0, "models": {"simulator": "offline"}})
    facts = json.loads(synth("status", str(run.path), "--json"))
    assert (facts["state"], facts["accepted"], facts["wanted"], facts["drawn"]) == ("stopped", 0, None, 0)
    assert "0 of ?" in synth("status", str(run.path))


def test_status_while_it_runs(run: RunFolder, writer: subprocess.Popen[str]) -> None:
    log(
        run,
        (400, "resuming runs/bags"),
        (380, "conversations: 1 of 400 (9.0/s)"),
        (40, "conversations: 10 of 400 (1.0/s)"),
        (10, "conversations: 40 of 400 (1.0/s)"),
    )
    with (run.path / "conversations.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "half a row')
    facts = json.loads(synth("status", "bags", "--json"))
    assert (facts["state"], facts["accepted"]) == ("running", 40)
    assert facts["per_minute"] == pytest.approx(60, rel=0.1)
    assert "conversations a minute" in synth("status", "bags")


def test_rate_needs_two_lines_since_the_start(run: RunFolder, writer: subprocess.Popen[str]) -> None:
    log(run, (30, "conversations: 300 of 400 (9/s)"), (20, "resuming runs/bags"), (10, "conversations: 8 of 400 (1/s)"))
    assert json.loads(synth("status", "bags", "--json"))["per_minute"] is None


def test_stop(run: RunFolder, writer: subprocess.Popen[str]) -> None:
    said = synth("stop", "bags", "--timeout", "20")
    assert "40 of 40" in said and "The command that started it goes on with it." in said
    assert writer.wait(timeout=10) == 0
    assert not (run.path / "stop").exists() and not run.running()


def test_stop_outlasts_a_start_that_clears_old_requests(run: RunFolder, writer: subprocess.Popen[str]) -> None:
    request = run.path / "stop"

    def clear() -> None:
        deadline = time.monotonic() + 5
        while not request.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        request.unlink(missing_ok=True)

    clearing = threading.Thread(target=clear)
    clearing.start()
    synth("stop", "bags", "--timeout", "20")
    clearing.join()
    assert writer.wait(timeout=10) == 0


def test_stop_of_a_run_that_is_not_running(run: RunFolder) -> None:
    with pytest.raises(SynthError, match="is not running") as caught:
        synth("stop", "bags")
    assert caught.value.exit_code == Exit.BAD_INPUT == 2
    assert not (run.path / "stop").exists()


def test_stop_gives_up_after_the_timeout(run: RunFolder) -> None:
    run.lock()
    try:
        with pytest.raises(SynthError, match="has not stopped within 0.3 s"):
            synth("stop", "bags", "--timeout", "0.3")
        assert (run.path / "stop").exists()
    finally:
        run.unlock()


def test_no_such_run(tmp_path: Path) -> None:
    for command in ("status", "stop"):
        with pytest.raises(SynthError, match="is not a run"):
            synth(command, str(tmp_path / "nothing"))
