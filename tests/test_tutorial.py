"""docs/tutorial.md: every command in it, in order, as it stands there; and what it says that they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d[\d,.]*")


class Step(NamedTuple):
    """A block of commands, and lines that the document says they print."""

    commands: list[list[str]]
    printed: list[str]


def steps() -> Iterator[Step]:
    """`bash` blocks are run; a `text` block after one is what it prints, numbers aside."""
    step: Step | None = None
    for language, text in _BLOCK.findall(TUTORIAL.read_text("utf-8")):
        if language == "bash":
            if step:
                yield step
            lines = text.replace("\\\n", " ").splitlines()
            step = Step([shlex.split(line, comments=True) for line in lines if line.strip()], [])
        elif language == "text" and step:
            step.printed.extend(line for line in text.splitlines() if line.strip() and line.strip() != "…")
    if step:
        yield step


def bare(line: str) -> str:
    """A line without what may differ from machine to machine: numbers and the width of columns."""
    return " ".join(_NUMBER.sub("#", line).split())


def test_the_tutorial_is_whole() -> None:
    commands = [command for step in steps() for command in step.commands]
    assert all(command[0] == "synth" for command in commands)
    assert "Thirteen commands" in TUTORIAL.read_text("utf-8") and len(commands) == 13
    told = [" ".join(command[1:3]) for command in commands]
    order = [
        "catalog sample", "generate --catalog", "export run", "train warmup", "train describe", "train distill",
        "train features", "train recommend", "eval zero-shot", "eval recommend", "recommend trained",
    ]  # fmt: skip
    assert list(dict.fromkeys(reversed(told)))[::-1] == order
    assert sum(bool(step.printed) for step in steps()) >= 7


@pytest.mark.slow
def test_every_command_does_what_the_tutorial_says(tmp_path: Path) -> None:
    for module in ("torch", "peft", "accelerate", "tensorboard", "ir_measures", "scipy"):
        pytest.importorskip(module, reason="the tutorial needs the extra `train`")
    environment = {**os.environ, "PYTHONPATH": str(TUTORIAL.parent.parent), "COLUMNS": "160"}
    environment.pop("SYNTH_GENERATE_REPORT", None)
    for step in steps():
        said = ""
        for command in step.commands:
            done = subprocess.run(
                [sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            said += done.stdout
        lines = {bare(line) for line in said.splitlines()}
        missing = [line for line in step.printed if bare(line) not in lines]
        assert not missing, f"{shlex.join(step.commands[-1])} does not print\n" + "\n".join(missing) + f"\nbut\n{said}"
