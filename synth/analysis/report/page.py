"""The report: one HTML file that needs nothing else, with the figures, ten conversations, and how it all came about."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from synth import __version__
from synth.analysis.report import figures
from synth.analysis.report.clouds import NARROW, WIDE, cloud, font_face
from synth.analysis.report.facts import Facts, collect, mark
from synth.analysis.report.wording import FILTERS, ended, models, reasons, settings, tiles
from synth.analysis.scores import ASPECTS
from synth.analysis.statistics import SAMPLE
from synth.analysis.statistics.persons import association
from synth.errors import SynthError
from synth.traces.run import RunFolder

FILE = "report.html"
_MARK = '<meta name="synth-report" content="'
_HEAD = 1_000
"""Characters within which the mark stands."""
_CONTENTS = (
    ("glance", "At a glance"),
    ("size", "Size and wording"),
    ("turns", "Acts and turns"),
    ("elements", "Elements"),
    ("types", "Product types"),
    ("funnel", "Filters"),
    ("endings", "Endings"),
    ("words", "Phrases and words"),
    ("persons", "Persons"),
    ("quality", "Quality"),
    ("samples", "Conversations"),
    ("provenance", "Provenance"),
    ("definitions", "Definitions"),
)


def write_report(run: Path, out: Path | None = None, *, tokens: int = SAMPLE) -> Path:
    """Writes the report of a run, finished or not.

    Args:
        out: the file; default: `report.html` in the run. An earlier report is replaced, any other file is not.
        tokens: of the statistics' sample.

    Returns:
        The file.

    Raises:
        SynthError: the run cannot be read or has no conversation yet, or the file cannot be written.
    """
    folder = RunFolder.open(run)
    path = out or run / FILE
    if path.exists() and _marked(path) is None:
        raise SynthError(f"{path} exists and is no report.", "Choose another --out.")
    was = mark(run)
    page = render(collect(folder, tokens=tokens), was)
    partial = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(page.encode("utf-8", "replace"))
        os.replace(partial, path)
    except OSError as error:
        raise SynthError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def is_current(run: Path) -> bool:
    """Whether the run's own report is of the rows that it has now."""
    return _marked(run / FILE) == mark(run)


def _marked(path: Path) -> str | None:
    """What an earlier report is of; None for any other file."""
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return None
    _, found, rest = head.partition(_MARK)
    return rest.partition('"')[0] if found else None


def render(facts: Facts, marked: str) -> str:
    """The page.

    Args:
        marked: what it is of, so that a later look can tell whether it is up to date.
    """
    s = facts.statistics
    boxes = {"all": WIDE, "user": NARROW, "assistant": NARROW}
    clouds = {key: cloud(getattr(s.words, key), box) if s.words else [] for key, box in boxes.items()}
    endings = s.rounds.endings
    return (
        _environment()
        .get_template("report.html")
        .render(
            facts=facts,
            statistics=s,
            mark=marked,
            version=__version__,
            catalogue=facts.catalogue,
            variant=facts.config.get("variant"),
            models=models(facts.config),
            ended=ended(facts),
            contents=[(id_, title) for id_, title in _CONTENTS if id_ != "funnel" or s.funnel],
            tiles=list(tiles(facts)),
            versions=figures.versions(s),
            acts={speaker: figures.acts(s, speaker) for speaker in ("user", "assistant")},
            lengths=figures.lengths(s),
            openings=figures.bars(dict(s.acts.openings.most_common())),
            elements=figures.elements(s),
            types=figures.types(s),
            steps=figures.steps(s.funnel) if s.funnel else [],
            choices=figures.choices(s.funnel) if s.funnel else [],
            reasons=reasons(facts),
            rounds=figures.rounds(s),
            ending_shares={ending: endings[ending] / max(endings.total(), 1) for ending in figures.ENDINGS},
            ngrams=figures.ngrams(s),
            clouds=clouds,
            boxes={key: (box.width, box.height) for key, box in boxes.items()},
            names=figures.NAMES,
            font=font_face(word for words in clouds.values() for word in words),
            ages=figures.ages(s),
            heat=figures.heat(s),
            association={"gender": association(s.persons.gender_type), "age": association(s.persons.age_type)},
            scores=figures.scores(facts.review.totals),
            review=list(facts.review.means().items()),
            judged=facts.judged,
            aspects=ASPECTS,
            people=facts.people.most_common(),
            settings=list(settings(facts)),
        )
    )


@cache
def _environment() -> Environment:
    """Everything is escaped: texts of a run are never markup."""
    environment = Environment(
        loader=PackageLoader("synth.analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment
