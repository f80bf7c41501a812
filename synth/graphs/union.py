"""Different runs as one data set: draws get new numbers, and what repeats an earlier run's is refused."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from synth import __version__
from synth.analysis.dedup import Deduplicator
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Conversation, Product, Rejected, Scenario, UserProfile
from synth.errors import SynthError
from synth.graphs.decisions import keep_pictures, put_right, refuse
from synth.graphs.gathered import Gathered
from synth.graphs.settings import Settings
from synth.traces.merge import Part, highest, unite
from synth.traces.run import RowWriter, RunFolder, row, write_atomically
from synth.traces.store import RunStore

_APART = 1_000_000
"""What the numbers of each run's draws start at, times its place; more where a run has more draws."""


class Union(NamedTuple):
    """What came of it."""

    accepted: int
    rejected: dict[str, int]
    pictures: int
    """Pictures that conversations show and no run has."""


class _Renumbered:
    """One run's records under their new ids.

    Args:
        offset: added to the draws' numbers.
        scenarios: new ids by old one.
    """

    def __init__(self, offset: int, scenarios: dict[str, str]) -> None:
        self.offset = offset
        self.scenarios = scenarios

    def id(self, draw: str) -> str:
        return f"{draw[0]}{int(draw[1:]) + self.offset:06d}"

    def profile(self, profile: UserProfile) -> UserProfile:
        scenario = self.scenarios.get(profile.scenario_id, profile.scenario_id)
        return profile.model_copy(update={"id": self.id(profile.id), "scenario_id": scenario})

    def conversation(self, conversation: Conversation) -> Conversation:
        profile = self.profile(conversation.profile)
        return conversation.model_copy(update={"id": self.id(conversation.id), "profile": profile})

    def rejected(self, rejected: Rejected) -> Rejected:
        return rejected.model_copy(
            update={
                "id": self.id(rejected.id),
                "profile": rejected.profile and self.profile(rejected.profile),
                "conversation": rejected.conversation and self.conversation(rejected.conversation),
            }
        )


class _Writer:
    """Writes one run after the other."""

    def __init__(self, run: RunFolder, catalogue: Catalogue, store: RunStore) -> None:
        self.accepted = self.repeated = 0
        self._run = run
        self._catalogue = catalogue
        self._store = store
        self._rows = {name: RowWriter(run.path / f"{name}.jsonl") for name in ("profiles", "conversations", "rejected")}
        self._kept = Deduplicator(1)
        self._owners: list[str] = []
        """Which run each kept backstory is of."""

    def close(self) -> None:
        for rows in self._rows.values():
            rows.close()

    def add(self, run: RunFolder, threshold: float, new: _Renumbered) -> None:
        """
        Args:
            threshold: BLEU-4 above which its backstories repeat one of an earlier run; among themselves none does.
        """
        self._kept.threshold = threshold
        repeats = {}
        for profile in run.profiles():
            made = new.profile(profile)
            if refused := self._repeats(made, run.path.resolve().name):
                repeats[_number(made.id)] = refused
                put_right(self._store, _number(made.id), row(made), refused)
            else:
                self._rows["profiles"].write(row(made))
        for conversation in map(new.conversation, run.conversations()):
            if _number(conversation.id) not in repeats:
                keep_pictures(self._run, self._catalogue, conversation)
                self._rows["conversations"].write(row(conversation))
                self.accepted += 1
        others = (refused for refused in map(new.rejected, run.rejected()) if _number(refused.id) not in repeats)
        for refused in heapq.merge(others, repeats.values(), key=lambda refused: _number(refused.id)):
            self._rows["rejected"].write(row(refused))
        self.repeated += len(repeats)

    def _repeats(self, profile: UserProfile, name: str) -> Rejected | None:
        duplicate = self._kept.offer(profile.backstory)
        if duplicate is None:
            self._owners.append(name)
            return None
        return refuse(profile, f"BLEU-4 {duplicate.bleu:.3f} with a backstory of {self._owners[duplicate.index]}")


def unite_runs(runs: Sequence[RunFolder], out: RunFolder) -> Union:
    """Writes runs, in their order, as one that can be read and not gone on with.

    Raises:
        SynthError: a product id means different products in two runs, or a run cannot be read.
    """
    for run in runs:
        run.store().close()
    catalogues = [run.catalogue() for run in runs]
    products = _products(runs, catalogues)
    stores = [run.path / "run.db" for run in runs]
    apart = _APART
    while apart <= max(map(highest, stores)):
        apart *= 10
    out.create(_config(runs))
    out.keep_catalogue(catalogues[0])
    if len(products) > len(catalogues[0]):
        info = catalogues[0].info.model_copy(update=_said(catalogues) | {"products": len(products)})
        Catalogue(catalogues[0].folder, info, products).rewritten(out.path / "catalogue", products)
    catalogue = Gathered(out.catalogue(), [run.path / "images" for run in runs])
    parts = [Part(path, n * apart) for n, path in enumerate(stores)]
    unite(out.path / "run.db", parts, resumable=False)
    scenarios, renamed = _scenarios(runs)
    write_atomically(out.path / "scenarios.jsonl", "".join(row(scenario) + "\n" for scenario in scenarios))
    with closing(out.store(readonly=False)) as store, closing(_Writer(out, catalogue, store)) as writer:
        for run, part, names in zip(runs, parts, renamed, strict=True):
            writer.add(run, float(run.config()["duplicate"]), _Renumbered(part.offset, names))
        store.set_meta("convs", writer.accepted)
        store.set_meta("finished", True)
    return Union(writer.accepted, {"duplicate": writer.repeated} if writer.repeated else {}, len(catalogue.missing))


def _products(runs: Sequence[RunFolder], catalogues: Sequence[Catalogue]) -> list[Product]:
    """All catalogues' products, each once."""
    known: dict[str, tuple[Product, Path]] = {}
    for run, catalogue in zip(runs, catalogues, strict=True):
        for product in catalogue:
            other, where = known.setdefault(product.id, (product, run.path))
            if other != product:
                raise SynthError(
                    f"Product {product.id!r} is not the same in {where} and {run.path}.",
                    "Runs can be merged if their catalogues agree on the products they have in common.",
                )
    return [product for product, _ in known.values()]


def _said(catalogues: Sequence[Catalogue]) -> dict[str, Any]:
    """What catalogues put together say about themselves."""
    said: dict[str, Any] = {}
    for name in ("name", "source", "language", "licence"):
        values = dict.fromkeys(value for c in catalogues if (value := getattr(c.info, name)) is not None)
        said[name] = ", ".join(values) or None
    if any(catalogue.info.licence is None for catalogue in catalogues):
        said["licence"] = None  # of a part nothing is known
    return said


def _scenarios(runs: Sequence[RunFolder]) -> tuple[list[Scenario], list[dict[str, str]]]:
    """All scenarios, each text once, numbered anew; and for each run the new ids by old one."""
    kept: dict[str, Scenario] = {}
    renamed: list[dict[str, str]] = []
    for run in runs:
        names: dict[str, str] = {}
        for scenario in run.scenarios():
            parents = tuple(names.get(parent, parent) for parent in scenario.parents)
            new = scenario.model_copy(update={"id": f"s{len(kept):05d}", "parents": parents})
            names[scenario.id] = kept.setdefault(scenario.text, new).id
        renamed.append(names)
    return list(kept.values()), renamed


def _config(runs: Sequence[RunFolder]) -> dict[str, Any]:
    """The first run's settings, and under `merged` what the runs were and where they differ."""
    configs = [run.config() for run in runs]
    names = [run.path.resolve().name for run in runs]
    settings = {name: configs[0][name] for name in Settings.model_fields if name in configs[0]}
    models = dict(settings["models"])
    merged: dict[str, Any] = {"of": names}
    for name, config in zip(names[1:], configs[1:], strict=True):
        # Whatever had a part in it is found among the models, e.g. by a data card.
        models |= {f"{role} ({name})": m for role, m in config["models"].items() if m != settings["models"].get(role)}
    for name in settings:
        values = [config.get(name, "") for config in configs]
        if name != "models" and any(value != values[0] for value in values):
            merged[name] = values
    known = {"synth": __version__, "catalogue_name": configs[0].get("catalogue_name", "")}
    return {**known, **settings, "models": models, "merged": merged}


def _number(draw: str) -> int:
    return int(draw[1:])
