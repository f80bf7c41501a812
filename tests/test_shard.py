"""Shards of a run, and merging: of shards into the run made in one piece, and of different runs into one data set."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth.analysis.check import check
from synth.corpora.drawing import draw_catalogue
from synth.errors import Exit, SynthError
from synth.graphs.generation import generate
from synth.graphs.merge import merge
from synth.graphs.options import Options
from synth.graphs.shard import Shard
from synth.llm.offline import OfflineProvider
from synth.llm.provider import Reply, Request
from synth.traces.cost import read_cost
from synth.traces.events import FilterEvent, ItemSpan
from synth.traces.reader import RunReader
from synth.traces.run import RunFolder
from tests.fixtures import make_catalogue, make_run
from tests.support.commands import Called
from tests.support.fakes import Fake
from tests.test_contract import generate as generate_in_process_of_its_own
from tests.test_contract import logged, rows

CONVS = 40
MODEL, PRICE, KEY = "openai:gpt-4o-mini", "gpt-4o-mini=0.15/0.075/0.60", "sk-a-key-for-the-fake"
FULL = 90
"""A few scenarios more than there are seeds."""


def pictures(run: Path) -> set[str]:
    return {path.name for path in (run / "images").rglob("*.*")}


def usd(run: Path) -> float:
    with closing(RunFolder(run).store()) as store:
        return read_cost(store).usd


@pytest.fixture(scope="module")
def options(catalogue: Path) -> Options:
    return Options(catalog=catalogue, scenarios=60, convs=CONVS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def whole(options: Options, folder: Path) -> Path:
    """A run in one piece."""
    return generate(replace(options, out=folder / "whole")).run


@pytest.fixture(scope="module")
def shards(options: Options, folder: Path) -> list[Path]:
    """The same run in three; nobody may change them."""
    return [generate(replace(options, out=folder / f"s{n}", shard=Shard(n, 3))).run for n in (1, 2, 3)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call that the simulator is asked for."""
    places: list[str] = []
    complete = OfflineProvider.complete

    async def completes(self: OfflineProvider, request: Request) -> Reply:
        places.append(" ".join(map(str, (*request.place, request.call.name))))
        return await complete(self, request)

    monkeypatch.setattr(OfflineProvider, "complete", completes)
    return places


# ---- shards


def test_a_shard_makes_its_draws_and_its_share(shards: list[Path]) -> None:
    for n, shard in enumerate(shards):
        run = RunFolder.open(shard)
        numbers = [int(record.id[1:]) for record in (*run.conversations(), *run.rejected())]
        assert sorted(numbers) == list(range(n, n + 3 * len(numbers), 3))
        assert run.accepted() == 14
        assert check(run).clean


def test_shards_merged_are_the_run_in_one_piece(
    options: Options, whole: Path, shards: list[Path], tmp_path: Path, asked: list[str]
) -> None:
    before = {shard: {**rows(shard), "run.db": (shard / "run.db").read_bytes()} for shard in shards}
    made = merge(list(reversed(shards)), tmp_path / "run")
    assert made.missing == () and made.pictures == 0 and made.convs == CONVS
    assert made.accepted >= CONVS // 2 and not asked
    expected = rows(whole)
    assert all(expected[name].startswith(content) for name, content in rows(made.run).items())
    known = logged(made.run)
    assert known == set().union(*map(logged, shards))
    generate(replace(options, out=made.run))
    assert rows(made.run) == expected
    assert pictures(made.run) == pictures(whole)
    assert not known.intersection(asked), "what is in a shard's log was asked for again"
    assert len(asked) < 0.3 * len(logged(whole)), "most was in the shards"
    assert {shard: {**rows(shard), "run.db": (shard / "run.db").read_bytes()} for shard in shards} == before
    assert check(RunFolder.open(made.run)).clean


def test_a_merged_run_grows_like_one_in_one_piece(
    options: Options, shards: list[Path], whole: Path, tmp_path: Path
) -> None:
    run = merge(shards, tmp_path / "run").run
    generate(replace(options, out=run, convs=CONVS + 5))
    shutil.copytree(whole, tmp_path / "whole")
    generate(replace(options, out=tmp_path / "whole", convs=CONVS + 5))
    assert rows(run) == rows(tmp_path / "whole")


def test_what_repeats_another_shards_is_refused_by_number(options: Options, tmp_path: Path) -> None:
    strict = replace(options, convs=24, duplicate=0.13, seed=3)
    whole = generate(replace(strict, out=tmp_path / "whole"))
    shards = [generate(replace(strict, out=tmp_path / f"s{n}", shard=Shard(n, 2))).run for n in (1, 2)]
    assert whole.totals.rejected["duplicate"] > 3
    run = merge(shards, tmp_path / "run").run
    decided = RunFolder(run).accepted()
    generate(replace(strict, out=run))
    assert rows(run) == rows(whole.run) and decided < 24
    with closing(RunFolder(run).store()) as store:
        accepted = 0
        for rejected in RunFolder(run).rejected():
            if rejected.filter == "duplicate":
                number = int(rejected.id[1:])
                events = store.events("profile", number)
                assert [e.reason for e in events if isinstance(e, FilterEvent)] == [rejected.reason]
                assert [e.outcome for e in events if isinstance(e, ItemSpan)] == ["duplicate"]
                accepted += bool(store.events("conversation", number))
        assert accepted, "no shard took a draw for good that another's repeats"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a matter of POSIX")
def test_a_killed_shard_costs_nothing_but_what_it_lacks(
    catalogue: Path, options: Options, whole: Path, shards: list[Path], tmp_path: Path
) -> None:
    def shard(moment: str, count: int = 1) -> int:
        words = ("--shard", "2/3")
        return generate_in_process_of_its_own(catalogue, tmp_path / "s2", CONVS, *words, moment=moment, count=count)

    assert shard("item stored", 18) == -9
    run = merge([shards[0], tmp_path / "s2", shards[2]], tmp_path / "early").run
    assert 0 < RunFolder(run).accepted() < CONVS // 2
    generate(replace(options, out=run))
    assert rows(run) == rows(whole)
    assert shard("half a row written", 2) == -9
    assert shard("none") == 0
    assert rows(tmp_path / "s2") == rows(shards[1])
    run = merge([shards[0], tmp_path / "s2", shards[2]], tmp_path / "late").run
    generate(replace(options, out=run))
    assert rows(run) == rows(whole)


def test_a_shard_that_is_missing_is_said_and_drawn(
    options: Options, whole: Path, shards: list[Path], tmp_path: Path, called: Called
) -> None:
    code, shown, _ = called("run", "merge", shards[0], shards[2], "--out", tmp_path / "run")
    assert code == 0 and "missing: shard 2/3" in shown and f"of {CONVS} conversations" in shown
    assert f"--convs {CONVS} --out {tmp_path / 'run'}" in shown
    code, shown, _ = called("run", "status", tmp_path / "run")
    assert f"stopped, 1 of {CONVS}" in shown
    generate(replace(options, out=tmp_path / "run"))
    assert rows(tmp_path / "run") == rows(whole)


def test_a_shards_folder_is_found_again_and_is_no_whole_run(options: Options, tmp_path: Path) -> None:
    few = replace(options, convs=4, runs=tmp_path)
    first, second = generate(replace(few, shard=Shard(2, 2))), generate(replace(few, shard=Shard(2, 2)))
    whole = generate(few)
    assert second.resumed and first.run == second.run != whole.run and not whole.resumed
    assert first.run.name == f"{whole.run.name}-shard2of2" and (first.accepted, whole.accepted) == (2, 4)
    for shard, what in ((Shard(), "is shard 2/2 of a run"), (Shard(1, 2), "is shard 2/2 of a run")):
        with pytest.raises(SynthError, match=what):
            generate(replace(few, out=first.run, shard=shard))
    with pytest.raises(SynthError, match="is a whole run"):
        generate(replace(few, out=whole.run, shard=Shard(1, 2)))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5", "1.5/3", ""])
def test_a_bad_shard_is_one_line(shard: str, called: Called) -> None:
    code, _, complaint = called("generate", f"--shard={shard}")
    assert code == Exit.BAD_INPUT and complaint.startswith("synth: ") and complaint.count("\n") == 1
    assert shard in complaint


def test_more_shards_than_conversations_are_refused(called: Called) -> None:
    code, _, complaint = called("generate", "--convs", 2, "--shard", "1/3")
    assert code == Exit.BAD_INPUT and complaint == "synth: 2 conversations cannot be made in 3 shards.\n"


# ---- money, and scenarios of a live model


@pytest.fixture(scope="module")
def fake(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    """A server whose answers are those of an offline run."""
    answers = tmp_path_factory.mktemp("answers") / "offline"
    generate(Options(catalog=catalogue, scenarios=FULL, convs=30, out=answers))
    with Fake(answers="replay", replay=str(answers / "run.db")) as started:
        yield started


@pytest.fixture
def paid(fake: Fake, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    fake.reset()
    return Options(
        catalog=catalogue, scenarios=FULL, convs=6, llm=MODEL, base_url=fake.openai_url, prices=(PRICE,), in_flight=8
    )


def test_costs_add_up_and_a_shard_has_its_own_cap(paid: Options, fake: Fake, tmp_path: Path) -> None:
    whole = generate(replace(paid, out=tmp_path / "whole"))
    fake.reset()
    shards = [generate(replace(paid, out=tmp_path / "s1", shard=Shard(1, 2))).run, tmp_path / "s2"]
    capped = replace(paid, out=shards[1], shard=Shard(2, 2), max_usd=0.6 * usd(shards[0]))
    with pytest.raises(SynthError, match="The cap of .* is reached") as reached:
        generate(capped)
    assert reached.value.exit_code == Exit.LIMIT
    assert 0 < usd(shards[1]) <= 0.6 * usd(shards[0])
    made = merge(shards, tmp_path / "run")
    assert made.usd == usd(made.run) == pytest.approx(sum(map(usd, shards)))
    assert made.usd == pytest.approx(fake.ledger()["billed"]["usd"])
    generate(replace(paid, out=made.run))
    assert rows(made.run) == rows(whole.run)
    assert usd(made.run) == pytest.approx(fake.ledger()["billed"]["usd"])
    with pytest.raises(SynthError, match="cap"):  # what the shards have spent counts
        generate(replace(paid, out=made.run, convs=8, max_usd=0.9 * made.usd))


def test_a_shard_takes_the_scenarios_of_another(paid: Options, tmp_path: Path) -> None:
    first = generate(replace(paid, out=tmp_path / "s1", shard=Shard(1, 2))).run
    with (first / "scenarios.jsonl").open(encoding="utf-8") as file:
        *same, last = file.read().splitlines()
    other = json.loads(last)
    assert other["origin"] == "generated"
    other["text"] = "Something else that a live model wrote."
    alike = [*same, json.dumps(other, separators=(",", ":"))]
    (first / "scenarios.jsonl").write_text("\n".join(alike) + "\n", "utf-8", newline="\n")
    second = replace(paid, out=tmp_path / "s2", shard=Shard(2, 2))
    with pytest.raises(SynthError, match=r"has other settings \(seed\)"):
        generate(replace(second, seed=5, scenarios_from=first))
    taken = generate(replace(second, out=tmp_path / "taken", scenarios_from=first)).run
    assert (taken / "scenarios.jsonl").read_bytes() == (first / "scenarios.jsonl").read_bytes()
    with closing(RunFolder(taken).store()) as store:
        assert not list(store.calls("scenario")), "paid for scenarios it did not need"
    assert generate(replace(second, out=taken, scenarios_from=first)).resumed
    assert merge([first, taken], tmp_path / "run").missing == ()
    own = generate(second).run
    with pytest.raises(SynthError, match=r"different scenarios.*--scenarios-from"):
        merge([first, own], tmp_path / "refused")
    with pytest.raises(SynthError, match="scenarios of its own"):
        generate(replace(second, scenarios_from=first))
    assert not (tmp_path / "refused").exists() and not (tmp_path / "refused.partial").exists()


def test_scenarios_that_are_not_there_yet_are_not_taken(options: Options, shards: list[Path], tmp_path: Path) -> None:
    shutil.copytree(shards[0], tmp_path / "early")
    (tmp_path / "early" / "scenarios.jsonl").unlink()
    with pytest.raises(SynthError, match="has not all its scenarios yet"):
        generate(replace(options, out=tmp_path / "s2", shard=Shard(2, 3), scenarios_from=tmp_path / "early"))


# ---- what does not go together


def refused(runs: list[Path], tmp_path: Path, match: str) -> None:
    with pytest.raises(SynthError, match=match) as error:
        merge(runs, tmp_path / "refused")
    assert error.value.exit_code == Exit.BAD_INPUT and "\n" not in str(error.value)
    assert not list(tmp_path.glob("refused*"))


def test_shards_that_overlap_or_are_of_other_runs(options: Options, shards: list[Path], tmp_path: Path) -> None:
    few = replace(options, convs=3)
    copy = shutil.copytree(shards[0], tmp_path / "copy")
    refused([*shards, copy], tmp_path, "s1 and .*copy are both shard 1/3")
    refused([shards[0], shards[0] / ".." / "s1"], tmp_path, "is named twice")
    halves = generate(replace(few, out=tmp_path / "half", shard=Shard(2, 2))).run
    refused([shards[0], halves], tmp_path, "s1 is shard 1/3, .*half is shard 2/2")
    seeds = generate(replace(few, out=tmp_path / "seed", shard=Shard(2, 3), seed=9, k=5)).run
    refused([shards[0], seeds], tmp_path, r"shards of different runs \(k, seed\)")


def test_shards_of_other_catalogues(shards: list[Path], options: Options, tmp_path: Path) -> None:
    draw_catalogue(tmp_path / "other", products=40, seed=4)
    there = replace(options, catalog=tmp_path / "other", convs=3, out=tmp_path / "s2", shard=Shard(2, 3))
    refused([shards[0], generate(there).run], tmp_path, r"shards of different runs \(catalogue\)")


def test_runs_that_cannot_be_merged(whole: Path, shards: list[Path], tmp_path: Path, called: Called) -> None:
    refused([whole, shards[0]], tmp_path, "s1 is shard 1/3 of a run, and .*whole is a whole run")
    refused([whole], tmp_path, "nothing to merge with one run")
    refused([whole, tmp_path], tmp_path, "is not a run")
    with pytest.raises(SynthError, match=r"whole exists already\. Choose another --out"):
        merge(shards, whole)
    busy = make_run(tmp_path / "busy")
    busy.lock()
    try:
        refused([whole, busy.path], tmp_path, "busy is being written")
    finally:
        busy.unlock()
    code, _, complaint = called("run", "merge", whole, tmp_path / "nowhere", "--out", tmp_path / "refused")
    assert code == Exit.BAD_INPUT and complaint.startswith("synth: ") and complaint.count("\n") == 1


# ---- different runs


def test_different_runs_become_one_data_set(options: Options, whole: Path, tmp_path: Path, called: Called) -> None:
    other = generate(replace(options, convs=6, seed=8, scenarios=50, out=tmp_path / "other")).run
    code, shown, _ = called("run", "merge", whole, other, "--out", tmp_path / "run", "--json")
    facts: dict[str, Any] = json.loads(shown)
    run = RunFolder.open(tmp_path / "run")
    made = list(run.conversations())
    assert (code, facts["accepted"], facts["rejected"], facts["shards"]) == (0, CONVS + 6, {}, False)
    assert rows(run.path)["conversations.jsonl"].startswith(rows(whole)["conversations.jsonl"])
    theirs = list(RunFolder(other).conversations())
    assert [c.id for c in made[CONVS:]] == [f"c{1_000_000 + int(c.id[1:])}" for c in theirs]
    assert [c.turns for c in made[CONVS:]] == [c.turns for c in theirs]
    assert Counter(c.provenance.seed for c in made) == {0: CONVS, 8: 6}
    texts = {scenario.id: scenario.text for scenario in run.scenarios()}
    before = {scenario.id: scenario.text for scenario in RunFolder(other).scenarios()}
    assert [texts[c.profile.scenario_id] for c in made[CONVS:]] == [before[c.profile.scenario_id] for c in theirs]
    assert len(set(texts.values())) == len(texts)
    assert pictures(run.path) == pictures(whole) | pictures(other)
    assert run.config()["merged"] == {"of": ["whole", "other"], "scenarios": [60, 50], "seed": [0, 8]}
    with closing(RunReader(run.path)) as merged, closing(RunReader(other)) as alone:
        number = int(theirs[0].id[1:])
        assert [s.call for s in alone.steps(number)] == [
            s.call._replace(place=s.call.place._replace(item=number)) for s in merged.steps(1_000_000 + number)
        ]
        assert merged.draw(f"c{1_000_000 + number}").conversation == made[CONVS]
    assert len(logged(run.path)) == len(logged(whole)) + len(logged(other))
    assert check(run).clean
    with pytest.raises(SynthError, match="merged from different runs"):
        generate(replace(options, out=run.path))


def test_what_repeats_an_earlier_run_is_refused(whole: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(whole, tmp_path / "copy")
    made = merge([whole, copy], tmp_path / "run")
    profiles = sum(1 for _ in RunFolder(whole).profiles())
    assert (made.accepted, made.rejected) == (CONVS, {"duplicate": profiles})
    run = RunFolder(made.run)
    repeats = [r for r in run.rejected() if r.filter == "duplicate"]
    assert [r.id for r in repeats] == [f"p{1_000_000 + int(p.id[1:])}" for p in RunFolder(whole).profiles()]
    assert {r.reason for r in repeats} == {"BLEU-4 1.000 with a backstory of whole"}
    numbers = [int(r.id[1:]) for r in run.rejected()]
    assert numbers == sorted(numbers)
    with closing(run.store()) as store:
        events = store.events("profile", int(repeats[0].id[1:]))
        assert [e.outcome for e in events if isinstance(e, ItemSpan)] == ["duplicate"]


def test_a_merged_data_set_can_be_merged_again(whole: Path, options: Options, tmp_path: Path) -> None:
    runs = [generate(replace(options, convs=2, seed=n, out=tmp_path / f"r{n}")).run for n in (5, 6, 7)]
    first = merge(runs[:2], tmp_path / "first").run
    run = RunFolder(merge([runs[2], first], tmp_path / "second").run)
    numbers = [int(c.id[1:]) for c in run.conversations()]
    assert len(set(numbers)) == 6 and max(numbers) >= 11_000_000


def test_runs_of_other_catalogues(options: Options, whole: Path, tmp_path: Path) -> None:
    draw_catalogue(tmp_path / "catalogue", products=40, seed=4)
    other = generate(replace(options, catalog=tmp_path / "catalogue", seed=2, convs=3, out=tmp_path / "other")).run
    run = RunFolder(merge([whole, other], tmp_path / "run").run)
    catalogue = run.catalogue()
    assert len(catalogue) == 160 + 40 == catalogue.info.products
    assert run.accepted() == CONVS + 3 and check(run).clean
    assert all((catalogue.image_path(catalogue[c.target_id].images[0])).is_file() for c in run.conversations())


def test_products_that_differ_under_one_id(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one")
    catalogue = make_catalogue(tmp_path / "bags")
    products = [product.model_copy(update={"title": f"Other {product.title}"}) for product in catalogue]
    (tmp_path / "others").mkdir()
    two = make_run(tmp_path / "two", catalogue=catalogue.rewritten(tmp_path / "others", products))
    refused([one.path, two.path], tmp_path, "Product 'b0' is not the same in .*one and .*two")
