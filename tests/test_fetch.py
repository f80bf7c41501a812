"""Pictures from the web, against a server on the loopback address."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from synth.corpora import fetch
from synth.corpora.fetch import FetchLog, Web, public
from synth.corpora.pictures import MAX_BYTES, PictureError
from synth.corpora.records import Picture


class Handler(http.server.BaseHTTPRequestHandler):
    hosts: list[str] = []
    failures = 0

    def do_GET(self) -> None:
        Handler.hosts.append(self.headers["Host"])
        answer = getattr(self, "_" + self.path.strip("/").partition("?")[0].replace("/", "_"), self._missing)
        answer()

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _missing(self) -> None:
        self._send(404)

    def _ok(self) -> None:
        self._send(200, b"picture")

    def _moved(self) -> None:
        self._send(302, Location="/ok")

    def _loop(self) -> None:
        self._send(302, Location="/loop")

    def _inside(self) -> None:
        self._send(302, Location="http://10.0.0.1/router.png")

    def _to_file(self) -> None:
        self._send(302, Location="file:///etc/passwd")

    def _flaky(self) -> None:
        Handler.failures += 1
        self._send(503) if Handler.failures < 3 else self._ok()

    def _announced(self) -> None:
        self._send(200, Content_Length=str(MAX_BYTES + 1))

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(MAX_BYTES // (1 << 16) + 100):
                self.wfile.write(b"x" * (1 << 16))
        except OSError:
            pass

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    def _cut(self) -> None:
        self._send(200, b"part", Content_Length="100")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def local() -> Web:
    return Web(lambda address: address.is_loopback, seconds=5, pause=0)


def test_fetches_and_follows(server: str) -> None:
    assert local().read(f"{server}/ok?size=1 0", "-") == b"picture"
    assert local().read(f"{server}/moved", "-") == b"picture"


def test_a_passing_failure_is_tried_again(server: str) -> None:
    Handler.failures = 0
    assert local().read(f"{server}/flaky", "-") == b"picture"
    assert Handler.failures == 3


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone", "picture refused (HTTP 404)"),
        ("loop", "too many redirects"),
        ("inside", "picture address not allowed"),
        ("to_file", "picture address not allowed"),
        ("announced", "picture too large"),
        ("endless", "picture too large"),
        ("cut", "picture broke off"),
    ],
)
def test_failures_are_named(server: str, path: str, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        local().read(f"{server}/{path}", "-")
    assert caught.value.reason == reason


def test_an_answer_that_trickles_ends_in_time(server: str) -> None:
    start = time.monotonic()
    with pytest.raises(PictureError, match="took too long"):
        Web(lambda address: True, seconds=0.4).read(f"{server}/drip", "-")
    assert time.monotonic() - start < 2


def test_loopback_is_refused_by_default(server: str) -> None:
    before = len(Handler.hosts)
    for url in (f"{server}/ok", server.replace("127.0.0.1", "localhost") + "/ok", server.replace("127.0.0.1", "[::1]")):
        with pytest.raises(PictureError) as caught:
            Web().read(url, "-")
        assert caught.value.reason == "picture address not allowed"
    assert len(Handler.hosts) == before


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/a.png", "a.png", "http://", "http://me:pw@example.org/a", "http://[::"],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(PictureError) as caught:
        Web(lambda address: True).read(url, "-")
    assert caught.value.reason == "picture address not allowed"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.1.1", False), ("172.16.0.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.251", False),
        ("239.1.1.1", False), ("255.255.255.255", False), ("240.0.0.1", False), ("192.0.2.1", False),
        ("::1", False), ("::", False), ("fe80::1", False), ("fc00::1", False), ("ff02::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("64:ff9b::5db8:d822", True),
    ],
)  # fmt: skip
def test_public_addresses(address: str, allowed: bool) -> None:
    assert public(ip_address(address)) is allowed


def test_the_checked_address_is_the_one_connected_to(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to something else the second time (DNS rebinding) is resolved once only."""
    port = int(server.rsplit(":", 1)[1])
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, *args: object, **kwargs: object) -> object:
        if host != "shop.example":
            return real(host, *args, **kwargs)  # type: ignore[arg-type]
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(fetch.socket, "getaddrinfo", resolve)
    assert local().read(f"http://shop.example:{port}/ok", "-") == b"picture"
    assert asked == ["shop.example"]
    assert Handler.hosts[-1] == f"shop.example:{port}"


def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in ("93.184.216.34", "192.168.0.1")]
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(PictureError, match="192.168.0.1, which is not public"):
        Web().read("http://shop.example/a.png", "-")


def test_the_log_survives_a_torn_line(tmp_path: Path) -> None:
    pictures = [
        Picture(hash=f"{n:032x}", mime="image/png", width=1, height=1, url=f"http://a/{n}") for n in range(4)
    ]  # fmt: skip
    for picture in pictures[:3]:
        path = tmp_path / "images" / picture.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    log = FetchLog(tmp_path / "fetched.jsonl", tmp_path / "images")
    log.add(pictures[0])
    with (tmp_path / "fetched.jsonl").open("ab") as stream:
        stream.write(b'\n{"hash": "0')
    log.add(pictures[2])
    log.add(pictures[3])
    again = FetchLog(tmp_path / "fetched.jsonl", tmp_path / "images")
    assert [again.get(p.url or "") for p in pictures] == [pictures[0], None, pictures[2], None]
