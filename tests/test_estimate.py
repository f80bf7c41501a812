"""What a run is expected to cost, held against what it does cost by the fake server's ledger; and who is asked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from synth.cli import app, main
from synth.cli import generate as generate_command
from synth.corpora.drawing import draw_catalogue
from synth.errors import Exit, SynthError
from synth.graphs import estimate as estimate_module
from synth.graphs.estimate import Estimate, estimate
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.graphs.progress import Progress
from synth.llm import waves
from synth.traces.run import RunFolder
from tests.support.fakes import Fake

MODEL = "openai:gpt-4o-mini"
PRICES = (0.15, 0.075, 0.60)
"""USD a million tokens: input, cached, output; the fake server's too."""
FLAG = "gpt-4o-mini=0.15/0.075/0.60"
WITHIN = 0.15
"""How far an estimate may be off (issue 3)."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake(in_thread=True, prices=PRICES) as server:
        yield server


@pytest.fixture
def synth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `synth`, expects the exit code, and returns what it printed, errors last."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["synth", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        said = capsys.readouterr()
        assert (exit_.value.code or 0) == code, said.err
        return said.out + said.err

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Puts somebody in front of the terminal who gives this answer; returns the questions they get."""
    asked: list[str] = []

    class Terminal:
        def isatty(self) -> bool:
            return True

        def __getattr__(self, name: str) -> Any:
            return getattr(sys.__stderr__, name)

    def answers(answer: str) -> list[str]:
        def confirm(question: str, **_: Any) -> bool:
            asked.append(question)
            if answer == "^C":
                raise generate_command.typer.Abort
            return answer == "y"

        monkeypatch.setattr(generate_command.typer, "confirm", confirm)
        monkeypatch.setattr(generate_command.sys, "stdin", Terminal())
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        return asked

    return answers


def compare(offline: Options, **paid: Any) -> tuple[Estimate, dict[str, Any]]:
    """The estimate of a paid run, and what a server that replays the offline run of these options bills for it."""
    assert offline.out is not None
    generate(offline)
    with Fake(answers="replay", replay=str(offline.out / "run.db"), prices=PRICES, batch_delay=0.05) as server:
        options = replace(
            offline,
            out=offline.out.with_name("paid"),
            llm=MODEL,
            base_url=server.openai_url,
            prices=(FLAG,),
            **paid,
        )
        expected = estimate(options, Progress())
        assert server.ledger()["billed"]["answers"] == 0
        generate(options)
        ledger = server.ledger()
    assert ledger["missing"] == 0
    return expected, ledger


def hold(expected: Estimate, billed: Mapping[str, Any]) -> None:
    """Calls, tokens and money are within 15 % of what was billed."""
    for what, said, was in (
        ("calls", expected.calls, billed["answers"]),
        ("input tokens", expected.input_tokens, billed["input"]),
        ("image tokens", expected.image_tokens, billed["image"]),
        ("output tokens", expected.output_tokens, billed["output"]),
        ("USD", expected.usd, billed["usd"]),
    ):
        print(f"{what}: {said:,.4f} expected, {was:,.4f} billed, {said / was - 1:+.1%}")
        assert abs(said / was - 1) <= WITHIN, what


# ---- how near it comes ------------------------------------------------------------------------------------------


def test_a_sample_foretells_the_whole(catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate_module, "SAMPLE_CONVS", 20)
    expected, ledger = compare(Options(catalog=catalogue, scenarios=60, convs=60, out=tmp_path / "offline"))
    assert (expected.sample, expected.convs) == (20, 60)
    hold(expected, ledger["billed"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [{}, {"images": "described"}, {"comparisons": "shared"}],
    ids=lambda flags: "-".join(flags.values()) or "default",
)
def test_a_run_of_300(tmp_path: Path, flags: dict[str, Any]) -> None:
    draw_catalogue(tmp_path / "catalogue", products=600, seed=5)
    options = Options(catalog=tmp_path / "catalogue", scenarios=120, convs=300, out=tmp_path / "offline", **flags)
    expected, ledger = compare(options)
    hold(expected, ledger["billed"])


@pytest.mark.slow
def test_a_run_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUIET", "_FIRST_POLL"):
        monkeypatch.setattr(waves, name, 0.1)
    draw_catalogue(tmp_path / "catalogue", products=600, seed=5)
    # Batches make more draws than are needed in the end; the longer offline run has answers for all of them.
    offline = Options(catalog=tmp_path / "catalogue", scenarios=120, convs=500, out=tmp_path / "offline")
    generate(offline)
    expected, ledger = compare(offline, convs=300, mode="batch")
    billed = ledger["billed"]
    assert billed["in_batches"] == billed["answers"]
    hold(expected, billed)
    made = [batch for batch in ledger["batches"] if batch["rows"]]
    # All draws of a generation are live at once, so its batches are the large ones at the beginning.
    largest = max(batch["rows"] for batch in made)
    generation = max(n for n, batch in enumerate(made, 1) if batch["rows"] >= largest / 100)
    print(f"{expected.waves} waves expected a generation, {generation} had a hundredth of the largest's calls")
    assert 0.6 < expected.waves / generation < 1.6


def test_batches_cost_half_and_take_waves(catalogue: Path, tmp_path: Path, fake: Fake) -> None:
    options = Options(
        catalog=catalogue, scenarios=60, convs=6, out=tmp_path / "run", llm=MODEL, base_url=fake.openai_url,
        prices=(FLAG,), rpm=30,
    )  # fmt: skip
    online, batch = estimate(options, Progress()), estimate(replace(options, mode="batch", rpm=0), Progress())
    # 30 a minute hold up the run, not the sample: that would take minutes.
    assert online.hours_online == pytest.approx(online.calls / 30 / 60)
    # Some more draws than are needed in the end, at half the price.
    assert online.calls < batch.calls < 1.2 * online.calls
    assert batch.usd / batch.calls == pytest.approx(online.usd / online.calls / 2, rel=1e-3)
    assert 15 <= batch.waves <= 45
    assert batch.hours_batch >= batch.waves / 3


def test_shared_comparisons_grow_with_the_pairs(catalogue: Path, tmp_path: Path, fake: Fake) -> None:
    options = Options(
        catalog=catalogue, scenarios=60, convs=16, out=tmp_path / "run", llm=MODEL, base_url=fake.openai_url,
        prices=(FLAG,), images="described", comparisons="shared",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate_module, "SAMPLE_CONVS", 16)
        # Records that say little, as those of most shops: one has to look to see a difference.
        patch.setattr("synth.agents.user.records_differ", lambda *_: False)
        few = {line.call: line for line in estimate(options, Progress()).lines}
        many = {line.call: line for line in estimate(replace(options, convs=1600), Progress()).lines}
    # 160 pictures, each described once; no such end to the pairs of 160 targets with ten candidates each.
    assert few["captioner.look"].calls < many["captioner.look"].calls <= 160
    assert many["user.differ"].calls > 25 * few["user.differ"].calls
    assert many["user.need"].calls == pytest.approx(100 * few["user.need"].calls)


# ---- a dry run ---------------------------------------------------------------------------------------------------


def test_a_dry_run_only_looks(catalogue: Path, tmp_path: Path, fake: Fake, synth: Callable[..., str]) -> None:
    command = (
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "5", "--llm", MODEL,
        "--base-url", fake.openai_url, "--price", FLAG, "--dry-run",
    )  # fmt: skip
    facts = json.loads(synth(*command, "--json"))
    told = synth(*command)
    requests = fake.ledger()["requests"]
    assert all(request.startswith("GET ") for request in requests), requests
    assert list(tmp_path.iterdir()) == []
    assert facts["convs"] == facts["sample"] == 5
    for name in ("calls", "input_tokens", "image_tokens", "output_tokens", "usd"):
        assert facts[name] == pytest.approx(sum(line[name] for line in facts["lines"])) and facts[name] > 0
    assert facts["input_tokens"] > facts["image_tokens"]
    assert facts["usd"] == pytest.approx(
        (facts["input_tokens"] * PRICES[0] + facts["output_tokens"] * PRICES[2]) / 1e6, rel=1e-3
    )
    assert f"{facts['calls']:,.0f} calls, about {facts['usd']:.2f} USD one by one." in told
    assert f"in batches {facts['waves']} waves a generation" in told
    assert "…" not in told, "figures were cut off"


def test_a_resumed_runs_estimate_is_for_the_rest(catalogue: Path, tmp_path: Path, fake: Fake) -> None:
    options = Options(
        catalog=catalogue, scenarios=60, convs=4, out=tmp_path / "run", llm=MODEL, base_url=fake.openai_url,
        prices=(FLAG,), threshold=0,
    )  # fmt: skip
    generate(options)
    answers = fake.ledger()["billed"]["answers"]
    rest = estimate(replace(options, convs=10), Progress())
    assert (rest.convs, fake.ledger()["billed"]["answers"]) == (6, answers)
    assert RunFolder(tmp_path / "run").accepted() == 4


# ---- before money is spent ---------------------------------------------------------------------------------------


def test_a_cap_below_one_conversation_is_refused(
    catalogue: Path, tmp_path: Path, fake: Fake, synth: Callable[..., str]
) -> None:
    said = synth(
        "generate", "--catalog", catalogue, "--convs", "5", "--out", "run", "--llm", MODEL, "--base-url",
        fake.openai_url, "--price", FLAG, "--max-usd", "0.001", "--quiet", code=Exit.BAD_INPUT,
    )  # fmt: skip
    assert said.startswith("synth: --max-usd 0.001 is less than one conversation") and said.count("\n") == 1
    assert fake.ledger()["billed"]["answers"] == 0
    assert not (tmp_path / "run").exists()


def test_somebody_at_the_terminal_is_asked_once(
    catalogue: Path, tmp_path: Path, fake: Fake, synth: Callable[..., str], terminal: Callable[[str], list[str]]
) -> None:
    command = (
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "2", "--out", "run", "--llm", MODEL,
        "--base-url", fake.openai_url, "--price", FLAG, "--threshold", "0",
    )  # fmt: skip
    for answer in ("n", "^C"):
        asked = terminal(answer)
        said = synth(*command, code=Exit.INTERRUPTED)
        assert asked == ["Go on?"]
        assert "Expected for 2 conversations" in said and "USD" in said
        assert fake.ledger()["billed"]["answers"] == 0 and not (tmp_path / "run").exists()
        asked.clear()
    asked = terminal("y")
    assert "Expected for 2 conversations" in synth(*command)
    assert asked == ["Go on?"] and RunFolder(tmp_path / "run").accepted() == 2


@pytest.mark.parametrize("flags", [["--yes"], ["--quiet"], ["--json"]])
def test_who_need_not_be_asked(
    catalogue: Path, fake: Fake, synth: Callable[..., str], terminal: Callable[[str], list[str]], flags: list[str]
) -> None:
    asked = terminal("n")
    synth(
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run", "--llm", MODEL,
        "--base-url", fake.openai_url, "--price", FLAG, "--threshold", "0", *flags,
    )  # fmt: skip
    assert asked == [] and fake.ledger()["billed"]["answers"] > 0


def test_a_server_of_ones_own_costs_nothing_and_nobody_is_asked(
    catalogue: Path, fake: Fake, synth: Callable[..., str], terminal: Callable[[str], list[str]]
) -> None:
    asked = terminal("n")
    command = (
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run", "--llm", "openai:own",
        "--base-url", fake.openai_url, "--threshold", "0",
    )  # fmt: skip
    said = synth(*command, "--dry-run")
    assert "0.0000 USD" in said and "unknown price" not in said
    assert "unknown price" not in synth(*command)
    assert asked == []


# ---- prices ------------------------------------------------------------------------------------------------------


@pytest.fixture
def provider(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake server in the place of the provider's own: no address is given, so it is no server of one's own."""
    from synth.llm import openai

    found = openai.Endpoint.find("openai", None)
    monkeypatch.setattr(openai.Endpoint, "find", lambda *_: found)

    def client(**given: Any) -> Any:
        return real(**{**given, "base_url": fake.openai_url})

    import openai as sdk

    real = sdk.AsyncOpenAI
    monkeypatch.setattr(sdk, "AsyncOpenAI", client)
    init = openai.OpenAIProvider.__init__

    def aimed(self: Any, **given: Any) -> None:
        init(self, **given)
        self._url = f"{fake.openai_url}/chat/completions"

    monkeypatch.setattr(openai.OpenAIProvider, "__init__", aimed)
    return fake


def test_a_model_of_unknown_price(
    catalogue: Path, provider: Fake, synth: Callable[..., str], terminal: Callable[[str], list[str]]
) -> None:
    command = (
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run",
        "--llm", "openai:gpt-nobody-knows", "--threshold", "0",
    )  # fmt: skip
    capped = synth(*command, "--max-usd", "1", code=Exit.BAD_INPUT)
    assert capped.count("\n") == 1
    assert "openai:gpt-nobody-knows" in capped and "--price gpt-nobody-knows=IN/OUT" in capped
    assert "of unknown price" in synth(*command, "--dry-run")
    assert provider.ledger()["billed"]["answers"] == 0
    assert "unknown price" in synth(*command)
    assert "unknown price" in Path("run/run.log").read_text("utf-8")
    # Money that nobody can name is asked for all the same.
    answers = provider.ledger()["billed"]["answers"]
    asked = terminal("n")
    assert "unknown price" in synth(*command, "--convs", "2", code=Exit.INTERRUPTED)
    assert asked == ["Go on?"] and provider.ledger()["billed"]["answers"] == answers > 0


def test_a_price_by_flag_wins_and_what_a_run_began_with_stays(
    catalogue: Path, provider: Fake, synth: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (
        "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run", "--llm", MODEL,
        "--threshold", "0", "--json",
    )  # fmt: skip
    known = json.loads(synth(*command, "--dry-run"))
    # Ten times the published prices.
    dear = json.loads(synth(*command, "--dry-run", "--price", "gpt-4o-mini=1.5/6"))
    assert dear["usd"] == pytest.approx(10 * known["usd"], rel=1e-4)
    synth(*command, "--price", f"{MODEL}=1.5/6")
    assert RunFolder(Path("run")).config()["prices"]["models"][MODEL] == {
        "input": 1.5, "cached": 1.5, "written": 1.5, "output": 6.0, "batch": 0.5,
    }  # fmt: skip
    again = (*command, "--convs", "3", "--dry-run")
    usd = {
        flag: json.loads(synth(*again, *(("--price", flag) if flag else ())))["usd"]
        for flag in ("", "gpt-4o-mini=15/60", f"{MODEL}=15/60")
    }
    assert 0.5 * dear["usd"] < usd[""] < 5 * dear["usd"], "two more, at the prices that it began with"
    assert usd["gpt-4o-mini=15/60"] == usd[f"{MODEL}=15/60"] == pytest.approx(10 * usd[""], rel=1e-4)


def test_prices_that_cannot_be_read(catalogue: Path, synth: Callable[..., str]) -> None:
    said = synth(
        "generate", "--catalog", catalogue, "--convs", "1", "--llm", MODEL, "--price", "gpt-4o-mini=cheap",
        "--dry-run", "--quiet", code=Exit.BAD_INPUT,
    )  # fmt: skip
    assert said.count("\n") == 1 and "--price 'gpt-4o-mini=cheap' cannot be read" in said


def test_a_changed_price_list_is_named(catalogue: Path, tmp_path: Path, fake: Fake) -> None:
    options = Options(
        catalog=catalogue, scenarios=60, convs=1, out=tmp_path / "run", llm=MODEL, base_url=fake.openai_url,
        prices=(FLAG,), threshold=0,
    )  # fmt: skip
    generate(options)
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text("utf-8").replace("output = 0.6", 'output = "much"'), "utf-8")
    with pytest.raises(SynthError, match=r"prices in config\.toml cannot be read"):
        estimate(replace(options, convs=2), Progress())


# ---- the page about it -------------------------------------------------------------------------------------------


def test_the_pages_commands_have_the_flags_they_name() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    commands = re.findall(r"^synth ((?:[a-z]+ ?)+?)((?: [^a-z#\n][^#\n]*)?)(?:#.*)?$", page, re.MULTILINE)
    assert len(commands) > 10
    for words, _ in commands:
        command = typer.main.get_command(app)
        for word in words.split():
            command = getattr(command, "commands", {}).get(word, command)
        assert not getattr(command, "commands", {}), words
    known = {flag for command in _leaves(typer.main.get_command(app)) for one in command.params for flag in one.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
    assert "--max-usd" in named and named <= known, named - known


def _leaves(command: Any) -> list[Any]:
    children = getattr(command, "commands", {}).values()
    return [leaf for child in children for leaf in _leaves(child)] or [command]
