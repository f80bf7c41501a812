"""The list's page: what it shows, what its links lead to, and that nothing of a run is markup in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from synth.corpora.records import Conversation
from synth.traces.run import RunFolder
from synth.view.app import STATIC, make_app
from synth.view.run import ViewedRun
from tests.fixtures import make_catalogue, make_conversation, make_run

HTMX = {"HX-Request": "true"}


@contextmanager
def client(*folders: Path) -> Iterator[TestClient]:
    runs = [ViewedRun(folder, number) for number, folder in enumerate(folders)]
    try:
        for run in runs:
            run.index.update()
        with TestClient(make_app(runs), base_url="http://127.0.0.1") as test_client:
            yield test_client
    finally:
        for run in runs:
            run.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[TestClient]:
    catalogue = make_catalogue(tmp_path / "bags")
    conversations: list[Conversation] = [
        make_conversation(n, catalogue, ("hit", "fit", "hit", "forced")[n % 4]) for n in range(60)
    ]
    evil = conversations[0]
    turn = evil.turns[1].model_copy(update={"text": "<script>alert('x')</script> a bag & <img src=x onerror=y>"})
    conversations[0] = evil.model_copy(update={"turns": (evil.turns[0], turn, *evil.turns[2:])})
    make_run(tmp_path / "run", conversations, catalogue)
    with client(tmp_path / "run") as test_client:
        yield test_client


def rows(text: str) -> list[str]:
    return re.findall(r'data-row="(\w+)"', text)


def test_shows_the_first_page(page: TestClient) -> None:
    answer = page.get("/")
    assert answer.status_code == 200
    assert rows(answer.text) == [f"c{n:06d}" for n in range(25)]
    assert '<strong id="total">63</strong>' in answer.text
    assert 'href="/c/c000007"' in answer.text
    assert 'loading="lazy"' in answer.text
    assert len(answer.content) < 100_000
    picture = re.search(r'src="(/images/0/\w+)"', answer.text)
    assert picture
    assert page.get(picture[1]).status_code == 200


def test_text_of_a_run_is_text(page: TestClient) -> None:
    for address in ("/", "/?q=alert", "/?q=%3Cscript%3Ealert(1)%3C/script%3E&category=%22%3E%3Cb%3E"):
        text = page.get(address).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert '"><b>' not in text
    assert "&lt;script&gt;<mark>alert</mark>" in page.get("/?q=alert").text


def test_the_page_has_no_script_or_style_of_its_own(page: TestClient) -> None:
    text = page.get("/?q=bag&score=26").text
    assert "style=" not in text
    assert "onclick" not in text
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))
    for name in ("list.css", "view.js"):
        assert (STATIC / name).is_file()


def test_htmx_gets_the_results_and_the_address(page: TestClient) -> None:
    answer = page.get("/?q=bag&in=turns&sort=&verdict=accepted", headers=HTMX)
    assert "<html" not in answer.text
    assert 'id="results"' in answer.text
    assert answer.headers["HX-Push-Url"] == "/?q=bag&verdict=accepted"
    assert answer.headers["Vary"] == "HX-Request"
    assert "HX-Push-Url" not in page.get("/", headers={**HTMX, "HX-Trigger": "poll"}).headers
    assert "<html" in page.get("/", headers={**HTMX, "HX-History-Restore-Request": "true"}).text


def test_facets_and_chips_are_links(page: TestClient) -> None:
    text = page.get("/?ending=fit&q=bag").text
    assert len(rows(text)) == 15
    assert 'href="/?q=bag" data-chip="ending"' in text
    assert 'href="/?ending=fit" data-chip="q"' in text
    assert re.search(r'href="/\?q=bag&amp;ending=hit" +data-facet="ending"', text)
    assert re.search(r'href="/\?q=bag" aria-current="true" data-facet="ending"', text)
    assert 'type="hidden" form="search" name="ending" value="fit"' in text
    assert 'href="/c/c000001?q=bag&amp;ending=fit#t1"' in text


def test_columns_order_and_turn_round(page: TestClient) -> None:
    assert 'href="/?sort=-turns" data-sort="turns"' in page.get("/").text
    turned = page.get("/?sort=-turns").text
    assert 'aria-sort="descending"' in turned
    assert 'href="/?sort=turns" data-sort="turns"' in turned


def test_the_second_page(page: TestClient) -> None:
    assert rows(page.get("/?page=2").text)[0] == "c000025"
    text = page.get("/?page=3").text
    assert rows(text)[-1] == "c000102"
    assert len(rows(text)) == 13
    assert 'href="/?page=2" hx-swap' in text
    assert 'id="next"' not in text


def test_refused_draws_say_why(page: TestClient) -> None:
    text = page.get("/?verdict=rejected").text
    assert rows(text) == ["c000100", "c000101", "c000102"]
    assert "BLEU-4 0.700 with an earlier backstory" in text
    assert "refused draws" in text


def test_nothing_found_and_not_understood(page: TestClient) -> None:
    text = page.get("/?q=zebra&sort=size").text
    assert "Nothing matches" in text
    assert "“sort=size” is not known here and was left out." in text
    assert 'href="/?q=zebra&amp;in=messages"' in text
    assert "is not known" not in page.get("/?text=diff&open=c-1").text


def test_an_empty_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [], finished=True)
    (run.path / "rejected.jsonl").unlink()
    with client(tmp_path / "run") as test_client:
        assert "Nothing here yet" in test_client.get("/").text


def test_a_run_that_goes_on_is_followed(tmp_path: Path) -> None:
    make_run(tmp_path / "run", wanted=90, finished=False)
    writer = RunFolder(tmp_path / "run")
    writer.lock()
    try:
        with closing(ViewedRun(tmp_path / "run")) as run:
            run.index.update()
            run.index.look()
            with TestClient(make_app([run]), base_url="http://127.0.0.1") as test_client:
                text = test_client.get("/").text
                assert "running: 40 of 90" in text
                assert 'hx-trigger="every 3s"' in text
    finally:
        writer.unlock()


def test_the_second_run_keeps_its_number(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", [], None)
    with client(tmp_path / "two", tmp_path / "one") as test_client:
        text = test_client.get("/?run=1&ending=hit").text
        assert len(rows(text)) == 20
        assert 'href="/c/c000000?run=1&amp;ending=hit"' in text
        assert 'src="/images/1/' in text
        assert test_client.get("/?run=2").status_code == 404
