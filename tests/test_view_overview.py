"""The run's page, its numbers and charts, and two runs side by side."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fixtures import make_catalogue, make_conversation, make_run
from starlette.testclient import TestClient

from synth.corpora.records import Act, Conversation, Rejected, Scenario, Speaker, Turn
from synth.graphs.conversation import conversation_graph
from synth.traces.events import RewriteEvent, RunSpan
from synth.traces.reader import Draw
from synth.traces.run import RunFolder, row
from synth.traces.store import CallRow, Place
from synth.view import compare as compare_module
from synth.view import figures as figures_module
from synth.view import overview as overview_module
from synth.view.app import make_app
from synth.view.chart import Column, Edge, bar, columns, graph, short
from synth.view.compare import aligned
from synth.view.figures import Figures, graph_edges
from synth.view.overview import funnel, settings
from synth.view.run import ViewedRun
from synth.view.tally import Tally, walk

EDGES = (
    Edge("start", "ask", False),
    Edge("ask", "judge", False),
    Edge("judge", "ask", True),
    Edge("judge", "done", True),
)


@pytest.fixture(autouse=True)
def _graph_at_hand(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Drawing the real graph takes seconds, so one test does; and pages wait until all is counted."""
    for module in (overview_module, compare_module):
        monkeypatch.setattr(module, "_WAIT", 60.0)
    if request.function is not test_the_graph_is_read_off_the_code:
        monkeypatch.setattr(figures_module, "graph_edges", lambda: EDGES)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "one")


@pytest.fixture
def client(run: RunFolder) -> Iterator[TestClient]:
    yield from open_client(run)


def open_client(*runs: RunFolder) -> Iterator[TestClient]:
    viewed = [ViewedRun(run.path, number) for number, run in enumerate(runs)]
    with TestClient(make_app(viewed), base_url="http://127.0.0.1") as client:
        yield client
    for one in viewed:
        one.close()


def counted(run: RunFolder) -> Figures:
    figures = Figures(run.path)
    figures.finish()
    return figures


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).replace("\u202f", " ").split())


def talk(tmp_path: Path, *acts: tuple[Speaker, Act]) -> Conversation:
    """A conversation of these acts; a recommendation after `reject` comes from a search, as do others."""
    base = make_conversation(0, make_catalogue(tmp_path / "walked"))
    found = base.turns[2].retrieval
    turns = tuple(
        Turn(index=n, speaker=speaker, act=act, text=act, retrieval=found if act == "recommend" else None)
        for n, (speaker, act) in enumerate(acts)
    )
    return base.model_copy(update={"turns": turns})


# ---- numbers


def test_the_funnel_accounts_for_every_draw(run: RunFolder) -> None:
    stages = {stage.name: stage for stage in funnel(counted(run).tally)}
    assert stages["Person, scenario and product go together"].passed == 43
    assert (stages["Backstory is new"].passed, stages["Backstory is new"].refused) == (42, 1)
    last = stages["Reviewer's scores suffice"]
    assert (last.passed, last.refused, last.query) == (40, 2, "filter=review")
    assert last.share == pytest.approx(40 / 43)
    assert {reason for reason, _ in last.reasons} == {"total 20", "total 21"}


def test_a_filter_the_page_does_not_know_is_in_the_funnel() -> None:
    tally = Tally()
    tally.add(Draw("c000000", 0, "taste", "no", None, None), [])
    stages = funnel(tally)
    assert [stage.refused for stage in stages if stage.name == "taste"] == [1]
    assert stages[-1].passed == 0


def test_a_profile_that_failed_is_no_conversation_that_failed() -> None:
    tally = Tally()
    tally.add(Draw("c000000", 0, "failed", "no reply", None, None), [])
    assert tally.refused == {"profile failed": 1}


def test_endings_rounds_and_ranks_are_of_accepted_conversations(run: RunFolder) -> None:
    tally = counted(run).tally
    assert tally.endings == {"hit": 20, "fit": 10, "forced": 10}
    assert tally.rounds == {(2, "hit"): 20, (2, "fit"): 10, (2, "forced"): 10}
    assert tally.ranks.total() == 70  # forced recommendations come from no search
    assert (tally.turns, tally.openings["multimodal"]) == (240, 20)


def test_rewrites_are_counted(tmp_path: Path) -> None:
    conversation = make_conversation(0, make_catalogue(tmp_path / "c"))
    draw = Draw(conversation.id, 0, "accepted", "", conversation.profile, conversation)
    tally = Tally()
    tally.add(draw, [RewriteEvent(turn=n, kept=n == 1, rewrite="x", reason="") for n in range(3)])
    assert (tally.rewritten, tally.kept_drafts) == (3, 1)


def test_every_move_is_an_edge_of_the_graph(tmp_path: Path) -> None:
    drawn = conversation_graph().get_graph().edges
    names = {"__start__": "start", "__end__": "done"}
    edges = {(names.get(edge.source, edge.source), names.get(edge.target, edge.target)) for edge in drawn}
    u: Speaker = "user"
    a: Speaker = "assistant"
    ring: tuple[tuple[Speaker, Act], ...] = ((a, "greet"), (u, "need"), (a, "ask"), (u, "answer"), (a, "recommend"))
    chat: tuple[tuple[Speaker, Act], ...] = ((u, "chit_chat"), (a, "chit_chat"))
    no: tuple[tuple[Speaker, Act], ...] = ((u, "reject"), (a, "recommend"))
    conversation = talk(tmp_path, *ring, *chat, *no, *no, (u, "accept"))
    path = list(walk(conversation, set()))
    assert set(zip(path, path[1:], strict=False)) <= edges
    assert path[-3:] == ["judge", "accept", "done"]
    assert (path.count("query"), path.count("chit_chat"), path.count("reply")) == (3, 1, 1)

    last = len(conversation.turns) - 1
    relented = list(walk(conversation, {f"{last}.reject"}))
    assert relented[-4:] == ["judge", "reject", "accept", "done"]

    forced = conversation.turns[-2].model_copy(update={"retrieval": None})
    handed = conversation.model_copy(update={"turns": (*conversation.turns[:-2], forced, conversation.turns[-1])})
    path = list(walk(handed, set()))
    assert path[-4:] == ["reject", "hand_over", "accept", "done"]
    assert {*zip(path, path[1:], strict=False), *zip(relented, relented[1:], strict=False)} <= edges


def test_the_graph_is_read_off_the_code() -> None:
    graph_edges.cache_clear()
    drawn = conversation_graph().get_graph().edges
    names = {"__start__": "start", "__end__": "done"}
    assert {(edge.source, edge.target, edge.decided) for edge in graph_edges()} == {
        (names.get(edge.source, edge.source), names.get(edge.target, edge.target), edge.conditional) for edge in drawn
    }


def test_latency_is_summed_up_by_call(run: RunFolder) -> None:
    store = run.store(readonly=False)

    async def log() -> None:
        rows = [
            CallRow(bytes([n]) * 16, Place("conversation", n, "1.need", int(n == 9)), "user.need", "user", "0f", "m:x",
                    ("hello",), (), "{}", 100, 50, 0, 10, 0, 0.01, float(n + 1), 2 if n < 3 else 1)
            for n in range(20)
        ]  # fmt: skip
        await asyncio.gather(*(store.log(one) for one in rows))

    asyncio.run(log())
    store.close()
    figures = counted(run)
    line = figures.latency["user.need"]
    assert (line.calls, line.retried, line.repaired) == (20, 3, 1)
    assert (line.quantile(0.5), line.quantile(0.95)) == (10, 19)
    assert figures.cost is not None and figures.cost.all.usd == pytest.approx(0.2)


def test_a_run_that_goes_on_is_counted_on(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = counted(run)
    read: list[bytes] = []
    monkeypatch.setattr(figures_module, "_read", lambda line, path: read.append(line))
    path = run.path / "conversations.jsonl"
    with path.open("ab") as file:
        file.write(b'{"half": a row')
    figures.finish()
    assert not read
    with path.open("ab") as file:
        file.write(b" more}\n")
    figures.finish()
    assert read == [b'{"half": a row more}\n']
    assert (figures.tally.accepted, figures.broken) == (40, 1)


def test_a_rewritten_file_is_counted_anew(run: RunFolder) -> None:
    figures = counted(run)
    path = run.path / "conversations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[4:]))
    figures.finish()
    assert (figures.tally.accepted, figures.tally.refused["review"]) == (36, 2)


def test_settings_hide_what_could_be_a_secret() -> None:
    shown = dict(settings({"seed": 3, "api_key": "k", "models": {"user": "x"}, "base_url": "http://me:pw@host/v1"}))
    assert shown == {"seed": "3", "models.user": "x", "base_url": "http://host/v1"}


# ---- charts


def test_charts_are_well_formed_and_escape_their_labels() -> None:
    drawn = columns([Column("<b>", (("hit", 3), ("fit", 1)), '"quoted" & <i>'), Column("2", (("hit", 0),), "")], "a<b")
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == "a<b"
    assert [text.text for text in root.iter("text")] == ["<b>", "4", "2", None]
    assert 'width="100.00%"' in bar(7.0) and 'width="0.00%"' in bar(-1.0)
    assert [short(value) for value in (0, 950, 999.6, 84_200, 3_100_000)] == ["0", "950", "1.0k", "84k", "3.1M"]


def test_a_graph_runs_downward_and_shows_its_counts() -> None:
    counts = {("start", "ask"): 10, ("ask", "judge"): 1010, ("judge", "ask"): 1000, ("judge", "done"): 10}
    root = ElementTree.fromstring(graph(EDGES, counts, {"done": "end"}, "graph"))
    nodes = [node for node in root.iter("g") if node.get("data-node")]
    places = {node.get("data-node"): float(next(node.iter("rect")).get("y", 0)) for node in nodes}
    assert sorted(places, key=places.__getitem__) == ["start", "ask", "judge", "done"]
    words = {text.text for text in root.iter("text")}
    assert {"1\u202f010", "1\u202f000 · 99\u202f%", "10 · 1\u202f%", "end"} <= words


def test_lines_of_a_graph_do_not_run_over_each_other() -> None:
    chain = [Edge(f"n{n}", f"n{n + 1}", False) for n in range(6)]
    skips = [Edge("n0", "n4", True), Edge("n1", "n3", True), Edge("n3", "n5", True)]
    root = ElementTree.fromstring(graph([*chain, *skips], {}, {}, "graph"))
    lanes = [path.get("d", "").split("Q")[1].split()[0] for path in root.iter("path") if "Q" in path.get("d", "")]
    assert len(lanes) == 3 and len(set(lanes)) == 2  # the two short ones share a lane, the long one has its own


# ---- the page


def test_the_page_shows_state_funnel_and_settings(client: TestClient) -> None:
    page = client.get("/run")
    assert page.status_code == 200 and len(page.content) < 100_000
    seen = text_of(page.text)
    assert "finished 40 of 40 conversations accepted" in seen
    assert "Reviewer's scores suffice 40" in seen and "2 refused" in seen
    assert 'href="/?filter=review"' in page.text and 'href="/?ending=forced"' in page.text
    assert "hx-trigger" not in page.text
    assert "0123456789abcdef" in seen


def test_a_run_that_is_going_on_says_so_and_is_asked_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one", wanted=100, finished=False)
    assert "stopped 40 of 100" in text_of(next(open_client(run)).get("/run").text)
    run.lock()
    try:
        page = next(open_client(run)).get("/run").text
    finally:
        run.unlock()
    assert "running 40 of 100" in text_of(page)
    assert 'hx-get="/run?run=0"' in page and 'hx-select="#figures"' in page


def test_texts_of_a_run_are_shown_as_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one")
    evil = Rejected(id="c000200", filter="<b>evil</b>", reason="<script>alert(1)</script>")
    with (run.path / "rejected.jsonl").open("a", encoding="utf-8", newline="\n") as file:
        file.write(row(evil) + "\n")
    store = run.store(readonly=False)
    span = RunSpan(synth="1", started=1.0, seconds=2.0, accepted=1, ended="failed", reason="<img src=x>")
    store.finish("run", 0, "", [span])
    store.close()
    page = next(open_client(run)).get("/run").text
    assert "<script>alert" not in page and "<b>evil" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page and "&lt;img src=x&gt;" in page


def test_a_broken_row_is_told_and_the_rest_counted(run: RunFolder) -> None:
    path = run.path / "conversations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{broken}\n", *lines[4:]]))
    seen = text_of(next(open_client(run)).get("/run").text)
    assert "1 row of the run's files cannot be read" in seen
    assert "Accepted 39 of 42 draws" in seen


# ---- two runs


@pytest.fixture
def two(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    """The second has fewer conversations, one of them with another word, and its scenario under another id."""
    catalogue = make_catalogue(tmp_path / "catalogue")
    talks = [make_conversation(n, catalogue) for n in range(6)]
    one = make_run(tmp_path / "one", talks, catalogue)
    turns = list(talks[2].turns)
    turns[3] = turns[3].model_copy(update={"text": "Too dark – no."})
    changed = talks[2].model_copy(update={"turns": tuple(turns)})
    other = make_run(tmp_path / "other", [talks[0], talks[1], changed], make_catalogue(tmp_path / "catalogue2", 9))
    return one, other


def test_pairs_by_draw_show_where_runs_differ(two: tuple[RunFolder, RunFolder]) -> None:
    for client in open_client(*two):
        page = client.get("/compare").text
        marked = dict(re.findall(r'<tr data-pair="([^"]*)"( class="differs")?>', page))
        assert not marked["a=c000001&amp;b=c000001"]
        assert marked["a=c000002&amp;b=c000002"] and marked["a=c000005"]
        assert "4 of 9 differ" in text_of(page)  # the word, and three the second run has not
        only = client.get("/compare?differ=1").text
        assert "b=c000002" in only and "b=c000001" not in only
        assert "Accepted conversations 6 3 -50 %" in text_of(page)
        assert "one" in client.get("/run?run=0").text and ">other</h1>" in client.get("/run?run=1").text


def test_pairs_by_scenario_go_by_its_text(two: tuple[RunFolder, RunFolder]) -> None:
    scenario = Scenario(id="s0", text="Another reason.", family="travel", origin="seed")
    for client in open_client(*two):
        page = client.get("/compare?by=scenario").text
        assert "A trip by train." in page and "1 of 3 differ" in text_of(page)
    (two[1].path / "scenarios.jsonl").write_text(row(scenario) + "\n", "utf-8", newline="\n")
    for client in open_client(*two):
        assert "no scenario in common" in client.get("/compare?by=scenario").text


def test_a_pair_marks_the_words_that_differ(two: tuple[RunFolder, RunFolder]) -> None:
    for client in open_client(*two):
        page = client.get("/compare/pair?a=c000002&b=c000002").text
        assert re.findall(r"<del>(.*?)</del>", page) == ["pale"]
        assert re.findall(r"<ins>(.*?)</ins>", page) == ["dark"]
        assert "5 of 6 turns are alike" in text_of(page)
        alone = client.get("/compare/pair?a=c000005")
        assert alone.status_code == 200 and "Not in this run." in alone.text
        assert client.get("/compare/pair").status_code == 404
        assert client.get("/compare/pair?a=c000099&b=../x").status_code == 404


def test_turns_without_counterpart_stand_alone(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "c")
    whole = make_conversation(0, catalogue)
    shorter = whole.model_copy(update={"turns": whole.turns[:2] + whole.turns[4:]})
    rows = list(aligned(whole, shorter))
    assert [(row.a is None, row.b is None) for row in rows].count((False, True)) == 2
    assert all(row.a.act == row.b.act for row in rows if row.a and row.b)
    assert [row.b is None for row in aligned(whole, None)] == [True] * 6


def test_distinct_is_taken_of_as_many_conversations_of_each(two: tuple[RunFolder, RunFolder]) -> None:
    for client in open_client(*two):
        seen = text_of(client.get("/compare/distinct").text)
        assert "Of the first 3 accepted conversations of each" in seen and "Distinct-2" in seen


def test_one_run_cannot_be_compared(client: TestClient) -> None:
    page = client.get("/compare")
    assert page.status_code == 404 and "synth view RUN RUN2" in page.text


def test_the_numbers_are_read_while_others_write(run: RunFolder) -> None:
    with closing(run.store(readonly=False)) as store:
        store.set_meta("convs", 41)
        figures = counted(run)
    assert (figures.problem, figures.wanted) == ("", 41)


def test_while_it_counts_the_page_says_so(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview_module, "_WAIT", 0.0)
    begun, go_on = threading.Event(), threading.Event()

    def held(line: bytes, path: Path) -> None:
        begun.set()
        go_on.wait(60)

    monkeypatch.setattr(figures_module, "_read", held)
    client = next(open_client(run))
    client.get("/run")
    assert begun.wait(60)
    page = client.get("/run").text
    go_on.set()
    assert "Counting: 0.0 % of the rows" in text_of(page) and 'hx-trigger="every 1s"' in page
    assert "finished 40 of 40 conversations" in text_of(page)
