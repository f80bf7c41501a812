"""`synth view`: open a run in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synth.errors import SynthError


def view(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN [RUN2]", help="Run folder, or its name; two side by side.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 7580,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Conversations (JSONL) to compare the run with, blindly.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a static copy instead, for any web server.")
    ] = None,
    select: Annotated[
        str, typer.Option(metavar="QUERY", help="What the copy holds, as in the list's address: verdict=accepted&q=…")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Conversations in the copy at most.")] = 200,
) -> None:
    """Browse conversations, pictures, and every agent's steps; judge them; compare two runs."""
    if len(runs) > 2:
        raise SynthError("At most two runs can be viewed side by side.")
    from synth.cli.run import locate
    from synth.view.run import ViewedRun

    if against is not None:
        from synth.analysis.talks import Talks

        if not Talks(against.name, against).briefs():
            raise SynthError(f"{against} holds no conversation.", "Name a file with one a line, as JSON.")
    viewed = [ViewedRun(locate(run).path, number) for number, run in enumerate(runs)]
    try:
        if bundle is not None:
            from synth.view.bundle import write_bundle

            count = write_bundle(bundle, viewed[0], select, limit)
            print(f"{count} conversations in {bundle}: open {bundle / 'index.html'}")
            return
        from synth.view.server import serve

        serve(viewed, port, open_browser=open_browser, against=against)
    finally:
        for run in viewed:
            run.close()
