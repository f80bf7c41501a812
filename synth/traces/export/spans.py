"""A draw as OpenInference spans (https://arize-ai.github.io/openinference/spec/), OpenTelemetry's usage names added.

A conversation is a trace: agents below it, model calls below them. Ids come from the run and the place, so that an
export that is made twice gives the same spans. Pictures are named by hash, never sent. Texts are masked, as in every
export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from synth.corpora.export.masking import mask
from synth.corpora.records import Candidate
from synth.traces.events import Event, RetrievalEvent, ReviewEvent, RunSpan
from synth.traces.reader import ACCEPTED, Draw, Step
from synth.traces.tree import ROLES

Value = str | int | float | bool
_KINDS = {"querier.rerank": "RERANKER", "reviewer.review": "EVALUATOR", "rewriter.check": "EVALUATOR"}


class SpanData(NamedTuple):
    """One span."""

    trace_id: bytes
    """16 bytes: the conversation's."""
    span_id: bytes
    """8 bytes."""
    parent_id: bytes
    """Empty for a root."""
    name: str
    start: float
    """Unix time."""
    end: float
    attributes: dict[str, Value]
    error: str = ""
    """Why a filter refused the draw."""


def spans(
    run: str, draw: Draw, steps: Sequence[Step], events: Sequence[Event], title: Callable[[str], str] = str
) -> list[SpanData]:
    """All spans of a draw, the root first.

    Args:
        run: what tells the run from others; part of every id.
        events: of the conversation.
        title: a product's title by its id.
    """
    return list(_Maker(run, draw, title).make(steps, events))


def run_spans(run: str, name: str, config: dict[str, Any], events: Sequence[Event]) -> list[SpanData]:
    """One span a start of the run, in a trace of its own."""
    return [
        SpanData(
            _hash(16, run, "run"),
            _hash(8, run, "run", str(number)),
            b"",
            f"run {name}",
            event.started,
            event.started + event.seconds,
            {
                "openinference.span.kind": "CHAIN",
                "session.id": name,
                "output.value": f"{event.ended}: {event.accepted} conversations",
                "metadata": json.dumps(config, sort_keys=True, default=str),
            },
            event.reason if event.ended == "failed" else "",
        )
        for number, event in enumerate(e for e in events if isinstance(e, RunSpan))
    ]


class _Maker:
    def __init__(self, run: str, draw: Draw, title: Callable[[str], str]) -> None:
        self._run, self._draw, self._title = run, draw, title
        self._trace = _hash(16, run, draw.id)
        self._root = self._id("root")

    def make(self, steps: Sequence[Step], events: Sequence[Event]) -> Iterator[SpanData]:
        groups: dict[tuple[str, str], list[Step]] = {}
        for step in steps:
            groups.setdefault((step.call.place.stage, step.call.place.step), []).append(step)
        times = {place: _times(group) for place, group in groups.items()}
        begin = min((start for start, _ in times.values()), default=0.0)
        end = max((end for _, end in times.values()), default=begin)
        yield self._span("root", b"", self._draw.id, (begin, end), self._facts(), error=self._draw.reason)
        searches = {event.step: event for event in events if isinstance(event, RetrievalEvent)}
        review = next((event for event in events if isinstance(event, ReviewEvent)), None)
        for place, group in groups.items():
            search = searches.get(place[1].partition(".")[0]) if place[0] == "conversation" else None
            yield from self._agent(place, group, times[place], search, review)
            if search is not None and place[1].endswith(".query"):
                after = times[place][1]
                yield self._span(f"{search.step}.search", self._root, "search", (after, after), self._search(search))
        if self._draw.verdict != ACCEPTED:
            refusal: dict[str, Value] = {
                "openinference.span.kind": "GUARDRAIL",
                "input.value": self._draw.id,
                "output.value": self._draw.reason,
            }
            name = f"filter {self._draw.verdict}"
            yield self._span("filter", self._root, name, (end, end), refusal, error=self._draw.reason)

    def _agent(
        self,
        place: tuple[str, str],
        group: list[Step],
        times: tuple[float, float],
        search: RetrievalEvent | None,
        review: ReviewEvent | None,
    ) -> Iterator[SpanData]:
        """An agent's step, and below it its calls: one, or two where the first reply was of no use."""
        last = group[-1]
        kind = _KINDS.get(last.call.call, "AGENT")
        attributes: dict[str, Value] = {
            "openinference.span.kind": kind,
            "agent.name": last.span.agent if last.span else last.call.call.partition(".")[0],
            "input.value": last.call.messages[-1] if last.call.messages else "",
            "output.value": last.call.reply,
            "synth.phase": last.phase,
            "synth.step": last.anchor,
        }
        if last.phase == "conversation":
            attributes["synth.turn"] = last.turn
        if kind == "RERANKER" and search is not None:
            found = search.retrieval
            attributes |= {"reranker.query": found.query, "reranker.model_name": last.call.model}
            attributes |= self._documents("reranker.input_documents", found.candidates)
            kept = [candidate for candidate in found.candidates if candidate.id == found.chosen]
            attributes |= self._documents("reranker.output_documents", kept)
        if last.call.call == "reviewer.review" and review is not None:
            attributes["metadata"] = json.dumps({"total": review.scores.total, **review.model_dump(mode="json")})
        agent = "/".join(place)
        yield self._span(agent, self._root, last.call.call, times, attributes)
        for step in group:
            call = step.call
            name = f"{call.call} {call.model}"
            yield self._span(
                f"{agent}/{call.place.attempt}",
                self._id(agent),
                name,
                (call.ended - call.seconds, call.ended),
                llm(step),
            )

    def _facts(self) -> dict[str, Value]:
        draw, conversation = self._draw, self._draw.conversation
        turns = conversation.turns if conversation else ()
        facts = {
            "verdict": draw.verdict,
            "reason": draw.reason,
            "scenario": draw.profile.scenario_id if draw.profile else None,
            "target": draw.profile.target_id if draw.profile else None,
            "opening": conversation.opening if conversation else None,
            "ending": conversation.ended_by if conversation else None,
            "accepted": conversation.accepted_id if conversation else None,
            "scores": conversation.scores.model_dump() if conversation else None,
        }
        return {
            "openinference.span.kind": "CHAIN",
            "session.id": draw.id,
            "input.value": next((turn.text for turn in turns if turn.speaker == "user"), ""),
            "output.value": "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns) or draw.reason,
            "metadata": json.dumps({name: value for name, value in facts.items() if value}, ensure_ascii=False),
        }

    def _search(self, event: RetrievalEvent) -> dict[str, Value]:
        found = event.retrieval
        rank = {} if event.target_rank is None else {"target_rank": event.target_rank}
        return {
            "openinference.span.kind": "RETRIEVER",
            "input.value": found.query,
            "metadata": json.dumps({"needs": found.needs, "excluded": found.excluded, "chosen": found.chosen, **rank}),
            **self._documents("retrieval.documents", found.candidates),
        }

    def _documents(self, prefix: str, candidates: Sequence[Candidate]) -> dict[str, Value]:
        documents: dict[str, Value] = {}
        for place, found in enumerate(candidates):
            documents[f"{prefix}.{place}.document.id"] = found.id
            documents[f"{prefix}.{place}.document.score"] = found.score
            documents[f"{prefix}.{place}.document.content"] = self._title(found.id)
        return documents

    def _span(
        self,
        place: str,
        parent: bytes,
        name: str,
        times: tuple[float, float],
        attributes: dict[str, Value],
        error: str = "",
    ) -> SpanData:
        told = {key: mask(value) if isinstance(value, str) else value for key, value in attributes.items()}
        told["gen_ai.conversation.id"] = self._draw.id
        return SpanData(self._trace, self._id(place), parent, name, *times, told, mask(error))

    def _id(self, place: str) -> bytes:
        return _hash(8, self._run, self._draw.id, place)


def llm(step: Step) -> dict[str, Value]:
    """Attributes of a model call."""
    call = step.call
    attributes: dict[str, Value] = {
        "openinference.span.kind": "LLM",
        "llm.model_name": call.model,
        "llm.invocation_parameters": json.dumps({"temperature": call.temperature, "max_tokens": call.max_tokens}),
        "llm.prompt_template.version": call.prompt,
        "llm.token_count.prompt": call.input_tokens,
        "llm.token_count.completion": call.output_tokens,
        "llm.token_count.total": call.input_tokens + call.output_tokens,
        "llm.token_count.prompt_details.cache_read": call.cached_tokens,
        "llm.cost.total": call.usd,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "synth.tries": call.tries,
        "output.value": call.reply,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": call.reply,
    }
    last = len(call.messages) - 1
    for place, text in enumerate(call.messages):
        message = f"llm.input_messages.{place}.message"
        attributes[f"{message}.role"] = ROLES.get(call.roles[place : place + 1], "user")
        if place != last or not call.images:
            attributes[f"{message}.content"] = text
            continue
        attributes[f"{message}.contents.0.message_content.type"] = "text"
        attributes[f"{message}.contents.0.message_content.text"] = text
        for number, image in enumerate(call.images, 1):
            attributes[f"{message}.contents.{number}.message_content.type"] = "image"
            attributes[f"{message}.contents.{number}.message_content.image.image.url"] = f"sha256:{image}"
    return attributes


def _times(group: Sequence[Step]) -> tuple[float, float]:
    """From the first call or the agent's start to the end of both; a reply from the log is older than its agent."""
    starts = [step.call.ended - step.call.seconds for step in group]
    ends = [step.call.ended for step in group]
    for step in group:
        if step.span is not None:
            starts.append(step.span.started)
            ends.append(step.span.started + step.span.seconds)
    return min(starts), max(ends)


def _hash(size: int, *parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=size).digest()
