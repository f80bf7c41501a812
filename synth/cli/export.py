"""`synth export`: a run's conversations in the formats others read."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from synth.cli.run import locate
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.corpora.export import JudgedPart, Report, Spent
    from synth.traces.reader import RunReader
    from synth.traces.run import RunFolder


class _Logged(TypedDict, total=False):
    prompts: dict[str, str]
    spent: Spent


class Pictures(StrEnum):
    none = "none"
    links = "links"
    files = "files"


class HumanVerdict(StrEnum):
    good = "good"
    unsure = "unsure"
    bad = "bad"
    unjudged = "unjudged"


def export(
    run: Annotated[Path, typer.Argument(help="Run folder, or the name of one below runs/.")],
    format: Annotated[
        str,
        typer.Option(help="hf, messages, sharegpt, muse, redial, lavic, inspect, otlp, or one that a package adds."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: exports/RUN-FORMAT.")] = None,
    images: Annotated[
        Pictures | None,
        typer.Option(
            help="Pictures: left out, linked, or written into the export; default: links for imported catalogues, "
            "files for the drawn sample."
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            help="Catalogue with pictures the run does not show (lavic's candidates); default: found in catalogues/."
        ),
    ] = None,
    forced: Annotated[
        bool, typer.Option("--forced", help="lavic: also conversations that were handed their target.")
    ] = False,
    verdict: Annotated[
        list[HumanVerdict] | None,
        typer.Option(help="Only conversations of which people say so; can be given several times."),
    ] = None,
    without: Annotated[
        list[HumanVerdict] | None,
        typer.Option(help="All conversations but those of which people say so; can be given several times."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="otlp: where to send spans to; default: 127.0.0.1:4318.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace an earlier export.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Export a run's accepted conversations; inspect and otlp: how all its draws came about.

    E-mail addresses and @handles in texts are masked. The folder appears whole or not at all.
    """
    from synth.corpora.export import Images, Options, RunFacts, Source, default_images, exporter, formats
    from synth.corpora.export import export as write
    from synth.traces.export import FORMATS

    known = sorted({*FORMATS, *formats()})
    if format not in known:
        raise SynthError(f"There is no export format {format!r}.", f"Formats: {', '.join(known)}.")
    if format not in FORMATS:
        exporter(format)
    folder = locate(run)
    if folder.running():
        raise SynthError(f"{folder.path} is being written.", f"Wait for it, or `synth run stop {run}` first.")
    wanted = _wanted(verdict or [], without or [])
    if format in FORMATS:
        if wanted is not None:
            raise SynthError(f"--verdict and --without are not for {format}.", "It exports all of a run's draws.")
        from synth.cli.trace import reading

        with reading(folder.path) as reader:
            if format == "otlp":
                _send(reader, endpoint, quiet=quiet, as_json=as_json)
            else:
                place = out or Path("exports") / f"{reader.name}-{format}"
                _write_log(
                    reader, place, pictures=images in (None, Pictures.files), replace=yes, quiet=quiet, as_json=as_json
                )
        return
    config = folder.config()
    facts = RunFacts(
        name=folder.path.resolve().name,
        config=config,
        rejected=dict(Counter(rejected.filter for rejected in folder.rejected()).most_common()),
        **_logged(folder),
    )
    catalogue = folder.catalogue()
    pictures = [catalogue.images, *_more_pictures(catalog, config["catalogue"])]
    source = Source(facts, catalogue, folder.conversations, folder.scenarios(), pictures, _judged(folder.path), wanted)
    place = out or Path("exports") / f"{facts.name}-{format}"
    shown = Images(images.value) if images else default_images(catalogue.info)
    report = write(source, format, place, Options(shown, forced), replace=yes)
    if as_json:
        print(json.dumps({"out": str(place), "rows": report.rows, **_rest(report)}))
    elif not quiet:
        _print(report, place, folder.path)
        if format == "lavic":
            print(f"Next: synth train warmup --data {place} --preset tiny --out model")


def _logged(folder: RunFolder) -> _Logged:
    """What the run's log knows of its making; nothing where the log is gone or empty."""
    from synth.corpora.export import Spent
    from synth.traces.cost import read_cost

    if not (folder.path / "run.db").is_file():
        return {}
    with closing(folder.store()) as store:
        cost = read_cost(store)
        prompts = dict(store.sums("group_concat(DISTINCT prompt)", "call"))
    if not cost.all.calls:
        return {}
    spent = Spent(cost.usd, cost.all.calls, cost.all.input_tokens, cost.all.output_tokens)
    return {"prompts": prompts, "spent": spent}


def _wanted(verdict: list[HumanVerdict], without: list[HumanVerdict]) -> frozenset[str] | None:
    """Verdicts that are let through; None where no option says anything."""
    if not verdict and not without:
        return None
    kept = {*(verdict or HumanVerdict)} - {*without}
    if not kept:
        raise SynthError("--verdict and --without together leave nothing.", "Leave out one of them.")
    return frozenset(kept)


def _judged(run: Path) -> dict[str, JudgedPart]:
    """What people said of the run's conversations, and wrote for them."""
    from synth.corpora.export import JudgedPart, ReplyPart, VerdictPart
    from synth.traces.judgements import HumanReply, consensus, latest, verdicts_of

    records = latest(run)
    words = verdicts_of(records)
    replies: defaultdict[str, list[ReplyPart]] = defaultdict(list)
    for record in records:
        if isinstance(record, HumanReply):
            reply = ReplyPart(turn=record.turn, act=record.act, annotator=record.annotator, text=record.text)
            replies[record.conversation].append(reply)
    return {
        conversation: JudgedPart(
            verdict=consensus(word.verdict for word in words.get(conversation, []) if word.verdict) or "unjudged",
            verdicts=[
                VerdictPart(annotator=word.annotator, verdict=word.verdict, note=word.note)
                for word in words.get(conversation, [])
            ],
            human_replies=replies[conversation],
        )
        for conversation in {**words, **replies}
    }


def _send(reader: RunReader, endpoint: str | None, *, quiet: bool, as_json: bool) -> None:
    from synth.traces.export.otlp import export as send

    sent = send(reader, endpoint)
    if as_json:
        print(json.dumps(asdict(sent)))
    elif not quiet:
        print(f"{sent.conversations} conversations sent to {sent.endpoint}: {sent.spans} spans, acknowledged")
    if sent.rejected:
        raise SynthError(f"{sent.endpoint} threw {sent.rejected} spans away: {sent.reason}.", "", Exit.CHECK_FAILED)


def _write_log(reader: RunReader, place: Path, *, pictures: bool, replace: bool, quiet: bool, as_json: bool) -> None:
    from synth.traces.export.inspect import export as write

    written = write(reader, place, pictures=pictures, replace=replace)
    if as_json:
        print(json.dumps({"path": str(written.path), "conversations": written.conversations}))
    elif not quiet:
        print(f"{written.conversations} conversations written to {written.path}")
        print(f"Look at them: inspect view --log-dir {written.path.parent}")


def _more_pictures(catalog: Path | None, fingerprint: str) -> list[Path]:
    """Picture folders of the catalogue the run was made from: the one named, or any of its fingerprint at hand.

    Raises:
        SynthError: the catalogue named is another one.
    """
    from synth.corpora.catalogue import Catalogue

    if catalog is not None:
        opened = Catalogue.open(catalog)
        if opened.info.fingerprint != fingerprint:
            raise SynthError(f"{catalog} is not the catalogue this run was made from.", "Leave out --catalog.")
        return [opened.images]
    return [
        path.parent / "images"
        for path in sorted(Path("catalogues").glob("*/catalogue.json"))
        if _fingerprint(path) == fingerprint
    ]


def _fingerprint(path: Path) -> str | None:
    try:
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return said.get("fingerprint") if isinstance(said, dict) else None


def _rest(report: Report) -> dict[str, object]:
    return {"left_out": report.left_out, "missing_pictures": report.missing_pictures}


def _print(report: Report, place: Path, run: Path) -> None:
    parts = ", ".join(f"{name} {rows}" for name, rows in report.rows.items())
    splits = f" ({parts})" if len(report.rows) > 1 else ""
    print(f"{sum(report.rows.values())} conversations of {run} written to {place}{splits}")
    for reason, count in report.left_out.items():
        hint = " (they were handed their target; --forced keeps them)" if reason == "forced" else ""
        print(f"  {count} left out: {reason}{hint}")
    if report.missing_pictures:
        print(f"  {report.missing_pictures} pictures are not at hand; --catalog DIR names the catalogue that has them")
    if (place / "README.md").is_file():
        print(f"Data card: {place / 'README.md'}")
