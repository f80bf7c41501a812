"""Free text by a model of the gateway: what evaluations ask it, with the log, the cap and the estimate of a survey.

Every model of the gateway is asked for JSON with a schema, so the answer is the one field `answer` of an object; the
text in it is as free as any. A `GatewayWriter` is a `synth.recommender.asking.Writer`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from synth.agents.dialogue import Ask
from synth.errors import SynthError
from synth.graphs.estimate import Line
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.graphs.rehearsal import Expected, Question
from synth.graphs.survey import Confirm, Subject, Survey
from synth.llm.provider import ModelName
from synth.prompts.calls import WRITE, WriteInput

FOLDER = "calls"
"""Of the log, in the folder that answers are kept in."""
_FIELD = 24
"""Tokens of JSON around an answer."""


class Asked(Protocol):
    """One thing asked; `synth.recommender.asking.Asked` is one."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def images(self) -> tuple[Path, ...]: ...
    @property
    def system(self) -> str: ...
    @property
    def max_tokens(self) -> int: ...


class Told(Protocol):
    """Who is told how far the work is."""

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, done: int) -> None: ...
    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class _Put:
    """The questions of a call, each once, and which of them answers what is asked."""

    survey: Survey
    questions: list[Question[str]]
    places: dict[str, int]
    """Place among the questions, by the id of what is asked."""


class GatewayWriter:
    """A model of the gateway that answers in free text, at temperature 0 unless the options say otherwise.

    Args:
        options: those of a run, of which a survey heeds the ones on models (`llm`), money, speed and pictures.
        confirm: shown what the model is expected to cost, before anything is paid; False stops.

    Raises:
        SynthError: there is no such provider.
    """

    def __init__(self, options: Options, confirm: Confirm | None = None) -> None:
        self._options, self._confirm = options, confirm
        self.model = ModelName.parse(options.llm)

    @property
    def name(self) -> str:
        """The model's, without its provider's."""
        return "offline simulator" if self.model.provider == "offline" else self.model.model

    def expect(self, asked: Sequence[Asked], folder: Path, progress: Told | None = None) -> Expected:
        """What `write` would come to, without what is in the folder already."""
        put = self._put(asked, folder)
        return put.survey.expect(put.questions, _heard(progress))

    def write(self, asked: Sequence[Asked], folder: Path, progress: Told | None = None) -> dict[str, str]:
        """Answers by id; see `synth.recommender.asking.Writer`.

        Raises:
            SynthError: an id comes twice, a picture cannot be read, no call can work, or the cap is reached; what is
                paid is in the log.
            KeyboardInterrupt: stopped, or not confirmed.
        """
        if not asked:
            return {}
        put = self._put(asked, folder)
        answers = put.survey.run(put.questions, "answer", _heard(progress), self._confirm).values
        found = {id_: answers[place] for id_, place in put.places.items()}
        return {id_: text.strip() for id_, text in found.items() if text is not None}

    def _put(self, asked: Sequence[Asked], folder: Path) -> _Put:
        hashes: dict[Path, str] = {}
        inputs: dict[WriteInput, int] = {}
        places: dict[str, int] = {}
        for one in asked:
            if one.id in places:
                raise SynthError(f"The id {one.id} is asked twice.")
            images = tuple(_hash(path, hashes) for path in one.images)
            given = WriteInput(one.system, one.text, images, one.max_tokens)
            places[one.id] = inputs.setdefault(given, len(inputs))
        survey = Survey(self._options, folder / FOLDER, Subject((), {hash_: path for path, hash_ in hashes.items()}))
        return _Put(survey, [Question("write", _number(given), partial(_ask, given)) for given in inputs], places)


def together(parts: Sequence[Expected]) -> Expected:
    """What several surveys come to: a line for each call and model, which the call names where there are several."""
    lines: dict[tuple[str, str], Line] = {}
    for line in (line for part in parts for line in part.lines):
        sums = lines.get((line.call, line.model))
        lines[line.call, line.model] = line if sums is None else _sum(sums, line)
    several = len({model for _, model in lines}) > 1
    named = (replace(line, call=f"{line.call} ({line.model})") if several else line for line in lines.values())
    unpriced = dict.fromkeys(model for part in parts for model in part.unpriced)
    return Expected(tuple(named), tuple(unpriced), any(part.batch for part in parts))


def _sum(one: Line, other: Line) -> Line:
    return Line(
        one.call,
        one.model,
        one.calls + other.calls,
        one.input_tokens + other.input_tokens,
        one.image_tokens + other.image_tokens,
        one.output_tokens + other.output_tokens,
        one.usd + other.usd,
    )


async def _ask(given: WriteInput, ask: Ask) -> str:
    call = replace(WRITE, max_tokens=given.max_tokens + _FIELD)
    return (await ask(call, given, "write")).answer


def _number(given: WriteInput) -> int:
    """Where a question stands in the log: by what it is, so that others beside it do not move it. 48 bits."""
    return int.from_bytes(hashlib.blake2b(repr(given).encode(), digest_size=6).digest())


def _hash(path: Path, known: dict[Path, str]) -> str:
    if path not in known:
        try:
            known[path] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise SynthError(f"The picture {path} cannot be read: {error.strerror}.") from error
    return known[path]


def _heard(told: Told | None) -> Progress:
    return told if isinstance(told, Progress) else _Relay(told)


class _Relay(Progress):
    """A run's progress, told on to whoever watches."""

    def __init__(self, told: Told | None) -> None:
        super().__init__()
        self._told = told

    def stage(self, name: str, total: int) -> None:
        super().stage(name, total)
        if self._told:
            self._told.stage(name, total)

    def advance(self, done: int) -> None:
        super().advance(done)
        if self._told:
            self._told.advance(done)

    def note(self, text: str) -> None:
        super().note(text)
        if self._told:
            self._told.note(text)
