"""Pictures from the web: bounded in bytes, time and number at once, and never from an address inside a network.

A catalogue is somebody else's data, and an address in it could point at a router or at a cloud's metadata service.
So every host is resolved here, every address it has is checked, and the connection goes to the very address that was
checked (a second resolution could answer differently); redirects are followed one by one with the same checks.
Proxies from the environment are not used, since they would resolve names themselves.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from synth import __version__
from synth.corpora.pictures import MAX_BYTES, PictureError
from synth.corpora.records import Picture

Address = IPv4Address | IPv6Address
Policy = Callable[[Address], bool]
"""Whether a picture may be fetched from an address."""

CONCURRENCY = 16
"""Pictures fetched at once."""
SECONDS = 30.0
"""For one picture, redirects and all."""
_REDIRECTS = 5
_ATTEMPTS = 3
_PAUSE = 1.0
_NAT64 = ip_network("64:ff9b::/96")


def public(address: Address) -> bool:
    """Whether an address belongs to the public internet, and so does every IPv4 address inside it."""
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
        found = [entry for entry in inner if entry is not None]
        if found:
            return all(map(public, found))
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class Web:
    """An album whose references are web addresses; usable from several threads.

    Args:
        allowed: the address policy.
        seconds: for one picture, redirects and further attempts not counted apart.
        pause: seconds before an attempt is repeated after a failure that may pass (no answer, HTTP 429 or 5xx).
    """

    def __init__(self, allowed: Policy = public, seconds: float = SECONDS, pause: float = _PAUSE) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._pause = pause
        self._tls = ssl.create_default_context()

    def read(self, reference: str, product_id: str) -> bytes:
        """Fetches a picture.

        Raises:
            PictureError: the address is not allowed, or does not give a picture within the limits.
        """
        deadline = time.monotonic() + self._seconds
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._follow(reference, deadline)
            except _PassingError as error:
                pause = self._pause * attempt
                if attempt == _ATTEMPTS or time.monotonic() + pause > deadline:
                    raise PictureError(error.reason, error.detail) from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _follow(self, url: str, deadline: float) -> bytes:
        for _ in range(_REDIRECTS + 1):
            data, target = self._get(url, deadline)
            if target is None:
                return data
            url = urljoin(url, target)
        raise PictureError("too many redirects", url)

    def _get(self, url: str, deadline: float) -> tuple[bytes, str | None]:
        """(body, None), or (nothing, where it redirects to)."""
        scheme, host, port, path = _parts(url)
        address = self._resolve(host, port, url)
        connection = _Connection(host, port, address, self._tls if scheme == "https" else None, deadline)
        # Socket timeouts start anew with every byte; the timer ends an answer that only trickles.
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), connection.cut)
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", path, headers={"User-Agent": f"synth/{__version__}", "Accept": "image/*"})
            with connection.getresponse() as response:
                if response.status in (301, 302, 303, 307, 308):
                    return b"", response.getheader("Location") or ""
                return self._body(response, url, deadline), None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline or isinstance(error, TimeoutError):
                raise PictureError("picture took too long", f"{url}: {self._seconds:g} seconds at most") from error
            raise _PassingError("picture not reachable", f"{url}: {error}") from error
        finally:
            timer.cancel()
            connection.close()

    def _body(self, response: http.client.HTTPResponse, url: str, deadline: float) -> bytes:
        if response.status in (408, 429) or response.status >= 500:
            raise _PassingError(f"picture refused (HTTP {response.status})", url)
        if response.status != 200:
            raise PictureError(f"picture refused (HTTP {response.status})", url)
        if (response.length or 0) > MAX_BYTES:
            raise PictureError("picture too large", f"{url} has {response.length} bytes")
        data = response.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise PictureError("picture too large", f"{url} has more than {MAX_BYTES} bytes")
        if time.monotonic() >= deadline:
            raise TimeoutError
        if response.length:
            raise _PassingError("picture broke off", url)
        return data

    def _resolve(self, host: str, port: int, url: str) -> str:
        """One address of the host, all of which are allowed."""
        try:
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as error:
            raise _PassingError("picture not reachable", f"{url}: the host {host} is not known") from error
        for address in found:
            if not self._allowed(ip_address(address.partition("%")[0])):
                raise PictureError("picture address not allowed", f"{url} leads to {address}, which is not public")
        # IPv4 first: it is the one that works where only one does.
        return min(found, key=lambda address: (":" in address, address))


class _PassingError(PictureError):
    """A failure that may be gone at the next attempt."""


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name of its host."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None, deadline: float) -> None:
        super().__init__(host, port)
        self.default_port = 443 if tls else 80
        self._address = address
        self._tls = tls
        self._deadline = deadline
        self._wire: socket.socket | None = None

    def connect(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        self._wire = self.sock = socket.create_connection((self._address, self.port), timeout=left)
        if self._tls:
            self._wire = self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Ends the connection from another thread. `sock` will not do: it is gone once an answer is being read."""
        if self._wire is not None:
            try:
                self._wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _parts(url: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, path with query) of an address.

    Raises:
        PictureError: it is no http or https address, or carries a user's name.
    """
    try:
        split = urlsplit(url.strip())
        host, port = split.hostname, split.port
    except ValueError as error:
        raise PictureError("picture address not allowed", f"{url[:200]}: {error}") from error
    if split.scheme not in ("http", "https") or not host or split.username is not None:
        raise PictureError("picture address not allowed", f"{url[:200]} is no plain http or https address")
    path = quote(split.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(split.query, safe="/?%:@!$&'()*+,;=~-._")
    return split.scheme, host, port or (443 if split.scheme == "https" else 80), path + (f"?{query}" if query else "")


class FetchLog:
    """What was fetched already, by address, so that an interrupted import does not fetch it again.

    One JSON line a picture, in the staging folder; a line cut off by a crash is passed over.
    """

    def __init__(self, path: Path, images: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, Picture] = {}
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    picture = Picture.model_validate(json.loads(line))
                except ValueError:
                    continue
                if picture.url and (images / picture.filename).is_file():
                    self._known[picture.url] = picture

    def __len__(self) -> int:
        return len(self._known)

    def get(self, url: str) -> Picture | None:
        return self._known.get(url)

    def add(self, picture: Picture) -> None:
        # The line starts with its end, so that a line torn by a crash does not spoil the one after it.
        with self._lock, self._path.open("ab") as stream:
            stream.write(b"\n" + picture.model_dump_json().encode())
            self._known[picture.url or ""] = picture
