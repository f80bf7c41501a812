"""The labeller: what each sentence of a finished conversation does (MUSE, Fig. 4)."""

from __future__ import annotations

from collections.abc import Sequence

from synth.agents.dialogue import Ask
from synth.prompts import calls
from synth.prompts.calls import ElementKind, ElementsInput, Sentence


async def label(sentences: Sequence[Sentence], ask: Ask) -> dict[int, tuple[ElementKind, ...]]:
    """The elements of each sentence, each once, by the sentence's number; one that the model passed over is missing."""
    reply = await ask(calls.ELEMENTS, ElementsInput(tuple(sentences)), "elements")
    known = {sentence.number for sentence in sentences}
    return {
        labelled.number: tuple(dict.fromkeys(labelled.elements))
        for labelled in reply.sentences
        if labelled.number in known and labelled.elements
    }
