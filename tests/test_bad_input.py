"""Mistakes of users: one line on stderr that says what, where and what to do; nothing half-written; no traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from synth import cli
from synth.corpora.drawing import draw_catalogue
from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces.run import RunFolder
from synth.traces.store import RunStore


def fails(*arguments: str | Path, cwd: Path, code: int = 2, env: dict[str, str] | None = None) -> str:
    """Runs `synth`, expects this exit code and one line on stderr; returns the line."""
    done = subprocess.run(
        [sys.executable, "-m", "synth", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("synth: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--convs", "0"], "--convs must be 1 or more"),
        (["--convs", "-5"], "--convs must be 1 or more"),
        (["--scenarios", "0"], "--scenarios must be 1 or more"),
        (["--in-flight", "0"], "--in-flight must be 1 or more"),
        (["--threshold", "31"], "between 0 and 30"),
        (["--colloquial", "2"], "between 0 and 1"),
        (["--llm", "gpt-4o"], "Unknown model provider"),
        (["--llm", "openai:"], "names no model"),
        (["--llm", "offline:big"], "has no models"),
        (["--llm", "openai:gpt-4o-mini"], "OPENAI_API_KEY is not set"),
        (["--llm", "anthropic:claude-haiku-4-5"], "ANTHROPIC_API_KEY is not set"),
        (["--rewriter", "openai:gpt-4o-mini"], "OPENAI_API_KEY is not set"),
        (["--encoder", "word2vec"], "word2vec"),
        (["--prompts", "nowhere"], "nowhere does not exist"),
        (["--convs", "100000"], "cannot carry 100000 different conversations"),
    ],
)
def test_generate_refuses(catalogue: Path, tmp_path: Path, flags: list[str], said: str) -> None:
    line = fails("generate", "--catalog", catalogue, "--convs", "2", "--out", tmp_path / "run", *flags, cwd=tmp_path)
    assert said in line
    assert not (tmp_path / "run" / "conversations.jsonl").exists()


def test_a_key_is_asked_for_before_a_run_is_made(catalogue: Path, tmp_path: Path) -> None:
    fails("generate", "--catalog", catalogue, "--llm", "openai:x", "--out", tmp_path / "run", cwd=tmp_path)
    assert not (tmp_path / "run").exists()


def test_missing_and_wrong_catalogues(tmp_path: Path) -> None:
    assert "is not a catalogue" in fails("generate", "--catalog", "nowhere", cwd=tmp_path)
    (tmp_path / "shop.csv").write_text("id,title\n1,A\n", "utf-8")
    assert "synth catalog import shop.csv" in fails("generate", "--catalog", "shop.csv", cwd=tmp_path)


def test_a_changed_catalogue_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    draw_catalogue(folder, products=3)
    with (folder / "products.jsonl").open("a", encoding="utf-8") as file:
        file.write("{}\n")
    assert "was changed after the import" in fails("generate", "--catalog", folder, "--convs", "1", cwd=tmp_path)


def test_ten_products_for_seven_thousand_conversations(tmp_path: Path) -> None:
    draw_catalogue(tmp_path / "shop", products=10)
    line = fails("generate", "--catalog", "shop", "--convs", "7000", cwd=tmp_path)
    assert "10 products cannot carry 7000" in line and "--per-product" in line


def test_a_run_of_other_settings(catalogue: Path, tmp_path: Path) -> None:
    options = Options(catalog=catalogue, scenarios=20, convs=1, out=tmp_path / "run")
    generate(options)
    arguments = ["generate", "--catalog", catalogue, "--scenarios", "30", "--convs", "1", "--out", tmp_path / "run"]
    line = fails(*arguments, "--seed", "9", cwd=tmp_path)
    assert "other settings (scenarios, seed)" in line
    assert "holds a run already" in fails(*arguments, "--fresh", cwd=tmp_path)


def test_a_run_of_another_format(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=20, convs=1, out=tmp_path / "run"))
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text("utf-8").replace("format = 2", "format = 99"), "utf-8")
    line = fails("generate", "--catalog", catalogue, "--convs", "1", "--out", tmp_path / "run", cwd=tmp_path)
    assert "a run of format 99" in line
    assert "a run of format 99" in fails("check", tmp_path / "run", cwd=tmp_path)


def test_a_folder_that_is_no_run_is_left_alone(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch", "utf-8")
    line = fails("generate", "--catalog", catalogue, "--convs", "1", "--out", tmp_path / "mine", cwd=tmp_path)
    assert "exists and is not a run" in line
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert "is not a run" in fails("check", tmp_path / "mine", cwd=tmp_path)


def test_a_second_process_on_the_same_run(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=20, convs=1, out=tmp_path / "run"))
    arguments = ["generate", "--catalog", catalogue, "--scenarios", "20", "--convs", "1", "--out", tmp_path / "run"]
    with FileLock(tmp_path / "run" / "lock"):
        line = fails(*arguments, cwd=tmp_path)
    assert "Another process is working on" in line and "synth run stop" in line


def test_a_drive_without_a_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network(sqlite3.Connection):
        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                sql = "PRAGMA journal_mode=DELETE"
            return super().execute(sql, *more)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Network, **k))
    with pytest.raises(SynthError, match="network drive"):
        RunStore(tmp_path / "run.db")


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(sqlite3.Connection):
        commits = 0

        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:
            Full.commits += sql == "COMMIT"
            if sql == "COMMIT" and Full.commits > 40:
                super().execute("ROLLBACK")
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *more)

    connect = sqlite3.connect
    options = Options(catalog=catalogue, scenarios=100, convs=20, out=tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Full, **k))
        with pytest.raises(SynthError, match="is full"):
            generate(options)
    generate(options)
    assert sum(1 for _ in RunFolder.open(tmp_path / "run").conversations()) == 20


def test_a_prompt_that_cannot_be_filled(catalogue: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "user.need.md").write_text("# System\nYou shop.\n# Task\n{{ input.secret }}\n", "utf-8")
    arguments = ["generate", "--catalog", catalogue, "--convs", "1", "--prompts", prompts, "-q"]
    assert "user.need.md cannot be filled" in fails(*arguments, cwd=tmp_path)
    (prompts / "user.need.md").write_text("Just text.\n", "utf-8")
    assert "needs the headings" in fails(*arguments, cwd=tmp_path)
    (prompts / "user.need.md").rename(prompts / "user.neeed.md")
    assert "named after no agent call" in fails(*arguments, cwd=tmp_path)


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOTDIR, errno.EISDIR])
def test_a_file_or_folder_of_the_wrong_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def app() -> None:
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 2
    assert capsys.readouterr().err == f"synth: {os.strerror(number)}: place.\n"
