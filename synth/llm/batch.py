"""Many calls sent to a provider as one batch, at half the price: what the providers' batch endpoints have in common.

`openai_batch` and `anthropic_batch` speak to the two. A batch's results are read by the code that reads online
answers, and an error in one of its rows becomes the `ModelError` that the same call would have raised online.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from synth.llm.provider import ModelError, Reply, Request
from synth.llm.remote import SCHEMA, RemoteProvider
from synth.llm.structured import with_schema

_CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What both providers take."""


class BatchState(NamedTuple):
    """How far a batch is. A provider may count nothing before the whole batch has ended."""

    running: bool
    done: int
    failed: int
    """Requests that ended without an answer: refused, expired, cancelled."""
    total: int
    problem: str = ""
    """Why the batch as a whole failed, as one line; empty if it did not."""


class BatchClient(Protocol):
    """A provider's batches. Every method but `submit` may be called again at any time."""

    max_requests: int
    max_bytes: int
    """Of all lines of a batch together, separators included."""

    async def available(self) -> bool:
        """Whether the server has batches at all; one of the user's own may not.

        Raises:
            ModelError: it cannot be reached, or refuses the key.
        """
        ...

    async def submit(self, wave: str, lines: Mapping[str, bytes]) -> str:
        """Creates a batch, and returns its id. It is never created twice by one call.

        Args:
            wave: name of the batch on our side.
            lines: `batch_line`s by custom id.

        Raises:
            ModelError: there is no batch; where `lost` is set there may be one, and `find` tells.
            ValueError: the lines are none, too many, too large, or not those of their custom ids.
        """
        ...

    async def find(self, wave: str, custom_ids: Collection[str], since: float) -> str | None:
        """The id of the batch that a `submit` without an answer created, or None if it created none.

        Args:
            custom_ids: those of its lines.
            since: when it was submitted, in seconds since 1970 by our clock.

        Raises:
            ModelError: the server cannot be asked.
        """
        ...

    async def state(self, batch: str) -> BatchState:
        """
        Raises:
            ModelError: the server cannot be asked, or knows no such batch.
        """
        ...

    def results(self, batch: str, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        """What became of every request of a batch that has ended: each once, in any order.

        Requests without a result (expired, cancelled, missing) come as errors that allow a retry.

        Args:
            requests: by custom id. Only one row of the results is held in memory at a time.

        Raises:
            ModelError: the results cannot be read.
            ValueError: the batch is still running.
        """
        ...

    async def cancel(self, batch: str) -> None:
        """Ends a batch early; its results tell which requests were made. One that has ended stays as it is.

        Raises:
            ModelError: the server cannot be asked.
        """
        ...

    async def forget(self, batch: str) -> None:
        """Deletes at the provider what was sent and what was answered, as far as it lets us.

        For when every result is safe on our side: after this nothing can be read again.
        """
        ...


def batch_client(provider: RemoteProvider) -> BatchClient:
    """The batches of a provider; nothing is sent yet."""
    if provider.name == "anthropic":
        from synth.llm.anthropic_batch import AnthropicBatches

        return AnthropicBatches(provider)
    from synth.llm.openai_batch import OpenAIBatches

    return OpenAIBatches(provider)


def batch_line(provider: RemoteProvider, custom_id: str, request: Request) -> bytes:
    """One request of a batch as JSON, with the body that an online call would send.

    Raises:
        ValueError: the custom id is none that both providers take: 1 to 64 letters, digits, `_` and `-`.
    """
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise ValueError(f"{custom_id!r} is no custom id for a batch")
    refused = provider.refused
    messages = with_schema(request.messages, request.schema) if SCHEMA in refused else request.messages
    body = provider.body(request, messages, refused)
    line: dict[str, Any] = {"custom_id": custom_id}
    if provider.name == "anthropic":
        line["params"] = body
    else:
        line |= {"method": "POST", "url": endpoint_path(provider), "body": body}
    # ASCII, because some characters that JSON leaves as they are end a line elsewhere (U+2028).
    return json.dumps(line, separators=(",", ":")).encode()


def endpoint_path(provider: RemoteProvider) -> str:
    """Path of the calls in a batch, as OpenAI names it whatever the base URL is."""
    return f"/v1{provider.path}"


def check_lines(client: BatchClient, lines: Mapping[str, bytes]) -> None:
    """
    Raises:
        ValueError: no batch can have these lines.
    """
    size = sum(len(line) + 1 for line in lines.values())
    if not 0 < len(lines) <= client.max_requests or size > client.max_bytes:
        raise ValueError(f"{len(lines)} requests of {size} bytes do not make a batch")
    for custom_id, line in lines.items():
        # Two lines with one id would get one answer.
        if not line.startswith(b'{"custom_id":"%s",' % custom_id.encode()):
            raise ValueError(f"the line of {custom_id!r} has another custom id")


class Collector:
    """Joins the rows of a batch to its requests, each once."""

    def __init__(self, provider: RemoteProvider, requests: Mapping[str, Request]) -> None:
        self._provider = provider
        self.missing = dict(requests)
        """Requests without a row so far."""

    def take(self, row: Mapping[str, Any]) -> tuple[str, Request] | None:
        """The request of a row, or None for a row that belongs to none, or has come before."""
        custom_id = row.get("custom_id")
        if not isinstance(custom_id, str) or custom_id not in self.missing:
            return None
        return custom_id, self.missing.pop(custom_id)

    def read(self, body: Any, request: Request) -> Reply | ModelError:
        """What an online call with this answer would have come to."""
        try:
            return self._provider.read(body, request, schema=self._provider.keeps_schema)
        except ModelError as error:
            return error


def no_result(why: str, *, lost: bool = False) -> ModelError:
    """The error for a request that a batch did not answer."""
    return ModelError(f"the batch has no answer to this call ({why})", retry=True, lost=lost)
