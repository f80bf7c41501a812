"""A run on disk: settings, store, rows and pictures in one folder that can be copied, zipped and moved."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from filelock import FileLock, Timeout
from pydantic import ValidationError

from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Picture, Record, Rejected, Scenario, UserProfile
from synth.errors import SynthError
from synth.traces.store import RunStore

FORMAT = 2
R = TypeVar("R", bound=Record)


class RunFolder:
    """`runs/NAME/`. Readers need nothing but the folder; the one writer holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / "lock")

    # ---- opening

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run, for reading.

        Raises:
            SynthError: the folder is missing, is no run, or is one of another format.
        """
        run = cls(path)
        if not run.exists():
            raise SynthError(f"{path} is not a run (no config.toml in it).", "See `synth run list`.")
        run.config()
        return run

    def exists(self) -> bool:
        return (self.path / "config.toml").is_file()

    def create(self, config: dict[str, Any]) -> None:
        """Makes the folder with its resolved settings.

        Raises:
            SynthError: the folder exists and is not empty.
        """
        left_over = {"config.toml.tmp", "lock"}  # of a process that died here
        if self.path.exists() and (not self.path.is_dir() or {p.name for p in self.path.iterdir()} - left_over):
            raise SynthError(f"{self.path} exists and is not a run.", "Choose another --out.")
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "config.toml", tomli_w.dumps({"format": FORMAT, **config}))

    def config(self) -> dict[str, Any]:
        path = self.path / "config.toml"
        try:
            config = tomllib.loads(path.read_text("utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SynthError(f"{path} cannot be read: {error}.") from error
        if config.get("format") != FORMAT:
            raise SynthError(
                f"{self.path} is a run of format {config.get('format')}, this synth reads format {FORMAT}.",
                "Use the synth version that made it, or start a new run with --fresh.",
            )
        return config

    def lock(self) -> None:
        """Makes this process the run's writer; the lock goes with the process.

        Raises:
            SynthError: another process is at work on the run.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SynthError(
                f"Another process is working on {self.path}.",
                f"Wait for it, or stop it with `synth run stop {self.path}`.",
            ) from None

    def unlock(self) -> None:
        self._lock.release()

    def running(self) -> bool:
        """Whether some process holds the lock. A folder that nobody can write to is at rest."""
        probe = FileLock(self.path / "lock")
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:
            return False
        probe.release()
        return False

    def store(self, *, readonly: bool = True) -> RunStore:
        path = self.path / "run.db"
        if readonly and not path.is_file():
            raise SynthError(f"{self.path} has no run.db yet.", "Start it with `synth generate`.")
        return RunStore(path, readonly=readonly)

    # ---- rows

    def accepted(self) -> int:
        """How many conversations the run has on file."""
        path = self.path / "conversations.jsonl"
        if not path.is_file():
            return 0
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def scenarios(self) -> list[Scenario]:
        return list(read_rows(self.path / "scenarios.jsonl", Scenario))

    def profiles(self) -> Iterator[UserProfile]:
        return read_rows(self.path / "profiles.jsonl", UserProfile)

    def conversations(self) -> Iterator[Conversation]:
        return read_rows(self.path / "conversations.jsonl", Conversation)

    def rejected(self) -> Iterator[Rejected]:
        return read_rows(self.path / "rejected.jsonl", Rejected)

    # ---- what the run shows

    def catalogue(self) -> Catalogue:
        """The catalogue's records as they were; its pictures are those the conversations show."""
        return Catalogue.open(self.path / "catalogue", images=self.path / "images")

    def keep_catalogue(self, catalogue: Catalogue, *, anew: bool = False) -> None:
        """Copies the catalogue's records into the run; `anew` even if they are there."""
        target = self.path / "catalogue"
        if (target / "catalogue.json").is_file() and not anew:
            return
        target.mkdir(exist_ok=True)
        shutil.copyfile(catalogue.folder / "products.jsonl", target / "products.jsonl")
        write_atomically(target / "catalogue.json", (catalogue.folder / "catalogue.json").read_text("utf-8"))

    def keep_picture(self, catalogue: Catalogue, picture: Picture) -> None:
        """Copies a picture into the run; one that is missing from the catalogue is left out."""
        target = self.path / "images" / picture.filename
        source = catalogue.image_path(picture)
        if target.exists() or not source.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".tmp")
        shutil.copyfile(source, partial)
        os.replace(partial, target)


class RowWriter:
    """A JSONL file that only grows. Rows that an earlier process has written are passed over as they come again."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("r+b")
        self._known = True

    def write(self, row: str) -> None:
        line = row.encode() + b"\n"
        if self._known:
            start = self._file.tell()
            if self._file.readline() == line:
                return
            # The end of what is known, or half a row of a process that died.
            self._known = False
            self._file.seek(start)
            self._file.truncate()
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def write_atomically(path: Path, text: str) -> None:
    """Writes beside the file and moves it into place, so nobody ever reads half of it."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(partial, path)


def read_rows(path: Path, kind: type[R]) -> Iterator[R]:
    """Rows of a JSONL file of records. A last line that is still being written is left out.

    Raises:
        SynthError: the file is missing or a row is broken.
    """
    if not path.is_file():
        raise SynthError(f"{path} does not exist.", "The run has not got that far; run the same command again.")
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise SynthError(
                    f"{path}, line {number} is broken: {problem}.", "Run the same command again to mend it."
                ) from error


def list_runs(folder: Path) -> list[RunFolder]:
    """Runs below a folder, by name."""
    if not folder.is_dir():
        return []
    return [RunFolder(path) for path in sorted(folder.iterdir()) if (path / "config.toml").is_file()]


def row(record: Record) -> str:
    return record.model_dump_json()
