"""Builds a run's side index, `view.db`, in small steps behind the pages, and follows a run that is going on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from synth.corpora.records import Conversation
from synth.errors import SynthError
from synth.traces.reader import ACCEPTED, Draw, RunReader, read_draw
from synth.traces.store import LoggedCall, RunStore
from synth.view.database import PLAIN, SEARCHED, SPAN, connect, file_mark, open_place, transaction

FILES = ("conversations.jsonl", "rejected.jsonl")
_DRAWS, _CALLED = 100, 20
"""Draws a step: of the files, and of the calls."""
_POLL = 1.0
"""Seconds between looks at a run that has nothing new."""
_POLITE = 0.25
"""Seconds after a question in which building waits, so that the page that asks is made first."""
_LARGEST = 1 << 50
"""Draws' numbers stay below it, and row ids within 64 bits."""


class Progress:
    """How far the index is, and what is wrong."""

    known = 0
    """Draws in the run's files."""
    indexed = 0
    """Of them, in the list."""
    read = 0
    """Of them, with their calls: tokens, cost, messages."""
    accepted = 0
    wanted: int | None = None
    """Conversations the run is to have."""
    running = False
    problem = ""
    """One line for the page; empty if all is well."""

    @property
    def growing(self) -> bool:
        return self.read < self.known


class Indexer:
    """The one of this process that writes `view.db`; another viewer of the same run may be at it as well."""

    def __init__(self, reader: RunReader) -> None:
        self.progress = Progress()
        self.asked = 0.0
        """When a page last asked for something (monotonic)."""
        self._reader = reader
        self._store: RunStore | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._failed: dict[int, int] | None = None
        self._sizes: tuple[int, ...] = ()
        self.path, self._passing = open_place(reader.path)
        self._db = connect(self.path)
        self._count()
        self._thread = threading.Thread(target=self._work, name="view-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(10)
        with self._lock:
            self._db.close()
            if self._store is not None:
                self._store.close()
        if self._passing is not None:
            self._passing.cleanup()

    def update(self) -> None:
        """Indexes all there is now, and returns when it is done."""
        while self._step():
            pass

    def _work(self) -> None:
        while not self._closing.is_set():
            if not self._step():
                self.look()
                self._closing.wait(_POLL)
            while time.monotonic() - self.asked < _POLITE and self.progress.indexed and not self._closing.is_set():
                self._closing.wait(0.02)

    def _step(self) -> bool:
        """One step, in one transaction; False if there was nothing to do."""
        with self._lock:
            if self._closing.is_set():
                return False
            try:
                with transaction(self._db):
                    done = self._read_rows() or self._read_calls()
                self._count()
            except Exception as error:  # this is a thread's work: whatever it is, the page must say so
                self.progress.problem = f"The list is behind the run's files: {error}"
                return False
            if done or not self.progress.growing:
                self.progress.problem = self._broken()
            return done

    # ---- the run's rows

    def _read_rows(self) -> bool:
        for place, name in enumerate(FILES):
            path = self._reader.path / name
            known = self._db.execute("SELECT position, mark, broken FROM files WHERE name = ?", (name,)).fetchone()
            if not path.is_file():
                if known:
                    self._clear()
                continue
            position, mark, broken = known or (0, b"", 0)
            with path.open("rb") as file:
                if position and file_mark(file, position) != mark:
                    # The file is not the one that was read: start anew.
                    self._clear()
                    return True
                file.seek(position)
                lines = [line for _, line in zip(range(_DRAWS), file, strict=False)]
                if lines and not lines[-1].endswith(b"\n"):
                    lines.pop()  # still being written
                if not lines:
                    continue
                for line in lines:
                    broken += not self._put(place, position, line, path)
                    position += len(line)
                mark = file_mark(file, position)
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (name, position, mark, broken))
            return True
        return False

    def _put(self, place: int, start: int, line: bytes, path: Path) -> bool:
        """Whether the row could be read."""
        try:
            draw = read_draw(line, path)
        except SynthError:
            return False
        if not 0 <= draw.number < _LARGEST:
            return False
        profile, conversation = draw.profile, draw.conversation
        row = (
            draw.number,
            place,
            start,
            len(line),
            draw.verdict,
            draw.reason,
            *((profile.scenario_id, self._family(profile.scenario_id)) if profile else ("", "")),
            *self._target(draw, conversation),
        )
        turns = conversation.turns if conversation else ()
        added = self._db.execute(
            "INSERT OR IGNORE INTO draws (number, file, start, length, verdict, reason, scenario, family, target, "
            "category, picture, opening, ending, score, turns, round, first, outfit) "
            f"VALUES ({','.join('?' * 18)})",
            (
                *row,
                conversation.opening if conversation else "",
                conversation.ended_by if conversation else "",
                round(conversation.scores.total, 3) if conversation else None,
                len(turns),
                sum(turn.act == "recommend" for turn in turns),
                next((turn.text[:200] for turn in turns if turn.speaker == "user"), ""),
                (conversation.outfit_id if conversation else None) or "",
            ),
        )
        if added.rowcount:
            texts = [(draw.number * SPAN + turn.index, turn.text) for turn in turns if 0 <= turn.index < SPAN]
            self._db.executemany("INSERT INTO turns (rowid, text) VALUES (?, ?)", texts)
        return True

    def _target(self, draw: Draw, conversation: Conversation | None) -> tuple[str, str, str]:
        """Title, category and picture of the product that the buyer has in mind."""
        target_id = conversation.target_id if conversation else draw.profile.target_id if draw.profile else ""
        product = self._reader.product(target_id) if target_id else None
        if product is None:
            return target_id, "", ""
        category = product.categories[-1] if product.categories else product.attributes.get("type", "")
        pictures = (picture.hash for picture in product.images)
        return product.title, category, next((hash_ for hash_ in pictures if self._reader.picture(hash_)), "")

    def _family(self, id_: str) -> str:
        """A scenario's family; all scenarios are on file before the first draw is."""
        found = self._db.execute("SELECT family FROM scenarios WHERE id = ?", (id_,)).fetchone()
        if found is None:
            with contextlib.suppress(SynthError):
                rows = [(scenario.id, scenario.family, scenario.text) for scenario in self._reader.folder.scenarios()]
                self._db.executemany("INSERT OR REPLACE INTO scenarios VALUES (?, ?, ?)", rows)
            self._db.execute("INSERT OR IGNORE INTO scenarios VALUES (?, '', '')", (id_,))
            found = self._db.execute("SELECT family FROM scenarios WHERE id = ?", (id_,)).fetchone()
        return str(found[0])

    def _clear(self) -> None:
        for table in SEARCHED:
            self._db.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
        for table in PLAIN:
            self._db.execute(f"DELETE FROM {table}")

    def _broken(self) -> str:
        broken = self._db.execute("SELECT name, broken FROM files WHERE broken ORDER BY name").fetchall()
        if not broken:
            return ""
        found = ", ".join(f"{name} has {count} broken row{'s' * (count > 1)}" for name, count in broken)
        return f"{found}, left out here. Run the same command again to mend it."

    # ---- their calls

    def _read_calls(self) -> bool:
        unread = self._db.execute(
            f"SELECT number FROM draws WHERE calls IS NULL ORDER BY file, number LIMIT {_CALLED}"
        ).fetchall()
        if not unread:
            self._failed = None
            return False
        if self._store is None:
            self._store = self._reader.folder.store()
        if self._failed is None:
            self._failed = {}
            for reservation in self._store.reservations():
                if reservation.state != "open" and reservation.place.stage in ("profile", "conversation"):
                    item = reservation.place.item
                    self._failed[item] = self._failed.get(item, 0) + 1
        for (number,) in unread:
            self._put_calls(self._store, number)
        return True

    def _put_calls(self, store: RunStore, number: int) -> None:
        seen = set(_instructions())
        calls, tokens, usd, seconds, errors = 0, 0, 0.0, 0.0, (self._failed or {}).get(number, 0)
        models = set()
        for call in calls_of(store, number):
            if calls < SPAN:
                # What a later call repeats is found at the first.
                lines = [line for line in call.messages[-1].split("\n") if line not in seen] if call.messages else []
                seen.update(lines)
                self._db.execute(
                    "INSERT INTO messages (rowid, text) VALUES (?, ?)",
                    (number * SPAN + calls, "\n".join((*lines, call.reply))),
                )
            calls += 1
            tokens += call.input_tokens + call.output_tokens
            usd += call.usd
            seconds += call.seconds
            errors += call.tries - 1 + (call.place.attempt > 0)
            models.add((call.model, number))
        self._db.executemany("INSERT OR IGNORE INTO models VALUES (?, ?)", models)
        self._db.execute(
            "UPDATE draws SET calls = ?, tokens = ?, usd = ?, seconds = ?, errors = ? WHERE number = ?",
            (calls, tokens, usd, seconds, errors, number),
        )

    # ---- how far it is

    def _count(self) -> None:
        progress = self.progress
        progress.indexed = self._number("SELECT count(*) FROM draws")
        progress.read = progress.indexed - self._number("SELECT count(*) FROM draws WHERE calls IS NULL")
        progress.accepted = self._number(f"SELECT count(*) FROM draws WHERE verdict = '{ACCEPTED}'")
        paths = [self._reader.path / name for name in FILES]
        sizes = tuple(path.stat().st_size if path.is_file() else 0 for path in paths)
        if sizes != self._sizes:
            # Bytes that are not indexed yet, in rows.
            left = 0
            positions = dict(self._db.execute("SELECT name, position FROM files").fetchall())
            for path, size in zip(paths, sizes, strict=True):
                if size > positions.get(path.name, 0):
                    with path.open("rb") as file:
                        file.seek(positions.get(path.name, 0))
                        left += sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
            progress.known = progress.indexed + left
            self._sizes = sizes
        elif self._number("SELECT coalesce(sum(position), 0) FROM files") == sum(sizes):
            progress.known = progress.indexed

    def _number(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])

    def look(self) -> None:
        """Whether the run is going on. Its lock is tried only where it may be held: trying takes it for a moment."""
        try:
            if self._store is None:
                self._store = self._reader.folder.store()
            self.progress.wanted = self._store.meta("convs")
            finished = bool(self._store.meta("finished")) and self.progress.accepted >= (self.progress.wanted or 0)
            self.progress.running = not finished and self._reader.folder.running()
        except Exception:  # a database that cannot be read is said where its calls are
            self.progress.running = False


def calls_of(store: RunStore, number: int) -> Iterator[LoggedCall]:
    """A draw's calls, each with its last message only, in the order of `RunReader.steps`."""
    for stage in ("profile", "conversation"):
        yield from store.calls(stage, item=number, last=True)


@cache
def _instructions() -> frozenset[str]:
    """Lines that stand in this package's prompts as they are: found in every conversation, they find none."""
    prompts = (file for file in files("synth.prompts").iterdir() if file.name.endswith(".md"))
    return frozenset(line for file in prompts for line in file.read_text("utf-8").split("\n")) | {""}
