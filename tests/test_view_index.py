"""The side index: what it lists and finds, and that it follows, mends and shares its file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from synth.corpora.records import Rejected
from synth.traces.reader import RunReader
from synth.traces.run import RunFolder, row
from synth.traces.store import CallRow, Place, Reservation
from synth.view.index import RunIndex
from synth.view.query import Query, snippet
from tests.fixtures import make_catalogue, make_conversation, make_run


@contextmanager
def opened(folder: Path, *, whole: bool = True) -> Iterator[RunIndex]:
    with closing(RunReader(folder)) as reader, closing(RunIndex(reader)) as index:
        if whole:
            index.update()
        yield index


def ids(index: RunIndex, text: str = "") -> list[str]:
    return index.ids(Query.parse(text))


def said(number: int, text: str, reply: str, **changes: object) -> CallRow:
    place = Place("conversation", number, "4.query")
    values: dict[str, object] = {
        "key": f"{number}".encode().rjust(16),
        "place": place,
        "call": "querier.query",
        "side": "assistant",
    }
    values |= {"prompt": "0", "model": "small", "messages": ["You search.", text], "images": [], "reply": reply}
    values |= {"input_tokens": 10, "cached_tokens": 0, "written_tokens": 0, "output_tokens": 5, "image_tokens": 0}
    values |= {"usd": 0.25, "seconds": 2.0, "tries": 1, "roles": "su"}
    return CallRow(**{**values, **changes})  # type: ignore[arg-type]


def log(folder: Path, *rows: CallRow, lost: int | None = None) -> None:
    async def write() -> None:
        with closing(RunFolder(folder).store(readonly=False)) as store:
            for call in rows:
                await store.log(call)
            if lost is not None:
                place = Place("conversation", lost, "")
                await store.reserve([Reservation(1, b"k" * 16, place, "querier.query", "small", 0.1, "lost")])

    asyncio.run(write())


ODD = [
    '"',
    '""',
    "*",
    "a OR",
    "NOT",
    "text:x",
    "(",
    "NEAR(a b)",
    "^a",
    "-",
    "a\0b",
    "'",
    "; DROP",
    "\u0903x",
    "é" * 999,
]


# ---- queries


def test_a_query_and_its_address_are_the_same() -> None:
    query = Query(
        q='"work meetings" blaz*',
        within="messages",
        verdict="accepted",
        category="T-shirts & tops",
        score=26.5,
        errors=True,
        sort="-score",
        page=3,
    )
    assert Query.parse(query.string()) == query
    assert Query().string() == ""
    assert Query.parse("").string() == ""
    assert query.but(category="").page == 1


@pytest.mark.parametrize("text", ["sort=size", "page=0", "page=x", "score=31", "score=nan", "in=prompts", "errors=yes"])
def test_what_is_not_known_is_left_out_with_a_notice(text: str) -> None:
    query = Query.parse(text)
    assert query == Query()
    assert text in query.notices[0]


def test_a_filter_is_a_verdict_too() -> None:
    assert Query.parse("verdict=match") == Query(filter="match")


def test_a_snippet_is_safe_and_marks_every_match() -> None:
    text = "x" * 200 + " <b>Café</b> and the CAFE's <script>alert(1)</script> door " + "y" * 200
    found = str(snippet(text, Query(q="cafe door").terms))
    assert "<mark>Café</mark>" in found
    assert "<mark>CAFE</mark>" in found
    assert "<mark>door</mark>" in found
    assert "&lt;script&gt;" in found
    assert "<script>" not in found
    assert found.startswith("…")
    assert found.endswith("…")


def test_a_phrase_and_a_beginning_are_marked_whole() -> None:
    text = "For work meetings, working well."
    assert "<mark>work meetings</mark>" in str(snippet(text, Query(q='"work meetings"').terms))
    assert "<mark>working</mark>" in str(snippet(text, Query(q="worki*").terms))
    assert "<mark>" not in str(snippet(text, Query(q="wor").terms))


# ---- lists


def test_lists_what_the_run_has(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run") as index:
        page = index.page(Query())
        assert (page.total, page.indexed, page.of, page.pages) == (43, 43, 43, 2)
        assert ids(index)[:2] == ["c000000", "c000001"]
        assert ids(index)[-3:] == ["c000100", "c000101", "c000102"]
        first = page.rows[0]
        assert (first.verdict, first.scenario, first.family, first.category) == ("accepted", "s0", "travel", "Bags")
        assert (first.ending, first.score, first.turns, first.round) == ("hit", 26.5, 6, 2)
        assert first.target == "Bag number 0"
        assert len(first.picture) == 32
        assert first.first.startswith("I need a bag")
        refused = index.row("c000100")
        assert refused is not None
        assert (refused.verdict, refused.reason[:6], refused.score) == ("duplicate", "BLEU-4", None)
        assert index.row("c999999") is None
        assert index.row("nonsense") is None


def test_facets_count_what_choosing_leaves(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run") as index:
        facets = index.page(Query(ending="fit")).facets
        assert {value.value: value.draws for value in facets["ending"]} == {"hit": 20, "fit": 10, "forced": 10}
        assert [value.value for value in facets["ending"] if value.selected] == ["fit"]
        assert {value.value: value.draws for value in facets["verdict"]} == {"accepted": 10}
        assert index.page(Query(ending="fit", opening="multimodal")).total == 10
        assert index.page(Query(score=26)).total == 40
        assert index.page(Query(score=27)).total == 0
        assert index.page(Query(category="Shoes")).facets["category"][-1] == ("Shoes", 0, True)


def test_pages_orders_and_neighbours(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags")
    make_run(tmp_path / "run", [make_conversation(n, catalogue) for n in range(60)], catalogue)
    with opened(tmp_path / "run") as index:
        page = index.page(Query(page=2))
        assert [page.rows[0].id, len(page.rows), page.pages] == ["c000025", 25, 3]
        assert index.page(Query(page=9)).query.page == 3
        assert ids(index, "sort=-draw")[:2] == ["c000102", "c000101"]
        # What has no score comes last, either way round.
        assert ids(index, "sort=score")[-1] == ids(index, "sort=-score")[-1] == "c000102"
        assert index.neighbours("c000000", Query()) == (None, "c000001")
        assert index.neighbours("c000005", Query(sort="-draw")) == ("c000006", "c000004")
        assert index.neighbours("c000005", Query(verdict="rejected")) == (None, None)
        assert index.ids(Query(), 2) == ["c000000", "c000001"]


# ---- search


def test_finds_turns(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run") as index:
        assert ids(index, "q=nina17") == ["c000017"]
        assert ids(index, "q=nina1*")[:3] == ["c000001", "c000010", "c000011"]
        assert len(ids(index, 'q="this+one"')) == 40
        assert len(ids(index, 'q="this+o')) == 40
        assert ids(index, 'q="one+this"') == ids(index, 'q="this+o"') == []
        assert len(ids(index, "q=pale+ROOMY")) == 0  # two turns; words of one turn are searched for together
        query = Query(q="nina17")
        found = index.snippets(query, index.page(query).rows)["c000017"]
        assert (found.anchor, found.step) == ("t1", False)
        assert "<mark>nina17</mark>" in found.text
        assert "&lt;/comment&gt;" in found.text


def test_nothing_that_is_typed_is_an_error(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run") as index:
        for text in ODD:
            for within in ("turns", "messages"):
                query = Query.of({"q": text, "in": within})
                index.snippets(query, index.page(query).rows)


def test_finds_messages_and_adds_up_calls(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    again = said(3, "again", "{}", key=b"z" * 16, place=Place("conversation", 3, "4.query", 1), tries=3, model="large")
    log(tmp_path / "run", said(3, "Find a <b>zebra</b> bag.", '{"query": "okapi"}'), again, lost=3)
    with opened(tmp_path / "run") as index:
        assert ids(index, "q=zebra") == []
        assert ids(index, "q=zebra&in=messages") == ids(index, "q=okapi&in=messages") == ["c000003"]
        query = Query(q="zebra", within="messages")
        found = index.snippets(query, index.page(query).rows)
        assert found["c000003"].anchor == "c-4-query"
        assert "&lt;b&gt;<mark>zebra</mark>" in found["c000003"].text
        row = index.row("c000003")
        assert row is not None
        assert (row.calls, row.tokens, row.usd, row.seconds) == (2, 30, 0.5, 4.0)
        assert row.errors == 4  # two tries too many, a repair, and one that was lost
        assert ids(index, "errors=1") == ids(index, "model=large") == ["c000003"]


# ---- following the run's files


def test_follows_a_run_and_waits_for_whole_rows(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags")
    make_run(tmp_path / "run", [make_conversation(0, catalogue)], catalogue)
    line = row(make_conversation(1, catalogue)) + "\n"
    with opened(tmp_path / "run") as index, (tmp_path / "run/conversations.jsonl").open("a", encoding="utf-8") as file:
        file.write(line[:300])
        file.flush()
        index.update()
        assert "c000001" not in ids(index)
        file.write(line[300:])
        file.flush()
        index.update()
        assert ids(index, "verdict=accepted") == ["c000000", "c000001"]
        assert ids(index, "q=nina1") == ["c000001"]
        assert index.progress.known == 5


def test_goes_on_where_it_was(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run") as index:
        before = ids(index)
    with opened(tmp_path / "run", whole=False) as index:
        assert index.page(Query()).indexed == 43
        assert ids(index) == before
        index.update()
        assert len(ids(index, "q=roomy")) == 40


def test_a_broken_row_is_left_out_and_said(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    path = tmp_path / "run/conversations.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3][:500]
    path.write_bytes(b"\n".join(lines))
    with opened(tmp_path / "run") as index:
        assert len(ids(index, "verdict=accepted")) == 39
        assert "c000003" not in ids(index)
        assert "conversations.jsonl has 1 broken row" in index.progress.problem
        assert not index.progress.growing


@pytest.mark.parametrize("change", ["cut", "rewritten", "gone"])
def test_a_file_that_is_not_the_same_any_more_is_read_anew(change: str, tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags")
    make_run(tmp_path / "run", [make_conversation(n, catalogue) for n in range(4)], catalogue)
    path = tmp_path / "run/conversations.jsonl"
    with opened(tmp_path / "run") as index:
        assert len(ids(index, "q=roomy")) == 4
        if change == "cut":
            path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:2]) + b"\n")
        elif change == "rewritten":
            path.write_text("".join(row(make_conversation(n, catalogue)) + "\n" for n in range(7, 15)), "utf-8")
        else:
            path.unlink()
        index.update()
        numbers = {"cut": range(2), "rewritten": range(7, 15), "gone": range(0)}[change]
        assert ids(index, "q=roomy") == ids(index, "verdict=accepted") == [f"c{n:06d}" for n in numbers]


def test_a_run_without_rows_is_an_empty_list(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    for name in ("conversations.jsonl", "rejected.jsonl", "scenarios.jsonl"):
        (tmp_path / "run" / name).unlink()
    with opened(tmp_path / "run") as index:
        page = index.page(Query(q="bag"))
        assert (page.rows, page.total, page.of) == ([], 0, 0)


# ---- its own file


def test_another_format_or_no_database_is_made_anew(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    with opened(tmp_path / "run"):
        pass
    path = tmp_path / "run/view.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
        db.execute("DELETE FROM draws")
        db.commit()
    with opened(tmp_path / "run") as index:
        assert len(ids(index)) == 43
    path.write_bytes(b"no database at all" * 500)
    with opened(tmp_path / "run") as index:
        assert len(ids(index)) == len(set(ids(index))) == 43


def test_where_the_run_cannot_be_written_the_index_passes(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "run/view.db").mkdir()
    with opened(tmp_path / "run") as index:
        place = index._indexer.path
        assert len(ids(index, "q=roomy")) == 40
        assert tmp_path not in place.parents
    assert not place.parent.exists()


def test_two_viewers_share_it(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags")
    make_run(tmp_path / "run", [make_conversation(n, catalogue) for n in range(300)], catalogue)
    with opened(tmp_path / "run", whole=False) as one, opened(tmp_path / "run", whole=False) as other:
        threads = [threading.Thread(target=index.update) for index in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ids(one) == ids(other)
        assert len(ids(one, "q=roomy")) == 300
        assert one.progress.problem == other.progress.problem == ""


def test_a_lost_database_of_calls_is_said_and_the_list_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with opened(tmp_path / "run", whole=False) as index:
        (run.path / "run.db").write_bytes(b"broken" * 4000)
        with (run.path / "rejected.jsonl").open("a", encoding="utf-8") as file:
            file.write(row(Rejected(id="c000200", filter="review", reason="late")) + "\n")
        index.update()
        assert "c000200" in ids(index)
        assert "behind" in index.progress.problem
        query = Query(q="bag", within="messages")
        index.snippets(query, index.page(query).rows)
