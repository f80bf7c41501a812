"""The run's page and two runs side by side in a real browser; every page in both colours, and on a phone."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from browser.conftest import PHONE, Opened
from synth.traces.cost import read_cost
from synth.traces.reader import Draw, RunReader
from synth.view.page import count, usd
from tests.support.browser import Served, expect

pytestmark = pytest.mark.browser
PAGES = (
    *("/", "/?q=picture", "/c/{0}", "/c/{0}?seen=both&text=diff&open={1}#{1}"),
    *("/run", "/compare", "/compare/pair?a={0}&b={0}"),
)
"""With an accepted conversation and its first search."""


def draws(run: Path) -> list[Draw]:
    with closing(RunReader(run)) as reader:
        return list(reader.draws())


def first(run: Path) -> tuple[str, str]:
    """An accepted conversation, and its first search."""
    talk = next(draw.conversation for draw in draws(run) if draw.conversation)
    turn = next(turn.index for turn in talk.turns if turn.retrieval)
    return talk.id, f"c-{turn}-search"


def test_the_runs_page(opened: Opened, runs: tuple[Path, Path]) -> None:
    found = draws(runs[0])
    accepted = [draw for draw in found if draw.verdict == "accepted"]
    with closing(RunReader(runs[0])) as reader:
        cost = read_cost(reader.store)
    page = opened("/run")
    expect(page.locator("#state")).to_have_text("finished")
    expect(page.locator("[role=status]")).to_have_count(0, timeout=20_000)
    tiles = dict(zip(*(page.locator(f".tile {tag}").all_inner_texts() for tag in ("dt", "dd:not(.note)")), strict=True))
    assert tiles["Accepted"] == str(len(accepted)) and tiles["Cost"] == usd(cost.usd)
    funnel = page.locator("#funnel tr .number")
    assert [int(funnel.first.inner_text()), int(funnel.last.inner_text())] == [len(found), len(accepted)]
    # Cost by agent: the calls of a table's agents are all there are.
    sums = {row.locator("th").inner_text(): row for row in page.locator("#cost tbody tr.sum").all()}
    calls = sum(spent.calls for name, spent in cost.by_call.items() if name.startswith("user."))
    assert count(calls) in sums["user"].inner_text()
    # Hits by round: the notes below the columns.
    hits = Counter(
        sum(turn.act == "recommend" for turn in draw.conversation.turns)
        for draw in accepted
        if draw.conversation and draw.conversation.ended_by == "hit"
    )
    notes = page.locator("#rounds .note").all_text_contents()
    wanted = [f"{100 * sum(hits[n] for n in range(place + 2)) / len(accepted):.0f}%" for place in range(len(notes))]
    assert notes == wanted and notes
    expect(page.locator("#latency svg .value").first).to_be_visible()
    # The graph, drawn from the code, with counts on its edges.
    ended = sum(draw.conversation is not None for draw in found)
    edges = page.locator("#graph .edge title")
    expect(edges.first).to_be_attached(timeout=20_000)
    told = dict(text.split(": ") for text in edges.all_text_contents())
    assert told["start → greet"] == told["accept → end"] == str(ended)
    refused = page.locator("#funnel .refused a").first
    number = re.findall(r"\d+", refused.inner_text())[0]
    refused.click()
    expect(page.locator("#total")).to_have_text(number)


def test_two_runs_by_draw_and_by_scenario(opened: Opened, served: Served, runs: tuple[Path, Path]) -> None:
    page = opened("/compare")
    expect(page.locator("[role=status]")).to_have_count(0, timeout=20_000)
    ours, theirs = ({draw.number: draw for draw in draws(run)} for run in runs)
    expect(page.locator("#differences")).to_contain_text("accept")
    row = page.locator("#totals tr", has_text="Accepted conversations")
    expect(row.locator("td").nth(0)).to_have_text(str(sum(draw.verdict == "accepted" for draw in ours.values())))
    expect(row.locator("td").nth(1)).to_have_text(str(sum(draw.verdict == "accepted" for draw in theirs.values())))
    expect(page.locator("#distinct td").first).to_be_visible(timeout=20_000)
    expect(page.locator("#pairs")).to_contain_text(f"of {len(ours.keys() | theirs.keys())} differ")
    page.locator("#differ").click()
    page.wait_for_url("**differ=1**")
    assert page.locator(".pairs tbody tr").count() == page.locator(".pairs tr.differs").count() > 0
    page.locator('[data-by="scenario"]').click()
    expect(page.locator(".pairs thead th").first).to_have_text("scenario")
    page.locator("#differ").click()
    page.wait_for_url("**/compare?by=scenario")
    expect(page.locator(".pairs thead th").first).to_have_text("scenario")
    # A pair that went differently: turns beside each other, and words that differ marked.
    number = next(
        number
        for number, draw in ours.items()
        if draw.conversation
        and number in theirs
        and (other := theirs[number].conversation)
        and [turn.text for turn in other.turns] != [turn.text for turn in draw.conversation.turns]
    )
    page.goto(f"{served.url}/compare/pair?a=c{number:06d}&b=c{number:06d}")
    expect(page.locator(".whose")).to_have_count(2)
    left, right = (box for box in (cell.bounding_box() for cell in page.locator(".pair .whose").all()) if box)
    assert left["y"] == right["y"] and right["x"] >= left["x"] + left["width"]
    expect(page.locator("#alike")).to_be_visible()
    for run, draw in ((0, ours[number]), (1, theirs[number])):
        assert draw.conversation
        expect(page.locator(".pair .cell").nth(run)).to_contain_text(draw.conversation.turns[0].text)


def luminance(colour: str) -> float:
    """Relative luminance of a computed colour (WCAG 2)."""
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    shares = [part / 255 if not colour.startswith("color(") else part for part in parts]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


_CONTRASTS = """() => [...document.querySelectorAll("main *")].filter(
  (element) => element.checkVisibility({ opacityProperty: true }) && element.closest("svg") === null
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
).map((element) => {
  let ground = element, colour;
  do { colour = getComputedStyle(ground).backgroundColor; ground = ground.parentElement; }
  while (ground && (colour === "rgba(0, 0, 0, 0)" || colour === "transparent"));
  return [element.className, getComputedStyle(element).color, colour];
})"""


def test_light_and_dark(opened: Opened, served: Served, runs: tuple[Path, Path]) -> None:
    page = opened("/", color_scheme="light")
    for path in PAGES:
        page.goto(served.url + path.format(*first(runs[0])))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            body = page.locator("body")
            ground = luminance(body.evaluate("body => getComputedStyle(body).backgroundColor"))
            ink = luminance(body.evaluate("body => getComputedStyle(body).color"))
            assert (ground > 0.8 and ink < 0.05) if scheme == "light" else (ground < 0.02 and ink > 0.7)
            faint = set()
            for name, colour, behind in page.evaluate(_CONTRASTS):
                low, high = sorted((luminance(colour), luminance(behind)))
                if (high + 0.05) / (low + 0.05) < 4.5:
                    faint.add((name, colour, behind))
            assert not faint, (path, scheme)


def test_nothing_is_wider_than_a_phone(opened: Opened, served: Served, runs: tuple[Path, Path]) -> None:
    page = opened("/", viewport=PHONE, is_mobile=True, has_touch=True, allow="404")
    for path in (*PAGES, "/?verdict=rejected", "/compare?by=scenario", "/c/c999999"):
        page.goto(served.url + path.format(*first(runs[0])))
        expect(page.locator("main")).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        expect(page.locator("details > .waiting")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_a_phone_reads_a_conversation(opened: Opened, runs: tuple[Path, Path]) -> None:
    page = opened("/", viewport=PHONE, is_mobile=True, has_touch=True)
    page.locator("[data-open]").first.tap()
    page.locator("#t1-steps > summary").tap()
    page.locator("#t1-steps details.entry > summary").first.tap()
    expect(page.locator("#t1-steps .inside").first).to_be_visible()
    page.get_by_role("link", name="The buyer").tap()
    expect(page.locator("#buyer .name")).to_be_in_viewport()
