"""Runs whose words and pictures try to be programs, addresses that lead nowhere: nothing runs, and pages say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import make_catalogue, make_conversation, make_run

from browser.conftest import Opened
from synth.corpora.catalogue import Catalogue, CatalogueWriter
from synth.corpora.records import Person, Requirement, Scenario
from synth.traces.run import RunFolder, row
from tests.support.browser import Served, expect, viewed

pytestmark = pytest.mark.browser
HOSTILE = '<script>alert("run")</script><img src=x onerror=alert(1)> "q" & \'s\' <a href="javascript:alert(2)">x</a>'
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(3)"><script>alert(4)</script><rect width="9"/></svg>'


def hostile_catalogue(folder: Path) -> Catalogue:
    """Every word of its products is markup."""
    plain = make_catalogue(folder.with_name("plain"))
    writer = CatalogueWriter(folder)
    products = []
    for product in plain:
        picture = product.images[0]
        data = plain.image_path(picture).read_bytes()
        kept = writer.store_image(data, picture.mime, picture.width, picture.height, picture.url)
        named = {
            "title": f"{product.id} {HOSTILE}",
            "categories": (f"{HOSTILE} {product.id}",),
            "attributes": {HOSTILE: HOSTILE},
        }
        products.append(product.model_copy(update={**named, "images": (kept,)}))
    return writer.finish(plain.info, products)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two conversations: hostile words everywhere, one picture that is a drawing with a script, one that is gone."""
    place = tmp_path_factory.mktemp("hostile")
    catalogue = hostile_catalogue(place / "catalogue")
    talk = make_conversation(1, catalogue)
    profile = talk.profile.model_copy(
        update={
            "person": Person(name=HOSTILE, gender=None, age=30, profession=HOSTILE),
            "backstory": HOSTILE,
            "requirements": (Requirement(text=HOSTILE), Requirement(text=HOSTILE, attribute=HOSTILE, value=HOSTILE)),
        }
    )
    turns = [turn.model_copy(update={"text": f"{turn.index} {HOSTILE}"}) for turn in talk.turns]
    talk = talk.model_copy(
        update={"profile": profile, "turns": tuple(turns), "drafts": tuple(f"{HOSTILE} {t}" for t in talk.drafts)}
    )
    made = make_run(place / "run", [make_conversation(0, catalogue), talk], catalogue)
    scenario = Scenario(id="s0", text=HOSTILE, family=HOSTILE, origin="seed")
    (made.path / "scenarios.jsonl").write_text(row(scenario) + "\n", "utf-8")
    for product_id, text in (("b1", DRAWING), ("b2", None)):
        picture = made.path / "images" / catalogue[product_id].images[0].filename
        if text is None:
            picture.unlink()
        else:
            picture.write_text(text, "utf-8")
    return made


@pytest.fixture(scope="module")
def hostile(run: RunFolder) -> Iterator[Served]:
    with viewed(run.path) as server:
        yield server


def test_words_stay_words(opened: Opened, hostile: Served) -> None:
    page = opened("/", home=hostile.url)
    expect(page.locator("[data-row]").first).to_be_visible()
    expect(page.get_by_text('<script>alert("run")</script>').first).to_be_visible()
    page.locator('[data-facet="category"]').first.click()
    chip = page.locator('[data-chip="category"]')
    expect(chip).to_contain_text("<script>")
    chip.click()
    expect(chip).to_have_count(0)
    page.locator("#q").fill("alert")
    expect(page.locator(".snippet mark").first).to_be_visible()
    expect(page.locator(".snippet").first).to_contain_text("<script>")
    for path in ("/c/c000001", "/c/c000001?text=diff&seen=both", "/run"):
        page.goto(hostile.url + path)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        expect(page.locator("details > .waiting")).to_have_count(0)
        assert page.locator("main script, main a[href^='javascript:'], main img[src='x']").count() == 0
    page.goto(f"{hostile.url}/c/c000001")
    expect(page.locator("#t1 .version.final")).to_have_text(f"1 {HOSTILE}")
    expect(page.locator("#buyer .name")).to_have_text(HOSTILE)
    expect(page.locator("#buyer .backstory")).to_have_text(HOSTILE)


def test_a_search_for_markup_is_words(opened: Opened, hostile: Served) -> None:
    page = opened(
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E&category=%3Cimg%20src=x%20onerror=alert(1)%3E", home=hostile.url
    )
    expect(page.locator('[data-chip="q"]')).to_contain_text("<script>")
    expect(page.locator("#q")).to_have_value("<script>alert(1)</script>")
    expect(page.get_by_text("Nothing matches")).to_be_visible()


def test_a_drawing_is_no_program(opened: Opened, hostile: Served, run: RunFolder) -> None:
    hashes = {p.id: p.images[0].hash for p in run.catalogue()}
    page = opened("/c/c000001", home=hostile.url)
    card = page.locator('.chat [data-product="b1"] img').first
    card.scroll_into_view_if_needed()
    expect(card).to_have_js_property("complete", True)
    assert card.evaluate("image => image.naturalWidth") == 0
    answer = page.goto(f"{hostile.url}/images/0/{hashes['b1']}")
    assert answer is not None and answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff" and page.locator("svg, rect").count() == 0


def test_a_missing_picture_is_named(opened: Opened, hostile: Served, run: RunFolder) -> None:
    gone = run.catalogue()["b2"].images[0].hash
    page = opened("/c/c000001", home=hostile.url)
    expect(page.locator(f'.picture.none[title*="{gone}"]').first).to_be_attached()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/c/c999999",
            "/c/nothing",
            "/c/c000001/steps/c-99-no",
            "/images/0/" + "0" * 32,
            "/images/0/..%2f..%2frun.db",
        ),
        *(
            "/?run=7",
            "/c/c000001?run=1",
            "/compare",
            "/static/../run.db",
            "/static/%2e%2e/%2e%2e/app.py",
            "/no/such/page",
        ),
    ],
)
def test_what_is_not_there_is_a_clear_page(opened: Opened, hostile: Served, path: str) -> None:
    page = opened(path, home=hostile.url, allow="404")
    expect(page.locator("h1")).to_be_visible()
    text = page.locator("body").inner_text()
    assert "Traceback" not in text and "SQLite" not in text and str(Path.home()) not in text
    page.get_by_role("link", name="To the conversations").click()
    expect(page.locator("#total")).to_be_visible()


def test_another_site_cannot_ask(opened: Opened, hostile: Served) -> None:
    page = opened("/", home=hostile.url)
    refused = page.request.get(hostile.url, headers={"Host": "evil.example"})
    assert refused.status == 400 and "c000001" not in refused.text()
    policy = page.request.get(hostile.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
