"""Files of answers: `MODEL__DOMAIN__MODALITY__TASK.jsonl.gz` (or `.jsonl`), rows `submission_id`, `response`."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from synth.errors import SynthError
from synth.recommender.imagery.data import parsed
from synth.recommender.runs import staged

Task: TypeAlias = Literal["rec_title", "rec_choice"]
TASKS: tuple[Task, ...] = get_args(Task)
IMAGE, NONE = "image", "none"
"""Modalities that are no description's: the pictures themselves, and the request's words alone."""
COI = "-CoI"
"""Ends the names of models that were asked with chain-of-imagery."""
SOURCES = {"ofa": "OFA-huge", "llava": "llava-v1.5-13b", "gpt4v": "gpt-4-vision-preview"}
"""The paper's description models by the names of their files, `descriptions_NAME.jsonl`."""
_NAME = re.compile(r"(.+)__([^_]+(?:_[^_]+)*)__(.+)__(rec_\w+)\.jsonl(?:\.gz)?")


@dataclass(frozen=True)
class Output:
    """Whose answers to what a file holds, by its name."""

    path: Path
    model: str
    domain: str
    modality: str
    """`image`, `none`, or the model that described the pictures."""
    task: Task

    @property
    def name(self) -> str:
        """Without the file's ending."""
        return f"{self.model}__{self.domain}__{self.modality}__{self.task}"

    @property
    def coi(self) -> bool:
        """Whether the model was asked with chain-of-imagery."""
        return self.model.endswith(COI)


def describe_output(path: Path) -> Output:
    """What a file's name says.

    Raises:
        SynthError: it is not of the form.
    """
    found = _NAME.fullmatch(path.name)
    if not found or found[4] not in TASKS:
        raise SynthError(
            f"{path.name} does not say what it answers.",
            "Name it MODEL__DOMAIN__MODALITY__TASK.jsonl.gz, with the task rec_title or rec_choice.",
        )
    task: Task = "rec_title" if found[4] == "rec_title" else "rec_choice"
    return Output(path, found[1], found[2], found[3], task)


def find_outputs(named: Iterable[Path]) -> list[Path]:
    """The files, and for a folder those in it that are named as outputs.

    Raises:
        SynthError: a folder holds none.
    """
    found: list[Path] = []
    for path in named:
        inside = [path]
        if path.is_dir():
            inside = sorted(one for one in path.glob("*__rec_*") if one.name.endswith((".jsonl", ".jsonl.gz")))
        if not inside:
            raise SynthError(f"{path} holds no outputs.", "They are named MODEL__DOMAIN__MODALITY__TASK.jsonl.gz.")
        found += inside
    return found


def output_path(folder: Path, model: str, domain: str, modality: str, task: Task) -> Path:
    """Where answers are written; signs that a file's name cannot have, or that part names, become `-`."""
    return folder / f"{'__'.join(plain(part) for part in (model, domain, modality))}__{task}.jsonl.gz"


def modality_of(path: Path) -> str:
    """What a file of descriptions is called in the names of outputs."""
    stem = path.name.removesuffix(".jsonl").removeprefix("descriptions_")
    return SOURCES.get(stem, plain(stem))


def read_outputs(path: Path) -> tuple[dict[str, str], int]:
    """Answers by request, and how many were replaced by a later one for the same request.

    An answer of null is an empty one.

    Raises:
        SynthError: the file is empty, damaged, or no file of answers.
    """
    if not path.is_file():
        raise SynthError(f"There is no {path}.")
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            for number, row in parsed(file, path, "an answer"):
                missing = [key for key in ("submission_id", "response") if key not in row]
                if missing:
                    raise SynthError(
                        f"{path}, line {number} is not an answer: it has no {missing[0]!r}.",
                        "Rows need `submission_id` and `response`.",
                    )
                response = "" if row["response"] is None else row["response"]
                if not isinstance(response, str):
                    raise SynthError(f"{path}, line {number}: the response is no text.")
                name = str(row["submission_id"])
                times[name] += 1
                found[name] = response
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SynthError(f"{path} is a damaged gzip file: {error}.") from error
    if not found:
        raise SynthError(f"{path} has no answers.")
    return found, sum(times.values()) - len(found)


def write_outputs(path: Path, answers: Mapping[str, str]) -> None:
    """Writes answers; the same ones always give the same bytes. The file is moved to its place whole."""
    text = "".join(
        json.dumps({"submission_id": name, "response": said}, ensure_ascii=False) + "\n"
        for name, said in answers.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        file.write(text.encode())
    with staged(path) as staging:
        staging.write_bytes(packed.getvalue())


def plain(text: str) -> str:
    """A name as part of a file's: other signs become `-`, and `__`, which parts names, becomes `_`."""
    kept = "".join(c if c.isalnum() or c in "-._" else "-" for c in text)
    return re.sub("_{2,}", "_", kept).strip("-_.") or "model"
