"""What `--methods` of `synth eval muse` names: found out for all of them before any is asked, or paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synth.cli.writers import WriterOptions, is_gateway, open_writer
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.recommender.asking import Writer
    from synth.recommender.muse.data import Moment, MuseData
    from synth.recommender.muse.prompts import Task


@dataclass(frozen=True)
class System:
    """One system, not yet loaded."""

    given: str
    """As in `--methods`."""
    name: str
    """As tables show it."""
    kind: Literal["rule", "retriever", "gateway", "local", "tuned"]
    tasks: tuple[Task, ...]
    """That it is asked."""
    writer: Writer | None = None
    """Of the gateway."""


def resolve(
    names: Sequence[str],
    tasks: tuple[Task, ...],
    data: MuseData,
    asked: Mapping[str, Sequence[Moment]],
    options: WriterOptions,
    bar: Bar,
    *,
    quiet: bool = False,
) -> list[System]:
    """The systems of these names.

    Args:
        asked: by task; what no system may have learnt from.

    Raises:
        SynthError: there is none of a name, it is for the other task or has learnt what it would be asked, or two would
            have one name.
    """
    systems: dict[str, System] = {}
    for given in names:
        system = _system(given, tasks, options, bar, quiet)
        if system.name in systems:
            first = systems[system.name].given
            raise SynthError(
                f"Two systems are named {system.name}: {first} and {given}.",
                "Leave one of them out, or give their folders different names.",
            )
        systems[system.name] = system
        _check_learnt(system, data, asked)
    return list(systems.values())


def name_of(systems: Sequence[System], against: str | None) -> str | None:
    """The system that `--against` means, by either of its names.

    Raises:
        SynthError: it is none of them.
    """
    if against is None:
        return None
    for system in systems:
        if against.strip() in (system.name, system.given):
            return system.name
    there = ", ".join(system.given for system in systems)
    raise SynthError(f"There is no system {against!r} to compare with.", f"There are: {there}.")


def _system(given: str, tasks: tuple[Task, ...], options: WriterOptions, bar: Bar, quiet: bool) -> System:
    from synth.recommender.base import is_hub_name, shown_name
    from synth.recommender.muse.querying import RETRIEVERS, RULES

    retriever = given.partition("=")[0] in RETRIEVERS
    if retriever or given in RULES:
        if "recommend" not in tasks:
            raise SynthError(f"{given} writes no response.", "Name models with --methods for --task respond.")
        return System(given, given, "retriever" if retriever else "rule", ("recommend",))
    if is_gateway(given):
        writer = open_writer(replace(options, model=given), bar, quiet=quiet)
        return System(given, writer.name, "gateway", tasks, writer)
    if any((Path(given) / place / "synth.json").is_file() for place in (".", "best")):
        return System(given, shown_name(given), "tuned", (_own_task(given, tasks),))
    if not Path(given).is_dir() and not is_hub_name(given):
        raise SynthError(
            f"There is no folder {given}.",
            "Name a baseline, a model's folder, a hub's name such as owner/name, or openai:MODEL.",
        )
    return System(given, shown_name(given), "local", tasks)


def _own_task(given: str, tasks: tuple[Task, ...]) -> Task:
    from synth.recommender.extras import require_train

    require_train()
    from synth.recommender.muse.tuned import read_tuned

    own = read_tuned(Path(given))[0].task
    if own not in tasks:
        raise SynthError(f"{given} was tuned for --task {own}.", f"Evaluate it with --task {own}.")
    return own


def _check_learnt(system: System, data: MuseData, asked: Mapping[str, Sequence[Moment]]) -> None:
    from synth.recommender.muse.learnt import Learnt

    learnt = None
    if system.kind == "tuned":
        from synth.recommender.muse.tuned import learnt_of

        learnt = learnt_of(Path(system.given))
    elif system.kind == "local":
        learnt = Learnt.read(Path(system.given))
    if learnt:
        learnt.check(system.name, data, {moment.conversation for task in system.tasks for moment in asked[task]})
