"""Imagery as Inquiry: readers, both sets of rules against naive ones, scores, `synth eval imagery score`."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.recommender.imagery.data import Domain, Request, domains, read_descriptions
from synth.recommender.imagery.negatives import best_of, with_choices
from synth.recommender.imagery.outputs import describe_output, modality_of, output_path, read_outputs, write_outputs
from synth.recommender.imagery.parsing import (
    choice_fixed,
    choice_original,
    normal,
    titles_fixed,
    titles_original,
)

pytest.importorskip("rapidfuzz", reason="the extra `eval` is not installed")

from synth.recommender.imagery.matching import first_fixed, first_original
from synth.recommender.imagery.scoring import Scorer, as_run
from synth.recommender.runs import read_run

RECS = {
    "r1": {"sigur rós - hoppípolla": 9, "aphex twin - xtal": 4, "enya": 2},
    "r2": {"the xx - intro": 3, "burial - archangel": 7},
    "r3": {"宇多田ヒカル - first love": 1},
}
CHOICES = ["nujabes - feather", "enya - only time", "abba - sos", "the xx - intro", "burial - archangel"]


def make_data(folder: Path, name: str = "music", **changes: Any) -> Path:
    """A domain of three requests; `changes` replace files' texts, or leave files out (None)."""
    requests = [
        {
            "submission_id": request,
            "title": f"feels like {request}, by u/some_body and @other_one",
            "selftext": "",
            "images": [f"{request}_{number}.jpg" for number in range(1, 7)],
            "choices": CHOICES,
            "true_index": index,
        }
        for request, index in zip(RECS, (1, 4, 0), strict=True)
    ]
    texts = {
        "recs.json": json.dumps(RECS),
        "requests.jsonl": "".join(json.dumps(row) + "\n" for row in requests),
        "items.csv": "title\n" + "\n".join(sorted({*CHOICES, *(t for rated in RECS.values() for t in rated)})) + "\n",
        "descriptions_ofa.jsonl": "".join(
            json.dumps({"submission_id": request, "description": [f"{request} seen {n}" for n in range(6)]}) + "\n"
            for request in RECS
        ),
    }
    place = folder / name
    place.mkdir(parents=True)
    for file, text in {**texts, **{key.replace("__", "."): value for key, value in changes.items()}}.items():
        if text is not None:
            (place / file).write_text(text, "utf-8")
    return folder


def make_outputs(
    folder: Path, task: str, answers: dict[str, Any], name: str = "m__music__OFA-huge", gz: bool = True
) -> Path:
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps({"submission_id": k, "response": v}) + "\n" for k, v in answers.items())
    path = folder / f"{name}__{task}.jsonl{'.gz' if gz else ''}"
    path.write_bytes(gzip.compress(text.encode()) if gz else text.encode())
    return path


def naive_titles(response: str) -> list[str]:
    """The issue's sentence, character by character."""
    found = []
    for line in response.split("\n"):
        line = line.lower().strip()
        digits = 0
        while digits < len(line) and line[digits].isdecimal():
            digits += 1
        if digits and line[digits : digits + 1] in (".", ")"):
            line = line[digits + 1 :].lstrip()
        while line.count('"') >= 2:
            head, _, rest = line.partition('"')
            inside, _, tail = rest.partition('"')
            line = head + inside + "\0" + tail if '"' in tail else head + inside + tail
        line = line.replace("\0", "")
        for field in ("artist: ", "title: "):
            line = "".join(line.split(field))
        if 4 <= len(line) <= 100 and line.find(" - ") >= 0:
            found.append(line)
    return found


def distance(one: str, other: str) -> int:
    """Levenshtein's, by the book."""
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b)))
        last = row
    return last[-1]


def naive_first(lines: list[str], recommended: dict[str, int]) -> int:
    for place, line in enumerate(lines, 1):
        for entry in recommended:
            if distance(line.lower(), entry.lower()) < 5:
                return place
            if " - " not in entry and line[: line.index("-")].find(entry) >= 0:
                return place
    return 0


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("1. Sigur Rós - Takk", "sigur rós - takk"),
        ("20)Enya - Only Time", "enya - only time"),
        ("3: Enya - Only Time", "3: enya - only time"),
        ("(4) Enya - Only Time", "(4) enya - only time"),
        ("- Enya - Only Time", "- enya - only time"),
        ('5. Enya - "Only Time"', "enya - only time"),
        ('"Enya" - "Only Time"', "enya - only time"),
        ('Enya - 7" Mix', 'enya - 7" mix'),
        ("Enya - “Only Time”", "enya - “only time”"),
        ("6. Artist: Enya - Title: Only Time", "enya - only time"),
        ("author: Enya - Title:Only Time", "author: enya - title:only time"),
        ("a - ", None),
        ('"a" - b', "a - b"),
        ("   7.  Ænima - Tool \r", "ænima - tool"),
        ("宇多田ヒカル - First Love", "宇多田ヒカル - first love"),
        ("Enya – Only Time", None),
        ("Enya-Only Time", None),
        ("x - " + "y" * 96, "x - " + "y" * 96),
        ("x - " + "y" * 97, None),
        ("1. x - " + "y" * 96, "x - " + "y" * 96),
        ("Sure - here are twenty songs:", "sure - here are twenty songs:"),
        ("", None),
    ],
)
def test_lines_that_count_as_titles(line: str, title: str | None) -> None:
    assert titles_original(line) == ([title] if title else [])
    assert naive_titles(line) == ([title] if title else [])


def test_only_line_feeds_part_titles_and_all_count_in_their_order() -> None:
    assert titles_original("1. a - b\n\nno title\n2. c - d\u2028e - f\n1. a - b") == [
        "a - b",
        "c - d\u2028e - f",
        "a - b",
    ]


def test_titles_as_a_naive_reading_of_the_rules() -> None:
    drawn = random.Random(5)
    parts = ["1. ", "12) ", '"', "“", "artist: ", "title: ", " - ", "-", "Enya", "Ω", "\n", " ", "7", ".", "x" * 40]
    for _ in range(3000):
        text = "".join(drawn.choices(parts, k=drawn.randint(0, 14)))
        assert titles_original(text) == naive_titles(text), text


def test_matches_as_a_naive_reading_of_the_rules() -> None:
    drawn = random.Random(7)
    for _ in range(400):
        names = ["".join(drawn.choices("abé宇 -", k=drawn.randint(1, 9))) for _ in range(4)]
        recommended = {
            f"{drawn.choice(names)} - {drawn.choice(names)}" if drawn.random() < 0.6 else drawn.choice(names): 1
            for _ in range(drawn.randint(1, 5))
        }
        lines = [f"{drawn.choice(names)} - {''.join(drawn.choices('abcxyz', k=8))}" for _ in range(6)]
        assert first_original(lines, recommended) == naive_first(lines, recommended), (lines, recommended)


def test_a_match_is_under_five_edits_however_short_the_title() -> None:
    assert first_original(["aphex twin - xtaaaal"], {"aphex twin - xtal": 1}) == 1
    assert first_original(["aphex twin - xtalabcd"], {"aphex twin - xtal": 1}) == 1
    assert first_original(["aphex twin - xtalabcde"], {"aphex twin - xtal": 1}) == 0
    assert first_original(["a - b"], {"c - d": 1}) == 1
    assert first_original(["x - y", "宇多田 - first love"], {"宇多田ヒカル - first love": 1}) == 2
    assert first_original([], {"c - d": 1}) == 0


def test_a_creator_stands_before_the_first_dash() -> None:
    assert first_original(["the kenyan band - some long title"], {"enya": 1}) == 1
    assert first_original(["some long title - enya"], {"enya": 1}) == 0
    assert first_original(["trip-hop enya - a long title"], {"enya": 1}) == 0
    assert first_original(["enya - something long"], {"enya - only time": 1}) == 0


@pytest.mark.parametrize(
    ("response", "original", "fixed"),
    [
        ("A", None, 0),
        ("B", 1, 1),
        ("E", 4, 4),
        ("F", None, None),
        ("b", None, 1),
        ("", None, None),
        (" B", None, 1),
        (" B. x", 1, 1),
        ("A.", 0, 0),
        ("A. nujabes - feather", 0, 0),
        ("A nujabes, but B. enya", 1, 1),
        ("C) abba", 2, 2),
        ("(C) abba", None, 2),
        ("**D**", None, 3),
        ("Based on the mood, the answer is C", 1, 2),
        ("Dreamy pictures call for option A.", 3, 0),
        ("I would go with E. burial", 4, 4),
        ("B. or A.?", 1, None),
        ("It is between E. and A.", 0, None),
        ("Everything fits: A. nujabes B. enya C. abba", 4, None),
        ("Certainly! I recommend The XX - Intro.", 2, 3),
        ("Enya - Only Time", 4, 1),
        ("The answer is S.A. Corn", 0, None),
        ("A great choice would be abba's 'SOS'", None, 2),
        ("The sea is calm.\nThe mood is sad.\n\nD", None, 3),
        ("the choice is B. S.A. Corn", 0, 1),
        ("宇多田ヒカル", None, None),
        ("[B]", None, 1),
        ("Choice: D", 2, 3),
        ("]  Sure! Here is what I recommend:\n\nE. burial - archangel", 4, 4),
        ("Please choose a single item.\n\nRecommendation:\n\nD. the xx - intro\n\nWhy?", 3, 3),
        ("Sure! I recommend option A: Nujabes, whose mood is calm.", None, 0),
        ("Option C is sad. Option A is calm.", None, None),
        ("Among these I would pick B or C", None, None),
        ("I would pick A, B, or C.", 2, None),
        ("\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCDE", CHOICES, strict=True)), 0, None),
        (
            "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCDE", CHOICES, strict=True)) + "\nAnswer: D",
            0,
            3,
        ),
        (" ".join(f"{letter}. {choice}" for letter, choice in zip("ABCDE", CHOICES, strict=True)), 0, None),
        ("the answer is b", None, 1),
        ("The answer is (a).", None, 0),
        ("the answer is a good song", None, None),
        ("b. foo", None, 1),
        ("I think (d) fits", None, 3),
        ("So it is \\boxed{C}", None, 2),
        ("So it is $\\boxed{\\text{e}}$", None, 4),
    ],
)
def test_choices_by_both_rules(response: str, original: int | None, fixed: int | None) -> None:
    assert choice_original(response) == original
    assert choice_fixed(response, CHOICES) == fixed


@pytest.mark.parametrize(
    ("response", "fixed"),
    [
        ("C. S. Lewis - The Lion is the best fit.", 0),
        ("C.S. Lewis is the best fit.", None),
        ("I recommend E. M. Forster - Maurice.", 1),
        ("The answer is D. H. Lawrence, The Rainbow", 2),
        ("E. Nesbit - Five Children and It", 3),
        ("J. D. Salinger - Nine Stories", 4),
        ("A. C. S. Lewis - The Lion", 0),
        ("I recommend B. E.M. Forster - Maurice.", 1),
        ("C. DH Lawrence", 2),
        ("B. R. Ambedkar - Waiting", None),
    ],
)
def test_initials_of_names_are_no_labels(response: str, fixed: int | None) -> None:
    choices = [
        "c. s. lewis - the lion",
        "e. m. forster - maurice",
        "d. h. lawrence - the rainbow",
        "e. nesbit - five children and it",
        "j. d. salinger - nine stories",
    ]
    assert choice_fixed(response, choices) == fixed


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("1. **Enya** – *Only Time*", ("Enya", "Only Time")),
        ('* "Only Time" by Enya', ("Only Time", "Enya")),
        ('"Only Time" by Enya', None),
        ("Here are songs inspired by the sea", None),
        ("3: Artist: Enya — Title: Only Time", ("Enya", "Only Time")),
        ("**4.** Enya - Stand by Me", ("Enya", "Stand by Me")),
        ("#5. Enya - Only Time", ("Enya", "Only Time")),
        ("5 - Enya - Only Time", ("Enya", "Only Time")),
        ("- ", None),
        ("1984 - George Orwell", ("1984", "George Orwell")),
        ("1. " + "x" * 60 + " - " + "y" * 60, None),
    ],
)
def test_fixed_lines(line: str, parts: tuple[str, str] | None) -> None:
    assert titles_fixed(line) == ([parts] if parts else [])


def test_fixed_matches_by_similarity_of_both_sides_in_either_order() -> None:
    recommended = {"sigur rós - hoppípolla": 1, "stand by me": 1, "ray bradbury": 1, "the monk by m. lewis": 1}
    assert first_fixed([("Sigur Ros", "Hoppipolla (Remastered)")], recommended) == 1
    assert first_fixed([("Hoppípolla", "SIGUR RÓS")], recommended) == 1
    assert first_fixed([("Sigur Ros", "Takk"), ("Ben E. King", "Stand By Me")], recommended) == 2
    assert first_fixed([("Ray Bradbury", "Dandelion Wine")], recommended) == 1
    assert first_fixed([("M Lewis", "The Monk")], recommended) == 1
    assert first_fixed([("a", "b")], {"c - d": 1}) == 0
    assert first_fixed([("the kenyan band", "x")], {"enya": 1}) == 0


def test_normal_keeps_other_scripts_and_names_of_signs() -> None:
    assert normal("Beyoncé & JAY-Z (feat. X)") == "beyonce and jay z"
    assert normal("!!!") == "!!!"
    assert normal("हिन्दी") != normal("हन्द")
    assert normal("(untitled)") == "untitled"


def test_scores_and_what_is_passed_over(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    titles = make_outputs(
        tmp_path / "outputs",
        "rec_title",
        {"r1": "1. a - bcdefgh\n2. Aphex Twin - Xtal", "r2": "nothing of use", "other": "the xx - intro"},
    )
    score = Scorer(data).score(titles, "original")
    assert score.figures == {"hit@1": 0, "hit@10": 1 / 3, "hit@20": 1 / 3}
    assert (score.n, score.unparsable, score.missing, score.unknown, score.repeated) == (3, 1, 1, 1, 0)
    choices = make_outputs(tmp_path / "outputs", "rec_choice", {"r1": "B", "r2": None, "r3": "A"}, gz=False)
    assert Scorer(data / "music").score(choices, "original").figures == {"accuracy": 1 / 3}
    fixed = Scorer(data).score(choices, "fixed")
    assert fixed.figures == {"accuracy": 2 / 3}
    assert (fixed.unparsable, fixed.missing) == (1, 0)
    assert fixed.json()["accuracy_ci95"][0] < 2 / 3 < fixed.json()["accuracy_ci95"][1]


def test_a_hit_below_the_twentieth_line_is_none(tmp_path: Path) -> None:
    lines = [f"{n}. nobody at all - {'z' * 20}" for n in range(1, 21)]
    hit = "99. Burial - Archangel"
    answers = {"r1": "\n".join([*lines, "enya - x"]), "r2": "\n".join([*lines[:19], hit]), "r3": "\n".join(lines)}
    path = make_outputs(tmp_path / "o", "rec_title", answers)
    figures = Scorer(make_data(tmp_path / "data")).score(path, "original").figures
    assert figures == {"hit@1": 0, "hit@10": 0, "hit@20": 1 / 3}


def test_later_answers_replace_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "m__music__image__rec_choice.jsonl"
    path.write_text('{"submission_id": "r1", "response": "E"}\n\n{"submission_id": "r1", "response": "B"}\n', "utf-8")
    score = Scorer(make_data(tmp_path / "data")).score(path, "original")
    assert (score.figures["accuracy"], score.repeated, score.missing) == (1 / 3, 1, 2)


def test_runs_of_scores_have_the_same_hits(tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="the extra `eval` is not installed")
    from synth.recommender.ranking_metrics import rank_columns

    data = make_data(tmp_path / "data")
    domain = Domain("music", data / "music")
    answers = {"r1": "a - bcdefgh\nAphex Twin - Xtal\nenya - x", "r2": "Burial - Archangel", "r3": ""}
    score = Scorer(data).score(make_outputs(tmp_path / "o", "rec_title", answers), "original")
    run, queries = as_run(score, domain.recs(), {})
    found = rank_columns(run, queries, ["hit@1", "hit@10"])
    assert [column.value.mean() for column in found.values()] == [1 / 3, 2 / 3]
    # All lines are there, those after the match too: the run ranks as much as was listed.
    listed = {"line 1": -1.0, "sigur rós - hoppípolla": -2.0, "line 3": -3.0}
    assert run.scores == {"r1": listed, "r2": {"burial - archangel": -1.0}, "r3": {}}
    choices = make_outputs(tmp_path / "o", "rec_choice", {"r1": "B", "r2": "?", "r3": "C. my mail is me@here.org"})
    run, queries = as_run(Scorer(data).score(choices, "original"), domain.recs(), domain.requests())
    assert run.scores == {"r1": {"enya - only time": 1.0}, "r2": {}, "r3": {"abba - sos": 1.0}}
    assert rank_columns(run, queries, ["hit@1"])["hit@1"].value.tolist() == [1, 0, 0]
    assert [said.valid for said in run.responses.values()] == [True, False, True]
    assert "[email]" in run.responses["r3"].response


def test_data_are_read_and_masked(tmp_path: Path) -> None:
    (domain,) = domains(make_data(tmp_path / "data"))
    request = domain.requests()["r1"]
    assert request.full == "feels like r1, by u/[handle] and [handle]"
    assert len(request.images) == 4
    assert read_descriptions(domain.find_descriptions("ofa"))["r2"] == tuple(f"r2 seen {n}" for n in range(4))
    assert modality_of(domain.find_descriptions("descriptions_ofa.jsonl")) == "OFA-huge"
    assert domains(tmp_path / "data" / "music")[0].name == "music"
    assert domain.items() == sorted(domain.items())


def test_negatives(tmp_path: Path) -> None:
    items = [f"c{n} - t{n}" for n in range(40)]
    recommended = {"c1 - t1": 2, "c2 - t2": 5, "c3 - t3": 5, "gone - since": 1}
    assert best_of(recommended) == "c2 - t2"
    drawn = [with_choices(Request(f"q{n}", "", "", ()), recommended, items, 3) for n in range(600)]
    for request in drawn:
        assert len(set(request.choices)) == 5
        assert request.choices[request.true_index] == "c2 - t2"
        assert not set(request.choices) & ({*recommended} - {"c2 - t2"})
    places = Counter(request.true_index for request in drawn)
    assert all(80 < places[place] < 165 for place in range(5))
    others = Counter(choice for request in drawn for choice in request.choices if choice != "c2 - t2")
    assert len(others) == 37
    assert max(others.values()) < 110
    assert drawn[0] == with_choices(Request("q0", "", "", ()), recommended, items, 3)
    assert drawn[0] != with_choices(Request("q0", "", "", ()), recommended, items, 4)
    own = Request("q", "", "", (), ("a", "b"), 1)
    assert with_choices(own, recommended, items) is own
    with pytest.raises(SynthError, match="3 were not recommended"):
        with_choices(Request("q", "", "", ()), recommended, items[:6])
    assert len(with_choices(Request("q", "", "", ()), recommended, items[:7]).choices) == 5


def test_negatives_do_not_depend_on_hashes(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    code = (
        "from pathlib import Path; import sys; from dataclasses import replace\n"
        "from synth.recommender.imagery.data import Domain\n"
        "from synth.recommender.imagery.negatives import with_choices\n"
        "d = Domain('music', Path(sys.argv[1])); recs = d.recs()\n"
        "print([with_choices(replace(r, choices=()), recs[r.id], d.items()).choices for r in d.requests().values()])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(data / "music")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            cwd=Path(__file__).parent.parent,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "enya" in said.pop()


def test_names_of_outputs(tmp_path: Path) -> None:
    output = describe_output(Path("a/gpt__4__music__descr__x__rec_title.jsonl.gz"))
    assert (output.model, output.domain, output.modality) in {
        ("gpt__4__music", "descr", "x"),
        ("gpt__4", "music", "descr__x"),
    }
    path = output_path(tmp_path, "org/m__x: y", "music", "image", "rec_choice")
    assert path.name == "org-m_x--y__music__image__rec_choice.jsonl.gz"
    assert describe_output(path).model == "org-m_x--y"
    write_outputs(path, {"r1": "é\n", "r2": ""})
    first = path.read_bytes()
    assert read_outputs(path) == ({"r1": "é\n", "r2": ""}, 0)
    write_outputs(path, {"r1": "é\n", "r2": ""})
    assert path.read_bytes() == first


def failing(*words: object) -> str:
    result = CliRunner().invoke(app, ["eval", "imagery", *map(str, words)])
    assert isinstance(result.exception, SynthError), result.output
    assert result.exception.exit_code == 2
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("recs.json", "[]", "what was recommended"),
        ("recs.json", "{", "is no JSON"),
        ("recs.json", '{"r1": {}}', "nothing was recommended for r1"),
        ("recs.json", '{"r1": {"a": "b"}}', "upvotes of r1"),
        ("recs.json", '{"r1": {" ": 1}}', "a title for r1 is empty"),
        (
            "requests.jsonl",
            '{"submission_id": "r1", "title": "x", "images": "foo.jpg"}\n',
            "images are no list of texts",
        ),
        (
            "requests.jsonl",
            '{"submission_id": "r1", "title": "x", "images": [], "choices": "abc", "true_index": 0}\n',
            "choices are no list of texts",
        ),
        ("requests.jsonl", None, "There is no"),
        ("requests.jsonl", "", "is empty"),
        ("requests.jsonl", '{"title": "x"}\n', "line 1 is not a request: no 'images'"),
        ("requests.jsonl", "{\n", "line 1 is not a request"),
        (
            "requests.jsonl",
            '{"submission_id": "r1", "title": "x", "images": [], "choices": ["a"], "true_index": 3}\n',
            "true_index names none",
        ),
        ("requests.jsonl", '{"submission_id": "r1", "title": "x", "images": []}\n', "no choices for 3 requests"),
        ("requests.jsonl", '{"submission_id": "r", "title": "", "images": []}\n' * 2, "line 2: r is there twice"),
    ],
)
def test_bad_data_is_one_line(tmp_path: Path, file: str, text: str | None, said: str) -> None:
    data = make_data(tmp_path / "data", **{file.replace(".", "__"): text})
    outputs = make_outputs(tmp_path / "o", "rec_choice", {"r1": "B"})
    assert said in failing("score", "--data", data, "--outputs", outputs)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m__music__x__rec_title.jsonl", b"", "has no answers"),
        ("m__music__x__rec_title.jsonl", b'{"submission_id": "r1", "rec_title": "x"}\n', "it has no 'response'"),
        ("m__music__x__rec_title.jsonl", b'{"id": "r1", "response": "x"}\n', "it has no 'submission_id'"),
        ("m__music__x__rec_title.jsonl", b'{"submission_id": "r1", "response": ["x"]}\n', "is no text"),
        ("m__music__x__rec_title.jsonl", b'{"submission_id": "zz", "response": "x"}\n', "about other requests"),
        ("m__music__x__rec_title.jsonl", b'["x"]\n', "no JSON object"),
        ("m__music__x__rec_title.jsonl", b"\xff\xfe", "no text in UTF-8"),
        ("m__music__x__rec_title.jsonl.gz", b"no gzip", "damaged gzip"),
        ("m__music__x__rec_title.jsonl.gz", gzip.compress(b'{"submission_id": "r1"}' * 50)[:-12], "damaged gzip"),
        ("m__films__x__rec_title.jsonl", b'{"submission_id": "r1", "response": "x"}\n', "has no such folder"),
        ("m__music__x__description.jsonl", b"{}\n", "does not say what it answers"),
        ("m__music__x__rec_other.jsonl", b"{}\n", "does not say what it answers"),
        ("rec_title.jsonl", b"{}\n", "does not say what it answers"),
    ],
)
def test_bad_outputs_are_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    data = make_data(tmp_path / "data")
    path = tmp_path / name
    path.write_bytes(content)
    assert said in failing("score", "--data", data, "--outputs", path)


def test_nothing_to_score_is_one_line(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    assert "nothing to score" in failing("score", "--data", data)
    assert "There is no" in failing("score", "--data", data, "--outputs", tmp_path / "m__music__x__rec_title.jsonl")
    assert "holds no outputs" in failing("score", "--data", data, "--outputs", data)
    assert "holds no data" in failing("score", "--data", tmp_path / "none", "--outputs", data)


def test_score_prints_an_object_a_file(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    one = make_outputs(tmp_path / "o", "rec_title", {"r1": "enya - x", "zz": ""})
    other = make_outputs(tmp_path / "o", "rec_choice", dict.fromkeys(RECS, "B"))
    for files in (["--outputs", one, other], ["--outputs", one, "--outputs", other], ["--outputs", tmp_path / "o"]):
        words = ["eval", "imagery", "score", "--data", data, *files, "--mode", "original", "--json"]
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
        rows = {row["task"]: row for row in map(json.loads, result.stdout.splitlines())}
        assert {"n", "hit@1", "hit@10", "hit@20", "unparsable"} <= rows["rec_title"].keys()
        assert rows["rec_choice"]["accuracy"] == 1 / 3
        assert "1 answers are to requests that the data have not" in result.stderr
        assert "2 requests have no answer" in result.stderr
    shown = CliRunner().invoke(app, ["eval", "imagery", "score", "--data", str(data), str(one), "--markdown"])
    assert "| m | music | descriptions, OFA-huge | original |" in shown.stdout


def test_stored_answers_can_be_compared(tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="the extra `eval` is not installed")
    data = make_data(tmp_path / "data")
    for name, answers in (("m", dict.fromkeys(RECS, "B")), ("n", {"r1": "B", "r2": "A A", "r3": "Answer: A"})):
        make_outputs(tmp_path / "o", "rec_choice", answers, f"{name}__music__none")
    words = ["score", "--data", data, "--outputs", tmp_path / "o", "--mode", "fixed", "--out", tmp_path / "runs"]
    assert CliRunner().invoke(app, ["eval", "imagery", *map(str, words)]).exit_code == 0
    runs = [tmp_path / "runs" / f"{name}__music__none__rec_choice" for name in "mn"]
    compared = CliRunner().invoke(app, ["eval", "compare", *map(str, runs), "--format", "json", "--quiet"])
    assert compared.exit_code == 0, compared.output
    found = json.loads(compared.stdout)
    values = {system: figure["value"] for system, figure in found["figures"]["hit@1"].items()}
    assert values == {"m (none)": 1 / 3, "n (none)": 2 / 3}
    assert read_run(runs[0])[0].facts["family"] == "zero-shot, words"
    assert read_run(runs[0])[0].facts["mode"] == "fixed"
    make_outputs(tmp_path / "p", "rec_choice", dict.fromkeys(RECS, "C"), "m__music__none")
    said = failing(*words, "--outputs", tmp_path / "p")
    assert "Two files are named m__music__none__rec_choice.jsonl.gz" in said
    (tmp_path / "f").write_text("")
    assert "cannot be a folder" in failing(*words[:-1], tmp_path / "f")


def test_choices_that_are_named_titles_are_noticed(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    wrong = make_outputs(tmp_path / "o", "rec_title", {"r1": "B. enya - x", "r2": "A", "r3": "(C) abba - sos"})
    right = make_outputs(tmp_path / "q", "rec_title", {"r1": "1. enya - x", "r2": "B - x", "r3": "abba - sos"})
    for path, noticed in ((wrong, True), (right, False)):
        result = CliRunner().invoke(app, ["eval", "imagery", "score", "--data", str(data), "--outputs", str(path)])
        assert ("begin as choices do" in result.stderr) == noticed


PAPER = {
    "gpt-3.5-turbo-0125__music__OFA-huge__rec_title": (0.04648241206030151, 0.157035175879397, 0.19472361809045227),
    "gpt-3.5-turbo-0125__music__OFA-huge__rec_choice": (0.457286432160804,),
    "vicuna-13b-v1.5__books__OFA-huge__rec_title": (0.0013605442176870747, 0.007482993197278911, 0.01020408163265306),
    "vicuna-13b-v1.5__books__OFA-huge__rec_choice": (0.2897959183673469,),
}


@pytest.mark.real_data
@pytest.mark.skipif("SYNTH_TEST_DATA" not in os.environ, reason="SYNTH_TEST_DATA is not set")
@pytest.mark.parametrize("name", PAPER)
def test_the_papers_figures_to_the_last_digit(name: str) -> None:
    data = Path(os.environ["SYNTH_TEST_DATA"]) / "imagery"
    scorer = Scorer(data)
    path = data / "outputs" / f"{name}.jsonl.gz"
    scorer.score(path, "original")
    start = time.process_time()
    score = scorer.score(path, "original")
    assert time.process_time() - start < 5
    assert tuple(score.figures.values()) == PAPER[name]
    answers, _ = read_outputs(path)
    drawn = random.Random(1)
    recs = Domain(score.output.domain, data / score.output.domain).recs()
    for request in drawn.sample(sorted(recs), 60):
        lines = titles_original(answers[request])
        assert lines == naive_titles(answers[request])
        if score.output.task == "rec_title" and lines:
            few = dict(list(recs[request].items())[:12])
            assert first_original(lines[:20], few) == naive_first(lines[:20], few)


@pytest.mark.real_data
@pytest.mark.skipif("SYNTH_TEST_DATA" not in os.environ, reason="SYNTH_TEST_DATA is not set")
def test_the_published_data_are_read_whole() -> None:
    data = Path(os.environ["SYNTH_TEST_DATA"]) / "imagery"
    for domain, count in zip(domains(data), (1470, 796), strict=True):
        recs, requests, items = domain.recs(), domain.requests(), set(domain.items())
        assert recs.keys() == requests.keys()
        assert len(recs) == count
        for name, request in requests.items():
            assert request.choices[request.true_index] == best_of(recs[name])
            assert set(request.choices) <= items
        for described in domain.folder.glob("descriptions_*.jsonl"):
            assert read_descriptions(described).keys() == recs.keys()
