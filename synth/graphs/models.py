"""The models of a run: providers opened and looked at, prices frozen, limits and the money cap set up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from synth.corpora.catalogue import Catalogue
from synth.errors import SynthError
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.graphs.settings import Settings
from synth.llm.batch import BatchClient, batch_client
from synth.llm.budget import Budget
from synth.llm.courier import Courier, Direct, Tariff
from synth.llm.gateway import Gateway
from synth.llm.limiter import Limits
from synth.llm.offline import OfflineProvider
from synth.llm.pictures import Pictures
from synth.llm.pricing import FREE, Price, find_price, from_snapshot, parse_prices, snapshot
from synth.llm.provider import ImageData, ModelError, ModelName, Provider
from synth.llm.providers import open_provider
from synth.llm.remote import RemoteProvider
from synth.llm.waves import Waves, batched_keys
from synth.prompts.templates import Prompts
from synth.traces.store import RunStore


def open_pictures(catalogue: Catalogue, settings: Settings) -> Pictures:
    """The catalogue's pictures as they go out."""
    pictures = {picture.hash: picture for product in catalogue for picture in product.images}

    def load(image: str) -> ImageData:
        picture = pictures[image]
        return ImageData(catalogue.image_path(picture).read_bytes(), picture.mime)

    return Pictures(load, "full" if settings.images == "full" else "low")


def open_providers(
    settings: Settings, catalogue: Catalogue, pictures: Pictures, options: Options
) -> dict[str, Provider]:
    """One provider by name for all roles; nothing is sent yet.

    Raises:
        SynthError: a key is not set, or an address is none.
    """
    providers: dict[str, Provider] = {}
    for name in settings.model_names().values():
        if name.provider in providers:
            continue
        if name.provider == "offline":
            providers[name.provider] = OfflineProvider(catalogue)
        else:
            # The address is that of an OpenAI-compatible server; no other provider's key may go there.
            base_url = options.base_url if name.provider == "openai" else None
            providers[name.provider] = open_provider(
                name, base_url=base_url, pictures=pictures, timeout=options.timeout
            )
    return providers


def run_prices(
    settings: Settings, providers: Mapping[str, Provider], options: Options, frozen: Any = None
) -> dict[str, Price]:
    """Prices by model: those given by flag, those that the run began with, those known today. What is free is left out.

    Raises:
        SynthError: there is a money cap, and nobody knows what a model costs.
    """
    prices: dict[str, Price] = {}
    for name, price in _known_prices(settings, providers, options, frozen).items():
        if price is None and options.max_usd is not None:
            raise SynthError(
                f"Nobody here knows what {name} costs, so --max-usd cannot be kept.",
                f"Give its price: --price {name.model}=IN/OUT in USD per million tokens.",
            )
        if price is not None and price != FREE:
            prices[str(name)] = price
    return prices


def unpriced_models(
    settings: Settings, providers: Mapping[str, Provider], options: Options, frozen: Any = None
) -> list[str]:
    """Models that cost something, and nobody here knows how much."""
    known = _known_prices(settings, providers, options, frozen)
    return [str(name) for name, price in known.items() if price is None]


def _known_prices(
    settings: Settings, providers: Mapping[str, Provider], options: Options, frozen: Any
) -> dict[ModelName, Price | None]:
    given = parse_prices(options.prices)
    began = from_snapshot(frozen) if frozen else {}
    prices: dict[ModelName, Price | None] = {}
    for name in settings.model_names().values():
        provider = providers[name.provider]
        local = isinstance(provider, RemoteProvider) and provider.endpoint.url is not None
        # A flag names the model with its provider or without; what the run began with has the provider always.
        flagged = str(name) in given or name.model in given
        prices[name] = find_price(name, given if flagged else began, local=local)
    return prices


def frozen_prices(prices: Mapping[str, Price]) -> dict[str, Any]:
    """The prices as they go into the run's config.toml."""
    return {"prices": snapshot(prices)} if prices else {}


async def check_models(settings: Settings, providers: Mapping[str, Provider]) -> None:
    """Asks each server for its models, which costs nothing.

    Raises:
        SynthError: a server is down, refuses the key, or has no such model.
    """
    for name in dict.fromkeys(settings.model_names().values()):
        provider = providers[name.provider]
        if isinstance(provider, RemoteProvider):
            try:
                await provider.check(name.model)
            except ModelError as error:
                raise SynthError(f"{name}: {error}.", "See `synth doctor --llm " + f"{name}`.") from error


@contextlib.asynccontextmanager
async def open_gateway(
    options: Options,
    settings: Settings,
    prompts: Prompts,
    providers: Mapping[str, Provider],
    pictures: Pictures,
    prices: Mapping[str, Price],
    store: RunStore,
    progress: Progress,
) -> AsyncIterator[Gateway]:
    """The gateway of a run, closed with its providers at the end.

    Raises:
        SynthError: batches are asked for, and a provider has none.
    """
    for name in unpriced_models(settings, providers, options):
        if name not in prices:
            progress.note(f"unknown price: {name} is counted as nothing; see --price")
    batched = batched_keys(store)
    if batched and options.mode == "online":
        raise SynthError(
            f"Batches with {len(batched)} calls of this run are still at the provider; asked one by one they would be "
            "paid twice.",
            "Go on with --mode batch or --mode auto.",
        )
    budget = Budget(store, options.max_usd, batched)
    tariff = Tariff(prices, pictures if any(isinstance(p, RemoteProvider) for p in providers.values()) else None)
    limits = Limits(options.max_concurrency, options.rpm, options.tpm)
    direct = Direct(providers, limits, budget, tariff)
    courier: Courier = direct
    try:
        if options.mode != "online":
            clients = await _batch_clients(providers)
            courier = Waves(store, budget, tariff, clients, direct if options.mode == "auto" else None, progress.note)
        gateway = Gateway(
            prompts,
            settings.model_names(),
            courier,
            tariff,
            budget,
            store,
            seed=settings.seed,
            temperatures=settings.role_temperatures(),
            described=settings.images == "described",
            thinking=settings.thinking,
        )
        async with contextlib.aclosing(gateway):
            yield gateway
    finally:
        await asyncio.gather(*(provider.close() for provider in providers.values()))


async def _batch_clients(providers: Mapping[str, Provider]) -> dict[str, tuple[RemoteProvider, BatchClient]]:
    clients = {}
    for name, provider in providers.items():
        if not isinstance(provider, RemoteProvider):
            raise SynthError(f"{name} has no batches.", "Use --mode online.")
        client = batch_client(provider)
        try:
            available = await client.available()
        except ModelError as error:
            raise SynthError(f"{name}: {error}.", "Use --mode online, or try again later.") from error
        if not available:
            raise SynthError(f"{name} at {provider.endpoint.url} has no batches.", "Use --mode online.")
        clients[name] = (provider, client)
    return clients
