"""`synth …` called in this process."""

from __future__ import annotations

from collections.abc import Callable

from typer.testing import CliRunner

from synth.cli import app

Called = Callable[..., tuple[int, str, str]]
"""Takes a command's arguments; gives its exit code, what it printed, and what it complained of."""


def synth(*arguments: object) -> str:
    """What a command printed; what it raised comes through."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output
