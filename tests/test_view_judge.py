"""The pages on which people judge: what they save, what they hide, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from synth.traces.judgements import ASPECTS, FILE, HumanReply, PairChoice, Verdict, latest
from synth.traces.run import RunFolder
from synth.view.app import make_app
from synth.view.run import ViewedRun
from tests.fixtures import make_catalogue, make_conversation, make_run

HTMX = {"HX-Request": "true"}


class Person:
    """Somebody at a browser."""

    def __init__(self, client: TestClient, name: str = "") -> None:
        self.client = client
        self.headers = {"Cookie": f"synth-annotator={quote(name)}"} if name else {}
        self.token = re.search(r'data-token="([^"]+)"', client.get("/judge").text)[1]  # type: ignore[index]

    def get(self, address: str, **headers: str) -> str:
        answer = self.client.get(address, headers={**self.headers, **headers})
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, address: str, form: dict[str, str], **headers: str) -> tuple[int, str]:
        own = {"x-synth-token": self.token, "content-type": "application/x-www-form-urlencoded", **HTMX}
        body = "&".join(f"{name}={quote(value)}" for name, value in form.items())
        answer = self.client.post(
            address, content=body, headers={**self.headers, **own, **headers}, follow_redirects=False
        )
        return answer.status_code, answer.text


@contextmanager
def served(*folders: Path, against: Path | None = None) -> Iterator[TestClient]:
    with ExitStack() as stack:
        runs = [ViewedRun(folder, number) for number, folder in enumerate(folders)]
        for run in runs:
            stack.callback(run.close)
            run.index.update()
        yield stack.enter_context(TestClient(make_app(runs, against), base_url="http://127.0.0.1"))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run")


@pytest.fixture
def client(run: RunFolder) -> Iterator[TestClient]:
    with served(run.path) as test_client:
        yield test_client


@pytest.fixture
def wren(client: TestClient) -> Person:
    return Person(client, "wren")


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found
    return unescape(found[1])


def sides(text: str) -> list[list[str]]:
    """What was said in A and in B."""
    articles = re.findall(r'<article class="panel side" id="side-.*?</article>', text, re.DOTALL)
    return [[unescape(said) for said in re.findall(r'<p dir="auto">(.*?)</p>', one, re.DOTALL)] for one in articles]


def ballot(text: str, **choices: str) -> dict[str, str]:
    fixed = {name: hidden(text, name) for name in ("of", "sample", "pair", "began")}
    return {**fixed, **dict.fromkeys(ASPECTS, "tie"), **choices}


# ---- who judges


def test_a_pseudonym_is_kept_in_a_cookie_and_can_be_changed(client: TestClient) -> None:
    nobody = Person(client)
    assert 'id="annotator-name"' in nobody.get("/judge")
    answer = client.post(
        "/judge/annotator",
        content="annotator=Grey+Heron",
        headers={"x-synth-token": nobody.token, **HTMX},
    )
    assert answer.headers["HX-Refresh"] == "true"
    cookie = answer.headers["set-cookie"]
    assert "Grey%20Heron" in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert '<b id="annotator" dir="auto">Grey Heron</b>' in client.get("/judge").text
    client.post("/judge/annotator", content="forget=1", headers={"x-synth-token": nobody.token, **HTMX})
    assert 'id="annotator-name"' in client.get("/judge").text


def test_names_that_are_none_are_refused(client: TestClient) -> None:
    nobody = Person(client)
    for name, why in (("nina@example.org", "no e-mail address"), ("", "Choose a pseudonym"), ("<b>x</b>", "letters")):
        status, text = nobody.post("/judge/annotator", {"annotator": name})
        assert status == 422
        assert why in text
    forged = Person(client, "a@b.example")
    assert 'id="annotator-name"' in forged.get("/judge")


def test_nothing_is_written_without_the_token(run: RunFolder, wren: Person) -> None:
    for address in ("/judge/annotator", "/judge/verdict/c000001", "/judge/pairs", "/judge/replies"):
        answer = wren.client.post(address, content="verdict=good", headers=wren.headers)
        assert answer.status_code == 403
        assert wren.post(address, {"verdict": "good"}, **{"x-synth-token": "guess"})[0] == 403
    assert not (run.path / FILE).exists()


# ---- verdicts


def test_a_verdict_and_a_note(run: RunFolder, wren: Person) -> None:
    status, text = wren.post("/judge/verdict/c000001", {"verdict": "good", "note": " Warm,\r\n and <b>short</b>. "})
    assert status == 200
    assert 'id="saved"' in text
    assert "/c/c000002" in text
    (said,) = latest(run.path)
    assert isinstance(said, Verdict)
    assert (said.annotator, said.verdict, said.note) == ("wren", "good", "Warm,\n and <b>short</b>.")
    form = wren.get("/judge/verdict/c000001", **HTMX)
    assert "<html" not in form
    assert re.search(r'value="good" id="verdict-good" checked', form)
    assert "&lt;b&gt;short&lt;/b&gt;" in form
    assert "<html" in wren.get("/judge/verdict/c000001")


def test_the_same_again_is_not_written_twice_and_a_verdict_can_be_taken_back(run: RunFolder, wren: Person) -> None:
    wren.post("/judge/verdict/c000001", {"verdict": "", "note": ""})
    assert not (run.path / FILE).exists()
    for word in ("bad", "bad", "good", ""):
        assert wren.post("/judge/verdict/c000001", {"verdict": word, "note": ""})[0] == 200
    assert len((run.path / FILE).read_bytes().splitlines()) == 3
    assert "data-row" not in wren.get("/?judged=good")


def test_the_list_is_filtered_by_verdicts(wren: Person) -> None:
    for number in (3, 5):
        wren.post(f"/judge/verdict/c{number:06d}", {"verdict": "bad", "note": ""})
    listed = re.findall(r'data-row="(\w+)"', wren.get("/?judged=bad"))
    assert listed == ["c000003", "c000005"]
    assert "☑ bad" in wren.get("/?judged=bad")
    assert 'href="/judge/results"' in wren.get("/run")


def test_the_next_one_is_the_next_that_i_have_not_judged(client: TestClient) -> None:
    wren, jay = Person(client, "wren"), Person(client, "jay")
    wren.post("/judge/verdict/c000002", {"verdict": "good", "note": ""})
    assert "/c/c000003?" in wren.post("/judge/verdict/c000001", {"verdict": "good", "note": ""})[1]
    assert "/c/c000002?" in jay.post("/judge/verdict/c000001", {"verdict": "good", "note": ""})[1]
    assert "/c/c000000?" in wren.post("/judge/verdict/c000039", {"verdict": "good", "note": ""})[1]


@pytest.mark.parametrize(
    ("address", "form", "why"),
    [
        ("/judge/verdict/c000001", {"verdict": "fine"}, "A verdict is good"),
        ("/judge/verdict/c000001", {"verdict": "good", "note": "x" * 2_001}, "2,001 characters"),
        ("/judge/verdict/c000777", {"verdict": "good"}, "no conversation"),
        ("/judge/verdict/c000101", {"verdict": "good"}, "no conversation that could be judged"),
        ("/judge/verdict/..%2Fx", {"verdict": "good"}, ""),
    ],
)
def test_what_cannot_be_saved_is_said(
    run: RunFolder, wren: Person, address: str, form: dict[str, str], why: str
) -> None:
    status, text = wren.post(address, form)
    assert status in (404, 422)
    assert why in text
    assert not (run.path / FILE).exists()


def test_without_a_pseudonym_or_a_writable_folder_nothing_is_saved(run: RunFolder, client: TestClient) -> None:
    status, text = Person(client).post("/judge/verdict/c000001", {"verdict": "good"})
    assert (status, "pseudonym" in text) == (422, True)
    (run.path / FILE).mkdir()
    status, text = Person(client, "wren").post("/judge/verdict/c000001", {"verdict": "good"})
    assert (status, "cannot be written" in text) == (422, True)


def test_too_much_is_refused_before_it_is_read(wren: Person) -> None:
    assert wren.post("/judge/verdict/c000001", {"verdict": "good", "note": "x" * 200_000}) == (
        422,
        "That is too much text.",
    )


def test_the_conversation_asks_for_a_verdict(wren: Person) -> None:
    assert 'hx-get="/judge/verdict/c000001"' in wren.get("/c/c000001")
    assert "/judge/verdict" not in wren.get("/c/c000101")


# ---- pairs


def test_a_pair_is_blind_and_what_is_chosen_is_what_was_seen(run: RunFolder, client: TestClient) -> None:
    lefts = set()
    for name in ("wren", "jay", "heron", "owl", "lark", "swift"):
        person = Person(client, name)
        page = person.get("/judge/pairs?of=drafts")
        judged = page[page.index('<section id="judge"') :]
        for telling in ("c0000", "/images/", run.path.name + "/", "draft 0 ", "version"):
            assert telling not in judged, telling
        shown = sides(page)
        assert len(shown) == 2
        assert person.post("/judge/pairs", ballot(page, logical="left", natural="right"))[0] == 200
        record = next(r for r in latest(run.path) if r.annotator == name)
        assert isinstance(record, PairChoice)
        final_on_the_left = "draft 0" not in shown[0]
        assert (record.left == "a") is final_on_the_left
        assert record.a.version == "final"
        assert record.choices == {
            "logical": record.left,
            "informative": "tie",
            "natural": "b" if record.left == "a" else "a",
            "coherent": "tie",
        }
        lefts.add(record.left)
    assert lefts == {"a", "b"}


def test_everybody_gets_the_same_pairs_and_a_larger_sample_begins_with_the_smaller(client: TestClient) -> None:
    def keys(name: str, sample: int) -> list[str]:
        person = Person(client, name)
        return [
            hidden(person.get(f"/judge/pairs?sample={sample}&pair={number}"), "pair") for number in range(1, sample + 1)
        ]

    assert keys("wren", 4) == keys("jay", 6)[:4]
    assert len(set(keys("jay", 6))) == 6


def test_going_through_all_pairs(run: RunFolder, wren: Person) -> None:
    page = wren.get("/judge/pairs?sample=3&pair=2")
    for done in range(1, 4):
        status, page = wren.post("/judge/pairs", ballot(page))
        assert status == 200
        assert f'<b id="done">{done}</b>' in page
    assert "All 3 pairs are judged" in page
    assert "pair=1" in page
    assert "All 3 pairs" in wren.get("/judge/pairs?sample=3")
    again = wren.get("/judge/pairs?sample=3&pair=1")
    assert again.count("checked") == 4
    wren.post("/judge/pairs", ballot(again, logical="left"))
    assert len(latest(run.path)) == 3
    assert len((run.path / FILE).read_bytes().splitlines()) == 4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"natural": "", "coherent": "C"}, "tie for: natural, coherent"),
        ({"pair": "0123456789abcdef"}, "not in the sample"),
        ({"of": "runs"}, "nothing called"),
    ],
)
def test_a_ballot_that_cannot_be_counted(run: RunFolder, wren: Person, changes: dict[str, str], why: str) -> None:
    page = wren.get("/judge/pairs")
    status, text = wren.post("/judge/pairs", {**ballot(page), **changes})
    assert status == 422
    assert why in text
    assert not (run.path / FILE).exists()


@pytest.mark.parametrize("began", ["nan", "-inf", "1e400", "yesterday", "0"])
def test_times_that_are_none_do_no_harm(run: RunFolder, wren: Person, began: str) -> None:
    page = wren.get("/judge/pairs")
    assert wren.post("/judge/pairs", {**ballot(page), "began": began})[0] == 200
    (record,) = latest(run.path)
    assert isinstance(record, PairChoice)
    assert 0 <= record.seconds <= 86_400


def test_addresses_that_make_no_sense(wren: Person) -> None:
    for address in ("/judge/pairs?sample=x&pair=-1", "/judge/pairs?sample=0&pair=99999999999", "/judge/replies?task=x"):
        assert "Choose a pseudonym" not in wren.get(address)
    for address in ("/judge/pairs?of=<b>", "/judge/replies?act=sing", "/judge/picture/..%2f..%2fconfig.toml"):
        answer = wren.client.get(address, headers=wren.headers)
        assert answer.status_code == 404
        assert "<b>" not in answer.text.split("<main>")[1]


def test_two_runs_are_paired_by_what_is_wanted(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags")
    made = [make_conversation(n, catalogue) for n in range(12)]
    make_run(tmp_path / "one", made, catalogue)
    greeting = made[0].turns[0].model_copy(update={"text": "Good day."})
    other = [talk.model_copy(update={"turns": (greeting, *talk.turns[1:])}) for talk in made[:8]]
    other.append(made[9])  # says the same in both runs
    make_run(tmp_path / "other", reversed(other), catalogue)
    with served(tmp_path / "one", tmp_path / "other") as client:
        wren = Person(client, "wren")
        page = wren.get("/judge/pairs")
        assert '<b id="done">0</b> of <b>8</b>' in page
        shown = sides(page)
        assert shown[0][1:] == shown[1][1:]
        assert {shown[0][0], shown[1][0]} == {"Hello! What can I find for you?", "Good day."}
        assert "About the customer" in page
        assert "/judge/picture/" in page
        image = re.search(r'src="(/judge/picture/\w+)"', page)
        assert image
        assert client.get(image[1]).headers["content-type"].startswith("image/")
        wren.post("/judge/pairs", ballot(page, logical="left"))
    (record,) = latest(tmp_path / "one")
    assert isinstance(record, PairChoice)
    assert (record.a.source, record.b.source) == ("one", "other")
    assert record.a.conversation == record.b.conversation


def test_a_run_against_anybodys_conversations(tmp_path: Path, run: RunFolder) -> None:
    said = [{"role": "system", "content": "Sell!"}, {"role": "assistant", "content": "What may it be?"}]
    said.append({"role": "user", "content": [{"type": "text", "text": "A <i>bag</i>."}]})  # type: ignore[dict-item]
    rows = [{"id": f"x{n}", "messages": said, "metadata": {"target": "b3"}} for n in range(2)]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with served(run.path, against=tmp_path / "theirs.jsonl") as client:
        wren = Person(client, "wren")
        page = wren.get("/judge/pairs?of=file")
        assert '<b id="done">0</b> of <b>2</b>' in page
        assert "A &lt;i&gt;bag&lt;/i&gt;." in page
        assert "Sell!" not in page
        versus = page[page.index('class="versus"') :]
        assert "/judge/picture/" not in versus  # they have none: so neither side shows any
        assert "Bag number" not in versus
        assert "theirs" not in versus
        assert wren.post("/judge/pairs", ballot(page, natural="left"))[0] == 200
        assert "theirs.jsonl" in wren.get("/judge/results")


def test_a_run_that_has_just_begun(run: RunFolder) -> None:
    (run.path / "conversations.jsonl").unlink()
    with served(run.path) as client:
        wren = Person(client, "wren")
        assert "There is nothing to compare" in wren.get("/judge/pairs")
        assert "No conversation of this run" in wren.get("/judge/replies")
        assert "No conversation yet" in wren.get("/judge")


# ---- replies


def test_replies_show_what_the_agent_saw_and_no_more(wren: Person) -> None:
    assistant = wren.get("/judge/replies?act=recommend")
    user = wren.get("/judge/replies?act=reject")
    for secret in ("She travels by train", "A trip by train.", "You are <span"):
        assert secret not in assistant
    assert "Recommend this product" in assistant
    assert "This one is roomy." not in assistant[: assistant.index('id="reply"')] or "Then this one." not in assistant
    assert "Turn the product down" in user
    assert "A trip by train." in user
    assert "What you have in mind" in user
    assert "Too pale" not in user
    assert "No conversation of this run has such a turn" in wren.get("/judge/replies?act=chit_chat")


def test_a_reply_is_saved_for_its_turn(run: RunFolder, wren: Person) -> None:
    page = wren.get("/judge/replies?act=reject&sample=2")
    form = {name: hidden(page, name) for name in ("key", "act", "sample")}
    status, text = wren.post("/judge/replies", {**form, "text": "  "})
    assert (status, "no text yet" in text) == (422, True)
    status, text = wren.post("/judge/replies", {**form, "text": "x" * 4_001})
    assert (status, "4,001 characters" in text) == (422, True)
    status, text = wren.post("/judge/replies", {**form, "key": "c000001-77", "text": "No."})
    assert (status, "not in the sample" in text) == (422, True)
    assert not (run.path / FILE).exists()
    status, page = wren.post("/judge/replies", {**form, "text": "Too small for my <laptop>."})
    assert status == 200
    assert '<b id="done">1</b> of <b>2</b>' in page
    (reply,) = latest(run.path)
    assert isinstance(reply, HumanReply)
    assert (f"{reply.conversation}-{reply.turn}", reply.act) == (form["key"], "reject")
    assert "my &lt;laptop&gt;." in wren.get("/judge/replies?act=reject&sample=2&task=1")
    wren.post("/judge/replies", {**form, "key": hidden(page, "key"), "text": "No."})
    assert "All 2 are written" in wren.get("/judge/replies?act=reject&sample=2")


# ---- results


def test_results_as_a_page_json_and_csv(client: TestClient) -> None:
    assert "Nobody has judged this run yet" in Person(client).get("/judge/results")
    for name, word in (("wren", "good"), ("jay", "good"), ("owl", "bad")):
        person = Person(client, name)
        for number in range(4):
            note = "=1+1" if name == "owl" else ""
            person.post(f"/judge/verdict/c{number:06d}", {"verdict": word if number else "good", "note": note})
        for pair in range(1, 6):
            page = person.get(f"/judge/pairs?pair={pair}")
            # The one with the final text is more natural, always.
            person.post("/judge/pairs", ballot(page, natural="right" if "draft 0" in sides(page)[0] else "left"))
    page = Person(client).get("/judge/results")
    assert "4 of 40 conversations judged" in page
    assert '<table class="aspects">' in page
    assert "0.062" in page  # five of five: the sign test cannot say more
    found = json.loads(client.get("/judge/results.json").text)
    assert found["verdicts"]["conversations"] == {"good": 4, "unsure": 0, "bad": 0}
    (comparison,) = found["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["pairs"], comparison["judgements"]) == (
        "run",
        "run, drafts",
        5,
        15,
    )
    natural = comparison["aspects"][2]
    assert natural["pairs"] == {"a": 5, "tie": 0, "b": 0}
    assert natural["p"] == pytest.approx(2 / 32)
    assert natural["agreement"]["fleiss"] is None
    table = list(csv.DictReader(io.StringIO(client.get("/judge/results.csv").text)))
    assert len(table) == 12 + 15 * 4
    assert {row["text"] for row in table if row["annotator"] == "owl" and row["kind"] == "verdict"} == {"'=1+1"}


def test_pages_are_small_and_have_no_script_or_style_of_their_own(wren: Person) -> None:
    wren.post("/judge/verdict/c000001", {"verdict": "good", "note": "x" * 2_000})
    wren.post("/judge/pairs", ballot(wren.get("/judge/pairs")))
    for address in ("/judge", "/judge/pairs", "/judge/replies", "/judge/results", "/judge/verdict/c000001"):
        answer = wren.client.get(address, headers=wren.headers)
        assert len(answer.content) < 100_000
        assert "style=" not in answer.text
        assert not re.search(r"\son\w+=", answer.text)
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", answer.text))
        assert answer.headers["cache-control"] == "no-store"
