"""The system's Chromium, driven by Playwright, and `synth view` to look at: for tests, timings and screenshots.

Playwright downloads no browser here: it drives the Chromium or Chrome that is installed, or the one that the
environment variable SYNTH_CHROMIUM names.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    *(
        f"{os.environ[root]}/{product}/Application/chrome.exe"
        for root in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
        if root in os.environ
        for product in ("Google/Chrome", "Chromium")
    ),
)
_ROOT = Path(__file__).parents[2]


class Served(NamedTuple):
    """A `synth view` that listens."""

    url: str
    """Without a slash at its end."""
    pid: int


def chromium() -> str | None:
    """The browser's program; None where there is none."""
    if named := os.environ.get("SYNTH_CHROMIUM"):
        return shutil.which(named)
    found = filter(None, map(shutil.which, (*_NAMES, *_PLACES)))
    return next(found, None)


def missing() -> str:
    """Why no browser can be driven here; empty where one can."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: pip install -e '.[dev]'"
    if chromium() is None:
        return "no Chromium or Chrome is installed; SYNTH_CHROMIUM can name one"
    return ""


def expect(target: Any) -> Any:
    """Playwright's `expect`, which waits for what it asserts."""
    from playwright.sync_api import expect

    return expect(target)


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window while the `with` block lasts.

    While it lasts, its thread has an event loop, so that nothing else in the thread may start one.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def viewed(*runs: Path) -> Iterator[Served]:
    """`synth view` in a process of its own."""
    command = [sys.executable, "-m", "synth", "view", *map(str, runs), "--no-open", "--port", "0"]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        said = process.stdout.readline()
        if not said.startswith("http://"):
            raise RuntimeError(f"synth view did not start: {said}")
        yield Served(said.split()[0].rstrip("/"), process.pid)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def watch(page: Page, home: str) -> list[str]:
    """What must not happen in a page, as it happens: errors, dialogs, answers that are none, requests elsewhere.

    Args:
        home: beginning of the addresses that may be asked for.
    """
    problems: list[str] = []

    def refuse(dialog: Any) -> None:
        problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def asked(request: Any) -> None:
        if not request.url.startswith((home, "data:", "blob:")):
            problems.append(f"request to {request.url}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            problems.append(f"{response.status} for {response.url}")

    def said(message: Any) -> None:
        # The library says so of every request of its own that a newer one took the place of.
        replaced = message.text.startswith(("htmx:afterRequest", "htmx:sendAbort"))
        if message.type in ("error", "warning") and not replaced:
            problems.append(f"console: {message.text}")

    page.on("dialog", refuse)
    page.on("request", asked)
    page.on("response", answered)
    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    return problems
