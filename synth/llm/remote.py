"""What the providers of models on a server have in common. Their client libraries come from one generator."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from re import Pattern
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from synth.llm.endpoint import Endpoint, Proxy
from synth.llm.failures import Asked, connection_failure, status_failure, timeout_failure
from synth.llm.pictures import Pictures
from synth.llm.provider import ModelError, Reply, Request, Usage
from synth.llm.structured import has_shape, only_json, with_schema
from synth.prompts.templates import Message

if TYPE_CHECKING:
    import aiohttp

_MISFITS = 2
"""Answers that do not have the schema's shape, with none that has, after which the prompt carries the schema."""
_CHECK = 30.0
"""Seconds for a look at whether the server is there."""
SCHEMA = "schema"
TEMPERATURE = "temperature"


class RemoteProvider(ABC):
    """Sends a call, and tells what went wrong.

    Calls go over a plain aiohttp session: the client libraries take three times its CPU for the same request. They
    serve what is not called thousands of times, batches, files and lists of models.

    A trait of the request that a server refuses (a schema, a temperature, …) is left out for the rest of the run, and
    the call is sent again at once: nothing was computed for it, so this is not a retry.

    Args:
        url: address of the calls.
        proxy: what they go through.
        headers: of every call, the key among them.
        sdk: the client library, for its errors.
        client: its asynchronous client, with retries and timeouts off: the gateway retries, and one timeout is enough.
        pictures: prepares the pictures that messages name.
        timeout: seconds for one call, from connecting to the last byte.
    """

    name: str
    path: str
    models: str
    """Path of the models' records."""
    traits: Mapping[str, Pattern[str]]
    """What a request has that some servers refuse, and how their refusals name it."""

    def __init__(
        self,
        endpoint: Endpoint,
        url: str,
        proxy: Proxy,
        headers: Mapping[str, str],
        sdk: ModuleType,
        client: Any,
        *,
        pictures: Pictures,
        timeout: float,
    ) -> None:
        self.endpoint = endpoint
        self._url = url
        self._headers = {**headers, **endpoint.headers, "Content-Type": "application/json"}
        if url.startswith("http:"):
            # Here the proxy reads the call itself; else it reads only that a tunnel is wanted.
            self._headers |= proxy.headers
        self._sdk = sdk
        self._client = client
        self._pictures = pictures
        self._timeout = timeout
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None
        self._refused: set[str] = set()
        self._kept = False
        self._misfits = 0

    @property
    def refused(self) -> frozenset[str]:
        """Names of the traits that the server has refused so far."""
        return frozenset(self._refused)

    @property
    def keeps_schema(self) -> bool:
        """Whether the server has not yet shown that it cannot be held to a JSON schema."""
        return SCHEMA not in self._refused

    async def complete(self, request: Request) -> Reply:
        answer, schema = await self.send(request)
        return self.read(answer, request, schema=schema)

    async def send(self, request: Request) -> tuple[Any, bool]:
        """The server's answer as parsed from its JSON, and whether it was asked to keep to the JSON schema.

        Raises:
            ModelError: no answer came.
        """
        while True:
            refused = frozenset(self._refused)
            messages = with_schema(request.messages, request.schema) if SCHEMA in refused else request.messages
            status, headers, data = await self._post(self.body(request, messages, refused), request)
            answer = _parsed(data)
            if status == 200:
                if answer is None:
                    raise ModelError("the server's answer is no JSON", retry=True, lost=True)
                return answer, SCHEMA not in refused
            detail, kind = explained(answer, data)
            trait = self._trait(status, f"{kind} {detail}", refused)
            if trait is None:
                raise status_failure(status, detail, kind, headers, self.endpoint, request)
            self._refused.add(trait)

    async def _post(self, body: Mapping[str, Any], request: Request) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        # ASCII: lone surrogates are valid in Python's strings, not in UTF-8.
        data = json.dumps(body, separators=(",", ":")).encode()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._opened().post(
                    self._url,
                    data=data,
                    headers=self._headers,
                    proxy=self._proxy.url,
                    proxy_headers=self._proxy.headers,
                    # A redirect could carry the key to another server.
                    allow_redirects=False,
                ) as response,
            ):
                return response.status, response.headers, await response.read()
        except TimeoutError:
            raise timeout_failure(self._timeout) from None
        except (aiohttp.ClientError, OSError) as error:
            raise connection_failure(error, self.endpoint, request) from None

    def _opened(self) -> aiohttp.ClientSession:
        """The session; it belongs to the event loop it is first used in."""
        if self._session is None:
            import aiohttp
            from httpx2 import create_ssl_context

            # The limiter bounds the connections. Certificates as the client libraries trust them.
            connector = aiohttp.TCPConnector(limit=0, ssl=create_ssl_context())
            timeout = aiohttp.ClientTimeout(total=None)
            # Told to look in the environment, aiohttp looks again for every call, in threads, at a fifth or more of a
            # call's CPU; and a password that it finds in ~/.netrc it refuses to send beside the key.
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    def read(self, answer: Any, request: Request, *, schema: bool = True) -> Reply:
        """The reply in an answer of the server.

        Args:
            schema: whether the server was asked to keep to the JSON schema.

        Raises:
            ModelError: it is empty, refused, cut, or of another kind; with what it used.
        """
        try:
            reply = self.reply(answer, request)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise ModelError("the server's answer is of another kind than asked for", retry=True, lost=True) from None
        text = only_json(reply.text)
        if not text:
            raise ModelError("the model's answer is empty", retry=True, usage=reply.usage)
        if schema and not self._kept:
            self._kept = has_shape(text, request.schema)
            self._misfits += not self._kept
            if self._misfits >= _MISFITS:
                self._refused.add(SCHEMA)
                raise ModelError(
                    "the server ignores JSON schemas; from now on the prompt has them", retry=True, usage=reply.usage
                )
        return reply._replace(text=text)

    def failure(self, status: int, body: Any, request: Request) -> ModelError:
        """The error for an answer that is not 2xx, from its JSON body."""
        detail, kind = explained(body)
        said = f"{kind} {detail}"
        # Many rows of a batch can fail for one trait, which the first of them has put among those left out.
        if trait := self._trait(status, said, self.refused) or self._trait(status, said, frozenset()):
            self._refused.add(trait)
            return ModelError(f"the model does not take this {trait}; from now on it is left out", retry=True)
        return status_failure(status, detail, kind, {}, self.endpoint, request)

    async def check(self, model: str) -> None:
        """Asks for the model's record, which costs nothing, so that a wrong key or name shows before anything is paid.

        A server of one's own that does not list models is taken at its word.

        Raises:
            ModelError: the server cannot be reached, refuses the key, or has no such model.
        """
        request = Asked(model, ())
        try:
            async with asyncio.timeout(min(self._timeout, _CHECK)):
                await self._client.get(f"{self.models}/{quote(model, safe='')}", cast_to=object)
        except self._sdk.APIStatusError as error:
            detail, kind = self.explain(error)
            known = self.endpoint.url is None or error.status_code in (401, 403)
            if known and error.status_code < 500:
                raise status_failure(
                    error.status_code, detail, kind, error.response.headers, self.endpoint, request
                ) from None
        except TimeoutError:
            raise timeout_failure(min(self._timeout, _CHECK)) from None
        except self._sdk.APIConnectionError as error:
            raise connection_failure(error, self.endpoint, request) from None
        except ValueError:
            return

    async def get(self, path: str) -> Any:
        """What the server answers on another of its paths, as parsed JSON; the client library's errors come through."""
        return await self._client.get(path, cast_to=object)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._client.close()

    @abstractmethod
    def body(self, request: Request, messages: list[Message], refused: frozenset[str]) -> dict[str, Any]:
        """The request's body, without the refused traits."""

    @abstractmethod
    def reply(self, answer: Any, request: Request) -> Reply:
        """Text and token counts of an answer, as parsed from its JSON; nothing in it is certain.

        Raises:
            ModelError: it was refused or cut.
            LookupError, TypeError, AttributeError, ValueError: it is of another kind.
        """

    def explain(self, error: Any) -> tuple[str, str]:
        """The server's message, and its own names for the kind of error, from an error of the client library."""
        return explained(error.body)

    def _trait(self, status: int, said: str, left_out: frozenset[str]) -> str | None:
        """The trait that made the server refuse a request without `left_out`; llama.cpp reports some of them as 500."""
        if status not in (400, 422, 500):
            return None
        return next((t for t, named in self.traits.items() if t not in left_out and named.search(said)), None)


def explained(body: Any, data: bytes = b"") -> tuple[str, str]:
    """A server's message, and its own names for the kind of error, from the JSON of its answer.

    Args:
        data: the answer itself, for servers that send plain text; a page of HTML says nothing.
    """
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        kind = " ".join(str(error.get(name)) for name in ("code", "type", "param"))
        return str(error.get("message") or error.get("detail") or ""), kind
    if isinstance(error, str):
        return ("" if error.startswith("<") else error), ""
    text = data[:2000].decode("utf-8", "replace").strip()
    return ("" if text.startswith("<") else text), ""


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def cut(request: Request, usage: Usage) -> ModelError:
    """The error for an answer that reached the limit: a second try would reach it too."""
    return ModelError(f"the answer was cut at {request.max_tokens} tokens", cut=True, usage=usage)


def refusal(usage: Usage) -> ModelError:
    return ModelError("the model refused to answer", usage=usage)
