"""Fetches the pictures that item metadata name by web address, as RGB JPEG files; what is there is not fetched again.

Bytes, pixels, time and addresses are limited as for a catalogue's pictures (`synth.corpora.fetch`).
"""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from synth.corpora.fetch import CONCURRENCY, Web
from synth.corpora.pictures import Album, PictureError, clean

FAILED = "failed.jsonl"
"""In the folder: pictures that could not be had, with the reason; not asked for again unless `again`."""
_PASSING = re.compile(r"picture (not reachable|took too long|broke off|refused \(HTTP (408|429|5\d\d)\))")
_QUALITY = 95


@dataclass(frozen=True)
class Fetched:
    """What a call did."""

    new: int
    """Pictures fetched now."""
    kept: int
    """Pictures that were there."""
    failed: dict[str, int]
    """How many pictures are not there, by reason, earlier calls included."""


def fetch_pictures(
    wanted: Mapping[str, tuple[str, str]],
    out: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    web: Album | None = None,
    concurrency: int = CONCURRENCY,
    again: bool = False,
) -> Fetched:
    """Fetches pictures into `out`; stopped anywhere, the same call goes on.

    Args:
        wanted: (item, web address) by file name; see `synth.recommender.items.fetchable`.
        progress: called with (done, in all).
        web: where addresses are read; None for the public web.
        again: also try those once more that failed for good.
    """
    out.mkdir(parents=True, exist_ok=True)
    album = web or Web()
    there = {path.name for path in out.iterdir()}
    failures = {} if again else _failures(out / FAILED)
    kept = len(there & wanted.keys())
    todo = [name for name in wanted if name not in there and (name not in failures or _PASSING.match(failures[name]))]
    done, new, left = len(wanted) - len(todo), 0, iter(todo)
    reasons = {name: reason for name, reason in failures.items() if name in wanted and name not in there}
    pool = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="synth-fetch")
    waiting: dict[Future[None], str] = {}
    try:
        with (out / FAILED).open("wb" if again else "ab") as log:
            while True:
                # Few are handed out at a time, so that Ctrl-C ends after what is in flight and not after all.
                for name in islice(left, 2 * concurrency - len(waiting)):
                    waiting[pool.submit(_fetch, album, *wanted[name], out / name)] = name
                if not waiting:
                    break
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    name = waiting.pop(future)
                    reasons.pop(name, None)
                    done += 1
                    try:
                        future.result()
                        new += 1
                    except PictureError as error:
                        reasons[name] = error.reason
                        line = json.dumps({"name": name, "url": wanted[name][1], "reason": error.reason})
                        # The line starts with its end, so that one torn by a crash does not spoil the next.
                        log.write(b"\n" + line.encode())
                        log.flush()
                if progress:
                    progress(done, len(wanted))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return Fetched(new, kept, dict(Counter(reasons.values()).most_common()))


def _fetch(album: Album, item: str, address: str, path: Path) -> None:
    """Writes one picture beside its place and moves it there.

    Raises:
        PictureError: it cannot be had, or is no usable picture.
    """
    picture = clean(album.read(address, item))
    staging = path.with_name(f".{path.name}.partial")
    # A grey JPEG that is fit to keep keeps its bytes, and only its decoded picture is RGB.
    if picture.mime == "image/jpeg" and _mode(picture.data) == "RGB":
        staging.write_bytes(picture.data)
    else:
        picture.image.save(staging, "JPEG", quality=_QUALITY)
    os.replace(staging, path)


def _mode(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode


def _failures(path: Path) -> dict[str, str]:
    """Reason by file name, the last one of each."""
    found: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text("utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                found[str(entry["name"])] = str(entry["reason"])
            except (ValueError, KeyError, TypeError):
                continue
    return found
