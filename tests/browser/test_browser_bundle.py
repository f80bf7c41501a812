"""The static copy in a real browser: from a plain web server with no other network, and from the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.conftest import Opened
from tests.support.browser import expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies") / "copy"
    command = [
        sys.executable,
        "-m",
        "synth",
        "view",
        str(runs[0]),
        "--bundle",
        str(folder),
        "--select",
        "verdict=accepted",
    ]
    subprocess.run([*command, "--limit", "8"], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[str]:
    """Address of the copy on `python -m http.server`."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().split('port ')[1].split()[0]}"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_it_is_read_from_any_server(opened: Opened, home: str, folder: Path) -> None:
    page = opened("/", home=home)
    expect(page.locator("[data-row]")).to_have_count(8)
    expect(page.locator("tbody img").first).to_have_js_property("complete", True)
    texts = json.loads((folder / "texts.js").read_text("utf-8").removeprefix("const TEXTS = ").rstrip(";\n"))
    word = max((word for word in texts[3].split() if word.isalpha()), key=len)
    page.locator("#q").fill(word)
    expect(page.locator("#total")).to_have_text(str(sum(word.lower() in text.lower() for text in texts)))
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("#buyer")).to_be_visible()
    fold = page.locator("#t4-steps")
    fold.locator("> summary").click()
    search = fold.locator("details.search").first
    search.locator("> summary").click()
    expect(search.locator("tr.chosen")).to_have_count(1)
    picture = search.locator("tr.chosen img")
    expect(picture).to_have_js_property("complete", True)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    page.locator("#t4-seen > summary").click()
    expect(page.locator("#t4-sights .side")).to_have_count(2)
    page.goto(f"{page.url}#c-4-query")
    expect(page.locator("#c-4-query .reply")).to_be_visible()
    page.get_by_role("link", name="Run", exact=True).click()
    expect(page.locator("#funnel")).to_be_visible()
    expect(page.locator("#graph .edge").first).to_be_attached()


def test_it_is_read_from_the_disk(opened: Opened, folder: Path) -> None:
    page = opened("/index.html", home=folder.as_uri())
    page.locator("[data-open]").first.click()
    page.locator("#t4-steps > summary").click()
    step = page.locator("#t4-steps details.search")
    step.locator("> summary").click()
    step.get_by_role("link", name="Open this step").click()
    expect(page.locator("tr.chosen")).to_have_count(1)
    page.get_by_role("link", name="←").click()
    expect(page.locator("#buyer")).to_be_visible()
