"""Prices: the library's against the published lists, those given by flag, and what a usage costs."""

from __future__ import annotations

import random
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
import tomli_w

from synth.errors import SynthError
from synth.llm import pricing
from synth.llm.pricing import FREE, Price, find_price, from_snapshot, parse_prices, snapshot
from synth.llm.provider import ModelName, Usage


def price(name: str, **given: Price) -> Price:
    found = find_price(ModelName.parse(name), given)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "published"),  # USD per million tokens: input, cached, written, output
    [
        ("openai:gpt-4o-mini", (0.15, 0.075, 0.15, 0.60)),
        ("openai:gpt-4o-mini-2024-07-18", (0.15, 0.075, 0.15, 0.60)),
        ("openai:gpt-4o", (2.50, 1.25, 2.50, 10.0)),
        ("openai:gpt-4.1-mini", (0.40, 0.10, 0.40, 1.60)),
        ("openai:gpt-5-mini", (0.25, 0.025, 0.25, 2.0)),
        ("openai:o3", (2.0, 0.50, 2.0, 8.0)),
        ("openai:gpt-5.4", (2.50, 0.25, 2.50, 15.0)),  # of two tiers, the one up to 272,000 tokens
        ("anthropic:claude-haiku-4-5", (1.0, 0.10, 1.25, 5.0)),
        ("anthropic:claude-haiku-4-5-20251001", (1.0, 0.10, 1.25, 5.0)),
        ("anthropic:claude-sonnet-4-5", (3.0, 0.30, 3.75, 15.0)),
        ("anthropic:claude-opus-4-5", (5.0, 0.50, 6.25, 25.0)),
    ],
)
def test_list_prices_are_the_published_ones(name: str, published: tuple[float, ...]) -> None:
    assert price(name)[:4] == pytest.approx(published)
    assert price(name).batch == pytest.approx(0.5)


def test_prices_are_those_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    class Past(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2025, 6, 1, tzinfo=UTC)

    monkeypatch.setattr(pricing, "datetime", Past)
    assert price("openai:o3").output == 40.0


def test_unknown_models_have_no_price_and_own_servers_cost_nothing() -> None:
    unknown = ModelName("openai", "nobody-knows-this")
    assert find_price(unknown, {}) is None
    assert find_price(unknown, {}, local=True) == FREE
    assert find_price(ModelName("openai", "gpt-4o"), {}, local=True) == FREE
    assert find_price(ModelName("offline", "offline"), {}) == FREE
    # A model that is not sold by the token has no price for text.
    assert find_price(ModelName("openai", "whisper-1"), {}) is None


def test_given_prices_go_first() -> None:
    given = parse_prices(["gpt-4o=1/2", "anthropic:claude-haiku-4-5=3/0.5/4", " org/own=v2 = .25 / 1. "])
    assert find_price(ModelName("openai", "gpt-4o"), given) == Price(1, 1, 1, 2)
    assert find_price(ModelName("anthropic", "claude-haiku-4-5"), given) == Price(3, 0.5, 3, 4)
    assert find_price(ModelName("openai", "org/own=v2"), given, local=True) == Price(0.25, 0.25, 0.25, 1)
    assert price("openai:gpt-4o-mini", **given).input == 0.15


@pytest.mark.parametrize(
    "value", ["", "m", "m=", "m=1", "=1/2", "m=1/2/3/4", "m=-1/2", "m=a/b", "m=1,5/2", "m=nan/1", "m=1//2", "m=$1/$2"]
)
def test_other_forms_are_refused_in_one_line(value: str) -> None:
    with pytest.raises(SynthError, match=r"--price .* cannot be read\. Write --price MODEL=IN/OUT"):
        parse_prices([value])


def test_cached_and_written_input_have_their_own_prices() -> None:
    usage = Usage(input=10_000, cached=6_000, written=1_000, output=500)
    haiku = price("anthropic:claude-haiku-4-5")
    assert haiku.cost(usage) == pytest.approx((3_000 * 1 + 1_000 * 1.25 + 6_000 * 0.1 + 500 * 5) / 1e6)
    assert haiku.cost(usage, batch=True) == pytest.approx(haiku.cost(usage) / 2)


def test_a_batch_without_a_cache_price_bills_cached_input_like_other_input() -> None:
    mini = price("openai:gpt-4.1-mini")
    assert mini.cost(Usage(input=1_000_000, cached=1_000_000), batch=True) == pytest.approx(0.20)
    assert mini.cost(Usage(input=1_000_000, cached=1_000_000)) == pytest.approx(0.10)


@pytest.mark.parametrize("name", ["openai:gpt-4o", "openai:gpt-5.4", "anthropic:claude-haiku-4-5"])
@pytest.mark.parametrize("batch", [False, True])
def test_no_usage_costs_more_than_the_worst(name: str, batch: bool) -> None:
    dice = random.Random(1)
    for _ in range(200):
        parts = [dice.choice([0, dice.randrange(9_000)]) for _ in range(4)]
        usage = Usage(input=sum(parts[:3]), cached=parts[0], written=parts[1], output=parts[3])
        worst = price(name).worst(usage.input, usage.output, batch=batch)
        assert price(name).cost(usage, batch=batch) <= worst + 1e-12


def test_a_snapshot_comes_back_from_toml_as_it_was() -> None:
    prices = {name: price(name) for name in ("openai:gpt-4o", "anthropic:claude-haiku-4-5", "offline")}
    table = tomllib.loads(tomli_w.dumps({"prices": snapshot(prices)}))["prices"]
    assert from_snapshot(table) == prices
    assert table["source"].startswith("genai-prices ")
    datetime.fromisoformat(table["date"])


@pytest.mark.parametrize("models", [3, {"m": {"input": "much"}}, {"m": {"input": 1.0, "colour": 2.0}}, {"m": 1.0}])
def test_a_snapshot_changed_by_hand_is_one_clear_line(models: Any) -> None:
    with pytest.raises(SynthError, match=r"config\.toml"):
        from_snapshot({"models": models})


def test_nothing_is_fetched_and_offline_runs_do_not_load_the_library() -> None:
    program = """
import socket, sys
from synth.llm.pricing import find_price
from synth.llm.provider import ModelName
find_price(ModelName("offline", "offline"), {})
assert "genai_prices" not in sys.modules
def refuse(*_): raise AssertionError("a socket was opened")
socket.socket.connect = socket.getaddrinfo = refuse
assert find_price(ModelName("openai", "gpt-4o"), {}).input == 2.5
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
