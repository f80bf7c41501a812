"""How turns are worded: length, openings, prices, and text that no person would write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from synth.analysis.checks.case import Case, Finding
from synth.corpora.records import Product
from synth.text import opening, sentences

PRICE = "user turns with a price"
LONG = "turns too long"
OPENINGS = "rejection openings used twice"
BROKEN = "broken text"
CHECKS = (PRICE, LONG, OPENINGS, BROKEN)

_SENTENCES = {"reject": 3, "recommend": 3}
_SENTENCES_ELSE = 5
_WORDS = 120

_NUMBER = r"\d[\d.,]*"
_CODE = r"(?:USD|EUR|GBP|INR|JPY|CHF|CAD|AUD|Rs\b\.?|(?i:dollars?|euros?|rupees?|bucks|quid)\b)"
_MONEY = re.compile(rf"[$€£¥₹]\s?\d|{_NUMBER}\s?[$€£¥₹]|\b{_CODE}\s?\d|{_NUMBER}\s?{_CODE}")
_NUMBERS = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_ABOUT_MONEY = re.compile(
    r"\b(?:pric\w*|costs?|pay|paid|paying|spend\w*|spent|budget|money|cheap\w*|expensive|afford\w*|worth)\b", re.I
)

_EMPHATIC = frozenset(
    """
    very really so too no yes yeah ha haha ho bye that had far long much many well now there here never ever still more
    big knock cha pom yo aye blah hear such super please hello hi hey oh wow sorry thanks hm hmm mm tut sure okay ok
    """.split()
)
"""Words that people say twice on purpose, or that a sentence can bring together."""
_DOUBLED_WORD = re.compile(r"\b([^\W\d_]+) (\1)\b(?!['’])", re.IGNORECASE)
_LEFTOVERS = (
    (re.compile(r"\{[^{}\n]{0,80}\}|\{\{|\}\}|\{%"), "a slot that was not filled"),
    (re.compile(r"\[[^\[\]\n]*\|[^\[\]\n]*\]"), "a choice that was not made"),
    (re.compile(r"</?product\b"), "a prompt's product fence"),
    (re.compile(r"\bundefined\b|\bNaN\b|\bnull\b|\[object "), "a value that was missing"),
    # `None of these` is English; in the middle of a sentence it is Python.
    (re.compile(r"(?:\w|[,;:(]) None\b(?! of\b)|^None\W*$"), "a value that was missing"),
    (re.compile(r",\s*(?:[,;:!?]|\.(?!\.))|;\s*[,.;]|[!?][.,;]|:\s*[,.;]"), "doubled punctuation"),
    # People trail off with two dots.. but not before a new sentence.
    (re.compile(r"(?<!\.)\.\.(?:$|\s+(?=[A-Z]))"), "doubled punctuation"),
    (re.compile(r"\w\s+(?:,|\.(?!\S))"), "a gap before a punctuation mark"),
)


def price(case: Case) -> Iterator[Finding]:
    """A sum of money, or the price of a product that the user is looking at."""
    seen = [case.conversation.target_id]
    for words in case.turns:
        seen += words.turn.products
        if words.turn.speaker != "user":
            continue
        money = _MONEY.search(words.text)
        if money:
            yield case.found(PRICE, words.turn.index, repr(money[0]))
            continue
        for number in _NUMBERS.findall(words.text):
            if any(_is_price(number, case.goods.get(product_id), words.text) for product_id in seen):
                yield case.found(PRICE, words.turn.index, f"{number!r} is the product's price")
                break


def _is_price(number: str, product: Product | None, text: str) -> bool:
    """Whether a number is the price. A round one can be anything, so the text must be about money then."""
    if product is None or product.price is None:
        return False
    spelled = {f"{product.price:.2f}", f"{product.price:,.2f}", f"{product.price:.2f}".replace(".", ",")}
    whole = product.price == int(product.price)
    if number in spelled:
        return True
    return whole and number.replace(",", "") == str(int(product.price)) and bool(_ABOUT_MONEY.search(text))


def length(case: Case) -> Iterator[Finding]:
    """Titles do not count: they belong to the shop, and can be as long as it likes."""
    for turn, _, plain in case.turns:
        most = _SENTENCES.get(turn.act, _SENTENCES_ELSE)
        have, words = sentences(plain), len(plain.split())
        if have > most:
            yield case.found(LONG, turn.index, f"{have} sentences in a {turn.act} turn, {most} are allowed")
        elif words > _WORDS:
            yield case.found(LONG, turn.index, f"{words} words, {_WORDS} are allowed")


def openings(case: Case) -> Iterator[Finding]:
    used: set[str] = set()
    for turn, text, _ in case.turns:
        if turn.act == "reject":
            first = opening(text)
            if first in used:
                yield case.found(OPENINGS, turn.index, repr(first))
            used.add(first)


def broken(case: Case) -> Iterator[Finding]:
    """What is left of a template that was not filled, or of a grammar that went wrong."""
    for turn, text, plain in case.turns:
        if not text.strip():
            yield case.found(BROKEN, turn.index, "empty")
            continue
        for pattern, name in _LEFTOVERS:
            match = pattern.search(plain)
            if match:
                yield case.found(BROKEN, turn.index, f"{name}: {_around(plain, match)}")
                break
        else:
            for match in _DOUBLED_WORD.finditer(plain):
                # A second capital is a name's: Bora Bora.
                if match[1].lower() not in _EMPHATIC and match[2].islower():
                    yield case.found(BROKEN, turn.index, f"a word twice: {_around(plain, match)}")
                    break


def _around(text: str, match: re.Match[str]) -> str:
    return repr(text[max(match.start() - 15, 0) : match.end() + 15])
