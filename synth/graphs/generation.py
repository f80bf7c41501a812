"""`generate`: from a catalogue and a few settings to a run with accepted conversations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth import __version__
from synth.agents.captioner import caption
from synth.corpora.attributes import brands
from synth.corpora.catalogue import Catalogue
from synth.corpora.records import Candidate, Product
from synth.corpora.summary import compose
from synth.errors import SynthError
from synth.graphs.context import asker
from synth.graphs.options import Options, check_options, resolve
from synth.graphs.pipeline import Pipeline, Totals
from synth.graphs.progress import Progress
from synth.graphs.settings import Settings
from synth.index import Index, Searcher, build_index, default_folder
from synth.llm.gateway import CallFailed, Gateway
from synth.llm.offline import OfflineProvider
from synth.llm.provider import ImageData, Provider
from synth.llm.providers import open_provider
from synth.prompts.templates import Prompts
from synth.traces.run import RunFolder, list_runs
from synth.traces.store import RunStore

SAMPLE = "sample"
SAMPLE_PRODUCTS = 2000
_STOP_POLL = 0.5
"""Seconds between looks for a stop request."""


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


def generate(options: Options, progress: Progress | None = None) -> Summary:
    """Starts, resumes or extends a run.

    Raises:
        SynthError: an input is wrong, a filter lets nothing through, or no model call can work.
        KeyboardInterrupt: stopped by Ctrl-C or `synth run stop`; what is done is kept.
    """
    check_options(options)
    progress = progress or Progress()
    started = time.monotonic()
    catalogue = _catalogue(options, progress)
    prompts = Prompts(options.prompts)
    settings = resolve(options, catalogue, prompts)
    run, resumed = find_run(options, settings, catalogue)
    providers = _providers(settings, catalogue, options)
    if not resumed:
        run.create({"synth": __version__, "catalogue_name": catalogue.info.name, **settings.model_dump(mode="json")})
    run.lock()
    try:
        (run.path / "stop").unlink(missing_ok=True)
        with _log_to(run.path / "run.log"), contextlib.closing(run.store(readonly=False)) as store:
            progress.note(f"{'resuming' if resumed else 'starting'} {run.path}")
            store.set_meta("convs", max(options.convs, store.meta("convs") or 0))
            run.keep_catalogue(catalogue)
            totals = _run(_bring_about(options, settings, run, store, catalogue, prompts, providers, progress), run)
            store.set_meta("finished", True)
            calls = store.call_counts()
    finally:
        run.unlock()
    return Summary(
        run=run.path,
        resumed=resumed,
        finished=True,
        accepted=totals.accepted,
        convs=options.convs,
        totals=totals,
        seconds=time.monotonic() - started,
        calls=calls,
    )


async def _bring_about(
    options: Options,
    settings: Settings,
    run: RunFolder,
    store: RunStore,
    catalogue: Catalogue,
    prompts: Prompts,
    providers: dict[str, Provider],
    progress: Progress,
) -> Totals:
    gateway = Gateway(
        prompts, settings.model_names(), providers, store, seed=settings.seed, max_concurrency=options.max_concurrency
    )
    try:
        if settings.models["captioner"] != "none":
            catalogue = await _captioned(catalogue, run, gateway, options.in_flight, progress)
        searcher = Searcher(_index(catalogue, settings.encoders, progress))

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
            convs=max(options.convs, run.accepted()),
            in_flight=options.in_flight,
        )
        return await pipeline.run()
    finally:
        await gateway.close()


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
        differing = settings.differences(_comparable(run.config()))
        if differing:
            raise SynthError(
                f"{options.out} is a run with other settings ({', '.join(differing)}).",
                "Choose another --out, or repeat its settings.",
            )
        return run, True
    name = f"{_slug(catalogue.info.name)}-{settings.identity()}"
    same = [run for run in list_runs(options.runs) if run.path.name.startswith(name)]
    if same and not options.fresh:
        newest = max(same, key=lambda run: _number(run.path.name, name))
        newest.config()
        return newest, True
    taken = max((_number(run.path.name, name) for run in same), default=0)
    return RunFolder(options.runs / (f"{name}-{taken + 1}" if taken else name)), False


def _catalogue(options: Options, progress: Progress) -> Catalogue:
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


def _providers(settings: Settings, catalogue: Catalogue, options: Options) -> dict[str, Provider]:
    pictures = {picture.hash: picture for product in catalogue for picture in product.images}

    def load(image: str) -> ImageData:
        picture = pictures[image]
        return ImageData(catalogue.image_path(picture).read_bytes(), picture.mime)

    providers: dict[str, Provider] = {}
    for name in settings.model_names().values():
        if name.provider in providers:
            continue
        if name.provider == "offline":
            providers[name.provider] = OfflineProvider(catalogue)
        else:
            # The address is that of an OpenAI-compatible server; no other provider's key may go there.
            base_url = options.base_url if name.provider == "openai" else None
            providers[name.provider] = open_provider(name, base_url=base_url, image=load)
    return providers


def _index(catalogue: Catalogue, encoders: tuple[str, ...], progress: Progress) -> Index:
    """The catalogue's index, built if there is none for these encoders yet."""
    folder = default_folder(catalogue)
    with contextlib.suppress(SynthError):
        return Index.open(folder, catalogue, encoders)
    progress.stage("indexing", len(catalogue))
    return build_index(catalogue, folder, encoders, progress=lambda _, done, total: progress.advance(done))


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


def _run(work: Coroutine[Any, Any, Totals], run: RunFolder) -> Totals:
    """Runs the event loop until the work is done, Ctrl-C, SIGTERM or a stop request."""

    async def watched() -> Totals:
        task = asyncio.create_task(work)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        while not (run.path / "stop").exists():
            finished, _ = await asyncio.wait({task}, timeout=_STOP_POLL)
            if finished:
                return task.result()
        task.cancel()
        return await task

    def call() -> Totals:
        return asyncio.run(watched())

    try:
        # A notebook has a running loop of its own in this thread.
        return ThreadPoolExecutor(1).submit(call).result() if _loop_is_running() else call()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("format", "synth", "catalogue_name")}


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")[:40] or "run"


def _number(folder: str, name: str) -> int:
    rest = folder[len(name) :].lstrip("-")
    return int(rest) if rest.isdigit() else 1
