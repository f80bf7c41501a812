"""A run that is still going: an open page takes up what comes, and says when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import make_catalogue, make_conversation, make_run

from browser.conftest import Opened
from synth.traces.run import row
from tests.support.browser import expect, viewed

pytestmark = pytest.mark.browser


def test_pages_follow_a_run(opened: Opened, tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    talks = [make_conversation(number, catalogue) for number in range(5)]
    run = make_run(tmp_path / "run", talks[:2], catalogue, wanted=5, finished=False)
    (run.path / "rejected.jsonl").unlink()
    run.lock()
    with viewed(run.path) as server:
        page, figures = opened("/?verdict=accepted", home=server.url), opened("/run", home=server.url)
        expect(page.locator("#running")).to_have_text("running: 2 of 5")
        expect(page.locator("#total")).to_have_text("2")
        expect(figures.locator("#state")).to_have_text("running")
        page.keyboard.press("j")
        chosen = page.locator(".current").get_attribute("id")
        page.get_by_label("Search", exact=True).focus()
        with (run.path / "conversations.jsonl").open("ab") as file:
            file.write("".join(row(talk) + "\n" for talk in talks[2:]).encode())
        expect(page.locator("#total")).to_have_text("5", timeout=15_000)
        expect(page.locator("#running")).to_have_text("running: 5 of 5")
        expect(page.locator(f"#{chosen}")).to_have_class("accepted current")
        expect(page.locator("#q")).to_be_focused()
        store = run.store(readonly=False)
        store.set_meta("finished", True)
        store.close()
        run.unlock()
        expect(page.locator("#running")).to_have_count(0, timeout=15_000)
        expect(figures.locator("#state")).to_have_text("finished", timeout=20_000)
        expect(figures.locator(".tile dd").first).to_have_text("5", timeout=20_000)
