"""The figures as tables, with the data sets side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from synth.analysis.diversity import ORDERS
from synth.analysis.statistics.collect import Statistics
from synth.analysis.statistics.funnel import Funnel
from synth.analysis.statistics.persons import association, order
from synth.analysis.statistics.table import Table
from synth.analysis.statistics.wording import LONGEST, Wording

NONE = "–"
"""What is not known, or cannot be."""
_ROLES = ("user", "assistant", "opening")
_TYPES = 12
_NGRAMS = 10
_MOST = 4


def tables(found: Sequence[Statistics]) -> list[Table]:
    """All tables that have anything in them."""
    held = [s for s in found if s.final]
    every = [
        _size(found),
        _wording(held),
        _diversity(held),
        _acts(held),
        _elements(held),
        _types(found),
        _funnel(found),
        _rounds(found),
        _persons(found),
        _ngrams(held),
    ]
    return [table for table in every if table.rows]


# ---- one row a data set


def _size(found: Sequence[Statistics]) -> Table:
    columns = ("data", "convs", "turns", "per conv.", "users", "items", "images", "catalogue", "its images")
    rows = []
    for s in found:
        size = s.size
        held = bool(size.conversations)
        rows.append(
            (
                name(s),
                _count(size.conversations),
                _count(size.turns),
                f"{size.turns_per_conversation:.2f}" if held else NONE,
                _count(size.users or None),
                _count(size.items or None),
                _count(size.images or None),
                _count(size.catalogue_items),
                _count(size.catalogue_images),
            )
        )
    note = (
        "Items and images are those shown, named or wanted in the conversations; catalogue: all there were to choose."
    )
    profiles = [f"{name(s)}: {s.size.profiles} profiles without a conversation" for s in found if _only_profiles(s)]
    return Table("Size (MUSE, Table 2)", columns, tuple(rows), " ".join([note, *(f"{p}." for p in profiles)]))


def _wording(found: Sequence[Statistics]) -> Table:
    columns = ("data", "over", "tokens", "words per turn", f"{LONGEST}-grams", "unique")
    rows = _versions(
        found,
        lambda row: (
            _count(row.tokens),
            f"{row.words_per_turn:.2f}",
            _count(row.ngrams[LONGEST]),
            _count(row.different[LONGEST]),
        ),
    )
    note = "* before the rewriter. " if any(s.drafts for s in found) else ""
    return Table("Wording (MUSE, Tables 2 and 8)", columns, rows, note + _offline(found), left=2)


def _diversity(found: Sequence[Statistics]) -> Table:
    columns = ("data", "over", *(f"Distinct-{n}" for n in ORDERS), *(f"{n}-gram spec." for n in ORDERS))
    rows = _versions(
        found, lambda row: tuple(f"{figure[n]:.3f}" for figure in (row.distinct, row.specificity) for n in ORDERS)
    )
    short = [name(s) for s in found if s.final and not s.final.sample.complete]
    note = "Distinct-n and n-gram specificity; Distinct-n falls with size: compare rows over as many tokens."
    if short:
        note += f" With fewer tokens than the sample asks for, and not to be compared: {', '.join(short)}."
    return Table("Diversity of wording (MUSE, Tables 2 and 8)", columns, rows, note, left=2)


def _versions(found: Sequence[Statistics], cells: Callable[[Wording], tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Rows for drafts and final texts, over everything and over the sample."""
    rows = []
    for scope in ("all", "sample"):
        for s in found:
            for version, star in ((s.drafts, "*"), (s.final, "")):
                if version is not None:
                    row = version.all if scope == "all" else version.sample
                    over = "all" if scope == "all" else f"{'' if row.complete else '<'}{s.sample_tokens:,}"
                    rows.append((name(s) + star, over, *cells(row)))
    return tuple(rows)


# ---- one column a data set


def _acts(found: Sequence[Statistics]) -> Table:
    counts = [
        Counter({f"{speaker}: {act.replace('_', ' ')}": n for (speaker, act), n in s.acts.acts.items()}) for s in found
    ]
    for s, count in zip(found, counts, strict=True):
        count.update({f"opening: {opening}": n for opening, n in s.acts.openings.items()})
    rows = _shares(found, counts, lambda s, key: s.size.conversations if key.startswith("opening") else s.size.turns)
    rows.sort(key=lambda row: _ROLES.index(row[0].partition(":")[0]))
    return _beside("Turns by act", "turn", found, rows, "Shares are of all turns; of openings, of all conversations.")


def _elements(found: Sequence[Statistics]) -> Table:
    counts = [
        Counter(
            {f"{role}: {kind.replace('_', ' ')}": n for role, of in s.elements.counts.items() for kind, n in of.items()}
        )
        for s in found
    ]
    rows = _shares(found, counts, lambda s, key: s.elements.total(key.partition(":")[0]))
    rows.sort(key=lambda row: _ROLES.index(row[0].partition(":")[0]))
    agreed = [s for s in found if s.elements.agreement.turns]
    ruled = any(s.elements.labelled is None for s in found)
    note = f"Of each role's elements{', by offline rules' * ruled}."
    for s in found:
        if labelled := s.elements.labelled:
            note += (
                f" {name(s)}: by {labelled.model}, in {labelled.turns:,} turns of {labelled.conversations:,} "
                f"conversations drawn with seed {labelled.seed}."
            )
            if labelled.missing:
                note += f" It gave {labelled.missing:,} sentences no element."
    for s in agreed:
        agreement = s.elements.agreement
        note += (
            f" {name(s)}: the rules agree with the stated acts in {agreement.share:.1%} of {agreement.turns:,} turns"
            f" (Cohen's kappa {agreement.kappa:.2f})."
        )
    return _beside("Elements by type and role (MUSE, Fig. 4)", "element", found, rows, note)


def _types(found: Sequence[Statistics]) -> Table:
    counts = [s.types.targets for s in found]
    rows = _shares(found, counts, lambda s, _: s.types.targets.total())[:_TYPES]
    kinds = len(set().union(*counts))
    more = f" The commonest {len(rows)} of {kinds}." if kinds > len(rows) else ""
    return _beside("Product types (MUSE, Fig. 7)", "type", found, rows, f"Conversations by their target.{more}")


def _funnel(found: Sequence[Statistics]) -> Table:
    runs = [(s, s.funnel) for s in found if s.funnel]
    stages = {stage.name: stage for _, funnel in runs for stage in funnel.stages}
    rows = []
    for stage in stages.values():
        cells = [_passed(funnel, stage.name) for _, funnel in runs]
        if any(cell != NONE for cell in cells):
            rows.append((stage.name, stage.what, stage.level, *cells))
    if runs:
        profiles = (_ratio(funnel.profiles, funnel.draws) for _, funnel in runs)
        conversations = (_ratio(funnel.conversations, funnel.draws) for _, funnel in runs)
        rows.append(("profile yield", "what became a profile?", "draw", *profiles))
        rows.append(("conversation yield", "what became a conversation?", "draw", *conversations))
    columns = ("filter", "question", "asked of each", *(name(s) for s, _ in runs))
    note = "Outfit, multimodal opening, rewrite check and people throw no conversation away."
    return Table("Funnel: passed of entered (MUSE, Fig. 9)", columns, tuple(rows), note, left=3)


def _passed(funnel: Funnel, stage_name: str) -> str:
    stage = next((stage for stage in funnel.stages if stage.name == stage_name), None)
    return _ratio(stage.passed, stage.entered) if stage and stage.entered else NONE


def _rounds(found: Sequence[Statistics]) -> Table:
    runs = [s for s in found if s.rounds.endings]
    numbers = sorted({number for s in runs for number, _ in s.rounds.by_round})
    rows = []
    for number in numbers:
        for ending in ("hit", "fit", "forced"):
            counts = [s.rounds.by_round[number, ending] for s in runs]
            if any(counts):
                shares = (_share(n, s.rounds.endings.total()) for n, s in zip(counts, runs, strict=True))
                rows.append((f"{number}: {ending}", *shares))
    for ending in ("hit", "fit", "forced"):
        if runs:
            shares = (_share(s.rounds.endings[ending], s.rounds.endings.total()) for s in runs)
            rows.append((f"all: {ending}", *shares))
    return _beside("Endings by round (recommendations)", "round", runs, rows, "Of all conversations.")


def _persons(found: Sequence[Statistics]) -> Table:
    known = [s for s in found if s.persons.gender.total()]
    places = {text: place for place, text in enumerate(order())}
    rows = _shares(known, [s.persons.gender for s in known], lambda s, _: s.persons.gender.total())
    ages = _shares(known, [s.persons.age for s in known], lambda s, _: s.persons.age.total())
    rows += sorted(ages, key=lambda row: places[row[0]])
    for gender in ("female", "male"):
        if any(s.persons.gender[gender] for s in known):
            rows.append((f"{gender}: buys most", *(_most(s, gender) for s in known)))
    for title, counts in (
        ("V of gender and type", [s.persons.gender_type for s in known]),
        ("V of age and type", [s.persons.age_type for s in known]),
    ):
        values = map(association, counts)
        if known:
            rows.append((title, *(NONE if value is None else f"{value:.2f}" for value in values)))
    note = "V: Cramér's V (corrected), 0 where the two have nothing to do with each other, 1 where one tells the other."
    return _beside("Persons by gender, age and product type", "person", known, rows, note)


def _most(s: Statistics, gender: str) -> str:
    kinds = Counter({kind: n for (of, kind), n in s.persons.gender_type.items() if of == gender})
    top = kinds.most_common(_MOST)
    return ", ".join(f"{kind} {n / kinds.total():.0%}" for kind, n in top) or NONE


def _ngrams(found: Sequence[Statistics]) -> Table:
    rows = []
    for place in range(_NGRAMS):
        cells = [f"{s.top[place].text}  {s.top[place].share:.2%}" if place < len(s.top) else NONE for s in found]
        if any(cell != NONE for cell in cells):
            rows.append((str(place + 1), *cells))
    title = f"Most frequent {LONGEST}-grams, and the share of turns that have them (MUSE, Fig. 10)"
    return Table(title, ("", *map(name, found)), tuple(rows), _offline(found), left=1 + len(found))


# ---- cells


def name(s: Statistics) -> str:
    return s.name


def _only_profiles(s: Statistics) -> bool:
    return not s.size.conversations and bool(s.size.profiles)


def _offline(found: Sequence[Statistics]) -> str:
    names = ", ".join(name(s) for s in found if s.offline)
    return f"Written by the offline simulator, not by a language model: {names}." if names else ""


def _shares(
    found: Sequence[Statistics],
    counts: Sequence[Mapping[str, int]],
    whole: Callable[[Statistics, str], int],
) -> list[tuple[str, ...]]:
    """A row for everything that is counted anywhere, the commonest first."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return [
        (key, *(_share(count.get(key, 0), whole(s, key)) for s, count in zip(found, counts, strict=True)))
        for key, _ in sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _beside(
    title: str, what: str, found: Sequence[Statistics], rows: Sequence[tuple[str, ...]], note: str = ""
) -> Table:
    return Table(title, (what, *map(name, found)), tuple(rows), note)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else NONE


def _ratio(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.1%})" if whole else NONE


def _count(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"
