"""Imagery as Inquiry: asking models, describing pictures, retrieval baselines, tables and Fig. 3."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.recommender.asking import Asked
from synth.recommender.imagery.data import Domain, read_descriptions
from synth.recommender.imagery.outputs import Task, describe_output
from synth.recommender.imagery.published import PUBLISHED
from synth.traces.store import RunStore
from tests.support.fakes import Fake
from tests.test_imagery import CHOICES, RECS, failing, make_data, make_outputs

pytest.importorskip("rapidfuzz", reason="the extra `eval` is not installed")
pytest.importorskip("scipy", reason="the extra `eval` is not installed")

from synth.recommender.imagery.asking import Answers, chosen_requests, plan, put, questions, shown
from synth.recommender.imagery.describing import describe, views
from synth.recommender.imagery.figure import draw
from synth.recommender.imagery.retrieving import query_of, retrieve
from synth.recommender.imagery.scoring import Scorer
from synth.recommender.imagery.tables import (
    Row,
    coi_table,
    data_table,
    figure_table,
    generation_table,
    rows_of,
    selection_table,
    standard_of,
)
from synth.recommender.runs import read_run


class Parrot:
    """A writer that answers by a function; it remembers what it was asked."""

    name = "org/par__rot"

    def __init__(self, says: Callable[[Asked], str | None]) -> None:
        self.says = says
        self.asked: list[Asked] = []

    def write(self, asked: Sequence[Asked], folder: Path, progress: object = None) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        self.asked += asked
        return {one.id: said for one in asked if (said := self.says(one)) is not None}


def asked_for(domain: Domain, task: Task, writer: Parrot, show: str, out: Path, **how: Any) -> Answers:
    given = shown(domain, show, how.pop("images", None))
    return put(plan(domain, task, given, **how), writer, out)


def make_pictures(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8), "teal").save(folder / name)
    return folder


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    return Domain("music", make_data(tmp_path / "data") / "music")


def test_choices_from_descriptions(domain: Domain, tmp_path: Path) -> None:
    writer = Parrot(lambda asked: {"r1": "B. enya", "r2": "A"}.get(asked.id))
    done = asked_for(domain, "rec_choice", writer, "descriptions:ofa", tmp_path / "out")
    first = writer.asked[0]
    assert "Image 1: r1 seen 0\n" in first.text
    assert "Image 4: r1 seen 3" in first.text
    assert "seen 4" not in first.text
    assert "A. nujabes - feather\n" in first.text
    assert "u/[handle]" in first.text
    assert first.images == ()
    assert done.path.name == "org-par_rot__music__OFA-huge__rec_choice.jsonl.gz"
    original, fixed = done.scores
    assert (original.figures["accuracy"], original.missing, original.unparsable) == (1 / 3, 1, 1)
    assert fixed.unparsable == 0
    again = Scorer(domain.folder).score(done.path, "original")
    assert again.figures == original.figures
    run, queries = read_run(done.run)
    assert run.scores == {"r1": {CHOICES[1]: 1.0}, "r2": {CHOICES[0]: 1.0}}
    assert queries[0].gt == "enya - only time"
    assert run.name == "org-par_rot (OFA-huge)"
    assert run.facts["family"] == "zero-shot, descriptions"


def test_titles_from_pictures_with_chain_of_imagery(domain: Domain, tmp_path: Path) -> None:
    images = make_pictures(tmp_path / "pictures", [*(f"r1_{n}.jpg" for n in range(1, 7)), "r3_2.jpg", "r9_1.jpg"])
    writer = Parrot(lambda asked: "1. Sigur Ros - Hoppipolla")
    done = asked_for(domain, "rec_title", writer, "images", tmp_path / "out", images=images, coi=True)
    assert {one.id: [path.name for path in one.images] for one in writer.asked} == {
        "r1": [f"r1_{n}.jpg" for n in range(1, 5)],
        "r3": ["r3_2.jpg"],
    }
    assert "Work in steps" in writer.asked[0].text
    assert "Artist - Title" in writer.asked[0].text
    assert done.path.name == "org-par_rot-CoI__music__image__rec_title.jsonl.gz"
    assert describe_output(done.path).coi
    original, fixed = done.scores
    assert original.n == 2
    assert (original.figures["hit@1"], fixed.figures["hit@1"]) == (0.5, 0.5)
    assert read_run(done.run)[0].scores == {"r1": {"sigur rós - hoppípolla": -1.0}, "r3": {"line 1": -1.0}}


def test_standard_and_thoughtful_prompts_differ_for_text_models_too(domain: Domain) -> None:
    requests = chosen_requests(domain, domain.recs(), "rec_choice", 0, 1)
    seen = shown(domain, "descriptions:ofa", None)
    plain, thought = (questions(requests, "books", "rec_choice", seen, coi=coi)[0] for coi in (False, True))
    assert "Work in steps" not in plain.text
    assert "imagine each picture from its description" in thought.text
    assert thought.max_tokens > plain.max_tokens
    assert "Author - Title" in plain.text
    assert "Descriptions" not in questions(requests, "books", "rec_title", shown(domain, "none", None))[0].text


def test_choices_are_drawn_where_there_are_none(domain: Domain) -> None:
    path = domain.folder / "requests.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    bare = [{key: value for key, value in row.items() if key not in ("choices", "true_index")} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in bare), "utf-8")
    drawn = chosen_requests(domain, domain.recs(), "rec_choice", 7, None)
    assert all(len(set(request.choices)) == 5 for request in drawn.values())
    assert drawn["r2"].choices[drawn["r2"].true_index] == "burial - archangel"
    assert drawn != chosen_requests(domain, domain.recs(), "rec_choice", 8, None)
    assert not chosen_requests(domain, domain.recs(), "rec_title", 7, None)["r1"].choices


def test_nothing_to_show_is_one_line(domain: Domain, tmp_path: Path) -> None:
    writer = Parrot(lambda asked: None)
    with pytest.raises(SynthError, match=r"has none of the pictures of music, such as r1_1\.jpg"):
        shown(domain, "images", None)
    with pytest.raises(SynthError, match=r"no descriptions nobody\. There: descriptions_ofa\.jsonl"):
        shown(domain, "descriptions:nobody", None)
    with pytest.raises(SynthError, match="--show pictures is not known"):
        shown(domain, "pictures", None)
    (domain.folder / "descriptions_x.jsonl").write_text('{"submission_id": "zz", "description": ["a"]}\n', "utf-8")
    with pytest.raises(SynthError, match="about other requests"):
        shown(domain, "descriptions:x", None)
    (domain.folder / "descriptions_x.jsonl").write_text('{"submission_id": "r1", "description": "a"}\n', "utf-8")
    with pytest.raises(SynthError, match="line 1 is not a description"):
        shown(domain, "descriptions:x", None)
    with pytest.raises(SynthError, match="answered none of 3 requests"):
        asked_for(domain, "rec_title", writer, "none", tmp_path / "out")


def test_descriptions_are_made_one_picture_at_a_time(domain: Domain, tmp_path: Path) -> None:
    make_pictures(domain.folder / "images", [*(f"r2_{n}.jpg" for n in range(1, 6)), "r3_1.jpg"])
    writer = Parrot(lambda asked: None if asked.id == "r3#0" else f"{asked.images[0].name} by a@b.org")
    path, requests, pictures = describe(views(domain), writer, tmp_path / "out")
    assert (requests, pictures) == (1, 4)
    assert path == tmp_path / "out" / "music" / "descriptions_org-par_rot.jsonl"
    assert read_descriptions(path) == {"r2": tuple(f"r2_{n}.jpg by [email]" for n in range(1, 5))}
    made = shown(domain, f"descriptions:{path}", None)
    assert made.modality == "org-par_rot"


def test_descriptions_keep_the_places_of_their_pictures(domain: Domain, tmp_path: Path) -> None:
    """The first picture is missing and nothing is said of the third: the others are still the second and the fourth."""
    make_pictures(domain.folder / "images", ["r1_2.jpg", "r1_3.jpg", "r1_4.jpg"])
    writer = Parrot(lambda asked: None if asked.images[0].name == "r1_3.jpg" else asked.images[0].name)
    path, requests, pictures = describe(views(domain), writer, tmp_path / "out")
    assert (requests, pictures) == (1, 2)
    assert read_descriptions(path) == {"r1": ("", "r1_2.jpg", "", "r1_4.jpg")}
    given = shown(domain, f"descriptions:{path}", None)
    (asked,) = plan(domain, "rec_title", given).asked
    assert "Descriptions of the pictures:\nImage 2: r1_2.jpg\nImage 4: r1_4.jpg\n\n" in asked.text
    assert query_of(domain.requests()["r1"], ["", "a"]).endswith("\na")


def test_fewer_requests_do_not_replace_what_more_gave(domain: Domain, tmp_path: Path) -> None:
    writer = Parrot(lambda asked: "A")
    done = asked_for(domain, "rec_choice", writer, "none", tmp_path)
    before = done.path.read_bytes()
    with pytest.raises(SynthError, match=r"is about 2 requests that are not asked this time\. Leave out --limit"):
        asked_for(domain, "rec_choice", writer, "none", tmp_path, limit=1)
    assert len(writer.asked) == 3 and done.path.read_bytes() == before
    make_pictures(domain.folder / "images", ["r1_1.jpg", "r2_1.jpg"])
    path, _, _ = describe(views(domain), writer, tmp_path)
    with pytest.raises(SynthError, match="is about 1 requests that are not asked"):
        describe(views(domain, limit=1), writer, tmp_path)
    assert len(read_descriptions(path)) == 2


@pytest.fixture
def server() -> Iterator[Fake]:
    with Fake(in_thread=True) as fake:
        yield fake


def billed(server: Fake) -> int:
    return int(server.ledger()["requests"].get("POST /v1/chat/completions", {}).get("200", 0))


def test_the_cap_and_the_estimate_are_of_the_whole_command(server: Fake, tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data").parent / "data", tmp_path / "out"
    make_data(tmp_path / "data", "books")
    words = ["eval", "imagery", "run", "--data", data, "--task", "choice", "--show", "none", "--out", out, "--yes"]
    words += ["--model", "openai:gpt-4o-mini", "--base-url", server.openai_url, "--price", "gpt-4o-mini=1000/0"]

    def call(*more: object) -> Any:
        return CliRunner().invoke(app, [*map(str, words), *map(str, more)])

    told = call("--dry-run")
    assert told.exit_code == 0, told.output
    assert "6 calls" in told.stdout and not billed(server) and not out.exists()
    whole = re.search(r"about ([\d.]+) USD", told.stdout)
    assert whole
    # Before a call leaves, the most that it can cost is set aside, about three times what it does: room for the three
    # of the first domain, and not for all six.
    cap = 1.1 * float(whole[1])
    done = call("--max-usd", cap, "--quiet")
    assert isinstance(done.exception, SynthError) and "cap of" in str(done.exception)
    assert 3 <= billed(server) < 6
    with contextlib.closing(RunStore(out / "answers" / "calls" / "run.db", readonly=True)) as store:
        assert 0 < store.spent() <= cap


def test_retrieval_baselines(domain: Domain, tmp_path: Path) -> None:
    path = domain.folder / "descriptions_ofa.jsonl"
    told = {"r1": ["only enya", "time"], "r2": ["archangel of burial"], "r3": ["nothing"]}
    rows = [{"submission_id": name, "description": texts} for name, texts in told.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    seen = [shown(domain, "descriptions:ofa", None), shown(domain, "none", None)]
    first, words = retrieve(domain, "bm25", "rec_choice", seen, tmp_path / "out")
    assert first.score.figures["accuracy"] >= 2 / 3
    assert first.score.figures == first.original.figures
    assert (first.tied, words.tied) == (1, 3)
    run, _ = read_run(tmp_path / "out" / "bm25__music__OFA-huge__rec_choice")
    assert set(run.scores["r1"]) == set(CHOICES)
    assert run.facts["family"] == "retrieval"
    assert run.facts["metrics"] == ["hit@1", "mrr"]
    assert query_of(domain.requests()["r1"], ["a", "b"]).endswith("\na\nb")
    (titles,) = retrieve(domain, "bm25", "rec_title", seen[:1], tmp_path / "out")
    assert titles.score.figures["hit@1"] >= 1 / 3
    titled, _ = read_run(tmp_path / "out" / "bm25__music__OFA-huge__rec_title")
    assert titled.facts["family"] == "retrieval"
    assert "enya\n" not in "".join(said.response for said in titles.score.said.values())


def test_rows_and_tables(domain: Domain, tmp_path: Path) -> None:
    folder = tmp_path / "o"
    for name, letter in (("m", "B"), ("m-CoI", "A")):
        make_outputs(folder, "rec_choice", dict.fromkeys(RECS, letter), f"{name}__music__image")
    make_outputs(folder, "rec_title", {"r1": "enya - x"}, "m__music__image")
    scores = [Scorer(domain.folder).score(path, "original") for path in sorted(folder.glob("*.gz"))]
    rows = rows_of(scores)
    assert len(rows) == 2
    both = rows_of(scores, paper=True)
    assert len(both) == 2 + len(PUBLISHED)
    assert data_table([domain]).rows[0] == ("requests", "3")
    assert data_table([domain]).rows[1] == ("pictures, at most four each", "12")
    generation = generation_table(both)
    assert generation.columns[3:] == tuple(f"{d} Hit@{k}" for d in ("books", "music") for k in (1, 10, 20))
    assert any(row[:3] == ("pictures", "m", "original") and row[6] == "0.3333" for row in generation.rows)
    selection = selection_table(both)
    assert any(row[1] == "m" and row[4].startswith("0.3333 [") for row in selection.rows)
    assert "m-CoI, pictures, music (original): 3" in selection.note
    thought = coi_table(both).rows
    assert ("m", "pictures", "music", "original", "accuracy", "0.3333", "0.0000", "-0.3333") in thought
    assert sum(row[3] == "paper" for row in thought) == 6 * 4
    figure = figure_table(both)
    assert figure.columns[4:] == (
        "descriptions, OFA-huge",
        "descriptions, llava-v1.5-13b",
        "descriptions, gpt-4-vision-preview",
        "pictures",
    )
    assert coi_table(rows[:0]).rows == ()


def test_the_standard_prompt_of_a_system() -> None:
    rows = rows_of([], paper=True)
    found = {row.model: base.model for row in rows if (base := standard_of(row, rows))}
    assert found == {
        "gpt-4-0125-CoI": "gpt-4-0125-preview",
        "gpt-4-vision-CoI": "gpt-4-vision-preview",
        "llava-v1.5-CoI": "llava-v1.5-13b",
    }
    assert standard_of(replace(rows[0], model="nobody-CoI"), rows) is None


def test_published_figures_are_counts_of_requests() -> None:
    assert len(PUBLISHED) == 40
    for one in PUBLISHED:
        requests = {"books": 1470, "music": 796}[one.domain]
        for name in ("hit@1", "hit@10", "hit@20", "accuracy"):
            hits = one.figure(name) * requests
            assert abs(hits - round(hits)) < 0.001, (one, name)


def test_figure_is_drawn(tmp_path: Path) -> None:
    rows = [*rows_of([], paper=True), Row("mine", "OFA-huge", "books", "fixed", {"accuracy": 0.5})]
    draw(rows, tmp_path / "fig3.png")
    with Image.open(tmp_path / "fig3.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50
    with pytest.raises(SynthError, match="plot cannot be written"):
        draw(rows, tmp_path / "fig3.txt")
    with pytest.raises(SynthError, match="nothing to draw"):
        draw([], tmp_path / "fig3.png")


def test_commands(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    out = tmp_path / "out"
    words = ["run", "--data", data, "--task", "choice", "--show", "descriptions:ofa", "--model", "offline"]
    words += ["--out", out, "--json", "--quiet", "--yes"]
    result = CliRunner().invoke(app, ["eval", "imagery", *map(str, words)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["mode"] for row in rows] == ["original", "fixed"]
    assert (out / rows[0]["file"]).is_file()
    again = CliRunner().invoke(app, ["eval", "imagery", *map(str, words)])
    assert again.stdout == result.stdout
    scored = CliRunner().invoke(
        app, ["eval", "imagery", "score", "--data", str(data), "--outputs", str(out), "--json", "--mode", "fixed"]
    )
    assert json.loads(scored.stdout) == rows[1]
    result = CliRunner().invoke(
        app, ["eval", "imagery", "retrieve", "--data", str(data), "--out", str(out), "--task", "both", "--quiet"]
    )
    assert result.exit_code == 0, result.output
    assert "gpt-4-vision-CoI" in result.stdout
    assert "are tied" in result.stdout
    drawn = CliRunner().invoke(
        app,
        ["eval", "imagery", "tables", "--data", str(data), str(out), "--plot", str(tmp_path / "f.svg"), "--markdown"],
    )
    assert drawn.exit_code == 0, drawn.output
    for name in ("(Table 1)", "(Table 2)", "(Table 3)", "(Table 4)", "(Fig. 3)"):
        assert name in drawn.stdout
    assert "<svg" in (tmp_path / "f.svg").read_text("utf-8")


def test_bad_commands_are_one_line(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    run = ("run", "--data", data, "--task", "title", "--out", tmp_path / "out", "--model", "offline", "--show")
    assert "none of the pictures" in failing(*run, "images")
    assert "cannot be a folder" in failing(*run, "none", "--out", __file__)
    assert "--coi needs pictures or descriptions" in failing(*run, "none", "--coi")
    assert "has no domain films" in failing(*run, "none", "--domain", "films")
    assert "none of the pictures" in failing("describe", "--data", data, "--out", tmp_path, "--model", "offline")
    (tmp_path / "file").write_text("")
    retrieve_to = ("retrieve", "--data", data, "--quiet", "--out")
    assert "--methods names nothing" in failing(*retrieve_to, tmp_path, "--methods", ",")
    assert "cannot be a folder" in failing(*retrieve_to, tmp_path / "file")
    assert "cannot be a folder" in failing(*retrieve_to, tmp_path / "file" / "x")
    assert "cannot be written to" in failing("tables", "--data", data, "--plot", tmp_path / "x.jpg")
    assert "is a file" in failing("tables", "--data", data, "--plot", tmp_path / "file" / "x.png")
    assert "sees no pictures" in failing("retrieve", "--data", data, "--out", tmp_path, "--show", "images")
    assert "no retriever 'x'" in failing("retrieve", "--data", data, "--out", tmp_path, "--methods", "x", "--quiet")
    assert "exclude each other" in failing("retrieve", "--data", data, "--out", tmp_path, "--json", "--markdown")
    assert "nothing to score" in failing("tables", "--data", data, "--no-paper")
    (data / "music" / "items.csv").write_text("name\nx\n", "utf-8")
    assert "no column `title`" in failing("retrieve", "--data", data, "--out", tmp_path, "--quiet")
