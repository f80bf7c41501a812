"""A draw as JSON or as Markdown, to take along."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from synth.corpora.records import Conversation
from synth.traces.events import Event
from synth.traces.reader import Draw, RunReader, Step
from synth.view.product import price
from synth.view.step import Entry, parsed, timeline

_MARKS = re.compile(r"([\\`*_\[\]#|~])")


def as_json(reader: RunReader, draw: Draw, steps: Sequence[Step], events: Sequence[Event]) -> str:
    """The record, its scenario, every call with its prompt and reply, and what else happened."""
    scenario = reader.scenarios.get(draw.profile.scenario_id) if draw.profile else None
    value: dict[str, Any] = {
        "run": reader.name,
        "id": draw.id,
        "verdict": draw.verdict,
        "reason": draw.reason,
        "scenario": scenario.model_dump(mode="json") if scenario else None,
        "profile": draw.profile.model_dump(mode="json") if draw.profile else None,
        "conversation": draw.conversation.model_dump(mode="json", exclude={"profile"}) if draw.conversation else None,
        "steps": [_step(step) for step in steps],
        "events": [event.model_dump(mode="json") for event in events],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_markdown(reader: RunReader, draw: Draw, steps: Sequence[Step], events: Sequence[Event]) -> str:
    """For an issue or a paper's appendix: what was said, by whom and why. Nothing in a text becomes markup."""
    lines = [f"# {draw.id}", "", f"Run {plain(reader.name)}; {_verdict(draw)}."]
    if draw.profile is not None:
        lines += _person(reader, draw)
    entries = timeline(steps, events)
    if draw.conversation is not None:
        lines += ["", "## Conversation"]
        for turn in draw.conversation.turns:
            lines += ["", f"**{turn.index}. {turn.speaker}**, {turn.act}", "", *_quoted(turn.text)]
            lines += [f"> - {_product(reader, id_)}" for id_ in turn.products if turn.images]
            lines += _steps(entries.pop(turn.index, []))
    left = [entry for _, more in sorted(entries.items()) for entry in more]
    if left:
        lines += ["", "## Before and after"]
        lines += _steps(left)
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """A text of a run in one line of Markdown, with nothing in it that Markdown or HTML would read."""
    return _MARKS.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _verdict(draw: Draw) -> str:
    if draw.conversation is None or draw.verdict != "accepted":
        return f"refused by {plain(draw.verdict)}: {plain(draw.reason)}" if draw.reason else plain(draw.verdict)
    return f"{draw.verdict}, ended by {draw.conversation.ended_by}, {_scores(draw.conversation)}"


def _scores(conversation: Conversation) -> str:
    scores = conversation.scores
    return (
        f"review {scores.total:g} of 30 (content quality {scores.content_quality:g}, logical fluency "
        f"{scores.logical_fluency:g}, user consistency {scores.user_consistency:g})"
    )


def _person(reader: RunReader, draw: Draw) -> list[str]:
    profile = draw.profile
    assert profile is not None
    person, scenario = profile.person, reader.scenarios.get(profile.scenario_id)
    about = ", ".join(map(str, filter(None, (person.name, person.gender, person.age, person.profession))))
    lines = ["", f"- Person: {plain(about)}"]
    if profile.recipient is not None:
        lines.append(f"- For: {plain(profile.recipient.relation)}")
    if scenario is not None:
        lines.append(f"- Scenario ({plain(scenario.family)}): {plain(scenario.text)}")
    lines += [f"- Requirement: {plain(requirement.text)}" for requirement in profile.requirements]
    lines.append(f"- In mind: {_product(reader, profile.target_id)}")
    return [*lines, f"- Backstory: {plain(profile.backstory)}"]


def _product(reader: RunReader, product_id: str) -> str:
    product = reader.product(product_id)
    if product is None:
        return plain(product_id)
    return ", ".join(filter(None, (plain(product.title), price(product), plain(product.id))))


def _quoted(text: str) -> list[str]:
    return [f"> {plain(line)}".rstrip() for line in text.splitlines() or [""]]


def _steps(entries: Sequence[Entry]) -> list[str]:
    return ["", *(f"- {_label(entry)}" for entry in entries)] if entries else []


def _label(entry: Entry) -> str:
    outcome = f": {plain(entry.outcome)}" if entry.outcome else ""
    if entry.step is None:
        return f"{plain(entry.name)}{outcome}"
    call = entry.step.call
    tokens = f"{call.input_tokens} + {call.output_tokens} tokens"
    return f"{plain(entry.name)} ({plain(call.model)}, {tokens}, {call.usd:.4f} USD, {call.seconds:.2f} s){outcome}"


def _step(step: Step) -> dict[str, Any]:
    call = step.call._asdict()
    place = step.call.place
    return {
        "anchor": step.anchor,
        "turn": step.turn if step.phase == "conversation" else None,
        "phase": step.phase,
        "logged": step.span.logged if step.span else None,
        **call,
        "place": place._asdict(),
        "reply": parsed(step.call.reply) or step.call.reply,
    }
