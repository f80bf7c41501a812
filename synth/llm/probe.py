"""One tiny call to a server, to see what it can do."""

from __future__ import annotations

import io
import time
from typing import Any, Literal, NamedTuple

from synth.llm.provider import ImageData, ModelError, ModelName, Request
from synth.llm.providers import open_provider
from synth.prompts.calls import Call, Output
from synth.prompts.templates import Message
from synth.traces.store import Place

_COLOUR = (214, 32, 32)
_SIZE = 64
_MAX_TOKENS = 1024
_TRIES = 3


class ColourOutput(Output):
    colour: Literal["red", "green", "blue", "none"]


_CALL: Call[Any, ColourOutput] = Call("doctor.colour", "staff", "captioner", object, ColourOutput, 0.0)


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
    sees_pictures: bool = False


async def probe(name: ModelName, *, base_url: str | None, timeout: float) -> Probe:
    """Asks a model for the colour of a small picture; where it takes none, without the picture.

    Raises:
        SynthError: the key is not set, or the address is none.
    """
    picture = _picture()
    provider = open_provider(name, base_url=base_url, image=lambda _: picture, timeout=timeout)
    images: tuple[str, ...] = ("colour",)
    problem = ""
    try:
        for _ in range(_TRIES):
            started = time.perf_counter()
            try:
                reply = await provider.complete(_request(name.model, images))
            except ModelError as error:
                problem = str(error)
                if error.fatal:
                    break
                if not error.retry:
                    if not images:
                        break
                    images = ()
                continue
            seconds = time.perf_counter() - started
            seen = bool(images) and '"red"' in reply.text
            if images and not seen:
                problem = "it takes pictures, but did not see that a red one is red"
            return Probe(str(name), True, "" if seen else problem, seconds, provider.keeps_schema, seen)
    finally:
        await provider.close()
    return Probe(str(name), False, problem)


def _request(model: str, images: tuple[str, ...]) -> Request:
    return Request(
        model=model,
        messages=[
            Message("system", "You name the colour that fills a picture. Answer with the colour as JSON."),
            Message("user", "Which colour is it? If you see no picture, the colour is none.", images),
        ],
        schema=ColourOutput,
        temperature=_CALL.temperature,
        max_tokens=_MAX_TOKENS,
        seed=0,
        place=Place("doctor", 0, "colour"),
        call=_CALL,
        given=None,
    )


def _picture() -> ImageData:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (_SIZE, _SIZE), _COLOUR).save(data, "PNG")
    return ImageData(data.getvalue(), "image/png")
