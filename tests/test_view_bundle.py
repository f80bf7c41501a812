"""The static copy: whole or not there, with links that hold on any server and from the disk."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fixtures import make_catalogue, make_conversation, make_run

from synth.errors import SynthError
from synth.view import figures as figures_module
from synth.view.bundle import read_selection, write_bundle
from synth.view.run import ViewedRun

TRICK = 'See <a href="/run"> or src="/static/x.js" & <script>alert(1)</script>'


@pytest.fixture(autouse=True)
def _graph_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_module, "graph_edges", lambda: ())


@pytest.fixture
def viewed(tmp_path: Path) -> Iterator[ViewedRun]:
    """Six conversations; the last one's words try to be markup, and one of its pictures is gone."""
    catalogue = make_catalogue(tmp_path / "catalogue")
    talks = [make_conversation(n, catalogue, "fit" if n == 3 else "hit") for n in range(6)]
    turns = list(talks[5].turns)
    turns[1] = turns[1].model_copy(update={"text": TRICK})
    talks[5] = talks[5].model_copy(update={"turns": tuple(turns)})
    folder = make_run(tmp_path / "run", talks, catalogue).path
    picture = catalogue["b6"].images[0]
    (folder / "images" / picture.filename).unlink()
    run = ViewedRun(folder)
    yield run
    run.close()


def pages(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_link_leads_to_a_file_of_the_copy(viewed: ViewedRun, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    assert write_bundle(folder, viewed, "", 200) == 9
    linked = {"index.html"}
    for name, text in pages(folder).items():
        for match in re.findall(r'<\w+[^>]*? (?:href|src)="([^"]*)"', text):
            address = urlsplit(html.unescape(match))
            assert not address.scheme and not address.netloc and not address.query, match
            if address.path:
                target = (folder / name).parent / address.path
                assert not address.path.startswith("/") and target.is_file(), f"{name}: {match}"
                linked.add(target.resolve().relative_to(folder.resolve()).as_posix())
    assert linked == files(folder)  # and nothing else is copied


def test_it_holds_the_selection_in_the_lists_order(viewed: ViewedRun, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    assert write_bundle(folder, viewed, "verdict=accepted&ending=hit&sort=-draw", 3) == 3
    index = pages(folder)["index.html"]
    assert re.findall(r'data-row="(\w+)"', index) == ["c000005", "c000004", "c000002"]
    talks = {name for name in files(folder) if re.fullmatch(r"c/\w+\.html", name)}
    assert talks == {f"c/c00000{n}.html" for n in (5, 4, 2)}
    assert "ending: hit" in index and "sort" not in re.findall(r'class="chip"[^>]*>([^<]*)', index)


def test_its_pages_need_no_server(viewed: ViewedRun, tmp_path: Path) -> None:
    write_bundle(tmp_path / "copy", viewed, "", 200)
    for name, text in pages(tmp_path / "copy").items():
        for word in ("htmx", "hx-get", "hx-trigger", "data-token", "http://", "https://", "data-copy", "<form action"):
            assert word not in text, f"{name}: {word}"
    assert not [name for name in files(tmp_path / "copy") if "htmx" in name]


def test_links_to_what_is_left_out_stay_as_text(viewed: ViewedRun, tmp_path: Path) -> None:
    write_bundle(tmp_path / "copy", viewed, "verdict=accepted", 200)
    run = pages(tmp_path / "copy")["run.html"]
    assert re.search(r"<a>\s*2 refused\s*</a>", run)
    assert 'href="index.html"' in run and 'aria-current="page"' in run


def test_words_of_a_run_are_no_links_and_no_markup(viewed: ViewedRun, tmp_path: Path) -> None:
    write_bundle(tmp_path / "copy", viewed, "verdict=accepted", 200)
    for name in ("c/c000005.html", "index.html"):
        text = pages(tmp_path / "copy")[name]
        assert html.escape(TRICK).replace("&quot;", "&#34;") in text
        assert "<script>alert" not in text
    data = (tmp_path / "copy" / "texts.js").read_text("utf-8")
    texts = json.loads(data.removeprefix("const TEXTS = ").removesuffix(";\n"))
    assert len(texts) == 6 and TRICK in texts[5]


def test_a_missing_picture_is_no_obstacle(viewed: ViewedRun, tmp_path: Path) -> None:
    write_bundle(tmp_path / "copy", viewed, "", 200)
    assert "not kept" in pages(tmp_path / "copy")["c/c000005.html"]


def test_a_folder_with_something_in_it_is_left_alone(viewed: ViewedRun, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    write_bundle(folder, viewed, "", 1)  # empty: it may be there
    before = files(folder)
    with pytest.raises(SynthError, match="exists and is not empty"):
        write_bundle(folder, viewed, "", 2)
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(SynthError, match="exists and is not empty"):
        write_bundle(tmp_path / "file", viewed, "", 2)
    assert files(folder) == before and (tmp_path / "file").read_text("utf-8") == "mine"


def test_what_breaks_off_leaves_nothing(viewed: ViewedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    there = set(tmp_path.iterdir())
    with pytest.raises(SynthError, match="cannot be written: No space left on device"):
        write_bundle(tmp_path / "copy", viewed, "", 200)
    assert set(tmp_path.iterdir()) == there


@pytest.mark.parametrize("select", ["verdit=accepted", "silk dress", "verdict=great", "page=2", "score=many"])
def test_a_selection_that_is_none_is_refused(select: str) -> None:
    with pytest.raises(SynthError, match="Known are category, ending, errors, family, filter, in, judged"):
        read_selection(select)


def test_an_empty_selection_is_refused(viewed: ViewedRun, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="nothing that matches 'ending=forced'"):
        write_bundle(tmp_path / "copy", viewed, "ending=forced", 5)
    assert not (tmp_path / "copy").exists()
    assert read_selection("?in=messages&q=a+b").within == "messages"
