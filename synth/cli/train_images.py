"""`synth train fetch-images`: the pictures of item metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch_images(
    meta: Annotated[
        list[Path],
        typer.Option(help="Item metadata as released (item2meta_*.json or .jsonl, also zipped); repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures: ID_0.jpg, ID_1.jpg, …")],
    first: Annotated[bool, typer.Option("--first", help="Only each item's first picture, which stage 2 uses.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also try those again that failed for good.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Pictures fetched at once.")] = 16,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Fetches the pictures that item metadata name, as RGB JPEG files; stopped anywhere, the same command goes on."""
    from synth.cli.progress import Bar
    from synth.errors import SynthError
    from synth.recommender.fetching import FAILED, fetch_pictures
    from synth.recommender.items import fetchable, read_meta

    for path in meta:
        if not path.is_file():
            raise SynthError(f"There is no file {path}.", "Give the released item2meta file with --meta.")
    wanted, unsafe = fetchable(read_meta(meta), first=first)
    if not wanted:
        raise SynthError(f"{', '.join(map(str, meta))} names no picture by a web address.")
    with Bar(quiet=quiet) as bar:
        bar.stage("pictures", len(wanted))
        found = fetch_pictures(wanted, out, lambda done, _: bar.advance(done), concurrency=concurrency, again=again)
    if quiet:
        return
    print(f"{found.new:,} pictures fetched, {found.kept:,} were there: {out}")
    for reason, number in found.failed.items():
        print(f"  {number:,} not there: {reason}")
    if found.failed:
        print(f"  Which ones: {out / FAILED}. The same command tries those again that may pass; --again, all.")
    if unsafe:
        print(f"  {unsafe:,} left out: their file name is none that a folder should have")
