"""`synth train`: what comes before and around the two stages; the stages are in `train_stages`.

`features` stands between the stages, so `synth.cli` adds it to the commands with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.train_data import Data, Device, Images, Meta, Model, Precision, Quantise, Quiet, one_of, open_data
from synth.cli.train_images import fetch_images
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.data import Dataset, RecExample
    from synth.recommender.labelled import Labelled

app = typer.Typer(no_args_is_help=True, help="Train a recommender that sees: LaViC's stages.")
app.command("fetch-images")(fetch_images)

_HELD_OUT = 512


@app.command()
def warmup(
    out: Annotated[Path, typer.Option(help="Folder of the model.")],
    data: Data,
    preset: Annotated[str, typer.Option(help="tiny (from nothing) or small (on a language model, --lm).")] = "tiny",
    lm: Annotated[Path | None, typer.Option(help="Folder of a transformers language model, e.g. SmolLM2.")] = None,
    catalog: Annotated[Path | None, typer.Option(help="The catalogue: its attributes are learnt first.")] = None,
    meta: Meta = None,
    images: Images = None,
    labels: Annotated[
        str, typer.Option(help="How candidates are named: letters, tokens (one for each id) or text.")
    ] = "letters",
    attribute_epochs: Annotated[int | None, typer.Option(min=1, help="Over the pictures.", show_default="12")] = None,
    caption_epochs: Annotated[int | None, typer.Option(min=1, help="Over the pictures.", show_default="4")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures at once.", show_default="64, 32")] = None,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Makes a small LLaVA-NeXT for this data: built, then taught colours and types, then to describe."""
    one_of(preset, "--preset", ("tiny", "small"))
    one_of(labels, "--labels", ("letters", "tokens", "text"))
    _need_extra()
    from dataclasses import replace

    from synth.cli.progress import Bar
    from synth.recommender.making import Recipe, make

    dataset = open_data(data, meta, images, seed)
    train_on, valid = _labelled(dataset, catalog, seed)
    chosen: dict[str, Any] = {"preset": preset, "language": lm, "labels": labels, "seed": seed, "device": device}
    recipe = Recipe(**chosen)
    for name, epochs in (("attributes", attribute_epochs), ("captions", caption_epochs)):
        settings = getattr(recipe, name)
        changed = replace(settings, epochs=epochs or settings.epochs, batch=batch or settings.batch)
        recipe = replace(recipe, **{name: changed})
    with Bar(quiet=quiet) as bar:
        made = make(recipe, train_on, valid, _texts(dataset, train_on), sorted(dataset.items), out, bar)
    if not quiet:
        for name, best in made.metrics.items():
            value = "nothing held out" if best["value"] is None else f"{best['metric']} {best['value']:.3f}"
            print(f"{name}: {value}, best in epoch {best['epoch']}")
        print(f"Model: {out}\nNext: synth train describe --data {data} --model {out} --out descriptions.jsonl")


@app.command()
def describe(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option(help="JSONL file of the descriptions; what it has is not made again.")],
    meta: Meta = None,
    images: Images = None,
    first: Annotated[bool, typer.Option("--first", help="Only each item's first picture.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of a description.")] = 128,
    precision: Precision = "auto",
    quantise: Quantise = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Stage 0: the model describes every picture, from all of its tokens. The same command goes on where it stopped."""
    _check(precision, quantise)
    _need_extra()
    from synth.cli.progress import Bar
    from synth.recommender.architecture import load
    from synth.recommender.describe import describe as run
    from synth.recommender.describe import pictures

    wanted = pictures(open_data(data, meta, images).items, first)
    if not wanted:
        raise SynthError(f"No item of {data} has a picture.", "Fetch them with `synth train fetch-images`.")
    architecture = load(model, precision, device, quantise)  # type: ignore[arg-type]
    with Bar(quiet=quiet) as bar:
        done = run(architecture, wanted, out, batch=batch, max_new_tokens=max_new_tokens, progress=bar)
    if not quiet:
        print(f"{done.written:,} pictures described, {done.kept:,} were: {out}")
        _print_left_out(done.unreadable)
        if done.empty or done.titles:
            print(f"  {done.empty:,} descriptions are empty; {done.titles:,} repeat the title.")
        print(f"Next: synth train distill --data {data} --model {model} --descriptions {out} --out distilled")


def features(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder of caches; one for each model, adapter and setting.")],
    adapter: Annotated[
        Path | None, typer.Option(help="What `synth train distill` made.", show_default="the plain tower")
    ] = None,
    meta: Meta = None,
    images: Images = None,
    all_images: Annotated[bool, typer.Option("--all-images", help="All pictures, not each item's first.")] = False,
    pooling: Annotated[str, typer.Option(help="cls (LaViC) or patches (entire tokens).")] = "cls",
    layer: Annotated[int, typer.Option(help="Of the tower's hidden states; -1 is the last.")] = -1,
    batch: Annotated[int, typer.Option(min=1, help="Crops at once.")] = 64,
    precision: Precision = "auto",
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Encodes every picture once, for stage 2 to read. Stopped anywhere, the same command goes on."""
    one_of(pooling, "--pooling", ("cls", "patches"))
    _check(precision, None)
    _need_extra()
    from synth.cli.progress import Bar
    from synth.recommender.adapters import apply_distilled
    from synth.recommender.architecture import load
    from synth.recommender.describe import pictures
    from synth.recommender.features import build, key_of
    from synth.recommender.memory import gigabytes

    paths = [picture.path for picture in pictures(open_data(data, meta, images).items, not all_images)]
    if not paths:
        raise SynthError(f"No item of {data} has a picture.", "Fetch them with `synth train fetch-images`.")
    architecture = load(model, precision, device)  # type: ignore[arg-type]
    distilled = apply_distilled(architecture, adapter) if adapter else ""
    key = key_of(architecture, adapter=distilled, layer=layer, pooling=pooling)  # type: ignore[arg-type]
    with Bar(quiet=quiet) as bar:
        done = build(architecture, paths, out, key, progress=bar, chunk=batch)
    if not quiet:
        rate = f", {done.encoded / done.seconds:.0f} pictures a second" if done.encoded else ""
        print(f"{done.encoded:,} pictures ({done.crops:,} crops) encoded in {done.seconds:.1f} s{rate}.")
        print(f"{len(done.cache):,} pictures, {gigabytes(done.cache.bytes)}: {done.cache.folder}")
        if done.rebuilt:
            print(f"  {done.rebuilt:,} damaged shards were made again.")
        _print_left_out(done.unreadable)
        given = f" --distilled {adapter}" if adapter else ""
        print(f"Next: synth train recommend --data {data} --model {model} --features {out}{given} --out trained")


def _need_extra() -> None:
    from synth.recommender.extras import require_train

    require_train()


def _check(precision: str, quantise: str | None) -> None:
    one_of(precision, "--precision", ("auto", "bf16", "fp16", "fp32"))
    one_of(quantise, "--quantise", ("4bit",))


def _labelled(dataset: Dataset, catalog: Path | None, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """(train, valid): items that only validation and test name are held out, at least a tenth of all."""
    from synth.corpora.catalogue import Catalogue
    from synth.recommender.labelled import held_out, labelled, of_items

    known = labelled(Catalogue.open(catalog)) if catalog else of_items(dataset.items.values())
    trained = _named(dataset.examples["train"])
    asked = _named(dataset.examples["valid"] + dataset.examples["test"])
    kept = [item for item in known if item.id in trained or item.id not in asked]
    unseen = [item for item in known if item.id in asked - trained]
    if len(unseen) * 10 >= len(known):
        return kept, held_out(unseen, min(1.0, _HELD_OUT / len(unseen)), seed)[1]
    return held_out(kept, min(0.1, _HELD_OUT / max(1, len(kept))), seed)


def _named(examples: list[RecExample]) -> set[str]:
    return {item for example in examples for item in (example.gt, *example.candidates)}


def _texts(dataset: Dataset, items: list[Labelled]) -> list[str]:
    """What the tokenizer learns from: titles, captions, descriptions, and the conversations of training."""
    from synth.recommender.describe import INSTRUCTION
    from synth.recommender.prompts import DESCRIBE, TASK

    told = [example.text for example in dataset.examples["train"]]
    shown = [text for item in dataset.items.values() for text in (item.title, *item.descriptions.values())]
    return [INSTRUCTION, TASK, DESCRIBE, *told, *shown, *(f"{item.title}\n{item.caption}" for item in items)]


def _print_left_out(unreadable: Any) -> None:
    if unreadable:
        print(f"  {len(unreadable):,} pictures left out, e.g. {next(iter(unreadable.values()))}")
