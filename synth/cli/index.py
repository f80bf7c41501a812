"""`synth index`: build and ask a catalogue's index."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.corpora.catalogue import Catalogue
    from synth.corpora.records import Candidate

app = typer.Typer(no_args_is_help=True, help="Build and search the index of a catalogue.")


class FusionName(StrEnum):
    RRF = "rrf"
    WEIGHTED = "weighted"


CatalogueFolder = Annotated[Path, typer.Option("--catalog", help="A catalogue's folder.")]


@app.command()
def build(
    catalog: CatalogueFolder,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=MODEL]",
            help="bm25, minilm, bge, bge-hybrid or clip, with a folder of weights where these are not in the hub's "
            "cache; auto: the best that is here; repeatable.",
            show_default="bm25",
        ),
    ] = None,
    vectors: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE.npy", help="Vectors of your own, a row a product; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the index.", show_default="index/ in the catalogue")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Builds the index of a catalogue, replacing an older one; one that was stopped goes on where it was."""
    import time

    from synth.cli.progress import Bar
    from synth.corpora.catalogue import Catalogue
    from synth.index import build_index, default_folder
    from synth.index.arrays import parse_arrays
    from synth.index.encoders import ENCODERS, concrete

    catalogue = Catalogue.open(catalog)
    folder = out or default_folder(catalogue)
    arrays = parse_arrays(vectors or (), tuple(ENCODERS))
    encoders = concrete(encoder or ("bm25",), len(catalogue))
    start = time.perf_counter()
    with Bar(quiet=quiet) as bar:
        shown: set[str] = set()

        def report(name: str, done: int, total: int) -> None:
            if name not in shown:
                shown.add(name)
                bar.stage(name, total)
            bar.advance(done)

        try:
            build_index(catalogue, folder, encoders, report, arrays)
        except KeyboardInterrupt:
            raise SynthError(
                "Stopped. What is encoded is kept.", "Run the same command to go on.", Exit.INTERRUPTED
            ) from None
    if not quiet:
        seconds = time.perf_counter() - start
        print(
            f"{len(catalogue):,} products indexed by {' and '.join((*encoders, *arrays))} in {seconds:.1f} s: {folder}"
        )
        print(f'Next: synth index search "red summer dress" --catalog {catalog}')


@app.command()
def search(
    catalog: CatalogueFolder,
    query: Annotated[str | None, typer.Argument(help="What to look for, in plain words.")] = None,
    like: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Instead of words: a product to be like; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many products.", min=1)] = 10,
    where: Annotated[list[str] | None, typer.Option(help="ATTRIBUTE=VALUE; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A product id to leave out; repeatable.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An encoder or a vector (bge.dense) of the index; repeatable. Default: all."),
    ] = None,
    fusion: Annotated[FusionName, typer.Option(help="How several vectors' rankings become one.")] = FusionName.RRF,
    rerank: Annotated[bool, typer.Option(help="Rerank the best by multi-vectors, where the index has them.")] = True,
    index: Annotated[
        Path | None, typer.Option(help="Folder of the index.", show_default="index/ in the catalogue")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Shows the best products for a query, or those most like some products."""
    from synth.corpora.catalogue import Catalogue
    from synth.index import Index, default_folder

    if (query is None) == (not like):
        raise SynthError("A search needs a query or --like ID, one of the two.")
    catalogue = Catalogue.open(catalog)
    opened = Index.open(index or default_folder(catalogue), catalogue)
    found = opened.search(
        query if query is not None else opened.mean(like or (), by),
        k,
        exclude=[*(exclude or ()), *(like or ())],
        where=_conditions(where or []),
        fusion=fusion.value,
        by=by,
        rerank=rerank,
    )
    if json:
        _print_json(catalogue, found)
    else:
        _print_table(catalogue, found)


def _conditions(entries: list[str]) -> dict[str, list[str]]:
    """Values by attribute: several for one attribute are alternatives."""
    conditions: dict[str, list[str]] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise SynthError(f"--where {entry!r} is not ATTRIBUTE=VALUE.", "For example: --where colour=Red")
        conditions.setdefault(name.strip(), []).append(value.strip())
    return conditions


def _print_json(catalogue: Catalogue, found: list[Candidate]) -> None:
    from json import dumps

    rows = [{**candidate.model_dump(), "title": catalogue[candidate.id].title} for candidate in found]
    print(dumps(rows, ensure_ascii=False, indent=2))


def _print_table(catalogue: Catalogue, found: list[Candidate]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        print("No product meets these conditions.")
        return
    table = Table("rank", "id", "title", box=box.SIMPLE_HEAD)
    table.add_column("score", justify="right")
    for candidate in found:
        title = Text(catalogue[candidate.id].title)
        table.add_row(str(candidate.rank), Text(candidate.id), title, f"{candidate.score:.4f}")
    Console().print(table)
    if found[-1].score == 0:
        print("Products with a score of 0 share no word with the query.")
