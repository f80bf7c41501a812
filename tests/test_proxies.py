"""Calls through the proxy that the environment names, and what else aiohttp would look for there."""

from __future__ import annotations

import base64
import traceback
from pathlib import Path

import pytest

from synth.errors import SynthError
from synth.llm.endpoint import Proxy
from synth.llm.provider import ModelError, ModelName
from synth.llm.providers import open_provider
from tests.test_providers import BOTH, KEY, PICTURES, TEXT, FakeServer, ask, good

SERVER = "http://shop.invalid"
"""No such host: what reaches the proxy for it came through the proxy."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@BOTH
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_calls_go_through_it_with_its_password(provider: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer() as proxy:
        proxy.script = [good(provider)]
        monkeypatch.setenv(variable, proxy.url.replace("//", "//anna:p%C3%A4ss@"))
        assert ask(provider, proxy, base_url=SERVER)[0].text == TEXT
    [path], [headers] = proxy.paths, proxy.headers
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
        open_provider(ModelName("openai", "m"), base_url=SERVER, pictures=PICTURES)
    assert "HTTP_PROXY" in str(caught.value) and "hunter" not in str(caught.value)


def test_an_error_at_the_proxy_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer() as proxy:  # it knows no CONNECT
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//anna:hunter2@"))
        with pytest.raises(ModelError, match="no connection to https://shop.invalid") as caught:
            ask("openai", proxy, base_url="https://shop.invalid")
    everything = "".join(traceback.format_exception(caught.value)) + repr(Proxy.find("https://shop.invalid"))
    assert "hunter" not in everything and "anna" not in everything


@BOTH
def test_a_password_in_netrc_takes_nothing_from_the_key(provider: str, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login anna password hunter2\n")
    with FakeServer() as server:
        server.script = [good(provider)]
        assert ask(provider, server)[0].text == TEXT
    [headers] = server.headers
    assert KEY in headers["authorization" if provider == "openai" else "x-api-key"]
    assert "Basic" not in headers.get("authorization", "")
