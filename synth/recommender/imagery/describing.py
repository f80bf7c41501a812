"""Descriptions of the requests' pictures by a model, in the form of the published ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import SynthError
from synth.recommender.asking import Asked, Writer
from synth.recommender.imagery.asking import pictures_of
from synth.recommender.imagery.data import Domain
from synth.recommender.imagery.prompts import DESCRIBE, DESCRIBE_TOKENS
from synth.recommender.reddit import mask_handles

if TYPE_CHECKING:
    # Importing it loads torch, which models of the gateway do not need.
    from synth.recommender.method import Progress


def describe(
    domain: Domain,
    writer: Writer,
    out: Path,
    images: Path | None = None,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, int, int]:
    """Has each picture described by itself, at most four a request; a picture is asked once, whatever stops it.

    Args:
        out: folder for `descriptions_MODEL.jsonl` and the answers.
        images: folder of the pictures; None for the domain's `images`.
        limit: only the first so many requests.

    Returns:
        The file, the requests in it, and the pictures described.

    Raises:
        SynthError: there are no pictures, or the model cannot see or answer.
    """
    found = dict(list(pictures_of(domain, images).items())[:limit])
    asked = [
        Asked(f"{request}#{number}", DESCRIBE, (path,), max_tokens=DESCRIBE_TOKENS)
        for request, paths in found.items()
        for number, path in enumerate(paths)
    ]
    said = writer.write(asked, out / "answers" / f"describe__{domain.name}", progress)
    rows = []
    for request, paths in found.items():
        told = [mask_handles(said[key]) for number in range(len(paths)) if (key := f"{request}#{number}") in said]
        if told:
            rows.append({"submission_id": request, "description": told})
    if not rows:
        raise SynthError(f"{writer.name} described none of {len(asked):,} pictures.", "Its answers' folder says why.")
    name = "".join(c if c.isalnum() or c in "-." else "-" for c in writer.name).strip("-.") or "model"
    path = out / domain.name / f"descriptions_{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".partial")
    staging.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="\n")
    os.replace(staging, path)
    return path, len(rows), sum(len(row["description"]) for row in rows)
