"""`synth run cost`, held against the run's store and against what the fake server billed."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from synth.cli.run import app
from synth.corpora.drawing import draw_catalogue
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.llm import gateway, waves
from synth.traces.cost import Spending
from synth.traces.run import RunFolder
from synth.traces.store import Place, Reservation
from tests.support.fakes import Fake

PRICES = (0.15, 0.075, 0.60)
FLAGS = ("gpt-4o-mini=0.15/0.075/0.60", "gpt-4.1-mini=0.15/0.075/0.60")
COUNTS = ("input_tokens", "cached_tokens", "image_tokens", "output_tokens")
NO_USE = "answered, of no use"
LOST = "lost (killed, timed out, connection broken)"
UNDER_WAY = "under way"


class Run(NamedTuple):
    """A run and what the server billed for it."""

    path: Path
    usd: float
    """As `generate` returned it."""
    ledger: dict[str, Any]

    def sums(self, by: str, where: str = "1") -> dict[str, tuple[float, ...]]:
        """Calls, tokens, seconds and USD by an expression, straight from run.db."""
        with closing(sqlite3.connect(self.path / "run.db")) as db:
            rows = db.execute(
                f"SELECT {by}, count(*), sum(input_tokens), sum(cached_tokens), sum(image_tokens), sum(output_tokens), "
                f"sum(seconds), sum(usd) FROM calls WHERE {where} GROUP BY 1"
            ).fetchall()
        return {name: tuple(sums) for name, *sums in rows}


def cost(path: Path, *flags: str) -> str:
    result = CliRunner().invoke(app, ["cost", str(path), *flags])
    if result.exception is not None:
        raise result.exception
    return result.output


def facts(path: Path) -> dict[str, Any]:
    return dict(json.loads(cost(path, "--json")))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.setattr(gateway, "_FIRST_WAIT", 0.01)
        yield


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue so small that its pictures come again, and so from the server's prefix cache."""
    folder = tmp_path_factory.mktemp("catalogues") / "few"
    draw_catalogue(folder, products=24, seed=4)
    return folder


@pytest.fixture(scope="module")
def offline(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """A finished offline run."""
    out = tmp_path_factory.mktemp("runs") / "offline"
    options = Options(catalog=few, scenarios=60, convs=16, out=out)
    generate(options)
    return options


def paid(offline: Options, name: str, *, rewriter: str = "openai:gpt-4.1-mini", **settings: Any) -> Run:
    """The same run from a server that replays the offline one."""
    assert offline.out is not None
    with Fake(answers="replay", replay=str(offline.out / "run.db"), prices=PRICES, **settings) as server:
        out = offline.out.with_name(name)
        options = {**vars(offline), "out": out, "base_url": server.openai_url, "prices": FLAGS}
        usd = generate(Options(**{**options, "llm": "openai:gpt-4o-mini", "rewriter": rewriter})).usd
        return Run(out, usd, server.ledger())


@pytest.fixture(scope="module")
def run(offline: Options) -> Run:
    return paid(offline, "clean")


@pytest.fixture(scope="module")
def stormy(offline: Options) -> Run:
    return paid(offline, "stormy", faults={"500": 0.03, "bad_json": 0.03, "empty": 0.04, "drop": 0.04})


@pytest.mark.parametrize("which", ["run", "stormy"])
def test_the_sums_are_those_of_the_store(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    said = facts(run.path)
    for group, by, where in (
        ("by_call", "call", "1"),
        ("by_model", "model", "1"),
        ("by_stage", "stage", "1"),
        ("by_draw", "printf('c%06d', item)", "stage IN ('profile', 'conversation')"),
    ):
        expected = run.sums(by, where)
        assert list(said[group]) == sorted(expected)
        for name, sums in expected.items():
            assert tuple(said[group][name].values()) == pytest.approx(sums), (group, name)
    assert list(said["by_model"]) == ["openai:gpt-4.1-mini", "openai:gpt-4o-mini"]
    assert tuple(said["all"].values()) == pytest.approx(run.sums("1")[1])  # type: ignore[index]
    assert said["usd"] == pytest.approx(run.usd)


def test_the_sums_are_those_of_the_bill(run: Run) -> None:
    said, billed = facts(run.path), run.ledger["billed"]
    assert said["all"]["calls"] == billed["answers"]
    for name in ("input", "cached", "image", "output"):
        assert said["all"][f"{name}_tokens"] == billed[name] > 0, name
    assert said["all"]["usd"] == pytest.approx(billed["usd"], abs=1e-9)
    assert said["without_reply"] == {} and said["batches"] == 0


def test_what_failures_cost(stormy: Run) -> None:
    said, billed = facts(stormy.path), stormy.ledger["billed"]
    faults = stormy.ledger["faults"]
    without = said["without_reply"]
    assert set(without) == {NO_USE, LOST}
    assert without[NO_USE]["calls"] == faults["empty"] > 0
    assert without[LOST]["calls"] == faults["drop"] > 0
    # What arrived was billed as it is counted here; what did not is counted at the most it can have cost.
    assert said["all"]["usd"] + without[NO_USE]["usd"] == pytest.approx(billed["usd"] - billed["lost_usd"])
    assert without[LOST]["usd"] >= billed["lost_usd"] > 0
    assert said["usd"] == pytest.approx(said["all"]["usd"] + without[NO_USE]["usd"] + without[LOST]["usd"])
    text = cost(stormy.path)
    assert f"{faults['empty']} tries {NO_USE}: " in text and f"{faults['drop']} tries {LOST}: " in text


def test_the_tables_say_the_same(run: Run) -> None:
    said = facts(run.path)
    text = cost(run.path, "--conversations", "2")
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    for name, line in (("all", said["all"]), *said["by_call"].items(), *said["by_model"].items()):
        shown = [cell.replace(",", "") for cell in re.split(r"\s{2,}", lines[name].strip())[1:]]
        for cell, what in zip(shown[1:5], COUNTS, strict=True):
            number = 1e6 * float(cell.removesuffix(" M")) if cell.endswith(" M") else float(cell)
            assert number == pytest.approx(line[what], abs=5e4 if cell.endswith(" M") else 0), (name, what)
        assert float(shown[0]) == line["calls"]
        assert float(shown[6]) == pytest.approx(line["usd"], abs=5e-5)
    share = said["all"]["cached_tokens"] / said["all"]["input_tokens"]
    assert 0 < share < 1 and f"{share:.1%} of the input came from prefix caches." in text
    dearest = sorted(said["by_draw"].items(), key=lambda entry: -entry[1]["usd"])
    assert len(re.findall(r"^  c\d{6}: ", text, re.MULTILINE)) == 2
    assert f"  {dearest[0][0]}: {dearest[0][1]['calls']} calls, {dearest[0][1]['usd']:.5f} USD" in text
    assert text.rstrip().endswith(f"Together {run.usd:.4f} USD.")
    assert "…" not in text, "figures were cut off"


def test_an_offline_run_costs_nothing(offline: Options) -> None:
    assert offline.out is not None
    said = facts(offline.out)
    assert said["all"]["calls"] > 100
    assert said["usd"] == 0 and not any(said["all"][name] for name in COUNTS)
    text = cost(offline.out)
    assert "0.0% of the input" in text and "Together 0.0000 USD." in text and "dearest" not in text


def test_batches_are_counted_at_half_the_price(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUIET", "_FIRST_POLL"):
        monkeypatch.setattr(waves, name, 0.02)
    options = Options(catalog=few, scenarios=60, convs=1, out=tmp_path / "run", threshold=0, mode="batch")
    with Fake(in_thread=True, prices=PRICES, batch_delay=0.02) as server:
        model = {"llm": "openai:gpt-4o-mini", "base_url": server.openai_url, "prices": FLAGS}
        generate(Options(**{**vars(options), **model}))
        ledger = server.ledger()
    said = facts(tmp_path / "run")
    assert ledger["billed"]["in_batches"] == ledger["billed"]["answers"] > 0
    # The fake server gives the cache's discount in batches too; without a price for that, we do not count on it.
    discount = ledger["billed"]["cached"] * (PRICES[0] - PRICES[1]) / 2 / 1e6
    assert said["usd"] == pytest.approx(ledger["billed"]["usd"] + discount)
    assert said["batches"] == len(ledger["batches"]) > 5
    assert f"{said['batches']} batches" in cost(tmp_path / "run")


def test_a_run_that_is_going_on(offline: Options, tmp_path: Path) -> None:
    assert offline.out is not None
    out = tmp_path / "run"
    with Fake(answers="replay", replay=str(offline.out / "run.db"), prices=PRICES, latency=0.03) as server:
        model = {"llm": "openai:gpt-4o-mini", "base_url": server.openai_url, "prices": FLAGS}
        work = threading.Thread(target=generate, args=(Options(**{**vars(offline), **model, "out": out}),))
        work.start()
        while not (out / "profiles.jsonl").exists() and work.is_alive():
            time.sleep(0.02)
        looks = []
        while work.is_alive():
            looks.append(facts(out))
            time.sleep(0.02)
        work.join()
        billed = server.ledger()["billed"]
    under_way = [look["without_reply"].get(UNDER_WAY, {"calls": 0, "usd": 0}) for look in looks[:-1]]
    assert len(looks) > 3 and max(line["calls"] for line in under_way) > 1
    for look in looks:
        for group in ("by_call", "by_model", "by_stage"):
            for name in ("calls", *COUNTS):
                assert sum(line[name] for line in look[group].values()) == look["all"][name], (group, name)
    spent = [round(look["usd"] - line["usd"], 9) for look, line in zip(looks, under_way, strict=False)]
    assert spent == sorted(spent)
    assert facts(out)["usd"] == pytest.approx(billed["usd"])


def test_what_a_kill_left_is_lost_once_nobody_is_at_work(offline: Options, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create({"seed": 0})
    with closing(folder.store(readonly=False)) as store:
        place = Place("conversation", 3, "1.need")
        for id_, state, usd in ((1, "open", 0.25), (2, "lost", 0.5), (3, "failed", 0.125)):
            reservation = Reservation(id_, bytes([id_]) * 16, place, "user.need", "openai:m", usd, state)  # type: ignore[arg-type]
            store.release(reservation)
    folder.lock()
    try:
        assert {kind: line["usd"] for kind, line in facts(tmp_path)["without_reply"].items()} == {
            UNDER_WAY: 0.25, LOST: 0.5, NO_USE: 0.125,
        }  # fmt: skip
    finally:
        folder.unlock()
    said = facts(tmp_path)
    assert said["without_reply"][LOST] == Spending(calls=2, usd=0.75).model_dump()
    assert said["usd"] == 0.875
