"""`synth catalog`: import, look at, or draw a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.errors import Exit, SynthError

if TYPE_CHECKING:
    from synth.corpora.catalogue import Catalogue
    from synth.corpora.columns import ColumnMap
    from synth.corpora.records import Product
    from synth.corpora.tables import Table

app = typer.Typer(no_args_is_help=True, help="Import, look at, or draw a catalogue of products.")

_SHOWN_VALUES = 8


class Duplicates(StrEnum):
    ERROR = "error"
    SKIP = "skip"


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or a JSON array (also .gz), or Parquet.")],
    images: Annotated[
        str | None,
        typer.Option(
            help="Folder or zip file with the pictures, or `urls` to fetch them; else looked for beside FILE."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make.", show_default="catalogues/<name of FILE>")] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, e.g. title=Name, categories='Group>Type', colour=Farbe; repeatable."),
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="Keep only rows of this category; repeatable.")] = None,
    duplicates: Annotated[
        Duplicates, typer.Option(help="What to do where two rows have the same id.")
    ] = Duplicates.ERROR,
    pictures: Annotated[int, typer.Option(help="Pictures to keep of a product, at most.")] = 1,
    licence: Annotated[str | None, typer.Option(help="Licence of the products.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the prices, e.g. EUR.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the texts, e.g. de; guessed otherwise.")] = None,
    limit: Annotated[int | None, typer.Option(help="Read so many rows only.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Makes a catalogue of a product file and its pictures."""
    from synth.corpora.importer import import_catalogue

    foreign = _of_settings(ctx) if _set_for_another(ctx, file) else set()
    images = None if "images" in foreign else images
    map = None if "map" in foreign else map
    category = None if "category" in foreign else category
    licence = None if "licence" in foreign else licence
    currency = None if "currency" in foreign else currency
    language = None if "language" in foreign else language
    columns = dict(_pair(entry) for entry in map or ())
    target = out or Path("catalogues") / file.name.split(".")[0]
    try:
        with _progress(quiet) as progress:
            catalogue = import_catalogue(
                file,
                target,
                images="urls" if images == "urls" else Path(images) if images else None,
                columns=columns,
                categories=category or (),
                duplicates=duplicates.value,
                pictures=pictures,
                licence=licence,
                currency=currency,
                language=language,
                limit=limit,
                mapped=None if quiet else _print_map,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = target.with_name(target.name + ".partial").exists()
        again = "The same command goes on from the pictures it has." if kept else "Nothing was written."
        raise SynthError("Import interrupted.", again, Exit.INTERRUPTED) from None
    if not quiet:
        _print_result(catalogue)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A catalogue's folder.")],
    product: Annotated[str | None, typer.Option(help="Show this product only, by its id.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Shows what is in a catalogue, or one product of it."""
    from json import dumps

    from synth.corpora.catalogue import Catalogue

    catalogue = Catalogue.open(folder)
    if product is not None:
        if product not in catalogue:
            raise SynthError(
                f"{folder} has no product {product!r}.", f"Its first is {catalogue.products[0].id!r}; ids are exact."
            )
        if json:
            print(catalogue[product].model_dump_json(indent=2))
        else:
            _print_product(catalogue, catalogue[product])
        return
    facts = overview(catalogue)
    if json:
        print(dumps(facts, ensure_ascii=False, indent=2))
    else:
        _print_overview(catalogue, facts)


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("catalogues/sample"),
    products: Annotated[int, typer.Option(help="How many products to draw.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same catalogue.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Draws a catalogue: products, and pictures in which what they are can be seen."""
    from synth.corpora.drawing import draw_catalogue

    catalogue = draw_catalogue(out, products=products, seed=seed)
    if not quiet:
        print(f"{len(catalogue):,} products drawn with seed {seed}: {out}")
        print(f"Next: synth catalog show {out}, or synth generate --catalog {out}")


def overview(catalogue: Catalogue) -> dict[str, Any]:
    """What a catalogue holds: counts by category and type, how many products have which attribute, prices, pictures."""
    count = len(catalogue)
    prices = sorted(p.price for p in catalogue if p.price is not None)
    attributes: dict[str, Counter[str]] = {}
    for product in catalogue:
        for name, value in product.attributes.items():
            attributes.setdefault(name, Counter())[value] += 1
    pictures = [picture for p in catalogue for picture in p.images]
    return {
        "name": catalogue.info.name,
        "source": catalogue.info.source,
        "language": catalogue.info.language,
        "licence": catalogue.info.licence,
        "products": count,
        "left_out": catalogue.info.left_out,
        "categories": dict(Counter(p.categories[0] for p in catalogue if p.categories).most_common()),
        "types": dict(Counter(p.attributes["type"] for p in catalogue if "type" in p.attributes).most_common()),
        "attributes": {
            name: {"products": counts.total(), "values": dict(counts.most_common())}
            for name, counts in sorted(attributes.items(), key=lambda entry: -entry[1].total())
        },
        "visual": dict(Counter(name for p in catalogue for name in p.visual).most_common()),
        "price": {
            "products": len(prices),
            "lowest": prices[0],
            "median": prices[len(prices) // 2],
            "highest": prices[-1],
            "currencies": dict(Counter(p.currency for p in catalogue if p.currency).most_common()),
        }
        if prices
        else None,
        "pictures": len({picture.hash for picture in pictures}),
        "picture_sizes": dict(Counter(f"{p.width}x{p.height}" for p in pictures).most_common(_SHOWN_VALUES)),
    }


def _of_settings(ctx: typer.Context) -> set[str]:
    """The parameters whose values come from `synth.toml`."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {name for name, source in sources.items() if source is not None and source.name == "DEFAULT_MAP"}


def _set_for_another(ctx: typer.Context, file: Path) -> bool:
    """Whether `synth.toml` describes another product file than the one that was named."""
    stated = (ctx.default_map or {}).get("file")
    return stated is not None and Path(stated).resolve() != file.resolve()


def _pair(entry: str) -> tuple[str, str]:
    name, equals, column = entry.partition("=")
    if not equals or not name.strip():
        raise SynthError(f"--map {entry!r} is not FIELD=COLUMN.", "For example: --map title=Name")
    return name.strip(), column.strip()


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar with rate and time left on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("rows", total=None, rate="")

        def report(done: int, total: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield report


def _print_map(table: Table, columns: ColumnMap) -> None:
    print(f"{table.path}: {table.format}")
    width = max(len(column) for column in table.columns)
    by_column = columns.by_column()
    for column in table.columns:
        meaning = by_column.get(column) or f"left out ({columns.ignored.get(column, 'not mapped')})"
        print(f"  {column:<{width}}  {meaning}")
    if "id" not in columns.fields:
        print(f"  {'(row number)':<{width}}  id")


def _print_result(catalogue: Catalogue) -> None:
    out = catalogue.folder
    left_out = catalogue.info.left_out
    print(f"{len(catalogue):,} products, {sum(left_out.values()):,} rows left out, language {catalogue.info.language}")
    for reason, count in sorted(left_out.items(), key=lambda entry: -entry[1]):
        print(f"  {count:>7,}  {reason}")
    if left_out:
        print(f"Which ones and why: {out / 'left_out.jsonl'}")
    print(f"The catalogue is in {out}")
    print(f"Next: synth catalog show {out}, or synth generate --catalog {out}")


def _print_product(catalogue: Catalogue, product: Product) -> None:
    price = f"{product.price:g} {product.currency or ''}".strip() if product.price is not None else ""
    rows = {
        "title": product.title,
        "categories": " > ".join(product.categories),
        "price": price,
        **product.attributes,
        **{f"picture: {name}": value for name, value in product.visual.items()},
        **{f"feature {n}": entry for n, entry in enumerate(product.features, 1)},
        **product.descriptions,
        "licence": product.licence or "",
        **{f"image {n}": str(catalogue.image_path(p)) for n, p in enumerate(product.images, 1)},
    }
    print(product.id)
    for name, value in rows.items():
        if value:
            print(f"  {name:<22}{value}")


def _print_overview(catalogue: Catalogue, facts: dict[str, Any]) -> None:
    count = facts["products"]
    print(f"{facts['name']}: {count:,} products from {facts['source']}, language {facts['language']}")
    print(f"  licence     {facts['licence'] or 'not said'}")
    print(f"  pictures    {facts['pictures']:,}, most are {next(iter(facts['picture_sizes']), 'none')} pixels")
    prices = facts["price"]
    if prices:
        money = "/".join(prices["currencies"]) or "no currency said"
        print(
            f"  prices      {prices['lowest']:g} to {prices['highest']:g}, median {prices['median']:g} ({money}); "
            f"{prices['products'] / count:.0%} of products"
        )
    for name in ("categories", "types"):
        if facts[name]:
            print(f"  {name:<12}{_top(facts[name])}")
    for name, entry in facts["attributes"].items():
        if name != "type":
            print(f"  {name:<12}{entry['products'] / count:>4.0%}  {_top(entry['values'])}")
    if facts["visual"]:
        shares = ", ".join(f"{name.replace('_', ' ')} {n / count:.0%}" for name, n in facts["visual"].items())
        print(f"  seen in pictures: {shares}")
    if facts["left_out"]:
        print(f"  left out: {_top(facts['left_out'])}")


def _top(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{value} {n:,}" for value, n in list(counts.items())[:_SHOWN_VALUES])
    more = len(counts) - _SHOWN_VALUES
    return f"{shown} and {more:,} more" if more > 0 else shown
