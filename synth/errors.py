"""The one error users see: a line that says what is wrong, where, and what to do."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    CHECK_FAILED = 1
    BAD_INPUT = 2
    LIMIT = 3
    INTERRUPTED = 130


class SynthError(Exception):
    """Something the user can mend. `str(error)` is one line; the command line prints it and exits with `exit_code`.

    Args:
        what: what is wrong and where (a file, a row, a flag).
        fix: what to do about it.
        exit_code: the process' exit code.
    """

    def __init__(self, what: str, fix: str = "", exit_code: Exit = Exit.BAD_INPUT) -> None:
        self.what = " ".join(what.split())
        self.fix = " ".join(fix.split())
        self.exit_code = exit_code
        super().__init__(f"{self.what} {self.fix}".strip())
