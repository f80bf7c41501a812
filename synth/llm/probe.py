"""A tiny call or two to a server, to see what it can do and what a run would make of it."""

from __future__ import annotations

import difflib
import io
import json
import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from synth.llm.context import find_context, listed_models
from synth.llm.openai import SEED
from synth.llm.pictures import Pictures
from synth.llm.provider import ImageData, ModelError, ModelName, Reply, Request
from synth.llm.providers import open_provider
from synth.llm.remote import TEMPERATURE, RemoteProvider
from synth.llm.structured import has_shape
from synth.prompts.calls import CALLS, Call, Output
from synth.prompts.templates import Message
from synth.traces.store import Place

_RED, _BLUE = (214, 32, 32), (32, 48, 214)
_SIZE = 64
_TRIES = 3
_MAX_TOKENS = 512
_LONGER = 16
"""How many times the room an answer gets that was cut: it thinks."""
_LONGEST_PROMPT = 6_000
"""Tokens of the longest prompts: a long conversation, ten records, or two pictures at the rates of open models."""
_NAMED = 8
"""Models of a server that are named where the one asked for is not among them."""

Colour = Literal["red", "yellow", "green", "blue", "black", "white", "none"]


class ColoursOutput(Output):
    left: Colour
    right: Colour


_CALL: Call[Any, ColoursOutput] = Call("doctor.colours", "staff", "captioner", object, ColoursOutput, 0.0)
_SEEN = {"left": "red", "right": "blue"}


class Probe(NamedTuple):
    """What one server showed."""

    model: str
    answers: bool
    problem: str
    """Why it does not answer, or why it takes no pictures; else empty."""
    seconds: float = 0.0
    """Wall time of the answer."""
    keeps_schema: bool = False
    """Held to a JSON schema by the server; where not, the prompt carries the schema and replies are validated."""
    fits_schema: bool = False
    """Whether its answer fits the schema."""
    sees_pictures: bool = False
    counts_tokens: bool = False
    takes_temperature: bool = False
    takes_seed: bool = False
    thinks: bool = False
    """Writes its thoughts before the answer; they are cut off."""
    thought: int = 0
    """Tokens written for this tiny question where it thinks, by the server's count, else estimated."""
    context: int | None = None
    """Tokens that one call may take; None where nobody tells."""
    context_source: str = ""
    """`server`, `published`, or empty."""
    models: tuple[str, ...] = ()
    """What the server lists."""


class _Answer(NamedTuple):
    reply: Reply
    seconds: float
    thinks: bool
    cut: bool
    """Whether it took more room than was given first."""


async def probe(name: ModelName, *, base_url: str | None, timeout: float) -> Probe:
    """Asks a model for the colours of a small picture; where it takes none, without the picture.

    Nothing in the prompt asks for JSON: only a server that is held to the schema answers with it at once.

    Raises:
        SynthError: the key is not set, or the address is none.
    """
    picture = _picture()
    provider = open_provider(name, base_url=base_url, pictures=Pictures(lambda _: picture, "full"), timeout=timeout)
    problem = ""
    answer: _Answer | None = None
    pictured = False
    try:
        for images in (("colours",), ()):
            try:
                answer = await _ask(provider, _request(name.model, images))
            except ModelError as error:
                problem = str(error)
                continue
            pictured = bool(images)
            break
        listed = await listed_models(provider)
        if answer is None:
            return Probe(str(name), False, problem + _others(name.model, listed), models=tuple(listed))
        context = await find_context(provider, name, listed)
    finally:
        await provider.close()
    fits = has_shape(answer.reply.text, ColoursOutput)
    seen = pictured and fits and json.loads(answer.reply.text) == _SEEN
    if pictured and not seen:
        problem = "it takes pictures, but did not see that one is red on the left and blue on the right"
    return Probe(
        model=str(name),
        answers=True,
        problem="" if seen else problem,
        seconds=answer.seconds,
        keeps_schema=provider.keeps_schema,
        fits_schema=fits,
        sees_pictures=seen,
        counts_tokens=answer.reply.usage.input > 0,
        takes_temperature=TEMPERATURE not in provider.refused,
        takes_seed=SEED in provider.traits and SEED not in provider.refused,
        thinks=answer.thinks or answer.cut,
        thought=_thought(answer),
        context=context.tokens,
        context_source=context.source,
        models=tuple(listed),
    )


def will_use(seen: Probe) -> dict[str, str]:
    """What a run does with a model that answers like this, and which flags it needs, in plain words by subject."""
    schema = "the server holds replies to it" if seen.keeps_schema else "the prompt carries it, replies are validated"
    if not seen.fits_schema:
        schema += "; the answer to this call did not fit it, expect many failed calls"
    if seen.sees_pictures:
        pictures = "sent (--images low, the default, or full)"
    else:
        pictures = "not sent: use --images described --captioner MODEL with a model that sees, or --captioner offline"
    if seen.thinks:
        tokens = max(2048, 1024 * math.ceil(4 * seen.thought / 1024))
        thinking = f"cut off; allow for it with --thinking-tokens {tokens}"
    else:
        thinking = "none seen"
    return {"schema": schema, "pictures": pictures, "thinking": thinking, "context": _room(seen)}


def _room(seen: Probe) -> str:
    needed = _LONGEST_PROMPT + max(call.max_tokens for call in CALLS.values())
    if seen.context is None:
        return f"not told by the server: see that it takes {needed:,} tokens a call"
    if seen.context < needed:
        return f"{seen.context:,} tokens may not do: the longest calls come to {needed:,}"
    return f"{seen.context:,} tokens are enough"


async def _ask(provider: RemoteProvider, request: Request) -> _Answer:
    """
    Raises:
        ModelError: no usable answer.
    """
    tries = 0
    cut = False
    while True:
        started = time.perf_counter()
        try:
            answer, schema = await provider.send(request)
            reply = provider.read(answer, request, schema=schema)
        except ModelError as error:
            tries += 1
            if error.cut and not cut:
                cut = True
                request = replace(request, max_tokens=_MAX_TOKENS * _LONGER)
            elif not error.retry or error.lost or tries == _TRIES:
                raise
            continue
        # One misfit can be chance; after two the provider leaves the schema to the prompt.
        if has_shape(reply.text, request.schema) or not schema:
            return _Answer(reply, time.perf_counter() - started, _thinks(answer), cut)


def _thinks(answer: Any) -> bool:
    """Whether an answer has thoughts in it: apart from the text as servers name them, or in the text."""
    if isinstance(answer.get("content"), list):  # Anthropic
        return any(block.get("type") in ("thinking", "redacted_thinking") for block in answer["content"])
    message = answer["choices"][0]["message"]
    details = (answer.get("usage") or {}).get("completion_tokens_details") or {}
    apart = message.get("reasoning_content") or message.get("reasoning") or details.get("reasoning_tokens")
    return bool(apart) or "</think>" in message["content"]


def _thought(answer: _Answer) -> int:
    if not (answer.thinks or answer.cut):
        return 0
    return answer.reply.usage.output or _MAX_TOKENS


def _others(model: str, listed: Iterable[str]) -> str:
    names = sorted(listed)
    if not names or model in names:
        return ""
    near = difflib.get_close_matches(model, names, _NAMED, 0.4) or names[:_NAMED]
    more = f" and {len(names) - len(near)} more" if len(names) > len(near) else ""
    return f"; the server has {', '.join(near)}{more}"


def _request(model: str, images: tuple[str, ...]) -> Request:
    return Request(
        model=model,
        messages=[
            Message("system", "You name the colours that fill the two halves of a picture."),
            Message("user", "Which colours are they? If you see no picture, both are none.", images),
        ],
        schema=ColoursOutput,
        temperature=_CALL.temperature,
        max_tokens=_MAX_TOKENS,
        seed=0,
        place=Place("doctor", 0, "colours"),
        call=_CALL,
        given=None,
    )


def _picture() -> ImageData:
    from PIL import Image

    data = io.BytesIO()
    image = Image.new("RGB", (2 * _SIZE, _SIZE), _RED)
    image.paste(_BLUE, (_SIZE, 0, 2 * _SIZE, _SIZE))
    image.save(data, "PNG")
    return ImageData(data.getvalue(), "image/png")
