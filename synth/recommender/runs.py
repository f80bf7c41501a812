"""What a system answered: the run (query -> {item: score}), the responses, and the questions it was asked.

A run is a folder: `run.json` (what made it), `queries.jsonl` (the questions with their answers and candidates, or the
text that they are compared with), `run.jsonl` (one query a line) and, for a model that writes, `responses.jsonl`.
`synth eval recommend` and `synth eval compare` need no more.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from synth.errors import SynthError
from synth.recommender.data import RecExample

_T = TypeVar("_T")

RUN, RESPONSES, QUERIES, FACTS = "run.jsonl", "responses.jsonl", "queries.jsonl", "run.json"


@dataclass(frozen=True)
class Query:
    """One question with its right answers, or with the text that should have been written."""

    id: str
    conversation: str
    """Or what else makes questions depend on each other: intervals and tests draw these whole."""
    gt: str
    """The right answer; the first of several; empty where there is none."""
    candidates: tuple[str, ...]
    """In the order in which they were shown; empty where the whole catalogue is searched, or text is written."""
    repeats: int = 1
    """Pairs of the released data that it stands for."""
    answers: tuple[str, ...] = ()
    """All right answers where there are several; empty for `gt` alone."""
    reference: str = ""
    """What people wrote in this place; empty where no text is compared."""

    @property
    def right(self) -> tuple[str, ...]:
        """All right answers, each once; empty where there is none."""
        return tuple(dict.fromkeys(answer for answer in (self.gt, *self.answers) if answer))


@dataclass(frozen=True)
class Response:
    """What a model wrote."""

    response: str
    valid: bool
    """Whether what was read from it is among the candidates."""


@dataclass(frozen=True)
class RunFile:
    """The answers of one system to all queries."""

    name: str
    """Of the system, as tables show it."""
    scores: dict[str, dict[str, float]]
    """By query and item, higher is better. A model that writes an answer gives the one item, or none."""
    responses: dict[str, Response] = field(default_factory=dict)
    """By query; empty where nothing is written."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What tables say of it: `task` (`recommend` where it is missing; `muse.recommend`, `imagery.choose`, …), `data`,
    `split`, `generator`, `family` (`retrieval`, `zero-shot, titles`, …), `trained` (the domains it was trained on),
    `metrics` (names that `synth eval compare` shows if it is not told others), and whatever else its maker writes."""

    @property
    def task(self) -> str:
        """What was to be done; only runs of one task are compared."""
        return str(self.facts.get("task", "recommend"))


def queries_of(examples: Iterable[RecExample]) -> list[Query]:
    """The questions that examples ask."""
    return [Query(e.id, e.conversation, e.gt, e.candidates, e.repeats) for e in examples]


def ranking(query: str, scores: Mapping[str, float]) -> list[str]:
    """Items, best first. Equal scores are ordered by a hash of query and item, so that neither the place in the list
    nor the id gains by a tie."""
    return sorted(scores, key=lambda item: (-scores[item], _coin(query, item)))


def _coin(query: str, item: str) -> bytes:
    return hashlib.blake2b(f"{query}\x1f{item}".encode(), digest_size=8).digest()


def folder_name(name: str) -> str:
    """A system's name as that of a folder."""
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name).strip(".") or "run"


def write_run(folder: Path, run: RunFile, queries: Sequence[Query]) -> None:
    """Writes a run; each file is moved to its place whole, `run.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS).unlink(missing_ok=True)
    write_lines(folder / QUERIES, (_row(query) for query in queries))
    write_lines(folder / RUN, ({"query": query, "scores": scores} for query, scores in run.scores.items()))
    if run.responses:
        write_lines(folder / RESPONSES, ({"query": query, **asdict(said)} for query, said in run.responses.items()))
    else:
        (folder / RESPONSES).unlink(missing_ok=True)
    text = json.dumps({"name": run.name, "facts": run.facts}, ensure_ascii=False, indent=2) + "\n"
    write_whole(folder / FACTS, text)


def read_run(path: Path) -> tuple[RunFile, list[Query]]:
    """A run and the questions it answers.

    Args:
        path: its folder, or a file in it.

    Raises:
        SynthError: it is no run, or is damaged: a column or a fact is missing or of the wrong kind, a query stands
            twice, or one is answered that was not asked.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / FACTS).is_file() or not (folder / RUN).is_file():
        raise SynthError(
            f"{path} is not a run: it needs {FACTS} and {RUN}.",
            "Name a folder that `synth eval` or `synth train` wrote with --out.",
        )
    place = folder / FACTS
    try:
        facts = json.loads(place.read_text("utf-8"))
        name, rest = _text(facts["name"]), _facts(facts["facts"])
        place = folder / QUERIES
        queries = [_query(row) for row in read_lines(place)]
        asked = _once((query.id, query) for query in queries)
        place = folder / RUN
        scores = _once((str(row["query"]), _scores(row["scores"])) for row in read_lines(place))
        _known(scores, asked)
        place = folder / RESPONSES
        responses = _once(
            (str(row["query"]), Response(_text(row["response"]), bool(row["valid"]))) for row in read_lines(place)
        )
        _known(responses, asked)
    except KeyError as error:
        raise SynthError(f"{place} is damaged: a row has no {error.args[0]!r}.", "Make the run again.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SynthError(f"{place} is damaged: {error}.", "Make the run again.") from error
    if not queries:
        raise SynthError(f"{folder} does not say what was asked: it has no {QUERIES}.", "Make the run again.")
    return RunFile(name, scores, responses, rest), queries


def _row(query: Query) -> dict[str, Any]:
    """A query's line; what few tasks have is left out where it is empty."""
    return {name: value for name, value in asdict(query).items() if value or name not in ("answers", "reference")}


def _query(row: dict[str, Any]) -> Query:
    return Query(
        id=str(row["id"]),
        conversation=str(row["conversation"]),
        gt=_text(row["gt"]),
        candidates=tuple(map(str, row["candidates"])),
        repeats=_count(row.get("repeats", 1)),
        answers=tuple(map(str, row.get("answers", ()))),
        reference=_text(row.get("reference", "")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _count(value: Any, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{value!r} is no count from {least}")
    return value


def _facts(found: Any) -> dict[str, Any]:
    """What tables say of a run; what only its maker reads is left as it is."""
    if not isinstance(found, dict):
        raise ValueError("its facts are no object")
    for key in ("task", "data", "split", "generator", "family"):
        _text(found.get(key, ""))
    for key in ("trained", "metrics"):
        if not isinstance(found.get(key, []), list):
            raise ValueError(f"{key} is no list")
        for name in found.get(key, []):
            _text(name)
    if "coverage" in found:
        for key in ("with_titles", "examples"):
            _count(found["coverage"][key], 0)
    return found


def _scores(row: Mapping[str, Any]) -> dict[str, float]:
    scores: dict[str, float] = {str(item): float(score) for item, score in row.items()}
    if not all(map(math.isfinite, scores.values())):
        raise ValueError("a score is no number")
    return scores


def _once(rows: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for query, value in rows:
        if query in found:
            raise ValueError(f"query {query} stands twice")
        found[query] = value
    return found


def _known(answered: Mapping[str, object], asked: Mapping[str, object]) -> None:
    unknown = answered.keys() - asked.keys()
    if asked and unknown:
        raise ValueError(f"it answers {len(unknown):,} queries that were not asked, such as {min(unknown)}")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A file beside its place, to be written and moved there whole; what fails leaves nothing behind."""
    staging = path.with_name(path.name + ".partial")
    try:
        yield staging
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines beside their place and moves them there."""
    with staged(path) as staging, staging.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; none where there is no file."""
    if path.is_file():
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)


def write_whole(path: Path, text: str) -> None:
    """Writes a text beside its place and moves it there."""
    with staged(path) as staging:
        staging.write_text(text, "utf-8", newline="\n")
