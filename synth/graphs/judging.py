"""`judge`: the paper's aspects of one data set or two, and blind pairwise A/B between two (MUSE, Table 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from synth import __version__
from synth.agents import judge as agent
from synth.agents.dialogue import Ask
from synth.analysis.evaluation import OFFLINE, Evaluation, keep_evaluation
from synth.analysis.preferences import Comparison, Duel, comparison
from synth.analysis.scores import DataScores, data_scores, gaps
from synth.analysis.transcript import Transcripts, bare, pairs
from synth.corpora.readers import Data
from synth.errors import SynthError
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.graphs.rehearsal import Expected, Question
from synth.graphs.survey import Confirm, Subject, Survey
from synth.llm.provider import ModelName
from synth.prompts.calls import ASPECTS, COMPARE, AspectsOutput, CompareOutput, Talk
from synth.traces.run import RunFolder

FOLDER = "judge"
_AT_RANDOM = 4
"""Closeness of a pair with nothing in common."""

Part = Literal["scores", "pairs"]


@dataclass(frozen=True)
class Plan:
    """What to judge.

    Args:
        sample: conversations of each data set, and pairs.
        rounds: independent scorings of a conversation.
        only: `scores` of each data set, or `pairs` of two; None for both.
    """

    sample: int = 200
    rounds: int = 3
    only: Part | None = None


@dataclass(frozen=True)
class Judged:
    """What came of it."""

    evaluation: Evaluation
    file: Path
    """With the evaluation in it."""
    folder: Path
    """With the log of all calls."""
    usd: float
    """Spent in the folder over all starts, lost calls at their worst case."""
    calls: int
    """In the folder's log."""


class Judging:
    """A judge's work on one data set or two.

    Args:
        options: those of a run, of which the ones on models, money, speed and pictures are heeded, and `out`.

    Raises:
        SynthError: an input is wrong.
    """

    def __init__(self, data: Sequence[Data], plan: Plan, options: Options) -> None:
        if plan.sample < 1 or plan.rounds < 1:
            raise SynthError("--sample and --rounds must be 1 or more.")
        if plan.only == "pairs" and len(data) < 2:
            raise SynthError("Pairs are made of two data sets.", "Name the second one: synth judge DATA DATA2.")
        if len(data) == 2 and data[0].path.resolve() == data[1].path.resolve():
            raise SynthError(f"{data[0].path} cannot be compared with itself.", "Name another data set.")
        self.plan = plan
        self._seed = options.seed
        self._sides = [Transcripts(one) for one in data]
        self._names = _names(data)
        self._where = place_of(data[0], options.out, FOLDER)
        self._scored = [side.drawn(plan.sample, self._seed) for side in self._sides] if plan.only != "pairs" else []
        self._talks = [[s.talk(d) for d in drawn.values()] for s, drawn in zip(self._sides, self._scored, strict=False)]
        self._pairs: list[tuple[int, int, int]] = []
        self._duels: list[tuple[Talk, Talk]] = []
        self._ids: list[tuple[str, str]] = []
        if len(data) == 2 and plan.only != "scores":
            self._pair_up()
        pictures = {hash_: path for side in self._sides for hash_, path in side.pictures.items()}
        products = [product for side in self._sides for product in side.products]
        self._survey = Survey(options, self._where, Subject(products, pictures))
        self._questions = [*self._scorings(), *self._comparings()]

    def expect(self, progress: Progress) -> Expected:
        """What it will come to."""
        return self._survey.expect(self._questions, progress)

    def run(self, progress: Progress, confirm: Confirm | None = None) -> Judged:
        """Judges, and keeps the result in `judge.json`: of a run, in its folder.

        Raises:
            SynthError: no call can work, or the cap is reached; what is paid is in the log.
            KeyboardInterrupt: stopped, or not confirmed.
        """
        answers = self._survey.run(self._questions, "judging", progress, confirm)
        values = iter(answers.values)
        scores = tuple(self._data_scores(n, values) for n in range(len(self._scored)))
        compared = self._comparison(values) if self._duels else None
        if not any(answers.values):
            raise SynthError("No question was answered in a way that can be used.", "See `synth doctor --llm MODEL`.")
        evaluation = self._evaluation(scores, compared)
        first = self._sides[0].data
        kept = first.path if first.format == "run" and self._where == first.path / FOLDER else self._where
        return Judged(evaluation, keep_evaluation(kept, evaluation), self._where, answers.usd, answers.calls)

    # ---- questions

    def _pair_up(self) -> None:
        self._pairs = pairs(self._sides[0], self._sides[1], self.plan.sample, self._seed)
        if not self._pairs:
            raise SynthError("The two data sets say the same: there is nothing to compare.", "Name another data set.")
        one, other = (side.dialogues(pair[n] for pair in self._pairs) for n, side in enumerate(self._sides))
        talks = [(self._sides[0].talk(one[left]), self._sides[1].talk(other[right])) for left, right, _ in self._pairs]
        self._pictured = all(any(talk[n].pictures for talk in talks) for n in (0, 1))
        # Pictures, and what is shown, must not tell whose a conversation is.
        self._duels = talks if self._pictured else [(bare(first), bare(second)) for first, second in talks]
        self._ids = [(one[left].id, other[right].id) for left, right, _ in self._pairs]

    def _scorings(self) -> list[Question[Any]]:
        return [
            Question(stage, number, partial(_score, talk, round_))
            for stage, drawn, talks in zip(("aspects", "aspects.2"), self._scored, self._talks, strict=False)
            for number, talk in zip(drawn, talks, strict=True)
            for round_ in range(self.plan.rounds)
        ]

    def _comparings(self) -> list[Question[Any]]:
        return [
            Question("pairs", number, partial(_compare, first, second, order))
            for (number, _, _), (a, b) in zip(self._pairs, self._duels, strict=True)
            for order, first, second in (("ab", a, b), ("ba", b, a))
        ]

    # ---- answers

    def _data_scores(self, n: int, values: Any) -> DataScores:
        rounds: dict[str, list[AspectsOutput | None]] = {}
        for number, dialogue in self._scored[n].items():
            # Ids are the data set's, and may repeat.
            label = dialogue.id if dialogue.id and dialogue.id not in rounds else f"{dialogue.id}#{number}"
            rounds[label] = [next(values) for _ in range(self.plan.rounds)]
        pictured = sum(bool(talk.pictures) for talk in self._talks[n])
        return data_scores(self._names[n], self._sides[n].held, pictured, rounds, self._seed)

    def _comparison(self, values: Any) -> Comparison:
        duels = []
        for (_, _, closeness), (a, b) in zip(self._pairs, self._ids, strict=True):
            forward: CompareOutput | None = next(values)
            duels.append(Duel(a, b, closeness, forward, next(values)))
        return comparison(self._names[0], self._names[1], duels, pictures=self._pictured)

    def _evaluation(self, scores: tuple[DataScores, ...], compared: Comparison | None) -> Evaluation:
        asked = [call for call, used in ((ASPECTS, scores), (COMPARE, compared)) if used]
        return Evaluation(
            data=tuple(self._names),
            model=str(self._survey.model),
            offline=self._survey.model.provider == "offline",
            seed=self._seed,
            sample=self.plan.sample,
            rounds=self.plan.rounds,
            temperatures={call.name: self._survey.temperature(call) for call in asked},
            images=self._survey.settings.images,
            prompts={call.name: self._survey.prompts.prompts[call.name].hash for call in asked},
            synth=__version__,
            scores=scores,
            gaps=gaps(scores[0], scores[1], self._seed) if len(scores) == 2 else (),
            comparison=compared,
            notes=tuple(self._notes(scores, compared)),
        )

    def _notes(self, scores: tuple[DataScores, ...], compared: Comparison | None) -> list[str]:
        notes = [OFFLINE] if self._survey.model.provider == "offline" else []
        for name, side in zip(self._names, self._sides, strict=True):
            model = _writer(side.data)
            if model == "offline":
                notes.append(f"{name} was written by the offline simulator, not by a language model.")
            elif model == str(self._survey.model):
                notes.append(f"The judge wrote {name} itself, and models are kind to what they wrote.")
        for found in scores:
            if found.conversations < self.plan.sample:
                notes.append(f"{found.data} has {found.conversations} conversations: all were judged.")
            if found.failed:
                notes.append(f"{found.data}: {found.failed} rounds came to no scores.")
        if compared:
            notes += self._notes_on(compared)
        return notes

    def _notes_on(self, compared: Comparison) -> list[str]:
        notes = []
        if len(self._pairs) < self.plan.sample:
            notes.append(f"The data sets make {len(self._pairs)} pairs: all were judged.")
        random = sum(closeness == _AT_RANDOM for _, _, closeness in self._pairs)
        if random:
            which = "All" if random == len(self._pairs) else f"{random} of {len(self._pairs)}"
            notes.append(f"{which} pairs have neither person, scenario nor target in common, and were drawn at random.")
        if not compared.pictures:
            notes.append("Pairs were judged by their words alone: not both sides have pictures.")
        if compared.failed:
            notes.append(f"{compared.failed} pairs were left out, for a verdict is missing.")
        return notes


def place_of(data: Data, out: Path | None, name: str) -> Path:
    """Where the log of a survey lies: in a run's folder, else in `NAME/` of the working folder; or where it is said."""
    if out is not None:
        return out
    return data.path / name if data.format == "run" else Path(name) / data.name


def judge(
    data: Sequence[Data],
    plan: Plan | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    confirm: Confirm | None = None,
) -> Judged:
    """Scores one data set or two, and compares two pair by pair; raises what `Judging` and its `run` raise."""
    return Judging(data, plan or Plan(), options or Options()).run(progress or Progress(), confirm)


async def _score(talk: Talk, round_: int, ask: Ask) -> AspectsOutput:
    return await agent.score(talk, ask, round_)


async def _compare(first: Talk, second: Talk, order: str, ask: Ask) -> CompareOutput:
    return await agent.compare(first, second, ask, order)


def _names(data: Sequence[Data]) -> list[str]:
    """The data sets' names; two of the same name are told apart by their paths."""
    same = len({one.name for one in data}) < len(data)
    return [str(one.path) if same else one.name for one in data]


def _writer(data: Data) -> str:
    """The model that wrote a run; empty where it is not known."""
    if data.format != "run":
        return ""
    model = RunFolder.open(data.path).config().get("models", {}).get("simulator", "")
    return str(ModelName.parse(model)) if model else ""
