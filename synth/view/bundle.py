"""A static copy of a selection: the same pages with relative links, for any web server, or opened from the disk.

Pages are rendered as the server renders them, and then every address in them is turned into one that holds in the
copy; a link to what the copy does not hold stays as text. Data cannot be mistaken for a link: templates escape it.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from synth.errors import SynthError
from synth.view.app import STATIC
from synth.view.conversation import load, step_values
from synth.view.conversation import values as conversation_values
from synth.view.figures import figures_of
from synth.view.overview import values_of as run_values
from synth.view.page import Pages
from synth.view.query import Query

if TYPE_CHECKING:
    from synth.view.run import ViewedRun

_ADDRESS = re.compile(r' (href|src)="([/?][^"]*)"')
_CONVERSATION = re.compile(r"/c/(c\d+)\Z")
_PART = re.compile(r"/c/(c\d+)/(?:steps/)?([\w.-]+)\Z")
_PICTURE = re.compile(r"/images/\d/(\w+)\Z")
_NAMES = {field.name for field in fields(Query)} - {"within", "notices", "page"} | {"in"}


def write_bundle(folder: Path, viewed: ViewedRun, select: str, limit: int) -> int:
    """Writes the copy, whole or not at all.

    Args:
        folder: new, or empty.
        select: what it holds, as in the list's address; empty takes what the list shows.
        limit: conversations at most.

    Returns:
        How many conversations it holds.

    Raises:
        SynthError: the folder holds something, the selection is none or selects nothing, or the disk is full.
    """
    query = read_selection(select)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SynthError(f"{folder} exists and is not empty.", "Choose another --bundle, or delete it first.")
    viewed.index.update()
    ids = viewed.index.ids(query, limit)
    if not ids:
        raise SynthError(
            f"{viewed.name} has nothing that matches {select!r}." if select else f"{viewed.name} is empty."
        )
    partial = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        partial.chmod(0o755)  # a web server of another user is to read it
        Bundle(partial, viewed, ids).write(query)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise SynthError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return len(ids)


def read_selection(select: str) -> Query:
    """
    Raises:
        SynthError: it has a name or a value that the list does not know.
    """
    pairs = parse_qsl(select.removeprefix("?"), keep_blank_values=True)
    unknown = [name for name, _ in pairs if name not in _NAMES]
    query = Query.parse(select)
    if unknown or query.notices:
        what = (
            query.notices[0] if query.notices else f"--select: {unknown[0]!r} is nothing the list can be narrowed by."
        )
        raise SynthError(what, f"Known are {', '.join(sorted(_NAMES))}; e.g. --select 'verdict=accepted&ending=hit'.")
    return query


class Bundle:
    """The files of one copy.

    Args:
        folder: to write into.
        ids: of the conversations, in the list's order.
    """

    def __init__(self, folder: Path, viewed: ViewedRun, ids: Sequence[str]) -> None:
        self._folder = folder
        self._viewed = viewed
        self._ids = ids
        self._held = frozenset(ids)
        self._pages = Pages(token="", static_url="/static", runs=[viewed])

    def write(self, query: Query) -> None:
        """Writes all files."""
        texts = []
        for draw_id in self._ids:
            loaded = load(self._viewed, draw_id)
            values = conversation_values(self._viewed, loaded, {}, copy=True)
            texts.append(" ".join(view.turn.text for view in values["turns"]))
            self._page(f"c/{draw_id}.html", "conversation.html", f"/c/{draw_id}", values)
            if values["turns"]:
                self._page(f"c/{draw_id}/seen.html", "seen.html", f"/c/{draw_id}/seen", values)
            for entry in loaded.foldable():
                path, found = f"/c/{draw_id}/steps/{entry.anchor}", step_values(self._viewed, loaded, entry, {})
                self._page(f"c/{draw_id}/{entry.anchor}.html", "step.html", path, found)
        figures = figures_of(self._viewed, None)
        run = {"run": self._viewed, **run_values(self._viewed, figures)}
        self._page("run.html", "overview.html", "/run", run)
        rows = [row for draw_id in self._ids if (row := self._viewed.index.row(draw_id))]
        chosen = [pair for pair in parse_qsl(query.string()) if pair[0] != "sort"]
        self._page("index.html", "bundle.html", "/", {"rows": rows, "chosen": chosen, "run": self._viewed})
        # A script, since a page that is opened from the disk may load no data.
        self._copy_text("texts.js", f"const TEXTS = {json.dumps(texts)};\n")

    def _page(self, name: str, template: str, path: str, values: dict[str, Any]) -> None:
        up = "../" * name.count("/")
        rendered = self._pages.render(template, values, path)
        self._copy_text(name, _ADDRESS.sub(lambda match: self._address(match, up), rendered))

    def _address(self, match: re.Match[str], up: str) -> str:
        """The attribute with an address in the copy; nothing where the copy does not hold what it leads to."""
        name, address = match[1], urlsplit(html.unescape(match[2]))
        fragment = f"#{address.fragment}" if address.fragment else ""
        if not address.path:
            target: str | None = fragment
        else:
            held = self._file(address.path, bool(address.query))
            target = f"{up}{held}{fragment}" if held else None
        return f' {name}="{html.escape(target)}"' if target else ""

    def _file(self, path: str, asked: bool) -> str | None:
        """The copy's file for a path of the server, copied if it is a picture, a script or a style sheet."""
        if path == "/":
            return None if asked else "index.html"
        if path == "/run":
            return "run.html"
        if found := _CONVERSATION.match(path):
            return f"c/{found[1]}.html" if found[1] in self._held else None
        if found := _PART.match(path):
            return f"c/{found[1]}/{found[2]}.html" if found[1] in self._held else None
        if found := _PICTURE.match(path):
            source = self._viewed.reader.picture(found[1])
            return self._copy(source, f"images/{source.name}") if source else None
        if path.startswith("/static/") and "/" not in (name := path.removeprefix("/static/")):
            return self._copy(STATIC / name, f"static/{name}")
        return "texts.js" if path == "/texts.js" else None

    def _copy(self, source: Path, name: str) -> str:
        target = self._folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return name

    def _copy_text(self, name: str, text: str) -> None:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8", newline="\n")
