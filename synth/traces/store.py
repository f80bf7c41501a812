"""The run's store, `run.db`: the append-only log of model calls, events, and finished items.

A reply is committed before it is used. Calls that become ready together are committed together, so that the log
costs one transaction for many conversations, not one each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from synth.errors import SynthError
from synth.traces.events import EVENT, Event

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS texts (hash BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    key BLOB PRIMARY KEY, stage TEXT NOT NULL, item INTEGER NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL,
    call TEXT NOT NULL, side TEXT NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, messages BLOB NOT NULL,
    images TEXT NOT NULL, reply TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, seconds REAL NOT NULL, tries INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS calls_by_item ON calls (stage, item);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, stage TEXT NOT NULL, item INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_item ON events (stage, item);
CREATE TABLE IF NOT EXISTS results (
    stage TEXT NOT NULL, item INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (stage, item)) WITHOUT ROWID;
"""
_HASH = 12
_COMPRESS_FROM = 160


class Place(NamedTuple):
    """Where in a run a call stands: part of its key, so that two equal calls at two places are two samples."""

    stage: str
    item: int
    step: str
    attempt: int = 0


class CallRow(NamedTuple):
    """One answered model call, as logged."""

    key: bytes
    place: Place
    call: str
    side: str
    prompt: str
    model: str
    messages: Sequence[str]
    """Texts, system first."""
    images: Sequence[str]
    """Content hashes of the pictures sent."""
    reply: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    seconds: float
    """Wall time of the successful try."""
    tries: int


class LoggedCall(NamedTuple):
    """A call read back from the log."""

    place: Place
    call: str
    side: str
    model: str
    messages: tuple[str, ...]
    """Texts, system first."""
    reply: str


def text_hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_HASH).digest()


class RunStore:
    """`run.db`, opened by the one process that runs the run, or read-only by any other.

    Raises:
        SynthError: the file is no run store, or lies where SQLite cannot keep a write-ahead log (a network drive).
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        try:
            if readonly:
                self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
                self._db.execute("SELECT count(*) FROM meta")
            else:
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                mode = self._db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                if mode != "wal":
                    raise SynthError(
                        f"{path.parent} lies on a drive where SQLite cannot keep a write-ahead log (network drive?).",
                        "Choose an --out on a local disk.",
                    )
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise SynthError(f"{path} cannot be opened as a run's store: {error}.") from error
        self._pending: list[CallRow] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._stored: set[bytes] = set()
        self._keys = {row[0] for row in self._db.execute("SELECT key FROM calls")} if not readonly else set()

    def close(self) -> None:
        self._db.close()

    # ---- the reply log

    def reply(self, key: bytes) -> str | None:
        """The logged reply of a call, if there is one."""
        if key not in self._keys:
            return None
        row = self._db.execute("SELECT reply FROM calls WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    async def log(self, row: CallRow) -> None:
        """Returns when the reply is committed."""
        loop = asyncio.get_running_loop()
        if not self._pending:
            loop.call_soon(self._commit)
        self._pending.append(row)
        committed: asyncio.Future[None] = loop.create_future()
        self._waiting.append(committed)
        await committed

    def _commit(self) -> None:
        rows, waiting = self._pending, self._waiting
        self._pending, self._waiting = [], []
        texts: dict[bytes, bytes] = {}
        calls = []
        for row in rows:
            hashes = b""
            for text in row.messages:
                digest = text_hash(text)
                hashes += digest
                if digest not in self._stored and digest not in texts:
                    texts[digest] = _pack(text)
            place = row.place
            calls.append(
                (row.key, *place, row.call, row.side, row.prompt, row.model, hashes, " ".join(row.images), row.reply)
                + (row.input_tokens, row.output_tokens, row.cached_tokens, row.seconds, row.tries)
            )
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", list(texts.items()))
            self._db.executemany(f"INSERT OR IGNORE INTO calls VALUES ({','.join('?' * 17)})", calls)
            self._db.execute("COMMIT")
        except Exception as error:  # this is a callback: whatever it is, those who wait must hear of it
            self._roll_back()
            failure = store_failure(self.path, error)
            for committed in waiting:
                if not committed.done():
                    committed.set_exception(failure)
            return
        self._stored.update(texts)
        self._keys.update(row.key for row in rows)
        for committed in waiting:
            if not committed.done():
                committed.set_result(None)

    # ---- finished items

    def finish(self, stage: str, item: int, body: str, events: Iterable[Event] = ()) -> None:
        """Commits an item's result together with its events."""
        rows = [(stage, item, event.model_dump_json()) for event in events]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (stage, item, body))
            self._db.execute("DELETE FROM events WHERE stage = ? AND item = ?", (stage, item))
            self._db.executemany("INSERT INTO events (stage, item, body) VALUES (?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise store_failure(self.path, error) from error

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def results(self, stage: str) -> dict[int, str]:
        """Finished items of a stage by number."""
        return dict(self._db.execute("SELECT item, body FROM results WHERE stage = ? ORDER BY item", (stage,)))

    # ---- facts about the run

    def set_meta(self, key: str, value: Any) -> None:
        try:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))
        except sqlite3.Error as error:
            raise store_failure(self.path, error) from error

    def meta(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    # ---- readers

    def calls(self, stage: str | None = None, side: str | None = None) -> Iterator[LoggedCall]:
        """Logged calls in the order of stage, item and logging, with their messages."""
        where = [("stage = ?", stage), ("side = ?", side)]
        conditions = [(clause, value) for clause, value in where if value is not None]
        clause = " AND ".join(c for c, _ in conditions) or "1"
        rows = self._db.execute(
            "SELECT stage, item, step, attempt, call, side, model, messages, reply FROM calls "
            f"WHERE {clause} ORDER BY stage, item",
            [value for _, value in conditions],
        )
        cache: dict[bytes, str] = {}
        for stage_, item, step, attempt, call, side_, model, hashes, reply in rows:
            texts = []
            for start in range(0, len(hashes), _HASH):
                digest = hashes[start : start + _HASH]
                if digest not in cache:
                    if len(cache) > 20_000:
                        cache.clear()
                    cache[digest] = self._text(digest)
                texts.append(cache[digest])
            yield LoggedCall(Place(stage_, item, step, attempt), call, side_, model, tuple(texts), reply)

    def events(self, stage: str, item: int) -> list[Event]:
        rows = self._db.execute("SELECT body FROM events WHERE stage = ? AND item = ? ORDER BY id", (stage, item))
        return [EVENT.validate_json(body) for (body,) in rows]

    def call_counts(self) -> dict[str, int]:
        """Logged calls by call name."""
        return dict(self._db.execute("SELECT call, count(*) FROM calls GROUP BY call ORDER BY call"))

    def _text(self, digest: bytes) -> str:
        row = self._db.execute("SELECT body FROM texts WHERE hash = ?", (digest,)).fetchone()
        return _unpack(row[0])


def store_failure(path: Path, error: Exception) -> SynthError:
    """A store error as one line."""
    if "full" in str(error):
        return SynthError(f"The disk with {path.parent} is full.", "Free some space and run the same command again.")
    if "locked" in str(error) or "busy" in str(error):
        return SynthError(f"{path} is locked by another process.", "Stop it, then run the same command again.")
    return SynthError(f"{path} cannot be written: {error}.", "Run the same command again once that is mended.")


def _pack(text: str) -> bytes:
    data = text.encode()
    return b"\x01" + zlib.compress(data, 1) if len(data) >= _COMPRESS_FROM else b"\x00" + data


def _unpack(body: bytes) -> str:
    data = zlib.decompress(body[1:]) if body[:1] == b"\x01" else body[1:]
    return data.decode()
