"""`synth run merge`: the shards of a run become that run, or different runs one data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from synth.cli.run import Json, locate


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or names of runs below runs/.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    as_json: Json = False,
) -> None:
    """Merge the shards of a run into that run, or different runs into one data set. They stay as they are.

    Of shards, the command that made them, with the new --out and without --shard, draws what is missing. Of different
    runs, draws get new numbers, and backstories that repeat an earlier run's are refused.
    """
    from synth.graphs.merge import merge as merged

    made = merged([locate(run).path for run in runs], out)
    if as_json:
        print(json.dumps({**made._asdict(), "run": str(made.run)}))
        return
    counts = ", ".join(f"{n} {name}" for name, n in made.rejected.items()) or "none"
    if not made.shards:
        print(f"{made.accepted} conversations of {len(runs)} runs in {made.run}")
        print(f"  left out because a backstory repeats an earlier run's: {made.rejected.get('duplicate', 0)}")
    else:
        print(f"{made.accepted} of {made.convs} conversations in {made.run}")
        print(f"  rejected {counts}")
    if made.missing:
        print(f"  missing: shard {', '.join(made.missing)}")
    if made.pictures:
        print(f"  {made.pictures} pictures are in none of the runs")
    if made.usd:
        print(f"  {made.usd:.4f} USD")
    if made.shards and (made.accepted < made.convs or made.pictures):
        print("Next: the command that made the shards, without --shard and --scenarios-from, completes it:")
        print(f"  synth generate ... --convs {made.convs} --out {made.run}")
    else:
        print("Next:")
        print(f"  synth check {made.run}")
        print(f"  synth report {made.run}")
