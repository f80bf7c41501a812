"""How many tokens a text is, without any model's tokeniser: an estimate for plans, a bound for money."""

from __future__ import annotations

import numpy as np

MESSAGE_TOKENS = 6
"""What chat formats put around each message, at most: OpenAI's 4, and 3 once; ChatML and Llama 3 have 5."""

_WORD = 0.83
"""Tokens for each run of text between white space, before those for what it is made of."""


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is in OpenAI's o200k encoding (gpt-4o and later).

    A straight line over the counts of words and of kinds of characters, fitted to o200k's own counts of 14,000 texts:
    prompts rendered for two catalogues, and their replies. On the messages of a call together it is 2 % off on average
    and 5 % at the 95th percentile; over all calls, 1 % too low. On tables full of numbers it is up to 30 % too low. On
    running text it is within 15 % for German, French, Spanish, Polish, Turkish, Russian, Greek, Arabic, Hebrew,
    Chinese, Japanese and Korean, within 20 % for Vietnamese and Tamil, and within 40 % for Hindi and Thai.

    Other encodings count more: cl100k (gpt-4) 2 % in English and up to four times as much in other scripts, Anthropic's
    newer models up to a third.
    """
    data = text.encode(errors="surrogatepass")
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    return round(float(counts @ _WEIGHTS) + _WORD * len(data.split()))


def most_tokens(text: str) -> int:
    """How many tokens a text can be at most, in any tokeniser that works on bytes, as all present ones do."""
    return len(text.encode(errors="surrogatepass"))


def _weights() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Tokens by byte. A character beyond ASCII is counted by its first byte, which tells its script."""
    weights = np.zeros(256)
    for first, last, tokens in (
        (0x0A, 0x0A, 0.5),  # line end
        (0x21, 0x7E, 0.62),  # punctuation
        (0x30, 0x39, 0.7),
        (0x41, 0x5A, 0.25),
        (0x61, 0x7A, 0.057),
        (0xC2, 0xC3, 0.9),  # western European letters
        (0xC4, 0xC5, 1.4),  # central European, Turkish
        (0xCE, 0xCF, 0.28),  # Greek
        (0xD0, 0xD3, 0.22),  # Cyrillic
        (0xD6, 0xD7, 0.24),  # Hebrew
        (0xD8, 0xDB, 0.2),  # Arabic
        (0xE0, 0xE0, 0.3),  # Indic scripts, Thai
        (0xE2, 0xE2, 0.7),  # typographic punctuation, symbols
        (0xE3, 0xE3, 0.8),  # kana
        (0xE4, 0xE9, 0.85),  # Chinese characters
        (0xEA, 0xED, 0.55),  # Hangul
        (0xEF, 0xEF, 0.9),  # full-width punctuation
        (0xF0, 0xF4, 1.5),  # emoji
    ):
        weights[first : last + 1] = tokens
    return weights


_WEIGHTS = _weights()
