"""What the report says in words and numbers: tiles, settings, reasons, and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from synth.analysis.report.facts import Facts
from synth.corpora.export.masking import mask

_LONGEST = 240
"""Characters of a reason."""
_NOTHING = "nothing: no model was asked"
_SECRET = ("key", "token", "secret", "password", "credential")
_ELSEWHERE = frozenset({"format", "models", "seed", "synth", "variant", "catalogue", "catalogue_name", "prompts"})
"""Settings that have a line of their own, or none."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at a glance."""

    name: str
    value: str
    more: str
    unit: str = ""


def tiles(facts: Facts) -> Iterator[Tile]:
    """The numbers that say most of a run."""
    s, cost = facts.statistics, facts.log.cost
    endings, openings = s.rounds.endings, s.acts.openings
    wanted = facts.log.wanted
    of = f"of {count(wanted)} wanted" if wanted and wanted != facts.accepted else "accepted"
    yield Tile("Conversations", count(facts.accepted), of)
    per = s.size.turns_per_conversation
    yield Tile("Turns a conversation", f"{per:.2f}", f"{count(s.size.turns)} together")
    if s.final:
        yield Tile("Words a turn", f"{s.final.all.words_per_turn:.2f}", f"{count(s.final.all.tokens)} tokens together")
    if endings.total():
        fit, forced = (percent(endings[ending] / endings.total()) for ending in ("fit", "forced"))
        yield Tile("Target found", percent(endings["hit"] / endings.total()), f"{fit} fit, {forced} forced")
    if openings.total():
        yield Tile("Opened with a photo", percent(openings["multimodal"] / openings.total()), "of conversations")
    if s.final:
        row = s.final.sample
        over = f"over {count(row.tokens)} tokens" + ("" if row.complete else ", fewer than the sample asks for")
        yield Tile("Distinct-4", f"{row.distinct[4]:.3f}", over)
    if s.funnel and s.funnel.conversation_yield is not None:
        drawn = f"of {count(s.funnel.draws)} draws became a conversation"
        yield Tile("Yield", percent(s.funnel.conversation_yield), drawn)
    calls = f"{count(cost.all.calls)} model calls" if not _offline(facts.config) else _NOTHING
    yield Tile("Cost", f"{cost.usd:,.2f}", calls, "USD")


def models(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Models, each with the roles it had."""
    found: dict[str, list[str]] = {}
    for role, model in config.get("models", {}).items():
        if model != "none":
            found.setdefault(str(model), []).append(role)
    return [(model, "all agents" if len(found) == 1 else ", ".join(roles)) for model, roles in found.items()]


def _offline(config: Mapping[str, Any]) -> bool:
    return {model for model, _ in models(config)} == {"offline"}


def ended(facts: Facts) -> str:
    """The day on which the run came to where it is."""
    starts = facts.log.starts
    return date(max(start.started + start.seconds for start in starts))[:10] if starts else ""


def settings(facts: Facts) -> Iterator[tuple[str, str]]:
    """Names and values, without what could be a secret."""
    config, shop, log = facts.config, facts.catalogue, facts.log
    for role, model in config.get("models", {}).items():
        yield f"model of the {role}", str(model)
    yield "seed", str(config.get("seed", "–"))
    yield "prompts (hash of all)", str(config.get("prompts", "–"))
    yield "synth", str(config.get("synth", "–"))
    yield "time at work", seconds(sum(start.seconds for start in log.starts)) if log.starts else "–"
    yield "cost", _NOTHING if _offline(config) else f"{log.cost.usd:,.4f} USD"
    yield "catalogue", shop.name if shop else str(config.get("catalogue_name", "–"))
    if shop:
        yield "its source", mask(shop.source)
        yield "its licence", shop.licence or "not stated"
        yield "its language", shop.language
    yield "its fingerprint", str(config.get("catalogue", "–"))
    for name, value in _flat(config, _ELSEWHERE):
        if value:
            yield name.replace("_", " "), value


def _flat(config: Mapping[str, Any], without: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if name in without or any(word in name.lower() for word in _SECRET):
            continue
        if isinstance(value, Mapping):
            yield from ((f"{name} · {inner}", text) for inner, text in _flat(value))
        else:
            yield name, _without_user(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _without_user(text: str) -> str:
    """An address without the name and the password in it."""
    try:
        place = urlsplit(text).netloc if "://" in text and "@" in text else ""
    except ValueError:
        return text
    return text.replace(f"{place.rpartition('@')[0]}@", "") if "@" in place else text


def reasons(facts: Facts) -> list[tuple[str, list[tuple[str, int]]]]:
    """The commonest reasons of each filter that has some."""
    stages = facts.statistics.funnel.stages if facts.statistics.funnel else ()
    return [
        (stage.name, [(cut(mask(reason)), n) for reason, n in stage.reasons.items()])
        for stage in stages
        if stage.reasons
    ]


def count(value: float) -> str:
    return f"{value:,.0f}"


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}\u202f%"


def seconds(value: float) -> str:
    if value < 60:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def date(value: float) -> str:
    """Unix time as 2026-01-31 12:00 UTC."""
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"


def cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


FILTERS = {"count": count, "percent": percent, "seconds": seconds, "date": date, "cut": cut}
