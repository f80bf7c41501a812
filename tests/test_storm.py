"""Runs through servers that fail and through kills: what is done is kept, what is paid is counted, the cap holds.

The fake server answers from the log of an offline run, so that whatever happens on the way, the texts are known.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth.analysis.check import check
from synth.graphs.generation import Summary, generate
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.llm import gateway as gateway_module
from synth.llm.gateway import Gateway
from synth.traces.cost import Cost, read_cost
from synth.traces.run import RunFolder
from tests.support.commands import Called
from tests.support.fakes import Fake
from tests.test_contract import ROOT, logged, rows

KEY = "sk-a-key-for-the-fake"
MODEL, PRICE = "openai:gpt-4o-mini", "gpt-4o-mini=0.15/0.075/0.60"
SCENARIOS = 90
"""A few more than there are seeds."""
CONVS = 5
LATENCY = 0.02
AT_ONCE = 8
MOST_LOST = 2 * AT_ONCE
"""Calls in flight at a kill: those at the server, and as many whose reply has come and is being committed."""
QUIET: dict[str, Any] = {"faults": {}, "latency": LATENCY, "capacity": 0, "key": "", "models": (), "blind": ()}
"""A server as it should be."""
STORM = {"429": 0.15, "429_retry_after": 0.15, "500": 0.04, "502": 0.03, "503": 0.03}
STORM |= {"drop": 0.02, "half": 0.02, "hang": 0.005}
STORM |= {"bad_json": 0.02, "empty": 0.02, "refused": 0.01, "cut": 0.01}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")


def offline(catalogue: Path, folder: Path, convs: int) -> Path:
    """The store of an offline run with the settings of all runs here."""
    generate(Options(catalog=catalogue, scenarios=SCENARIOS, convs=convs, out=folder, in_flight=32))
    return folder / "run.db"


@pytest.fixture(scope="module")
def answers(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than any quick run here asks for."""
    return offline(catalogue, tmp_path_factory.mktemp("answers") / "offline", 45)


@pytest.fixture(scope="module")
def server(answers: Path) -> Iterator[Fake]:
    with Fake(answers="replay", replay=str(answers)) as started:
        yield started


@pytest.fixture
def fake(server: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The server, quiet and with an empty ledger."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.set(**QUIET)
    server.reset()
    return server


@pytest.fixture(scope="module")
def whole(server: Fake, catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `CONVS` conversations that nothing happened to."""
    server.set(**QUIET)
    run = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        generate(through(server, catalogue, run))
    return run


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries begin with a hundredth of a second instead of one."""
    monkeypatch.setattr(gateway_module, "_FIRST_WAIT", 0.01)


def through(fake: Fake, catalogue: Path, out: Path, convs: int = CONVS) -> Options:
    return Options(
        catalog=catalogue,
        scenarios=SCENARIOS,
        convs=convs,
        out=out,
        in_flight=20,
        llm=MODEL,
        base_url=fake.openai_url,
        prices=(PRICE,),
    )


def arguments(fake: Fake, catalogue: Path, out: Path, *more: object, convs: int = CONVS) -> list[str]:
    """The same as words of a command."""
    words = ["generate", "--catalog", catalogue, "--scenarios", SCENARIOS, "--convs", convs, "--out", out, "-q"]
    words += ["--in-flight", 20, "--llm", MODEL, "--base-url", fake.openai_url, "--price", PRICE, *more]
    return [str(word) for word in words]


def cost(run: Path) -> Cost:
    with closing(RunFolder(run).store()) as store:
        return read_cost(store)


def lost(run: Path) -> int:
    """Tries that left and whose reply never came."""
    return sum(line.calls for kind, line in cost(run).without_reply.items() if kind.startswith("lost"))


def read(run: Path, name: str) -> list[dict[str, Any]]:
    """All rows of a file, none of them half."""
    text = (run / f"{name}.jsonl").read_text("utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


# ---- a fault storm


def accounted(run: Path, convs: int) -> Counter[str]:
    """What became of the draws: each one once, accepted or rejected with a reason."""
    accepted, rejected = read(run, "conversations"), read(run, "rejected")
    assert len(accepted) == convs
    assert all(row["filter"] and row["reason"] for row in rejected)
    numbers = sorted(int(row["id"][1:]) for row in (*accepted, *rejected))
    assert numbers == list(range(len(numbers)))
    return Counter(accepted=convs) + Counter(row["filter"] for row in rejected)


def weathered(summary: Summary, ledger: dict[str, Any], convs: int) -> None:
    """What must hold after every storm."""
    became = accounted(summary.run, convs)
    faults = ledger["faults"]
    assert set(faults) >= {name for name, share in STORM.items() if share >= 0.02}
    assert cost(summary.run).usd == pytest.approx(summary.usd)
    assert summary.usd >= ledger["billed"]["usd"] - 1e-9
    share = became["failed"] / became.total()
    reasons = Counter(row["reason"] for row in read(summary.run, "rejected") if row["filter"] == "failed")
    print(f"{became.total()} draws, {share:.1%} failed: {reasons}; {summary.seconds:.0f} s; faults {faults}")
    print(f"{summary.usd:.4f} USD by the run, {ledger['billed']['usd']:.4f} by the server")
    assert share < (0.1 if convs > 100 else 0.25)


def openai_storm(fake: Fake, catalogue: Path, run: Path, answers: Path, convs: int) -> None:
    fake.set(faults={**STORM, "retry_after": 0.01}, latency=0.005)
    summary = generate(replace(through(fake, catalogue, run, convs), in_flight=200, timeout=0.5))
    ledger = fake.ledger()
    weathered(summary, ledger, convs)
    late = lost(run) - sum(ledger["faults"][fault] for fault in ("drop", "half", "hang"))
    assert ledger["repeated"] <= late, "an answer that had come in time was paid twice"
    assert check(RunFolder.open(run)).clean
    quiet = {row["id"]: row["turns"] for row in read(answers.parent, "conversations")}
    stormy = {row["id"]: row["turns"] for row in read(run, "conversations")}
    assert {id_: turns for id_, turns in stormy.items() if id_ in quiet} == {
        id_: turns for id_, turns in quiet.items() if id_ in stormy
    }


def anthropic_storm(catalogue: Path, run: Path, convs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Fake(faults={**STORM, "retry_after": 0.01}, latency=0.005, prices=(1.0, 0.1, 5.0)) as fake:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        options = Options(
            catalog=catalogue,
            scenarios=SCENARIOS,
            convs=convs,
            out=run,
            in_flight=200,
            llm="anthropic:claude-haiku-4-5",
            prices=("claude-haiku-4-5=1/0.1/5",),
            timeout=0.5,
        )
        weathered(generate(options), fake.ledger(), convs)


def test_a_fault_storm_of_openai(fake: Fake, catalogue: Path, answers: Path, tmp_path: Path, no_waits: None) -> None:
    openai_storm(fake, catalogue, tmp_path / "run", answers, 25)


def test_a_fault_storm_of_anthropic(
    catalogue: Path, tmp_path: Path, no_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    anthropic_storm(catalogue, tmp_path / "run", 6, monkeypatch)


@pytest.mark.slow
def test_a_fault_storm_of_openai_over_500_conversations(
    catalogue: Path, tmp_path: Path, no_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    answers = offline(catalogue, tmp_path / "offline", 700)
    with Fake(answers="replay", replay=str(answers)) as larger:
        openai_storm(larger, catalogue, tmp_path / "run", answers, 500)


@pytest.mark.slow
def test_a_fault_storm_of_anthropic_over_500_conversations(
    catalogue: Path, tmp_path: Path, no_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    anthropic_storm(catalogue, tmp_path / "run", 500, monkeypatch)


# ---- kills


def killed(words: list[str], folder: Path, moment: str, count: int) -> tuple[int, str]:
    """Runs the command in a process of its own, to be killed at a moment; its code and its complaint."""
    command = [sys.executable, "-m", "tests.support.killed", moment, str(count), str(folder / "asked.log"), "--"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY}
    done = subprocess.run([*command, *words], capture_output=True, text=True, cwd=folder, env=environment)
    return done.returncode, done.stderr


def in_flight(run: Path) -> int:
    """Tries that have left and whose reply is not in the log."""
    if not (run / "run.db").is_file():
        return 0
    with closing(RunFolder(run).store()) as store:
        return sum(reservation.state == "open" for reservation in store.reservations())


def all_billed(fake: Fake) -> dict[str, Any]:
    """The ledger once the answers are made that nobody waits for any more."""
    time.sleep(2 * LATENCY + 0.05)
    return fake.ledger()


def kill_again_and_again(
    fake: Fake, words: list[str], run: Path, kills: list[tuple[str, int]], cap: float | None = None
) -> int:
    """Kills a run, each time resumed by the same command; how many calls that cost at most."""
    most = 0
    asked = run.parent / "asked.log"
    for moment, count in kills:
        before = logged(run)
        asked.unlink(missing_ok=True)
        code, complaint = killed(words, run.parent, moment, count)
        assert code == -9, f"{moment} {count}: not killed: {complaint}"
        again = before & set(asked.read_text().splitlines())
        assert not again, f"asked again although its reply is in the log: {sorted(again)[:3]}"
        most += in_flight(run)
        billed = all_billed(fake)["billed"]["usd"]
        assert billed <= cost(run).usd + 1e-9, f"after {moment}"
        assert cap is None or billed <= cap
    return most


def survived(fake: Fake, catalogue: Path, whole: Path, run: Path, kills: list[tuple[str, int]], convs: int) -> None:
    """A run killed so often ends like one left alone, and the server was asked for nothing twice but what was lost."""
    words = arguments(fake, catalogue, run, "--max-concurrency", AT_ONCE, convs=convs)
    most = kill_again_and_again(fake, words, run, kills)
    code, complaint = killed(words, run.parent, "none", 0)
    assert code == 0, complaint
    assert rows(run) == rows(whole)
    ledger, spent = all_billed(fake), cost(run)
    repeats = sum(times - 1 for times, _ in ledger["calls"].values())
    print(f"{len(kills)} kills, at most {most} calls lost, {repeats} of {spent.all.calls} billed twice")
    assert ledger["missing"] == 0
    assert repeats == ledger["billed"]["answers"] - spent.all.calls <= most <= len(kills) * MOST_LOST
    assert lost(run) == most
    assert spent.usd >= ledger["billed"]["usd"] - 1e-9


@POSIX
def test_killed_and_resumed_through_a_server(
    fake: Fake, catalogue: Path, whole: Path, tmp_path: Path, called: Called
) -> None:
    kills = [
        ("request in flight", 5),
        ("settled, not committed", 30),
        ("reserved, not sent", 40),
        ("milliseconds after a call", 150),
    ]
    run = tmp_path / "run"
    survived(fake, catalogue, whole, run, kills, CONVS)
    code, shown, _ = called("run", "cost", run)
    assert code == 0 and "tries lost (killed, timed out, connection broken): " in shown


@pytest.mark.slow
@POSIX
def test_twenty_kills_through_a_server(fake: Fake, catalogue: Path, answers: Path, tmp_path: Path) -> None:
    convs = 40
    generate(through(fake, catalogue, tmp_path / "whole", convs))
    fake.reset()
    moment = random.Random(3)
    kills = [
        ("request in flight", 1),
        ("reserved, not sent", 9),
        ("settled, not committed", 9),
        *(("milliseconds after a call", moment.randint(1, 400)) for _ in range(5)),
        ("reply not committed", 20),
        ("reply committed, not used", 5),
        ("reserved, not sent", 60),
        ("request in flight", 50),
        ("settled, not committed", 40),
        ("half a row written", 2),
        ("item done, not stored", 2),
        ("item stored", 2),
        *(("milliseconds after a call", moment.randint(1, 400)) for _ in range(4)),
    ]
    assert len(kills) == 20
    survived(fake, catalogue, tmp_path / "whole", tmp_path / "run", kills, convs)


@POSIX
def test_the_cap_holds_by_the_servers_ledger_over_kills_and_restarts(
    fake: Fake, catalogue: Path, whole: Path, tmp_path: Path, called: Called
) -> None:
    run = tmp_path / "run"
    cap = round(0.6 * cost(whole).usd, 4)
    words = arguments(fake, catalogue, run, "--max-concurrency", 3, "--max-usd", cap)
    kill_again_and_again(fake, words, run, [("settled, not committed", 15)], cap)
    for _ in range(2):
        code, _, complaint = called(*words)
        assert code == 3 and complaint.count("\n") == 1
        assert f"The cap of {cap:.2f} USD is reached" in complaint and "higher --max-usd" in complaint
        ledger = all_billed(fake)
        assert ledger["billed"]["usd"] <= cost(run).usd <= cap + 1e-9
    assert ledger["billed"]["usd"] > 0.3 * cap
    code, _, complaint = called(*words[:-1], 10 * cap)
    assert code == 0, complaint
    assert rows(run) == rows(whole)


# ---- calls at once, and a minute


class Watching(Progress):
    """Keeps hold of the run's gateway."""

    gateway: Gateway

    def watch(self, gateway: Gateway) -> None:
        self.gateway = gateway


def test_max_concurrency_is_kept_and_used(fake: Fake, catalogue: Path, tmp_path: Path) -> None:
    generate(replace(through(fake, catalogue, tmp_path / "run", 20), max_concurrency=7))
    assert 6 <= fake.ledger()["in_flight"]["most"] <= 7


@pytest.mark.slow
def test_a_server_that_answers_16_at_a_time_needs_no_setting(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    answers = offline(catalogue, tmp_path / "offline", 300)
    watching = Watching()
    with Fake(answers="replay", replay=str(answers), capacity=16, latency=0.1) as fake:
        summary = generate(replace(through(fake, catalogue, tmp_path / "run", 300), in_flight=128), watching)
        asked = fake.ledger()["requests"]["POST /v1/chat/completions"]
    [limiter] = watching.gateway.courier.limiters.values()  # type: ignore[attr-defined]
    ideal = 16 / 0.1
    rate = sum(summary.calls.values()) / summary.seconds
    print(f"settled at {limiter.limit}, at most {limiter.peak}; {rate:.0f} calls a second of {ideal:.0f}")
    assert limiter.peak >= 16 and rate > ideal / 2
    assert asked == {"200": sum(summary.calls.values())}


def test_rpm_is_kept_by_the_servers_count(fake: Fake, catalogue: Path, tmp_path: Path) -> None:
    a_second, burst, step = 40, 3, 0.1
    fake.set(latency=0.001)
    counts: list[tuple[float, int]] = []
    over = threading.Event()

    def count() -> None:
        while not over.wait(step):
            before = time.monotonic()
            asked = fake.ledger()["requests"].get("POST /v1/chat/completions", {})
            counts.append((before, sum(asked.values())))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        generate(replace(through(fake, catalogue, tmp_path / "run", 12), rpm=60 * a_second))
    finally:
        over.set()
        counting.join()
    assert counts[-1][1] > (burst + 1) * a_second, "the cap was never met"
    for n, (early, few) in enumerate(counts):
        for late, many in counts[n + 1 :]:
            # The count may be as much later than the clock was read as one look at the ledger takes.
            assert many - few <= a_second * (late - early + burst + 2 * step) + 1


# ---- servers that stop working


def clean_stop(run: Path, code: int, complaint: str, expected: int, said: str) -> None:
    """One clear line, the right code, nothing half-written, no secret told."""
    assert code == expected, complaint
    assert complaint.startswith("synth: ") and complaint.count("\n") == 1
    assert said in complaint and KEY not in complaint
    if run.exists():
        for name in ("conversations", "rejected", "profiles"):
            if (run / f"{name}.jsonl").is_file():
                read(run, name)


@pytest.mark.parametrize(
    ("then", "said"),
    [("quota", "no credit left"), ("401", "refused the key in OPENAI_API_KEY")],
)
def test_no_credit_or_no_key_in_the_middle_of_a_run(
    then: str, said: str, fake: Fake, catalogue: Path, whole: Path, tmp_path: Path, called: Called, no_waits: None
) -> None:
    run = tmp_path / "run"
    fake.set(faults={"after": 60, "then": then})
    code, _, complaint = called(*arguments(fake, catalogue, run))
    clean_stop(run, code, complaint, 3, said)
    assert "Run the same command again" in complaint
    assert len(logged(run)) <= all_billed(fake)["billed"]["answers"] < 90
    fake.set(faults={})
    assert called(*arguments(fake, catalogue, run))[0] == 0
    assert rows(run) == rows(whole)
    assert fake.ledger()["repeated"] <= lost(run)


def test_a_server_that_hangs_up_in_the_middle_of_a_run(
    fake: Fake, catalogue: Path, tmp_path: Path, called: Called, no_waits: None
) -> None:
    run = tmp_path / "run"
    fake.set(faults={"after": 60, "then": "down"})
    code, _, complaint = called(*arguments(fake, catalogue, run))
    clean_stop(run, code, complaint, 3, f"no connection to {fake.openai_url}")
    assert "Run the same command again" in complaint
    fake.set(faults={})
    assert called(*arguments(fake, catalogue, run))[0] == 0
    accounted(run, CONVS)
    assert fake.ledger()["repeated"] <= lost(run)


def test_a_server_that_dies_and_comes_back(
    answers: Path, catalogue: Path, tmp_path: Path, called: Called, no_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run = tmp_path / "run"
    settings: dict[str, Any] = {"answers": "replay", "replay": str(answers), "latency": LATENCY}
    with Fake(**settings, faults={"after": 60, "then": "die"}) as fake:
        port, words = fake.port, arguments(fake, catalogue, run)
        code, _, complaint = called(*words)
        clean_stop(run, code, complaint, 3, f"no connection to {fake.openai_url}")
    known = logged(run)
    code, _, complaint = called(*words)
    clean_stop(run, code, complaint, 2, f"no connection to {fake.openai_url}")
    with Fake(**settings, port=port) as fake:
        assert called(*words)[0] == 0
        assert fake.ledger()["billed"]["answers"] == len(logged(run) - known)
    accounted(run, CONVS)


def test_a_server_that_is_of_no_use_from_the_start(
    fake: Fake, catalogue: Path, whole: Path, tmp_path: Path, called: Called, no_waits: None
) -> None:
    run = tmp_path / "run"
    troubles: list[tuple[dict[str, Any], int, str]] = [
        ({"faults": {"after": 0, "then": "down"}}, 2, f"no connection to {fake.openai_url}"),
        ({"key": "sk-another"}, 2, "refused the key in OPENAI_API_KEY"),
        ({"models": ("gpt-7",)}, 2, "there is no model 'gpt-4o-mini'"),
        ({"faults": {"after": 0, "then": "quota"}}, 2, "no credit left"),
        # Only the first call with a picture shows it; the calls for scenarios before it have none.
        ({"blind": ("gpt-4o-mini",)}, 3, "'gpt-4o-mini' takes no pictures"),
    ]
    for settings, expected, said in troubles:
        assert fake.ledger()["billed"]["usd"] == 0
        fake.set(**{**QUIET, **settings})
        code, _, complaint = called(*arguments(fake, catalogue, run))
        clean_stop(run, code, complaint, expected, said)
    fake.set(**QUIET)
    assert called(*arguments(fake, catalogue, run))[0] == 0
    assert rows(run) == rows(whole)
    assert fake.ledger()["repeated"] <= lost(run)


def test_a_second_model_that_is_not_there_stops_the_run_at_its_first_call(
    fake: Fake, catalogue: Path, tmp_path: Path, called: Called, no_waits: None
) -> None:
    """The answers of the first must not hide that the second can never answer."""
    fake.set(models=("gpt-4o-mini",))
    words = arguments(fake, catalogue, tmp_path / "run", "--rewriter", "openai:gpt-7")
    code, _, complaint = called(*words)
    clean_stop(tmp_path / "run", code, complaint, 2, "there is no model 'gpt-7'")
    assert fake.ledger()["requests"]["POST /v1/chat/completions"]["404"] < 20
