"""Exports of a run, one file per format. Packages add formats by the entry point group `synth.exporters`.

An exporter is `write(source, folder, options) -> Report`: it writes its files into an empty folder. Everything it
takes from the source is masked already; moving the folder into its place is done here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from dataclasses import replace as replaced
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from synth import __version__
from synth.corpora.export.folder import MANIFEST, staged
from synth.corpora.export.source import HumanTurn, Images, Judged, Options, Report, RunFacts, Source, Verdict, Word
from synth.errors import SynthError

__all__ = [
    "Exporter",
    "HumanTurn",
    "Images",
    "Judged",
    "Options",
    "Report",
    "RunFacts",
    "Source",
    "Verdict",
    "Word",
    "export",
    "exporter",
    "formats",
]

Exporter = Callable[[Source, Path, Options], Report]

GROUP = "synth.exporters"
_OWN = ("hf", "lavic", "messages")


def formats() -> list[str]:
    """Names of all formats, the package's own and those of entry points."""
    return sorted({*_OWN, *(point.name for point in entry_points(group=GROUP))})


def exporter(name: str) -> Exporter:
    """The exporter of a format; the package's own names cannot be replaced.

    Raises:
        SynthError: no such format, or its package cannot be loaded.
    """
    if name in _OWN:
        own: Exporter = import_module(f"{__name__}.{name}").write
        return own
    for point in entry_points(group=GROUP, name=name):
        try:
            loaded: Exporter = point.load()
        except Exception as error:
            raise SynthError(f"Format {name} ({point.value}) cannot be loaded: {error}.") from error
        return loaded
    raise SynthError(f"There is no export format {name!r}.", f"Formats: {', '.join(formats())}.")


def export(source: Source, name: str, out: Path, options: Options, *, replace: bool = False) -> Report:
    """Writes a run in a format to the folder `out`, whole or not at all.

    Raises:
        SynthError: unknown format, no conversation to export, or `out` exists and may not be replaced.
    """
    write = exporter(name)
    with staged(out, replace=replace) as folder:
        report = write(source, folder, options)
        report = replaced(report, left_out={**source.left_out, **report.left_out})
        facts = {"format": name, "synth": __version__, "run": source.facts.name, **asdict(options), **asdict(report)}
        text = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
        (folder / MANIFEST).write_text(text, "utf-8", newline="\n")
    return report
