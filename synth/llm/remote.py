"""What the providers of models on a server have in common. Their client libraries come from one generator."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from re import Pattern
from types import ModuleType
from typing import Any
from urllib.parse import quote

from synth.llm.endpoint import Endpoint
from synth.llm.failures import Asked, connection_failure, status_failure, timeout_failure
from synth.llm.pictures import Pictures
from synth.llm.provider import ModelError, Reply, Request, Usage
from synth.llm.structured import has_shape, only_json, with_schema
from synth.prompts.templates import Message

_MISFITS = 2
"""Answers that do not have the schema's shape, with none that has, after which the prompt carries the schema."""
_CHECK = 30.0
"""Seconds for a look at whether the server is there."""
SCHEMA = "schema"
TEMPERATURE = "temperature"


class RemoteProvider(ABC):
    """Sends a call, and tells what went wrong.

    A trait of the request that a server refuses (a schema, a temperature, …) is left out for the rest of the run, and
    the call is sent again at once: nothing was computed for it, so this is not a retry.

    Args:
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
    answer: type[Any]
    """Type of an answer in the client library."""

    def __init__(self, endpoint: Endpoint, sdk: ModuleType, client: Any, *, pictures: Pictures, timeout: float) -> None:
        self.endpoint = endpoint
        self._sdk = sdk
        self._client = client
        self._pictures = pictures
        self._timeout = timeout
        self._refused: set[str] = set()
        self._kept = False
        self._misfits = 0

    @property
    def keeps_schema(self) -> bool:
        """Whether the server has not yet shown that it cannot be held to a JSON schema."""
        return SCHEMA not in self._refused

    async def complete(self, request: Request) -> Reply:
        while True:
            refused = frozenset(self._refused)
            messages = with_schema(request.messages, request.schema) if SCHEMA in refused else request.messages
            body = self.body(request, messages, refused)
            try:
                async with asyncio.timeout(self._timeout):
                    # Not the typed create(): walking the messages is two thirds of its CPU.
                    answer = await self._client.post(self.path, body=body, cast_to=self.answer)
            except self._sdk.APIStatusError as error:
                detail, kind = self.explain(error)
                trait = self._trait(error.status_code, f"{kind} {detail}")
                if trait is None or trait in refused:
                    raise status_failure(
                        error.status_code, detail, kind, error.response.headers, self.endpoint, request
                    ) from None
                self._refused.add(trait)
                continue
            except TimeoutError:
                raise timeout_failure(self._timeout) from None
            except self._sdk.APIConnectionError as error:
                raise connection_failure(error, self.endpoint, request) from None
            except ValueError:
                raise ModelError("the server's answer is no JSON", retry=True, lost=True) from None
            return self.read(answer, request, schema=SCHEMA not in refused)

    def read(self, answer: Any, request: Request, *, schema: bool = True) -> Reply:
        """The reply in an answer of the server.

        Args:
            schema: whether the server was asked to keep to the JSON schema.

        Raises:
            ModelError: it is empty, refused, cut, or of another kind; with what it used.
        """
        if not isinstance(answer, self.answer):
            raise ModelError("the server's answer is of another kind than asked for", retry=True, lost=True)
        reply = self.reply(answer, request)
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
        error = body.get("error") if isinstance(body, dict) else None
        error = error if isinstance(error, dict) else {}
        kind = " ".join(str(error.get(name)) for name in ("code", "type", "param"))
        detail = str(error.get("message") or "")
        if trait := self._trait(status, f"{kind} {detail}"):
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
        await self._client.close()

    @abstractmethod
    def body(self, request: Request, messages: list[Message], refused: frozenset[str]) -> dict[str, Any]:
        """The request's body, without the refused traits."""

    @abstractmethod
    def reply(self, answer: Any, request: Request) -> Reply:
        """Text and token counts of an answer, which the client library has not validated.

        Raises:
            ModelError: it was refused or cut.
        """

    @abstractmethod
    def explain(self, error: Any) -> tuple[str, str]:
        """The server's message, and its own names for the kind of error."""

    def _trait(self, status: int, said: str) -> str | None:
        """The trait that made the server refuse a request; llama.cpp reports those of chat templates as 500."""
        if status not in (400, 422, 500):
            return None
        return next((trait for trait, named in self.traits.items() if named.search(said)), None)


def cut(request: Request, usage: Usage) -> ModelError:
    """The error for an answer that reached the limit: a second try would reach it too."""
    return ModelError(f"the answer was cut at {request.max_tokens} tokens", cut=True, usage=usage)


def refusal(usage: Usage) -> ModelError:
    return ModelError("the model refused to answer", usage=usage)
