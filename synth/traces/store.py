"""The run's store, `run.db`: the append-only log of model calls, money reserved, events, and finished items.

A reply is committed before it is used, and the money for a call before it leaves. What becomes ready together is
committed together, so that the log costs one transaction for many conversations, not one each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from synth.errors import SynthError
from synth.traces.events import EVENT, EVENTS, Event

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS texts (hash BLOB PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    key BLOB PRIMARY KEY, stage TEXT NOT NULL, item INTEGER NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL,
    call TEXT NOT NULL, side TEXT NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, messages BLOB NOT NULL,
    images TEXT NOT NULL, reply TEXT NOT NULL, input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    written_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, image_tokens INTEGER NOT NULL, usd REAL NOT NULL,
    seconds REAL NOT NULL, tries INTEGER NOT NULL, roles TEXT NOT NULL, temperature REAL NOT NULL,
    max_tokens INTEGER NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS calls_by_item ON calls (stage, item);
CREATE TABLE IF NOT EXISTS reservations (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, stage TEXT NOT NULL, item INTEGER NOT NULL, call TEXT NOT NULL,
    model TEXT NOT NULL, usd REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS waves (
    id TEXT PRIMARY KEY, provider TEXT NOT NULL, batch TEXT, state TEXT NOT NULL, created REAL NOT NULL,
    keys BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    stage TEXT NOT NULL, item INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (stage, item, number));
CREATE TABLE IF NOT EXISTS results (
    stage TEXT NOT NULL, item INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stage, item));
"""
_PUT_RESERVATION = "INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
DICTIONARY_KEY = b"dictionary"
KEY = 16
"""Bytes of a call's key."""
_GATHER = 0.0005
"""Seconds in which what becomes ready joins one transaction."""
_HASH = 12
_COMPRESS_FROM = 48
_LEVEL = 3
_ALL = -1
"""Number under which all events of a finished item stand together."""
_DICTIONARY = 32_000
"""Bytes of a run's first conversations against which all its texts are compressed; deflate looks back no further."""


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
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    image_tokens: int
    """Of `input_tokens`, by the provider's published rule; no provider counts them apart."""
    usd: float
    seconds: float
    """Wall time of the successful try."""
    tries: int
    roles: str = ""
    """First letters of the messages' roles: system, user, assistant."""
    temperature: float = 0.0
    max_tokens: int = 0
    ended: float = 0.0
    """Unix time of the reply."""


class Reservation(NamedTuple):
    """Money set aside for one try of a call."""

    id: int
    key: bytes
    place: Place
    call: str
    model: str
    usd: float
    """The most that the try can cost; once it is over without a logged reply, what it did cost."""
    state: Literal["open", "failed", "lost"] = "open"
    """`failed`: answered, and of no use. `lost`: it left and no answer came, so it counts as spent."""
    reason: str = ""


class Wave(NamedTuple):
    """Calls that went to a provider as one batch."""

    id: str
    provider: str
    batch: str | None
    """The provider's id; None while it is not known whether the batch was created."""
    state: Literal["open", "done"]
    created: float
    """Unix time."""
    keys: tuple[bytes, ...]
    """The calls, by their position in the wave."""


class LoggedCall(NamedTuple):
    """A call read back from the log."""

    place: Place
    call: str
    side: str
    prompt: str
    """Hash of the prompt file."""
    model: str
    messages: tuple[str, ...]
    """Texts, system first."""
    roles: str
    """First letters of the messages' roles."""
    images: tuple[str, ...]
    """Content hashes of the pictures sent."""
    reply: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    image_tokens: int
    usd: float
    seconds: float
    tries: int
    temperature: float
    max_tokens: int
    ended: float


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
                self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
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
        self._reserved: list[Reservation] = []
        self._settled: list[int] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._events: list[tuple[str, int, int, bytes]] = []
        self._stored: set[bytes] = set()
        self._packer = Packer(self._dictionary())
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

    async def log(self, row: CallRow, settles: int | None = None) -> None:
        """Returns when the reply is committed.

        Args:
            settles: reservation that the reply's own cost replaces, in the same transaction.
        """
        self._pending.append(row)
        if settles is not None:
            self._settled.append(settles)
        await self._committed()

    async def reserve(self, reservations: Iterable[Reservation]) -> None:
        """Returns when the reservations are committed, so that the calls may leave."""
        self._reserved += reservations
        await self._committed()

    def release(self, reservation: Reservation) -> None:
        """Commits what a try without a logged reply cost; nothing is kept of one that cost nothing."""
        self._reserved = [waiting for waiting in self._reserved if waiting.id != reservation.id]
        try:
            if reservation.usd:
                self._db.execute(_PUT_RESERVATION, _reservation_row(reservation))
            else:
                self._db.execute("DELETE FROM reservations WHERE id = ?", (reservation.id,))
        except sqlite3.Error as error:
            raise store_failure(self.path, error) from error

    def _committed(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(_GATHER, self._commit)
        committed: asyncio.Future[None] = loop.create_future()
        self._waiting.append(committed)
        return committed

    def _commit(self) -> None:
        rows, reserved, settled, waiting = self._pending, self._reserved, self._settled, self._waiting
        self._pending, self._reserved, self._settled, self._waiting = [], [], [], []
        texts: dict[bytes, bytes] = {}
        calls = []
        learnt = b""
        events, self._events = self._events, []
        for row in rows:
            hashes = b""
            for text in row.messages:
                digest = text_hash(text)
                hashes += digest
                if digest not in self._stored and digest not in texts:
                    texts[digest] = self._packer.pack(text)
                    if row.place.stage == "conversation" and self._packer.learn(text):
                        learnt = self._packer.dictionary
            head = (row.key, *row.place, row.call, row.side, row.prompt, row.model, hashes, " ".join(row.images))
            calls.append(head + row[row._fields.index("reply") :])
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if calls:
                self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", list(texts.items()))
                self._db.executemany(f"INSERT OR IGNORE INTO calls VALUES ({','.join('?' * 24)})", calls)
            if learnt:
                self._db.execute("INSERT INTO texts VALUES (?, ?)", (DICTIONARY_KEY, learnt))
            if events:
                self._db.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)", events)
            if settled:
                self._db.executemany("DELETE FROM reservations WHERE id = ?", [(id_,) for id_ in settled])
            if reserved:
                self._db.executemany(_PUT_RESERVATION, map(_reservation_row, reserved))
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

    # ---- money and batches

    def reservations(self) -> list[Reservation]:
        """Tries without a logged reply: those under way, and those that cost something all the same."""
        rows = self._db.execute("SELECT id, key, stage, item, call, model, usd, state, reason FROM reservations")
        return [
            Reservation(id_, key, Place(stage, item, ""), call, model, usd, state, reason)
            for id_, key, stage, item, call, model, usd, state, reason in rows
        ]

    def spent(self) -> float:
        """USD that the logged replies cost."""
        return float(self._db.execute("SELECT coalesce(sum(usd), 0) FROM calls").fetchone()[0])

    def put_wave(self, wave: Wave) -> None:
        """Commits a wave as it now stands."""
        row = (wave.id, wave.provider, wave.batch, wave.state, wave.created, b"".join(wave.keys))
        try:
            self._db.execute("INSERT OR REPLACE INTO waves VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise store_failure(self.path, error) from error

    def waves(self) -> list[Wave]:
        """All batches of the run, oldest first."""
        rows = self._db.execute("SELECT id, provider, batch, state, created, keys FROM waves ORDER BY created, id")
        return [
            Wave(id_, provider, batch, state, created, tuple(keys[i : i + KEY] for i in range(0, len(keys), KEY)))
            for id_, provider, batch, state, created, keys in rows
        ]

    # ---- events and finished items

    def note(self, stage: str, item: int, number: int, event: Event) -> None:
        """Keeps an event of an item under way; it is committed with the next reply, or with the item.

        Args:
            number: its place among the item's events; noted again after a kill, it takes its own place.
        """
        self._events.append((stage, item, number, b"\x00" + event.model_dump_json().encode()))

    def finish(self, stage: str, item: int, body: str, events: Sequence[Event] = ()) -> None:
        """Commits an item's result together with all its events."""
        packed = self._packer.pack(EVENTS.dump_json(list(events)).decode())
        self._events = [row for row in self._events if row[:2] != (stage, item)]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (stage, item, self._packer.pack(body)))
            self._db.execute("DELETE FROM events WHERE stage = ? AND item = ?", (stage, item))
            self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (stage, item, _ALL, packed))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise store_failure(self.path, error) from error

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def results(self, stage: str) -> dict[int, str]:
        """Finished items of a stage by number."""
        rows = self._db.execute("SELECT item, body FROM results WHERE stage = ? ORDER BY item", (stage,))
        return {item: self._packer.unpack(body) for item, body in rows}

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

    def calls(
        self,
        stage: str | None = None,
        side: str | None = None,
        item: int | None = None,
        step: str | None = None,
        *,
        last: bool = False,
    ) -> Iterator[LoggedCall]:
        """Logged calls in the order of stage, item and logging, with their messages, or only the last one of each."""
        where = [("stage = ?", stage), ("side = ?", side), ("item = ?", item), ("step = ?", step)]
        conditions = [(clause, value) for clause, value in where if value is not None]
        clause = " AND ".join(c for c, _ in conditions) or "1"
        rows = self._db.execute(
            "SELECT stage, item, step, attempt, call, side, prompt, model, messages, roles, images, reply, "
            "input_tokens, cached_tokens, output_tokens, image_tokens, usd, seconds, tries, "
            "temperature, max_tokens, ended "
            f"FROM calls WHERE {clause} ORDER BY stage, item, rowid",
            [value for _, value in conditions],
        )
        cache: dict[bytes, str] = {}
        for stage_, item_, step_, attempt, call, side_, prompt, model, hashes, roles, images, *rest in rows:
            texts = []
            for start in range(len(hashes) - _HASH if last else 0, len(hashes), _HASH):
                digest = hashes[start : start + _HASH]
                if digest not in cache:
                    if len(cache) > 20_000:
                        cache.clear()
                    cache[digest] = self._text(digest)
                texts.append(cache[digest])
            place = Place(stage_, item_, step_, attempt)
            yield LoggedCall(place, call, side_, prompt, model, tuple(texts), roles, tuple(images.split()), *rest)

    def events(self, stage: str, item: int) -> list[Event]:
        """What happened to an item, in order; of one under way, what is committed so far."""
        rows = self._db.execute(
            "SELECT number, body FROM events WHERE stage = ? AND item = ? ORDER BY number", (stage, item)
        )
        found: list[Event] = []
        for number, body in rows:
            text = self._packer.unpack(body)
            found += EVENTS.validate_json(text) if number == _ALL else [EVENT.validate_json(text)]
        return found

    def sums(self, columns: str, by: str, where: str = "1") -> list[tuple[Any, ...]]:
        """Aggregates over the logged calls: (group, columns…) for every value of the SQL expression `by`, ordered."""
        return self._db.execute(
            f"SELECT {by} AS name, {columns} FROM calls WHERE {where} GROUP BY 1 ORDER BY 1"
        ).fetchall()

    def call_counts(self) -> dict[str, int]:
        """Logged calls by call name."""
        return dict(self._db.execute("SELECT call, count(*) FROM calls GROUP BY call ORDER BY call"))

    def _text(self, digest: bytes) -> str:
        row = self._db.execute("SELECT body FROM texts WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            raise SynthError(
                f"{self.path} lacks a text that a call points at.", "It may be cut off; copy the run again."
            )
        return self._packer.unpack(row[0])

    def _dictionary(self) -> bytes:
        row = self._db.execute("SELECT body FROM texts WHERE hash = ?", (DICTIONARY_KEY,)).fetchone()
        return bytes(row[0]) if row else b""


def store_failure(path: Path, error: Exception) -> SynthError:
    """A store error as one line."""
    if "full" in str(error):
        return SynthError(f"The disk with {path.parent} is full.", "Free some space and run the same command again.")
    if "locked" in str(error) or "busy" in str(error):
        return SynthError(f"{path} is locked by another process.", "Stop it, then run the same command again.")
    return SynthError(f"{path} cannot be written: {error}.", "Run the same command again once that is mended.")


def _reservation_row(reservation: Reservation) -> tuple[Any, ...]:
    place = reservation.place
    return (reservation.id, reservation.key, place.stage, place.item, *reservation[3:])


class Packer:
    """Compresses texts against what a run's first conversations said; prompts and records repeat from call to call.

    The first byte of a body says how it is packed: as it is, by itself, or against the dictionary.
    """

    def __init__(self, dictionary: bytes) -> None:
        self.dictionary = dictionary
        self._learning = b""
        self._ready: Any = None

    def learn(self, text: str) -> bool:
        """Takes a text for the dictionary; True once that is full, and from then on in use."""
        if self.dictionary:
            return False
        self._learning += text.encode()
        if len(self._learning) < _DICTIONARY:
            return False
        self.dictionary = self._learning[-_DICTIONARY:]
        return True

    def pack(self, text: str) -> bytes:
        data = text.encode()
        if len(data) < _COMPRESS_FROM:
            return b"\x00" + data
        if not self.dictionary:
            return b"\x01" + zlib.compress(data, 1)
        if self._ready is None:
            self._ready = zlib.compressobj(_LEVEL, zdict=self.dictionary)
        # Copying a compressor that has read the dictionary is a quarter of the work of reading it again.
        packer = self._ready.copy()
        return b"".join((b"\x02", packer.compress(data), packer.flush()))

    def unpack(self, body: bytes) -> str:
        if body[:1] == b"\x02":
            unpacker = zlib.decompressobj(zdict=self.dictionary)
            return (unpacker.decompress(body[1:]) + unpacker.flush()).decode()
        return (zlib.decompress(body[1:]) if body[:1] == b"\x01" else body[1:]).decode()
