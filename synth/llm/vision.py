"""How many tokens a picture costs, and how much of it a model sees, by the providers' published rules.

Sources: OpenAI, "Images and vision" (developers.openai.com/api/docs/guides/images-vision, sections "Model sizing
behavior" and "Calculating costs"); Anthropic, "Vision" (platform.claude.com/docs/en/build-with-claude/vision, section
"Resolution and token cost"). No library on PyPI has both providers' present rules.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Literal, NamedTuple, TypeAlias

from synth.llm.provider import ModelName

Detail = Literal["low", "high"]
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""

_LOW_SIDE = 512
"""OpenAI's `low` detail shows the model a picture of this side, in pixels."""


class Tiles(NamedTuple):
    """OpenAI's older rule: at low detail `base` tokens for any picture, at high detail `tile` more for every square of
    512 pixels, after the picture has been shrunk to fit 2,048 pixels and its shorter side to 768."""

    base: int
    tile: int

    def seen(self, size: Size) -> Size:
        """The size at which a picture is seen at high detail. It is never enlarged."""
        size = fitted(size, 2048, 2048)
        scale = 768 / min(size)
        return size if scale >= 1 else scaled(size, scale)

    def tokens(self, size: Size, detail: Detail) -> int:
        if detail == "low":
            return self.base
        width, height = self.seen(size)
        return self.base + self.tile * ceil(width / 512) * ceil(height / 512)


class Patches(NamedTuple):
    """OpenAI's newer rule: `percent` hundredths of a token for every patch of 32 pixels a side, after the picture has
    been shrunk to fit `longest` pixels and `budget` patches."""

    percent: int
    budget: int = 1536
    longest: int = 2048

    def seen(self, size: Size) -> Size:
        width, height = size = fitted(size, self.longest, self.longest)
        if _patches(size, 32) <= self.budget:
            return size
        shrink = sqrt(32 * 32 * self.budget / (width * height))
        across, down = width * shrink / 32, height * shrink / 32
        return scaled(size, shrink * min(max(floor(across), 1) / across, max(floor(down), 1) / down))

    def tokens(self, size: Size, detail: Detail) -> int:
        size = fitted(size, _LOW_SIDE, _LOW_SIDE) if detail == "low" else self.seen(size)
        return -(-min(_patches(size, 32), self.budget) * self.percent // 100)


class ClaudePatches(NamedTuple):
    """Anthropic's rule: a token for every patch of 28 pixels a side, after the picture has been shrunk to fit `longest`
    pixels and `budget` patches. There is no detail to choose."""

    budget: int
    longest: int

    def seen(self, size: Size) -> Size:
        fits, fails = 0, max(size) + 1
        while fails - fits > 1:
            side = (fits + fails) // 2
            if self._fits(scaled(size, side / max(size))):
                fits = side
            else:
                fails = side
        return scaled(size, fits / max(size))

    def tokens(self, size: Size, detail: Detail) -> int:
        return _patches(self.seen(size), 28)

    def _fits(self, size: Size) -> bool:
        return max(size) <= self.longest and _patches(size, 28) <= self.budget


Rule: TypeAlias = Tiles | Patches | ClaudePatches

_OPENAI: tuple[tuple[str, Rule], ...] = (
    (r"gpt-4o-mini", Tiles(2833, 5667)),
    (r"gpt-4\.1-mini|gpt-5(\.\d)?(-codex)?-mini", Patches(162)),
    (r"gpt-4\.1-nano|gpt-5(\.\d)?-nano", Patches(246)),
    (r"o4-mini", Patches(172)),
    (r"(chatgpt-|gpt-)4(o|\.1|\.5|-turbo|-vision)", Tiles(85, 170)),
    (r"o[13]\b", Tiles(75, 150)),
    (r"computer-use", Tiles(65, 129)),
    (r"gpt-5(\.1)?(?![.\d])", Tiles(70, 140)),
    (r"gpt-5\.[23]", Patches(120)),
)
_NEWEST = Patches(120, budget=2500)
_CLAUDE_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


@lru_cache(maxsize=256)
def vision_rule(name: ModelName) -> Rule:
    """The rule of a model.

    OpenAI's table has no multiplier for gpt-5.2 and later; 1.2 is what users have measured (e.g. issue 3477 of
    vybestack/llxprt-code). For gpt-5-mini 1.2 has been measured too; the published 1.62 is kept, so that a money cap
    errs on the safe side. Models that are not known, and those on servers of one's own, are counted like OpenAI's
    newest: a token for 850 pixels. That is rough: open models take from 256 tokens to 2,880 for a picture of any size.
    """
    model = name.model.lower().rpartition("/")[2].removeprefix("ft:")
    if model.startswith("claude") or name.provider == "anthropic":
        version = _CLAUDE_VERSION.search(model)
        number = (int(version[1]), int(version[2] or 0)) if version else (99, 0)
        return ClaudePatches(1568, 1568) if number < (4, 7) else ClaudePatches(4784, 2576)
    return next((rule for pattern, rule in _OPENAI if re.match(pattern, model)), _NEWEST)


def image_tokens(name: ModelName, width: int, height: int, detail: Detail) -> int:
    """Input tokens that a provider bills for one picture.

    Args:
        width: of the picture as it is sent, in pixels; so is `height`.
        detail: as sent to OpenAI; Anthropic has none.
    """
    return vision_rule(name).tokens((width, height), detail)


def fitted(size: Size, width: int, height: int) -> Size:
    """The size of a picture shrunk into a box; never enlarged."""
    scale = min(width / size[0], height / size[1])
    return size if scale >= 1 else scaled(size, scale)


def scaled(size: Size, scale: float) -> Size:
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _patches(size: Size, side: int) -> int:
    return ceil(size[0] / side) * ceil(size[1] / side)
