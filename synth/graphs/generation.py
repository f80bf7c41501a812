"""`generate`: from a catalogue and a few settings to a run with accepted conversations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from synth import __version__
from synth.agents.captioner import caption
from synth.corpora.attributes import brands
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Candidate, Product
from synth.corpora.summary import compose
from synth.errors import SynthError
from synth.graphs.context import asker
from synth.graphs.decisions import Totals
from synth.graphs.loop import in_loop, run_until_stopped
from synth.graphs.models import (
    check_models,
    frozen_prices,
    open_gateway,
    open_pictures,
    open_providers,
    run_prices,
    unpriced_models,
)
from synth.graphs.options import Options, check_options, resolve
from synth.graphs.pipeline import Pipeline
from synth.graphs.progress import Progress
from synth.graphs.settings import Settings, comparable
from synth.graphs.shard import scenarios_source, take_scenarios
from synth.index import Index, Searcher, open_or_build
from synth.index.encoders import variants
from synth.llm.gateway import CallFailed, Gateway
from synth.llm.pricing import Price, parse_prices
from synth.llm.provider import Provider
from synth.prompts.templates import Prompts
from synth.traces.events import RunSpan
from synth.traces.run import RunFolder, list_runs
from synth.traces.store import RunStore

if TYPE_CHECKING:
    from synth.graphs.estimate import Estimate

T = TypeVar("T")
Confirm = Callable[["Estimate"], bool]
SAMPLE = "sample"
SAMPLE_PRODUCTS = 2000


@dataclass(frozen=True)
class Summary:
    """How a call of `generate` ended."""

    run: Path
    resumed: bool
    finished: bool
    accepted: int
    convs: int
    totals: Totals
    seconds: float
    calls: dict[str, int]
    usd: float
    """Spent on the run over all its starts, lost calls at their worst case."""
    report: Path | None
    """None for a shard, or where it could not be written."""


def generate(options: Options, progress: Progress | None = None, confirm: Confirm | None = None) -> Summary:
    """Starts, resumes or extends a run.

    Args:
        confirm: shown what a run with a paid model is expected to cost, before anything is paid; False stops.

    Raises:
        SynthError: an input is wrong, a filter lets nothing through, no model call can work, or the cap is reached.
        KeyboardInterrupt: stopped by Ctrl-C or `synth run stop`, or not confirmed; what is done is kept.
    """
    check_options(options)
    progress = progress or Progress()
    started = time.monotonic()
    catalogue = open_catalogue(options, progress)
    prompts = Prompts(options.prompts, options.images)
    options, settings, run, resumed = settle(options, catalogue, prompts)
    source = scenarios_source(options.scenarios_from, settings) if options.scenarios_from else None
    prices = _agree(options, settings, catalogue, run, resumed, progress, confirm)
    if not resumed:
        known = {"synth": __version__, "catalogue_name": catalogue.info.name}
        part = {} if options.shard.whole else {"shard": str(options.shard)}
        run.create({**known, **part, **settings.model_dump(mode="json"), **frozen_prices(prices)})
    run.lock()
    try:
        (run.path / "stop").unlink(missing_ok=True)
        with _log_to(run.path / "run.log"), contextlib.closing(run.store(readonly=False)) as store:
            progress.note(f"{'resuming' if resumed else 'starting'} {run.path}")
            progress.note(f"products are found by {' and '.join(settings.encoders)}")
            store.set_meta("convs", max(options.wanted, store.meta("convs") or 0))
            store.set_meta("convs_of_all", max(options.convs, store.meta("convs_of_all") or 0))
            run.keep_catalogue(catalogue)
            if source is not None:
                take_scenarios(source, run, store, settings)
            work = _bring_about(options, settings, run, store, catalogue, prompts, prices, progress)
            with _span(run, store):
                totals, usd = run_until_stopped(work, run.path / "stop")
            store.set_meta("finished", True)
            calls = store.call_counts()
    finally:
        run.unlock()
    seconds = time.monotonic() - started
    return Summary(
        run=run.path,
        resumed=resumed,
        finished=True,
        accepted=totals.accepted,
        convs=options.wanted,
        totals=totals,
        seconds=seconds,
        calls=calls,
        usd=usd,
        report=_report(run, progress) if options.shard.whole else None,
    )


def _report(run: RunFolder, progress: Progress) -> Path | None:
    """Writes the run's report, unless it is there and of the rows that the run has."""
    from synth.analysis.report import FILE, is_current, write_report

    if is_current(run.path):
        return run.path / FILE
    with _log_to(run.path / "run.log"):
        progress.stage("report", 1)
        try:
            path = write_report(run.path)
        except Exception as error:  # what was made, and perhaps paid, is there all the same
            logging.getLogger("synth").warning("no report", exc_info=True)
            progress.note(f"no report was written: {error}")
            return None
        progress.advance(1)
    return path


def _agree(
    options: Options,
    settings: Settings,
    catalogue: Catalogue,
    run: RunFolder,
    resumed: bool,
    progress: Progress,
    confirm: Confirm | None,
) -> dict[str, Price]:
    """Prices of the run's models, once the servers are there and the money is agreed to.

    Raises:
        SynthError: a server, a key or a model is not there; the cap is lower than one conversation.
        KeyboardInterrupt: not confirmed.
    """
    given = parse_prices(options.prices)
    if not given and all(name.provider == "offline" for name in settings.model_names().values()):
        return {}  # without opening the simulator once more than the run does
    providers = open_providers(settings, catalogue, open_pictures(catalogue, settings), options)
    frozen = run.config().get("prices") if resumed else None
    prices = run_prices(settings, providers, options, frozen)
    left = options.wanted - run.accepted() if resumed else options.wanted
    if left <= 0 or all(name.provider == "offline" for name in settings.model_names().values()):
        return prices
    in_loop(_check_and_close(settings, providers))
    # A model of unknown price costs something too.
    asks = confirm if prices or unpriced_models(settings, providers, options, frozen) else None
    cap = options.max_usd if prices and not resumed else None
    if asks or cap is not None:
        from synth.graphs.estimate import estimate

        expected = estimate(options, progress)
        if cap is not None and cap < expected.usd_first:
            raise SynthError(
                f"--max-usd {cap:g} is less than one conversation is expected to cost with the scenarios "
                f"before it ({expected.usd_first:.4f} USD).",
                "Raise it, ask for fewer --scenarios, or use a cheaper model.",
            )
        if asks and not asks(expected):
            raise KeyboardInterrupt
    return prices


async def _check_and_close(settings: Settings, providers: Mapping[str, Provider]) -> None:
    try:
        await check_models(settings, providers)
    finally:
        await asyncio.gather(*(provider.close() for provider in providers.values()))


async def _bring_about(
    options: Options,
    settings: Settings,
    run: RunFolder,
    store: RunStore,
    catalogue: Catalogue,
    prompts: Prompts,
    prices: Mapping[str, Price],
    progress: Progress,
) -> tuple[Totals, float]:
    """What became of the draws, and USD spent over all starts."""
    pictures = open_pictures(catalogue, settings)
    providers = open_providers(settings, catalogue, pictures, options)
    async with open_gateway(options, settings, prompts, providers, pictures, prices, store, progress) as gateway:
        progress.watch(gateway)
        if settings.captions:
            catalogue = await _captioned(catalogue, run, gateway, options.in_flight, progress)
        searcher = Searcher(_index(catalogue, options.encoders, progress))

        async def search(query: str, k: int, exclude: Collection[str]) -> list[Candidate]:
            return await searcher.search(query, k, exclude=exclude)

        pipeline = Pipeline(
            run,
            settings,
            catalogue,
            brands(catalogue),
            gateway,
            search,
            progress,
            convs=max(options.wanted, run.accepted()),
            in_flight=options.in_flight,
            batched=options.mode != "online",
            shard=options.shard,
        )
        return await pipeline.run(), gateway.budget.spent


def settle(options: Options, catalogue: Catalogue, prompts: Prompts) -> tuple[Options, Settings, RunFolder, bool]:
    """The options with `auto` settled, the run's settings, its folder, and whether it holds a run to go on with.

    `auto` stands for the best encoders on this machine, but a run is gone on with those it was begun with.

    Raises:
        SynthError: as `resolve` and `find_run`.
    """
    settled: list[tuple[Options, Settings, RunFolder, bool]] = []
    problem: SynthError | None = None
    for encoders in variants(options.encoders, len(catalogue)):
        chosen = replace(options, encoders=encoders)
        settings = resolve(chosen, catalogue, prompts)
        try:
            settled.append((chosen, settings, *find_run(chosen, settings, catalogue)))
        except SynthError as error:
            problem = problem or error
    if not settled:
        assert problem is not None
        raise problem
    return next((found for found in settled if found[-1]), settled[0])


def find_run(options: Options, settings: Settings, catalogue: Catalogue) -> tuple[RunFolder, bool]:
    """The folder to work in, and whether it holds a run to go on with.

    Raises:
        SynthError: `--out` names a run with other settings, or a folder that is no run.
    """
    if options.out is not None:
        run = RunFolder(options.out)
        if not run.exists():
            return run, False
        if options.fresh:
            raise SynthError(f"{options.out} holds a run already.", "Leave out --fresh, or choose another --out.")
        config = run.config()
        if "merged" in config:
            raise SynthError(
                f"{options.out} was merged from different runs, and cannot be gone on with.",
                "Go on with them, and merge them again.",
            )
        part = config.get("shard", "1/1")
        if part != str(options.shard):
            what = "a whole run" if part == "1/1" else f"shard {part} of a run"
            raise SynthError(f"{options.out} is {what}.", "Choose another --out, or repeat its --shard.")
        differing = settings.differences(comparable(config))
        if differing:
            raise SynthError(
                f"{options.out} is a run with other settings ({', '.join(differing)}).",
                "Choose another --out, or repeat its settings.",
            )
        return run, True
    name = f"{_slug(catalogue.info.name)}-{settings.identity()}{options.shard.suffix}"
    found = [run for run in list_runs(options.runs) if re.fullmatch(rf"{re.escape(name)}(-\d+)?", run.path.name)]
    same = [run for run in found if not (run.path / "variant.jsonl").exists()]
    if same and not options.fresh:
        newest = max(same, key=lambda run: _number(run.path.name, name))
        newest.config()
        return newest, True
    taken = max((_number(run.path.name, name) for run in same), default=0)
    return RunFolder(options.runs / (f"{name}-{taken + 1}" if taken else name)), False


def open_catalogue(options: Options, progress: Progress) -> Catalogue:
    """The catalogue named, or the drawn sample.

    Raises:
        SynthError: it is none, has no pictures, or is too small for so many conversations.
    """
    if options.catalog is None:
        folder = Path("catalogues") / SAMPLE
        if not (folder / "catalogue.json").is_file():
            from synth.corpora.drawing import draw_catalogue

            progress.stage("drawing the sample catalogue", SAMPLE_PRODUCTS)
            draw_catalogue(folder, SAMPLE_PRODUCTS, progress=lambda done, total: progress.advance(done))
        catalogue = Catalogue.open(folder)
    elif options.catalog.is_file():
        raise SynthError(
            f"{options.catalog} is a file, not an imported catalogue.",
            f"Run `synth catalog import {options.catalog}` first.",
        )
    else:
        catalogue = Catalogue.open(options.catalog)
    usable = sum(bool(product.images) for product in catalogue)
    if not usable:
        raise SynthError(f"No product of {catalogue.folder} has a picture.", "Import it with its pictures.")
    if options.convs > options.per_product * usable:
        raise SynthError(
            f"{usable} products cannot carry {options.convs} different conversations "
            f"(at most {options.per_product} each: {options.per_product * usable}).",
            "Ask for fewer --convs, use a larger catalogue, or raise --per-product.",
        )
    return catalogue


def _index(catalogue: Catalogue, encoders: tuple[str, ...], progress: Progress) -> Index:
    """The catalogue's index, built if there is none for these encoders yet."""
    shown = ""

    def report(encoder: str, done: int, total: int) -> None:
        nonlocal shown
        if encoder != shown:
            shown = encoder
            progress.stage(f"indexing by {encoder}", total)
        progress.advance(done)

    return open_or_build(catalogue, encoders, report)


async def _captioned(
    catalogue: Catalogue, run: RunFolder, gateway: Gateway, in_flight: int, progress: Progress
) -> Catalogue:
    """The catalogue with a model's summaries, kept in the run; each product is asked for once (MUSE A.1)."""
    folder = run.path / "catalogue"
    try:
        kept = Catalogue.open(folder, images=catalogue.images)
    except SynthError:  # a process died while it wrote the captioned records; the captions are in the log
        run.keep_catalogue(catalogue, anew=True)
        kept = Catalogue.open(folder, images=catalogue.images)
    if all("summary" in product.descriptions for product in kept):
        return kept
    progress.stage("captions", len(catalogue))
    slots = asyncio.Semaphore(in_flight)
    done = 0

    async def one(number: int, product: Product) -> Product:
        nonlocal done
        async with slots:
            try:
                captioned = await caption(product, asker(gateway, "caption", number))
            except CallFailed as error:
                progress.note(f"{product.id}: {error}; its summary is composed from its record")
                composed = {**product.descriptions, "summary": compose(product)}
                captioned = product.model_copy(update={"descriptions": composed})
        done += 1
        progress.advance(done)
        return captioned

    products = list(await asyncio.gather(*(one(number, product) for number, product in enumerate(catalogue))))
    return catalogue.rewritten(folder, products)


@contextlib.contextmanager
def _span(run: RunFolder, store: RunStore) -> Iterator[None]:
    """Puts a start of the run on record; one that is killed leaves none."""
    started, reason = time.time(), ""
    ended: Literal["finished", "stopped", "failed"] = "finished"
    try:
        yield
    except KeyboardInterrupt:
        ended = "stopped"
        raise
    except SynthError as error:
        ended, reason = "failed", str(error)
        raise
    finally:
        span = RunSpan(
            synth=__version__,
            started=started,
            seconds=time.time() - started,
            accepted=run.accepted(),
            ended=ended,
            reason=reason,
        )
        with contextlib.suppress(SynthError):  # a store that cannot be written has said so already
            store.finish("run", len(store.results("run")), "", [span])


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("synth")
    log.setLevel(logging.INFO)
    loggers = (log, logging.getLogger("asyncio"))  # asyncio's complaints about a stopped run are for the log
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    except SynthError as error:
        log.error("%s", error)
        raise
    except KeyboardInterrupt:
        log.warning("interrupted")
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")[:40] or "run"


def _number(folder: str, name: str) -> int:
    rest = folder[len(name) :].lstrip("-")
    return int(rest) if rest.isdigit() else 1
