"""Where a provider's calls go, with which key, and through which proxy."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from synth.errors import SynthError

_NO_KEY = "none"
"""Sent to a server of the user's own that wants no key; the client libraries do not go without one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address without user or password, and the secrets that go with it; those are in no repr."""

    url: str | None
    """None for the provider's own address."""
    key_variable: str
    """Name of the environment variable that holds the key."""
    key: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    """`Authorization` from the user and password of the address, where it has them."""
    secrets: tuple[str, ...] = field(repr=False)
    """What no message may contain."""

    @property
    def has_key(self) -> bool:
        return self.key != _NO_KEY

    @classmethod
    def find(cls, provider: str, base_url: str | None) -> Endpoint:
        """Reads `OPENAI_API_KEY` and `OPENAI_BASE_URL`, or the same of another provider.

        Args:
            base_url: goes before the environment's.

        Raises:
            SynthError: there is no key and no server of the user's own, or the key or address cannot be one.
        """
        prefix = provider.upper()
        variable = f"{prefix}_API_KEY"
        address = base_url or os.environ.get(f"{prefix}_BASE_URL", "").strip() or None
        key = os.environ.get(variable, "").strip()
        if not key and address is None:
            raise SynthError(
                f"{variable} is not set.",
                "Set it to your key, name a server of your own with --base-url, or use --llm offline.",
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise SynthError(f"{variable} holds characters that no key has.", "Copy the key again, without quotes.")
        secrets = [key] if key else []
        headers = {}
        if address is not None:
            address, user, password = _server(address)
            if user or password:
                token = _token(user, password)
                headers["Authorization"] = f"Basic {token}"
                secrets += [token, password or user]
        return cls(address, variable, key or _NO_KEY, headers, tuple(secrets))


@dataclass(frozen=True, slots=True)
class Proxy:
    """An address without user and password, which are in no repr."""

    url: str | None
    """None where calls go straight to the server."""
    headers: dict[str, str] = field(repr=False)
    """`Proxy-Authorization` from the user and password of the address, where it has them."""

    @classmethod
    def find(cls, url: str) -> Proxy:
        """Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the system's settings.

        Args:
            url: address of the calls.

        Raises:
            SynthError: it is none that calls can go through, e.g. one that speaks SOCKS.
        """
        parts = urlsplit(url)
        proxies = getproxies()
        address = proxies.get(parts.scheme) or proxies.get("all")
        if not address or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return cls(None, {})
        found = _split(address if "://" in address else f"http://{address}")
        if found is None:
            raise SynthError(
                f"What the environment names as the proxy for {parts.scheme} is not the address of an HTTP proxy.",
                f"Set {parts.scheme.upper()}_PROXY like http://proxy.example:3128, or list the server in NO_PROXY.",
            )
        proxy, user, password = found
        return cls(proxy, {"Proxy-Authorization": f"Basic {_token(user, password)}"} if user or password else {})


def public_url(url: str) -> str:
    """An address as it may be shown: without user and password.

    Raises:
        SynthError: it is no address of a server.
    """
    return _server(url)[0]


def _token(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _server(url: str) -> tuple[str, str, str]:
    found = _split(url)
    if found is None:
        # The address is not repeated: what was typed may hold a password at any place.
        raise SynthError(
            "The base URL is not the address of a server.", "Write it like http://localhost:8000/v1, scheme included."
        )
    return found


def _split(url: str) -> tuple[str, str, str] | None:
    """Address, user, password; None where it is no address of a server."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        return None
    if not valid:
        return None
    host = parts.netloc.rpartition("@")[2]
    clean = parts._replace(netloc=host).geturl()
    return clean.rstrip("/"), unquote(parts.username or ""), unquote(parts.password or "")
