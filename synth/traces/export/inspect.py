"""Inspect AI's log (https://inspect.aisi.org.uk/eval-logs.html): a sample a draw, which `inspect view` opens.

Written with Inspect's own recorder, one sample after the other, so that a large run needs no more memory than a small
one. Inspect offers its one-shot writer only in public; the recorder's names are pinned by the extra's version, and
tests read what it wrote back with Inspect's reader.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from synth import __version__
from synth.corpora.export.folder import MANIFEST, staged
from synth.corpora.export.masking import mask
from synth.corpora.records import Turn
from synth.errors import SynthError
from synth.traces.events import RunSpan
from synth.traces.export import needed
from synth.traces.reader import ACCEPTED, Draw, RunReader
from synth.traces.tree import Branch, DrawTree, StepLeaf, tree


class Written(NamedTuple):
    """What was written, and where."""

    path: Path
    conversations: int


def export(reader: RunReader, out: Path, *, pictures: bool, replace: bool = False) -> Written:
    """Writes a run to `out/logs/RUN.eval`, whole or not at all.

    Args:
        pictures: whether the conversations' pictures are in the log; prompts name theirs by hash.

    Raises:
        SynthError: the extra is missing, `out` exists and may not be replaced, or the run has no draw yet.
    """
    needed("inspect_ai.log", "inspect")
    with staged(out, replace=replace) as folder:
        (folder / "logs").mkdir()
        path = folder / "logs" / f"{reader.name}.eval"
        count = asyncio.run(_write(reader, path, pictures=pictures))
        facts = {"format": "inspect", "synth": __version__, "run": reader.name, "rows": {"log": count}}
        (folder / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n", "utf-8", newline="\n")
    return Written(out / "logs" / path.name, count)


async def _write(reader: RunReader, path: Path, *, pictures: bool) -> int:
    log = needed("inspect_ai.log", "inspect")
    recorder = needed("inspect_ai.log._recorders.eval", "inspect").EvalRecorder(str(path.parent))
    spec, stats = _spec(reader, log), _stats(reader, log)
    maker = _Maker(reader, pictures=pictures)
    await recorder.log_init(spec, str(path), clean=True)
    await recorder.log_start(spec, log.EvalPlan(name="synth"))
    totals: list[float] = []
    count = 0
    for draw in reader.draws():
        # Message lists repeat from call to call: condensed, each message is in the sample once.
        sample = log.condense_sample(maker.sample(draw), True)
        await recorder.log_sample(spec, sample, write_through=True)
        count += 1
        if draw.conversation is not None:
            totals.append(draw.conversation.scores.total)
    if not count:
        raise SynthError(f"{reader.name} has no draw yet.", "Go on with `synth generate`.")
    mean = sum(totals) / len(totals) if totals else 0.0
    results = log.EvalResults(
        total_samples=count,
        completed_samples=count,
        scores=[
            log.EvalScore(
                name="review",
                scorer="reviewer",
                scored_samples=len(totals),
                unscored_samples=count - len(totals),
                metrics={"mean": log.EvalMetric(name="mean", value=mean)},
            )
        ]
        if totals
        else [],
    )
    await recorder.log_finish(spec, "success", stats, results, None, header_only=True)
    return count


def _spec(reader: RunReader, log: Any) -> Any:
    config = reader.config
    number = _id(reader.name, str(config.get("catalogue")), str(config.get("seed")), str(config.get("prompts")))
    models = sorted({str(model) for model in config["models"].values() if model != "none"})
    return log.EvalSpec(
        eval_id=number,
        run_id=number,
        task_id=number,
        created=_iso(_started(reader)),
        task="synth",
        task_display_name=reader.name,
        dataset=log.EvalDataset(name=str(config.get("catalogue_name", ""))),
        model=", ".join(models) or "none",
        config=log.EvalConfig(),
        packages={"synth-crs": __version__},
        metadata=config,
    )


def _stats(reader: RunReader, log: Any) -> Any:
    spans = _runs(reader)
    ended = max((span.started + span.seconds for span in spans), default=_started(reader))
    return log.EvalStats(started_at=_iso(_started(reader)), completed_at=_iso(ended))


def _runs(reader: RunReader) -> list[RunSpan]:
    return [event for event in reader.events("run", 0) if isinstance(event, RunSpan)]


def _started(reader: RunReader) -> float:
    """When the run was first started; of one that knows no such time, the beginning of time."""
    return min((span.started for span in _runs(reader)), default=0.0)


class _Maker:
    """Makes samples. Its ids come from places and texts, so that two exports of a run are alike."""

    def __init__(self, reader: RunReader, *, pictures: bool) -> None:
        self._reader = reader
        self._pictures = pictures
        self._log = needed("inspect_ai.log", "inspect")
        self._model = needed("inspect_ai.model", "inspect")
        self._event = needed("inspect_ai.event", "inspect")
        self._score = needed("inspect_ai.scorer", "inspect").Score
        self._read = functools.lru_cache(64)(self._data)

    def sample(self, draw: Draw) -> Any:
        facts = tree(self._reader, draw)
        calls = {step.anchor: step.call for step in self._reader.steps(draw.number)}
        ends = {anchor: call.ended for anchor, call in calls.items()}
        start = min((call.ended - call.seconds for call in calls.values()), default=_started(self._reader))
        turns = draw.conversation.turns if draw.conversation else ()
        said = next((turn.text for turn in turns if turn.speaker == "user"), draw.reason)
        last = next((turn.text for turn in reversed(turns) if turn.speaker == "assistant"), "")
        usage: dict[str, Any] = {}
        for step in facts.steps():
            usage[step.model] = usage.get(step.model, self._model.ModelUsage()) + self._usage(step)
        end = max(ends.values(), default=start)
        return self._log.EvalSample(
            id=draw.id,
            epoch=1,
            input=mask(said),
            target=mask(facts.target.title if facts.target else ""),
            messages=[self._said(draw.id, turn) for turn in turns],
            output=self._model.ModelOutput.from_content("synth", mask(last)),
            scores=self._scores(draw, facts),
            metadata=_masked(_metadata(facts)),
            events=list(self._events(draw.id, facts, ends, start)),
            model_usage=usage,
            started_at=_iso(start),
            completed_at=_iso(end),
            total_time=end - start,
            uuid=_id(draw.id),
        )

    # ---- what was said

    def _said(self, draw: str, turn: Turn) -> Any:
        content: Any = mask(turn.text)
        if self._pictures and turn.images:
            images = [data for image in turn.images if (data := self._read(image))]
            content = [self._model.ContentText(text=content), *(self._model.ContentImage(image=i) for i in images)]
        kind = self._model.ChatMessageUser if turn.speaker == "user" else self._model.ChatMessageAssistant
        return kind(id=_id(draw, str(turn.index)), content=content, metadata={"act": turn.act, "turn": turn.index})

    def _data(self, image: str) -> str:
        """A picture as a data URL; empty where its file is not there."""
        path = self._reader.picture(image)
        if path is None:
            return ""
        mime = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}[path.suffix]
        return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"

    def _scores(self, draw: Draw, facts: DrawTree) -> dict[str, Any]:
        scores = {"verdict": self._score(value=draw.verdict, explanation=mask(draw.reason) or None)}
        if draw.conversation is not None:
            given = draw.conversation.scores
            problems = "; ".join(facts.review.problems) if facts.review else ""
            scores["review"] = self._score(value=given.total, explanation=mask(problems) or None)
            scores |= {name: self._score(value=value) for name, value in given.model_dump().items()}
        return scores

    # ---- what the agents did

    def _events(self, draw: str, facts: DrawTree, ends: dict[str, float], start: float) -> Iterator[Any]:
        now = start

        def event(kind: str, place: str, span: str | None, **values: Any) -> Any:
            stamp = datetime.fromtimestamp(now, UTC)
            made = getattr(self._event, kind)
            return made(
                uuid=_id(draw, place), span_id=span, timestamp=stamp, working_start=max(0.0, now - start), **values
            )

        for branch in facts.branches:
            turn = _id(draw, "span", branch.name)
            title = f"turn {branch.name}: {branch.speaker} {branch.act}" if branch.speaker else branch.name
            yield event("SpanBeginEvent", f"{branch.name} begin", turn, id=turn, name=title, type="turn")
            for step in branch.steps:
                span = _id(draw, "span", step.anchor)
                now = max(now, ends[step.anchor] - step.seconds)
                yield event(
                    "SpanBeginEvent",
                    f"{step.anchor} begin",
                    span,
                    id=span,
                    parent_id=turn,
                    name=step.call,
                    type="agent",
                )
                began = now
                now = max(now, ends[step.anchor])
                finished = datetime.fromtimestamp(now, UTC)
                yield event(
                    "ModelEvent",
                    step.anchor,
                    span,
                    model=step.model,
                    role=step.agent,
                    input=[self._message(message.role, message.text) for message in step.messages],
                    tools=[],
                    tool_choice="none",
                    config=self._model.GenerateConfig(temperature=step.temperature, max_tokens=step.max_tokens or None),
                    output=self._output(step),
                    retries=step.tries - 1,
                    metadata={
                        "anchor": step.anchor,
                        "prompt": step.prompt,
                        "images": list(step.images),
                        "usd": step.usd,
                    },
                    completed=finished,
                    working_time=now - began,
                )
                yield event("SpanEndEvent", f"{step.anchor} end", span, id=span)
            for name, data in _notes(branch):
                yield event("InfoEvent", f"{branch.name} {name}", turn, source=name, data=_masked(data))
            yield event("SpanEndEvent", f"{branch.name} end", turn, id=turn)
        if facts.verdict != ACCEPTED:
            told = {"filter": facts.verdict, "reason": facts.reason}
            yield event("InfoEvent", "filter", None, source="filter", data=_masked(told))

    def _message(self, role: str, text: str) -> Any:
        kind = {"system": "ChatMessageSystem", "assistant": "ChatMessageAssistant"}.get(role, "ChatMessageUser")
        # The same message has the same id in every prompt.
        return getattr(self._model, kind)(id=_id(role, text), content=mask(text))

    def _output(self, step: StepLeaf) -> Any:
        message = self._model.ChatMessageAssistant(id=_id("reply", step.anchor, step.reply), content=mask(step.reply))
        choice = self._model.ChatCompletionChoice(message=message, stop_reason="stop")
        return self._model.ModelOutput(
            model=step.model, choices=[choice], usage=self._usage(step), time=step.seconds, completion=mask(step.reply)
        )

    def _usage(self, step: StepLeaf) -> Any:
        return self._model.ModelUsage(
            input_tokens=step.input_tokens - step.cached_tokens,  # Inspect counts cached ones apart
            input_tokens_cache_read=step.cached_tokens,
            output_tokens=step.output_tokens,
            total_tokens=step.input_tokens + step.output_tokens,
            total_cost=step.usd,
        )


def _notes(branch: Branch) -> Iterator[tuple[str, Any]]:
    """What happened at a turn besides calls."""
    for number, choice in enumerate(branch.choices):
        yield f"choice {number}" if number else "choice", choice.model_dump(mode="json")
    if branch.search is not None:
        yield "search", branch.search.model_dump(mode="json")
    if branch.rewrite is not None:
        yield "rewrite", branch.rewrite.model_dump(mode="json")


def _metadata(facts: DrawTree) -> dict[str, Any]:
    wanted = {"verdict", "reason", "scenario", "family", "profile", "target", "opening", "ending", "accepted", "review"}
    return {name: value for name, value in facts.model_dump(mode="json", include=wanted).items() if value}


def _masked(value: Any) -> Any:
    """A value with its texts masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _masked(part) for name, part in value.items()}
    return [_masked(part) for part in value] if isinstance(value, list) else value


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=11).hexdigest()
