"""HTTP/1.1 by hand on asyncio: keep-alive and bodies of a stated length, all that the client libraries send.

A web framework would cost several times the server's whole budget of 0.6 ms a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

Headers = Iterable[tuple[str, str]]

_LONGEST_HEAD = 64 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Exchange:
    """One request and the way to answer it. The first of `send`, `send_half` and `drop` counts, the others do nothing.

    Attributes:
        headers: names in lower case.
        on_end: called once when the exchange is over: answered, dropped, or left by the client.
    """

    def __init__(self, connection: Connection, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        path, _, query = target.partition("?")
        self.method = method
        self.path = unquote(path)
        self.query = dict(parse_qsl(query))
        self.headers = headers
        self.body = body
        self.on_end: Callable[[], None] | None = None
        self._connection = connection
        self._over = False

    @property
    def base(self) -> str:
        """The address under which the client reached this server."""
        return f"http://{self.headers.get('host', 'localhost')}"

    def send(self, status: int, body: bytes, headers: Headers = (), kind: str = "application/json") -> bool:
        """Answers; returns whether the client was still there."""
        there = not self._over
        if there:
            self._connection.write(_head(status, len(body), headers, kind) + body)
            self._end()
            self._connection.next()
        return there

    def send_half(self, status: int, body: bytes, headers: Headers = (), kind: str = "application/json") -> None:
        """Sends the first half of an answer and closes the connection."""
        if not self._over:
            self._connection.write(_head(status, len(body), headers, kind) + body[: len(body) // 2])
            self.drop()

    def drop(self) -> None:
        """Closes the connection, without an answer if none was begun."""
        if not self._over:
            self._end()
            self._connection.close()

    def left(self) -> None:
        """The client has gone."""
        if not self._over:
            self._end()

    def _end(self) -> None:
        self._over = True
        if self.on_end:
            self.on_end()


class Connection(asyncio.Protocol):
    """One client's connection: one exchange at a time.

    Args:
        others: all open connections; this one adds itself and takes itself out.
    """

    def __init__(self, handle: Callable[[Exchange], None], others: set[Connection]) -> None:
        self._handle = handle
        self._others = others
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], int] | None = None
        """Method, target, headers and body length of a request whose body is not all there yet."""
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._others.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._others.discard(self)
        if self._exchange:
            self._exchange.left()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._exchange:
            self._read()

    def next(self) -> None:
        """Goes on to the next request; not at once, so that answers to a pipelining client do not nest."""
        self._exchange = None
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._read)

    def write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _read(self) -> None:
        if self._exchange:
            return
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _LONGEST_HEAD:
                    self.close()
                return
            self._head = _parse(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._head is None:
                self.write(_head(400, 0, (), "text/plain"))
                self.close()
                return
        method, target, headers, length = self._head
        if len(self._buffer) < length:
            return
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        self._exchange = Exchange(self, method, target, headers, body)
        self._handle(self._exchange)


def _parse(head: bytes) -> tuple[str, str, dict[str, str], int] | None:
    """A request's head; None where it is none, or its body has no stated length."""
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
    except ValueError:
        return None
    return None if "transfer-encoding" in headers else (method, target, headers, length)


def _head(status: int, length: int, headers: Headers, kind: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}",
        f"content-type: {kind}",
        f"content-length: {length}",
    ]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
