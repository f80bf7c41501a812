"""A run that is being viewed: its reader, and the index that its lists and searches are made from."""

from __future__ import annotations

from pathlib import Path

from synth.traces.reader import RunReader
from synth.view.index import RunIndex


class ViewedRun:
    """
    Raises:
        SynthError: the folder is no run, or its database cannot be read.
    """

    def __init__(self, path: Path, number: int = 0) -> None:
        self.number = number
        """0, or 1 for the second of two."""
        self.reader = RunReader(path)
        self.index = RunIndex(self.reader)

    @property
    def name(self) -> str:
        return self.reader.name

    def close(self) -> None:
        self.index.close()
        self.reader.close()
