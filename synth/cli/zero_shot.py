"""`synth eval zero-shot`: any model chooses among the candidates, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.train_data import Candidates, Data, Images, Meta, Nearest, Others, Quiet, one_of, open_data
from synth.cli.writers import WriterOptions, is_gateway, kept, open_writer, takes_writer
from synth.errors import SynthError

if TYPE_CHECKING:
    from synth.recommender.asking import Writer
    from synth.recommender.data import Dataset
    from synth.recommender.runs import Query, RunFile


@takes_writer
def zero_shot(
    data: Data,
    writer: WriterOptions,
    out: Annotated[
        Path | None, typer.Option(help="Folder of answers and runs.", show_default="zero-shot/DATA/MODEL-SHOW")
    ] = None,
    show: Annotated[
        str, typer.Option(help="Of a candidate: titles, images (and titles), or descriptions (and titles).")
    ] = "titles",
    rank: Annotated[
        bool, typer.Option("--rank", help="Local: rank all candidates by the likelihood of their ids too.")
    ] = False,
    split: Annotated[str, typer.Option(help="Which part of --data is asked: train, valid or test.")] = "test",
    candidates: Candidates = "delivered",
    k: Nearest = 10,
    others: Others = "out",
    limit: Annotated[int | None, typer.Option(min=1, help="Examples, drawn by --seed.", show_default="all")] = None,
    descriptions: Annotated[
        Path | None, typer.Option(help="What `synth train describe` wrote.", show_default="those in the metadata")
    ] = None,
    meta: Meta = None,
    images: Images = None,
    name: Annotated[str | None, typer.Option(help="Of the system in tables.", show_default="MODEL, SHOW")] = None,
    max_words: Annotated[int, typer.Option(min=1, help="Of the conversation; the oldest are left out.")] = 1000,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 48,
    asin: Annotated[
        bool, typer.Option("--asin", help="Read the first Amazon id, a candidate's or not, as LaViC's code does.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of places, --limit and the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Any model, local or of the gateway, answers each example with a candidate's id: a run for `synth eval recommend`.

    What is answered is never asked again: the same command goes on, and a larger --limit asks what is new.
    """
    one_of(show, "--show", ("titles", "images", "descriptions"))
    one_of(split, "--split", ("train", "valid", "test"))
    one_of(others, "--others", ("out", "kept"))
    if rank and is_gateway(writer.model):
        raise SynthError(
            f"{writer.model} gives no likelihoods to rank by.", "Leave out --rank, or name a model in a folder."
        )
    from synth.recommender.extras import require

    # Before anything is paid: the table at the end needs them.
    require("eval", "ir_measures", "scipy")
    from synth.cli.progress import Bar
    from synth.cli.train_run import with_descriptions
    from synth.recommender import zero_shot as work
    from synth.recommender.comparison import Asking, asked_examples, check_split
    from synth.recommender.generate import ASIN
    from synth.recommender.runs import folder_name, queries_of, write_run

    dataset = with_descriptions(open_data(data, meta, images, seed, candidates), descriptions)
    check_split(dataset, split)  # type: ignore[arg-type]
    asking = Asking(split, candidates, k, others, seed=seed)  # type: ignore[arg-type]
    quiet = quiet or as_json
    with Bar(quiet=quiet) as bar, kept():
        examples = work.draw(asked_examples(dataset, asking, _cache(out)), limit, seed)
        said = work.check_shown(dataset, examples, show)  # type: ignore[arg-type]
        bar.note(said)
        model = open_writer(writer, bar, quiet=quiet)
        how = work.ZeroShot(show, max_words, max_tokens, ASIN if asin else "")  # type: ignore[arg-type]
        place = out or Path("zero-shot") / dataset.name / folder_name(f"{model.name}-{show}")
        called = name or f"{model.name}, {show}"
        told: dict[str, Any] = {
            "model": writer.model,
            "candidates": candidates,
            "others": others,
            "limit": limit,
            "seed": seed,
        }
        facts = work.facts(dataset, split, show, **told)  # type: ignore[arg-type]
        queries = queries_of(examples)
        given = (dataset, examples, how, place / "answers")
        runs = {"written": work.write(model, *given, called, facts, bar)}
        if rank:
            runs["scored"] = work.rank(_local(model), *given, f"{called}, ranked", facts, bar)
        for folder, run in runs.items():
            write_run(place / folder, run, queries)
    _print([place / folder for folder in runs], list(runs.values()), queries, dataset, data, seed, as_json, quiet)


def _local(model: Writer) -> Any:
    from synth.recommender.writer import LocalWriter

    assert isinstance(model, LocalWriter)
    return model


def _cache(out: Path | None) -> Path | None:
    return out / "embeddings.db" if out else None


def _print(
    folders: list[Path],
    runs: list[RunFile],
    queries: list[Query],
    dataset: Dataset,
    data: Path,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    from synth.recommender.comparison import Comparison
    from synth.recommender.table import print_tables

    comparison = Comparison()
    for folder, run in zip(folders, runs, strict=True):
        comparison.add(run, queries, str(folder))
    table = comparison.evaluate(seed=seed)[0]
    if as_json:
        shown = {"runs": [str(folder) for folder in folders], "results": table.json()}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    elif not quiet:
        print_tables(table.tables())
        print(f"Next: synth eval recommend {' '.join(map(str, folders))} --data {data} --methods bm25")
