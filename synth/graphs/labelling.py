"""Elements by a model: what each sentence of a sample of turns does (MUSE, Fig. 4), for `synth stats --elements`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from synth.agents import labeller as agent
from synth.agents.dialogue import Ask
from synth.analysis.statistics.elements import Element, Labelled
from synth.analysis.transcript import drawn_order
from synth.corpora.readers import Data, Dialogue, Utterance
from synth.errors import SynthError
from synth.graphs.judging import place_of
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.graphs.rehearsal import Question
from synth.graphs.survey import Confirm, Subject, Survey
from synth.prompts.calls import ElementKind, Sentence
from synth.text import split_sentences

FOLDER = "labels"
Given = dict[int, tuple[ElementKind, ...]]
"""Elements by a sentence's number in its conversation."""


@dataclass(frozen=True)
class Labels:
    """A model's labels of a data set's sample; stands in the rules' place (`statistics(labeller=…)`)."""

    labelled: Labelled
    elements: dict[tuple[Utterance, ...], list[list[Element]]]
    """Of each turn, by the conversation's turns."""

    def __call__(self, turns: Sequence[Utterance]) -> list[list[Element]]:
        return self.elements.get(tuple(turns)) or [[] for _ in turns]


def label(
    data: Sequence[Data],
    turns: int,
    options: Options,
    progress: Progress | None = None,
    confirm: Confirm | None = None,
) -> list[Labels]:
    """Has a model label whole conversations, drawn by seed, with so many turns in all or a few more.

    The log is in the first data set's folder.

    Raises:
        SynthError: an input is wrong, no call can work, or the cap is reached; what is paid is in the log.
        KeyboardInterrupt: stopped, or not confirmed.
    """
    if turns < 1:
        raise SynthError("--elements-turns must be 1 or more.")
    drawn = [_drawn(one, turns, options.seed) for one in data]
    survey = Survey(options, place_of(data[0], options.out, FOLDER), Subject((), {}))
    questions: list[Question[Given]] = [
        Question(f"elements.{n}" if n else "elements", number, partial(_ask, sentences_of(dialogue.turns)))
        for n, dialogues in enumerate(drawn)
        for number, dialogue in dialogues.items()
    ]
    given = iter(survey.run(questions, "labelling", progress or Progress(), confirm).values)
    found = [_labels([(d, next(given)) for d in side.values()], str(survey.model), options.seed) for side in drawn]
    for one, labels in zip(data, found, strict=True):
        if not labels.labelled.sentences:
            raise SynthError(f"{survey.model} labelled no sentence of {one.name}.", "Use another model for --elements.")
    return found


def sentences_of(turns: Sequence[Utterance]) -> list[Sentence]:
    """All sentences of a conversation, numbered from 1."""
    texts = [(turn.speaker, text) for turn in turns for text in split_sentences(turn.text)]
    return [Sentence(number, speaker, text) for number, (speaker, text) in enumerate(texts, 1)]


async def _ask(sentences: list[Sentence], ask: Ask) -> Given:
    return await agent.label(sentences, ask)


def _drawn(data: Data, turns: int, seed: int) -> dict[int, Dialogue]:
    lengths = [len(dialogue.turns) for dialogue in data.dialogues()]
    wanted: set[int] = set()
    reached = 0
    for number in drawn_order(len(lengths), seed):
        if reached >= turns:
            break
        if lengths[number]:
            wanted.add(number)
            reached += lengths[number]
    if not wanted:
        raise SynthError(f"{data.path} has no turn to label.", "Leave out --elements.")
    return {number: dialogue for number, dialogue in enumerate(data.dialogues()) if number in wanted}


def _labels(answered: Sequence[tuple[Dialogue, Given | None]], model: str, seed: int) -> Labels:
    """A conversation without an answer counts as not drawn."""
    usable = [(dialogue.turns, given) for dialogue, given in answered if given]
    sentences = sum(len(sentences_of(turns)) for turns, _ in usable)
    known = sum(len(given) for _, given in usable)
    labelled = Labelled(
        model=model,
        seed=seed,
        conversations=len(usable),
        turns=sum(len(turns) for turns, _ in usable),
        sentences=known,
        missing=sentences - known,
    )
    return Labels(labelled, {turns: _elements(turns, given) for turns, given in usable})


def _elements(turns: Sequence[Utterance], given: Given) -> list[list[Element]]:
    number = 0
    found = []
    for turn in turns:
        of_turn = []
        for text in split_sentences(turn.text):
            number += 1
            of_turn += [Element(kind, text) for kind in given.get(number, ())]
        found.append(of_turn)
    return found
