"""Spans to an OTLP/HTTP endpoint (Phoenix, MLflow, any OpenTelemetry collector), every batch acknowledged."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from synth import __version__
from synth.errors import Exit, SynthError
from synth.traces.export import needed
from synth.traces.export.spans import SpanData, Value, run_spans, spans
from synth.traces.reader import RunReader

DEFAULT = "http://127.0.0.1:4318"
_PATH = "/v1/traces"
_BATCH = 256
_BATCH_BYTES = 2_000_000
_TRIES = 6
_RETRY = frozenset({408, 429, 502, 503, 504})
_LONGEST = 30.0
"""Seconds between tries at most."""
_NANO = 1_000_000_000


@dataclass(frozen=True)
class Sent:
    """What the endpoint acknowledged."""

    endpoint: str
    conversations: int
    spans: int
    rejected: int
    """Spans that the endpoint took and threw away, as it said."""
    reason: str
    """Why, in its words."""


def endpoint(url: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """Where to send to: the URL named, OpenTelemetry's environment variables, or this machine's port 4318.

    Raises:
        SynthError: the URL is none.
    """
    whole = url or environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    found = whole or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SynthError(f"{found!r} is no HTTP address.", "Give one as --endpoint http://127.0.0.1:4318.")
    if whole and parts.path not in ("", "/"):
        return found
    return found.rstrip("/") + _PATH


def headers(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of `OTEL_EXPORTER_OTLP_TRACES_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, URL-encoded.

    Raises:
        SynthError: they are not written so.
    """
    names = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    name = next((name for name in names if environment.get(name)), "")
    found = {}
    for part in filter(None, map(str.strip, environment.get(name, "").split(","))):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            # A header may be a key, so nothing of it is printed.
            raise SynthError(f"{name} is not written as name=value,name=value.")
        found[unquote(key).strip().lower()] = unquote(value).strip()
    return found


def export(reader: RunReader, url: str | None = None, sleep: Callable[[float], None] = time.sleep) -> Sent:
    """Sends all of a run. It can be sent again: its spans keep their ids.

    Raises:
        SynthError: the extra is missing, or the endpoint did not take a batch.
    """
    sender = _Sender(endpoint(url), headers(), reader.name, sleep)
    config = reader.config
    run = "/".join(str(config.get(name)) for name in ("catalogue", "seed", "prompts")) + f"/{reader.name}"
    count = 0

    def all_spans() -> Iterator[SpanData]:
        nonlocal count
        yield from run_spans(run, reader.name, config, reader.events("run", 0))
        for draw in reader.draws():
            events = reader.events("conversation", draw.number)
            yield from spans(run, draw, reader.steps(draw.number), events, lambda id_: _title(reader, id_))
            count += 1

    try:
        sender.send(all_spans())
    finally:
        sender.close()
    return Sent(sender.url, count, sender.sent - sender.rejected, sender.rejected, sender.reason)


def _title(reader: RunReader, product_id: str) -> str:
    product = reader.product(product_id)
    return product.title if product else product_id


class _Sender:
    """Encodes spans, and sends them in batches; each is acknowledged before the next one leaves."""

    def __init__(self, url: str, extra: Mapping[str, str], service: str, sleep: Callable[[float], None]) -> None:
        import httpx2

        self._messages = needed("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "otlp")
        self.url, self.sent, self.rejected, self.reason = url, 0, 0, ""
        self._service, self._sleep, self._errors = service, sleep, httpx2.TransportError
        loopback = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        own = {
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            "user-agent": f"synth/{__version__}",
        }
        try:
            self._client = httpx2.Client(headers={**extra, **own}, timeout=30.0, trust_env=not loopback)
        except ValueError as error:
            raise SynthError("OTEL_EXPORTER_OTLP_HEADERS holds what is no header.") from error

    def close(self) -> None:
        self._client.close()

    def send(self, all_: Iterable[SpanData]) -> None:
        request, scope = self._request()
        size = 0
        for span in all_:
            encoded = self._encode(scope.spans.add(), span)
            size += encoded.ByteSize()
            if len(scope.spans) >= _BATCH or size >= _BATCH_BYTES:
                self._post(request, len(scope.spans))
                request, scope = self._request()
                size = 0
        if scope.spans:
            self._post(request, len(scope.spans))

    def _request(self) -> tuple[Any, Any]:
        request = self._messages.ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        attributes = {
            "service.name": "synth",
            "service.version": __version__,
            "openinference.project.name": self._service,
            "synth.run": self._service,
        }
        _put(resource.resource.attributes, attributes)
        scope = resource.scope_spans.add()
        scope.scope.name, scope.scope.version = "synth", __version__
        return request, scope

    def _encode(self, message: Any, span: SpanData) -> Any:
        message.trace_id, message.span_id, message.parent_span_id = span.trace_id, span.span_id, span.parent_id
        message.name, message.kind = span.name, 1  # internal
        message.start_time_unix_nano = round(span.start * _NANO)
        message.end_time_unix_nano = round(max(span.end, span.start) * _NANO)
        message.status.code, message.status.message = (2, span.error) if span.error else (1, "")
        _put(message.attributes, span.attributes)
        return message

    def _post(self, request: Any, count: int) -> None:
        """
        Raises:
            SynthError: the endpoint refused it, or was not to be had after several tries.
        """
        body = gzip.compress(request.SerializeToString(), 3)
        said = ""
        for attempt in range(_TRIES):
            pause = 0.5 * 2**attempt
            try:
                response = self._client.post(self.url, content=body)
            except self._errors as error:
                said = str(error) or type(error).__name__
            else:
                if response.status_code == 200:
                    self._acknowledge(response.content, count)
                    return
                said = f"HTTP {response.status_code}"
                if response.status_code not in _RETRY:
                    break
                after = response.headers.get("retry-after", "")
                pause = float(after) if after.isdigit() else pause
            if attempt + 1 < _TRIES:
                self._sleep(min(pause, _LONGEST))
        raise SynthError(
            f"{self.url} did not take a batch of {count} spans ({said}); {self.sent - self.rejected} were sent before.",
            "Mend that and export again: spans keep their ids.",
            Exit.LIMIT,
        )

    def _acknowledge(self, content: bytes, count: int) -> None:
        answer = self._messages.ExportTraceServiceResponse()
        try:
            answer.ParseFromString(content)
        except Exception as error:  # protobuf's own error class lives in different places in its versions
            raise SynthError(
                f"{self.url} answered with something else than OTLP.", "Is it an OTLP endpoint?"
            ) from error
        self.sent += count
        self.rejected += answer.partial_success.rejected_spans
        self.reason = self.reason or answer.partial_success.error_message


def _put(attributes: Any, values: Mapping[str, Value]) -> None:
    for key, value in values.items():
        pair = attributes.add()
        pair.key = key
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        else:
            # What a broken surrogate would be: protobuf takes only whole Unicode.
            pair.value.string_value = value.encode("utf-8", "replace").decode()
