"""Human replies: a conversation up to a turn, and a person writes what the agent was asked for.

They see what the agent saw: on the assistant's side the conversation only, on the user's side the buyer's profile
and the product in mind as well.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.analysis.talks import Line, Talks
from synth.corpora.records import Conversation
from synth.errors import SynthError
from synth.traces.judgements import REPLY, REPLY_ACTS, HumanReply, ReplyAct, latest
from synth.view.annotator import annotator_of, form_of, fresh, onward, problem, save, shared, text_of
from synth.view.app import page, run_of
from synth.view.pairs import line_views, talks_of
from synth.view.product import Shelf

SAMPLE = 40
_LARGEST = 2_000
_SPEAKERS: dict[ReplyAct, str] = {
    "recommend": "assistant",
    "chit_chat": "assistant",
    "accept": "user",
    "reject": "user",
}
TASKS: dict[ReplyAct, tuple[str, str]] = {
    "recommend": (
        "Recommend this product",
        "You are the shop's assistant. Recommend the product shown in two or three sentences, with a reason that "
        "its picture shows.",
    ),
    "chit_chat": (
        "Answer the small talk",
        "You are the shop's assistant. Answer what the customer said, and lead back to what was shown.",
    ),
    "accept": (
        "Take the product",
        "You are the customer. Say that you take the product shown last, and what about it suits you.",
    ),
    "reject": (
        "Turn the product down",
        "You are the customer. Turn the product shown last down in one to three sentences. Say how it differs from "
        "what you have in mind; name neither brand nor price.",
    ),
}
NAMES: dict[ReplyAct, str] = {
    "recommend": "recommend",
    "chit_chat": "small talk",
    "accept": "accept",
    "reject": "reject",
}


class Task(NamedTuple):
    """One turn that is to be written by a person."""

    conversation: str
    turn: int
    act: ReplyAct

    @property
    def key(self) -> str:
        return f"{self.conversation}-{self.turn}"


class Asked(NamedTuple):
    """What a page is about, as its address says."""

    run: int
    act: ReplyAct | None
    sample: int

    def address(self, task: int | None = None, act: ReplyAct | None | str = "same") -> str:
        pairs = {
            "run": self.run or None,
            "act": self.act if act == "same" else act,
            "sample": None if self.sample == SAMPLE else self.sample,
            "task": task,
        }
        query = urlencode({name: value for name, value in pairs.items() if value})
        return f"/judge/replies?{query}" if query else "/judge/replies"


def routes() -> list[Route]:
    return [
        Route("/judge/replies", show, methods=["GET"], name="judge_replies"),
        Route("/judge/replies", write, methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    """A task; `?act=` only of one kind, `?sample=` of how many, `?task=` which; default: the next to be written."""
    asked = _asked(dict(request.query_params))
    values = await run_in_threadpool(_values, request, asked, request.query_params.get("task", ""))
    return fresh(page(request, "judge_replies.html", values))


async def write(request: Request) -> Response:
    """Saves a text, and shows the next task."""
    run, name = run_of(request), annotator_of(request)
    try:
        if not name:
            raise SynthError("Choose a pseudonym first.")
        form = await form_of(request)
        asked = _asked(form)._replace(run=run.number)
        tasks = await run_in_threadpool(tasks_of, talks_of(request)[run.number], asked)
        number = next((n for n, task in enumerate(tasks) if task.key == form.get("key")), None)
        if number is None:
            raise SynthError(
                "The run has changed, and this turn is not in the sample any more.", "Load the page again."
            )
        text = text_of(form, "text", REPLY)
        if not text:
            raise SynthError("There is no text yet.", "Write what you would say, or skip this one.")
        task = tasks[number]
        now = round(time.time(), 3)
        reply = HumanReply(
            conversation=task.conversation, turn=task.turn, act=task.act, text=text, annotator=name, at=now
        )
        await save(run, reply)
    except SynthError as error:
        return problem(request, error)
    following = partial(_values, request, asked, "", number + 1)
    return await onward(request, "_reply.html", asked.address(), following)


def tasks_of(talks: Talks, asked: Asked) -> list[Task]:
    """The same for everybody, in the same order; a larger sample begins with the smaller one.

    Conversations come in the order of a hash, each with one turn; the kinds of turns take turns.
    """
    ids = sorted(talks.briefs(), key=lambda id_: hashlib.blake2b(f"reply {id_}".encode(), digest_size=8).digest())
    found: list[Task] = []
    for id_ in ids:
        if len(found) == asked.sample:
            break
        task = _task(id_, talks.lines(id_), asked.act, len(found))
        if task:
            found.append(task)
    return found


def _task(id_: str, lines: tuple[Line, ...], act: ReplyAct | None, number: int) -> Task | None:
    wishes = [act] if act else [REPLY_ACTS[(number + step) % len(REPLY_ACTS)] for step in range(len(REPLY_ACTS))]
    for wish in wishes:
        places = [n for n, line in enumerate(lines) if line.act == wish and line.speaker == _SPEAKERS[wish]]
        if places:
            mark = hashlib.blake2b(f"turn {id_}".encode(), digest_size=8).digest()
            return Task(id_, places[int.from_bytes(mark) % len(places)], wish)
    return None


def _asked(params: dict[str, str]) -> Asked:
    act = next((known for known in REPLY_ACTS if known == params.get("act")), None)
    if params.get("act") and act is None:
        raise SynthError(
            f"There are no replies of the kind {params['act'][:40]!r}.", f"Known: {', '.join(REPLY_ACTS)}."
        )
    size = params.get("sample", "")
    sample = min(max(int(size), 1), _LARGEST) if size.isdecimal() and len(size) < 9 else SAMPLE
    return Asked(1 if params.get("run") == "1" else 0, act, sample)


def _values(request: Request, asked: Asked, wanted: str, start: int = 0) -> dict[str, Any]:
    """What the templates show.

    Args:
        wanted: number of the task, from 1; empty for the next to be written.
        start: where to look for that first, from 0.
    """
    run, name = run_of(request), annotator_of(request)
    tasks = tasks_of(talks_of(request)[run.number], asked)
    own = {
        (record.conversation, record.turn): record.text
        for record in latest(run.reader.path)
        if isinstance(record, HumanReply) and record.annotator == name
    }
    said = [own.get((task.conversation, task.turn)) for task in tasks]
    left_over = [n for n, text in enumerate(said) if text is None]
    if wanted.isdecimal() and len(wanted) < 9 and 1 <= int(wanted) <= len(tasks):
        number: int | None = int(wanted) - 1
    else:
        number = next((n for n in left_over if n >= start), left_over[0] if left_over else None)
    values: dict[str, Any] = {
        **shared(request),
        "run": run,
        "asked": asked,
        "acts": NAMES,
        "total": len(tasks),
        "done": len(tasks) - len(left_over),
        "number": number,
        "longest": REPLY,
        "here": asked.address(None if number is None else number + 1),
        "task": None,
    }
    if number is None or not name:
        return values
    task = tasks[number]
    talk = run.reader.draw(task.conversation).conversation
    if talk is None:
        raise SynthError(f"{task.conversation} is not in the run any more.", "Load the page again.")
    shelf = Shelf(run)
    before = [Line(turn.speaker, turn.text, turn.act, turn.products, turn.images) for turn in talk.turns[: task.turn]]
    user = _SPEAKERS[task.act] == "user"
    scenario = run.reader.scenarios.get(talk.profile.scenario_id)
    return {
        **values,
        "task": task,
        "title": TASKS[task.act][0],
        "what": TASKS[task.act][1],
        "user": user,
        "views": line_views(before, shelf),
        "product": shelf.card(next(_product(talk, task))) if task.act == "recommend" else None,
        "profile": talk.profile if user else None,
        "scenario": scenario.text if user and scenario else "",
        "target": shelf.card(talk.target_id) if user else None,
        "text": said[number] or "",
    }


def _product(talk: Conversation, task: Task) -> Iterator[str]:
    """What is to be recommended."""
    yield from talk.turns[task.turn].products
    yield talk.target_id
