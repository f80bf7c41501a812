"""Image tokens against the providers' published rules, their worked examples, and bills that users have shown."""

from __future__ import annotations

import pytest

from synth.llm.provider import ModelName
from synth.llm.vision import Detail, image_tokens, vision_rule


def tokens(name: str, width: int, height: int, detail: Detail = "high") -> int:
    return image_tokens(ModelName.parse(name), width, height, detail)


@pytest.mark.parametrize(
    ("model", "base", "tile"),  # OpenAI's table
    [
        ("gpt-4o-mini", 2833, 5667),
        ("gpt-4o-mini-2024-07-18", 2833, 5667),
        ("ft:gpt-4o-mini-2024-07-18:shop::x1", 2833, 5667),
        ("gpt-4o", 85, 170),
        ("gpt-4o-2024-11-20", 85, 170),
        ("chatgpt-4o-latest", 85, 170),
        ("gpt-4.1", 85, 170),
        ("gpt-4.5-preview", 85, 170),
        ("o1", 75, 150),
        ("o3-2025-04-16", 75, 150),
        ("gpt-5", 70, 140),
        ("gpt-5-2025-08-07", 70, 140),
        ("gpt-5-chat-latest", 70, 140),
        ("computer-use-preview", 65, 129),
    ],
)
def test_tile_models(model: str, base: int, tile: int) -> None:
    name = f"openai:{model}"
    assert tokens(name, 4000, 3000, "low") == base
    assert tokens(name, 64, 64, "low") == base
    assert tokens(name, 512, 512) == base + tile
    assert tokens(name, 513, 512) == base + 2 * tile
    assert tokens(name, 1024, 1024) == base + 4 * tile  # seen at 768 x 768
    assert tokens(name, 2048, 4096) == base + 6 * tile  # seen at 768 x 1536
    assert tokens(name, 128, 64) == base + tile  # not enlarged


def test_a_tile_model_counts_what_was_billed() -> None:
    # community.openai.com/t/1281361: gpt-4.1, with 8 tokens of text.
    assert tokens("openai:gpt-4.1", 2049, 513) == 1453 - 8
    assert tokens("openai:gpt-4.1", 2050, 513) == 773 - 8


@pytest.mark.parametrize(
    ("model", "multiplier"),  # OpenAI's table
    [
        ("gpt-5-mini", 1.62),
        ("gpt-5.4-mini", 1.62),
        ("gpt-4.1-mini-2025-04-14", 1.62),
        ("gpt-5-nano", 2.46),
        ("gpt-4.1-nano", 2.46),
        ("o4-mini", 1.72),
    ],
)
def test_patch_models(model: str, multiplier: float) -> None:
    name = f"openai:{model}"
    # The two worked examples of OpenAI's guide.
    assert tokens(name, 1024, 1024) == pytest.approx(1024 * multiplier, abs=1)
    assert tokens(name, 1800, 2400) == pytest.approx(1452 * multiplier, abs=1)
    assert vision_rule(ModelName.parse(name)).seen((1800, 2400)) == (1056, 1408)
    assert tokens(name, 33, 32) == pytest.approx(2 * multiplier, abs=1)
    assert tokens(name, 1024, 1024, "low") == pytest.approx(256 * multiplier, abs=1)
    for size in ((4000, 1474), (9000, 9000), (5000, 60), (1, 9000)):
        assert tokens(name, *size) <= 1536 * multiplier + 1


def test_the_newest_models_count_what_was_billed() -> None:
    # huggingface.co/datasets/JOHNISKING/image-token-cost, gpt-6 at high detail.
    for size, billed in (((256, 256), 77), ((512, 512), 308), ((768, 768), 692), ((1024, 1024), 1229)):
        assert tokens("openai:gpt-6-sol", *size) == billed
    assert tokens("openai:gpt-6-sol", 1280, 720) == 1104
    assert tokens("openai:gpt-6-sol", 1920, 1080) == 2448


@pytest.mark.parametrize(
    ("model", "limited"),
    [
        ("claude-haiku-4-5", True),
        ("claude-3-5-haiku-20241022", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-opus-4-7", False),
        ("claude-opus-5", False),
        ("claude-haiku-5-5", False),
    ],
)
def test_claude_models(model: str, limited: bool) -> None:
    name = f"anthropic:{model}"
    # The worked examples of Anthropic's guide.
    assert tokens(name, 200, 200) == 64
    assert tokens(name, 1000, 1000) == 1296
    assert tokens(name, 1092, 1092) == 1521
    assert tokens(name, 1920, 1080) == (1560 if limited else 2691)
    assert tokens(name, 3840, 2160) == (1560 if limited else 4784)
    assert tokens(name, 1, 9000) <= (1568 if limited else 4784)
    assert tokens(name, 1000, 1000, "low") == 1296


def test_a_model_is_known_by_its_name_on_any_server() -> None:
    assert tokens("openai:anthropic/claude-3.5-haiku", 200, 200) == 64
    assert tokens("openai:openai/gpt-4o-mini", 1, 1, "low") == 2833


def test_unknown_models_have_a_rough_default() -> None:
    assert tokens("openai:qwen2.5-vl-7b", 448, 448) == 236  # its own rule: 256
