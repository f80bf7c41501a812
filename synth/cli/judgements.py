"""`synth judgements`: what people said of a run, and variants of it made of what they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from synth.cli.plain import line
from synth.cli.run import locate
from synth.errors import SynthError

if TYPE_CHECKING:
    from rich.console import Console

    from synth.analysis.agreement import Interval
    from synth.analysis.judged import Agreement, ComparisonResult, Results, VerdictResult


class _Group(TyperGroup):
    """`synth judgements RUN` is short for `synth judgements results RUN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["results", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="What people said of a run (synth judgements RUN), and variants of it. They judge in `synth view`.",
)
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or the name of one below runs/.")]


@app.command("results")
def results(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every single judgement as a row of CSV.")] = False,
) -> None:
    """Verdicts, blind comparisons with confidence intervals and a sign test, agreement, replies."""
    from synth.analysis import judged
    from synth.traces.judgements import latest

    if as_json and as_csv:
        raise SynthError("--json and --csv cannot both be printed.", "Choose one.")
    folder = locate(run)
    records = latest(folder.path)
    if as_csv:
        print(judged.as_csv(records), end="")
        return
    found = judged.results(records)
    if as_json:
        print(found.model_dump_json(indent=2))
    elif not records:
        print(f"Nobody has judged {folder.path} yet. Open it with: synth view {run}")
    else:
        _print(found)


@app.command("variant")
def variant(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder of the new run.")],
    replies: Annotated[bool, typer.Option("--replies", help="Turns in people's words, where they wrote some.")] = False,
    captions: Annotated[bool, typer.Option("--captions", help="Descriptions in place of pictures.")] = False,
    annotator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this annotator's replies; else the last to each turn.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Write a copy of a run with turns replaced by people's replies, or pictures by captions."""
    from synth.analysis.variant import chosen_replies, make_variant

    if not replies and not captions:
        raise SynthError("What should be other in the variant?", "Give --replies, --captions, or both.")
    folder = locate(run)
    chosen = chosen_replies(folder.path, annotator) if replies else []
    made = make_variant(folder, out, replies=chosen, captions=captions)
    if as_json:
        print(made.model_dump_json())
        return
    print(f"{made.conversations} conversations written to {out}, {made.changed} of them changed")
    for count, what in ((made.replies, "in people's words"), (made.captions, "with captions for pictures")):
        if count:
            print(f"  {count} turn{'s' * (count != 1)} {what}")
    print(f"Compare them: synth view {folder.path} {out}")


def _print(found: Results) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    _print_verdicts(console, found.verdicts)
    for comparison in found.comparisons:
        _print_comparison(console, comparison)
    if found.replies.turns:
        acts = ", ".join(f"{count} {act.replace('_', '-')}" for act, count in found.replies.acts.items() if count)
        console.print(f"\nReplies to {found.replies.turns} turn{'s' * (found.replies.turns != 1)}: {acts}")
        console.print(f"  by {_named(found.replies.annotators)}")


def _print_verdicts(console: Console, found: VerdictResult) -> None:
    judged = sum(found.conversations.values())
    if judged or found.notes:
        console.print(f"Verdicts on {judged} conversations, {found.notes} notes")
    for opinion, share in found.shares.items():
        console.print(f"  {opinion:<7}{found.conversations[opinion]:>5}  {_interval(share)}")
    if judged:
        console.print(f"  by {_named({name: sum(words.values()) for name, words in found.annotators.items()})}")
    if found.agreement.items:
        console.print(f"  agreement: {_kappas(found.agreement)}")


def _print_comparison(console: Console, found: ComparisonResult) -> None:
    from rich.table import Table

    console.print(f"\nA: {line(found.a)}, B: {line(found.b)}; {found.pairs} pairs, {found.judgements} judgements")
    table = Table(box=None, pad_edge=False)
    for column in ("aspect", "A", "tie", "B", "A is better", "B is better", "p", "Fleiss"):
        table.add_column(column, justify="left" if column == "aspect" else "right")
    for aspect in found.aspects:
        counts = (str(aspect.pairs[choice]) for choice in ("a", "tie", "b"))
        intervals = (_interval(aspect.shares[choice]) if aspect.shares else "–" for choice in ("a", "b"))
        agreed = aspect.agreement
        kappa = f"{_kappa(agreed.fleiss)} (n={agreed.items})" if agreed.items else "–"
        table.add_row(aspect.aspect, *counts, *intervals, f"{aspect.p:.3g}", kappa)
    console.print(table)
    for names in dict.fromkeys((k.one, k.other) for aspect in found.aspects for k in aspect.agreement.cohen):
        kappas = [
            f"{aspect.aspect} {_kappa(k.kappa)} (n={k.items})"
            for aspect in found.aspects
            for k in aspect.agreement.cohen
            if (k.one, k.other) == names
        ]
        console.print(f"  Cohen, {' and '.join(names)}: {', '.join(kappas)}")
    console.print(f"  by {_named(found.annotators)}; {found.seconds:.0f} s a pair")
    if found.left:
        console.print(f"  the left one was chosen {_interval(found.left)}")


def _interval(found: Interval) -> str:
    return f"{100 * found.share:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _kappas(found: Agreement) -> str:
    single = "; ".join(f"{k.one} and {k.other} {_kappa(k.kappa)} (n={k.items})" for k in found.cohen)
    return f"Fleiss {_kappa(found.fleiss)} (n={found.items}); Cohen {single}"


def _kappa(kappa: float | None) -> str:
    return "undefined" if kappa is None else f"{kappa:.2f}"


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
