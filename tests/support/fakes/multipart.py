"""Form data as the client libraries upload files with."""

from __future__ import annotations

import re
from typing import NamedTuple

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAME = re.compile(r'\bname="([^"]*)"')
_FILENAME = re.compile(r'filename="([^"]*)"')


class Part(NamedTuple):
    """One field of a form."""

    filename: str
    """Empty where it is no file."""
    content: bytes


def parts(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields of a form by name; none where the body is no form."""
    boundary = _BOUNDARY.search(content_type)
    found: dict[str, Part] = {}
    if not boundary:
        return found
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        said = head.decode("latin-1")
        name, filename = _NAME.search(said), _FILENAME.search(said)
        if name:
            found[name[1]] = Part(filename[1] if filename else "", content.removesuffix(b"\r\n"))
    return found
