"""The conversation page: what it shows of a made run, and that no text of a run becomes markup."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fixtures import make_catalogue, make_conversation, make_run
from starlette.testclient import TestClient

from synth.corpora.records import Conversation
from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces.events import ChoiceEvent, RetrievalEvent, ReviewEvent
from synth.traces.reader import Draw, RunReader
from synth.view import figures
from synth.view.app import make_app
from synth.view.bundle import write_bundle
from synth.view.conversation import load
from synth.view.copies import plain
from synth.view.diff import word_diff
from synth.view.run import ViewedRun
from synth.view.seen import HIDDEN, Barrier, visible
from synth.view.step import timeline, totals

NASTY = '<script>alert("x")</script> <b>bold</b> & "quotes"'
BASE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def generated(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewedRun]:
    """A generated run, so that there are steps and events."""
    out = tmp_path_factory.mktemp("runs") / "made"
    generate(Options(catalog=catalogue, scenarios=40, convs=12, out=out))
    with closing(ViewedRun(out)) as run:
        yield run


@pytest.fixture(scope="module")
def browser(generated: ViewedRun) -> Iterator[TestClient]:
    with TestClient(make_app([generated]), base_url=BASE) as client:
        yield client


def accepted(run: ViewedRun) -> list[Draw]:
    return [draw for draw in run.reader.draws() if draw.verdict == "accepted"]


def fold(text: str, anchor: str) -> str:
    """The `<details>` of a step."""
    found = re.search(rf'<details class="entry [^>]*id="{re.escape(anchor)}".*?</details>', text, re.DOTALL)
    assert found, anchor
    return found[0]


def body(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.text


# ---- the differ


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("I've nothing suitable, so far.", "I have nothing suitable so far!"),
        ("", "all new"),
        ("all gone", ""),
        ("the same", "the same"),
        ("two  spaces\nand a line", "two spaces and a line"),
        ("שלום עולם 🙂 שלום", "שלום 🙃 עולם"),
        ("a b c d e f", "f e d c b a"),
    ],
)
def test_a_diff_holds_both_versions(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(p.text for p in pieces if p.kind != "ins") == before
    assert "".join(p.text for p in pieces if p.kind != "del") == after


def test_a_diff_follows_phrases() -> None:
    pieces = word_diff("the red big coat is nice", "the blue long coat is nice")
    assert [(p.kind, p.text) for p in pieces] == [
        ("same", "the "),
        ("del", "red big"),
        ("ins", "blue long"),
        ("same", " coat is nice"),
    ]


# ---- the page


def test_every_turn_its_products_and_its_steps_are_there(generated: ViewedRun, browser: TestClient) -> None:
    for draw in accepted(generated):
        talk = draw.conversation
        assert talk is not None
        answer = browser.get(f"/c/{draw.id}")
        text = body(answer)
        assert len(answer.content) < 100_000
        for turn in talk.turns:
            assert f'id="t{turn.index}"' in text
            for product_id in turn.products if turn.images else ():
                assert f'data-product="{product_id}"' in text
        for step in generated.reader.steps(draw.number):
            assert f'data-step="{step.anchor}"' in text
            assert "/steps/" in fold(text, step.anchor), "steps are loaded when they are opened"
        assert text.count('class="product accepted"') >= 1
        assert "style=" not in text and "onclick" not in text


def test_the_rewriters_work_can_be_seen_as_draft_and_as_changes(generated: ViewedRun, browser: TestClient) -> None:
    draw = next(d for d in accepted(generated) if d.conversation and d.conversation.drafts[0] != turn_text(d, 0))
    drafts = body(browser.get(f"/c/{draw.id}?text=draft"))
    changes = body(browser.get(f"/c/{draw.id}?text=diff"))
    assert re.search(r'name="v0" value="draft" checked', drafts)
    assert re.search(r'name="v0" value="diff" checked', changes)
    assert "<del>" in changes and "<ins>" in changes
    assert 'value="final" checked' in body(browser.get(f"/c/{draw.id}?text=nonsense"))


def turn_text(draw: Draw, turn: int) -> str:
    assert draw.conversation is not None
    return draw.conversation.turns[turn].text


def test_a_kept_draft_says_why(generated: ViewedRun, browser: TestClient) -> None:
    for draw in accepted(generated):
        for event in generated.reader.events("conversation", draw.number):
            if event.kind == "rewrite" and event.kept:
                text = body(browser.get(f"/c/{draw.id}"))
                turn = text.partition(f'id="t{event.turn}"')[2].partition("</article>")[0]
                assert "Draft kept:" in turn and ">Refused<" in turn
                return
    pytest.fail("the run has no kept draft")


def test_a_deep_link_opens_the_step_and_its_turn(generated: ViewedRun, browser: TestClient) -> None:
    draw = accepted(generated)[0]
    query = next(s for s in generated.reader.steps(draw.number) if s.call.call == "querier.query")
    text = body(browser.get(f"/c/{draw.id}?open={query.anchor}&family=sport"))
    assert re.search(rf'id="{query.anchor}"[^>]* open>', text)
    assert re.search(rf'<details class="work" id="t{query.turn}-steps" open>', text)
    assert query.call.prompt in text and "earlier message" in text
    other = next(s for s in generated.reader.steps(draw.number) if s.call.call == "chatter.recommend")
    assert not re.search(rf'id="{other.anchor}"[^>]* open>', text)
    assert f'href="?open={other.anchor}&amp;family=sport#{other.anchor}"' in text


def test_a_step_is_a_page_with_one_inside(generated: ViewedRun, browser: TestClient) -> None:
    draw = accepted(generated)[0]
    for step in generated.reader.steps(draw.number):
        url = f"/c/{draw.id}/steps/{step.anchor}"
        part = body(browser.get(url))
        assert part.count('class="inside"') == 1 and step.call.prompt in part
        assert all(f"/images/0/{hash_}" in part or hash_[:8] in part for hash_ in step.call.images)
    missing = browser.get(f"/c/{draw.id}/steps/c-99-nothing")
    assert missing.status_code == 404 and "no step" in missing.text


def test_a_search_says_what_was_chosen_and_where_the_target_stood(generated: ViewedRun, browser: TestClient) -> None:
    for draw in accepted(generated):
        for event in generated.reader.events("conversation", draw.number):
            if isinstance(event, RetrievalEvent) and event.target_rank:
                part = body(browser.get(f"/c/{draw.id}/steps/c-{event.step}-search"))
                rows = re.findall(r'<tr class="([^"]*)" data-product="([^"]*)"', part)
                assert [product for _, product in rows] == [c.id for c in event.retrieval.candidates]
                assert "chosen" in {p: c for c, p in rows}[event.retrieval.chosen]
                assert "target" in rows[event.target_rank][0]
                assert f"candidate {event.target_rank + 1} of {len(rows)}" in part
                return
    pytest.fail("the run has no search with the target among the candidates")


def test_the_managers_choices_and_the_review_stand_where_they_were_made(generated: ViewedRun) -> None:
    draw = next(d for d in accepted(generated) if d.conversation and d.conversation.opening == "multimodal")
    steps = generated.reader.steps(draw.number)
    events = generated.reader.events("conversation", draw.number)
    entries = timeline(steps, events)
    opening = [entry.name for entry in entries[1]]
    assert opening.index("manager") == opening.index("user.need") - 1
    choices = [e for turn in entries.values() for e in turn if e.kind == "choice"]
    assert len(choices) == sum(isinstance(event, ChoiceEvent) for event in events)
    review = next(event for event in events if isinstance(event, ReviewEvent))
    assert entries[10_000][-1].outcome == f"accepted: {review.scores.total:g} of 30"
    assert sum(e.kind == "call" for turn in entries.values() for e in turn) == len(steps)


def test_neighbours_keep_the_lists_query(generated: ViewedRun, browser: TestClient) -> None:
    draws = accepted(generated)
    for _ in range(200):  # the index is made in the background
        text = body(browser.get(f"/c/{draws[1].id}?verdict=accepted&text=diff&open=c-0-greet"))
        found = re.search(r'id="next" rel="next" href="([^"]*)"', text)
        if found:
            break
        time.sleep(0.05)
    assert found and found[1].startswith(f"/c/{draws[2].id}?") and f'href="/c/{draws[0].id}?' in text
    assert found and "verdict=accepted" in found[1] and "text=diff" in found[1] and "open=" not in found[1]


# ---- who saw what


def test_the_sides_are_those_of_the_calls_types() -> None:
    assert set(HIDDEN) == {"person", "recipient", "scenario", "backstory", "requirements", "target"}
    assert not visible("querier.rerank") & set(HIDDEN)
    assert "target" in visible("user.reject") and "target" not in visible("user.judge")


def test_no_prompt_of_a_side_holds_what_is_hidden_from_it(generated: ViewedRun) -> None:
    for draw in accepted(generated):
        assert draw.conversation is not None
        barrier = Barrier(generated.reader, draw.conversation, generated.reader.steps(draw.number))
        assert not barrier.leaks
        assert barrier.prompts["assistant"] >= 4 and barrier.prompts["user"] >= 3
        user, assistant = barrier.at(2)
        assert {sight.name for sight in user.sights if sight.visible} >= {"target", "backstory", "requirement"}
        assert {sight.name for sight in assistant.sights if not sight.visible} >= {"target", "backstory"}


@pytest.mark.parametrize("name", ["backstory", "scenario", "target", "person"])
def test_a_hidden_text_in_a_prompt_is_found(generated: ViewedRun, name: str) -> None:
    draw = next(d for d in accepted(generated) if d.conversation and d.conversation.target_id not in shown_at_first(d))
    talk = draw.conversation
    assert talk is not None
    target = generated.reader.product(talk.target_id)
    assert target is not None
    secret = {
        "backstory": talk.profile.backstory,
        "scenario": generated.reader.scenarios[talk.profile.scenario_id].text,
        "target": target.title,
        "person": talk.profile.person.name,
    }[name]
    steps = [
        step._replace(call=step.call._replace(messages=(*step.call.messages, f"By the way: {secret}.")))
        if step.call.call == "chatter.ask"
        else step
        for step in generated.reader.steps(draw.number)
    ]
    barrier = Barrier(generated.reader, talk, steps)
    assert ("c-2-ask", name) in barrier.leaks
    assert barrier.at(2)[1].leaks and not barrier.at(1)[1].leaks


def shown_at_first(draw: Draw) -> tuple[str, ...]:
    assert draw.conversation is not None
    return tuple(i for turn in draw.conversation.turns[:5] for i in turn.products)


@pytest.mark.parametrize("seen", ["user", "assistant", "both"])
def test_a_sides_sight_is_an_address(generated: ViewedRun, browser: TestClient, seen: str) -> None:
    draw = accepted(generated)[0]
    answer = browser.get(f"/c/{draw.id}?seen={seen}")
    assert "Checked against the" in body(answer) and len(answer.content) < 100_000
    assert ("seen-assistant" in answer.text) == (seen == "assistant")
    assert draw.conversation is not None
    turns = len(draw.conversation.turns)
    assert answer.text.count('class="side user"') == (0 if seen == "assistant" else turns)
    assert answer.text.count('class="side assistant"') == (0 if seen == "user" else turns)


# ---- refused draws, copies, bad input


def test_refused_draws_say_which_filter_and_why(generated: ViewedRun, browser: TestClient) -> None:
    refused = [draw for draw in generated.reader.draws() if draw.verdict != "accepted"]
    assert refused
    for draw in refused[:4]:
        text = body(browser.get(f"/c/{draw.id}"))
        assert f"refused: {draw.verdict}" in text
        assert ('id="t0"' in text) == (draw.conversation is not None)
        assert 'data-step="p-match"' in text


def test_copies_hold_the_conversation_and_its_steps(generated: ViewedRun, browser: TestClient) -> None:
    draw = accepted(generated)[0]
    copy = browser.get(f"/c/{draw.id}.json").json()
    talk = draw.conversation
    assert talk is not None
    assert Conversation.model_validate({**copy["conversation"], "profile": copy["profile"]}) == talk
    assert [s["anchor"] for s in copy["steps"]] == [s.anchor for s in generated.reader.steps(draw.number)]
    assert copy["steps"][0]["messages"] and isinstance(copy["steps"][0]["reply"], dict)
    text = body(browser.get(f"/c/{draw.id}.md"))
    assert all(plain(line) in text for turn in talk.turns for line in turn.text.splitlines())
    assert "querier.query" in text


@pytest.fixture
def nasty(tmp_path: Path) -> Iterator[tuple[ViewedRun, TestClient]]:
    """A run with markup in every text, one picture gone, and no steps."""
    catalogue = make_catalogue(tmp_path / "catalogue")
    talk = make_conversation(1, catalogue)
    turns = [turn.model_copy(update={"text": f"{NASTY} {turn.index}"}) for turn in talk.turns]
    turns[2] = turns[2].model_copy(update={"text": NASTY * 60})
    person = talk.profile.person.model_copy(update={"name": NASTY, "profession": NASTY})
    profile = talk.profile.model_copy(update={"person": person, "backstory": NASTY})
    talk = talk.model_copy(update={"turns": tuple(turns), "profile": profile})
    run = make_run(tmp_path / "run", [talk], catalogue)
    picture = catalogue[talk.turns[4].products[0]].images[0]
    (run.path / "images" / picture.filename).unlink()
    viewed = ViewedRun(run.path)
    with closing(viewed), TestClient(make_app([viewed]), base_url=BASE) as client:
        yield viewed, client


def test_markup_in_a_text_is_shown_as_text(nasty: tuple[ViewedRun, TestClient]) -> None:
    run, browser = nasty
    for query in ("", "?text=diff", "?seen=both", '?open="><script>alert(1)</script>', "?q=<script>"):
        text = body(browser.get(f"/c/c000001{query}"))
        assert "<script>alert" not in text and "<b>bold" not in text
    assert "&lt;script&gt;alert" in text and 'dir="auto"' in text
    assert "more characters" in text
    copy = body(browser.get("/c/c000001.md"))
    assert "<script>" not in copy and "<b>" not in copy
    assert run.reader.draw("c000001").profile is not None


def test_a_missing_picture_is_named_by_its_hash(nasty: tuple[ViewedRun, TestClient]) -> None:
    run, browser = nasty
    talk = run.reader.draw("c000001").conversation
    assert talk is not None
    hash_ = talk.turns[4].images[0]
    text = body(browser.get("/c/c000001"))
    assert f"/images/0/{hash_}" not in text and f"does not have this picture: {hash_}" in text
    assert f"/images/0/{talk.turns[2].images[0]}" in text


@pytest.mark.parametrize("draw_id", ["c000999", "c1", "x", "c000001'", "..%2f..", "p999999"])
def test_an_unknown_conversation_is_a_clear_page(nasty: tuple[ViewedRun, TestClient], draw_id: str) -> None:
    for path in (f"/c/{draw_id}", f"/c/{draw_id}.json", f"/c/{draw_id}.md", f"/c/{draw_id}/steps/c-0-greet"):
        answer = nasty[1].get(path)
        assert answer.status_code == 404 and "Traceback" not in answer.text


def test_a_copy_needs_no_server_and_has_its_steps_in_files(
    generated: ViewedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "graph_edges", lambda: ())
    write_bundle(tmp_path / "copy", generated, "verdict=accepted", 1)
    draw = accepted(generated)[0]
    place = tmp_path / "copy" / "c" / f"{draw.id}.html"
    text = place.read_text("utf-8")
    assert "hx-get" not in text and 'class="seen"' in text and len(text) < 100_000
    for step in generated.reader.steps(draw.number):
        address = f"{draw.id}/{step.anchor}.html"
        assert f'href="../c/{address}"' in text
        inside = (place.parent / address).read_text("utf-8")
        assert step.call.prompt in inside and f'href="../../c/{draw.id}.html#{step.anchor}"' in inside


def test_a_shared_comparison_stands_before_its_rejection(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=40, convs=25, comparisons="shared", out=tmp_path / "run"))
    with closing(ViewedRun(tmp_path / "run")) as run:
        kept = {call.place.step: call for call in run.reader.store.calls("shared")}
        found = 0
        for draw in run.reader.draws():
            loaded = load(run, draw.id)
            names = [step.anchor for step in loaded.steps]
            assert len(set(names)) == len(names)
            for place, step in enumerate(loaded.steps):
                if step.shared:
                    found += 1
                    assert (
                        step.call == kept[step.call.place.step] and loaded.steps[place + 1].call.call == "user.reject"
                    )
                    assert f".{draw.conversation.target_id}." in step.call.place.step  # type: ignore[union-attr]
            assert totals(loaded.foldable()).calls == sum(not step.shared for step in loaded.steps)
        assert kept and found >= len(kept)
        with TestClient(make_app([run]), base_url=BASE) as client:
            draw_id, anchor = next(
                (d.id, s.anchor) for d in run.reader.draws() for s in load(run, d.id).steps if s.shared
            )
            assert "adds to no conversation" in fold(body(client.get(f"/c/{draw_id}")), anchor)
            assert "user.differ" in body(client.get(f"/c/{draw_id}/steps/{anchor}"))


def test_a_draw_is_found_in_a_file_that_grew_or_was_written_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = run.path / "conversations.jsonl"
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:2]) + lines[2][:200])
    with closing(RunReader(run.path)) as reader:
        assert reader.draw("c000001").number == 1
        with pytest.raises(SynthError, match="no conversation 'c000002'"):
            reader.draw("c000002")
        rows.write_bytes(b"".join(lines))
        assert reader.draw("c000002").number == 2 and reader.draw("c000039").number == 39
        rows.write_bytes(b"".join(reversed(lines)))
        assert reader.draw("c000002").number == 2 and reader.draw("c000001").number == 1
        assert reader.draw("c000101").verdict == "review" and reader.draw("p000100").verdict == "duplicate"
        rows.unlink()
        with pytest.raises(SynthError, match="no conversation"):
            reader.draw("c000001")


def test_a_draw_that_failed_keeps_its_steps(generated: ViewedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = accepted(generated)[0]
    failed = draw._replace(verdict="failed", reason="querier: nothing left", conversation=None)
    monkeypatch.setattr(RunReader, "draw", lambda self, draw_id: failed)
    with TestClient(make_app([generated]), base_url=BASE) as client:
        text = body(client.get(f"/c/{draw.id}"))
    assert "Turn 4, not on file" in text and 'data-step="c-4-query"' in text and "querier: nothing left" in text
