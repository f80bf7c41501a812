"""Descriptions of the requests' pictures by a model, in the form of the published ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import SynthError
from synth.recommender.asking import ANSWERS, Asked, Writer
from synth.recommender.imagery.asking import check_whole, pictures_of
from synth.recommender.imagery.data import Domain, read_descriptions
from synth.recommender.imagery.outputs import plain
from synth.recommender.imagery.prompts import DESCRIBE, DESCRIBE_TOKENS
from synth.recommender.reddit import mask_handles

if TYPE_CHECKING:
    # Importing it loads torch, which models of the gateway do not need.
    from synth.recommender.method import Progress


@dataclass(frozen=True)
class Views:
    """The pictures that are to be described."""

    domain: Domain
    places: Mapping[str, Sequence[str]]
    """For each request that has a picture at hand, what is asked about each of its pictures, in their order."""
    asked: Sequence[Asked]
    """Of the pictures at hand."""

    def path(self, model: str, out: Path) -> Path:
        """The file of a model's descriptions.

        Raises:
            SynthError: it is there, and about requests that are left out this time.
        """
        path = out / self.domain.name / f"descriptions_{plain(model)}.jsonl"
        if path.is_file():
            check_whole(path, read_descriptions(path), self.places)
        return path


def views(domain: Domain, images: Path | None = None, limit: int | None = None) -> Views:
    """Each picture by itself, at most four a request.

    Args:
        images: folder of the pictures; None for the domain's `images`.
        limit: only the first so many requests.

    Raises:
        SynthError: there are no pictures.
    """
    found = dict(list(pictures_of(domain, images).items())[:limit])
    requests = domain.requests()
    places, asked = {}, []
    for name, paths in found.items():
        at_hand = {path.name: path for path in paths}
        images_of = requests[name].images
        places[name] = [f"{name}#{number}" for number in range(len(images_of))]
        asked += [
            Asked(id_, DESCRIBE, (at_hand[image],), max_tokens=DESCRIBE_TOKENS)
            for id_, image in zip(places[name], images_of, strict=True)
            if image in at_hand
        ]
    return Views(domain, places, asked)


def describe(views: Views, writer: Writer, out: Path, progress: Progress | None = None) -> tuple[Path, int, int]:
    """Has the pictures described; one is asked about once, whatever stops it.

    A picture that is missing, or of which nothing was said, has an empty text in its place, so that the others keep
    their numbers.

    Args:
        out: folder for `descriptions_MODEL.jsonl` and the answers.

    Returns:
        The file, the requests in it, and the pictures described.

    Raises:
        SynthError: the model cannot see or answer, or what it said of more requests would be lost.
    """
    path = views.path(writer.name, out)
    said = {id_: mask_handles(text) for id_, text in writer.write(views.asked, out / ANSWERS, progress).items()}
    told = {name: [said.get(id_, "") for id_ in ids] for name, ids in views.places.items()}
    rows = [{"submission_id": name, "description": texts} for name, texts in told.items() if any(texts)]
    if not rows:
        number = len(views.asked)
        raise SynthError(f"{writer.name} described none of {number:,} pictures.", "Its answers' folder says why.")
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".partial")
    staging.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="\n")
    os.replace(staging, path)
    return path, len(rows), sum(bool(text) for texts in told.values() for text in texts)
