"""What went wrong at a provider, as a `ModelError`: one line that says enough and gives nothing away."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from synth.llm.endpoint import Endpoint
from synth.llm.provider import ModelError, Request
from synth.prompts.templates import Message


class Asked(NamedTuple):
    """What an error must know of a request, where there is no call behind it."""

    model: str
    messages: Sequence[Message]


_RETRIED = frozenset({408, 409, 429})
_TURNED_AWAY = frozenset({429, 529})
"""529 is Anthropic's `overloaded`."""
_NEVER_CONNECTED = ("ClientConnector", "ConnectionRefusedError", "gaierror", "ConnectTimeout")
_BLIND = re.compile(
    r"image_url|image input|images? (are|is) not|not support (image|vision|multimodal)|multimodal|mmproj|vision",
    re.IGNORECASE,
)
_BLIND_TEMPLATE = re.compile(r"image input is not supported|can only concatenate str")
"""How llama.cpp and llama-cpp-python say it, with status 500."""
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context (size|window|length)|prompt is too long|too many tokens",
    re.IGNORECASE,
)
_OUT_OF_MONEY = re.compile(r"insufficient_quota|billing_error|credit balance is too low")
_BLOB = re.compile(r"data:\S+|[\w+/=]{24,}|\S{80,}")
_LONGEST = 240
_ECHO = 16
_ECHO_OF_SECRET = 6


def status_failure(
    status: int, detail: str, kind: str, headers: Mapping[str, str], endpoint: Endpoint, request: Request | Asked
) -> ModelError:
    """The error for an answer that is not 2xx.

    Args:
        detail: the server's message.
        kind: the server's code or type of error, if it gives one.
    """
    said = shown(detail, endpoint.secrets, request)
    said = f": {said}" if said else ""
    if status == 401:
        return ModelError(f"{_unauthorised(endpoint)} (401)", fatal=True)
    if status == 402 or _OUT_OF_MONEY.search(f"{kind} {detail}"):
        return ModelError(f"the account has no credit left ({status}){said}", fatal=True)
    if status == 403:
        return ModelError(f"this key may not use {request.model!r} (403){said}", fatal=True)
    if status == 404:
        place = f", or {endpoint.url} is not the right base URL" if endpoint.url else ""
        return ModelError(f"there is no model {request.model!r}{place} (404){said}", fatal=True)
    if _TOO_LONG.search(f"{kind} {detail}"):
        return ModelError(f"the call is longer than the context of {request.model!r} ({status}){said}")
    blind = _BLIND if status in (400, 422) else _BLIND_TEMPLATE
    if request_has_pictures(request) and blind.search(detail):
        return ModelError(f"{request.model!r} takes no pictures ({status}){said}", fatal=True)
    retry = status in _RETRIED or status >= 500
    return ModelError(
        f"status {status}{said}",
        retry=retry,
        throttled=status in _TURNED_AWAY,
        retry_after=retry_after(headers) if retry else None,
    )


def timeout_failure(seconds: float) -> ModelError:
    return ModelError(f"no answer within {seconds:g} s", retry=True, lost=True)


def connection_failure(error: BaseException, endpoint: Endpoint, request: Request | Asked) -> ModelError:
    """The error for a connection that could not be made or broke."""
    cause = error.__cause__ or error
    said = shown(str(cause), endpoint.secrets, request)
    where = f" to {endpoint.url}" if endpoint.url else ""
    # Only where no connection was made is it certain that nothing was asked; the transports name a dropped one alike.
    lost = not any(type(one).__name__.startswith(_NEVER_CONNECTED) for one in _chain(error))
    said = f"({type(cause).__name__}{f': {said}' if said else ''})"
    return ModelError(f"no connection{where} {said}", retry=True, lost=lost)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def request_has_pictures(request: Request | Asked) -> bool:
    return any(message.images for message in request.messages)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait from `retry-after-ms` or `Retry-After` (seconds, or a date); None where neither can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())


def shown(detail: str, secrets: Iterable[str], request: Request | Asked) -> str:
    """A server's message as one line, or nothing where it repeats a key, a password or a prompt, even in part.

    Servers echo what they refuse: a rejected key with its middle starred out, a whole request body, a picture.
    """
    line = _BLOB.sub("…", " ".join(detail.split()))
    line = line if len(line) <= _LONGEST else line[:_LONGEST].rstrip() + "…"
    if any(_echoes(line, secret, _ECHO_OF_SECRET) for secret in secrets):
        return ""
    if any(_echoes(line, " ".join(message.text.split()), _ECHO) for message in request.messages):
        return ""
    return line


def _unauthorised(endpoint: Endpoint) -> str:
    if endpoint.headers:
        return "the server refused the user and password of the base URL"
    if endpoint.has_key:
        return f"the server refused the key in {endpoint.key_variable}"
    return f"the server wants a key: set {endpoint.key_variable}"


def _echoes(line: str, text: str, size: int) -> bool:
    """Whether the line contains the text, or any run of `size` characters of it."""
    if len(text) <= size:
        return len(text) > 2 and text in line
    return any(line[start : start + size] in text for start in range(len(line) - size + 1))
