"""The published files of Imagery as Inquiry (Yoon et al., 2024), one folder a domain.

`recs.json` (request -> recommended title -> net upvotes), `requests.jsonl` (text, pictures and, where drawn, five
choices), `items.csv` (all titles, column `title`) and descriptions of the pictures (`submission_id`, `description`, a
list). Titles are `creator - title` in lower case; an entry without ` - ` is taken for a creator.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from synth.errors import SynthError
from synth.recommender.reddit import mask_handles

MOST_IMAGES = 4
"""Of a request; models and descriptions use the first four."""
Recs: TypeAlias = dict[str, dict[str, int]]
"""Request -> recommended title -> net upvotes."""
_RECS, _REQUESTS, _ITEMS = "recs.json", "requests.jsonl", "items.csv"


@dataclass(frozen=True)
class Request:
    """What somebody asked; handles and e-mail addresses are masked."""

    id: str
    title: str
    text: str
    """Below the title; often empty."""
    images: tuple[str, ...]
    """File names, the first four."""
    choices: tuple[str, ...] = ()
    """Titles to choose from; empty where none were drawn."""
    true_index: int = -1
    """Of the right choice; -1 where there are none."""

    @property
    def full(self) -> str:
        """Title and text."""
        return f"{self.title}\n{self.text}".strip()


@dataclass(frozen=True)
class Domain:
    """Books or music."""

    name: str
    folder: Path

    def recs(self) -> Recs:
        """What was recommended for each request.

        Raises:
            SynthError: there is no such file, or it is not of this form.
        """
        path = self.folder / _RECS
        raw = _json(path)
        if not isinstance(raw, dict) or not raw:
            raise SynthError(f"{path} does not say what was recommended.", _wanted(_RECS))
        for request, rated in raw.items():
            if not isinstance(rated, dict) or not rated:
                raise SynthError(f"{path}: nothing was recommended for {request}.", _wanted(_RECS))
            if not all(title.strip() for title in rated):
                raise SynthError(f"{path}: a title for {request} is empty.", _wanted(_RECS))
            if not all(isinstance(votes, int | float) for votes in rated.values()):
                raise SynthError(f"{path}: the upvotes of {request} are no numbers.", _wanted(_RECS))
        return raw

    def requests(self) -> dict[str, Request]:
        """By id, in the file's order.

        Raises:
            SynthError: there is no such file, or a line is no request.
        """
        path = self.folder / _REQUESTS
        found: dict[str, Request] = {}
        for number, row in rows(path, "a request"):
            try:
                request = _request(row)
            except (KeyError, TypeError, ValueError) as error:
                raise SynthError(f"{path}, line {number} is not a request: {_problem(error)}.") from error
            if request.id in found:
                raise SynthError(f"{path}, line {number}: {request.id} is there twice.", "Leave one of them out.")
            found[request.id] = request
        if not found:
            raise SynthError(f"{path} is empty.", _wanted(_REQUESTS))
        return found

    def items(self) -> list[str]:
        """All titles that were ever recommended, sorted, each once.

        Raises:
            SynthError: there is no such file, or it has no column `title`.
        """
        path = self.folder / _ITEMS
        if not path.is_file():
            raise SynthError(f"There is no {path}.", _wanted(_ITEMS))
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if "title" not in (reader.fieldnames or ()):
                    raise SynthError(f"{path} has no column `title`.", _wanted(_ITEMS))
                found = {row["title"] for row in reader if row["title"]}
        except (UnicodeDecodeError, csv.Error) as error:
            raise SynthError(f"{path} cannot be read: {error}.", _wanted(_ITEMS)) from error
        if not found:
            raise SynthError(f"{path} has no titles.", _wanted(_ITEMS))
        return sorted(found)

    def find_descriptions(self, name: str) -> Path:
        """A file of descriptions by its path, by its name in this folder, or by its middle (`ofa`, `llava`, `gpt4v`).

        Raises:
            SynthError: there is none.
        """
        for path in (self.folder / name, self.folder / f"descriptions_{name}.jsonl", Path(name)):
            if path.is_file():
                return path
        there = ", ".join(path.name for path in sorted(self.folder.glob("descriptions_*.jsonl"))) or "none"
        raise SynthError(
            f"{self.name} has no descriptions {name}.",
            f"There: {there}. Make some with `synth eval imagery describe`.",
        )


def domains(folder: Path, wanted: str | None = None) -> list[Domain]:
    """The domains of a folder: itself, if it has a `recs.json`, or those of its folders that do.

    Args:
        wanted: only this one.

    Raises:
        SynthError: there is none.
    """
    if (folder / _RECS).is_file():
        found = [Domain(folder.resolve().name, folder)]
    else:
        found = [Domain(path.parent.name, path.parent) for path in sorted(folder.glob(f"*/{_RECS}"))]
    if not found:
        raise SynthError(
            f"{folder} holds no data of Imagery as Inquiry.", f"It or its folders `books`, `music` need a {_RECS}."
        )
    chosen = [domain for domain in found if wanted in (None, domain.name)]
    if not chosen:
        there = ", ".join(domain.name for domain in found)
        raise SynthError(f"{folder} has no domain {wanted}.", f"There: {there}.")
    return chosen


def read_descriptions(path: Path) -> dict[str, tuple[str, ...]]:
    """Descriptions of each request's pictures, the first four, in the pictures' order; masked.

    Raises:
        SynthError: the file is not one of descriptions.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, row in rows(path, "a description"):
        listed = row.get("description")
        if not isinstance(row.get("submission_id"), str) or not isinstance(listed, list):
            raise SynthError(
                f"{path}, line {number} is not a description.",
                "Its rows need `submission_id` and `description`, a list.",
            )
        found[row["submission_id"]] = tuple(mask_handles(str(text)) for text in listed[:MOST_IMAGES])
    if not found:
        raise SynthError(f"{path} is empty.", "Make it with `synth eval imagery describe`.")
    return found


def check_ids(known: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> int:
    """How many of `given` are not known.

    Raises:
        SynthError: none is known: the file belongs to other requests.
    """
    strange = sum(name not in known for name in given)
    if given and strange == len(given):
        example = next(iter(given))
        raise SynthError(f"{path} is about other requests: none has the id {example}.", "Check its domain and --data.")
    return strange


def rows(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers from 1.

    Raises:
        SynthError: there is no such file, or a line is no JSON object.
    """
    if not path.is_file():
        raise SynthError(f"There is no {path}.")
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from parsed(file, path, what)


def parsed(lines: Iterator[str], path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `rows`, of lines that are open already."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("no JSON object")
            yield number, row
    except UnicodeDecodeError as error:
        raise SynthError(f"{path} is no text in UTF-8.") from error
    except ValueError as error:
        raise SynthError(f"{path}, line {number} is not {what}: {error}.") from error


def _request(row: dict[str, Any]) -> Request:
    images, choices = row["images"], row.get("choices") or []
    for name, listed in (("images", images), ("choices", choices)):
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise ValueError(f"its {name} are no list of texts")
    true = row.get("true_index", -1)
    if choices and (not isinstance(true, int) or not 0 <= true < len(choices)):
        raise ValueError("true_index names none of its choices")
    return Request(
        id=str(row["submission_id"]),
        title=mask_handles(str(row["title"])),
        text=mask_handles(str(row.get("selftext") or "")),
        images=tuple(images[:MOST_IMAGES]),
        choices=tuple(choices),
        true_index=true if choices else -1,
    )


def _json(path: Path) -> Any:
    if not path.is_file():
        raise SynthError(f"There is no {path}.", _wanted(path.name))
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SynthError(f"{path} is no JSON: {error}.", _wanted(path.name)) from error


def _problem(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _wanted(name: str) -> str:
    forms = {
        _RECS: "It maps a request to the recommended titles and their upvotes.",
        _REQUESTS: "Its rows need `submission_id`, `title`, `selftext` and `images`.",
        _ITEMS: "It lists all titles in a column `title`.",
    }
    return forms[name]
