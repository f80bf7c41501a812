"""Whole runs in batches: the same rows as online, at half the price, killed at any moment and never paid twice."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from synth.errors import Exit, SynthError
from synth.graphs import estimate
from synth.graphs.generation import Summary, generate
from synth.graphs.options import Options
from synth.llm import gateway, waves
from synth.traces.store import RunStore
from tests.support.fakes import Fake
from tests.support.killed_batches import shorten

ROOT = Path(__file__).parent.parent
ROWS = ("scenarios.jsonl", "conversations.jsonl", "rejected.jsonl")
KEY = "sk-planted-0123456789abcdef"
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
MOST_WAVES = 45
"""For a generation of conversations, from the first profile to the last review."""


def assert_same(run: Path, online: Path) -> None:
    """More profiles are made in batches, for draws that turn out not to be needed."""
    assert all((run / name).read_bytes() == (online / name).read_bytes() for name in ROWS)
    assert (run / "profiles.jsonl").read_bytes().startswith((online / "profiles.jsonl").read_bytes())


@dataclass
class Bench:
    """A fake server, and a run's options without folder and mode."""

    fake: Fake
    options: Options
    folder: Path

    def generate(self, name: str, **changes: Any) -> Summary:
        return generate(replace(self.options, out=self.folder / name, **changes))

    def store(self, name: str) -> closing[RunStore]:
        return closing(RunStore(self.folder / name / "run.db", readonly=True))


def make(provider: str, catalogue: Path, folder: Path, convs: int, **settings: Any) -> Iterator[Bench]:
    """A server whose answers to OpenAI's client are those of an offline run, and scripted for Anthropic's."""
    options = Options(catalog=catalogue, scenarios=60, convs=convs, in_flight=32)
    if provider == "openai":
        # Longer than needed, since more draws are made in batches.
        generate(replace(options, convs=2 * convs + 20, out=folder / "offline"))
        settings |= {"answers": "replay", "replay": str(folder / "offline" / "run.db")}
    # One price for all input: a server's discount for what it had in its cache depends on the order of the calls.
    with Fake(in_thread=convs < 100, prices=(1.0, 1.0, 5.0), batch_delay=0.02, **settings) as fake:
        model = MODELS[provider]
        yield Bench(
            fake,
            replace(
                options,
                llm=f"{provider}:{model}",
                base_url=fake.openai_url if provider == "openai" else None,
                prices=(f"{model}=1/5",),
            ),
            folder,
        )


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, _no_environment: None) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    shorten(monkeypatch.setattr)
    monkeypatch.setattr(gateway, "_FIRST_WAIT", 0.05)


@pytest.fixture(scope="module")
def benches(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", KEY)
        for bench in make("openai", catalogue, tmp_path_factory.mktemp("openai"), 8):
            bench.generate("online")
            yield bench


@pytest.fixture
def bench(benches: Bench) -> Bench:
    """A server without a past, and a folder with the run `online`."""
    benches.fake.set(faults={}, batch_tokens=0)
    benches.fake.reset()
    return benches


def longest_chain(run: Path) -> tuple[int, int]:
    """Waves from the first profiles until the last of the draws that began with them has ended; and all waves."""
    with closing(sqlite3.connect(run / "run.db")) as db:
        items = dict(db.execute("SELECT key, item FROM calls WHERE stage IN ('profile', 'conversation')"))
    with closing(RunStore(run / "run.db", readonly=True)) as store:
        drawn = [{items[key] for key in wave.keys if key in items} for wave in store.waves()]
    drawn = [wave for wave in drawn if wave]
    return max(n for n, wave in enumerate(drawn, 1) if wave & drawn[0]), len(drawn)


# ---- the same as online -----------------------------------------------------------------------------------------


def same_as_online(provider: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> tuple[int, float]:
    """Waves in all, and the share of calls that an online run would not have made."""
    if provider == "anthropic":
        monkeypatch.setenv("ANTHROPIC_BASE_URL", bench.fake.url)
    online = bench.generate("online")
    paid = bench.fake.ledger()["billed"]
    assert online.usd == pytest.approx(paid["usd"])
    bench.fake.reset()
    batched = bench.generate("batched", mode="batch")
    ledger = bench.fake.ledger()
    billed = ledger["billed"]
    assert_same(bench.folder / "batched", bench.folder / "online")
    assert billed["in_batches"] == billed["answers"] == sum(batched.calls.values())
    assert ledger["missing"] == 0
    assert batched.usd == pytest.approx(billed["usd"])
    assert billed["usd"] == pytest.approx((billed["input"] * 1.0 + billed["output"] * 5.0) / 1e6 / 2)
    with bench.store("batched") as store:
        assert store.reservations() == [] and {wave.state for wave in store.waves()} == {"done"}
    chain, total = longest_chain(bench.folder / "batched")
    surplus = sum(batched.calls.values()) / sum(online.calls.values()) - 1
    print(
        f"{provider}: {batched.accepted} conversations, {chain} waves for the first generation, {total} in all, "
        f"{surplus:.1%} more calls than online, {batched.usd / online.usd:.3f} of its price"
    )
    assert chain <= MOST_WAVES
    calls = ledger["requests"]
    created = "POST /v1/batches" if provider == "openai" else "POST /v1/messages/batches"
    assert calls[created] == {"200": len(ledger["batches"])}
    deleted = "DELETE /v1/files/{id}" if provider == "openai" else "DELETE /v1/messages/batches/{id}"
    assert calls[deleted]["200"] == len(ledger["batches"]) * (2 if provider == "openai" else 1)
    return total, surplus


@pytest.mark.parametrize("provider", MODELS)
def test_batches_end_in_the_same_rows_at_half_the_price(
    provider: str, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bench in make(provider, catalogue, tmp_path, 10):
        same_as_online(provider, bench, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("provider", MODELS)
def test_500_conversations_take_at_most_45_waves(
    provider: str, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves, "QUIET", 0.7)
    for bench in make(provider, catalogue, tmp_path, 500):
        total, surplus = same_as_online(provider, bench, monkeypatch)
        assert total <= 1.5 * MOST_WAVES and surplus < 0.12


# ---- killed -----------------------------------------------------------------------------------------------------

KILLS = [
    ("wave on record, not submitted", 2),
    ("submitted, id not on record", 3),
    ("waited for", 5),
    ("results read in part", 25),
    ("delivered in part", 30),
    ("delivered, not closed", 3),
    ("files deleted, not closed", 2),
]


def command(bench: Bench, run: str, moment: str = "none", count: int = 1) -> int:
    options = bench.options
    arguments = ["generate", "--catalog", options.catalog, "--scenarios", options.scenarios, "--convs", options.convs]
    arguments += ["--llm", options.llm, "--price", options.prices[0], "--mode", "batch", "--out", bench.folder / run]
    if options.base_url:
        arguments += ["--base-url", options.base_url]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_batches", moment, str(count), "--", *map(str, arguments), "-q"],
        capture_output=True,
        text=True,
        cwd=bench.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == (0 if moment == "none" else -9), done.stderr
    return done.returncode


def killed_and_resumed(bench: Bench, kills: list[tuple[str, int]]) -> None:
    for moment, count in kills:
        command(bench, "killed", moment, count)
    command(bench, "killed")
    assert_same(bench.folder / "killed", bench.folder / "online")
    ledger = bench.fake.ledger()
    with bench.store("killed") as store:
        created = [wave for wave in store.waves() if wave.batch is not None]
        assert {wave.state for wave in store.waves()} == {"done"} and store.reservations() == []
        assert sorted(wave.batch or "" for wave in created) == sorted(batch["id"] for batch in ledger["batches"])
        assert sum(store.call_counts().values()) == ledger["billed"]["answers"], "a call was answered twice"
        assert store.spent() == pytest.approx(ledger["billed"]["usd"])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")
def test_killed_before_while_and_after_a_batch_is_under_way(bench: Bench) -> None:
    killed_and_resumed(bench, [KILLS[n] for n in (0, 1, 4)])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")
@pytest.mark.parametrize("provider", MODELS)
def test_killed_at_every_kind_of_moment(
    provider: str, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bench in make(provider, catalogue, tmp_path, 60):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", bench.fake.url)
        bench.generate("online")
        bench.fake.reset()
        killed_and_resumed(bench, [(moment, 4 * count if "in part" in moment else count) for moment, count in KILLS])


# ---- what goes wrong --------------------------------------------------------------------------------------------


def test_failed_rows_and_batches_are_sent_again(bench: Bench) -> None:
    bench.fake.set(faults={"row_errored": 0.08, "row_expired": 0.08, "batch_failed": 0.1, "batch_lost": 0.15})
    summary = bench.generate("stormy", mode="batch")
    assert_same(bench.folder / "stormy", bench.folder / "online")
    ledger = bench.fake.ledger()
    assert set(ledger["faults"]) == {"row_errored", "row_expired", "batch_failed", "batch_lost"}
    assert ledger["billed"]["answers"] == sum(summary.calls.values())
    assert summary.usd == pytest.approx(ledger["billed"]["usd"])
    names = [batch["metadata"]["synth_wave"] for batch in ledger["batches"]]
    assert len(set(names)) == len(names)
    with bench.store("stormy") as store:
        assert store.reservations() == [] and {wave.state for wave in store.waves()} == {"done"}
    log = (bench.folder / "stormy" / "run.log").read_text("utf-8")
    assert "as batch" in log and "failed: The batch failed." in log
    assert KEY not in log and "base64" not in log
    with bench.store("stormy") as store:
        assert not any(text in log for call in store.calls() for text in call.messages)


def test_a_provider_that_lets_little_wait_gets_smaller_batches(bench: Bench) -> None:
    bench.fake.set(batch_tokens=25_000)
    bench.generate("limited", mode="batch")
    ledger = bench.fake.ledger()
    failed = [batch for batch in ledger["batches"] if not batch["succeeded"]]
    assert_same(bench.folder / "limited", bench.folder / "online")
    assert 0 < len(failed) < len(ledger["batches"]) / 2


def test_auto_sends_the_last_few_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "FEW", 6)
    bench.generate("auto", mode="auto")
    assert_same(bench.folder / "auto", bench.folder / "online")
    ledger = bench.fake.ledger()
    online = ledger["requests"]["POST /v1/chat/completions"]["200"]
    assert min(batch["rows"] for batch in ledger["batches"]) >= 6
    assert online > 0 and ledger["billed"]["answers"] == online + ledger["billed"]["in_batches"]


def test_the_cap_holds_in_batches_and_a_higher_one_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "SAMPLE_CONVS", 4)
    with bench.store("online") as store:
        online = store.spent()
    cap = 0.25 * online
    with pytest.raises(SynthError, match="Run the same command with a higher --max-usd") as reached:
        bench.generate("capped", mode="batch", max_usd=cap)
    assert reached.value.exit_code == Exit.LIMIT
    assert 0.3 * cap < bench.fake.ledger()["billed"]["usd"] <= cap
    with bench.store("capped") as store:
        assert store.reservations() == [] and {wave.state for wave in store.waves()} == {"done"}
    bench.generate("capped", mode="batch", max_usd=4 * online)
    assert_same(bench.folder / "capped", bench.folder / "online")
    ledger = bench.fake.ledger()
    with bench.store("capped") as store:
        assert sum(store.call_counts().values()) == ledger["billed"]["answers"]


class _NoBatches(BaseHTTPRequestHandler):
    """A server of one's own: models, and nothing else but 404."""

    asked: list[str] = []

    def do_GET(self) -> None:
        there = self.path.startswith("/v1/models")
        body = b'{"id": "gpt-4o-mini", "object": "model", "created": 0, "owned_by": "me"}' if there else b"{}"
        self.send_response(200 if there else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_without_batches_is_found_out_before_anything_is_paid(catalogue: Path, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _NoBatches) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        options = Options(catalog=catalogue, scenarios=20, convs=2, llm="openai:gpt-4o-mini", base_url=url)
        with pytest.raises(SynthError, match="has no batches. Use --mode online"):
            generate(replace(options, out=tmp_path / "run", mode="batch"))
        server.shutdown()
    assert _NoBatches.asked == []


def test_the_offline_simulator_has_no_batches(catalogue: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="offline has no batches"):
        generate(Options(catalog=catalogue, scenarios=20, convs=2, out=tmp_path / "run", mode="batch"))
