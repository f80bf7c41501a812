"""What a system answered: the run (query -> {item: score}), the responses, and the questions it was asked.

A run is a folder: `run.json` (what made it), `queries.jsonl` (the questions with their answers and candidates),
`run.jsonl` (one query a line) and, for a model that writes, `responses.jsonl`. `synth eval recommend` needs no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.recommender.data import RecExample

RUN, RESPONSES, QUERIES, FACTS = "run.jsonl", "responses.jsonl", "queries.jsonl", "run.json"


@dataclass(frozen=True)
class Query:
    """One question and its right answer."""

    id: str
    conversation: str
    gt: str
    candidates: tuple[str, ...]
    """In the order in which they were shown."""
    repeats: int = 1
    """Pairs of the released data that it stands for."""


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
    """What tables say of it: `data`, `split`, `generator`, `family` (`retrieval`, `zero-shot, titles`, …), `trained`
    (the domains it was trained on), and whatever else its maker writes."""


def queries_of(examples: Iterable[RecExample]) -> list[Query]:
    """The questions that examples ask."""
    return [Query(e.id, e.conversation, e.gt, e.candidates, e.repeats) for e in examples]


def ranking(query: str, scores: Mapping[str, float]) -> list[str]:
    """Items, best first. Equal scores are ordered by a hash of query and item, so that neither the place in the list
    nor the id gains by a tie."""
    return sorted(scores, key=lambda item: (-scores[item], _coin(query, item)))


def _coin(query: str, item: str) -> bytes:
    return hashlib.blake2b(f"{query}\x1f{item}".encode(), digest_size=8).digest()


def write_run(folder: Path, run: RunFile, queries: Sequence[Query]) -> None:
    """Writes a run; each file is moved to its place whole, `run.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS).unlink(missing_ok=True)
    write_lines(folder / QUERIES, (asdict(query) for query in queries))
    write_lines(folder / RUN, ({"query": query, "scores": scores} for query, scores in run.scores.items()))
    if run.responses:
        write_lines(folder / RESPONSES, ({"query": query, **asdict(said)} for query, said in run.responses.items()))
    else:
        (folder / RESPONSES).unlink(missing_ok=True)
    text = json.dumps({"name": run.name, "facts": run.facts}, ensure_ascii=False, indent=2) + "\n"
    _replace(folder / FACTS, text)


def read_run(path: Path) -> tuple[RunFile, list[Query]]:
    """A run and the questions it answers.

    Args:
        path: its folder, or a file in it.

    Raises:
        SynthError: it is no run, or is damaged.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / FACTS).is_file() or not (folder / RUN).is_file():
        raise SynthError(
            f"{path} is not a run: it needs {FACTS} and {RUN}.", "Make one with `synth eval recommend --out`."
        )
    place = folder / FACTS
    try:
        facts = json.loads(place.read_text("utf-8"))
        place = folder / RUN
        scores = {str(row["query"]): {str(i): float(s) for i, s in row["scores"].items()} for row in read_lines(place)}
        place = folder / RESPONSES
        responses = {str(row["query"]): Response(str(row["response"]), bool(row["valid"])) for row in read_lines(place)}
        place = folder / QUERIES
        queries = [Query(**{**row, "candidates": tuple(row["candidates"])}) for row in read_lines(place)]
        name, rest = str(facts["name"]), dict(facts["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SynthError(f"{place} is damaged: {error}.", "Make the run again.") from error
    if not queries:
        raise SynthError(f"{folder} does not say what was asked: it has no {QUERIES}.", "Make the run again.")
    return RunFile(name, scores, responses, rest), queries


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines beside their place and moves them there."""
    staging = path.with_name(path.name + ".partial")
    with staging.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(staging, path)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; none where there is no file."""
    if path.is_file():
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)


def _replace(path: Path, text: str) -> None:
    staging = path.with_name(path.name + ".partial")
    staging.write_text(text, "utf-8", newline="\n")
    os.replace(staging, path)
