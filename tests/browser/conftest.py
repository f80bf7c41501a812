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
    from playwright.sync_api import Browser, Page

Opened = Callable[..., "Page"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def runs(catalogue: Path, tmp_path_factory: pytest.TempPathFactory, _possible: None) -> tuple[Path, Path]:
    """A run of two models with faults, so that it has tokens, costs, retries and repairs; and a stricter one."""
    place = tmp_path_factory.mktemp("viewed")
    strict = Options(catalog=catalogue, scenarios=30, convs=30, threshold=26.0, out=place / "strict", accept="target")
    generate(strict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.setattr(gateway, "_FIRST_WAIT", 0.01)
        make_paid(replace(strict, out=place / "offline", accept="fit"), place / "paid")
    return place / "paid", place / "strict"


@pytest.fixture(scope="module")
def browser(_possible: None) -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(runs: tuple[Path, Path]) -> Iterator[Served]:
    """`synth view` with both runs."""
    with viewed(*runs) as server:
        yield server


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Opened]:
    """Opens an address of `served`, or of another server's, in a browser that nobody has used before.

    Nothing may go wrong in any of its pages, but for what `allow` names.
    """
    contexts, found = [], []

    def go(path: str, *, home: str = served.url, allow: str = "nothing", **settings: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE, **settings})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        found.append((watch(page, home), allow))
        page.goto(home + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert [problem for problems, allow in found for problem in problems if allow not in problem] == []
