"""`synth train distill` and `synth train recommend`: LaViC's two stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.train_data import (
    Candidates,
    Data,
    Device,
    Images,
    Meta,
    Model,
    Nearest,
    Others,
    Precision,
    Quantise,
    Quiet,
    one_of,
    open_data,
)  # fmt: skip
from synth.cli.train_options import (
    Accumulate,
    Alpha,
    Batch,
    Checkpointing,
    Clip,
    Decay,
    Deterministic,
    Dropout,
    Ends,
    Epochs,
    Grid,
    Grouped,
    Layer,
    Minutes,
    Out,
    Pooling,
    Rank,
    Rate,
    Schedule,
    Seed,
    Trackers,
    WarmUp,
    Workers,
)  # fmt: skip
from synth.cli.train_run import (
    check_options,
    is_first,
    load_model,
    named_items,
    open_pictures,
    own_labels,
    print_speed,
    tell_memory,
    trackers_of,
    train_settings,
    with_descriptions,
)  # fmt: skip
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.cli.progress import Bar
    from synth.recommender.method import Method, Trained, TrainSettings

_PROMPT = 128
"""Tokens before a description: instruction and title."""


@dataclass(frozen=True)
class _Loop:
    """How to run: what both stages take alike."""

    settings: TrainSettings
    out: Path
    grid: bool

    def run(self, method: Method, bar: Bar) -> Trained:
        from synth.recommender.grid import search
        from synth.recommender.training import train

        try:
            if self.grid:
                return search(method, self.settings, self.out, progress=bar)[0]
            return train(method, self.settings, self.out, bar)
        except KeyboardInterrupt:
            raise SynthError("Stopped.", f"The same command goes on from {self.out}.", Exit.INTERRUPTED) from None


def distill(
    data: Data,
    model: Model,
    out: Out,
    descriptions: Annotated[
        Path | None, typer.Option(help="What `synth train describe` wrote.", show_default="those in the metadata")
    ] = None,
    meta: Meta = None,
    images: Images = None,
    held_out: Annotated[int, typer.Option(min=0, help="Pictures for perplexity, at most a tenth of all.")] = 512,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a description that are learnt.")] = 128,
    epochs: Epochs = 5,
    batch: Batch = 4,
    accumulate: Accumulate = 1,
    lr: Rate = 5e-5,
    weight_decay: Decay = 1e-5,
    schedule: Schedule = "constant",
    warmup: WarmUp = 0.0,
    clip: Clip = 1.0,
    rank: Rank = 8,
    alpha: Alpha = 32,
    dropout: Dropout = 0.1,
    end_token: Ends = True,
    grouped: Grouped = True,
    grid: Grid = False,
    seed: Seed = 0,
    precision: Precision = "auto",
    quantise: Quantise = None,
    gradient_checkpointing: Checkpointing = False,
    deterministic: Deterministic = False,
    workers: Workers = 4,
    save_minutes: Minutes = 10.0,
    tracker: Trackers = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 1: tower and projector learn to say in one embedding per crop what the description says."""
    check_options(precision, quantise, schedule)
    from synth.recommender.extras import require_train

    require_train()
    from synth.cli.progress import Bar
    from synth.recommender.adapters import Lora
    from synth.recommender.distill import Distill, DistillSettings, check_described, described_images, hold_out

    settings = train_settings(
        epochs=epochs, batch=batch, accumulate=accumulate, lr=lr, weight_decay=weight_decay, schedule=schedule,
        warmup=warmup, clip=clip, seed=seed, precision=precision, grouped=grouped, evaluate_first=True,
        gradient_checkpointing=gradient_checkpointing, deterministic=deterministic, workers=workers,
        save_minutes=save_minutes, trackers=trackers_of(tracker),
    )  # fmt: skip
    dataset = with_descriptions(open_data(data, meta, images, seed), descriptions)
    check_described(described_images(dataset.items)[0])
    quiet = quiet or not is_first()
    stage = DistillSettings(Lora(rank, alpha, dropout), max_tokens, end_token, batch, workers)
    with Bar(quiet=quiet) as bar:
        tell_memory(
            bar, model, precision, device, quantise, "vision", stage.lora, batch=batch, tokens=max_tokens + _PROMPT,
            pictures=1, checkpointing=gradient_checkpointing,
        )  # fmt: skip
        architecture = load_model(model, precision, device, quantise, tower=True)
        # Only now is it known which of a file's descriptions are this model's own.
        dataset = with_descriptions(dataset, descriptions, architecture.fingerprint)
        found, without = described_images(dataset.items)
        check_described(found)
        train_on, valid = hold_out(found, held_out, seed)
        bar.note(f"{len(train_on):,} pictures to learn from, {len(valid):,} held out; {without:,} have no description.")
        trained = _Loop(settings, out, grid).run(Distill(architecture, train_on, valid, stage, seed=seed), bar)
    if not quiet:
        for entry in trained.metrics["history"]:
            said = f"perplexity {entry['perplexity']:.3f}" if "perplexity" in entry else "nothing held out"
            print(f"epoch {entry['epoch']}: {said}")
        print_speed(trained)
        print(f"Checkpoint: {trained.best}")
        print(f"Next: synth train features --data {data} --model {model} --adapter {trained.out} --out features")


def recommend(
    data: Data,
    model: Model,
    out: Out,
    features: Annotated[Path | None, typer.Option(help="What `synth train features` made.")] = None,
    distilled: Annotated[
        Path | None, typer.Option(help="What `synth train distill` made.", show_default="none: w/o self-distillation")
    ] = None,
    descriptions: Annotated[Path | None, typer.Option(help="For --show descriptions.")] = None,
    show: Annotated[
        str, typer.Option(help="For a picture: features, descriptions (in words), or nothing (w/o images).")
    ] = "features",
    layer: Layer = -1,
    pooling: Pooling = "cls",
    labels: Annotated[
        str | None,
        typer.Option(help="How candidates are named: letters, tokens or text.", show_default="the model's way"),
    ] = None,
    meta: Meta = None,
    images: Images = None,
    metric: Annotated[str, typer.Option(help="Picks the best epoch on the validation split: hr1 or mrr.")] = "hr1",
    max_length: Annotated[int, typer.Option(min=1, help="Tokens; the conversation is cut to fit.")] = 2048,
    candidates: Candidates = "delivered",
    k: Nearest = 10,
    others: Others = "out",
    name: Annotated[str, typer.Option(help="Of the system in tables.")] = "LaViC",
    test: Annotated[bool, typer.Option("--test/--no-test", help="Answer the test split at the end.")] = True,
    epochs: Epochs = 5,
    batch: Batch = 1,
    evaluation_batch: Annotated[
        int | None, typer.Option(min=1, help="Examples answered at once.", show_default="as --batch")
    ] = None,
    accumulate: Accumulate = 1,
    lr: Rate = 5e-5,
    weight_decay: Decay = 1e-5,
    schedule: Schedule = "constant",
    warmup: WarmUp = 0.0,
    clip: Clip = 1.0,
    rank: Rank = 8,
    alpha: Alpha = 32,
    dropout: Dropout = 0.1,
    head: Annotated[bool, typer.Option("--head", help="Adapt the LM's head too, as the released code did.")] = False,
    end_token: Ends = True,
    grouped: Grouped = True,
    grid: Grid = False,
    seed: Seed = 0,
    precision: Precision = "auto",
    quantise: Quantise = None,
    gradient_checkpointing: Checkpointing = False,
    deterministic: Deterministic = False,
    workers: Workers = 4,
    save_minutes: Minutes = 10.0,
    tracker: Trackers = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 2: the language model learns to choose, from cached features; no vision tower is loaded."""
    check_options(precision, quantise, schedule)
    one_of(show, "--show", ("features", "descriptions", "nothing"))
    one_of(pooling, "--pooling", ("cls", "patches"))
    one_of(labels, "--labels", ("letters", "tokens", "text"))
    one_of(metric, "--metric", ("hr1", "mrr"))
    one_of(others, "--others", ("out", "kept"))
    if show == "features" and features is None:
        raise SynthError("--show features needs them.", "Give --features, or --show nothing for the ablation.")
    from synth.recommender.extras import require_train

    require_train()
    from synth.cli.progress import Bar
    from synth.recommender.adapters import Lora
    from synth.recommender.answering import PromptSettings
    from synth.recommender.candidates import evaluation_examples, listed, training_examples
    from synth.recommender.recommend import Recommend, RecommendSettings, write_answers

    settings = train_settings(
        epochs=epochs, batch=batch, accumulate=accumulate, lr=lr, weight_decay=weight_decay, schedule=schedule,
        warmup=warmup, clip=clip, seed=seed, precision=precision, grouped=grouped,
        gradient_checkpointing=gradient_checkpointing, deterministic=deterministic, workers=workers,
        save_minutes=save_minutes, trackers=trackers_of(tracker),
    )  # fmt: skip
    dataset = with_descriptions(open_data(data, meta, images, seed, candidates), descriptions)
    dataset = listed(dataset, candidates, k, out / "embeddings.db")
    own: Any = others
    quiet = quiet or not is_first()
    prompt: Any = {"show": show, "labels": labels or own_labels(model), "max_length": max_length}
    stage = RecommendSettings(
        PromptSettings(**prompt, end_token=end_token),
        Lora(rank, alpha, dropout, head),
        metric,  # type: ignore[arg-type]
        evaluation_batch or batch,
        str(features.resolve()) if features and show == "features" else "",
        layer,
        pooling,  # type: ignore[arg-type]
    )
    with Bar(quiet=quiet) as bar:
        tell_memory(
            bar, model, precision, device, quantise, "language", stage.lora, batch=batch, tokens=max_length,
            checkpointing=gradient_checkpointing,
        )  # fmt: skip
        architecture = load_model(model, precision, device, quantise, tower=False)
        pictures, said = open_pictures(architecture, named_items(dataset), stage.features, distilled, layer, pooling)
        bar.note(said)
        method = Recommend(
            architecture,
            training_examples(dataset, seed),
            evaluation_examples(dataset, "valid", seed, own),
            dataset.items,
            pictures,
            stage,
            distilled=distilled,
            seed=seed,
        )
        trained = _Loop(settings, out, grid).run(method, bar)
        asked = evaluation_examples(dataset, "test", seed, own) if test else []
        if asked:
            facts = {
                "data": dataset.name, "split": "test", "generator": dataset.generator, "trained": [dataset.name],
                "candidates": candidates, "others": others,
            }  # fmt: skip
            write_answers(method, asked, name, facts, out / "runs", bar)
    if not quiet:
        best = trained.metrics["best"]
        value = "nothing to validate on" if best["value"] is None else f"{best['value']:.4f}"
        print(f"Best {best['metric']} {value} in epoch {best['epoch']}.")
        print_speed(trained)
        print(f"Checkpoint: {trained.best}")
        if asked:
            print(f"Next: synth eval recommend {out / 'runs' / 'scored'} {out / 'runs' / 'written'} --data {data}")
