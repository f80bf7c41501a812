"""Conversations to be compared, read one by one from a JSONL file: a run's, its drafts, or anybody's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from synth.errors import SynthError
from synth.traces.judgements import Version


class Line(NamedTuple):
    """One turn of a talk."""

    speaker: str
    """`user` or `assistant`."""
    text: str
    act: str = ""
    products: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


class Brief(NamedTuple):
    """What pairing needs to know of a conversation, and where it stands in its file."""

    id: str
    start: int
    length: int
    """Bytes."""
    scenario: str
    """Its text; empty where it is not known, as are target and person."""
    target: str
    person: str
    said: bytes
    """Hash of the turns' texts."""
    rewritten: bool
    """Whether the drafts differ from what was said in the end."""


class Talks:
    """The conversations of one file, in one version.

    Args:
        name: of the run or the file.
        scenarios: texts by id, for a run's rows.
    """

    def __init__(self, name: str, path: Path, version: Version = "final", scenarios: Mapping[str, str] = {}) -> None:
        self.name, self.path, self.version = name, path, version
        self._scenarios = scenarios
        self._briefs: dict[str, Brief] = {}
        self._state: tuple[int, int] | None = None

    def state(self) -> tuple[int, int]:
        """What changes when the file does. One that is not there yet is an empty one: a run begins so."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        except OSError as error:
            raise SynthError(f"{self.path} cannot be read: {error.strerror}.") from error
        return stat.st_mtime_ns, stat.st_size

    def briefs(self) -> Mapping[str, Brief]:
        """All conversations by id, in the file's order; a last row that is still being written is left out.

        Raises:
            SynthError: the file cannot be read, or a row of it is no conversation.
        """
        state = self.state()
        if state != self._state:
            self._briefs = self._read()
            self._state = state
        return self._briefs

    def lines(self, id_: str) -> tuple[Line, ...]:
        """What was said, in this version.

        Raises:
            SynthError: there is no such conversation any more.
        """
        brief = self.briefs().get(id_)
        if brief is None:
            raise SynthError(f"{self.name} has no conversation {id_!r}.")
        with self.path.open("rb") as file:
            file.seek(brief.start)
            return lines_of(_row(file.read(brief.length), self.path, 0), self.version)

    def _read(self) -> dict[str, Brief]:
        found: dict[str, Brief] = {}
        start = 0
        if not self.path.exists():
            return found
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.endswith(b"\n") and line.strip():
                        brief = self._brief(_row(line, self.path, number), start, len(line), number)
                        found[brief.id] = brief
                    start += len(line)
        except OSError as error:
            raise SynthError(f"{self.path} cannot be read: {error.strerror}.") from error
        return found

    def _brief(self, row: dict[str, Any], start: int, length: int, number: int) -> Brief:
        try:
            texts = [line.text for line in lines_of(row, "final")]
            profile, more = row.get("profile") or {}, row.get("metadata") or {}
            person = profile.get("person") or more.get("person") or {}
            scenario = self._scenarios.get(profile.get("scenario_id") or "", "")
            return Brief(
                id=str(row.get("id") or f"row {number}"),
                start=start,
                length=length,
                scenario=scenario or str((more.get("scenario") or {}).get("text", "")),
                target=str(row.get("target_id") or more.get("target") or ""),
                person=str(person.get("name", "")),
                said=hashlib.blake2b("\n".join(texts).encode("utf-8", "replace"), digest_size=8).digest(),
                rewritten=any(draft != text for draft, text in zip(row.get("drafts") or (), texts, strict=False)),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SynthError(
                f"{self.path}, line {number} is no conversation.",
                "Rows have `turns` (speaker, text) or `messages` (role, content).",
            ) from error


def lines_of(row: Mapping[str, Any], version: Version) -> tuple[Line, ...]:
    """The turns of a row: of `conversations.jsonl`, or with chat `messages`.

    Raises:
        KeyError, TypeError, ValueError: it is neither.
    """
    if "turns" in row:
        drafts = row.get("drafts") or ()
        return tuple(
            Line(
                _speaker(turn["speaker"]),
                str(drafts[n] if version == "draft" and n < len(drafts) else turn["text"]),
                str(turn.get("act", "")),
                tuple(map(str, turn.get("products") or ())),
                tuple(map(str, turn.get("images") or ())),
            )
            for n, turn in enumerate(row["turns"])
        )
    said = (message for message in row["messages"] if message["role"] != "system")
    return tuple(Line(_speaker(message["role"]), _content(message["content"])) for message in said)


def _speaker(name: str) -> str:
    if name not in ("user", "assistant"):
        raise ValueError(name)
    return name


def _content(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SynthError(f"{path}, line {number} is no JSON.", "It has one conversation a line.") from error
    if not isinstance(row, dict):
        raise SynthError(f"{path}, line {number} is no JSON object.", "It has one conversation a line.")
    return row
