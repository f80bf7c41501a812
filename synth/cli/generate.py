"""`synth generate`: the main job."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.graphs.estimate import Estimate
    from synth.graphs.options import Options


class Accept(StrEnum):
    fit = "fit"
    target = "target"


class Rerank(StrEnum):
    model = "model"
    none = "none"


class Images(StrEnum):
    full = "full"
    low = "low"
    described = "described"


class Comparisons(StrEnum):
    inline = "inline"
    shared = "shared"


class Mode(StrEnum):
    online = "online"
    batch = "batch"
    auto = "auto"


def generate(
    scenarios: Annotated[int, typer.Option(help="Scenarios in the pool.")] = 600,
    convs: Annotated[int, typer.Option(help="Accepted conversations wanted; more extends a finished run.")] = 7000,
    catalog: Annotated[Path | None, typer.Option(help="Imported catalogue; default: the drawn sample.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default: one below runs/, found again by settings.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same data.")] = 0,
    llm: Annotated[str, typer.Option(help="offline, openai:MODEL or anthropic:MODEL.")] = "offline",
    rewriter: Annotated[str | None, typer.Option(help="Model of the rewriter; default: --llm.")] = None,
    checker: Annotated[str | None, typer.Option(help="Model of the fact check; default: --llm.")] = None,
    judge: Annotated[str | None, typer.Option(help="Model of the reviewer, who scores; default: --llm.")] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            help="Model that writes a summary of every product first (MUSE A.1) or, with --images described, "
            "describes the pictures. Default: summaries are composed from records; --llm describes."
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        # Its default, from synth.toml, may hold a password.
        typer.Option(help="Address of an OpenAI-compatible server; it needs no key.", show_default=False),
    ] = None,
    temperature: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=T",
            help="Another temperature than the paper's (simulator 0.1-0.2, rewriter 1, checker, judge 0); may repeat.",
        ),
    ] = None,
    thinking_tokens: Annotated[int, typer.Option(help="What a reasoning model may think before each answer.")] = 0,
    images: Annotated[
        Images,
        typer.Option(
            help="full: as they are; low: small, and only in calls that must look; described: each described once."
        ),
    ] = Images.low,
    comparisons: Annotated[
        Comparisons,
        typer.Option(
            help="inline: a rejection compares for itself; shared: a pair of products is compared once for all "
            "conversations, for small catalogues."
        ),
    ] = Comparisons.inline,
    mode: Annotated[
        Mode,
        typer.Option(help="batch: all calls in the provider's batches, at half price; auto: the last few one by one."),
    ] = Mode.online,
    max_usd: Annotated[float | None, typer.Option(help="Money cap over all starts of the run, in USD.")] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=IN/OUT", help="Price of a model in USD per million tokens (or IN/CACHED/OUT); may repeat."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens, money and hours expected, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")] = False,
    in_flight: Annotated[int, typer.Option(help="Conversations at once.")] = 64,
    max_concurrency: Annotated[
        int, typer.Option(help="Calls at once to one model at most; 0: found by itself from errors and latency.")
    ] = 0,
    rpm: Annotated[int, typer.Option(help="Calls a minute to one model at most; 0 for no limit.")] = 0,
    tpm: Annotated[int, typer.Option(help="Tokens a minute to one model at most; 0 for no limit.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds for one call.")] = 120.0,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=MODEL]",
            help="Encoder of the index: bm25, minilm, bge, bge-hybrid, clip; auto: the best that is here; may repeat.",
        ),
    ] = None,
    retrieve: Annotated[int, typer.Option(help="Products retrieved for each recommendation.")] = 10,
    rerank: Annotated[
        Rerank, typer.Option(help="Who picks among them: the model, or the index's order.")
    ] = Rerank.model,
    accept: Annotated[
        Accept,
        typer.Option(help="fit: another product that meets what was asked for may end it; target: only the target."),
    ] = Accept.fit,
    colloquial: Annotated[float, typer.Option(help="Chance of a colloquial rewrite of a user turn.")] = 0.5,
    threshold: Annotated[
        float, typer.Option(help="Smallest accepted total of the reviewer's scores (0 to 30).")
    ] = 24.0,
    duplicate: Annotated[float, typer.Option(help="BLEU-4 above which a scenario or backstory is a repeat.")] = 0.6,
    per_product: Annotated[int, typer.Option(help="Conversations per product at most, on average.")] = 25,
    prompts: Annotated[Path | None, typer.Option(help="Folder with prompt files that replace the package's.")] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Make part I of N only; `synth run merge` makes one run of the parts.")
    ] = "1/1",
    scenarios_from: Annotated[
        Path | None,
        typer.Option(help="Take the scenarios (and captions) of this run of the same settings; for shards of one run."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew, even if there is a run with these settings.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Generate conversations: scenarios, profiles, conversations, rewriting and review.

    The same command resumes a run that was stopped, and a larger --convs extends one that is finished.
    """
    from synth.cli.progress import Bar
    from synth.graphs.generation import generate as run
    from synth.graphs.options import Options
    from synth.graphs.shard import Shard

    options = Options(
        catalog=catalog,
        scenarios=scenarios,
        convs=convs,
        out=out,
        seed=seed,
        in_flight=in_flight,
        max_concurrency=max_concurrency,
        llm=llm,
        rewriter=rewriter,
        checker=checker,
        judge=judge,
        captioner=captioner,
        base_url=base_url,
        temperatures=tuple(temperature or ()),
        thinking=thinking_tokens,
        images=images.value,
        comparisons=comparisons.value,
        mode=mode.value,
        max_usd=max_usd,
        prices=tuple(price or ()),
        rpm=rpm,
        tpm=tpm,
        timeout=timeout,
        encoders=tuple(encoder or ["bm25"]),
        k=retrieve,
        rerank=rerank.value,
        accept=accept.value,
        colloquial=colloquial,
        threshold=threshold,
        duplicate=duplicate,
        per_product=per_product,
        prompts=prompts,
        fresh=fresh,
        shard=Shard.parse(shard),
        scenarios_from=scenarios_from,
    )
    if dry_run:
        _dry_run(options, quiet=quiet, as_json=as_json)
        return
    # Asked only where somebody is there to answer.
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not (yes or quiet or as_json)
    with Bar(quiet=quiet or as_json) as bar:

        def confirm(expected: Estimate) -> bool:
            with bar.paused():
                print_estimate(expected, stderr=True)  # beside the question: what goes to stdout may not be seen
                try:
                    return typer.confirm("Go on?", default=True, err=True)
                except typer.Abort:  # Ctrl-C, or the end of the input
                    return False

        try:
            summary = run(options, bar, confirm if asks else None)
        except KeyboardInterrupt:
            raise SynthError(
                "Stopped. What is done is kept.", "Run the same command to go on (without --fresh).", Exit.INTERRUPTED
            ) from None
    totals = summary.totals
    facts = {
        "run": str(summary.run),
        "resumed": summary.resumed,
        "accepted": totals.accepted,
        "drawn": totals.drawn,
        "rejected": dict(totals.rejected.most_common()),
        "endings": dict(totals.endings.most_common()),
        "utterances": round(totals.turns / max(totals.accepted, 1), 2),
        "calls": sum(summary.calls.values()),
        "usd": round(summary.usd, 6),
        "seconds": round(summary.seconds, 1),
        "report": str(summary.report) if summary.report else None,
    }
    if as_json:
        print(json.dumps(facts))
    elif not quiet:
        _print_summary(facts, offline=llm == "offline", whole=options.shard.whole)


def _dry_run(options: Options, *, quiet: bool, as_json: bool) -> None:
    from synth.cli.progress import Bar
    from synth.graphs.estimate import estimate
    from synth.graphs.options import check_options

    check_options(options)
    with Bar(quiet=quiet or as_json) as bar:
        expected = estimate(options, bar)
    if as_json:
        facts = asdict(expected)
        for name in ("calls", "input_tokens", "image_tokens", "output_tokens", "usd"):
            facts[name] = getattr(expected, name)
        print(json.dumps(facts))
    else:
        print_estimate(expected)


def print_estimate(expected: Estimate, *, stderr: bool = False) -> None:
    """Shows what a run is expected to come to."""
    from rich.console import Console
    from rich.table import Table

    from synth.cli.run import counted

    table = Table(box=None, pad_edge=False)
    table.add_column("call", no_wrap=True)
    for column in ("calls", "input", "of it images", "output", "USD"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in sorted(expected.lines, key=lambda line: -line.usd or -line.calls):
        counts = (line.calls, line.input_tokens, line.image_tokens, line.output_tokens)
        table.add_row(line.call, *map(counted, counts), f"{line.usd:,.4f}")
    counts = (expected.calls, expected.input_tokens, expected.image_tokens, expected.output_tokens)
    table.add_row("all", *map(counted, counts), f"{expected.usd:,.4f}", style="bold")
    console = Console(highlight=False, markup=False, stderr=stderr, soft_wrap=True)
    console.print(f"Expected for {expected.convs} conversations, from {expected.sample} played offline:")
    console.print(table, soft_wrap=False)
    for model in sorted({line.model for line in expected.lines}):
        lines = [line for line in expected.lines if line.model == model]
        calls, usd = sum(line.calls for line in lines), sum(line.usd for line in lines)
        price = "unknown price, counted as nothing (see --price)" if model in expected.unpriced else f"{usd:,.4f} USD"
        console.print(f"{model}: {counted(calls)} calls, {price}")
    how = "in batches" if expected.batch else "one by one"
    price = "of unknown price" if expected.unpriced and not expected.usd else f"about {expected.usd:,.2f} USD"
    console.print(f"{counted(expected.calls)} calls, {price} {how}.")
    if expected.usd:
        console.print(f"The first conversation, with what comes before it: {expected.usd_first:,.4f} USD.")
    console.print(
        f"Online about {_hours(expected.hours_online)}; in batches {expected.waves} waves a generation, about "
        f"{_hours(expected.hours_batch)} at 20 minutes a batch."
    )


def _hours(hours: float) -> str:
    return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h" if hours >= 1 else f"{math.ceil(hours * 60)} min"


def _print_summary(facts: dict[str, object], *, offline: bool, whole: bool) -> None:
    def counts(value: object) -> str:
        assert isinstance(value, dict)
        return ", ".join(f"{n} {name}" for name, n in value.items()) or "none"

    print(f"\n{facts['accepted']} conversations in {facts['run']}")
    print(f"  drawn {facts['drawn']}, rejected {counts(facts['rejected'])}")
    print(f"  endings: {counts(facts['endings'])}; {facts['utterances']} utterances a conversation")
    money = f", {facts['usd']:.4f} USD" if facts["usd"] else ""
    print(f"  {facts['calls']} model calls in the log, {facts['seconds']} s{money}")
    if offline:
        print("  made by the offline simulator: for tests, first looks, and data whose answer is known")
    if facts["report"]:
        print(f"  report: {facts['report']}")
    elif whole:
        print("  no report was written: the reason is in run.log; `synth report` tries again")
    print("Next:")
    if not whole:
        print("  synth run merge SHARD… --out RUN, once all shards are there")
    print(f"  synth check {facts['run']}")
    print(f"  synth export {facts['run']} --format hf")
    if facts["usd"]:
        print(f"  synth run cost {facts['run']}")
