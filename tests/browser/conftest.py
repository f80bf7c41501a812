"""Runs to look at, a browser to look with, and pages that fail their test where something is wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.llm import gateway
from tests.support.browser import Served, launched, missing, viewed, watch
from tests.support.showcase import make_paid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Opened = Callable[..., "Page"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where no browser can be driven, one test says why for all of them."""
    ours = [item for item in items if item.get_closest_marker("browser")]
    if ours and (reason := missing()):
        ours[0].add_marker(pytest.mark.skip(reason=f"all {len(ours)} browser tests: {reason}"))
        config.hook.pytest_deselected(items=ours[1:])
        items[:] = [item for item in items if item not in ours[1:]]


@pytest.fixture(scope="session")
def runs(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of two models with faults, so that it has tokens, costs, retries and repairs; and a stricter one."""
    place = tmp_path_factory.mktemp("viewed")
    strict = Options(catalog=catalogue, scenarios=30, convs=30, threshold=26.0, out=place / "strict", accept="target")
    generate(strict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.setattr(gateway, "_FIRST_WAIT", 0.01)
        make_paid(replace(strict, out=place / "offline", accept="fit"), place / "paid")
    return place / "paid", place / "strict"


@pytest.fixture(scope="package")  # not of the session: other tests start event loops
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def served(runs: tuple[Path, Path]) -> Iterator[Served]:
    """`synth view` with both runs."""
    with viewed(*runs) as server:
        yield server


@pytest.fixture(scope="package")
def desk(browser: Browser) -> Iterator[BrowserContext]:
    """Where most pages are opened; tests keep nothing there but files that do not change."""
    context = browser.new_context(viewport=WIDE)
    yield context
    context.close()


@pytest.fixture
def opened(browser: Browser, desk: BrowserContext, served: Served) -> Iterator[Opened]:
    """Opens an address of `served`, or of another server's, in a page of its own.

    Nothing may go wrong in any of its pages, but for what `allow` names.
    """
    pages, contexts, found = [], [], []

    def go(path: str, *, home: str = served.url, allow: str = "nothing", **settings: Any) -> Page:
        context = desk
        if settings:
            context = browser.new_context(**{"viewport": WIDE, **settings})
            contexts.append(context)
        page = context.new_page()
        pages.append(page)
        found.append((watch(page, home), allow))
        page.goto(home + path)
        return page

    yield go
    for thing in (*pages, *contexts):
        thing.close()
    assert [problem for problems, allow in found for problem in problems if allow not in problem] == []
