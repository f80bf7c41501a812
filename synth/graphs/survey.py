"""A survey: many questions about finished conversations, put to a model through a gateway with a log of its own.

What is in the log is never paid again: the same command goes on where it was stopped, and a larger one pays for what
is new. The log lies in a folder beside the data, so that a run's own log holds nothing but what made the run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import tomli_w

from synth import __version__
from synth.corpora.catalogue import Catalogue, CatalogueInfo
from synth.corpora.records import Product
from synth.errors import SynthError
from synth.graphs.context import asker
from synth.graphs.loop import in_loop, run_until_stopped
from synth.graphs.models import (
    check_models,
    frozen_prices,
    open_gateway,
    open_providers,
    run_prices,
    unpriced_models,
)
from synth.graphs.options import Options, check_options, resolve
from synth.graphs.progress import Progress
from synth.graphs.rehearsal import Expected, Question, Rehearsal
from synth.graphs.settings import Settings
from synth.llm.gateway import CallFailed, Gateway
from synth.llm.pictures import Pictures
from synth.llm.pricing import Price
from synth.llm.provider import ImageData, ModelName, Provider
from synth.prompts.calls import Call
from synth.prompts.templates import Prompts
from synth.traces.run import FORMAT, RunFolder, write_atomically
from synth.traces.store import RunStore

T = TypeVar("T")
KIND = "survey"
_MIME = {".png": "image/png", ".webp": "image/webp"}
_SHOWN = 3
"""Failed questions that are named one by one."""


@dataclass(frozen=True)
class Subject:
    """What the questions are about."""

    products: Sequence[Product]
    pictures: Mapping[str, Path]
    """Files by content hash."""


@dataclass(frozen=True)
class Answers(Generic[T]):
    """What came of it."""

    values: tuple[T | None, ...]
    """In the questions' order; None where no usable answer came."""
    usd: float
    """Spent in the folder over all starts, lost calls at their worst case."""
    calls: int
    """In the folder's log."""


Confirm = Callable[[Expected], bool]


class Survey:
    """
    Args:
        options: those of a run, of which a survey heeds the ones on models, money, speed and pictures.
        folder: of the log; made if it is not there.

    Raises:
        SynthError: a number is out of range, or there is no such model or prompt file.
    """

    def __init__(self, options: Options, folder: Path, subject: Subject) -> None:
        check_options(options)
        self._options = options
        self.folder = RunFolder(folder)
        self._subject = subject
        self.prompts = Prompts(options.prompts, options.images)
        self._catalogue = Catalogue(folder, CatalogueInfo(name="", source=""), list(subject.products))
        # A survey has one model, and perhaps another that describes the pictures for it.
        own = replace(options, rewriter=None, checker=None, judge=None)
        self.settings = resolve(own, self._catalogue, self.prompts)
        self._names = self.settings.model_names()
        self._pictures = Pictures(self._load, "full" if options.images == "full" else "low")

    @property
    def model(self) -> ModelName:
        return self._names["judge"]

    @property
    def offline(self) -> bool:
        return all(name.provider == "offline" for name in self._names.values())

    def temperature(self, call: Call[Any, Any]) -> float:
        return self.settings.role_temperatures().get(call.role, call.temperature)

    def expect(self, questions: Sequence[Question[Any]], progress: Progress) -> Expected:
        """Renders every prompt as it would be sent; lengths of answers are the offline simulator's."""
        providers = self._providers()
        prices = run_prices(self.settings, providers, self._options, self._frozen())
        unpriced = unpriced_models(self.settings, providers, self._options, self._frozen())
        in_loop(_close(providers))
        rehearsal = Rehearsal(self.settings, self.prompts, self._pictures, self._subject.products)
        progress.stage("estimating", len(questions))
        with contextlib.ExitStack() as stack:
            store = None
            if (self.folder.path / "run.db").is_file():
                store = stack.enter_context(contextlib.closing(self.folder.store(readonly=False)))
            in_loop(rehearsal.play(questions, store, progress))
        batch = self._options.mode != "online"
        return Expected(rehearsal.lines(prices, batch=batch), tuple(unpriced), batch)

    def run(
        self, questions: Sequence[Question[T]], title: str, progress: Progress, confirm: Confirm | None = None
    ) -> Answers[T]:
        """Asks what is not in the log.

        Args:
            title: of the stage, for whoever watches.
            confirm: shown what a model is expected to cost, before anything is paid; False stops.

        Raises:
            SynthError: the folder is something else, no call can work, or the cap is reached; the log keeps what came.
            KeyboardInterrupt: stopped, or not confirmed.
        """
        self._check_folder()
        providers = self._providers()
        prices = run_prices(self.settings, providers, self._options, self._frozen())
        in_loop(_check_and_close(self.settings, providers))
        if not self.offline:
            expected = self.expect(questions, progress)
            if expected.calls and confirm and not confirm(expected):
                raise KeyboardInterrupt
        self._write_config(prices)
        self.folder.lock()
        try:
            (self.folder.path / "stop").unlink(missing_ok=True)
            with contextlib.closing(self.folder.store(readonly=False)) as store:
                work = self._ask(questions, title, store, prices, progress)
                values, usd = run_until_stopped(work, self.folder.path / "stop")
                return Answers(tuple(values), usd, sum(store.call_counts().values()))
        finally:
            self.folder.unlock()

    async def _ask(
        self,
        questions: Sequence[Question[T]],
        title: str,
        store: RunStore,
        prices: Mapping[str, Price],
        progress: Progress,
    ) -> tuple[list[T | None], float]:
        options = self._options
        providers = self._providers()
        opened = open_gateway(options, self.settings, self.prompts, providers, self._pictures, prices, store, progress)
        async with opened as gateway:
            progress.watch(gateway)
            progress.stage(title, len(questions))
            # A batch takes all that waits.
            slots = asyncio.Semaphore(options.in_flight if options.mode == "online" else max(len(questions), 1))
            values = await _all(questions, gateway, slots, progress)
            return values, gateway.budget.spent

    def _providers(self) -> dict[str, Provider]:
        return open_providers(self.settings, self._catalogue, self._pictures, self._options)

    def _load(self, image: str) -> ImageData:
        path = self._subject.pictures[image]
        return ImageData(path.read_bytes(), _MIME.get(path.suffix.lower(), "image/jpeg"))

    def _check_folder(self) -> None:
        if self.folder.exists() and self.folder.config().get("kind") != KIND:
            raise SynthError(
                f"{self.folder.path} is a run, and its log is for what made it.", "Choose another folder with --out."
            )

    def _frozen(self) -> Any:
        return self.folder.config().get("prices") if self.folder.exists() else None

    def _write_config(self, prices: Mapping[str, Price]) -> None:
        """What was asked last, without secrets; prices of models asked before stay."""
        models = {role: self.settings.models[role] for role in ("judge", "captioner")}
        config = {"synth": __version__, "kind": KIND, "seed": self.settings.seed, "models": models}
        new = frozen_prices(prices)
        if not self.folder.exists():
            self.folder.create({**config, **new})
            return
        old = self._frozen() or {}
        if new and old:
            new["prices"]["models"] = {**old["models"], **new["prices"]["models"]}
        elif old:
            new = {"prices": old}
        write_atomically(self.folder.path / "config.toml", tomli_w.dumps({"format": FORMAT, **config, **new}))


async def _all(
    questions: Sequence[Question[T]], gateway: Gateway, slots: asyncio.Semaphore, progress: Progress
) -> list[T | None]:
    done = failed = 0

    async def one(question: Question[T]) -> T | None:
        nonlocal done, failed
        value = None
        async with slots:
            try:
                value = await question.put(asker(gateway, question.stage, question.item))
            except CallFailed as error:
                failed += 1
                if failed <= _SHOWN:
                    progress.note(f"no answer: {error}")
        done += 1
        progress.advance(done)
        return value

    tasks = [asyncio.create_task(one(question)) for question in questions]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(providers: Mapping[str, Provider]) -> None:
    await asyncio.gather(*(provider.close() for provider in providers.values()))


async def _check_and_close(settings: Settings, providers: Mapping[str, Provider]) -> None:
    try:
        await check_models(settings, providers)
    finally:
        await _close(providers)
