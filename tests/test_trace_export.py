"""Exports of traces: OpenInference spans to a fake OTLP endpoint, and Inspect's log, read back by Inspect."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import Exit, SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.traces.export import FORMATS, needed
from synth.traces.export import otlp as otlp_format
from synth.traces.export.spans import SpanData, spans
from synth.traces.reader import ACCEPTED, RunReader

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, catalogue: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sent"
    generate(Options(catalog=catalogue, scenarios=20, convs=10, out=out, seed=2))
    return out


@pytest.fixture
def reader(run: Path) -> Iterator[RunReader]:
    opened = RunReader(run)
    yield opened
    opened.close()


def spans_of(reader: RunReader, number: int | None = None) -> list[SpanData]:
    draws = [draw for draw in reader.draws() if number is None or draw.number == number]
    return [
        span
        for draw in draws
        for span in spans("r", draw, reader.steps(draw.number), reader.events("conversation", draw.number))
    ]


# ---- spans


def test_spans_are_a_tree_of_the_kinds_that_openinference_knows(reader: RunReader) -> None:
    kinds: Counter[str] = Counter()
    for draw in reader.draws():
        steps, events = reader.steps(draw.number), reader.events("conversation", draw.number)
        made = spans("r", draw, steps, events)
        ids = {span.span_id for span in made}
        assert len(ids) == len(made) and len({span.trace_id for span in made}) == 1
        assert [span.parent_id for span in made].count(b"") == 1 and not made[0].parent_id
        assert all(span.parent_id in ids for span in made[1:])
        assert all(span.end >= span.start for span in made)
        assert all(made[0].start <= span.start and span.end <= made[0].end for span in made)
        assert {span.attributes["gen_ai.conversation.id"] for span in made} == {draw.id}
        found = Counter(str(span.attributes["openinference.span.kind"]) for span in made)
        assert found["LLM"] == len(steps)
        assert found["GUARDRAIL"] == (draw.verdict != ACCEPTED)
        turns = draw.conversation.turns if draw.conversation else ()
        assert found["RETRIEVER"] == sum(turn.retrieval is not None for turn in turns) == found["RERANKER"]
        kinds += found
    assert set(kinds) == {"CHAIN", "AGENT", "LLM", "RETRIEVER", "RERANKER", "EVALUATOR", "GUARDRAIL"}


def test_spans_say_what_a_call_was(reader: RunReader) -> None:
    draw = next(draw for draw in reader.draws() if draw.conversation)
    steps = reader.steps(draw.number)
    made = [span for span in spans_of(reader, draw.number) if span.attributes["openinference.span.kind"] == "LLM"]
    for step in steps:
        step_spans = [s for s in made if s.attributes["output.value"] == step.call.reply]
        told = step_spans[0].attributes
        assert told["llm.model_name"] == told["gen_ai.request.model"] == "offline"
        assert told["llm.input_messages.0.message.role"] == "system"
        assert told["llm.token_count.prompt"] == told["gen_ai.usage.input_tokens"] == step.call.input_tokens
    shown = next(step for step in steps if step.call.images)
    told = next(s.attributes for s in made if s.attributes["output.value"] == shown.call.reply)
    last = len(shown.call.messages) - 1
    image = f"llm.input_messages.{last}.message.contents.1.message_content.image.image.url"
    assert told[image] == f"sha256:{shown.call.images[0]}"
    assert "base64" not in json.dumps(told)


def test_span_ids_depend_on_run_and_place_only(reader: RunReader) -> None:
    assert spans_of(reader) == spans_of(reader)
    draw = next(reader.draws())
    steps, events = reader.steps(draw.number), reader.events("conversation", draw.number)
    one, other = (spans(run, draw, steps, events) for run in ("r", "q"))
    assert not {span.span_id for span in one} & {span.span_id for span in other}


def test_spans_are_masked(reader: RunReader) -> None:
    draw = next(reader.draws())
    step = reader.steps(draw.number)[0]
    call = step.call._replace(reply="write to nina@example.org", messages=("@nina.b asks",), roles="u")
    told = json.dumps([span.attributes for span in spans("r", draw, [step._replace(call=call)], [])])
    assert "[email]" in told and "[handle]" in told and "nina" not in told


# ---- OTLP


class Endpoint(ThreadingHTTPServer):
    """Takes spans as a collector does, and answers as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        """Before the first good one."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Any]:
        return [s for r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        messages = needed("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "otlp")
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"")
        if status == 200:
            request = messages.ExportTraceServiceRequest()
            request.ParseFromString(gzip.decompress(body))
            self.server.requests.append(request)
            self.server.headers.append({key.lower(): value for key, value in self.headers.items()})
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    pytest.importorskip("opentelemetry.proto.collector", reason="the extra `otlp` is not installed")
    for name in ("ENDPOINT", "HEADERS", "TRACES_ENDPOINT", "TRACES_HEADERS"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_otlp_sends_every_span_and_counts_them(
    run: Path, reader: RunReader, collector: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-team=shop")
    command = ["export", str(run), "--format", "otlp", "--endpoint", collector.url, "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    sent, told = collector.spans(), json.loads(result.output)
    expected = spans_of(reader)
    assert told["spans"] == len(sent) == len(expected) + 1  # and the run's own
    assert told["conversations"] == len(list(reader.draws())) and told["rejected"] == 0
    assert len(collector.requests) > 1 and max(len(r.SerializeToString()) for r in collector.requests) < 4_000_000
    assert collector.headers[0]["authorization"] == "Bearer abc" and collector.headers[0]["x-team"] == "shop"
    assert Counter(span.name for span in sent[1:]) == Counter(span.name for span in expected)
    values = {pair.key: pair.value for pair in sent[-1].attributes}
    assert values["openinference.span.kind"].string_value and len(sent[-1].trace_id) == 16
    assert sent[1].start_time_unix_nano == round(expected[0].start * 1_000_000_000)
    refused = [span for span in sent if span.status.code == 2]
    assert {span.status.message for span in refused} == {d.reason for d in reader.draws() if d.verdict != ACCEPTED}
    ids = [span.span_id for span in sent]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [span.span_id for span in collector.spans()] == ids + ids


def test_otlp_tries_again_and_gives_up_aloud(reader: RunReader, collector: Endpoint) -> None:
    waited: list[float] = []
    collector.answers = [(503, b""), (429, b"")]
    sent = otlp_format.export(reader, collector.url, waited.append)
    assert sent.spans == len(collector.spans()) and waited == [0.5, 1.0]
    collector.answers = [(503, b"")] * 6
    with pytest.raises(SynthError, match="HTTP 503.*0 were sent before") as failure:
        otlp_format.export(reader, collector.url, waited.append)
    assert failure.value.exit_code == Exit.LIMIT
    collector.answers = [(200, b""), (401, b"")]
    with pytest.raises(SynthError, match="HTTP 401.*256 were sent before"):
        otlp_format.export(reader, collector.url, waited.append)
    collector.answers = [(200, b"<html>no collector</html>")]
    with pytest.raises(SynthError, match="something else than OTLP"):
        otlp_format.export(reader, collector.url, waited.append)


def test_otlp_says_what_the_endpoint_threw_away(run: Path, collector: Endpoint) -> None:
    messages = needed("opentelemetry.proto.collector.trace.v1.trace_service_pb2", "otlp")
    answer = messages.ExportTraceServiceResponse()
    answer.partial_success.rejected_spans, answer.partial_success.error_message = 3, "quota"
    collector.answers = [(200, answer.SerializeToString())]
    result = CliRunner().invoke(app, ["export", str(run), "--format", "otlp", "--endpoint", collector.url])
    assert isinstance(result.exception, SynthError) and result.exception.exit_code == Exit.CHECK_FAILED
    assert "threw 3 spans away: quota" in str(result.exception)


def test_otlp_where_nobody_listens(reader: RunReader, collector: Endpoint) -> None:
    with pytest.raises(SynthError, match="did not take a batch"):
        otlp_format.export(reader, "http://127.0.0.1:9", lambda seconds: None)


def test_otlp_addresses_and_headers() -> None:
    assert otlp_format.endpoint(None, {}) == "http://127.0.0.1:4318/v1/traces"
    assert otlp_format.endpoint("https://a.example/otel/v1/traces", {}) == "https://a.example/otel/v1/traces"
    assert otlp_format.endpoint(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1/x"}) == "http://b:1/x/v1/traces"
    assert otlp_format.endpoint(None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/t"}) == "http://b/t"
    with pytest.raises(SynthError, match="is no HTTP address"):
        otlp_format.endpoint("localhost:4318", {})
    with pytest.raises(SynthError) as failure:
        otlp_format.headers({"OTEL_EXPORTER_OTLP_HEADERS": "secret"})
    assert "secret" not in str(failure.value)


# ---- Inspect


@pytest.fixture
def inspect_log() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its many packages; none of ours
        return pytest.importorskip("inspect_ai.log", reason="the extra `inspect` is not installed")


@pytest.mark.filterwarnings("default")  # Inspect's own
def test_inspect_reads_back_what_was_written(
    run: Path, reader: RunReader, inspect_log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", str(run), "--format", "inspect", "--out", "log", "--json"])
    assert result.exit_code == 0, result.exception
    told = json.loads(result.output)
    path = tmp_path / "log" / "logs" / "sent.eval"
    assert path.is_file() and path.resolve() == (tmp_path / told["path"]).resolve()
    header = inspect_log.read_eval_log(str(path), header_only=True)
    draws = list(reader.draws())
    assert header.status == "success" and header.results.total_samples == len(draws) == told["conversations"]
    totals = [draw.conversation.scores.total for draw in draws if draw.conversation]
    assert header.results.scores[0].metrics["mean"].value == pytest.approx(sum(totals) / len(totals))
    summaries = inspect_log.read_eval_log_sample_summaries(str(path))
    assert [summary.id for summary in summaries] == [draw.id for draw in draws]
    draw = next(draw for draw in draws if draw.conversation)
    assert draw.conversation is not None
    sample = inspect_log.read_eval_log_sample(str(path), draw.id, resolve_attachments=True)
    assert [message.text for message in sample.messages] == [turn.text for turn in draw.conversation.turns]
    assert sample.scores["review"].value == pytest.approx(draw.conversation.scores.total)
    assert sample.scores["verdict"].value == ACCEPTED and sample.metadata["ending"] == draw.conversation.ended_by
    shown = next(turn for turn in draw.conversation.turns if turn.images)
    picture = sample.messages[shown.index].content[1].image
    stored = reader.picture(shown.images[0])
    assert stored is not None and base64.b64decode(picture.partition(",")[2]) == stored.read_bytes()
    steps = reader.steps(draw.number)
    models = [event for event in sample.events if event.event == "model"]
    assert {event.metadata["anchor"] for event in models} == {step.anchor for step in steps}
    by_anchor = {event.metadata["anchor"]: event for event in models}
    for step in steps:
        event = by_anchor[step.anchor]
        assert tuple(message.text for message in event.input) == step.call.messages
        assert event.output.completion == step.call.reply
    opened = [event.id for event in sample.events if event.event == "span_begin"]
    closed = [event.id for event in sample.events if event.event == "span_end"]
    assert len(opened) == len(set(opened)) and sorted(opened) == sorted(closed)
    parents = {event.id: event.parent_id for event in sample.events if event.event == "span_begin"}
    assert all(event.span_id in parents for event in models) and set(parents.values()) - {None} <= set(parents)
    refused = next(draw for draw in draws if draw.verdict != ACCEPTED)
    sample = inspect_log.read_eval_log_sample(str(path), refused.id)
    assert sample.scores["verdict"].value == refused.verdict and sample.scores["verdict"].explanation == refused.reason
    result = CliRunner().invoke(app, ["export", str(run), "--format", "inspect", "--out", "log", "--images", "none"])
    assert isinstance(result.exception, SynthError) and "exists already" in str(result.exception)
    command = ["export", str(run), "--format", "inspect", "--out", "log", "--images", "none", "--yes"]
    assert CliRunner().invoke(app, command).exit_code == 0
    bare = inspect_log.read_eval_log_sample(str(path), draw.id, resolve_attachments=True)
    assert bare.messages[shown.index].text == shown.text and "data:image" not in bare.model_dump_json()


def test_a_missing_extra_is_one_line() -> None:
    with pytest.raises(SynthError, match=r"pip install 'synth-crs\[otlp\]'"):
        needed("no_such_module_at_all", "otlp")
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(f"\n{name} = [" in text for name in FORMATS)
