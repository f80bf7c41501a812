"""What a judge said of data sets, all together, and where it is kept: `judge.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synth.analysis.preferences import Comparison
from synth.analysis.scores import DataScores, Gap
from synth.corpora.records import Record
from synth.errors import SynthError
from synth.traces.run import write_atomically

FILE = "judge.json"
FORMAT = 1
OFFLINE = (
    "Judged by the offline simulator's rules, not by a language model or people: they measure form, and say nothing of "
    "quality."
)


class Evaluation(Record):
    """One judge's word on one data set or two."""

    data: tuple[str, ...]
    """Names of the data sets."""
    model: str
    offline: bool
    """The judge is the offline simulator's rules: the figures say nothing about people or language models."""
    seed: int
    sample: int
    """Conversations of each data set, or pairs, that were asked for."""
    rounds: int
    temperatures: dict[str, float]
    """By call."""
    images: str
    """How pictures went out."""
    prompts: dict[str, str]
    """Hash of the prompt file by call."""
    synth: str
    """Version of this package."""
    scores: tuple[DataScores, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """The first data set less the second, of two."""
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two evaluations must have in common for the later one to take the earlier one's place."""
        parts = bool(self.scores), self.comparison is not None
        kept = (self.data, self.model, self.seed, self.sample, self.rounds, self.images, *parts)
        return (*kept, *sorted(self.temperatures.items()), *sorted(self.prompts.items()))


def read_evaluations(folder: Path) -> list[Evaluation]:
    """All that a judge said of a run, or what stands in a folder of an evaluation; the latest is the last.

    Raises:
        SynthError: the file is none of ours, or of another format.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["format"] != FORMAT:
            raise SynthError(f"{path} is of format {value['format']}.", "Judge again with this version of synth.")
        return [Evaluation.model_validate(one) for one in value["evaluations"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise SynthError(f"{path} cannot be read as a judge's results.", "Remove it and judge again.") from error


def keep_evaluation(folder: Path, evaluation: Evaluation) -> Path:
    """Adds an evaluation to the folder's file, in place of an earlier one with the same settings.

    Raises:
        SynthError: the file that is there is none of ours.
    """
    others = [one for one in read_evaluations(folder) if one.identity != evaluation.identity]
    rows = [one.model_dump(mode="json") for one in (*others, evaluation)]
    path = folder / FILE
    write_atomically(path, json.dumps({"format": FORMAT, "evaluations": rows}, ensure_ascii=False) + "\n")
    return path
