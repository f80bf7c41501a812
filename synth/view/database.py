"""The side index on disk: `view.db` in the run's folder, or a passing one where that cannot be written."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FORMAT = 1
SPAN = 1000
"""Row ids of the search tables: a draw's number times this, plus the turn's index or the call's place."""
_SCHEMA = """
CREATE TABLE files (name TEXT PRIMARY KEY, position INTEGER NOT NULL, mark BLOB NOT NULL, broken INTEGER NOT NULL);
CREATE TABLE scenarios (id TEXT PRIMARY KEY, family TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE draws (
    number INTEGER PRIMARY KEY, file INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    verdict TEXT NOT NULL, reason TEXT NOT NULL, scenario TEXT NOT NULL, family TEXT NOT NULL, category TEXT NOT NULL,
    opening TEXT NOT NULL, ending TEXT NOT NULL, score REAL, turns INTEGER NOT NULL, round INTEGER NOT NULL,
    target TEXT NOT NULL, picture TEXT NOT NULL, first TEXT NOT NULL, outfit TEXT NOT NULL,
    calls INTEGER, tokens INTEGER, usd REAL, seconds REAL, errors INTEGER);
CREATE INDEX unread ON draws (file, number) WHERE calls IS NULL;
CREATE INDEX facets ON draws (verdict, ending, opening, family, category, scenario, score, errors);
CREATE TABLE models (model TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (model, number)) WITHOUT ROWID;
CREATE VIRTUAL TABLE turns USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE messages USING fts5 (
    text, content='', detail=none, columnsize=0, tokenize='unicode61 remove_diacritics 2');
"""
_MARKED = 256
"""Bytes."""
SEARCHED, PLAIN = ("turns", "messages"), ("files", "scenarios", "draws", "models")


def open_place(folder: Path) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Where the index is, ready for use. What cannot be read as one is made anew: nothing in it is the only copy.

    Returns:
        the file, and the passing folder it is in where the run's own cannot be written.
    """
    path = folder / "view.db"
    for attempt in range(2):
        try:
            _prepare(path)
            return path, None
        except sqlite3.OperationalError:
            break  # no permission, no space, locked by somebody, no write-ahead log on a network drive
        except sqlite3.DatabaseError:
            if attempt:
                break
            try:
                for file in (path, *(path.with_name(f"view.db{end}") for end in ("-wal", "-shm"))):
                    file.unlink(missing_ok=True)
            except OSError:
                break
    passing = tempfile.TemporaryDirectory(prefix="synth-view-", ignore_cleanup_errors=True)
    path = Path(passing.name) / "view.db"
    _prepare(path)
    return path, passing


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=NORMAL")  # in a write-ahead log, a crash loses the last steps and breaks nothing
    return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; another viewer of the run waits."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def file_mark(file: BinaryIO, position: int) -> bytes:
    """A hash by which a file is known again: of its beginning, and of what stands before a position."""
    file.seek(0)
    head = file.read(min(_MARKED, position))
    file.seek(max(position - _MARKED, 0))
    return hashlib.blake2b(head + file.read(min(_MARKED, position)), digest_size=12).digest()


def _prepare(path: Path) -> None:
    with contextlib.closing(connect(path)) as db:
        if db.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise sqlite3.OperationalError("no write-ahead log here")
        with transaction(db):
            if db.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                return
            for table in (*SEARCHED, *PLAIN):
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={FORMAT}")
