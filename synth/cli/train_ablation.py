"""`synth train ablations`: variants of LaViC on equal batches, and the paper's tables of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.train_data import (
    Candidates,
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
    Grouped,
    Minutes,
    Out,
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
    own_labels,
    tell_memory,
    trackers_of,
    train_settings,
    with_descriptions,
)  # fmt: skip
from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.analysis.statistics.table import Table as TextTable
    from synth.recommender.table import Table
    from synth.recommender.variants import Variant

_ARMS = "lavic,without-images,without-distillation,entire-tokens"


def ablations(
    data: Annotated[list[Path], typer.Option(help="A LaViC export, or a domain of Reddit-Amazon; repeatable.")],
    model: Model,
    out: Out,
    features: Annotated[
        Path | None, typer.Option(help="Folder of feature caches; what a variant lacks in it is made.")
    ] = None,
    distilled: Annotated[Path | None, typer.Option(help="What `synth train distill` made.")] = None,
    arms: Annotated[
        str, typer.Option(help="By commas, of those and `descriptions`; the first is compared with.")
    ] = _ARMS,
    combined: Annotated[
        bool, typer.Option("--combined", help="Also train on all --data together; test every model on each (Table 8).")
    ] = False,
    descriptions: Annotated[Path | None, typer.Option(help="For the variant `descriptions`.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="How candidates are named: letters, tokens or text.", show_default="the model's way"),
    ] = None,
    meta: Meta = None,
    images: Images = None,
    candidates: Candidates = "delivered",
    k: Nearest = 10,
    others: Others = "out",
    metric: Annotated[str, typer.Option(help="Picks the best epoch on the validation split: hr1 or mrr.")] = "hr1",
    max_length: Annotated[int, typer.Option(min=1, help="Tokens of words; pictures come on top.")] = 2048,
    epochs: Epochs = 5,
    batch: Batch = 1,
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
    evaluation_batch: Annotated[int, typer.Option(min=1, help="Examples answered at once.")] = 4,
    seed: Seed = 0,
    precision: Precision = "auto",
    quantise: Quantise = None,
    gradient_checkpointing: Checkpointing = False,
    deterministic: Deterministic = False,
    workers: Workers = 4,
    save_minutes: Minutes = 10.0,
    tracker: Trackers = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Trains variants of stage 2 with equal data, batches, steps and seeds, and compares them (Tables 7 and 8)."""
    check_options(precision, quantise, schedule)
    one_of(labels, "--labels", ("letters", "tokens", "text"))
    one_of(metric, "--metric", ("hr1", "mrr"))
    one_of(others, "--others", ("out", "kept"))
    from synth.recommender.extras import require, require_train

    require_train()
    require("train", "ir_measures", "scipy")
    from synth.cli.progress import Bar
    from synth.recommender.ablation import run_study
    from synth.recommender.adapters import Lora
    from synth.recommender.answering import PromptSettings
    from synth.recommender.candidates import listed
    from synth.recommender.variants import Study

    chosen = _chosen(arms)
    settings = train_settings(
        epochs=epochs, batch=batch, accumulate=accumulate, lr=lr, weight_decay=weight_decay, schedule=schedule,
        warmup=warmup, clip=clip, seed=seed, precision=precision, grouped=grouped,
        gradient_checkpointing=gradient_checkpointing, deterministic=deterministic, workers=workers,
        save_minutes=save_minutes, trackers=trackers_of(tracker),
    )  # fmt: skip
    prompt: Any = {"labels": labels or own_labels(model), "max_length": max_length, "end_token": end_token}
    read = [with_descriptions(open_data(place, meta, images, seed, candidates), descriptions) for place in data]
    study = Study(
        tuple(listed(dataset, candidates, k, out / "embeddings.db") for dataset in read),
        settings,
        features,
        distilled,
        PromptSettings(**prompt),
        Lora(rank, alpha, dropout, head),
        metric,  # type: ignore[arg-type]
        evaluation_batch,
        combined,
        candidates=candidates,
        others=others,  # type: ignore[arg-type]
    )
    study.check(chosen)
    quiet = quiet or not is_first()
    with Bar(quiet=quiet) as bar:
        most = max(len(example.candidates) for one in study.datasets for example in one.examples["test"])
        tell_memory(
            bar, model, precision, device, quantise, "language", study.lora, batch=batch, tokens=max_length,
            pictures=most if any(arm.show == "features" for arm in chosen) else 0,
            pooling="patches" if any(arm.pooling == "patches" for arm in chosen) else "cls",
            checkpointing=gradient_checkpointing,
        )  # fmt: skip
        try:
            runs = run_study(
                study, chosen, lambda *, tower: load_model(model, precision, device, quantise, tower=tower), out, bar
            )
        except KeyboardInterrupt:
            raise SynthError("Stopped.", f"The same command goes on from {out}.", Exit.INTERRUPTED) from None
    if is_first():
        _show(runs, chosen[0].title, out, as_json=as_json, quiet=quiet)


def _chosen(arms: str) -> list[Variant]:
    from synth.recommender.variants import VARIANTS

    names = list(dict.fromkeys(name.strip() for name in arms.split(",") if name.strip()))
    unknown = [name for name in names if name not in VARIANTS]
    if unknown or not names:
        missing = ", ".join(unknown or [repr(arms)])
        raise SynthError(f"There is no variant {missing}.", f"Choose from: {', '.join(VARIANTS)}.")
    return [VARIANTS[name] for name in names]


def _show(runs: Sequence[Path], against: str, out: Path, *, as_json: bool, quiet: bool) -> None:
    """The tables of a finished study, on the screen and as `metrics.json` and `metrics.md`."""
    from synth.analysis.statistics.table import markdown
    from synth.recommender.comparison import Comparison
    from synth.recommender.runs import read_run
    from synth.recommender.table import print_tables

    comparison = Comparison()
    for path in runs:
        comparison.add(*read_run(path), str(path))
    results = comparison.evaluate(against)
    shown = _tables(results)
    text = json.dumps([table.json() for table in results], indent=2, ensure_ascii=False) + "\n"
    (out / "metrics.json").write_text(text, "utf-8", newline="\n")
    (out / "metrics.md").write_text("\n".join(markdown(table) for table in shown), "utf-8", newline="\n")
    if as_json:
        print(text, end="")
    elif not quiet:
        print_tables(shown)
        print(f"Runs: {' '.join(map(str, runs))}")


def _tables(results: Sequence[Table]) -> list[TextTable]:
    """The layouts that the study fills; then figures, tests and hits by place on each data set."""
    from synth.recommender.table import ablation, domains

    trained = {tuple(s.facts["trained"]) for table in results for s in table.systems.values()}
    across = [domains(results)] if any(len(names) > 1 for names in trained) else []
    return [ablation(results), *across, *(shown for table in results for shown in table.tables())]
