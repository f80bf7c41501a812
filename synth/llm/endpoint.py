"""Where a provider's calls go and with which key."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

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
            address, user, password = _split(address)
            if user or password:
                token = base64.b64encode(f"{user}:{password}".encode()).decode()
                headers["Authorization"] = f"Basic {token}"
                secrets += [token, password or user]
        return cls(address, variable, key or _NO_KEY, headers, tuple(secrets))


def public_url(url: str) -> str:
    """An address as it may be shown: without user and password.

    Raises:
        SynthError: it is no address of a server.
    """
    return _split(url)[0]


def _split(url: str) -> tuple[str, str, str]:
    """Address, user, password."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        # The address is not repeated: what was typed may hold a password at any place.
        raise SynthError(
            "The base URL is not the address of a server.", "Write it like http://localhost:8000/v1, scheme included."
        )
    host = parts.netloc.rpartition("@")[2]
    clean = parts._replace(netloc=host).geturl()
    return clean.rstrip("/"), unquote(parts.username or ""), unquote(parts.password or "")
