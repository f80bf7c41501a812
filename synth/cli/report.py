"""`synth report`: a run's figures, ten of its conversations and its provenance as one HTML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.run import locate


def report(
    run: Annotated[Path, typer.Argument(help="Run folder, or the name of one below runs/; finished or not.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; default: RUN/report.html.")] = None,
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Tokens of the sample of fixed size.")] = 300_000,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a run's report: tables, plots, ten conversations with pictures, settings. One file that needs no other.

    `synth generate` writes it at the end of a run; this writes it anew, also of a run that is not finished.
    """
    from synth.analysis.report import write_report

    path = write_report(locate(run).path, out, tokens=tokens)
    if as_json:
        print(json.dumps({"report": str(path), "bytes": path.stat().st_size}))
    elif not quiet:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB. Open it in a browser.")
