"""Synth: multimodal shopping conversations from a team of LLM agents, with every step on record.

    import synth
    summary = synth.generate(synth.Options(scenarios=60, convs=20))
    run = synth.open_run(summary.run)
    for conversation in run.conversations(): ...

Importing this package is light: what a name needs is loaded when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Catalogue", "Options", "Shard", "Summary", "SynthError", "generate", "merge", "open_run"]

if TYPE_CHECKING:
    from synth.corpora.catalogue import Catalogue
    from synth.errors import SynthError
    from synth.graphs.generation import Summary, generate
    from synth.graphs.merge import merge
    from synth.graphs.options import Options
    from synth.graphs.shard import Shard
    from synth.traces.run import RunFolder

    open_run = RunFolder.open

_HOMES = {
    "Catalogue": ("synth.corpora.catalogue", "Catalogue"),
    "Options": ("synth.graphs.options", "Options"),
    "Shard": ("synth.graphs.shard", "Shard"),
    "Summary": ("synth.graphs.generation", "Summary"),
    "SynthError": ("synth.errors", "SynthError"),
    "generate": ("synth.graphs.generation", "generate"),
    "merge": ("synth.graphs.merge", "merge"),
    "open_run": ("synth.traces.run", "RunFolder.open"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synth' has no attribute {name!r}")
    import importlib
    from operator import attrgetter

    module, attribute = _HOMES[name]
    return attrgetter(attribute)(importlib.import_module(module))
