"""Tokens: those of nltk's `NLTKWordTokenizer` on lower-cased text, found once for every word.

The tokenizer runs some thirty patterns over a text, about 100 µs a turn. None of them looks beyond the blanks around
a word, with two exceptions: the rules for the text's end, and blanks that are no plain single ones. So a word's tokens
depend on the word and on whether the text begins or ends with it, and are kept; texts with other blanks, or with no
letter or digit in their last word, go through nltk whole. Tests hold the equality on random texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SAYS = re.compile(r"[^\W_]")


class Tokenizer:
    """Numbers tokens in the order in which they first occur; a few hundred bytes for each different word."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        """Number by token."""
        self._tokenize: Callable[[str], list[str]] | None = None
        self._firsts: dict[str, tuple[int, ...]] = {}
        self._inner: dict[str, tuple[int, ...]] = {}
        self._lasts: dict[str, tuple[int, ...] | None] = {}
        """None for a word without letter or digit: the final full stop may then stand before it."""

    def __call__(self, text: str) -> tuple[list[int], int]:
        """The tokens' numbers, and how many words stand between blanks."""
        text = text.lower()
        words = text.split()
        if len(words) < 2 or " ".join(words) != text:
            return list(self._whole(text)), len(words)
        last = self._last(words[-1])
        if last is None:
            return list(self._whole(text)), len(words)
        found = list(self._first(words[0]))
        inner = self._inner
        for word in words[1:-1]:
            tokens = inner.get(word)
            if tokens is None:
                # The word between two others, which are taken off again.
                tokens = inner[word] = self._whole(f"a {word} a")[1:-1]
            found += tokens
        found += last
        return found, len(words)

    def _first(self, word: str) -> tuple[int, ...]:
        tokens = self._firsts.get(word)
        if tokens is None:
            tokens = self._firsts[word] = self._whole(f"{word} a")[:-1]
        return tokens

    def _last(self, word: str) -> tuple[int, ...] | None:
        if word not in self._lasts:
            self._lasts[word] = self._whole(f"a {word}")[1:] if _SAYS.search(word) else None
        return self._lasts[word]

    def _whole(self, text: str) -> tuple[int, ...]:
        if self._tokenize is None:
            # nltk takes 0.3 s to import.
            from nltk.tokenize.destructive import NLTKWordTokenizer  # type: ignore[import-untyped]

            self._tokenize = NLTKWordTokenizer().tokenize
        ids = self.vocabulary
        return tuple(ids.setdefault(token, len(ids)) for token in self._tokenize(text))
