"""`synth judge`: a model scores conversations by the paper's aspects, and compares two data sets blindly."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.generate import Images, Mode
from synth.cli.plain import line
from synth.cli.survey import confirmer, open_data, print_expected
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from rich.console import Console

    from synth.analysis.agreement import Interval
    from synth.analysis.evaluation import Evaluation
    from synth.analysis.preferences import Comparison
    from synth.analysis.reliability import Estimate
    from synth.graphs.judging import Judged


class Only(StrEnum):
    scores = "scores"
    pairs = "pairs"


def judge(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Run folder or name, or a file or folder of another data set.")
    ],
    data2: Annotated[
        Path | None, typer.Argument(metavar="DATA2", help="Another one, to be compared with the first pair by pair.")
    ] = None,
    llm: Annotated[str, typer.Option(help="The judge: offline (rules), openai:MODEL or anthropic:MODEL.")] = "offline",
    sample: Annotated[int, typer.Option(help="Conversations of each data set, and pairs, that are drawn.")] = 200,
    rounds: Annotated[int, typer.Option(help="Independent scorings of each conversation, averaged.")] = 3,
    only: Annotated[
        Only | None, typer.Option(help="scores: the aspects only; pairs: A/B only; default: both, of two data sets.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="run, muse, redial, messages or sharegpt; default: what the data look like.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the log and results; default: judge/ in the run, or judge/NAME of other data."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sample, the pairs and the bootstrap.")] = 0,
    base_url: Annotated[
        str | None,
        # Its default, from synth.toml, may hold a password.
        typer.Option(help="Address of an OpenAI-compatible server; it needs no key.", show_default=False),
    ] = None,
    temperature: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=T", help="judge=T: another one than 1 for scores and 0 for pairs; may repeat."),
    ] = None,
    thinking_tokens: Annotated[int, typer.Option(help="What a reasoning model may think before each answer.")] = 0,
    images: Annotated[
        Images, typer.Option(help="full: as they are; low: small, four to a picture; described: each described once.")
    ] = Images.low,
    captioner: Annotated[str | None, typer.Option(help="Who describes pictures; default: --llm.")] = None,
    mode: Annotated[
        Mode, typer.Option(help="batch: all calls in the provider's batches, at half price; auto: the last few not.")
    ] = Mode.online,
    max_usd: Annotated[
        float | None, typer.Option(help="Money cap in USD over all that was ever judged in the folder.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=IN/OUT", help="Price of a model in USD per million tokens; may repeat."),
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="Folder with prompt files that replace the package's.")] = None,
    in_flight: Annotated[int, typer.Option(help="Questions at once.")] = 64,
    max_concurrency: Annotated[int, typer.Option(help="Calls at once to one model at most; 0: found by itself.")] = 0,
    rpm: Annotated[int, typer.Option(help="Calls a minute to one model at most; 0 for no limit.")] = 0,
    tpm: Annotated[int, typer.Option(help="Tokens a minute to one model at most; 0 for no limit.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds for one call.")] = 120.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens and money expected, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Score conversations by five aspects in several rounds (MUSE, Table 3), and compare two data sets blindly.

    What is answered is never paid again: the same command goes on, and a larger --sample or --rounds adds to it.
    Definitions are in docs/judge.md.
    """
    from synth.cli.progress import Bar
    from synth.graphs.judging import Judging, Plan
    from synth.graphs.options import Options

    options = Options(
        out=out,
        seed=seed,
        llm=llm,
        base_url=base_url,
        temperatures=tuple(temperature or ()),
        thinking=thinking_tokens,
        images=images.value,
        captioner=captioner,
        mode=mode.value,
        max_usd=max_usd,
        prices=tuple(price or ()),
        prompts=prompts,
        in_flight=in_flight,
        max_concurrency=max_concurrency,
        rpm=rpm,
        tpm=tpm,
        timeout=timeout,
    )
    plan = Plan(sample, rounds, only.value if only else None)
    judging = Judging([open_data(path, format) for path in (data, data2) if path], plan, options)
    with Bar(quiet=quiet or as_json) as bar:
        if dry_run:
            expected = judging.expect(bar)
        else:
            try:
                judged = judging.run(bar, confirmer(bar, ask=not (yes or quiet or as_json), quiet=quiet or as_json))
            except KeyboardInterrupt:
                raise SynthError(
                    "Stopped. What is answered is kept.", "Run the same command to go on.", Exit.INTERRUPTED
                ) from None
    if dry_run:
        print_expected(expected, as_json=as_json)
    elif as_json:
        facts = {**judged.evaluation.model_dump(mode="json"), "usd": round(judged.usd, 6), "calls": judged.calls}
        print(json.dumps({**facts, "file": str(judged.file)}, ensure_ascii=False))
    elif not quiet:
        _print(judged)


# ---- results


def _print(judged: Judged) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    found = judged.evaluation
    console.print(f"\nJudge: {line(found.model)}, {found.rounds} round{'s' * (found.rounds != 1)}, seed {found.seed}")
    if found.scores:
        _print_scores(console, found)
    if found.comparison:
        _print_comparison(console, found.comparison)
    for note in found.notes:
        console.print(line(note), style="dim", soft_wrap=True)
    money = f", {judged.usd:.4f} USD" if judged.usd else ""
    console.print(
        f"{judged.calls} calls in the log of {judged.folder}{money}; results in {judged.file}", soft_wrap=True
    )


def _print_scores(console: Console, found: Evaluation) -> None:
    from rich.table import Table

    for scores in found.scores:
        console.print(f"\n{line(scores.data)}: {scores.conversations} of {scores.of} conversations")
        table = Table(box=None, pad_edge=False)
        for column in ("aspect", "score (0-2)", "95 %", "convs", "alpha", "|difference|"):
            table.add_column(column, justify="left" if column == "aspect" else "right")
        for aspect in scores.aspects:
            if aspect.score:
                table.add_row(
                    aspect.aspect,
                    f"{aspect.score.mean:.3f}",
                    _bounds(aspect.score),
                    str(aspect.conversations),
                    _number(aspect.alpha),
                    _number(aspect.difference),
                )
        console.print(table)
    if found.gaps:
        console.print(f"\n{line(found.data[0])} less {line(found.data[1])}:")
        for gap in found.gaps:
            console.print(f"  {gap.aspect:<16}{gap.difference.mean:+.3f}  {_bounds(gap.difference)}")
    if found.rounds > 1:
        what = "alpha: Krippendorff's, interval data, between rounds; |difference|: mean absolute, of two rounds"
        console.print(what, soft_wrap=True)


def _print_comparison(console: Console, found: Comparison) -> None:
    from rich.table import Table

    console.print(f"\nA: {line(found.a)}, B: {line(found.b)}; {found.pairs} pairs, each asked in both orders")
    table = Table(box=None, pad_edge=False)
    for column in ("question", "A", "tie", "B", "A wins", "B wins", "p", "flipped"):
        table.add_column(column, justify="left" if column == "question" else "right")
    for row in found.questions:
        counts = (str(row.pairs[choice]) for choice in ("a", "tie", "b"))
        shares = (_interval(row.shares.get(choice)) for choice in ("a", "b"))
        table.add_row(row.question, *counts, *shares, f"{row.p:.3g}", str(row.flipped))
    console.print(table)
    console.print("  in common: " + "; ".join(f"{what} {count}" for what, count in found.common.items()))
    if found.first:
        console.print(f"  the first was chosen {_interval(found.first)}: far from 50 %, places are judged")


def _bounds(found: Estimate) -> str:
    return f"[{found.low:.3f}, {found.high:.3f}]"


def _interval(found: Interval | None) -> str:
    return f"{100 * found.share:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]" if found else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
