"""What a local model has answered, on disk: a line an answer, under a key of all that the answer depends on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from synth.errors import SynthError


def key_of(*parts: Any) -> str:
    """32 hex digits over anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:32]


class Answers:
    """An open log of answers. Answers of several models can lie in one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = dict(_read(path))

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def add(self, rows: Sequence[tuple[str, str, Any]]) -> None:
        """Keeps answers for good.

        Args:
            rows: key, a name for whoever reads the file, and the answer.
        """
        lines = [json.dumps({"key": k, "id": name, "answer": answer}, ensure_ascii=False) for k, name, answer in rows]
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        self._known.update({key: answer for key, _, answer in rows})


@contextmanager
def opened(path: Path) -> Iterator[Answers]:
    """The log in a file, made if it is not there; one process at a time, others wait.

    Raises:
        SynthError: the file is no such log.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        yield Answers(path)


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    """The lines of a file; what a kill left of a last one is cut off."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            yield row["key"], row["answer"]
        except (ValueError, KeyError, TypeError) as error:
            raise SynthError(f"{path}, line {number} is no answer of a model.", "Choose another folder.") from error
