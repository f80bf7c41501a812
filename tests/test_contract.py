"""The contract of a run (design §4): same seed same data, killed anywhere, N means N, the same command resumes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.killed import MOMENTS

ROWS = ("scenarios.jsonl", "profiles.jsonl", "conversations.jsonl", "rejected.jsonl")
ROOT = Path(__file__).parent.parent


def synth(*arguments: str | Path, cwd: Path, moment: str = "none", count: int = 1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.support.killed", moment, str(count), str(cwd / "asked.log"), "--"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def generate(catalogue: Path, out: Path, convs: int, *more: str, moment: str = "none", count: int = 1) -> int:
    arguments = ["generate", "--catalog", catalogue, "--scenarios", "60", "--convs", convs, "--out", out, "-q", *more]
    done = synth(*map(str, arguments), cwd=out.parent, moment=moment, count=count)
    if moment == "none":
        assert done.returncode == 0, done.stderr
    return done.returncode


def rows(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in ROWS}


def logged(run: Path) -> set[str]:
    """Places and names of the calls that have a committed reply."""
    if not (run / "run.db").is_file():
        return set()
    with sqlite3.connect(run / "run.db") as db:
        try:
            found = db.execute("SELECT stage, item, step, attempt, call FROM calls").fetchall()
        except sqlite3.OperationalError:
            return set()
    db.close()
    return {" ".join(map(str, row)) for row in found}


def test_in_flight_does_not_change_a_byte(catalogue: Path, tmp_path: Path) -> None:
    for in_flight in (1, 8, 64):
        generate(catalogue, tmp_path / f"run{in_flight}", 40, "--in-flight", str(in_flight))
    one = rows(tmp_path / "run1")
    assert one == rows(tmp_path / "run8") == rows(tmp_path / "run64")
    assert one["conversations.jsonl"].count(b"\n") == 40


def test_another_seed_gives_other_data(catalogue: Path, tmp_path: Path) -> None:
    generate(catalogue, tmp_path / "a", 5)
    generate(catalogue, tmp_path / "b", 5, "--seed", "1")
    assert rows(tmp_path / "a")["conversations.jsonl"] != rows(tmp_path / "b")["conversations.jsonl"]


def test_a_larger_convs_extends_and_leaves_the_first_rows(catalogue: Path, tmp_path: Path) -> None:
    generate(catalogue, tmp_path / "whole", 40)
    generate(catalogue, tmp_path / "grown", 8)
    pilot = rows(tmp_path / "grown")["conversations.jsonl"]
    before = logged(tmp_path / "grown")
    (tmp_path / "asked.log").unlink()
    generate(catalogue, tmp_path / "grown", 40)
    asked = set((tmp_path / "asked.log").read_text().splitlines())
    assert not asked & before, "a reply in the log was asked for again"
    assert rows(tmp_path / "grown") == rows(tmp_path / "whole")
    assert rows(tmp_path / "whole")["conversations.jsonl"].startswith(pilot)


def test_a_finished_run_is_not_worked_on_again(catalogue: Path, tmp_path: Path) -> None:
    generate(catalogue, tmp_path / "run", 6)
    first = rows(tmp_path / "run")
    (tmp_path / "asked.log").unlink()
    generate(catalogue, tmp_path / "run", 6)
    assert (tmp_path / "asked.log").read_text() == ""
    assert rows(tmp_path / "run") == first


def killed_and_resumed(catalogue: Path, tmp_path: Path, convs: int, kills: list[tuple[str, int]]) -> None:
    """Kills one run again and again, each time resumed by the same command, and compares it with one left alone."""
    generate(catalogue, tmp_path / "whole", convs)
    (tmp_path / "asked.log").unlink()
    run = tmp_path / "killed"
    died = 0
    lived: list[tuple[str, int]] = []
    for moment, count in kills:
        before = logged(run)
        log = tmp_path / "asked.log"
        log.unlink(missing_ok=True)
        if generate(catalogue, run, convs, moment=moment, count=count) == -9:
            died += 1
        else:
            lived.append((moment, count))
        again = before & set(log.read_text().splitlines() if log.exists() else [])
        assert not again, f"asked again after a kill: {sorted(again)[:3]}"
    assert died == len(kills), f"only {died} of {len(kills)} kills came to pass: {lived}"
    generate(catalogue, run, convs)
    assert rows(run) == rows(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")
def test_killed_at_every_kind_of_moment(catalogue: Path, tmp_path: Path) -> None:
    kills = [
        ("before a rename", 1),
        ("after a rename", 1),
        ("reply not committed", 9),
        ("before a rename", 4),
        ("reply committed, not used", 30),
        ("half a row written", 3),
        ("item done, not stored", 5),
        ("item stored", 5),
    ]
    killed_and_resumed(catalogue, tmp_path, 25, kills)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")
def test_killed_at_twenty_moments_of_a_run_of_300(catalogue: Path, tmp_path: Path) -> None:
    kills = [
        ("before a rename", 1),
        ("after a rename", 1),
        ("reply not committed", 5),
        ("reply committed, not used", 2),
        ("before a rename", 5),
        ("after a rename", 6),
        *((moment, 12 + 5 * n) for n, moment in enumerate(m for m in MOMENTS if m != "none" and "rename" not in m)),
        *((moment, 40 + 9 * n) for n, moment in enumerate(m for m in MOMENTS if m != "none" and "rename" not in m)),
        ("half a row written", 40),
        ("item stored", 50),
        ("reply committed, not used", 30),
        ("reply not committed", 100),
    ]
    assert len(kills) == 20
    killed_and_resumed(catalogue, tmp_path, 300, kills)


def test_the_default_folder_is_found_again_and_fresh_starts_anew(catalogue: Path, tmp_path: Path) -> None:
    arguments = ["generate", "--catalog", str(catalogue), "--scenarios", "20", "--convs", "3", "--json"]
    facts = [json.loads(synth(*arguments, *more, cwd=tmp_path).stdout) for more in ((), (), ("--fresh",))]
    assert [f["resumed"] for f in facts] == [False, True, False]
    assert facts[0]["run"] == facts[1]["run"] != facts[2]["run"]


def test_a_run_that_cannot_reach_its_number_says_why(catalogue: Path, tmp_path: Path) -> None:
    done = synth(
        *("generate", "--catalog", catalogue, "--scenarios", "20", "--convs", "50", "--duplicate", "0.1"),
        *("--out", tmp_path / "run", "-q"),
        cwd=tmp_path,
    )
    assert done.returncode == 3
    assert "Stopped at" in done.stderr and "duplicate" in done.stderr and done.stderr.count("\n") == 1


def started(catalogue: Path, run: Path) -> subprocess.Popen[str]:
    """A run of many conversations, under way."""
    arguments = ["generate", "--catalog", str(catalogue), "--scenarios", "60", "--convs", "3000", "--out", str(run)]
    process = subprocess.Popen(
        [sys.executable, "-m", "synth", *arguments],
        cwd=run.parent,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if (run / "conversations.jsonl").is_file() and (run / "conversations.jsonl").stat().st_size:
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the run did not start")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "synth run stop"])
def test_stopped_it_says_how_to_go_on(catalogue: Path, tmp_path: Path, how: signal.Signals | str) -> None:
    run = tmp_path / "run"
    process = started(catalogue, run)
    if isinstance(how, str):
        stop = subprocess.run([sys.executable, "-m", "synth", "run", "stop", str(run)], capture_output=True, text=True)
        assert stop.returncode == 0, stop.stderr
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the same command to go on" in errors and "Traceback" not in errors
    done = rows(run)["conversations.jsonl"]
    assert done.endswith(b"\n")
    generate(catalogue, run, done.count(b"\n") + 2)
    assert rows(run)["conversations.jsonl"].startswith(done)
