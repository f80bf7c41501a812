"""`synth train muse`: LoRA on a run's queries, or on what its assistant says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.muse import Catalog, Convs, Encoders, Run, Shown, Split, Test
from synth.cli.train_data import Device, Precision, Quantise, Quiet, one_of
from synth.cli.train_options import (
    Accumulate,
    Alpha,
    Batch,
    Checkpointing,
    Clip,
    Decay,
    Deterministic,
    Dropout,
    Epochs,
    Minutes,
    Out,
    Rank,
    Rate,
    Schedule,
    Trackers,
    WarmUp,
    Workers,
)  # fmt: skip
from synth.cli.train_run import check_options, is_first, load_model, print_speed, trackers_of, train_settings
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.recommender.muse.data import Moment, MuseData
    from synth.recommender.muse.tuning import Judge

_METRICS = ("mrr@10", "recall@10", "loss")


def muse(
    run: Run,
    out: Out,
    task: Annotated[str, typer.Option(help="recommend (learn the run's queries) or respond (its words).")],
    model: Annotated[
        str | None,
        typer.Option(help="A LLaVA-NeXT checkpoint's folder, or a hub's name.", show_default="--preset is needed"),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="tiny: makes a model for a CPU from the catalogue and what is not tested on.")
    ] = None,
    convs: Convs = 200,
    test: Test = None,
    encoder: Encoders = None,
    catalog: Catalog = None,
    pictures: Shown = 3,
    max_length: Annotated[int, typer.Option(min=64, help="Tokens; the conversation is cut to fit.")] = 2048,
    metric: Annotated[
        str | None,
        typer.Option(help="Picks the best epoch: mrr@10, recall@10 or loss.", show_default="mrr@10; respond: loss"),
    ] = None,
    epochs: Epochs = 3,
    batch: Batch = 4,
    accumulate: Accumulate = 1,
    lr: Rate = 1e-4,
    weight_decay: Decay = 0.0,
    schedule: Schedule = "cosine",
    warmup: WarmUp = 0.05,
    clip: Clip = 1.0,
    rank: Rank = 8,
    alpha: Alpha = 32,
    dropout: Dropout = 0.1,
    seed: Split = 0,
    precision: Precision = "auto",
    quantise: Quantise = None,
    gradient_checkpointing: Checkpointing = False,
    deterministic: Deterministic = False,
    workers: Workers = 2,
    save_minutes: Minutes = 10.0,
    tracker: Trackers = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """MUSE's tuning: a vision-language model learns the run's queries, or what its assistant says."""
    check_options(precision, quantise, schedule)
    one_of(task, "--task", ("recommend", "respond"))
    one_of(preset, "--preset", ("tiny",))
    metric = metric or ("mrr@10" if task == "recommend" else "loss")
    one_of(metric, "--metric", _METRICS if task == "recommend" else ("loss",))
    if (model is None) == (preset is None):
        raise SynthError("One of --model and --preset is needed.", "For a CPU: --preset tiny.")
    from synth.recommender.extras import require_train

    require_train()
    from synth.cli.progress import Bar
    from synth.recommender.adapters import Lora
    from synth.recommender.muse.data import read_muse
    from synth.recommender.muse.learnt import Learnt
    from synth.recommender.muse.tuned import BASE
    from synth.recommender.muse.tuning import MuseSettings, Reading, Tuning
    from synth.recommender.muse.warming import Warming, make_tiny
    from synth.recommender.training import train

    settings = train_settings(
        epochs=epochs, batch=batch, accumulate=accumulate, lr=lr, weight_decay=weight_decay, schedule=schedule,
        warmup=warmup, clip=clip, seed=seed, precision=precision, evaluate_first=True,
        gradient_checkpointing=gradient_checkpointing, deterministic=deterministic, workers=workers,
        save_minutes=save_minutes, trackers=trackers_of(tracker),
    )  # fmt: skip
    if convs == 0:
        raise SynthError("--convs 0 leaves nothing to learn from.", "Give --convs 200, or fewer.")
    data = read_muse(run, catalog)
    division = data.divide(convs, test, seed)
    split = f"--convs {convs} --seed {seed}" + (f" --test {test}" if test else "")
    quiet = quiet or not is_first()
    with Bar(quiet=quiet) as bar:
        try:
            if preset:
                reads = (*division.train, *division.spare)
                warming = Warming(seed, device=device)
                count = min(len(reads), warming.talks)
                bar.note(f"a tiny model reads {count:,} conversations, none of which is tested on")
                model = str(make_tiny(data, reads, division.valid, out / BASE, split, warming, bar))
            named = str(model)
            learnt = Learnt.of(data, (*division.train, *division.valid), split)
            base = Learnt.read(Path(named))
            if base:
                learnt = Learnt(learnt.conversations | base.conversations, split)
            stage = MuseSettings(
                task,  # type: ignore[arg-type]
                str(Path(named).resolve()) if Path(named).is_dir() else named,
                Lora(rank, alpha, dropout),
                pictures,
                max_length,
                max(batch, 8),
            )
            architecture = load_model(named, precision, device, quantise, tower=True)
            reading = Reading(architecture, stage)
            draw = data.queries if task == "recommend" else data.responses
            valid = draw(division.valid)
            judge = _judge(data, valid, tuple(encoder or data.encoders), out, bar) if metric != "loss" else None
            method = Tuning(
                architecture,
                reading.lessons(draw(division.train), data),
                reading.lessons(valid, data),
                stage,
                judge=judge,
                metric=metric,
                facts={
                    "data": data.name,
                    "generator": data.generator,
                    "fingerprint": data.fingerprint,
                    "learnt": learnt.json(),
                    "metric": metric,
                },
                seed=seed,
            )
            trained = train(method, settings, out, bar)
        except KeyboardInterrupt:
            raise SynthError("Stopped.", f"The same command goes on from {out}.", Exit.INTERRUPTED) from None
    if not quiet:
        for entry in trained.metrics["history"]:
            told = ", ".join(f"{name} {entry[name]:.4g}" for name in ("loss", *_METRICS[:2]) if name in entry)
            print(f"epoch {entry['epoch']}: {told}")
        print_speed(trained)
        print(f"Checkpoint: {trained.best}")
        arms = f"last-turn,bm25,{model},{out}" if task == "recommend" else f"{model},{out}"
        print(f"Next: synth eval muse {run} --task {task} --methods {arms} {split} --out {out}-eval")


def _judge(data: MuseData, valid: list[Moment], encoders: tuple[str, ...], out: Path, bar: Bar) -> Judge:
    """What the queries written for the held-out moments recall."""
    from synth.cli.eval import reporter
    from synth.recommender.muse.prompts import read_query
    from synth.recommender.muse.querying import hits, open_finder

    finder = open_finder(data, encoders, out, reporter(bar))

    def judge(answers: Any) -> dict[str, float]:
        queries = {moment.id: read_query(answers.get(f"recommend:{moment.id}", "")) for moment in valid}
        found: dict[str, dict[str, float]] = {}
        for part in finder.find(queries, valid):
            found |= part
        return hits(found, valid)

    return judge
