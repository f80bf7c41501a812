"""Pictures of `synth view`, light and dark, wide and on a phone, to be looked at; two of them are the README's.

    python -m benchmarks.screenshots [--runs RUN RUN2] [--out screenshots] [--readme]

Without runs it makes two, from the drawn catalogue and a fake server: minutes, and no network.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from synth.corpora.drawing import draw_catalogue
from synth.graphs.options import Options
from synth.traces.reader import Draw, RunReader
from tests.support.browser import Served, launched, missing, viewed
from tests.support.showcase import make_paid

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).parents[1] / "docs"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
COLOURS = 192
"""Of a picture for the README: few enough for a small file."""


@contextlib.contextmanager
def given_or_made(runs: list[Path] | None) -> Iterator[list[Path]]:
    """The runs to show."""
    if runs:
        yield runs
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        draw_catalogue(place / "catalogue")
        lenient = Options(catalog=place / "catalogue", scenarios=120, convs=60, seed=7, out=place / "offline")
        strict = replace(lenient, accept="target", out=place / "offline-target")
        yield [
            make_paid(lenient, place / "shoes-and-coats", (0.1, 0.6)),
            make_paid(strict, place / "accept-target", (0.1, 0.6)),
        ]


def shown(run: Path) -> Draw:
    """A conversation that has something of everything: a photo, two rejections, a hit, a rewrite on every side."""
    reader = RunReader(run)
    with contextlib.closing(reader):
        talks = [draw for draw in reader.draws() if draw.conversation and draw.verdict == "accepted"]

    def worth(draw: Draw) -> tuple[bool, bool, int]:
        talk = draw.conversation
        assert talk is not None
        acts = [turn.act for turn in talk.turns]
        return talk.opening == "multimodal", talk.ended_by == "hit", -abs(acts.count("reject") - 2) - len(acts) // 12

    return max(talks, key=worth)


def differing(run: Path, other: Path) -> str:
    """A draw that ended differently in two runs; empty where there is none."""
    ends = []
    for path in (run, other):
        with contextlib.closing(RunReader(path)) as reader:
            ends.append({draw.id: draw.conversation.ended_by for draw in reader.draws() if draw.conversation})
    return next((id_ for id_, end in ends[0].items() if ends[1].get(id_, end) != end), "")


def pages(runs: list[Path]) -> dict[str, str]:
    """Addresses by name."""
    draw = shown(runs[0])
    talk = draw.conversation
    assert talk is not None
    search = next(turn.index for turn in talk.turns if turn.retrieval)
    step, query = f"c-{search}-search", f"c-{search}-query"
    other = differing(*runs) or draw.id
    return {
        "list": "/",
        "search": "/?q=blue+coat*&verdict=accepted&sort=-score",
        "refused": "/?verdict=rejected",
        "nothing": "/?q=nobodysaysthis",
        "conversation": f"/c/{draw.id}",
        "changes": f"/c/{draw.id}?text=diff",
        "steps": f"/c/{draw.id}?open={step},{query}#{step}",
        "beside": f"/c/{draw.id}?open={step}#t{search}",
        "barrier": f"/c/{draw.id}?seen=both",
        "assistant": f"/c/{draw.id}?seen=assistant",
        "run": "/run",
        "compare": "/compare",
        "scenarios": "/compare?by=scenario",
        "pair": f"/compare/pair?a={other}&b={other}",
        "missing": "/c/c999999",
    }


def settled(page: Page) -> Page:
    """Waits until a page's numbers are counted and its pictures are there: in scripts that its policy forbids."""
    page.wait_for_function("!document.querySelector('[role=status]') && !document.querySelector('[hx-trigger=load]')")
    page.wait_for_function("!document.querySelector('#graph') || document.querySelector('#graph svg')", timeout=60_000)
    page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    return page


def shoot(browser: Browser, server: Served, addresses: dict[str, str], out: Path) -> None:
    """Every page in four ways: the whole of it, and of long ones the first screen as well."""
    for kind, size, scheme in (("wide", WIDE, "light"), ("wide", WIDE, "dark"), ("phone", PHONE, "light")):
        settings: dict[str, Any] = {"viewport": size, "color_scheme": scheme, "is_mobile": kind == "phone"}
        context = browser.new_context(**settings, bypass_csp=True)
        page = context.new_page()
        for name, address in addresses.items():
            page.goto(server.url + address)
            settled(page)
            page.screenshot(path=out / f"{name}-{kind}-{scheme}.png")
            page.screenshot(path=out / f"{name}-{kind}-{scheme}-whole.png", full_page=True)
        context.close()


def for_readme(browser: Browser, server: Served, addresses: dict[str, str]) -> None:
    """The README's two: small files, sharp on a fine screen."""
    size = {"width": 1200, "height": 900}
    context = browser.new_context(viewport=size, device_scale_factor=1.5, bypass_csp=True)
    page = context.new_page()
    for name, address in (("list", addresses["list"]), ("conversation", addresses["beside"])):
        page.goto(server.url + address)
        settled(page)
        page.add_style_tag(content=".judgebar { display: none; }")  # it would cover what the picture is about
        place = DOCS / f"view-{name}.png"
        page.screenshot(path=place)
        with Image.open(place) as picture:
            picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(place, optimize=True)
        print(f"{place}: {place.stat().st_size / 1000:.0f} kB")
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs=2, metavar=("RUN", "RUN2"), help="default: two are made")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--readme", action="store_true", help="Only the README's two, into docs/.")
    arguments = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    with given_or_made(arguments.runs) as runs, viewed(*runs) as server, launched() as browser:
        addresses = pages(runs)
        if arguments.readme:
            for_readme(browser, server, addresses)
            return
        arguments.out.mkdir(parents=True, exist_ok=True)
        shoot(browser, server, addresses, arguments.out)
        print(f"{len(list(arguments.out.glob('*.png')))} pictures in {arguments.out}")


if __name__ == "__main__":
    main()
