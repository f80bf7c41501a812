"""One conversation in a real browser: products, buyer, versions, steps, what each side saw, links, copies, keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from browser.conftest import Opened
from synth.corpora.records import Conversation
from synth.traces.events import RetrievalEvent, RewriteEvent
from synth.traces.reader import Draw, RunReader, Step
from synth.view.page import count, usd
from synth.view.step import pretty
from tests.support.browser import Served, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reader(runs: tuple[Path, Path]) -> Iterator[RunReader]:
    with closing(RunReader(runs[0])) as reader:
        yield reader


@pytest.fixture(scope="module")
def draw(reader: RunReader) -> Draw:
    """An accepted conversation with a photo of the user's, a rejection and a hit."""
    return next(
        draw
        for draw in reader.draws()
        if draw.conversation
        and (draw.verdict, draw.conversation.opening, draw.conversation.ended_by) == ("accepted", "multimodal", "hit")
        and any(turn.act == "reject" for turn in draw.conversation.turns)
    )


@pytest.fixture(scope="module")
def talk(draw: Draw) -> Conversation:
    assert draw.conversation is not None
    return draw.conversation


@pytest.fixture(scope="module")
def steps(reader: RunReader, draw: Draw) -> list[Step]:
    return reader.steps(draw.number)


def test_products_are_cards_with_pictures(opened: Opened, reader: RunReader, talk: Conversation) -> None:
    page = opened(f"/c/{talk.id}")
    for turn in talk.turns:
        article = page.locator(f"#t{turn.index}")
        expect(article.locator(".version.final")).to_have_text(turn.text)
        if turn.act != "recommend" and not turn.images:
            continue
        for product_id in turn.products:
            product, card = reader.product(product_id), article.locator(f'[data-product="{product_id}"]')
            assert product is not None
            card.scroll_into_view_if_needed()
            expect(card.locator(".title")).to_have_text(product.title)
            expect(card.locator("code")).to_have_text(product.id)
            expect(card.locator("img")).to_have_js_property("complete", True)
            expect(card.locator("img")).to_have_js_property("naturalWidth", product.images[0].width)
            if turn.speaker == "assistant":
                expect(card.locator(".price")).to_contain_text(f"{product.price:,.2f}")
    taken = page.locator(f'.chat [data-product="{talk.accepted_id}"]').last
    expect(taken.get_by_text("taken")).to_be_visible()
    expect(page.locator("#ending")).to_have_text("ended by hit")


def test_the_buyer_stands_beside_it(opened: Opened, reader: RunReader, talk: Conversation) -> None:
    page = opened(f"/c/{talk.id}")
    buyer, profile, target = page.locator("#buyer"), talk.profile, reader.product(talk.target_id)
    assert target is not None
    expect(buyer.locator(".name")).to_have_text(profile.person.name)
    expect(buyer.locator(".backstory")).to_contain_text(profile.backstory[:300])
    expect(buyer.locator(".requirements li")).to_have_count(2)
    expect(buyer.locator(".target .title")).to_have_text(target.title)
    expect(buyer).to_be_in_viewport()
    chat, beside = page.locator(".chat").bounding_box(), buyer.bounding_box()
    assert chat and beside and beside["x"] >= chat["x"] + chat["width"]


def test_before_and_after_the_rewriter(opened: Opened, served: Served, reader: RunReader, talk: Conversation) -> None:
    events = reader.events("conversation", int(talk.id[1:]))
    turn = next(e.turn for e in events if isinstance(e, RewriteEvent) and not e.kept)
    page = opened(f"/c/{talk.id}")
    article = page.locator(f"#t{turn}")
    texts = {"final": talk.turns[turn].text, "draft": talk.drafts[turn]}
    for name, label in (("draft", "Draft"), ("final", "Final")):
        article.get_by_text(label, exact=True).click()
        expect(article.locator(".version:visible")).to_have_text(texts[name])
    article.get_by_text("Changes", exact=True).click()
    changes = article.locator(".version:visible")
    expect(changes.locator("ins").first).to_be_visible()
    for gone, name in (("del", "final"), ("ins", "draft")):
        left = changes.evaluate(
            "(text, gone) => { const copy = text.cloneNode(true); "
            "copy.querySelectorAll(gone).forEach((part) => part.remove()); return copy.textContent; }",
            gone,
        )
        assert left == texts[name]
    page.locator('[data-text="draft"]').click()
    expect(page.locator(f"#t{turn} .version:visible")).to_have_text(texts["draft"])
    expect(page).to_have_url(f"{served.url}/c/{talk.id}?text=draft")


def test_a_call_opens_with_all_that_is_on_record(opened: Opened, talk: Conversation, steps: list[Step]) -> None:
    page = opened(f"/c/{talk.id}")
    turn = next(turn.index for turn in talk.turns if turn.retrieval)
    step = next(s for s in steps if s.turn == turn and s.call.call == "querier.query")
    call = step.call
    page.locator(f"#t{turn}-steps > summary").click()
    fold = page.locator(f"#{step.anchor}")
    expect(fold.locator("> summary .cost")).to_contain_text(f"{count(call.input_tokens)} → {count(call.output_tokens)}")
    expect(fold.locator(".parameters")).to_have_count(0)
    fold.locator("> summary").click()
    told = fold.locator(".parameters")
    for text in (
        call.call,
        call.prompt,
        call.model,
        usd(call.usd),
        f"out {count(call.output_tokens)}",
        "1 try",
        "waiting",
    ):
        expect(told).to_contain_text(text)
    fold.locator(".system > summary").click()
    expect(fold.locator(".system pre")).to_have_text(call.messages[0])
    assert fold.locator(".task pre").last.text_content() == call.messages[-1]
    assert fold.locator(".reply").text_content() == pretty(call.reply)
    history = len(call.messages) - 2
    if history:
        fold.locator(".history > summary").click()
        expect(fold.locator(".past")).to_have_count(history)


def test_a_search_shows_where_the_target_stood(opened: Opened, reader: RunReader, talk: Conversation) -> None:
    events = reader.events("conversation", int(talk.id[1:]))
    event = next(e for e in events if isinstance(e, RetrievalEvent) and e.target_rank is not None)
    found = event.retrieval
    page = opened(f"/c/{talk.id}")
    page.locator(f"#t{event.step}-steps > summary").click()
    fold = page.locator(f"#c-{event.step}-search")
    fold.locator("> summary").click()
    expect(fold.locator("tbody tr")).to_have_count(len(found.candidates))
    expect(fold.locator(".query")).to_have_text(found.query)
    expect(fold).to_contain_text(f"candidate {(event.target_rank or 0) + 1} of {len(found.candidates)}")
    scores = [f"{candidate.score:.3f}" for candidate in found.candidates]
    assert fold.locator("tbody tr td:last-child").all_inner_texts() == scores
    expect(fold.locator("tr.chosen")).to_have_attribute("data-product", found.chosen)
    expect(fold.locator("tr.target")).to_have_attribute("data-product", talk.target_id)
    expect(fold.locator("tr.target td").first).to_have_text(str((event.target_rank or 0) + 1))


def test_retries_and_repairs_are_marked(opened: Opened, reader: RunReader) -> None:
    found: dict[str, tuple[str, Step]] = {}
    for draw in reader.draws():
        for step in reader.steps(draw.number):
            if step.call.tries > 1:
                found.setdefault("tries", (draw.id, step))
            if step.call.place.attempt:
                found.setdefault("repair", (draw.id, step))
    assert set(found) == {"tries", "repair"}
    for word, (draw_id, step) in found.items():
        page = opened(f"/c/{draw_id}?open={step.anchor}#{step.anchor}")
        badge = f"{step.call.tries} tries" if word == "tries" else "repair"
        expect(page.locator(f"#{step.anchor} > summary").get_by_text(badge, exact=True)).to_be_visible()
        expect(page.locator(f"#{step.anchor} .parameters")).to_contain_text(badge)


def test_what_each_side_could_see(opened: Opened, served: Served, talk: Conversation) -> None:
    page = opened(f"/c/{talk.id}")
    hiding = page.locator("#buyer .backstory").locator("..")
    expect(hiding).to_have_css("filter", "none")
    page.locator('[data-seen="assistant"]').click()
    page.wait_for_url("**seen=assistant")
    expect(page.locator("#barrier")).to_contain_text("neither held anything hidden from it")
    expect(hiding).to_have_css("filter", re.compile("blur"))
    shown = next(turn.index for turn in talk.turns if turn.retrieval)
    hidden = page.locator(f"#t{shown}-sights .veiled b").all_inner_texts()
    assert {"person", "scenario", "backstory", "requirement", "target"} <= set(hidden)
    page.locator('[data-seen="both"]').click()
    columns = page.locator(f"#t{shown}-sights .side")
    expect(columns).to_have_count(2)
    expect(columns.filter(has_text="The user's side").locator("li", has_text="backstory")).not_to_have_class("veiled")
    expect(columns.filter(has_text="The user's side").locator(".veiled", has_text="the search query")).to_have_count(1)
    expect(page).to_have_url(f"{served.url}/c/{talk.id}?seen=both")


@pytest.mark.parametrize("address", ["?open={0}#{0}", "#{0}"])
def test_a_deep_link_opens_its_step(opened: Opened, talk: Conversation, steps: list[Step], address: str) -> None:
    step = [step for step in steps if step.call.call == "user.reject"][-1]
    page = opened(f"/c/{talk.id}{address.format(step.anchor)}")
    fold = page.locator(f"#{step.anchor}")
    expect(fold.locator(".reply")).to_be_visible()
    expect(fold.locator("> summary")).to_be_in_viewport()
    expect(page.locator("details.entry[open]")).to_have_count(1)


def test_a_step_can_be_linked_to(opened: Opened, talk: Conversation, steps: list[Step]) -> None:
    step = next(step for step in steps if step.turn == 2)
    page = opened(f"/c/{talk.id}?ending=hit")
    page.locator("#t2-steps > summary").click()
    page.locator(f"#t2-steps a.anchor[href$='#{step.anchor}']").click()
    expect(page.locator(f"#{step.anchor} .reply")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"ending=hit.*#{step.anchor}$"))


def test_copies(opened: Opened, served: Served, talk: Conversation) -> None:
    page = opened(f"/c/{talk.id}", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("button[data-copy*='.json']")
    expect(button).to_have_text("Copy JSON")
    button.click()
    expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.request.get(f"{served.url}/c/{talk.id}.json").text()
    assert [turn["text"] for turn in json.loads(copied)["conversation"]["turns"]] == [t.text for t in talk.turns]
    expect(button).to_have_text("Copy JSON")
    button = page.locator("button[data-copy*='.md']")
    expect(button).to_have_text("Copy Markdown")
    button.click()
    expect(button).to_have_text("Copied")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith(f"# {talk.id}") and "## Conversation" in text
    with page.expect_download() as download:
        page.get_by_role("link", name=".json", exact=True).click()
    assert json.loads(download.value.path().read_text("utf-8"))["id"] == talk.id


def test_keys(opened: Opened, talk: Conversation) -> None:
    page = opened(f"/c/{talk.id}")
    for key, turn in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("j", 2)):
        page.keyboard.press(key)
        expect(page.locator(".turn.current")).to_have_attribute("data-turn", str(turn))
    expect(page.locator("#t2")).to_be_in_viewport()
    page.keyboard.press("x")
    expect(page.locator("#t2-steps")).to_have_attribute("open", "")
    expect(page.locator("#t2-steps .reply").first).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("#t2 details[open]")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#total")).to_be_visible()


def test_neighbours_are_those_of_the_list(opened: Opened) -> None:
    page = opened("/?ending=hit&sort=-turns")
    expect(page.locator("#indexing")).to_have_count(0)
    ids = [row.get_attribute("id") for row in page.locator("[data-row]").all()]
    page.locator("[data-open]").first.click()
    for wanted in ids[1:4]:
        page.locator("#next").click()
        expect(page.locator("h1")).to_have_text(wanted or "")
    page.locator("#previous").click()
    expect(page.locator("h1")).to_have_text(ids[2] or "")
    page.get_by_title("To the list").click()
    expect(page).to_have_url(re.compile(r"/\?ending=hit&sort=-turns$"))
