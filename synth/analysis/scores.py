"""What a judge's rounds come to: means of the five aspects with confidence intervals, and agreement between rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from synth.analysis.reliability import Estimate, bootstrap, bootstrap_difference, krippendorff, mean_difference
from synth.corpora.records import Record
from synth.prompts.calls import AspectsOutput

Aspect = Literal["naturalness", "coherence", "informativeness", "relevance", "image_text"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)

Rounds = Mapping[str, Sequence[AspectsOutput | None]]
"""Scores by conversation and round; None for a round that came to nothing."""


class AspectScore(Record):
    """One aspect of a data set. A conversation has the mean of its rounds."""

    aspect: Aspect
    conversations: int
    """That have a score."""
    score: Estimate | None
    """Over conversations, 0 to 2; None where none has one, as without pictures."""
    alpha: float | None
    """Krippendorff's, for interval data, between rounds."""
    difference: float | None
    """Mean absolute difference between two rounds on the same conversation."""


class DataScores(Record):
    """The aspects of one data set."""

    data: str
    conversations: int
    """Judged."""
    of: int
    """In the data set."""
    pictured: int
    """Judged with pictures before the judge."""
    failed: int
    """Rounds that came to no scores."""
    aspects: tuple[AspectScore, ...]
    single: dict[str, dict[Aspect, tuple[float, ...]]]
    """Every score: by conversation and aspect, round by round."""


class Gap(Record):
    """One data set's mean less the other's."""

    aspect: Aspect
    difference: Estimate


def data_scores(data: str, of: int, pictured: int, rounds: Rounds, seed: int) -> DataScores:
    """
    Args:
        data: the data set's name.
        of: conversations in it.
        seed: of the bootstrap.
    """
    single = {id_: _by_aspect([scores for scores in given if scores]) for id_, given in rounds.items()}
    return DataScores(
        data=data,
        conversations=len(rounds),
        of=of,
        pictured=pictured,
        failed=sum(scores is None for given in rounds.values() for scores in given),
        aspects=tuple(_aspect(aspect, single, seed) for aspect in ASPECTS),
        single=single,
    )


def gaps(one: DataScores, other: DataScores, seed: int) -> tuple[Gap, ...]:
    """Differences in the aspects that both have."""
    found = []
    for aspect in ASPECTS:
        difference = bootstrap_difference(_means(aspect, one.single), _means(aspect, other.single), seed)
        if difference:
            found.append(Gap(aspect=aspect, difference=difference))
    return tuple(found)


def _by_aspect(given: Sequence[AspectsOutput]) -> dict[Aspect, tuple[float, ...]]:
    values = {aspect: tuple(v for s in given if (v := getattr(s, aspect)) is not None) for aspect in ASPECTS}
    return {aspect: scores for aspect, scores in values.items() if scores}


def _aspect(aspect: Aspect, single: Mapping[str, Mapping[Aspect, Sequence[float]]], seed: int) -> AspectScore:
    units = [given[aspect] for given in single.values() if aspect in given]
    return AspectScore(
        aspect=aspect,
        conversations=len(units),
        score=bootstrap(_means(aspect, single), seed),
        alpha=krippendorff(units),
        difference=mean_difference(units),
    )


def _means(aspect: Aspect, single: Mapping[str, Mapping[Aspect, Sequence[float]]]) -> list[float]:
    """Of each conversation's rounds."""
    return [sum(given[aspect]) / len(given[aspect]) for given in single.values() if aspect in given]
