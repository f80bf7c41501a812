"""Several runs' stores made one: replies, results, events and money, and the texts they point at."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from synth.traces.store import DICTIONARY_KEY, KEY, Packer, RunStore, store_failure

_OF_DRAWS = "('profile', 'conversation')"
_ELSEWHERE = "another part of the run had asked the same"


class Part(NamedTuple):
    """A store that goes into another one."""

    path: Path
    """Its `run.db`."""
    offset: int = 0
    """What its draws' numbers grow by."""


def unite(target: Path, parts: Sequence[Part], *, resumable: bool) -> None:
    """Makes a store that holds what all the parts hold; none of them is changed.

    A call that belongs to no draw (scenarios, captions, what conversations share) is taken from the first part that
    has it. What other parts paid for the same is kept as money spent without a reply, so that costs add up.

    Args:
        resumable: whether a run can go on with it, so that finished items are needed; only without offsets.

    Raises:
        SynthError: a part cannot be read, or the disk is full.
    """
    RunStore(target).close()
    try:
        with closing(sqlite3.connect(target.resolve().as_uri(), uri=True, isolation_level=None)) as db:
            for part in parts:
                db.execute("ATTACH ? AS part", (f"{part.path.resolve().as_uri()}?mode=ro",))
                _prepare(db, part)
                db.execute("BEGIN")
                _take(db, part.offset, resumable=resumable)
                db.execute("COMMIT")
                db.execute("DETACH part")
    except sqlite3.Error as error:
        raise store_failure(target, error) from error


def highest(path: Path) -> int:
    """The highest number of an item in a store; 0 where there is none."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        numbers = "SELECT max(item) AS item FROM calls UNION ALL SELECT max(item) FROM results"
        return int(db.execute(f"SELECT coalesce(max(item), 0) FROM ({numbers})").fetchone()[0])


def _prepare(db: sqlite3.Connection, part: Part) -> None:
    """Makes the SQL functions that turn the attached part's bodies (`packed`) and keys (`keyed`) into the target's."""
    own, other = (_dictionary(db, schema) for schema in ("main", "part"))
    unpack, pack = Packer(other).unpack, Packer(own).pack
    # Without a dictionary a body can be read anywhere; and the first dictionary that comes is the target's own.
    same = not other or not own or own == other
    packed: Callable[[bytes], bytes] = (lambda body: body) if same else (lambda body: pack(unpack(body)))
    # A call of another run may have the very same key; and under another number its key is of no use.
    salt = part.offset.to_bytes(8, "big")
    keyed: Callable[[bytes], bytes] = (
        (lambda key: hashlib.blake2b(key + salt, digest_size=KEY).digest()) if part.offset else (lambda key: key)
    )
    db.create_function("packed", 1, packed, deterministic=True)
    db.create_function("keyed", 1, keyed, deterministic=True)


def _dictionary(db: sqlite3.Connection, schema: str) -> bytes:
    row = db.execute(f"SELECT body FROM {schema}.texts WHERE hash = ?", (DICTIONARY_KEY,)).fetchone()
    return bytes(row[0]) if row else b""


def _take(db: sqlite3.Connection, offset: int, *, resumable: bool) -> None:
    """Copies the attached part, in the order in which things were logged."""
    # What conversations share belongs to no number.
    item = f"iif(stage = 'shared', item, item + {offset})"
    rest = ", ".join(name for (name,) in db.execute("SELECT name FROM pragma_table_info('calls') LIMIT -1 OFFSET 3"))
    db.execute(
        f"CREATE TEMP TABLE known AS SELECT key FROM part.calls WHERE stage NOT IN {_OF_DRAWS} "
        f"AND (stage, {item}, step, attempt) IN "
        f"(SELECT stage, item, step, attempt FROM main.calls WHERE stage NOT IN {_OF_DRAWS})"
    )
    db.execute(
        "INSERT INTO texts SELECT hash, packed(body) FROM part.texts WHERE hash NOT IN (SELECT hash FROM main.texts)"
    )
    db.execute(
        f"INSERT OR IGNORE INTO calls SELECT keyed(key), stage, {item}, {rest} FROM part.calls "
        "WHERE key NOT IN (SELECT key FROM known) ORDER BY rowid"
    )
    reservation = "(key, stage, item, call, model, usd, state, reason)"
    db.execute(
        f"INSERT INTO reservations {reservation} SELECT keyed(key), stage, {item}, call, model, usd, 'failed', ? "
        "FROM part.calls WHERE usd > 0 AND key IN (SELECT key FROM known) ORDER BY rowid",
        (_ELSEWHERE,),
    )
    db.execute(
        f"INSERT INTO reservations {reservation} SELECT keyed(key), stage, {item}, call, model, usd, state, reason "
        "FROM part.reservations ORDER BY id"
    )
    db.execute("INSERT OR IGNORE INTO waves SELECT * FROM part.waves")
    starts = db.execute("SELECT count(*) FROM main.results WHERE stage = 'run'").fetchone()[0]
    place = f"iif(stage = 'run', item + {starts}, {item})"
    db.execute(f"INSERT OR IGNORE INTO events SELECT stage, {place}, number, packed(body) FROM part.events")
    db.execute(
        f"INSERT OR IGNORE INTO results SELECT stage, {place}, packed(body) FROM part.results "
        f"WHERE stage = 'run' OR {int(resumable)}"
    )
    db.execute("DROP TABLE known")
