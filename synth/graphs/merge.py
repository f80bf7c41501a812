"""Merges runs: the shards of one run into that run, or different runs into one data set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from synth.corpora.records import Conversation, Rejected
from synth.errors import SynthError
from synth.graphs.decisions import Decisions, put_right, read_outcome, read_profile, refuse
from synth.graphs.gathered import Gathered
from synth.graphs.settings import Settings, comparable
from synth.graphs.shard import Shard
from synth.graphs.union import unite_runs
from synth.traces.cost import read_cost
from synth.traces.merge import Part, unite
from synth.traces.run import RunFolder
from synth.traces.store import RunStore

_ALIKE = "Start all shards but the first with --scenarios-from the first one."


class Merged(NamedTuple):
    """What came of a merge."""

    run: Path
    shards: bool
    """Whether it is one run again, which can be gone on with."""
    convs: int
    """Conversations wanted; of different runs: all there are."""
    accepted: int
    rejected: dict[str, int]
    """By filter; of different runs: only `duplicate`s of one another."""
    missing: tuple[str, ...]
    """Shards that were not given."""
    pictures: int
    """Pictures that conversations show and no part has."""
    usd: float
    """What all parts cost."""


class _Piece(NamedTuple):
    run: RunFolder
    config: dict[str, Any]
    shard: Shard

    @property
    def name(self) -> str:
        return str(self.run.path)


def merge(runs: Sequence[Path], out: Path) -> Merged:
    """Writes a new run from others, whole or not at all; they stay as they are.

    Shards become the run they are parts of: duplicates and acceptance are decided anew, by number, up to the first
    draw that no shard has made. The command that made them, with `--out` and without `--shard`, draws what is missing
    and pays nothing again.

    Different runs become one data set: draws get new numbers, and a backstory that repeats one of an earlier run, by
    the threshold of its own, is refused. It cannot be gone on with.

    Raises:
        SynthError: the runs do not go together, one is being written, or `out` exists.
    """
    pieces = [_piece(path) for path in runs]
    for n, piece in enumerate(pieces):
        if any(piece.run.path.resolve() == other.run.path.resolve() for other in pieces[:n]):
            raise SynthError(f"{piece.name} is named twice.")
    if out.exists():
        raise SynthError(f"{out} exists already.", "Choose another --out.")
    parts = [piece for piece in pieces if not piece.shard.whole]
    if len(pieces) == 1 and not parts:
        raise SynthError("There is nothing to merge with one run.", "Name two runs or more, or the shards of one.")
    if parts and len(parts) < len(pieces):
        whole = next(piece for piece in pieces if piece.shard.whole)
        raise SynthError(
            f"{parts[0].name} is shard {parts[0].shard} of a run, and {whole.name} is a whole run.",
            "Merge the shards first.",
        )
    with _new_folder(out) as run:
        if parts:
            return _merge_shards(sorted(parts, key=lambda part: part.shard), run)._replace(run=out)
        union = unite_runs([piece.run for piece in pieces], run)
        usd = _usd(run)
        return Merged(out, False, union.accepted, union.accepted, union.rejected, (), union.pictures, usd)


def _piece(path: Path) -> _Piece:
    run = RunFolder.open(path)
    config = run.config()
    if run.running():
        raise SynthError(f"{path} is being written.", f"Wait for it, or `synth run stop {path}` first.")
    return _Piece(run, config, Shard.parse(str(config.get("shard", "1/1"))))


@contextmanager
def _new_folder(out: Path) -> Iterator[RunFolder]:
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield RunFolder(partial)
        os.replace(partial, out)
    except OSError as error:
        raise SynthError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _merge_shards(shards: list[_Piece], run: RunFolder) -> Merged:
    first = shards[0]
    for shard in shards[1:]:
        _check_pair(first, shard)
    for one, other in zip(shards, shards[1:], strict=False):
        if one.shard == other.shard:
            raise SynthError(f"{one.name} and {other.name} are both shard {one.shard}.", "Leave one of them out.")
    begun = [shard for shard in shards if (shard.run.path / "scenarios.jsonl").is_file()]
    if not begun:
        raise SynthError("No shard has its scenarios yet.", "Repeat the commands that started them.")
    for shard in begun[1:]:
        _check_alike(begun[0], shard)
    settings = Settings.model_validate(comparable(first.config))
    own = {name: value for name, value in first.config.items() if name not in ("format", "shard")}
    run.create({**own, "shards": [str(shard.shard) for shard in shards]})
    shutil.copyfile(begun[0].run.path / "scenarios.jsonl", run.path / "scenarios.jsonl")
    run.keep_catalogue(begun[0].run.catalogue())
    catalogue = Gathered(run.catalogue(), [shard.run.path / "images" for shard in shards])
    convs = max(_wanted(shard) for shard in shards)
    unite(run.path / "run.db", [Part(shard.run.path / "run.db") for shard in shards], resumable=True)
    with closing(run.store(readonly=False)) as store:
        store.set_meta("scenarios", settings.scenarios)
        store.set_meta("convs", convs)
        with closing(Decisions(run, catalogue, settings.duplicate, convs)) as decisions:
            _decide(store, decisions)
        store.set_meta("finished", decisions.enough)
    given = {shard.shard for shard in shards}
    every = (Shard(n, first.shard.of) for n in range(1, first.shard.of + 1))
    return Merged(
        run=run.path,
        shards=True,
        convs=convs,
        accepted=decisions.totals.accepted,
        rejected=dict(decisions.totals.rejected.most_common()),
        missing=tuple(str(shard) for shard in every if shard not in given),
        pictures=len(catalogue.missing),
        usd=_usd(run),
    )


def _check_pair(first: _Piece, other: _Piece) -> None:
    """
    Raises:
        SynthError: they are not parts of one run.
    """
    own, others = comparable(first.config), comparable(other.config)
    differing = sorted(name for name in own.keys() | others.keys() if own.get(name) != others.get(name))
    if differing:
        raise SynthError(
            f"{first.name} and {other.name} are shards of different runs ({', '.join(differing)}).",
            "Shards of one run have the same settings and catalogue.",
        )
    if first.shard.of != other.shard.of:
        raise SynthError(
            f"{first.name} is shard {first.shard}, {other.name} is shard {other.shard}.",
            "Shards of one run are of the same number.",
        )


def _check_alike(first: _Piece, other: _Piece) -> None:
    """
    Raises:
        SynthError: what a live model made beforehand is not the same in both.
    """
    for what, name in (("scenarios", "scenarios.jsonl"), ("summaries of products", "catalogue/products.jsonl")):
        if (first.run.path / name).read_bytes() != (other.run.path / name).read_bytes():
            raise SynthError(f"{first.name} and {other.name} have different {what}.", _ALIKE)


def _wanted(shard: _Piece) -> int:
    with closing(shard.run.store()) as store:
        return int(store.meta("convs_of_all") or 0)


def _decide(store: RunStore, decisions: Decisions) -> None:
    """Decides by number, as a run made in one piece would, up to the first draw that is missing."""
    profiles, conversations = store.results("profile"), store.results("conversation")
    for number in count():
        if decisions.enough or number not in profiles:
            return
        body = profiles.pop(number)
        made = read_profile(body)
        outcome: Conversation | Rejected
        if isinstance(made, Rejected):
            outcome = made
        else:
            duplicate = decisions.profile(made)
            put_right(store, number, body, made if duplicate is None else refuse(made, duplicate))
            if duplicate is not None:
                outcome = refuse(made, duplicate)
            elif number in conversations:
                outcome = read_outcome(conversations.pop(number))
            else:
                return
        decisions.outcome(outcome)


def _usd(run: RunFolder) -> float:
    with closing(run.store()) as store:
        return read_cost(store).usd
