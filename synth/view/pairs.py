"""Blind pairs: two conversations, in an order that only the server knows, and which is better by four aspects."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from synth.analysis.pairing import Comparison, Pair
from synth.analysis.talks import Line, Talks
from synth.errors import SynthError
from synth.randomness import rng
from synth.traces.judgements import ASPECTS, Aspect, Choice, PairChoice, Version, latest
from synth.view.annotator import annotator_of, form_of, fresh, onward, problem, save, shared
from synth.view.app import page
from synth.view.product import Card, Shelf
from synth.view.run import ViewedRun

SAMPLE = 100
_LARGEST = 10_000
_DAY = 86_400.0
MEANINGS: dict[Aspect, str] = {
    "logical": "Each turn follows from what was said, and nobody contradicts themselves.",
    "informative": "It says useful, concrete things about needs and products.",
    "natural": "It reads like people talking.",
    "coherent": "It stays one conversation, from the wish to the decision.",
}
"""The aspects of MUSE's Figs. 20 and 21."""


class LineView(NamedTuple):
    """A turn with the products it shows."""

    line: Line
    cards: Sequence[Card]


class Asked(NamedTuple):
    """What a page is about, as its address says."""

    comparison: Comparison
    sample: int

    def address(self, **more: int) -> str:
        size = {} if self.sample == SAMPLE else {"sample": self.sample}
        return "/judge/pairs?" + urlencode({"of": self.comparison.name, **size, **more})


def routes() -> list[Route]:
    return [
        Route("/judge/pairs", show, methods=["GET"], name="judge_pairs"),
        Route("/judge/pairs", choose, methods=["POST"]),
        Route("/judge/picture/{hash}", picture),
    ]


async def show(request: Request) -> Response:
    """A pair; `?of=` which comparison, `?sample=` of how many pairs, `?pair=` which; default: the next to be judged."""
    asked = _asked(request, dict(request.query_params))
    values = await run_in_threadpool(_values, request, asked, request.query_params.get("pair", ""))
    return fresh(page(request, "judge_pairs.html", values))


async def choose(request: Request) -> Response:
    """Saves what was chosen, and shows the next pair."""
    name = annotator_of(request)
    try:
        if not name:
            raise SynthError("Choose a pseudonym first.")
        form = await form_of(request)
        asked = _asked(request, form)
        pairs = await run_in_threadpool(asked.comparison.pairs, asked.sample)
        number = next((n for n, pair in enumerate(pairs) if pair.key == form.get("pair")), None)
        if number is None:
            raise SynthError(
                "The run has changed, and this pair is not in the sample any more.", "Load the page again."
            )
        pair = pairs[number]
        left = _left(name, pair)
        now = time.time()
        await save(
            _first(request),
            PairChoice(
                a=pair.a,
                b=pair.b,
                left=left,
                choices=_choices(form, left),
                annotator=name,
                seconds=round(min(max(now - _number(form.get("began", "")), 0.0), _DAY), 1),
                at=round(now, 3),
            ),
        )
    except SynthError as error:
        return problem(request, error)
    following = partial(_values, request, asked, "", number + 1)
    return await onward(request, "_pair.html", asked.address(), following)


async def picture(request: Request) -> Response:
    """A picture of any of the runs, by an address that does not say which."""
    runs: list[ViewedRun] = request.app.state.runs
    found = next((path for run in runs if (path := run.reader.picture(request.path_params["hash"]))), None)
    if found is None:
        raise HTTPException(404, "There is no such picture.")
    return FileResponse(found, headers={"Cache-Control": "private, max-age=31536000, immutable"})


def talks_of(request: Request) -> list[Talks]:
    """The runs' conversations, each read once."""
    state = request.app.state
    if not hasattr(state, "talks"):
        names = [run.name for run in state.runs]
        if len(set(names)) < len(names):
            names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
        state.talks = [_talks(run, name) for name, run in zip(names, state.runs, strict=True)]
    found: list[Talks] = state.talks
    return found


def comparisons_of(request: Request) -> dict[str, Comparison]:
    """What can be compared here, by name, the most telling first."""
    state = request.app.state
    if not hasattr(state, "comparisons"):
        first, *more = talks_of(request)
        against: Path | None = state.against
        made = [Comparison("runs", first, other) for other in more]
        if against is not None:
            made.append(Comparison("file", first, Talks(against.name, against)))
        made.append(Comparison("drafts", first, _talks(state.runs[0], first.name, "draft")))
        state.comparisons = {comparison.name: comparison for comparison in made}
    found: dict[str, Comparison] = state.comparisons
    return found


def _talks(run: ViewedRun, name: str, version: Version = "final") -> Talks:
    scenarios = {scenario.id: scenario.text for scenario in run.reader.scenarios.values()}
    return Talks(name, run.reader.path / "conversations.jsonl", version, scenarios)


def _asked(request: Request, params: dict[str, str]) -> Asked:
    known = comparisons_of(request)
    name = params.get("of") or next(iter(known))
    if name not in known:
        raise SynthError(f"There is nothing called {name[:40]!r} to compare here.", f"Known: {', '.join(known)}.")
    size = params.get("sample", "")
    return Asked(known[name], min(max(int(size), 1), _LARGEST) if size.isdecimal() and len(size) < 9 else SAMPLE)


def _values(request: Request, asked: Asked, wanted: str, start: int = 0) -> dict[str, Any]:
    """What the templates show.

    Args:
        wanted: number of the pair, from 1; empty for the next to be judged.
        start: where to look for that first, from 0.
    """
    name = annotator_of(request)
    run = _first(request)
    pairs = asked.comparison.pairs(asked.sample)
    subjects = {record.subject: record for record in latest(run.reader.path) if record.annotator == name}
    said = [subjects.get(pair.subject) for pair in pairs]
    left_over = [n for n, record in enumerate(said) if record is None]
    if wanted.isdecimal() and len(wanted) < 9 and 1 <= int(wanted) <= len(pairs):
        number: int | None = int(wanted) - 1
    else:
        number = next((n for n in left_over if n >= start), left_over[0] if left_over else None)
    values: dict[str, Any] = {
        **shared(request),
        "comparisons": comparisons_of(request),
        "asked": asked,
        "total": len(pairs),
        "done": len(pairs) - len(left_over),
        "number": number,
        "aspects": MEANINGS,
        "here": asked.address() if number is None else asked.address(pair=number + 1),
    }
    if number is None or not name:
        return {**values, "pair": None}
    pair, before = pairs[number], said[number]
    left = _left(name, pair)
    brief = asked.comparison.a.briefs()[pair.a.conversation]
    return {
        **values,
        "pair": pair,
        "began": f"{time.time():.1f}",
        "chosen": _shown(before, left) if isinstance(before, PairChoice) else {},
        "sides": _sides(request, asked.comparison, pair, left),
        "scenario": brief.scenario if pair.closeness in (0, 1, 3) else "",
        "target": Shelf(run).card(brief.target) if pair.closeness <= 2 and brief.target else None,
    }


def _sides(request: Request, comparison: Comparison, pair: Pair, left: Choice) -> list[tuple[str, list[LineView]]]:
    """The talks as A and B. Products are shown on both sides or, where one has no record of them, on none."""
    runs: list[ViewedRun] = request.app.state.runs
    shelves: dict[str, Shelf | None] = {"a": Shelf(runs[0])}
    shelves["b"] = {"runs": Shelf(runs[-1]), "drafts": shelves["a"]}.get(comparison.name)
    bare = None in shelves.values()
    talks = {"a": comparison.a.lines(pair.a.conversation), "b": comparison.b.lines(pair.b.conversation)}
    order = ("a", "b") if left == "a" else ("b", "a")
    return [
        (letter, line_views(talks[side], None if bare else shelves[side]))
        for letter, side in zip("AB", order, strict=True)
    ]


def line_views(lines: Sequence[Line], shelf: Shelf | None) -> list[LineView]:
    """Turns with the products they show, and of those the pictures that were shown."""
    views = []
    for line in lines:
        cards = []
        if shelf and (line.act == "recommend" or line.images):
            for product_id in line.products:
                card = shelf.card(product_id)
                seen = card.picture is not None and card.picture.hash in line.images
                cards.append(card if seen else card._replace(picture=None))
        views.append(LineView(line, cards))
    return views


def _left(name: str, pair: Pair) -> Literal["a", "b"]:
    """Which of a pair an annotator sees on the left: a coin's toss, but the same each time."""
    return "a" if rng(0, "left", name, pair.key).random() < 0.5 else "b"


def _choices(form: dict[str, str], left: Choice) -> dict[Aspect, Choice]:
    """
    Raises:
        SynthError: an aspect has no answer.
    """
    right: Choice = "b" if left == "a" else "a"
    meant: dict[str, Choice] = {"left": left, "right": right, "tie": "tie"}
    missing = [aspect for aspect in ASPECTS if form.get(aspect) not in meant]
    if missing:
        raise SynthError(f"Choose A, B or tie for: {', '.join(missing)}.")
    return {aspect: meant[form[aspect]] for aspect in ASPECTS}


def _shown(record: PairChoice, left: Choice) -> dict[str, str]:
    """Earlier choices as they stand on the page."""
    return {
        aspect: "tie" if choice == "tie" else "left" if choice == left else "right"
        for aspect, choice in record.choices.items()
    }


def _first(request: Request) -> ViewedRun:
    """Pairs are kept with the first run."""
    runs: list[ViewedRun] = request.app.state.runs
    return runs[0]


def _number(text: str) -> float:
    """A form's time; now where it is none."""
    try:
        number = float(text)
    except ValueError:
        return time.time()
    return number if math.isfinite(number) else time.time()
