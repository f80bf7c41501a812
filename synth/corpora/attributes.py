"""What a product's attributes and title mean: who wears it, its facets, its brand. All of it may be absent."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from synth.corpora.lexicon import ATTRIBUTES, COLOURS, DESCRIPTORS, NOT_ATTRIBUTES, NOT_WEARERS, VAGUE, WEARERS
from synth.corpora.records import Gender, Product, Record

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WEARER_ATTRIBUTES = ("gender", "age_group", "department")
_LONGEST_BRAND = 4


class Wearer(Record):
    """Whom a product is for, as far as the catalogue says."""

    gender: Gender | None
    """None: for anybody."""
    child: bool
    conflict: bool = False
    """The title says otherwise; the attributes were believed."""


def wearer(product: Product) -> Wearer | None:
    """Who wears or uses the product, from its attributes and categories, then its title; None where none of them says.

    Where one source says less than the other (`Unisex` and `Men`), the narrower one counts. Where they exclude each
    other (`Men` and `Women`, `Men` and `Boys`), the attributes count and `conflict` is set.
    """
    stated = [product.attributes[name] for name in _WEARER_ATTRIBUTES if name in product.attributes]
    attribute = _merge(words(" ".join((*stated, *product.categories))))
    title = _merge(words(product.title))
    if attribute is None or title is None:
        said = attribute or title
        return None if said is None else Wearer(gender=said[0], child=bool(said[1]))
    gender, child = attribute
    if (gender and title[0] and gender != title[0]) or (child is not None and title[1] not in (None, child)):
        return Wearer(gender=gender, child=bool(child), conflict=True)
    return Wearer(gender=gender or title[0], child=bool(title[1] if child is None else child))


def facets(product: Product) -> dict[str, str]:
    """What a shopper could ask for, by canonical name: the attributes, then what the title says beyond them.

    Values are lower case. Brand is not among them, nor are model numbers, ratings and the like. A colour
    is left out where the title names another one. Without a type, the most exact category stands for it.
    """
    found = {
        name: _value(value)
        for name, value in ((canonical(name), value) for name, value in product.attributes.items())
        if name != "brand" and name not in NOT_ATTRIBUTES
    }
    title = words(product.title)
    named = _colours(title)
    if "colour" not in found:
        if named:
            found["colour"] = named[0]
    elif named and contradicts(found["colour"], named):
        del found["colour"]
    for facet, value in _descriptors(title).items():
        found.setdefault(facet, value)
    if "type" not in found and len(product.categories) > 1 and not _only_wearers(product.categories[-1]):
        found["type"] = _value(product.categories[-1])
    return found


def brand(product: Product) -> str | None:
    """The stated brand (attribute `brand` or `store`); `brands` also guesses from titles."""
    for name, value in product.attributes.items():
        if canonical(name) == "brand":
            return value
    return None


def brands(products: Iterable[Product]) -> dict[str, str]:
    """Brand by product id: the stated one, else a guess from the title. Products with neither are absent.

    The guess is made of the title's leading words, up to the first one that says wearer, colour, type or make. Of all
    beginnings of these words it is the one that most often stands alone there in other titles of the catalogue, and
    twice at least: `Puma`, not `Puma Ferrari`; `Red Tape`, not `Red`.
    """
    found: dict[str, str] = {}
    openings: dict[str, list[str]] = {}
    spellings: dict[str, Counter[str]] = {}
    for product in products:
        stated = brand(product)
        if stated is not None:
            found[product.id] = stated
            continue
        opening, whole = _opening(product)
        openings[product.id] = opening
        if whole:
            spellings.setdefault(opening[-1].lower(), Counter())[opening[-1]] += 1
    alone = {name: counts.total() for name, counts in spellings.items()}
    for product_id, opening in openings.items():
        best = max(opening, key=lambda name: (alone.get(name.lower(), 0), len(name)), default="").lower()
        if alone.get(best, 0) > 1:
            found[product_id] = spellings[best].most_common(1)[0][0]
    return found


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """A column name in snake case without accents: `baseColour` and `Base-Colour` give `base_colour`."""
    plain = unicodedata.normalize("NFKD", _CAMEL.sub("_", name.strip()).replace("ß", "ss"))
    kept = "".join(c if c.isalnum() else "_" for c in plain if not unicodedata.combining(c))
    return re.sub(r"_+", "_", kept).strip("_").lower()


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """The canonical name of an attribute (`baseColour` is `colour`); others keep their own, in snake case."""
    plain = snake(name)
    return ATTRIBUTES.get(plain, plain)


def contradicts(colour: str, others: Iterable[str]) -> bool:
    """Whether no name in `others` can mean `colour`. A colour that is not known contradicts nothing."""
    families = _families(colour)
    if not families or "multi" in families:
        return False
    return all(families.isdisjoint(_families(other)) and "multi" not in _families(other) for other in others)


def words(text: str) -> list[str]:
    """Lower-case words; hyphens separate, and apostrophes are dropped (`Men's` is `mens`)."""
    return [word.replace("'", "").replace("’", "") for word in _WORD.findall(text.lower())]


def _value(value: str) -> str:
    return value.strip().lower()


def _families(colour: str) -> frozenset[str]:
    known = COLOURS.get(colour)
    if known is None:
        known = frozenset().union(*(COLOURS.get(word, frozenset()) for word in words(colour)))
    return known


def _wearers(text: list[str]) -> Iterator[tuple[int, tuple[Gender | None, bool | None]]]:
    """(position, meaning) of the words that name a wearer."""
    for n, word in enumerate(text):
        meaning = WEARERS.get(word)
        if meaning is None:
            continue
        after = f"{word} {text[n + 1]}" if n + 1 < len(text) else ""
        before = f"{text[n - 1]} {word}" if n else ""
        if after not in NOT_WEARERS and before not in NOT_WEARERS:
            yield n, meaning


def _merge(text: list[str]) -> tuple[Gender | None, bool | None] | None:
    """One meaning for all words of a text: both genders are for anybody, adults and children are for adults."""
    meanings = [meaning for _, meaning in _wearers(text)]
    if not meanings:
        return None
    genders = {gender for gender, _ in meanings if gender}
    ages = {child for _, child in meanings if child is not None}
    return (genders.pop() if len(genders) == 1 else None), (None if not ages else ages == {True})


def _only_wearers(category: str) -> bool:
    return all(word in WEARERS for word in words(category))


def _phrases(table: Iterable[str]) -> dict[str, list[list[str]]]:
    """Phrases by their first word, the longest first."""
    by_first: dict[str, list[list[str]]] = {}
    for phrase in sorted(table, key=lambda p: -p.count(" ")):
        parts = phrase.split()
        if parts:
            by_first.setdefault(parts[0], []).append(parts)
    return by_first


_COLOUR_PHRASES = _phrases(COLOURS)
_DESCRIPTOR_PHRASES = _phrases(DESCRIPTORS)


def _matches(text: list[str], phrases: dict[str, list[list[str]]]) -> Iterator[tuple[int, str]]:
    """(position, phrase), without overlaps."""
    end = 0
    for n, word in enumerate(text):
        if n < end or word not in phrases:
            continue
        for parts in phrases[word]:
            if text[n : n + len(parts)] == parts:
                yield n, " ".join(parts)
                end = n + len(parts)
                break


def _colours(title: list[str]) -> list[str]:
    """Colours named in a title, not those that open it as part of a brand (`Red Tape Men Shoes`)."""
    opens_brand = len(title) > 2 and title[1] not in COLOURS and title[1] not in WEARERS and title[2] in WEARERS
    return [name for n, name in _matches(title, _COLOUR_PHRASES) if n or not opens_brand]


def _descriptors(title: list[str]) -> dict[str, str]:
    """Facets named in a title; one that it names twice, differently, says nothing sure and is left out."""
    named: dict[str, set[str]] = {}
    for _, phrase in _matches(title, _DESCRIPTOR_PHRASES):
        facet, value = DESCRIPTORS[phrase]
        named.setdefault(facet, set()).add(value)
    exact = {facet: values - VAGUE or values for facet, values in named.items()}
    return {facet: next(iter(values)) for facet, values in exact.items() if len(values) == 1}


def _opening(product: Product) -> tuple[list[str], bool]:
    """The beginnings of the title, word by word, up to the first word that says wearer, colour, type or make.

    They have at most `_LONGEST_BRAND` words; the second value is whether the longest reaches that first word.
    """
    spans = [m.end() for m in _WORD.finditer(product.title)]
    title = words(product.title)
    kind = words(" ".join((product.attributes.get("type", ""), *product.categories[-1:])))
    kinds = {form for word in kind for form in (word, word.removesuffix("s"))}
    stops = [n for n, _ in _matches(title, _DESCRIPTOR_PHRASES)]
    stops += [n for n, _ in _wearers(title)]
    stops += [n for n, word in enumerate(title) if n and (word in COLOURS or word in kinds)]
    end = min(stops, default=len(title))
    return [product.title[:span] for span in spans[: min(end, _LONGEST_BRAND)]], bool(
        stops
    ) and 0 < end <= _LONGEST_BRAND
