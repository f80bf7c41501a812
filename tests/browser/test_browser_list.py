"""The list in a real browser: search, facets, order, everything in the address, keys, and without scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from browser.conftest import Opened
from tests.support.browser import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
NARROWED_BY = {
    *("verdict", "filter", "ending", "opening", "family", "category", "scenario", "model", "score", "errors"),
}


def expect_asked(page: Page, /, **wanted: str) -> None:
    """Waits until these are the parameters of the page's address, and all of the page is there."""
    page.wait_for_url(lambda address: parse_qs(urlsplit(address).query) == {name: [wanted[name]] for name in wanted})


def talks(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "conversations.jsonl").read_text("utf-8").splitlines()]


def turns(talk: dict[str, Any]) -> list[set[str]]:
    """The words of each turn."""
    return [set(re.findall(r"\w+", turn["text"].lower())) for turn in talk["turns"]]


def complete(page: Page) -> None:
    """Until every conversation's calls are indexed."""
    expect(page.locator("#indexing")).to_have_count(0)


def test_search_over_turns(opened: Opened, runs: tuple[Path, Path]) -> None:
    page = opened("/?verdict=accepted")
    complete(page)
    wanted = {talk["id"] for talk in talks(runs[0]) if any({"something", "picture"} <= said for said in turns(talk))}
    page.get_by_label("Search", exact=True).fill("something picture")
    expect(page.locator("#total")).to_have_text(str(len(wanted)))
    expect_asked(page, q="something picture", verdict="accepted")
    assert {row.get_attribute("data-row") for row in page.locator("[data-row]").all()} == wanted
    assert page.locator(".snippet mark").first.inner_text().lower() in ("something", "picture")
    page.reload()
    expect(page.locator("#q")).to_have_value("something picture")
    expect(page.locator("#total")).to_have_text(str(len(wanted)))
    turn = urlsplit(page.locator("[data-open]").first.get_attribute("href") or "").fragment
    page.locator("[data-open]").first.click()
    expect(page.locator(f"#{turn}")).to_be_in_viewport()


def test_search_over_messages_leads_to_the_step(opened: Opened) -> None:
    page = opened("/")
    complete(page)
    page.locator("#in").select_option("messages")
    page.locator("#q").fill("backpack*")
    expect(page.locator('[data-chip="q"]')).to_contain_text("in messages")
    word = "backpack*"
    if not page.locator("[data-row]").count():
        word = "shirt*"
        page.locator("#q").fill(word)
    expect(page.locator(".snippet mark").first).to_be_visible()
    expect_asked(page, q=word, **{"in": "messages"})
    link = page.locator(".snippet a").first
    step = link.inner_text()
    link.click()
    expect(page.locator(f"details#{step}")).to_have_attribute("open", "")
    expect(page.locator(f"details#{step} pre").first).to_be_attached()
    expect(page.locator(f"details#{step}")).to_be_in_viewport()


def test_every_facet_narrows_and_can_be_taken_back(opened: Opened) -> None:
    page = opened("/")
    complete(page)
    whole = page.locator("#total").inner_text()
    names = {link.get_attribute("data-facet") for link in page.locator("[data-facet]").all()}
    assert names >= NARROWED_BY
    for name in sorted(filter(None, names)):
        fold = page.locator(f"#facet-{name}")
        if fold.get_attribute("open") is None:
            fold.locator("summary").first.click()
        choice = fold.locator("[data-facet]").first
        number = choice.locator(".n").inner_text()
        choice.click()
        chip = page.locator(f'[data-chip="{name}"]')
        expect(chip).to_be_visible()
        expect(page.locator("#total")).to_have_text(number)
        page.wait_for_url(re.compile(rf"/\?{name}=[^&]+$"))
        expect(page.locator(f'#facet-{name} [aria-current="true"]')).to_have_count(1)
        chip.click()
        expect(chip).to_have_count(0)
        expect(page.locator("#total")).to_have_text(whole)
        expect_asked(page)


@pytest.mark.parametrize(
    ("sort", "label", "cell"),
    [
        ("-turns", "turns", 4),
        ("turns", "turns", 4),
        ("-usd", "cost", 6),
        ("-score", "score", 3),
        ("-tokens", "tokens", 5),
    ],
)
def test_orders(opened: Opened, sort: str, label: str, cell: int) -> None:
    page = opened("/?verdict=accepted")
    complete(page)
    page.locator("#sort").select_option(sort)
    expect(page.locator("#results")).to_have_attribute("data-sort", sort)
    expect_asked(page, verdict="accepted", sort=sort)
    texts = page.locator(f'[data-row] td[data-label="{label}"]').all_inner_texts()
    numbers = [float(re.sub(r"[^\d.]", "", text)) for text in texts]
    assert len(numbers) > 20 and numbers == sorted(numbers, reverse=sort.startswith("-"))


def test_headings_order_and_turn_round(opened: Opened) -> None:
    page = opened("/?verdict=accepted")
    for direction, sort in (("descending", "-score"), ("ascending", "score")):
        page.locator('th a[data-sort="score"]').click()
        expect(page.locator('th:has([data-sort="score"])')).to_have_attribute("aria-sort", direction)
        expect_asked(page, verdict="accepted", sort=sort)
        expect(page.locator("#sort")).to_have_value(sort)


def test_back_and_forward_go_through_selections(opened: Opened) -> None:
    page = opened("/")
    complete(page)
    whole = page.locator("#total").inner_text()
    page.locator('[data-facet="verdict"]', has_text="accepted").click()
    expect(page.locator('[data-chip="verdict"]')).to_be_visible()
    some = page.locator("#total").inner_text()
    page.locator("#q").fill("picture")
    expect(page.locator('[data-chip="q"]')).to_be_visible()
    few = page.locator("#total").inner_text()
    assert int(few) < int(some) < int(whole)
    page.locator("[data-open]").first.click()
    expect(page.locator("h1")).to_have_text(re.compile(r"c\d{6}"))
    page.go_back()
    expect(page.locator("#total")).to_have_text(few)
    expect(page.locator("#q")).to_have_value("picture")
    page.go_back()
    expect(page.locator("#total")).to_have_text(some)
    expect(page.locator("#q")).to_have_value("")
    expect_asked(page, verdict="accepted")
    page.go_back()
    expect(page.locator("#total")).to_have_text(whole)
    page.go_forward()
    expect(page.locator("#total")).to_have_text(some)


def test_rejected_draws_have_their_filter_and_reason(opened: Opened, runs: tuple[Path, Path]) -> None:
    refused = [json.loads(line) for line in (runs[0] / "rejected.jsonl").read_text("utf-8").splitlines()]
    page = opened("/?verdict=rejected")
    expect(page.locator("#total")).to_have_text(str(len(refused)))
    for name in {row["filter"] for row in refused}:
        row = next(row for row in refused if row["filter"] == name)
        line = page.locator(f"#c{row['id'][1:]}")
        expect(line.locator(".badge.bad")).to_have_text(name)
        expect(line).to_contain_text(row["reason"])
        line.locator("[data-open]").click()
        expect(page.locator("#verdict")).to_have_text(f"refused: {name}")
        expect(page.locator("#reason")).to_have_text(row["reason"])
        page.go_back()


def test_keys(opened: Opened) -> None:
    page = opened("/")
    rows = page.locator("[data-row]")
    for keys, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(keys)
        expect(page.locator(".current")).to_have_attribute("id", rows.nth(place).get_attribute("id") or "")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("jkx/")
    expect(page.locator("#q")).to_have_value("jkx/")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("dialog#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#help")).not_to_be_visible()
    page.goto(page.url.partition("?")[0])
    page.keyboard.press("j")
    wanted = page.locator(".current").get_attribute("id")
    page.keyboard.press("o")
    expect(page.locator("h1")).to_have_text(wanted or "")


def test_pages(opened: Opened) -> None:
    page = opened("/")
    expect(page.locator("[data-row]")).to_have_count(25)
    first = page.locator("[data-row]").first.get_attribute("id")
    page.locator("#next").click()
    expect(page.locator('.pages [aria-current="page"]')).to_have_text("2")
    expect(page.locator("[data-row]").first).not_to_have_attribute("id", first or "")
    expect_asked(page, page="2")


def test_the_second_run_has_a_list_of_its_own(opened: Opened, runs: tuple[Path, Path]) -> None:
    page = opened("/?run=1&verdict=accepted")
    expect(page.locator("#total")).to_have_text(str(len(talks(runs[1]))))
    page.locator("#q").fill("picture")
    expect(page.locator('[data-chip="q"]')).to_be_visible()
    expect_asked(page, run="1", q="picture", verdict="accepted")
    page.locator("[data-open]").first.click()
    expect(page).to_have_title(re.compile(runs[1].name))
    expect_asked(page, run="1", q="picture", verdict="accepted")


def test_without_scripts(opened: Opened) -> None:
    page = opened("/", java_script_enabled=False)
    page.locator("#q").fill("picture")
    page.get_by_role("button", name="Search").click()
    expect(page.locator('[data-chip="q"]')).to_be_visible()
    page.locator('[data-facet="verdict"]', has_text="accepted").click()
    expect_asked(page, q="picture", verdict="accepted")
    page.locator("[data-open]").first.click()
    fold = page.locator("#t2-steps")
    fold.locator("summary").first.click()
    step = fold.locator("details.entry").first
    step.locator("summary").click()
    step.get_by_role("link", name="Open this step").click()
    expect(page.locator(".reply")).to_be_visible()
