"""What a run's lists and searches are made from: rows by query, facets with counts, neighbours, snippets."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from markupsafe import Markup

from synth.errors import SynthError
from synth.traces.reader import RunReader, anchor_of
from synth.view.database import SPAN, connect
from synth.view.indexer import FILES, Indexer, Progress, calls_of
from synth.view.query import Query, snippet
from synth.view.selection import COLUMNS, FACETS, FROM, Row, Value, facet, order, where

PER_PAGE = 25
_FIRST_LOOK = 0.25
"""Seconds that the very first page waits for something to show."""


_KEPT = 100
"""Selections whose counts are kept."""


class Page(NamedTuple):
    """A page of a list."""

    query: Query
    rows: list[Row]
    total: int
    pages: int
    facets: dict[str, list[Value]]
    """By facet, most frequent first; a facet's counts leave its own choice aside."""
    indexed: int
    """Draws in the list so far."""
    of: int
    """Draws in the run's files."""
    notices: list[str]


class Snippet(NamedTuple):
    """Where a search was found in a draw."""

    text: Markup
    anchor: str
    """Fragment in the conversation's page: a turn, or a step that is to be opened."""
    step: bool


class RunIndex:
    """A run's draws, listed and searched. The index is built behind the pages and follows the run."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._indexer = Indexer(reader)
        self._lock = threading.Lock()
        self._db = connect(self._indexer.path)
        self._db.execute("PRAGMA temp_store=MEMORY")
        self._db.execute("CREATE TEMP TABLE judged (number INTEGER PRIMARY KEY, verdict TEXT NOT NULL)")
        self._db.execute("CREATE TEMP TABLE hits (number INTEGER PRIMARY KEY, position INTEGER NOT NULL)")
        self._hits: tuple[str, str, int] | None = None
        self._judged: tuple[int, int] | None = None
        self._counted: tuple[int, tuple[int, int] | None] = (0, None)
        self._known: dict[Query, tuple[dict[str, list[Value]], int]] = {}
        self._ordered: tuple[object, list[int]] = (None, [])

    def close(self) -> None:
        self._indexer.close()
        self._db.close()

    @property
    def progress(self) -> Progress:
        """How far the index and the run are."""
        return self._indexer.progress

    def update(self) -> None:
        """Indexes all that the run has now, and returns when it is done: for those who need the whole at once."""
        self._indexer.update()

    def look(self) -> None:
        """Looks now whether the run is going on; otherwise that is done every second."""
        self._indexer.look()

    def page(self, query: Query) -> Page:
        """
        Raises:
            SynthError: the index cannot be read.
        """
        end = time.monotonic() + _FIRST_LOOK
        while not self.progress.indexed and self.progress.known and time.monotonic() < end:
            time.sleep(0.01)
        notices = list(query.notices)
        if query.q and not query.match():
            notices.append(f"There is no word in “{query.q[:40]}” to search for.")
        if query.within == "messages" and any(len(term.words) > 1 for term in query.terms):
            notices.append("In agents' messages a phrase is searched for as its words, in any order.")
        with self._asking(query):
            facets, total = self._counts(query)
            pages = max(-(-total // PER_PAGE), 1)
            if query.page > pages:
                query = query.but(page=pages)
            condition, values = where(query)
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM {FROM} WHERE {condition} ORDER BY {order(query)} LIMIT ? OFFSET ?",
                (*values, PER_PAGE, PER_PAGE * (query.page - 1)),
            )
            found = [Row(*row) for row in rows]
        return Page(query, found, total, pages, facets, self.progress.indexed, self.progress.known, notices)

    def ids(self, query: Query, limit: int | None = None) -> list[str]:
        """Ids of the selection in its order, whatever the page."""
        return [f"c{number:06d}" for number in self._numbers(query, limit)]

    def neighbours(self, id_: str, query: Query) -> tuple[str | None, str | None]:
        """The ids before and after a draw in the selection; None at its ends, and where it is not part of it."""
        numbers = self._order(query)
        number = int(id_[1:]) if id_[1:].isdecimal() else -1
        if number not in numbers:
            return None, None
        place = numbers.index(number)
        before, after = numbers[:place][-1:], numbers[place + 1 : place + 2]
        return f"c{before[0]:06d}" if before else None, f"c{after[0]:06d}" if after else None

    def row(self, id_: str) -> Row | None:
        """A draw's row; None if the index has none (yet)."""
        if not id_[1:].isdecimal() or len(id_) > 15:
            return None
        with self._asking(Query()):
            row = self._db.execute(f"SELECT {COLUMNS} FROM {FROM} WHERE d.number = ?", (int(id_[1:]),)).fetchone()
        return Row(*row) if row else None

    def scenarios(self, ids: Iterable[str]) -> dict[str, str]:
        """Texts of scenarios by id."""
        wanted = json.dumps(list(ids))
        with self._asking(Query()):
            return dict(
                self._db.execute(
                    "SELECT id, text FROM scenarios WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
                )
            )

    def snippets(self, query: Query, rows: Iterable[Row]) -> dict[str, Snippet]:
        """Where the search was found first in each draw, by id."""
        if not query.match():
            return {}
        numbers = json.dumps([row.number for row in rows])
        with self._asking(query):
            found = self._db.execute(
                "SELECT number, position, file, start, length FROM hits JOIN draws USING (number) "
                "WHERE number IN (SELECT value FROM json_each(?))",
                (numbers,),
            ).fetchall()
        show = self._said if query.within == "turns" else self._asked
        # A run may be rewritten under our eyes; then there is no snippet, and the index is made anew.
        made = {}
        for number, position, *place in found:
            with contextlib.suppress(SynthError, OSError, ValueError, LookupError, TypeError, sqlite3.Error):
                made[f"c{number:06d}"] = show(query, number, position, *place)
        return made

    # ---- inside

    def _said(self, query: Query, _: int, position: int, file_number: int, start: int, length: int) -> Snippet:
        with (self._reader.path / FILES[file_number]).open("rb") as file:
            file.seek(start)
            row = json.loads(file.read(length))
        turns = (row.get("conversation") or row)["turns"]
        texts = {turn["index"]: turn["text"] for turn in turns}
        return Snippet(snippet(str(texts[position]), query.terms), f"t{position}", False)

    def _asked(self, query: Query, number: int, position: int, *_: int) -> Snippet:
        call = list(islice(calls_of(self._reader.store, number), position + 1))[position]
        text = "\n".join((*call.messages, call.reply))
        return Snippet(snippet(text, query.terms), anchor_of(call.place), True)

    def _counts(self, query: Query) -> tuple[dict[str, list[Value]], int]:
        """The facets and the number of draws; the same for all pages and orders of a selection."""
        state = (self._version(), self._judged)
        if state != self._counted:
            self._known.clear()
            self._counted = state
        selection = query.but(sort="")
        if selection not in self._known:
            condition, values = where(query)
            total = self._db.execute(f"SELECT count(*) FROM {FROM} WHERE {condition}", values).fetchone()[0]
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[selection] = {name: facet(self._db, name, query) for name in FACETS}, total
        return self._known[selection]

    def _version(self) -> int:
        """What another connection writes changes it."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _order(self, query: Query) -> list[int]:
        """The whole selection, kept for the next question: readers go from one draw of it to the next."""
        with self._asking(query):
            key = (query.but(), self._version(), self._judged)
        if key != self._ordered[0]:
            self._ordered = key, self._numbers(query, None)
        return self._ordered[1]

    def _numbers(self, query: Query, limit: int | None) -> list[int]:
        with self._asking(query):
            condition, values = where(query)
            rows = self._db.execute(
                f"SELECT d.number FROM {FROM} WHERE {condition} ORDER BY {order(query)} LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
            return [row[0] for row in rows]

    @contextlib.contextmanager
    def _asking(self, query: Query) -> Iterator[None]:
        """The connection for one question, with the search's hits and the judgements at hand."""
        self._indexer.asked = time.monotonic()
        with self._lock:
            try:
                self._search(query)
                self._judge()
                # One state of the index for all parts of the answer.
                self._db.execute("BEGIN")
                try:
                    yield
                finally:
                    self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise SynthError(
                    f"{self._indexer.path} cannot be read: {error}.", "Delete it: it is made anew."
                ) from error

    def _search(self, query: Query) -> None:
        match = query.match()
        key = (match, query.within, self._version())
        if not match or key == self._hits:
            return
        self._hits = None
        self._db.execute("DELETE FROM hits")
        # The rows come in their order, and the first of a draw stays.
        with contextlib.suppress(sqlite3.OperationalError):  # no word after all, in FTS5's eyes: nothing is found
            self._db.execute(
                f"INSERT OR IGNORE INTO hits SELECT rowid / {SPAN}, rowid % {SPAN} "
                f"FROM {query.within} WHERE {query.within} MATCH ?",
                (match,),
            )
        self._hits = key

    def _judge(self) -> None:
        """Takes up what humans have judged since the last question."""
        path = self._reader.path / "judgements.jsonl"
        state = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None
        if state == self._judged:
            return
        from synth.traces.judgements import latest_verdicts

        rows = [(int(id_[1:]), verdict) for id_, verdict in latest_verdicts(self._reader.path).items()] if state else []
        self._db.execute("DELETE FROM judged")
        self._db.executemany("INSERT OR IGNORE INTO judged VALUES (?, ?)", rows)
        self._judged = state
