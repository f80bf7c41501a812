"""All figures of a data set, in one reading of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synth.analysis.diversity import NGram
from synth.analysis.statistics.acts import Acts
from synth.analysis.statistics.elements import Elements, Labelled, Labeller
from synth.analysis.statistics.funnel import Funnel, read_funnel
from synth.analysis.statistics.persons import Persons
from synth.analysis.statistics.products import Kinds, Types
from synth.analysis.statistics.rounds import Rounds
from synth.analysis.statistics.size import Size, SizeCounter
from synth.analysis.statistics.stopwords import STOPWORDS
from synth.analysis.statistics.wording import Texts, Wording, Words, measure
from synth.analysis.tokens import Tokenizer
from synth.corpora.readers import Data, Dialogue, read
from synth.errors import SynthError
from synth.traces.run import RunFolder

SAMPLE = 300_000
"""Tokens of the sample by default: Distinct-n falls with size, so only figures over as many tokens compare."""
SEED = 0
TOP = 25
"""4-grams to keep."""
CLOUD = 150
"""Words to keep for each cloud."""


@dataclass(frozen=True, slots=True)
class Version:
    """The wording of one version of the texts: the drafts (Muse*, in the paper) or the final ones (Muse)."""

    all: Wording
    sample: Wording

    def to_json(self) -> dict[str, Any]:
        return {"all": self.all.to_json(), "sample": self.sample.to_json()}


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of one data set."""

    name: str
    format: str
    offline: bool
    """Written by the offline simulator: the figures say nothing about people or language models."""
    sample_tokens: int
    sample_seed: int
    size: Size
    final: Version | None
    """None where there are no turns, as in a file of profiles."""
    drafts: Version | None
    """None where no drafts are known."""
    acts: Acts
    elements: Elements
    types: Types
    rounds: Rounds
    persons: Persons
    funnel: Funnel | None
    """None for what is no run."""
    top: tuple[NGram, ...]
    """The commonest 4-grams of the final texts."""
    words: Words | None

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not known is null."""
        return {
            "name": self.name,
            "format": self.format,
            "offline": self.offline,
            "sample": {"tokens": self.sample_tokens, "seed": self.sample_seed},
            "size": self.size.to_json(),
            "wording": {
                "final": self.final.to_json() if self.final else None,
                "drafts": self.drafts.to_json() if self.drafts else None,
            },
            "acts": self.acts.to_json(),
            "elements": self.elements.to_json(),
            "types": self.types.to_json(),
            "rounds": self.rounds.to_json(),
            "persons": self.persons.to_json(),
            "funnel": self.funnel.to_json() if self.funnel else None,
            "top_4grams": [asdict(ngram) for ngram in self.top],
            "words": asdict(self.words) if self.words else None,
        }


def statistics(
    data: Data | Path,
    *,
    tokens: int = SAMPLE,
    seed: int = SEED,
    labeller: Labeller | None = None,
    labelled: Labelled | None = None,
) -> Statistics:
    """The figures of a data set, or of a run's folder.

    Args:
        tokens: of the sample.
        seed: of the order in which conversations come into the sample.
        labeller: finds the elements in place of the offline rules.
        labelled: whose labels those are, and of how much.

    Raises:
        SynthError: it cannot be read, or there is nothing in it.
    """
    data = read(data) if isinstance(data, Path) else data
    if tokens < 1:
        raise SynthError(f"A sample of {tokens} tokens is none.", "Give --tokens a number above 0.")
    run = RunFolder.open(data.path) if data.format == "run" else None
    size, acts, elements = SizeCounter(), Acts(), Elements(labelled=labelled)
    types, rounds, persons = Types(), Rounds(), Persons()
    tokenizer, kinds = Tokenizer(), Kinds(data.product)
    final, drafts = Texts(tokenizer), Texts(tokenizer)
    accepted: list[tuple[int, int]] = []
    empty, drafted = True, True
    for dialogue in data.dialogues():
        empty = False
        size.add(dialogue)
        types.add(dialogue, kinds)
        if dialogue.buyer is not None:
            persons.add(dialogue.buyer, kinds[dialogue.target] if dialogue.target is not None else None)
        if dialogue.number is not None:
            accepted.append((dialogue.number, len(dialogue.turns)))
        if not dialogue.turns:
            continue
        acts.add(dialogue)
        rounds.add(dialogue)
        elements.add(dialogue.turns, labeller)
        drafted = _add_texts(dialogue, final, drafts if drafted else None)
    if empty:
        raise SynthError(f"{data.path} has no conversation in it.", _go_on(data))
    held = bool(len(final.corpus))
    version, top = _version(final, tokens, seed, TOP) if held else (None, ())
    return Statistics(
        name=data.name,
        format=data.format,
        offline=run is not None and "offline" in run.config().get("models", {}).values(),
        sample_tokens=tokens,
        sample_seed=seed,
        size=size.size(data),
        final=version,
        drafts=_version(drafts, tokens, seed)[0] if held and drafted else None,
        acts=acts,
        elements=elements,
        types=types,
        rounds=rounds,
        persons=persons,
        funnel=read_funnel(run, accepted) if run else None,
        top=top,
        words=final.counts(_telling(tokenizer.vocabulary), CLOUD) if held else None,
    )


def _add_texts(dialogue: Dialogue, final: Texts, drafts: Texts | None) -> bool:
    """Adds a conversation's texts; whether drafts are known of all turns so far."""
    complete = drafts is not None and all(turn.draft is not None for turn in dialogue.turns)
    for turn in dialogue.turns:
        final.add(turn.text, user=turn.speaker == "user")
        if drafts is not None and complete:
            drafts.add(turn.draft or "", user=turn.speaker == "user")
    final.end()
    if drafts is not None:
        drafts.end()
    return complete


def _version(texts: Texts, tokens: int, seed: int, k: int = 0) -> tuple[Version, tuple[NGram, ...]]:
    whole, top = measure(texts.corpus, k)
    if whole.tokens == tokens:
        return Version(whole, whole), top
    sample, _ = measure(texts.sample(tokens, seed), asked=tokens)
    return Version(whole, sample), top


def _telling(vocabulary: Iterable[str]) -> frozenset[int]:
    """Numbers of the tokens that are words and tell something of the matter."""
    return frozenset(
        number
        for number, token in enumerate(vocabulary)
        if len(token) > 1 and token not in STOPWORDS and token[0].isalnum() and not token.isdigit()
    )


def _go_on(data: Data) -> str:
    return "Go on with `synth generate`." if data.format == "run" else "Name a file with conversations."
