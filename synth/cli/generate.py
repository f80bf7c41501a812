"""`synth generate`: the main job."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from synth.errors import Exit, SynthError


class Accept(StrEnum):
    fit = "fit"
    target = "target"


class Rerank(StrEnum):
    model = "model"
    none = "none"


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
    checker: Annotated[str | None, typer.Option(help="Model of the check and the reviewer; default: --llm.")] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            help="Model that writes a summary of every product first (MUSE A.1); default: composed from records."
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    in_flight: Annotated[int, typer.Option(help="Conversations at once.")] = 64,
    max_concurrency: Annotated[int, typer.Option(help="Model calls at once; 0 for no limit.")] = 0,
    encoder: Annotated[list[str] | None, typer.Option(help="Encoder of the index: bm25, minilm; may repeat.")] = None,
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
        captioner=captioner,
        base_url=base_url,
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
    )
    with Bar(quiet=quiet or as_json) as bar:
        try:
            summary = run(options, bar)
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
        "seconds": round(summary.seconds, 1),
    }
    if as_json:
        print(json.dumps(facts))
    elif not quiet:
        _print_summary(facts, offline=llm == "offline")


def _print_summary(facts: dict[str, object], *, offline: bool) -> None:
    def counts(value: object) -> str:
        assert isinstance(value, dict)
        return ", ".join(f"{n} {name}" for name, n in value.items()) or "none"

    print(f"\n{facts['accepted']} conversations in {facts['run']}")
    print(f"  drawn {facts['drawn']}, rejected {counts(facts['rejected'])}")
    print(f"  endings: {counts(facts['endings'])}; {facts['utterances']} utterances a conversation")
    print(f"  {facts['calls']} model calls in the log, {facts['seconds']} s")
    if offline:
        print("  made by the offline simulator: for tests, first looks, and data whose answer is known")
    print("Next:")
    print(f"  synth check {facts['run']}")
    print(f"  synth export {facts['run']} --format hf")
