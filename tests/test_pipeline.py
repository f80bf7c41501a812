"""Order, schedules and stages of a run, and what the first readers see: README and examples."""

from __future__ import annotations

import asyncio
import random
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from synth.agents import manager, scenario
from synth.agents.persons import draw_person
from synth.corpora.catalogue import Catalogue
from synth.corpora.summary import compose
from synth.graphs.conversation import conversation_graph
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.graphs.picture import mermaid
from synth.graphs.sequence import Sequence
from synth.llm.offline import OfflineProvider
from synth.llm.provider import ModelError, ModelName, Reply, Request
from synth.prompts.calls import CAPTION
from synth.randomness import rng
from synth.traces.run import RunFolder

ROOT = Path(__file__).parent.parent


def test_a_sequence_decides_by_number_whatever_comes_first() -> None:
    decided: list[int] = []

    def decide(number: int, value: str) -> str:
        decided.append(number)
        return value.upper()

    async def offers() -> list[str]:
        sequence: Sequence[str, str] = Sequence(decide)
        numbers = list(range(50))
        random.Random(1).shuffle(numbers)
        return await asyncio.gather(*(sequence.offer(n, f"v{n}") for n in numbers))

    assert set(asyncio.run(offers())) == {f"V{n}" for n in range(50)}
    assert decided == list(range(50))


def test_chit_chat_fades_and_never_comes_twice_running() -> None:
    schedules = [manager.schedule(random.Random(n)) for n in range(4000)]
    assert not any(a and b for s in schedules for a, b in zip(s.chit_chat, s.chit_chat[1:], strict=False))
    shares = [sum(s.chit_chat[n] for s in schedules) for n in (0, 2, 4)]
    assert shares[0] > shares[1] > shares[2] > 0
    assert {s.settle_from for s in schedules} == {2, 3, 4}


def test_persons_are_adults_whose_age_and_profession_fit() -> None:
    people = [draw_person(rng(5, n), None) for n in range(1500)]
    assert draw_person(rng(5, 3), None) == people[3]
    for person in people:
        assert 18 <= person.age <= 82
        if person.age >= 67:
            assert person.profession.startswith("retired ")
        if person.age <= 21:
            assert not re.search("doctor|surgeon|director|judge|professor|engineer$|retired", person.profession)
    assert len({p.profession for p in people}) > 300
    assert {p.gender for p in people} == {"female", "male"}


def test_seeds_cover_the_families() -> None:
    families = {s.family for s in scenario.seeds()}
    assert {"occasions", "sport", "dates", "gifts", "seasons", "work", "travel"} <= families
    assert all("{" not in s.text and s.text.endswith(".") for s in scenario.seeds())


@pytest.fixture(scope="module")
def run(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("runs") / "run"
    generate(Options(catalog=catalogue, scenarios=120, convs=60, out=out))
    return RunFolder.open(out)


def test_scenarios_grow_from_seeds(run: RunFolder) -> None:
    scenarios = run.scenarios()
    assert len(scenarios) == 120 and len({s.text for s in scenarios}) == 120
    seeds = [s for s in scenarios if s.origin == "seed"]
    grown = [s for s in scenarios if s.origin == "generated"]
    assert len(seeds) == len(scenario.seeds()) and grown
    known = {s.id for s in scenarios}
    assert all(s.parents and set(s.parents) <= known for s in grown)


def test_every_kind_of_turn_comes_up(run: RunFolder) -> None:
    conversations = list(run.conversations())
    acts = {turn.act for c in conversations for turn in c.turns}
    assert acts == {"greet", "need", "ask", "answer", "chit_chat", "recommend", "reject", "accept"}
    assert {c.opening for c in conversations} == {"text", "multimodal"}
    for conversation in conversations:
        assert [t.act for t in conversation.turns[:4]] == ["greet", "need", "ask", "answer"]
        if conversation.opening == "multimodal":
            assert conversation.turns[1].images and conversation.turns[1].products == (conversation.outfit_id,)
    assert any(d != t.text for c in conversations for d, t in zip(c.drafts, c.turns, strict=True)), (
        "nothing was rewritten"
    )


def test_retrievals_are_on_record(run: RunFolder) -> None:
    found = [t.retrieval for c in run.conversations() for t in c.turns if t.retrieval]
    assert found
    for retrieval in found:
        assert retrieval.chosen in {c.id for c in retrieval.candidates}
        assert [c.rank for c in retrieval.candidates] == list(range(len(retrieval.candidates)))
        assert not set(retrieval.excluded) & {c.id for c in retrieval.candidates}
        assert retrieval.query and retrieval.needs and retrieval.reason


def test_target_only_keeps_the_papers_rule(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=60, convs=25, accept="target", out=tmp_path / "run"))
    assert {c.ended_by for c in RunFolder.open(tmp_path / "run").conversations()} <= {"hit", "forced"}


def test_without_rerank_the_first_is_shown(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=60, convs=10, rerank="none", out=tmp_path / "run"))
    run = RunFolder.open(tmp_path / "run")
    found = [t.retrieval for c in run.conversations() for t in c.turns if t.retrieval]
    assert found and all(r.chosen == r.candidates[0].id for r in found)
    store = run.store()
    assert "querier.rerank" not in store.call_counts()
    store.close()


def test_a_model_may_write_the_summaries(catalogue: Path, tmp_path: Path) -> None:
    """Each product is captioned once, in the run's own copy of the catalogue, which is what is indexed."""
    options = Options(catalog=catalogue, scenarios=60, convs=4, captioner="offline", out=tmp_path / "run")
    generate(options)
    run = RunFolder.open(tmp_path / "run")
    captioned = run.catalogue()
    assert all("summary" in product.descriptions for product in captioned)
    assert (run.path / "catalogue" / "index" / "index.json").is_file()
    store = run.store()
    counts = store.call_counts()
    store.close()
    assert counts["captioner.caption"] == len(captioned)
    assert generate(options).calls["captioner.caption"] == len(captioned)


def test_captions_that_were_cut_off_are_written_again(catalogue: Path, tmp_path: Path) -> None:
    """A process that dies between the records and what the catalogue says of them leaves two that do not fit."""
    options = Options(catalog=catalogue, scenarios=60, convs=2, captioner="offline", out=tmp_path / "run")
    generate(options)
    folder = tmp_path / "run" / "catalogue"
    (folder / "catalogue.json").write_bytes((catalogue / "catalogue.json").read_bytes())
    before = (folder / "products.jsonl").read_bytes()
    generate(options)
    assert (folder / "products.jsonl").read_bytes() == before
    RunFolder.open(tmp_path / "run").catalogue()


def test_a_product_that_no_model_will_caption_keeps_a_composed_summary(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = next(iter(Catalogue.open(catalogue)))
    complete = OfflineProvider.complete

    async def refuses(self: OfflineProvider, request: Request) -> Reply:
        if request.call is CAPTION and request.given.product.id == refused.id:
            raise ModelError("refused")
        return await complete(self, request)

    monkeypatch.setattr(OfflineProvider, "complete", refuses)
    generate(Options(catalog=catalogue, scenarios=60, convs=2, captioner="offline", out=tmp_path / "run"))
    kept = RunFolder.open(tmp_path / "run").catalogue()[refused.id]
    assert kept.descriptions["summary"] == compose(refused)


def test_fewer_conversations_than_there_are_take_none_away(catalogue: Path, tmp_path: Path) -> None:
    options = Options(catalog=catalogue, scenarios=60, convs=8, out=tmp_path / "run")
    generate(options)
    rows = (tmp_path / "run" / "conversations.jsonl").read_bytes()
    assert generate(replace(options, convs=3)).accepted == 8
    assert (tmp_path / "run" / "conversations.jsonl").read_bytes() == rows


def test_a_compatible_servers_address_is_for_openai_only(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another provider's key must not go there."""
    opened: dict[str, str | None] = {}

    def opens(name: ModelName, *, base_url: str | None, pictures: object, timeout: float) -> OfflineProvider:
        opened[name.provider] = base_url
        return OfflineProvider(Catalogue.open(catalogue))

    monkeypatch.setattr("synth.graphs.models.open_provider", opens)
    address = "http://127.0.0.1:9/v1"
    options = Options(
        catalog=catalogue,
        scenarios=20,
        convs=1,
        llm="openai:tiny",
        rewriter="anthropic:tiny",
        base_url=address,
        out=tmp_path / "run",
    )
    generate(options)
    assert opened == {"openai": address, "anthropic": None}


def test_it_runs_inside_a_running_loop(catalogue: Path, tmp_path: Path) -> None:
    async def notebook() -> int:
        return generate(Options(catalog=catalogue, scenarios=20, convs=1, out=tmp_path / "run")).accepted

    assert asyncio.run(notebook()) == 1


def test_the_readme_draws_the_graph_there_is() -> None:
    drawn = re.search(
        r"<!-- graph -->\n```mermaid\n(.*?)\n```\n<!-- /graph -->", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    assert drawn
    assert drawn[1] == mermaid(conversation_graph()), "paste the new drawing: python -m synth.graphs.picture"


def test_the_readmes_tour_names_what_a_run_has(run: RunFolder) -> None:
    tour = re.search(r"<!-- tour -->\n```text\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert tour
    named = {line.split()[0].rstrip("/") for line in tour[1].splitlines()}
    assert named <= {p.name for p in run.path.iterdir()}


def test_the_quickstart_runs(catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "examples" / "quickstart.py"))["main"]
    main(tmp_path / "run", catalogue)
    said = capsys.readouterr().out
    assert "assistant:" in said and "20 conversations" in said
