"""What models cost.

Prices come from the data bundled with `genai-prices`, read once when a run begins and frozen into its settings;
nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from synth.errors import SynthError
from synth.llm.provider import ModelName, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

_MILLION = 1_000_000
_HALF = 0.5
"""Both providers sell batches at half price (OpenAI's and Anthropic's batch guides)."""
_IN_BATCH = {"processing": "batch"}
"""How `genai-prices` names what a price is for."""
_FORM = "Write --price MODEL=IN/OUT or MODEL=IN/CACHED/OUT, in USD per million tokens, e.g. my-model=0.15/0.60."


class Price(NamedTuple):
    """Prices of one model, in USD per million tokens.

    Where prices rise with the length of a prompt (from 100,000 tokens or more), these are the ones that hold from the
    first token: a conversation's prompts are a few thousand tokens long.
    """

    input: float
    cached: float
    """Of input read from the provider's prefix cache."""
    written: float
    """Of input written to it."""
    output: float
    batch: float = _HALF
    """Factor on all prices but `cached` for calls sent in a batch."""
    batch_cached: float | None = None
    """What `cached` is in a batch; None where a batch has no lower price for it than for other input."""

    def cost(self, usage: Usage, *, batch: bool = False) -> float:
        """USD for the tokens of one answer."""
        fresh = max(usage.input - usage.cached - usage.written, 0)
        others = fresh * self.input + usage.written * self.written + usage.output * self.output
        if batch:
            return (others * self.batch + usage.cached * self._cached_in_batch()) / _MILLION
        return (others + usage.cached * self.cached) / _MILLION

    def worst(self, input_tokens: int, output_tokens: int, *, batch: bool = False) -> float:
        """USD that so many tokens can cost at most; writing to a cache is dearer than reading without one."""
        price = max(self.input, self.cached, self.written) * input_tokens + self.output * output_tokens
        return price * (self.batch if batch else 1.0) / _MILLION

    def _cached_in_batch(self) -> float:
        return self.input * self.batch if self.batch_cached is None else self.batch_cached


FREE = Price(0.0, 0.0, 0.0, 0.0)


def find_price(name: ModelName, given: Mapping[str, Price], *, local: bool = False) -> Price | None:
    """The price of a model today; None where nobody knows it.

    Args:
        given: prices by flag, under `MODEL` or `PROVIDER:MODEL`; they go before all others.
        local: the model is on a server of the user's own, which costs nothing unless a price is given.
    """
    price = given.get(str(name)) or given.get(name.model)
    if price is not None:
        return price
    if local or name.provider == "offline":
        return FREE
    # Imported here because it takes a tenth of a second that offline runs do not need.
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name.model, None, name.provider, None)
    except LookupError:
        return None
    now = datetime.now(UTC)
    batch = any(variant.when == _IN_BATCH for variant in model.price_variants or ())
    return _price(model.get_prices(now), model.get_prices(now, _IN_BATCH) if batch else None)


def parse_prices(values: Sequence[str]) -> dict[str, Price]:
    """Prices given by flag, `MODEL=IN/OUT` or `MODEL=IN/CACHED/OUT`, by model.

    Raises:
        SynthError: a value has another form.
    """
    prices = {}
    for value in values:
        # The last =, since names of models may have one.
        model, _, numbers = value.rpartition("=")
        parts = [_number(part) for part in numbers.split("/")]
        model = model.strip()
        if not model or len(parts) not in (2, 3) or None in parts:
            raise SynthError(f"--price {value!r} cannot be read.", _FORM)
        known = [part for part in parts if part is not None]
        prices[model] = Price(input=known[0], cached=known[-2], written=known[0], output=known[-1])
    return prices


def snapshot(prices: Mapping[str, Price]) -> dict[str, Any]:
    """Prices and where they come from as a plain table for a run's settings; `from_snapshot` reads it."""
    return {
        "source": f"genai-prices {version('genai-prices')}",
        "date": datetime.now(UTC).date().isoformat(),
        "models": {name: _table(price) for name, price in prices.items()},
    }


def from_snapshot(table: Mapping[str, Any]) -> dict[str, Price]:
    """The prices that a run began with, by model.

    Raises:
        SynthError: the table has been changed by hand into something else.
    """
    try:
        rows = table["models"].items()
        return {name: Price(**{key: float(value) for key, value in row.items()}) for name, row in rows}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SynthError("The prices in config.toml cannot be read.", "Put the file back as it was.") from error


def _price(standard: ModelPrice, batch: ModelPrice | None) -> Price | None:
    input_, output = _base(standard.input_mtok), _base(standard.output_mtok)
    if input_ is None or output is None:
        return None
    cached = _base(standard.cache_read_mtok)
    written = _base(standard.cache_write_mtok)
    price = Price(input_, input_ if cached is None else cached, input_ if written is None else written, output)
    if batch is None or not input_:
        return price
    factor = (_base(batch.input_mtok) or 0.0) / input_
    lower = _base(batch.cache_read_mtok)
    if lower is not None and cached is not None and lower >= cached:
        lower = None
    return price._replace(batch=factor, batch_cached=lower)


def _base(price: Any) -> float | None:
    """The price from the first token on; None where there is none."""
    if price is None:
        return None
    return float(getattr(price, "base", price))


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*(\d{1,6}(\.\d{0,9})?|\.\d{1,9})\s*", text) else None


def _table(price: Price) -> dict[str, float]:
    return {key: value for key, value in price._asdict().items() if value is not None}
