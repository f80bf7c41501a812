"""The progress bar: what it says on a terminal and where there is none."""

from __future__ import annotations

import os
import sys

import pytest

from synth.cli.progress import Bar


def work(quiet: bool = False) -> None:
    with Bar(quiet=quiet) as bar:
        bar.note("Memory at most 3 GB [0].")
        bar.stage("features", 3)
        bar.note("epoch 1: perplexity 2.5")
        bar.advance(3)


@pytest.mark.parametrize("quiet", [False, True])
def test_notes_are_said_on_a_terminal(monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        work(quiet)
        # A read of an empty terminal would wait.
        print("the end", file=terminal, flush=True)
        said = ""
        while "the end" not in said:
            said += os.read(ours, 65536).decode()
    os.close(ours)
    for note in ("Memory at most 3 GB [0].", "epoch 1: perplexity 2.5", "3/3"):
        assert (note in said) is not quiet
    assert "3 of 3" not in said


def test_without_a_terminal_stages_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    work()
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == ["Memory at most 3 GB [0].", "features: 3", "epoch 1: perplexity 2.5"]
    assert said[3].startswith("features: 3 of 3 (") and len(said) == 4
    work(quiet=True)
    assert capsys.readouterr().err == ""
