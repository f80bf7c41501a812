"""The web application: routes, what every page shares, and what no page may do.

It listens on loopback only. A request whose Host header is not the address it listens on is refused, so that no
page of the web can reach it by a name of its own; whatever writes needs the token that only its own pages hold.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from synth.errors import SynthError
from synth.view.page import Pages
from synth.view.run import ViewedRun

STATIC = Path(__file__).parent / "static"
HOSTS = ("127.0.0.1", "localhost", "[::1]")
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"
)
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Of a picture at its own address: browsers style the page that they make of it, and nothing in it runs."""
Endpoint = Callable[[Request], Awaitable[Response] | Response]


def make_app(runs: Sequence[ViewedRun], against: Path | None = None) -> Starlette:
    """The application over one run, or two side by side.

    Args:
        runs: the run, and the one beside it.
        against: a JSONL file of other conversations, for blind comparison.
    """
    from synth.view import browse, compare, conversation, judgement, overview

    token = secrets.token_urlsafe(24)
    app = Starlette(
        routes=[
            *browse.routes(),
            *conversation.routes(),
            *overview.routes(),
            *compare.routes(),
            *judgement.routes(),
            Route("/images/{run:int}/{hash}", picture, name="picture"),
            Route("/favicon.ico", icon),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)],
        exception_handlers={SynthError: mistake, HTTPException: refusal},
    )
    app.state.runs = list(runs)
    app.state.against = against
    app.state.token = token
    app.state.pages = Pages(token=token, static_url="/static", runs=runs)

    async def guarded(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.method not in ("GET", "HEAD") and not _holds_token(request, token):
            return await refusal(request, HTTPException(403, "This page is older than the server. Load it again."))
        response = await call(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=guarded)
    return app


def run_of(request: Request) -> ViewedRun:
    """The run that a request is about: the first, or the second where `run=1` is asked for."""
    runs: list[ViewedRun] = request.app.state.runs
    number = request.path_params.get("run", request.query_params.get("run", "0"))
    if str(number) not in ("0", "1") or int(number) >= len(runs):
        raise HTTPException(404, "There is no such run here.")
    return runs[int(number)]


def page(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
    """A rendered page, or the part of one that HTMX asks for."""
    pages: Pages = request.app.state.pages
    return Response(pages.render(template, values, request.url.path), status, media_type="text/html")


async def picture(request: Request) -> Response:
    """A picture by content hash: never a path, so nothing but the run's pictures can be asked for."""
    path = run_of(request).reader.picture(request.path_params["hash"])
    if path is None:
        raise HTTPException(404, "The run does not have this picture.")
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "Content-Security-Policy": _PICTURE_POLICY}
    return FileResponse(path, headers=headers)


async def icon(request: Request) -> Response:
    """What browsers ask for where a page names no icon: at a picture's own address."""
    return FileResponse(STATIC / "icon.svg")


async def mistake(request: Request, error: Exception) -> Response:
    """A page that says what is wrong."""
    return page(request, "message.html", {"title": "Not there", "text": str(error)}, 404)


async def refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return page(request, "message.html", {"title": str(error.status_code), "text": error.detail}, error.status_code)


def _holds_token(request: Request, token: str) -> bool:
    return hmac.compare_digest(request.headers.get("x-synth-token", ""), token)
