"""What `synth view` takes on a run of 7,000 conversations: milliseconds to what one sees, page sizes, memory.

Headless Chromium opens each address; the time is from the order to go there until the wanted thing is visible and
scripts have run. An empty Starlette page, served by a process of its own, is opened in between: what the browser itself
takes. `cold` is a fresh server's first answer to a browser without a cache.

    python -m benchmarks.bench_view [--run RUN] [--convs 7000] [--rounds 20]

Without a run it makes one, in `runs/bench-view-7000`, once: minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.browser import Served, launched, missing, viewed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

EMPTY = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
async def page(request): return HTMLResponse("<!doctype html><title>empty</title><main><p id=seen>empty</p></main>")
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen()
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", page)]), log_level="error")).run(sockets=[listener])
"""
GOALS = {"list, cold": 500, "list, warm": 150, "conversation": 200, "search in turns": 300, "search in messages": 300}
"""Milliseconds."""
GOAL_KB, GOAL_MB = 100, 150


class Place(NamedTuple):
    """An address, and what must be seen of it."""

    path: str
    seen: str


LIST = Place("/", "[data-row]")


def made(convs: int) -> Path:
    """A run of so many conversations; the same command finds it finished the next time."""
    run = Path("runs") / f"bench-view-{convs}"
    flags = ("--scenarios", "600", "--convs", str(convs), "--seed", "7", "--out", str(run), "--quiet")
    subprocess.run([sys.executable, "-m", "synth", "generate", *flags], check=True)
    return run


@contextlib.contextmanager
def empty() -> Iterator[str]:
    """Address of the empty page."""
    process = subprocess.Popen([sys.executable, "-c", EMPTY], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def opened(page: Page, address: str, seen: str) -> float:
    """Milliseconds until an address is read, its scripts have run, and something in it is visible."""
    began = time.perf_counter()
    page.goto(address, wait_until="domcontentloaded")  # sooner, Playwright would look for it in ever longer steps
    page.locator(seen).first.wait_for(state="visible")
    return 1e3 * (time.perf_counter() - began)


def peak(pid: int) -> float | None:
    """The most memory a process has had, in MB; None where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) * 1024 / 1e6 if found else None


class Results:
    """Times by name, each beside the empty page's of the same minute."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._times: dict[str, list[float]] = {}
        self._empty: dict[str, list[float]] = {}

    def take(self, name: str, page: Page, address: str, seen: str) -> None:
        self._empty.setdefault(name, []).append(opened(page, self._base, "#seen"))
        self._times.setdefault(name, []).append(opened(page, address, seen))

    def show(self) -> None:
        for name, times in self._times.items():
            middle, base = statistics.median(times), statistics.median(self._empty[name])
            goal = f", goal {GOALS[name]}" if name in GOALS else ""
            print(
                f"{name}: {middle:.0f} ms (worst {max(times):.0f}, of {len(times)}{goal}), "
                f"{middle / base:.1f} times an empty page's {base:.0f}"
            )


def index(browser: Browser, run: Path) -> None:
    """Prints how long the index takes on first use, with the list open and without."""
    for end in ("", "-wal", "-shm"):
        (run / f"view.db{end}").unlink(missing_ok=True)
    began = time.perf_counter()
    with viewed(run) as server, browser.new_context() as context:
        page = context.new_page()
        first = opened(page, server.url, LIST.seen)
        page.close()
        listed = 0.0
        while True:
            time.sleep(1)
            answer = context.request.get(server.url).text()
            if "listed:" not in answer and not listed:
                listed = time.perf_counter() - began
            if 'id="indexing"' not in answer:
                break
        whole = time.perf_counter() - began
    print(
        f"without an index: a first page after {first:.0f} ms, all rows after {listed:.0f} s, calls after {whole:.0f} s"
    )


def sample(run: Path, rounds: int) -> tuple[list[str], list[str]]:
    """Ids from all over a run, and words that some of its conversations have."""
    ids, words = [], Counter[str]()
    with (run / "conversations.jsonl").open(encoding="utf-8") as file:
        for line in file:
            ids.append(json.loads(line)["id"])
            if len(ids) <= 2000:
                words.update(
                    {w.lower() for t in json.loads(line)["turns"] for w in re.findall(r"[A-Za-z]{4,}", t["text"])}
                )
    ranked = [word for word, _ in words.most_common()]
    # From words that nearly all have to words that few have.
    places = [int(len(ranked) ** (n / rounds)) - 1 for n in range(rounds)]
    step = max(len(ids) // rounds, 1)
    return list(islice(cycle(ids[::step]), rounds)), [ranked[place] for place in places]


def sizes(context: BrowserContext, server: Served, ids: list[str], words: list[str]) -> None:
    """Prints how large pages are, without pictures, scripts and styles."""
    for name, paths in {
        "list": ["/", *(f"/?q={word}" for word in words[::4])],
        "conversation": [f"/c/{id_}" for id_ in ids],
        "conversation, both sides' sights": [f"/c/{id_}?seen=both" for id_ in ids],
        "run": ["/run"],
    }.items():
        kilobytes = [len(context.request.get(server.url + path).body()) / 1000 for path in paths]
        print(f"{name}: {statistics.median(kilobytes):.0f} kB (largest {max(kilobytes):.0f}; goal {GOAL_KB})")


def measure(browser: Browser, run: Path, base: str, rounds: int) -> None:
    """Prints everything that needs the index."""
    ids, words = sample(run, rounds)
    results = Results(base)
    for _ in range(rounds):
        with viewed(run) as server, browser.new_context() as context:
            results.take("list, cold", context.new_page(), server.url, LIST.seen)
    with viewed(run) as server, browser.new_context() as context:
        page = context.new_page()
        opened(page, server.url, LIST.seen)
        idle = peak(server.pid)
        for _ in range(rounds):
            results.take("list, warm", page, server.url, LIST.seen)
        for id_ in ids:
            results.take("conversation", page, f"{server.url}/c/{id_}", ".turn")
        for word in words:
            results.take("search in turns", page, f"{server.url}/?q={word}", "mark")
        for word in words:
            results.take("search in messages", page, f"{server.url}/?q={word}&in=messages", "mark, .empty")
        results.take("run's page, first time", page, f"{server.url}/run", "#funnel")
        for _ in range(3):
            results.take("run's page", page, f"{server.url}/run", "#funnel")
        results.show()
        sizes(context, server, ids, words)
        if (most := peak(server.pid)) is not None:
            print(f"server: {most:.0f} MB at most ({idle:.0f} MB after the first page; goal {GOAL_MB})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run that is there; its view.db is made anew")
    parser.add_argument("--convs", type=int, default=7000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    run = arguments.run or made(arguments.convs)
    with empty() as base, launched() as browser:
        index(browser, run)
        measure(browser, run, base, arguments.rounds)


if __name__ == "__main__":
    main()
