"""Readers of conversations: our runs, MUSE's JSON, ReDial, chat messages. One contract, so that they can be compared.

`read(path)` recognises a data set and gives a `Data`, whose `dialogues()` yields one `Dialogue` after the other.
"""

from __future__ import annotations

from pathlib import Path

from synth.corpora.readers import messages, muse, redial, run
from synth.corpora.readers.dialogue import Buyer, Data, Dialogue, Utterance
from synth.corpora.readers.rows import read_rows
from synth.errors import SynthError

__all__ = ["FORMATS", "Buyer", "Data", "Dialogue", "Utterance", "read", "recognise"]

FORMATS = ("run", "muse", "redial", "messages", "sharegpt")


def read(path: Path, format: str | None = None) -> Data:
    """A data set.

    Args:
        format: one of `FORMATS`; None to find out by its first row.

    Raises:
        SynthError: nothing there, nothing in it, of no form that is read, or of another one than said.
    """
    if format is not None and format not in FORMATS:
        raise SynthError(f"There is no format {format!r} to read.", f"Formats: {', '.join(FORMATS)}.")
    found = recognise(path)
    if found is None:
        raise SynthError(
            f"{path} is of no form that is read ({', '.join(FORMATS)}).", "docs/statistics.md says what they look like."
        )
    if format is not None and format != found:
        raise SynthError(f"{path} is not {format}; it looks like {found}.", "Leave out --format.")
    match found:
        case "run":
            return run.read(path)
        case "muse":
            return muse.read(path)
        case "redial":
            return redial.read(path)
        case _:
            return messages.read(path, found)


def recognise(path: Path) -> str | None:
    """The format of a data set, by its first row; None for one that is not known.

    Raises:
        SynthError: nothing there, or nothing in it.
    """
    if run.recognises(path):
        return "run"
    rows = read_rows(muse.place(path))
    first = next(rows, None)
    rows.close()  # type: ignore[attr-defined]
    if first is None:
        raise SynthError(f"{path} has no row in it.", "Name a file with conversations.")
    if redial.recognises(first.value):
        return "redial"
    if muse.recognises(first.value):
        return "muse"
    return messages.recognises(first.value)
