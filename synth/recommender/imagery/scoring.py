"""Scores of stored answers: Hit@1/10/20 of listed titles, accuracy of choices, and runs of them for `compare`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.analysis.agreement import wilson
from synth.errors import SynthError
from synth.recommender.extras import require
from synth.recommender.imagery.data import Domain, Recs, Request, check_ids, domains
from synth.recommender.imagery.matching import first_fixed, first_original
from synth.recommender.imagery.negatives import best_of
from synth.recommender.imagery.outputs import IMAGE, NONE, Output, describe_output, read_outputs
from synth.recommender.imagery.parsing import (
    Mode,
    begins_as_choice,
    choice_fixed,
    choice_original,
    titles_fixed,
    titles_original,
)
from synth.recommender.reddit import mask_handles
from synth.recommender.runs import Query, Response, RunFile

DEPTHS = (1, 10, 20)
"""The k of Hit@k: of the first k lines that can be titles, one matches a recommended title."""


@dataclass(frozen=True)
class Score:
    """How well a file's answers do. A request without an answer is a miss."""

    output: Output
    mode: Mode
    places: dict[str, int]
    """By request: the place, from 1, of the first line that matches, within the first 20; 1 for a right choice; 0 for
    none."""
    unparsable: int
    """Answers with no line that can be a title, or no choice."""
    missing: int
    """Requests without an answer."""
    unknown: int
    """Answers to requests that the data have not; passed over."""
    repeated: int
    """Answers that a later one for the same request replaces."""
    said: dict[str, Response] = field(default_factory=dict, repr=False)
    """The answers, masked, and whether they can be parsed."""
    listed: dict[str, int] = field(default_factory=dict, repr=False)
    """Lines that can be titles, of the first 20."""
    chosen: dict[str, int] = field(default_factory=dict, repr=False)
    """The choices made."""

    @property
    def n(self) -> int:
        """Requests."""
        return len(self.places)

    def hits(self, depth: int) -> int:
        """Requests with a match among the first so many."""
        return sum(0 < place <= depth for place in self.places.values())

    @property
    def figures(self) -> dict[str, float]:
        """`hit@1`, `hit@10`, `hit@20`; or `accuracy`."""
        if self.output.task == "rec_choice":
            return {"accuracy": self.hits(1) / self.n}
        return {f"hit@{depth}": self.hits(depth) / self.n for depth in DEPTHS}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Wilson's 95 % intervals of the figures."""
        found = {name: wilson(round(value * self.n), self.n) for name, value in self.figures.items()}
        return {name: (ends.low, ends.high) for name, ends in found.items() if ends}

    @property
    def like_choices(self) -> bool:
        """Whether nine answers of ten begin as choices do."""
        begun = sum(begins_as_choice(one.response) for one in self.said.values())
        return begun >= 0.9 * len(self.said) > 0

    def json(self) -> dict[str, Any]:
        """The figures with their intervals, and what was counted."""
        return {
            "file": self.output.path.name,
            "model": self.output.model,
            "domain": self.output.domain,
            "modality": self.output.modality,
            "task": self.output.task,
            "mode": self.mode,
            "n": self.n,
            **self.figures,
            **{f"{name}_ci95": list(ends) for name, ends in self.intervals.items()},
            "unparsable": self.unparsable,
            "missing": self.missing,
            "unknown": self.unknown,
            "repeated": self.repeated,
        }


class Scorer:
    """Scores files against the data; a domain is read once.

    Args:
        data: the folder with both domains, or one domain's.

    Raises:
        SynthError: it holds no such data, or the extra `eval` is not installed.
    """

    def __init__(self, data: Path) -> None:
        require("eval", "rapidfuzz")
        self._data = data
        self._domains = {domain.name: domain for domain in domains(data)}
        self._alone = (data / "recs.json").is_file()
        self._recs: dict[str, Recs] = {}
        self._requests: dict[str, dict[str, Request]] = {}

    def score(self, path: Path, mode: Mode) -> Score:
        """Scores one file.

        Raises:
            SynthError: its name or its rows are not of the form, or it answers other requests than the data's.
        """
        output = describe_output(path)
        answers, repeated = read_outputs(path)
        domain = self._domain(output)
        recs = self._known_recs(domain)
        unknown = check_ids(recs, answers, path)
        requests = self._known_requests(domain, recs) if output.task == "rec_choice" else {}
        return score_answers(output, answers, recs, requests, mode, unknown=unknown, repeated=repeated)

    def run(self, score: Score) -> tuple[RunFile, list[Query]]:
        """What was scored as a run, by the rules it was scored by; see `as_run`."""
        domain = self._domain(score.output)
        recs = self._known_recs(domain)
        requests = self._known_requests(domain, recs) if score.output.task == "rec_choice" else {}
        return as_run(score, recs, requests)

    def _domain(self, output: Output) -> Domain:
        # A folder of one domain may have any name; the requests' ids tell whether it is the right one.
        found = next(iter(self._domains.values())) if self._alone else self._domains.get(output.domain)
        if found is None:
            raise SynthError(
                f"{output.path.name} is about {output.domain}, and {self._data} has no such folder.",
                f"There: {', '.join(self._domains)}.",
            )
        return found

    def _known_recs(self, domain: Domain) -> Recs:
        if domain.name not in self._recs:
            self._recs[domain.name] = domain.recs()
        return self._recs[domain.name]

    def _known_requests(self, domain: Domain, recs: Recs) -> dict[str, Request]:
        if domain.name not in self._requests:
            found = domain.requests()
            bare = [name for name in recs if name not in found or not found[name].choices]
            if bare:
                raise SynthError(
                    f"{domain.folder / 'requests.jsonl'} has no choices for {len(bare):,} requests, such as {bare[0]}.",
                    "Rows need `choices` and `true_index`.",
                )
            self._requests[domain.name] = found
        return self._requests[domain.name]


def score_answers(
    output: Output,
    answers: Mapping[str, str],
    recs: Recs,
    requests: Mapping[str, Request],
    mode: Mode,
    *,
    only: Collection[str] | None = None,
    unknown: int = 0,
    repeated: int = 0,
) -> Score:
    """Scores answers by request.

    Args:
        requests: with their choices; needed for the task `rec_choice` only.
        only: the requests that were asked; None for all of `recs`.
    """
    places: dict[str, int] = {}
    said: dict[str, Response] = {}
    listed: dict[str, int] = {}
    chosen: dict[str, int] = {}
    for name, recommended in recs.items():
        if only is not None and name not in only:
            continue
        places[name] = 0
        if name not in answers:
            continue
        answer = answers[name]
        if output.task == "rec_choice":
            request = requests[name]
            index = choice_original(answer) if mode == "original" else choice_fixed(answer, request.choices)
            if index is not None and index < len(request.choices):
                chosen[name] = index
                places[name] = int(index == request.true_index)
            parsable = name in chosen
        else:
            places[name], listed[name] = _place(answer, recommended, mode)
            parsable = listed[name] > 0
        said[name] = Response(mask_handles(answer), parsable)
    return Score(
        output=output,
        mode=mode,
        places=places,
        unparsable=sum(not one.valid for one in said.values()),
        missing=len(places) - len(said),
        unknown=unknown,
        repeated=repeated,
        said=said,
        listed=listed,
        chosen=chosen,
    )


def _place(answer: str, recommended: Collection[str], mode: Mode) -> tuple[int, int]:
    """The place of the first match, and how many lines there were to match."""
    if mode == "original":
        lines = titles_original(answer)[: DEPTHS[-1]]
        return first_original(lines, recommended), len(lines)
    parted = titles_fixed(answer)[: DEPTHS[-1]]
    return first_fixed(parted, recommended), len(parted)


def as_run(score: Score, recs: Recs, requests: Mapping[str, Request], family: str = "") -> tuple[RunFile, list[Query]]:
    """The answers as a run, so that systems can be compared with paired tests.

    A run's query has one right answer. For titles it is the request's most upvoted one, and it stands for all that
    were recommended: the first line that matches any of them is written under its name, so that Success@k of the run
    is Hit@k. The other lines are `line 1`, `line 2`, ….

    Args:
        requests: with their choices; needed for the task `rec_choice` only.
        family: in which tables put it; empty for `zero-shot` and what was shown.
    """
    titled = score.output.task == "rec_title"
    scores: dict[str, dict[str, float]] = {}
    queries: list[Query] = []
    for name, place in score.places.items():
        if titled:
            gt = best_of(recs[name])
            queries.append(Query(name, name, gt, ()))
            if name in score.said:
                lines = range(1, score.listed[name] + 1)
                scores[name] = {gt if line == place else f"line {line}": -float(line) for line in lines}
        else:
            request = requests[name]
            queries.append(Query(name, name, request.choices[request.true_index], request.choices))
            if name in score.said:
                index = score.chosen.get(name)
                scores[name] = {} if index is None else {request.choices[index]: 1.0}
    facts = run_facts(score.output, score.mode, family)
    return RunFile(system_name(score.output), scores, score.said, facts), queries


def system_name(output: Output) -> str:
    """A model and what it was shown, as tables show it."""
    return f"{output.model} ({'images' if output.modality == IMAGE else output.modality})"


def run_facts(output: Output, mode: Mode, family: str = "") -> dict[str, Any]:
    """What tables say of a run."""
    titled = output.task == "rec_title"
    seen = {IMAGE: "images", NONE: "words"}.get(output.modality, "descriptions")
    return {
        "task": "imagery.title" if titled else "imagery.choose",
        "data": f"imagery {output.domain}",
        "split": "",
        "generator": "",
        "family": family or f"zero-shot, {seen}",
        "metrics": [f"hit@{depth}" for depth in DEPTHS] if titled else ["hit@1"],
        "modality": output.modality,
        "mode": mode,
    }
