"""MUSE's tasks on a run: its moments, what is asked at them, what queries recall, and the command that evaluates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures import make_run
from typer.testing import CliRunner

from synth.cli import app
from synth.corpora.export import Images, RunFacts, Source, export
from synth.corpora.export import Options as ExportOptions
from synth.corpora.records import Conversation
from synth.errors import SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.recommender.asking import Asked
from synth.recommender.muse.data import Line, Moment, MuseData, read_muse
from synth.recommender.muse.learnt import Learnt
from synth.recommender.muse.prompts import Fit, ask, read_query, read_response
from synth.recommender.muse.querying import METRICS, asks, hits, open_finder, questions, recall
from synth.recommender.muse.responding import METRICS as RESPONDING
from synth.recommender.runs import read_run
from synth.traces.run import RunFolder


@pytest.fixture(scope="module")
def run(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("muse") / "run"
    generate(Options(catalog=catalogue, scenarios=20, convs=24, out=folder, seed=5))
    return folder


@pytest.fixture(scope="module")
def data(run: Path) -> MuseData:
    return read_muse(run)


@pytest.fixture(scope="module")
def conversations(run: Path) -> dict[str, Conversation]:
    return {conversation.id: conversation for conversation in RunFolder.open(run).conversations()}


def test_moments_are_the_assistants_turns_with_what_came_before(
    data: MuseData, conversations: dict[str, Conversation]
) -> None:
    assert data.moments.keys() == conversations.keys()
    for name, moments in data.moments.items():
        turns = conversations[name].turns
        spoken = [turn for turn in turns if turn.speaker == "assistant" and turn.index > 0]
        assert [(m.id, m.text, m.act) for m in moments] == [(f"{name}:{t.index}", t.text, t.act) for t in spoken]
        for moment, turn in zip(moments, spoken, strict=True):
            assert [line.text for line in moment.context] == [earlier.text for earlier in turns[: turn.index]]
            assert moment.last == [t.text for t in turns[: turn.index] if t.speaker == "user"][-1]
            if turn.retrieval:
                assert (moment.product, moment.query) == (turn.retrieval.chosen, turn.retrieval.query)
                assert moment.shown == turn.retrieval.excluded
            else:
                assert moment.query == ""
    assert data.left_out["greeting"] == len(conversations)
    assert data.generator == "Synth's offline simulator"
    pictures = [
        path for moments in data.moments.values() for m in moments for line in m.context for path in line.pictures
    ]
    assert pictures and all(path.is_file() for path in pictures)


def test_forced_turns_have_a_product_and_no_query(tmp_path: Path) -> None:
    data = read_muse(make_run(tmp_path / "run").path)
    forced = [m for moments in data.moments.values() for m in moments if m.act == "recommend" and not m.query]
    assert len(forced) == 10 and all(moment.product for moment in forced)
    assert data.left_out["recommended without a search (the target was handed over)"] == 10
    assert not {moment.id for moment in forced} & {moment.id for moment in data.queries(data.moments)}
    # Handles and addresses are masked, as in every text that leaves a run.
    assert not any("mail.example.org" in moment.whole for moment in data.responses(data.moments))


def test_the_split_is_by_conversation_and_by_the_seed(data: MuseData) -> None:
    division = data.divide(8, seed=3)
    parts = (division.train, division.valid, division.test, division.spare)
    assert list(map(len, parts)) == [8, 1, 15, 0]
    assert sorted(name for part in parts for name in part) == sorted(data.moments)
    assert data.divide(8, seed=3) == division != data.divide(8, seed=4)
    fewer = data.divide(8, 5, seed=3)
    assert fewer.test == division.test[:5] and fewer.spare == division.test[5:] and fewer.train == division.train
    assert len(data.divide(0).test) == len(data.moments)
    with pytest.raises(SynthError, match="24 conversations: 200 to learn from and 20 to validate on leave none"):
        data.divide()


def test_an_export_gives_the_same_moments(run: Path, data: MuseData, tmp_path: Path) -> None:
    folder = RunFolder.open(run)
    facts = RunFacts("run", folder.config(), {})
    catalogue = folder.catalogue()
    source = Source(facts, catalogue, folder.conversations, folder.scenarios(), [catalogue.images])
    export(source, "hf", tmp_path / "hf", ExportOptions(Images.files))
    read = read_muse(tmp_path / "hf")
    assert read.fingerprint == data.fingerprint and read.generator == data.generator
    for name, moments in data.moments.items():
        for one, other in zip(moments, read.moments[name], strict=True):
            assert (one.product, one.shown, one.whole) == (other.product, other.shown, other.whole)
            files = [[path.read_bytes() for line in m.context for path in line.pictures] for m in (one, other)]
            assert files[0] == files[1]
    named = {moment.product for moment in data.queries(data.moments)}
    assert named <= {product.id for product in read.catalogue}
    assert all(read.picture(product) for product in named)
    for path in (tmp_path / "hf" / "conversations").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SynthError, match="is damaged, or no export"):
        read_muse(tmp_path / "hf")


def test_a_question_shows_the_context_and_nothing_else(data: MuseData) -> None:
    for moment in data.queries(data.moments):
        asked = ask("recommend", moment, data)
        title = data.catalogue[moment.product].title
        assert moment.text not in asked.text and moment.query not in asked.text
        assert title not in asked.text or title in moment.whole
        assert all(line.text in asked.text for line in moment.context)
        every = [path for line in moment.context for path in line.pictures]
        assert list(asked.images) == every[-3:]
        assert [f"(picture {n + 1})" in asked.text for n in range(4)] == [n < len(asked.images) for n in range(4)]
        assert ("look at the pictures" in asked.text) == bool(asked.images)
        blind = ask("recommend", moment, data, 0)
        assert blind.images == () and "picture" not in blind.text.partition("\nConversation:")[0]


def test_a_turn_that_recommends_is_given_its_product(data: MuseData) -> None:
    for moment in data.responses(data.moments):
        asked = ask("respond", moment, data)
        assert moment.text not in asked.text
        own = data.picture(moment.product) if moment.product else None
        shown = [path for line in moment.context for path in line.pictures][-3:]
        assert list(asked.images) == [*shown, *([own] if own else [])]
        assert ("Product: " in asked.text) == bool(moment.product)
        if moment.product:
            assert data.catalogue[moment.product].title in asked.text
            assert ("picture is the last one" in asked.text) == bool(own)
        blind = ask("respond", moment, data, 0)
        assert blind.images == () and "picture" not in blind.text.partition("\nConversation:")[0]


def test_the_oldest_is_cut_and_the_last_line_stays(data: MuseData) -> None:
    context = tuple(Line("user" if n % 2 else "assistant", f"word{n} " * 20) for n in range(9))
    product = data.queries(data.moments)[0].product
    moment = Moment("c:9", "c", "recommend", context, "said", product, "query")
    whole = ask("recommend", moment, data).text
    words = len(whole.split())
    for room in (words - 1, words - 60, 1):
        cut = ask("recommend", moment, data, fit=Fit(lambda text: len(text.split()), room)).text
        kept = [n for n in range(9) if f"word{n} " in cut]
        assert kept == list(range(kept[0], 9)) and kept[0] > 0
        assert len(cut.split()) <= room or kept == [8]
        assert cut.startswith(whole[:40]) and cut.endswith("Write the query.")
    told = ask("respond", moment, data, fit=Fit(lambda text: len(text.split()), 1)).text
    assert data.catalogue[product].title in told


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        ("red summer dress", "red summer dress"),
        ("\n  Search query: “red dress”\nBecause it fits.", "red dress"),
        ("- `blue kurta women`", "blue kurta women"),
        ("The query is: kurta", "kurta"),
        ("Here is the search query:\nred dress", "red dress"),
        ("```text\nred dress\n```", "red dress"),
        ("<think>hmm: kurta\n</think>\nred dress", "red dress"),
        ("hmm: kurta </think> red dress", "red dress"),
        ("<think>hmm", ""),
        ("**Search query:** red dress", "red dress"),
        ("**Search query**: red dress", "red dress"),
        ("1. red dress\n2. blue dress", "red dress"),
        ("501 jeans", "501 jeans"),
        ("", ""),
        ("\n \n", ""),
        ("赤い ドレス", "赤い ドレス"),
        ("word " * 100, " ".join(["word"] * 60)),
    ],
)
def test_the_query_in_an_answer(answer: str, query: str) -> None:
    assert read_query(answer) == query


def test_the_words_in_an_answer() -> None:
    assert read_response("Assistant:  I like it.\nYou may too. ") == "I like it. You may too."
    assert read_response("<think>\nShort.\n</think>\nI like it.") == "I like it."


def test_queries_recall_products(data: MuseData, tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="ranking metrics need the extra `eval`")
    from synth.recommender.ranking_metrics import rank_columns

    moments = data.queries(data.moments)
    finder = open_finder(data, ["bm25"], tmp_path)
    own = recall("run", asks("run", moments), moments, finder, {})
    figures = {name: column.mean for name, column in rank_columns(own, questions(moments), METRICS).items()}
    # The product of a turn is among the ten that its query found, so a query loses nothing here.
    assert figures["recall@10"] == 1.0
    by_hand = hits(own.scores, moments)
    assert by_hand == {name: pytest.approx(figures[name]) for name in ("mrr@10", "recall@10")}
    for moment in moments:
        assert not own.scores[moment.id].keys() & set(moment.shown)
        assert len(set(own.scores[moment.id].values())) == len(own.scores[moment.id]) <= 20
    last = recall("last", asks("last-turn", moments), moments, finder, {})
    assert hits(last.scores, moments)["recall@10"] < 0.9
    nothing = {moment.id: " " if n % 2 else "qqqq zzzz" for n, moment in enumerate(moments)}
    silent = recall("silent", nothing, moments, finder, {})
    assert not any(silent.scores.values()) and not any(said.valid for said in silent.responses.values())
    assert open_finder(data, ["bm25"], tmp_path).name == "bm25"  # built once


class Parrot:
    """Writes what the run has."""

    name = "parrot"

    def __init__(self, data: MuseData) -> None:
        every = {moment.id: moment for moments in data.moments.values() for moment in moments}
        self.known = {f"recommend:{name}": m.query for name, m in every.items()}
        self.known |= {f"respond:{name}": m.text for name, m in every.items()}
        self.folders: set[Path] = set()

    def write(self, asked: Sequence[Asked], folder: Path, progress: Any = None) -> dict[str, str]:
        self.folders.add(folder)
        return {one.id: self.known[one.id] for one in asked}


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_compares_models_and_baselines(
    run: Path, data: MuseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ir_measures", "scipy", "sacrebleu", "rouge_score"):
        pytest.importorskip(name, reason="metrics need the extra `eval`")
    parrot = Parrot(data)
    (tmp_path / "models" / "parrot").mkdir(parents=True)
    monkeypatch.setattr("synth.cli.muse.open_writer", lambda options, bar, quiet: parrot)
    out = tmp_path / "out"
    done = call(
        "eval", "muse", run, "--methods", f"last-turn,bm25,{tmp_path}/models/parrot",
        "--convs", 8, "--out", out, "--json", "--quiet", "--against", tmp_path / "models" / "parrot",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found, words = json.loads(done.stdout)
    assert found["task"] == "muse.recommend" and words["task"] == "muse.respond"
    assert found["systems"] == ["last-turn", "bm25", "parrot"] and words["systems"] == ["parrot"]
    assert found["figures"]["recall@10"]["parrot"]["value"] == 1.0
    assert found["figures"]["mrr@20"]["last-turn"]["value"] < found["figures"]["mrr@20"]["parrot"]["value"]
    assert words["figures"]["rouge1"]["parrot"]["value"] == pytest.approx(1.0)
    assert words["figures"]["bleu4.char_method3"]["parrot"]["value"] == pytest.approx(1.0)
    assert "Synth's offline simulator" in (out / "metrics.md").read_text("utf-8")
    kept, queries = read_run(out / "recommend" / "last-turn")
    test = set(data.divide(8).test)
    assert {query.conversation for query in queries} <= test
    assert kept.facts["family"] == "retrieval" and kept.facts["index"] == "bm25"
    assert parrot.folders == {out / "answers"}
    assert found["against"] == "parrot"
    assert read_run(out / "respond" / "parrot")[0].facts["metrics"] == list(RESPONDING)
    assert tuple(words["figures"]) == RESPONDING
    again = call(
        "eval", "compare", out / "recommend" / "bm25", out / "recommend" / "parrot", "--format", "csv", "--quiet"
    )
    assert again.exit_code == 0 and "recall@20" in again.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "bm25", "--task", "respond"], "bm25 writes no response"),
        (["--methods", ""], "--methods names nothing"),
        (["--methods", "bm25,bm25"], "Two systems are named bm25"),
        (["--methods", "bm25", "--against", "bm52"], "There is no system 'bm52'"),
        (["--methods", "offline,bm25,offline"], "Two systems are named offline simulator: offline and offline"),
        (["--methods", "offline,nowhere/at/all"], "There is no folder nowhere/at/all"),
        (
            ["--methods", "offline", "--against", "bm25"],
            "There is no system 'bm25' to compare with. There are: offline",
        ),
        (["--task", "both", "--methods", "bm25", "--convs", "24"], "leave none to test on"),
        (["--task", "talk"], "--task talk is not possible"),
        (["--out", __file__], "cannot be a folder"),
    ],
)
def test_mistakes_are_one_line(run: Path, tmp_path: Path, options: list[str], said: str) -> None:
    done = call("eval", "muse", run, "--convs", 8, "--out", tmp_path, "--quiet", *options)
    assert isinstance(done.exception, SynthError), done.output
    assert said in str(done.exception)
    assert not list(tmp_path.iterdir())  # before anything is asked


def test_a_dry_run_counts_every_model_and_task_and_does_nothing(run: Path, data: MuseData, tmp_path: Path) -> None:
    options = ["--convs", 8, "--out", tmp_path / "out", "--quiet", "--dry-run", "--methods", "bm25,openai:a,openai:b"]
    done = call("eval", "muse", run, *options, "--base-url", "http://127.0.0.1:9/v1", "--price", "a=0/0.1")
    assert done.exit_code == 0, (done.output, done.exception)
    test = data.divide(8).test
    assert f"{2 * (len(data.queries(test)) + len(data.responses(test)))} calls" in done.stdout.replace(",", "")
    assert "(openai:a)" in done.stdout and "(openai:b)" in done.stdout
    assert not (tmp_path / "out").exists()


def test_against_takes_the_name_that_was_given(run: Path, tmp_path: Path) -> None:
    asked = ["--convs", 20, "--out", tmp_path, "--quiet", "--json", "--task", "recommend", "--methods", "offline,bm25"]
    for name in ("offline", "offline simulator"):
        done = call("eval", "muse", run, *asked, "--against", name)
        assert done.exit_code == 0, (done.output, done.exception)
        assert json.loads(done.stdout)[0]["against"] == "offline simulator"


def test_what_a_model_has_learnt_is_known_in_another_run(
    run: Path, catalogue: Path, data: MuseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was extended has other texts, and the same conversations among them."""
    division = data.divide(8)
    learnt = Learnt.of(data, division.train, "--convs 8 --seed 0")
    shutil.copytree(run, tmp_path / "longer")
    generate(Options(catalog=catalogue, scenarios=20, convs=26, out=tmp_path / "longer", seed=5))
    longer = read_muse(tmp_path / "longer")
    assert longer.fingerprint != data.fingerprint
    learnt.check("it", longer, set(longer.moments) - set(division.train))
    with pytest.raises(SynthError, match="it has learnt from 1 of the conversations .* --convs 8 --seed 0"):
        learnt.check("it", longer, division.train[:1])
    base = tmp_path / "base"
    base.mkdir()
    (base / "learnt.json").write_text(json.dumps(learnt.json()), "utf-8")
    assert Learnt.read(base) == learnt and Learnt.read(tmp_path) is None
    monkeypatch.setattr("synth.cli.muse.open_writer", lambda options, bar, quiet: Parrot(data))
    done = call("eval", "muse", run, "--methods", base, "--convs", 0, "--out", tmp_path / "out", "--quiet")
    assert "base has learnt from 8 of the conversations" in str(done.exception)
    (base / "learnt.json").write_text("[", "utf-8")
    with pytest.raises(SynthError, match="does not say what it has learnt from"):
        Learnt.read(base)


def test_a_model_without_sight_is_asked_without_pictures(
    run: Path, data: MuseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind(Parrot):
        speaker = SimpleNamespace(sees=False)

        def write(self, asked: Sequence[Asked], folder: Path, progress: Any = None) -> dict[str, str]:
            assert not any(one.images for one in asked)
            return super().write(asked, folder, progress)

    (tmp_path / "parrot").mkdir()
    monkeypatch.setattr("synth.cli.muse.open_writer", lambda options, bar, quiet: Blind(data))
    out = tmp_path / "out"
    done = call("eval", "muse", run, "--methods", tmp_path / "parrot", "--convs", 8, "--out", out)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "parrot takes no pictures; it is asked without" in done.stderr
    assert read_run(out / "respond" / "parrot")[0].facts["pictures"] == 0


def test_another_catalogue_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    with pytest.raises(SynthError, match="is not in the catalogue. Name the catalogue"):
        read_muse(run, other.path / "catalogue")
    with pytest.raises(SynthError, match="is not a run"):
        read_muse(tmp_path)
