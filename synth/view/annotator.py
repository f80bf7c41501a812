"""Who judges: a pseudonym in a cookie. And what a form of theirs says."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from synth.errors import SynthError
from synth.traces.judgements import Judgement, add, latest, pseudonym
from synth.view.app import page
from synth.view.run import ViewedRun

COOKIE = "synth-annotator"
_YEAR = 365 * 24 * 3600
_LARGEST = 100_000
"""Bytes of a form."""
_COLOURS = ("amber", "blue", "copper", "green", "grey", "ivory", "red", "silver", "violet", "white")
_BIRDS = ("finch", "heron", "jay", "lark", "martin", "owl", "plover", "robin", "swift", "wren")


def routes() -> list[Route]:
    return [Route("/judge/annotator", choose, methods=["POST"])]


async def choose(request: Request) -> Response:
    """Keeps the pseudonym for a year; an empty one forgets it."""
    try:
        form = await form_of(request)
        name = pseudonym(form.get("annotator", "")) if "forget" not in form else ""
    except SynthError as error:
        return problem(request, error)
    response = reloaded(request)
    if name:
        response.set_cookie(COOKIE, quote(name), _YEAR, path="/", httponly=True, samesite="strict")
    else:
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def annotator_of(request: Request) -> str:
    """The pseudonym of whoever asks; empty where none is chosen."""
    try:
        return pseudonym(unquote(request.cookies.get(COOKIE, "")))
    except SynthError:
        return ""


def suggestion() -> str:
    """A pseudonym that says nothing about anybody."""
    draw = random.SystemRandom()
    return f"{draw.choice(_COLOURS)} {draw.choice(_BIRDS)}"


async def form_of(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form; of one that is there twice, the last.

    Raises:
        SynthError: it is too large, or no text.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise SynthError("That is too much text.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise SynthError("The form's text cannot be read.") from None
    return dict(pairs)


def text_of(form: dict[str, str], name: str, longest: int) -> str:
    """A field's text, without what would steer a terminal.

    Raises:
        SynthError: it is too long.
    """
    raw = form.get(name, "").replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(c for c in raw if c in "\n\t" or c.isprintable()).strip()
    if len(text) > longest:
        raise SynthError(f"That is {len(text):,} characters; {longest:,} are kept at most.")
    return text


async def records_of(run: ViewedRun) -> list[Judgement]:
    """Each annotator's last word on everything, as the run's file has it now."""
    return await run_in_threadpool(latest, run.reader.path)


async def save(run: ViewedRun, judgement: Judgement) -> None:
    """
    Raises:
        SynthError: the run's folder cannot be written to.
    """
    await run_in_threadpool(add, run.reader.path, judgement)


def problem(request: Request, error: SynthError, status: int = 422) -> Response:
    """What is wrong: a line for the page's script to show, a page otherwise."""
    if "hx-request" in request.headers:
        return Response(str(error), status, media_type="text/plain")
    return page(request, "message.html", {"title": "Not saved", "text": str(error)}, status)


def reloaded(request: Request) -> Response:
    """Sends the browser to the page it came from, as it is now."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return RedirectResponse("/judge", 303)


async def onward(request: Request, template: str, address: str, values: Callable[[], dict[str, Any]]) -> Response:
    """What follows a saved form: the next thing to judge in the page's place, or the browser sent to it.

    Args:
        address: where that is for a browser without scripts.
        values: what the template shows; `here` is the address for all others.
    """
    if "hx-request" not in request.headers:
        return RedirectResponse(address, 303)
    shown = await run_in_threadpool(values)
    response = page(request, template, shown)
    response.headers["HX-Push-Url"] = shown["here"]
    return fresh(response)


def fresh(response: Response) -> Response:
    """What depends on who asks is not to be kept."""
    response.headers["Cache-Control"] = "no-store"
    return response


def shared(request: Request) -> dict[str, Any]:
    """What every page of judgement shows."""
    return {"annotator": annotator_of(request), "suggestion": suggestion()}
