"""The figures as they are drawn: rows, bars and columns with their shares and places, and no text of the page."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synth.analysis.statistics import Funnel, Stage, Statistics, Wording
from synth.analysis.statistics.persons import order
from synth.corpora.export.masking import mask
from synth.corpora.records import Speaker

TYPES = 24
HEAT_TYPES = 16
NGRAMS = 15
_COLUMNS = 24
_AT = re.compile(r"\s*@\s*")
_ROLES: tuple[Speaker, ...] = ("user", "assistant")
ENDINGS = ("hit", "fit", "forced")
NAMES = {"profile failed": "profile answered", "failed": "brought to an end"}
"""Filters whose name is what they refuse, as what they let through."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a list."""

    label: str
    count: int
    share: float
    """Of the whole, in [0, 1]."""
    width: float
    """Of the longest bar, in [0, 1]."""
    mark: float | None = None
    """Where another share stands beside it, on the same scale."""
    other: float = 0.0
    """That share."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bars back to back."""

    label: str
    left: Bar
    right: Bar


@dataclass(frozen=True, slots=True)
class Column:
    """One column, in parts from the bottom up."""

    label: str
    total: int
    parts: tuple[tuple[str, int, float, float], ...]
    """Tone, count, and lower end and height in [0, 1] of the highest column."""
    note: str = ""
    """Below the label."""


@dataclass(frozen=True, slots=True)
class Step:
    """A filter, and what of all draws is left after it."""

    stage: Stage
    left: float


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of a group bought a type, and how far that is from chance."""

    count: int
    tone: str
    """`more`, `less` or nothing."""
    strength: float
    """In [0, 1]; 1 from a residual of 4 on."""
    expected: float


@dataclass(frozen=True, slots=True)
class Heat:
    """Types by gender and age."""

    genders: tuple[tuple[str, int], ...]
    """With how many columns each has."""
    ages: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[Cell, ...]], ...]
    kinds: int
    """All types there are."""


def bars(counts: Mapping[str, int], whole: int | None = None, most: int | None = None) -> list[Bar]:
    """Bars of counts, in their order.

    Args:
        whole: that shares are of; default: all together.
        most: keeps so many.
    """
    whole = sum(counts.values()) if whole is None else whole
    longest = max(counts.values(), default=0) or 1
    return [Bar(name, n, _share(n, whole), n / longest) for name, n in list(counts.items())[:most]]


def acts(s: Statistics, speaker: str) -> list[Bar]:
    """Turns of a role by act."""
    most = max(s.acts.acts.values(), default=0) or 1
    counts = {act: n for (role, act), n in s.acts.acts.most_common() if role == speaker}
    return [Bar(words(act), n, _share(n, s.size.turns), n / most) for act, n in counts.items()]


def lengths(s: Statistics) -> list[Column]:
    """Conversations by their number of turns."""
    counts = s.acts.lengths
    if not counts:
        return []
    low, high = min(counts), max(counts)
    step = math.gcd(*(length - low for length in counts)) or 1
    step *= math.ceil(((high - low) // step + 1) / _COLUMNS)
    bins = {start: sum(counts[n] for n in range(start, start + step)) for start in range(low, high + 1, step)}
    wide = any(counts[n] for start in bins for n in range(start + 1, start + step))
    return columns({f"{start}–{start + step - 1}" if wide else str(start): {"all": n} for start, n in bins.items()})


def columns(data: Mapping[str, Mapping[str, int]], notes: Mapping[str, str] | None = None) -> list[Column]:
    """
    Args:
        data: by label, counts by tone.
    """
    highest = max((sum(parts.values()) for parts in data.values()), default=0) or 1
    drawn = []
    for label, counts in data.items():
        parts, base = [], 0.0
        for tone, count in counts.items():
            parts.append((tone, count, base, count / highest))
            base += count / highest
        drawn.append(Column(label, sum(counts.values()), tuple(parts), (notes or {}).get(label, "")))
    return drawn


def elements(s: Statistics) -> list[Pair]:
    """Elements by kind: the buyer's to the left, the assistant's to the right, each of its role's."""
    counts = s.elements.counts
    user, assistant = (Counter({str(kind): n for kind, n in counts[role].items()}) for role in _ROLES)
    return _pairs(user, assistant, sorted({*user, *assistant}, key=lambda kind: -user[kind] - assistant[kind]))


def ages(s: Statistics) -> list[Pair]:
    """Buyers by age, the oldest first: women to the left, men to the right."""
    counts = s.persons.gender_age
    women, men = (Counter({age: n for (of, age), n in counts.items() if of == gender}) for gender in ("female", "male"))
    return _pairs(women, men, [age for age in reversed(order()) if women[age] or men[age]])


def _pairs(left: Counter[str], right: Counter[str], labels: Iterable[str]) -> list[Pair]:
    labels = list(labels)
    wholes = left.total(), right.total()
    most = max((_share(n[label], w) for label in labels for n, w in zip((left, right), wholes, strict=True)), default=0)

    def bar(label: str, counts: Counter[str], whole: int) -> Bar:
        share = _share(counts[label], whole)
        return Bar(words(label), counts[label], share, share / (most or 1))

    return [Pair(words(label), bar(label, left, wholes[0]), bar(label, right, wholes[1])) for label in labels]


def types(s: Statistics) -> list[Bar]:
    """Targets by type, each with the share of its type among what was recommended."""
    targets, shown = s.types.targets, s.types.recommended
    rows = targets.most_common(TYPES)
    shares = [(_share(n, targets.total()), _share(shown[kind], shown.total())) for kind, n in rows]
    most = max((max(pair) for pair in shares), default=0) or 1
    return [
        Bar(mask(kind), n, share, share / most, other / most if shown else None, other)
        for (kind, n), (share, other) in zip(rows, shares, strict=True)
    ]


def steps(funnel: Funnel) -> list[Step]:
    """The filters that throw draws away, in their order."""
    kept = [stage for stage in funnel.stages if stage.filters and stage.level != "scenario"]
    return [Step(stage, _share(stage.passed, funnel.draws)) for stage in kept]


def choices(funnel: Funnel) -> list[Stage]:
    """The filters that throw no draw away, as far as anything came to them."""
    return [stage for stage in funnel.stages if stage.entered and (not stage.filters or stage.level == "scenario")]


def rounds(s: Statistics) -> list[Column]:
    """Endings by round, and below each the share of conversations that had ended by then."""
    counts = s.rounds.by_round
    numbers = [number for number, _ in counts]
    whole, ended, data, notes = s.rounds.endings.total(), 0, {}, {}
    for number in range(min(numbers, default=0), max(numbers, default=-1) + 1):
        data[str(number)] = {ending: counts[number, ending] for ending in ENDINGS}
        ended += sum(data[str(number)].values())
        notes[str(number)] = f"{_share(ended, whole):.0%}"
    return columns(data, notes)


def heat(s: Statistics) -> Heat | None:
    """The commonest types by gender and age; None where nobody's are known.

    A cell's tone is its Pearson residual, (count − expected) / √expected, with rows and columns independent.
    """
    counts = s.persons.gender_age_type
    groups: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    for (gender, age, kind), n in counts.items():
        groups[gender, age] += n
        kinds[kind] += n
    if not groups:
        return None
    places = {age: place for place, age in enumerate(order())}
    ordered = sorted(groups, key=lambda group: (group[0], places[group[1]]))
    whole = counts.total()
    rows = []
    for kind, n in kinds.most_common(HEAT_TYPES):
        cells = (_cell(counts[(*group, kind)], n * groups[group] / whole) for group in ordered)
        rows.append((mask(kind), n, tuple(cells)))
    spans = Counter(gender for gender, _ in ordered)
    return Heat(tuple(spans.items()), tuple(age for _, age in ordered), tuple(rows), len(kinds))


def _cell(count: int, expected: float) -> Cell:
    residual = (count - expected) / math.sqrt(expected) if expected else 0.0
    tone = "more" if residual >= 1 else "less" if residual <= -1 else ""
    return Cell(count, tone, min(abs(residual) / 4, 1.0) if tone else 0.0, expected)


def versions(s: Statistics) -> list[tuple[str, bool, list[tuple[str, Wording]]]]:
    """Wording over everything and over the sample: what it is over, whether that is complete, drafts and final."""
    found = [("Drafts*", s.drafts), ("Rewritten", s.final)] if s.drafts else [("Texts", s.final)]
    held = [(name, version) for name, version in found if version is not None]
    if not held:
        return []
    return [
        ("everything", True, [(name, version.all) for name, version in held]),
        (
            f"a sample of {s.sample_tokens:,} tokens",
            all(version.sample.complete for _, version in held),
            [(name, version.sample) for name, version in held],
        ),
    ]


def ngrams(s: Statistics) -> list[Bar]:
    """The commonest 4-grams; addresses in them masked, as in exports."""
    top = s.top[:NGRAMS]
    most = max((ngram.share for ngram in top), default=0) or 1
    return [
        Bar(mask(_AT.sub("@", ngram.text)), round(ngram.share * s.size.turns), ngram.share, ngram.share / most)
        for ngram in top
    ]


def words(name: str) -> str:
    return name.replace("_", " ")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def scores(totals: Mapping[float, int]) -> list[Column]:
    """Conversations by the reviewer's total, to the whole point below."""
    whole: Counter[int] = Counter()
    for total, n in totals.items():
        whole[int(total)] += n
    found: Sequence[int] = range(min(whole, default=0), max(whole, default=-1) + 1)
    return columns({str(total): {"all": whole[total]} for total in found})
