"""Calls through the proxy that the environment names, and what else aiohttp would look for there."""

from __future__ import annotations

import asyncio
import base64
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from synth.errors import SynthError
from synth.llm.endpoint import Proxy
from synth.llm.pictures import Pictures
from synth.llm.provider import ModelError, ModelName, Reply
from synth.llm.providers import open_provider
from tests.support.served import Served, reply
from tests.test_providers import BOTH, KEY, TEXT, address, good, request

SERVER = "http://shop.invalid"
"""No such host: what reaches the proxy for it came through the proxy."""


class ProxyServer(Served):
    """Answers itself what it should pass on, and keeps the heads of what it was sent."""

    def __init__(self, provider: str) -> None:
        super().__init__()
        self.provider = provider
        self.asked: list[tuple[str, dict[str, str]]] = []

    def serve(self, http: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        self.asked.append((http.path, {name.lower(): value for name, value in http.headers.items()}))
        answer = good(self.provider)
        reply(http, answer.status, answer.body)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def ask(provider: str, url: str) -> Reply:
    async def run() -> Reply:
        opened = open_provider(ModelName(provider, "m"), base_url=url, pictures=Pictures(None, "full"), timeout=5)
        try:
            return await opened.complete(request(messages=request().messages[:1]))
        finally:
            await opened.close()

    return asyncio.run(run())


@BOTH
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_calls_go_through_it_with_its_password(provider: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ProxyServer(provider) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//anna:p%C3%A4ss@"))
        assert ask(provider, SERVER).text == TEXT
    [(path, headers)] = proxy.asked
    assert path.startswith(f"{SERVER}/")
    assert headers["proxy-authorization"] == f"Basic {base64.b64encode('anna:päss'.encode()).decode()}"
    assert KEY in headers["authorization" if provider == "openai" else "x-api-key"]


@pytest.mark.parametrize("listed", ["shop.invalid", "shop.invalid:8000", ".invalid", "*"])
def test_servers_listed_in_no_proxy_are_asked_directly(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:3128")
    assert Proxy.find(f"{SERVER}:8000/v1").url == "http://127.0.0.1:3128"
    monkeypatch.setenv("no_proxy", listed)
    assert Proxy.find(f"{SERVER}:8000/v1") == Proxy(None, {})


def test_a_proxy_without_a_scheme_speaks_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "10.0.0.1:3128")
    assert Proxy.find("https://shop.invalid/v1") == Proxy("http://10.0.0.1:3128", {})
    assert Proxy.find(SERVER) == Proxy(None, {})


@pytest.mark.parametrize("named", ["socks5://anna:hunter2@10.0.0.1:1080", "http://anna:hunter2@", "10.0.0.1:hunter2"])
def test_a_proxy_that_is_none_is_one_line(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", named)
    with pytest.raises(SynthError, match="proxy for http is not the address of an HTTP proxy") as caught:
        open_provider(ModelName("openai", "m"), base_url=SERVER, pictures=Pictures(None, "full"))
    assert "HTTP_PROXY" in str(caught.value) and "hunter" not in str(caught.value)


def test_an_error_at_the_proxy_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProxyServer("openai") as proxy:  # it knows no CONNECT
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//anna:hunter2@"))
        with pytest.raises(ModelError, match="no connection to https://shop.invalid") as caught:
            ask("openai", "https://shop.invalid")
    everything = "".join(traceback.format_exception(caught.value)) + repr(Proxy.find("https://shop.invalid"))
    assert "hunter" not in everything and "anna" not in everything


@BOTH
def test_a_password_in_netrc_takes_nothing_from_the_key(provider: str, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login anna password hunter2\n")
    with ProxyServer(provider) as server:
        assert ask(provider, address(provider, server)).text == TEXT  # type: ignore[arg-type]
    [(_, headers)] = server.asked
    assert KEY in headers["authorization" if provider == "openai" else "x-api-key"]
    assert "Basic" not in headers.get("authorization", "")
