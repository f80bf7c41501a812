"""HTTP calls to a provider's batch and file endpoints: what is tried again, and what never is."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from synth.llm.failures import Asked, connection_failure, shown, status_failure, timeout_failure
from synth.llm.provider import ModelError
from synth.llm.remote import RemoteProvider

TRIES = 5
"""Tries of a call that only reads, or that does no harm when it is made twice."""
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_ECHO = 16
_NOT_THERE = frozenset({404, 405, 501})
_ASKED = Asked("batches", ())


class NotThere(ModelError):
    """The server has no such batch or file, or no such endpoint."""


class Wire:
    """The endpoints, through the provider's client library.

    The timeout is one of silence: an upload or a download may take as long as it moves.
    """

    def __init__(self, provider: RemoteProvider) -> None:
        self._provider = provider
        self._client = provider._client
        self._sdk = provider._sdk
        self._options = {"timeout": provider._timeout}

    async def has(self, path: str) -> bool:
        """Whether the server has a list at this path.

        Raises:
            ModelError: it does not answer, or refuses the key.
        """
        try:
            return isinstance((await self.get(path, limit=1)).get("data"), list)
        except NotThere:
            return False

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """
        Raises:
            ModelError: no answer after retries, or an error.
        """
        options = {**self._options, "params": query}
        return await self._tried(lambda: self._client.get(path, cast_to=object, options=options))

    async def post(self, path: str) -> None:
        """A POST that says all by its path, and does no harm when it is made twice.

        Raises:
            ModelError: no answer after retries, or an error.
        """
        await self._tried(lambda: self._client.post(path, cast_to=object, options=self._options))

    async def upload(self, path: str, name: str, content: bytes, **fields: str) -> str:
        """The id of an uploaded file.

        Raises:
            ModelError: no answer after retries, or an error.
        """
        options = {**self._options, "headers": {"Content-Type": "multipart/form-data"}}

        async def send() -> Any:
            # A file object goes out piece by piece; bytes would go at once.
            files = [("file", (name, io.BytesIO(content), "application/jsonl"))]
            return await self._client.post(path, body=fields, files=files, cast_to=object, options=options)

        return _id(await self._tried(send))

    async def create(
        self,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        content: AsyncIterator[bytes] | None = None,
        size: int = 0,
        lines: Iterable[bytes] = (),
    ) -> str:
        """A POST that is made once, and the id of what it created.

        Args:
            content: a JSON body that is already encoded, in place of `body`.
            size: bytes of the content.
            lines: what the server's error must not repeat.

        Raises:
            ModelError: it created nothing; where `lost` is set it may have.
        """
        options: dict[str, Any] = dict(self._options)
        if content is not None:
            options["headers"] = {"Content-Type": "application/json", "Content-Length": str(size)}
        try:
            return _id(await self._client.post(path, body=body, content=content, cast_to=object, options=options))
        except (self._sdk.APIError, ValueError) as error:
            failure = await asyncio.to_thread(self._failure, error, lines)
            status = getattr(error, "status_code", 500)
            # Not by the name of a connection's error: a transport may call one refused that broke after the request.
            if status >= 500 or status == 408:
                failure = ModelError(str(failure), retry=True, throttled=failure.throttled, lost=True)
            raise failure from None

    async def delete(self, path: str) -> None:
        """Tried once, and failure is ignored."""
        try:
            await self._client.delete(path, cast_to=object, options=self._options)
        except (self._sdk.APIError, ValueError):
            return

    async def rows(self, path: str) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects of a JSONL file as they arrive; lines that hold none are left out.

        After a broken connection the file is read again from its start, so a row can come twice.

        Raises:
            ModelError: it cannot be read to its end.
        """
        from httpx2 import HTTPError  # of both client libraries

        for tries in range(1, TRIES + 1):
            try:
                stream = await self._client.get(
                    path, cast_to=object, options=self._options, stream=True, stream_cls=self._sdk.AsyncStream[object]
                )
                async with aclosing(_rows(stream.response)) as rows:
                    async for row in rows:
                        yield row
                return
            except (self._sdk.APIError, HTTPError) as error:
                failure, status = self._failure(error), getattr(error, "status_code", 0)
            await self._wait(failure, status, tries)

    def shown(self, detail: str) -> str:
        """What a server said, fit to be shown; empty where it repeats a key."""
        return shown(detail, self._provider.endpoint.secrets, _ASKED)

    async def _tried(self, send: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        for tries in range(1, TRIES + 1):
            try:
                return _object(await send())
            except (self._sdk.APIError, ValueError) as error:
                failure, status = self._failure(error), getattr(error, "status_code", 0)
            await self._wait(failure, status, tries)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _wait(self, failure: ModelError, status: int, tries: int) -> None:
        """Waits before the next try.

        Raises:
            ModelError: there is no use in one.
        """
        # Here 409 says that the batch has already ended.
        if not failure.retry or status == 409 or tries == TRIES:
            raise failure
        wait = _FIRST_WAIT * 2 ** (tries - 1) if failure.retry_after is None else failure.retry_after
        await asyncio.sleep(min(wait, _LONGEST_WAIT))

    def _failure(self, error: Exception, lines: Iterable[bytes] = ()) -> ModelError:
        endpoint = self._provider.endpoint
        if isinstance(error, self._sdk.APIStatusError):
            detail, kind = self._provider.explain(error)
            if _repeats(detail, lines):
                detail = ""
            if error.status_code in _NOT_THERE:
                said = self.shown(detail)
                return NotThere(f"the server has no such batch ({error.status_code}){f': {said}' if said else ''}")
            return status_failure(error.status_code, detail, kind, error.response.headers, endpoint, _ASKED)
        if isinstance(error, ValueError):
            return ModelError("the server's answer is none for a batch", retry=True, lost=True)
        if "Timeout" in type(error).__name__:
            return timeout_failure(self._provider._timeout)
        return connection_failure(error, endpoint, _ASKED)


async def _rows(response: Any) -> AsyncGenerator[dict[str, Any], None]:
    # Not by the response's own lines: those end also at characters that may stand in a JSON string.
    rest = b""
    try:
        async for chunk in response.aiter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if row := _row(line):
                    yield row
        if row := _row(rest):
            yield row
    finally:
        await response.aclose()


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    return answer


def _id(answer: Any) -> str:
    made = _object(answer).get("id")
    if not isinstance(made, str) or not made:
        raise ValueError("no id")
    return made


def _repeats(said: str, lines: Iterable[bytes]) -> bool:
    """Whether a message repeats a piece of a line: every run of 24 characters or more, some shorter ones."""
    runs = [said[start : start + _ECHO].encode() for start in range(0, len(said) - _ECHO + 1, _ECHO // 2)]
    return any(run in line for line in lines for run in runs)
