"""`synth eval trained` and `synth eval report`: a trained recommender on other data, and data sets side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from synth.cli.train_options import Batch, Seed
from synth.cli.values import by_commas, check_file, check_folder
from synth.errors import SynthError


def trained(
    checkpoint: Annotated[Path, typer.Argument(help="What `synth train recommend` made.")],
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder of the runs `scored` and `written`.")],
    split: Annotated[str, typer.Option(help="Which part of --data is asked: train, valid or test.")] = "test",
    features: Annotated[
        Path | None, typer.Option(help="What `synth train features` made of this data's pictures.")
    ] = None,
    candidates: Candidates = "delivered",
    k: Nearest = 10,
    others: Others = "out",
    meta: Meta = None,
    images: Images = None,
    name: Annotated[str, typer.Option(help="Of the system in tables.")] = "LaViC",
    trained_on: Annotated[
        str | None, typer.Option(help="Name of the data it was trained on.", show_default="as its own runs say")
    ] = None,
    batch: Batch = 8,
    seed: Seed = 0,
    precision: Precision = "auto",
    quantise: Quantise = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """A trained recommender answers any data: train on synthetic conversations, test on Reddit's.

    Examples without the titles of all candidates are left out, and their number is said.
    """
    one_of(split, "--split", ("train", "valid", "test"))
    one_of(others, "--others", ("out", "kept"))
    one_of(precision, "--precision", ("auto", "bf16", "fp16", "fp32"))
    one_of(quantise, "--quantise", ("4bit",))
    check_folder(out)
    from synth.recommender.extras import require_train

    require_train()
    from synth.cli.progress import Bar
    from synth.cli.train_run import load_model, open_pictures
    from synth.recommender.adapters import check_base, find, read_card
    from synth.recommender.comparison import Asking, asked_examples, check_split
    from synth.recommender.recommend import DISTILLED, load_recommender
    from synth.recommender.transfer import answer, facts_of, with_metadata

    card = read_card(checkpoint, "recommend")
    learnt = trained_on or _trained_on(checkpoint)
    part: Any = split
    dataset = open_data(data, meta, images, seed, candidates)
    check_split(dataset, part)
    show = card["prompt"]["show"]
    if show == "features" and features is None:
        raise SynthError(
            "This model looks at pictures, and those of other data have other features.",
            f"Make them: synth train features --data {data} --model {model} --out features; then --features features.",
        )
    asking = Asking(part, candidates, k, others, seed=seed)  # type: ignore[arg-type]
    examples, coverage = with_metadata(dataset, asked_examples(dataset, asking, out / "embeddings.db"), show)
    with Bar(quiet=quiet) as bar:
        architecture = load_model(model, precision, device, quantise, tower=False)
        check_base(card, architecture, checkpoint)
        distilled = find(checkpoint) / DISTILLED if card["distilled"] else None
        shown = [dataset.items[item] for item in sorted({i for one in examples for i in one.candidates})]
        cache = str(features) if show == "features" else ""
        pictures, said = open_pictures(architecture, shown, cache, distilled, card["layer"], card["pooling"])
        bar.note(f"{coverage['with_titles']:,} of {coverage['examples']:,} examples have all titles. {said}")
        recommender = load_recommender(architecture, checkpoint, dataset.items, pictures)
        lists = {"candidates": candidates, "others": others}
        facts = facts_of(dataset, part, learnt, show=show, seed=seed, coverage=coverage, **lists)
        answer(recommender, examples, name, facts, out, batch, bar)
    if not quiet:
        print(f"{coverage['with_titles']:,} of {coverage['examples']:,} examples have the titles of all candidates.")
        print(f"Next: synth eval report {out / 'scored'} {out / 'written'} MORE_RUNS")


def _trained_on(checkpoint: Path) -> str:
    """Which data a checkpoint's own runs, beside it, say that it was trained on.

    Raises:
        SynthError: there are none.
    """
    from synth.recommender.runs import read_run

    try:
        return ", ".join(read_run(checkpoint / "runs" / "scored")[0].facts["trained"])
    except (SynthError, KeyError) as error:
        raise SynthError(
            f"{checkpoint} does not say what it was trained on.", "Name the data with --trained-on."
        ) from error


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs, of any task and over any data.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A LaViC export or a domain of Reddit-Amazon, whose counts stand first; repeatable."),
    ] = None,
    meta: Meta = None,
    split: Annotated[str, typer.Option(help="Part of --data whose coverage is counted.")] = "test",
    metrics: Annotated[
        str | None, typer.Option(help="By commas, as in docs/evaluation.md.", show_default="the first two of each task")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Markdown is written here.")] = None,
    seed: Seed = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing with --out.")] = False,
) -> None:
    """Real and synthetic data side by side: a table for each task and metric, systems by data sets."""
    one_of(split, "--split", ("train", "valid", "test"))
    from synth.analysis.statistics.table import markdown
    from synth.recommender.holdings import holdings, holdings_table
    from synth.recommender.runs import write_whole
    from synth.recommender.side_by_side import report as make
    from synth.recommender.table import print_tables

    check_file(out)
    names = by_commas(metrics, "--metrics") if metrics is not None else None
    part: Any = split
    sets = [open_data(folder, meta, None, seed) for folder in data or []]
    tables = make(runs, names, seed)
    if sets:
        tables.insert(0, holdings_table([holdings(one, part) for one in sets if one.examples.get(part)]))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, "# Evaluation\n\n" + "\n".join(map(markdown, tables)))
    if not (out and quiet):
        print_tables(tables)
