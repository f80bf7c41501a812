"""Recommendation data: the released form, our exports, candidate lists, retrievers, and the items' pictures."""

from __future__ import annotations

import http.server
import io
import json
import os
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from fixtures import make_catalogue, make_conversation, make_run
from PIL import Image
from typer.testing import CliRunner

from synth.cli import app
from synth.cli.train_data import open_data
from synth.cli.train_images import fetch_images
from synth.corpora.lavic import read_lavic as read_turns
from synth.corpora.pictures import PictureError
from synth.errors import SynthError
from synth.recommender.candidates import (
    ceiling,
    evaluation_examples,
    force_target,
    pool_of,
    retrieve,
    shuffle_balanced,
    training_examples,
    with_lists,
    without_others,
)
from synth.recommender.data import SPLITS, Dataset, RecExample, Utterance, read_lavic
from synth.recommender.fetching import FAILED, fetch_pictures
from synth.recommender.items import Item, fetchable, read_items, read_meta
from synth.recommender.reddit import mask_handles, read_reddit_amazon
from synth.recommender.retrieval import make_retriever, rank_candidates
from tests.support.bge import TEXTS, make_bge, make_clip

COLOURS = ["red", "blue", "green", "black", "white", "pink", "grey", "brown", "teal", "gold"]


def item_id(number: int) -> str:
    return f"B{number:09d}"


def released_row(number: int, answers: Sequence[str], post: str | None = None) -> dict[str, Any]:
    text = post or f"I need a {COLOURS[number % 10]} bag, write to me{number}@mail.example.org or /u/bag_lover."
    return {
        "context": f"<submission>{text}</submission>\n<comment>Ask @bag.expert, she knows.</comment>\n",
        "context_items": [],
        "gt": "this one",
        "gt_items": list(answers),
        "candidates_st": [item_id((number + n) % 40) for n in range(10)],
        "candidates_gpt_large": [item_id((number + 2 * n) % 40) for n in range(10)],
    }


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def meta_table() -> dict[str, Any]:
    return {
        item_id(n): {
            "title": f"A {COLOURS[n % 10]} bag, model {n}",
            "images": [f"https://shop.example.org/{n}/a.jpg", f"https://shop.example.org/{n}/b.jpg"],
            "image_descriptions_llava_cleaned": {f"{item_id(n)}_0.jpg": f"A bag in {COLOURS[n % 10]}."},
        }
        for n in range(40)
    }


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A domain in the released form: an answer named twice, an ISBN, several answers, one without any."""
    folder = tmp_path / "bags"
    test = [released_row(n, [item_id(n)]) for n in range(20)]
    test += [
        released_row(20, [item_id(22), item_id(22), item_id(24)]),
        released_row(21, ["0316769487"]),
        released_row(22, []),
    ]
    write_rows(folder / "test.jsonl", test)
    write_rows(folder / "train.jsonl", [released_row(n, [item_id(n), item_id(39 - n)]) for n in range(15)])
    (tmp_path / "item2meta_train.json").write_text(json.dumps(meta_table()), "utf-8")
    return folder


def example(number: int, gt: str, candidates: Sequence[str], others: Sequence[str] = ()) -> RecExample:
    context = (Utterance("user", f"number {number}"),)
    return RecExample(f"test:{number}#0", f"test:{number}", context, gt, frozenset(others), tuple(candidates))


def test_one_right_answer_an_example_and_all_others_known(released: Path) -> None:
    data = read_reddit_amazon(released)
    several = [one for one in data.examples["test"] if one.conversation == "test:20"]
    assert [(one.id, one.gt, one.other_gts, one.repeats) for one in several] == [
        ("test:20#0", item_id(22), frozenset({item_id(24)}), 2),
        ("test:20#2", item_id(24), frozenset({item_id(22)}), 1),
    ]
    # The ids are those of the other reader, which gives an example for each naming.
    turns = {(one.id, one.truth) for one in read_turns(released)}
    assert {(one.id, one.gt) for part in data.examples.values() for one in part} <= turns


def test_counts_say_what_the_files_hold_and_what_was_left_out(released: Path) -> None:
    data = read_reddit_amazon(released)
    counts = data.counts["test"]
    assert (counts.conversations, counts.pairs, counts.unique_pairs) == (22, 24, 23)
    assert counts.hits == 23  # all but the ISBN
    assert (counts.not_asin, counts.shared) == (1, 1)
    assert counts.ceiling == pytest.approx(23 / 24)
    assert data.dropped == {"right answer named again in its row": 1, "row without a right answer": 1}
    assert ceiling(data.examples["test"]) == counts.ceiling
    assert data.generator == ""
    assert data.items["0316769487"].title == ""


def test_the_other_released_list(released: Path) -> None:
    data = read_reddit_amazon(released, candidates="gpt_large")
    assert data.examples["test"][0].candidates == tuple(item_id(2 * n % 40) for n in range(10))


def test_handles_and_addresses_are_masked(released: Path) -> None:
    data = read_reddit_amazon(released)
    texts = "\n".join(one.text for part in data.examples.values() for one in part)
    assert "@" not in texts and "bag_lover" not in texts and "bag.expert" not in texts
    assert "[email]" in texts and "/u/[handle]" in texts
    assert mask_handles("see u/some-one and user/other_1, and/or w/u/x; r/bags stays") == (
        "see u/[handle] and user/[handle], and/or w/u/x; r/bags stays"
    )


def test_speakers(released: Path) -> None:
    assert [one.speaker for one in read_reddit_amazon(released).examples["test"][0].context] == ["user", "assistant"]


def test_a_file_without_splits_is_split_by_post(tmp_path: Path) -> None:
    rows = [released_row(n, [item_id(n % 40)], post=f"Thread {n // 2}") for n in range(400)]
    write_rows(tmp_path / "all.jsonl", rows)
    data = read_reddit_amazon(tmp_path / "all.jsonl", seed=1)
    sizes = [len(data.examples[split]) for split in SPLITS]
    assert sum(sizes) == 400
    assert abs(sizes[0] - 320) <= 4 and abs(sizes[1] - 40) <= 4
    posts = [{one.context[0].text for one in data.examples[split]} for split in SPLITS]
    assert not (posts[0] & posts[1] or posts[0] & posts[2] or posts[1] & posts[2])
    again = read_reddit_amazon(tmp_path / "all.jsonl", seed=1)
    other = read_reddit_amazon(tmp_path / "all.jsonl", seed=2)
    assert again.examples == data.examples
    assert other.examples != data.examples


def test_metadata_in_every_released_form(tmp_path: Path, released: Path) -> None:
    whole = tmp_path / "item2meta_train.json"
    zipped = tmp_path / "item2meta_train.json.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("item2meta_train.json", whole.read_text("utf-8"))
        archive.writestr("__MACOSX/._item2meta_train.json", "x")
    lines = tmp_path / "item2meta_valid.jsonl"
    row = {"title": "T", "image_name": "B000000041_3.jpg", "image": "https://x.example.org/i.jpg"}
    write_rows(lines, [{**row, "image_description_llava_cleaned": "Seen."}])
    assert read_meta([whole]) == read_meta([zipped])
    found = read_meta([zipped, lines])
    assert len(found) == 41
    assert found["B000000041"].descriptions == {"B000000041_3.jpg": "Seen."}
    assert found["B000000041"].pictures == {"B000000041_3.jpg": "https://x.example.org/i.jpg"}
    assert list(found[item_id(3)].pictures) == [f"{item_id(3)}_0.jpg", f"{item_id(3)}_1.jpg"]


def test_pictures_on_disk_are_found_in_order_and_none_outside(tmp_path: Path) -> None:
    images = tmp_path / "pictures"
    images.mkdir()
    for number in (10, 2, 0):
        (images / f"{item_id(1)}_{number}.jpg").write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    folder = tmp_path / "data"
    folder.mkdir()
    table = {
        item_id(1): {"title": "t", "images": [f"https://e.example.org/{n}" for n in range(12)]},
        item_id(2): {"title": "u", "images": ["../secret.jpg", "/etc/hostname"]},
    }
    (folder / "meta.json").write_text(json.dumps(table), "utf-8")
    items = read_items([folder / "meta.json"], folder, images)
    assert [path.name for path in items[item_id(1)].images] == [f"{item_id(1)}_{n}.jpg" for n in (0, 2, 10)]
    assert items[item_id(2)].images == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a LaViC example"),
        ('{"context": "<submission>a</submission>", "gt_items": ["x"]}', "no 'candidates_st'"),
        ('{"context": "<submission>a</submission>", "gt_items": [3], "candidates_st": []}', "lists of ids"),
        ("[]", "is not a LaViC example"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(released_row(0, ["a"])) + "\n" + text + "\n", "utf-8")
    with pytest.raises(SynthError, match="line 2 ") as error:
        read_reddit_amazon(tmp_path)
    assert said in str(error.value)


def test_bytes_that_are_no_text_are_a_broken_row(tmp_path: Path) -> None:
    row = json.dumps(released_row(0, ["a"])).encode()
    (tmp_path / "test.jsonl").write_bytes(row + b"\n" + row.replace(b"bag", b"b\xff") + b"\n")
    with pytest.raises(SynthError, match="line 2 is not a LaViC example: .*can't decode byte 0xff"):
        read_reddit_amazon(tmp_path)


def test_a_title_may_hold_what_unicode_calls_an_end_of_a_line(tmp_path: Path) -> None:
    row = {"id": "B1", "title": "Red\u2028bag\u0085", "image_name": "B1_0.jpg", "image": ""}
    (tmp_path / "meta.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert read_meta([tmp_path / "meta.jsonl"])["B1"].title == row["title"]


def test_every_command_reads_a_single_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "all.jsonl", [released_row(n, [item_id(n)]) for n in range(20)])
    data = open_data(tmp_path / "all.jsonl", seed=1)
    assert data.examples == read_reddit_amazon(tmp_path / "all.jsonl", seed=1).examples
    with pytest.raises(SynthError, match="There is no folder or file"):
        open_data(tmp_path / "none.jsonl")


def test_wrong_folders_say_so(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match=r"has no train\.jsonl"):
        read_reddit_amazon(tmp_path)
    with pytest.raises(SynthError, match="is not a LaViC export"):
        read_lavic(tmp_path)
    (tmp_path / "bad.json").write_text('{"a": 3}', "utf-8")
    with pytest.raises(SynthError, match="is not item metadata"):
        read_meta([tmp_path / "bad.json"])
    write_rows(tmp_path / "test.jsonl", [released_row(0, ["a"])])
    with pytest.raises(SynthError, match="There is no metadata file"):
        read_reddit_amazon(tmp_path, meta=tmp_path / "none.json")
    with pytest.raises(SynthError, match="fetch-images"):
        read_reddit_amazon(tmp_path, images=tmp_path / "none")


def test_our_export_is_read_with_pictures_and_its_generator(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "bags", products=60)
    run = make_run(tmp_path / "run", [make_conversation(n, catalogue) for n in range(40)], catalogue)
    out = tmp_path / "lavic"
    result = CliRunner().invoke(
        app, ["export", str(run.path), "--format", "lavic", "--images", "files", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    data = read_lavic(out)
    listed = json.loads((out / "export.json").read_text("utf-8"))["rows"]
    assert {name: len(part) for name, part in data.examples.items()} == {
        "train": listed["train"],
        "valid": listed["validation"],
        "test": listed["test"],
    }
    assert data.generator == "Synth's offline simulator"
    one = data.examples["train"][0]
    assert data.items[one.gt].title.startswith("Bag number")
    with Image.open(data.items[one.gt].images[0]) as image:
        assert image.format == "JPEG"
    assert data.items[one.gt].descriptions
    assert not data.dropped and data.coverage("train")[0] == data.coverage("train")[2]


def test_forced_lists_hold_the_answer_and_no_other_right_one() -> None:
    pool = [item_id(n) for n in range(60)]
    for number in range(50):
        one = example(number, item_id(50), pool[number % 5 : number % 5 + 10], [item_id(3), item_id(4)])
        made = force_target(one, pool, seed=4)
        assert len(made.candidates) == len(set(made.candidates)) == 10
        assert item_id(50) in made.candidates and not one.other_gts & set(made.candidates)
        assert force_target(one, pool, seed=4) == made
    assert one.candidates == tuple(pool[4:14])  # nothing was changed in place
    with pytest.raises(SynthError, match="at least two"):
        force_target(example(0, "a", ["b"]), pool, 0)


def test_leaving_others_out_never_puts_the_answer_in() -> None:
    pool = [item_id(n) for n in range(14)]
    for number in range(30):
        one = example(number, item_id(11), pool[:10], [item_id(n) for n in range(4)])
        made = without_others(one, pool, seed=number)
        assert item_id(11) not in made.candidates and not one.other_gts & set(made.candidates)
        # Ten, less the four, and the pool has only two more that are not right.
        assert len(made.candidates) == len(set(made.candidates)) == 9
        assert made.candidates[: 9 - 3] != () and set(made.candidates) >= set(pool[4:10])


def test_places_of_right_answers_are_balanced() -> None:
    ids = [item_id(n) for n in range(40)]
    examples = [example(n, ids[n % 40], [ids[(n + m) % 40] for m in range(10)]) for n in range(203)]
    examples += [example(n, "unlisted", ids[:10]) for n in range(203, 240)]
    made = shuffle_balanced(examples, seed=5)
    places = Counter(one.candidates.index(one.gt) for one in made if one.gt in one.candidates)
    assert sum(places.values()) == 203
    assert max(places.values()) - min(places.values()) <= 1 and len(places) == 10
    assert [set(one.candidates) for one in made] == [set(one.candidates) for one in examples]
    assert [one.candidates for one in made] != [one.candidates for one in shuffle_balanced(examples, seed=6)]
    # The negatives are in no order either.
    first = Counter(made[n].candidates.index(examples[n].candidates[-1]) for n in range(203, 240))
    assert len(first) > 5


def test_only_training_helps_the_answer_in(released: Path) -> None:
    data = read_reddit_amazon(released)
    trained = training_examples(data, seed=1)
    assert len(trained) == len(data.examples["train"])
    for one in trained:
        assert one.gt in one.candidates and not one.other_gts & set(one.candidates)
    tested = evaluation_examples(data, seed=1)
    assert ceiling(tested) == ceiling(data.examples["test"])
    assert all(not one.other_gts & set(one.candidates) for one in tested)
    kept = evaluation_examples(data, seed=1, others="kept")
    assert [set(one.candidates) for one in kept] == [set(one.candidates) for one in data.examples["test"]]
    with pytest.raises(SynthError, match="never put among"):
        training_examples(data, split="test")
    assert pool_of(data) == sorted(set(pool_of(data)))


def test_bm25_finds_and_ranks(released: Path) -> None:
    data = read_reddit_amazon(released)
    retriever = make_retriever("bm25", data.items)
    lists = retrieve(data, retriever, k=7, splits=["test"])
    examples = data.examples["test"]
    assert lists.keys() == {one.id for one in examples}
    for one in examples:
        found = lists[one.id]
        assert len(set(found.ids)) == 7 and found.source == "bm25"
        assert not one.other_gts & set(found.ids)
    red_bags = {item for item, known in data.items.items() if "red" in known.title}
    (passed,) = retriever.top(["a red bag"], 3, [{item_id(0), item_id(20)}])
    assert set(passed[:2]) == red_bags - {item_id(0), item_id(20)} and len(passed) == 3
    red = examples[0]  # "red bag": four red bags come first
    assert all("red" in data.items[item].title for item in lists[red.id].ids[:4])
    assert with_lists(examples, lists)[0].candidates == lists[red.id].ids
    ranked = rank_candidates(retriever, examples)
    assert all(set(ranked[one.id]) == set(one.candidates) for one in examples)
    assert max(ranked[red.id], key=ranked[red.id].__getitem__) == item_id(0)


def test_descriptions_can_be_searched_too(released: Path) -> None:
    items = {"a": Item("a", "Bag", (), {"a_0.jpg": "It is turquoise."}), "b": Item("b", "Bag", (), {})}
    one = example(0, "a", ["a", "b"])
    asked = RecExample(one.id, one.conversation, (Utterance("user", "turquoise"),), "a", frozenset(), ("a", "b"))
    assert rank_candidates(make_retriever("bm25", items, "description"), [asked])[one.id]["a"] > 0
    assert rank_candidates(make_retriever("bm25", items), [asked])[one.id] == {"a": 0.0, "b": 0.0}


def test_a_candidate_without_a_title_is_below_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    items = {"a": Item("a", "Red bag", (), {}), "b": Item("b", "Bag", (), {}), "c": Item("c", "", (), {})}
    retriever = make_retriever("bm25", items)
    assert retriever.scores(["blue"], [["a", "b", "c"]]) == [{"a": 0.0, "b": 0.0, "c": -1.0}]
    # A cosine can be negative.
    unlike = SimpleNamespace(rows=np.array([0, 1]), scores=np.array([-0.25, -0.5]))
    monkeypatch.setattr(retriever, "_rank", lambda queries, masks, depth: [unlike])
    assert retriever.scores(["blue"], [["a", "b", "c"]]) == [{"a": -0.25, "b": -0.5, "c": -1.5}]


def test_retrievers_that_are_none() -> None:
    items = {"a": Item("a", "Bag", (), {})}
    with pytest.raises(SynthError, match="no retriever 'nonsense'"):
        make_retriever("nonsense", items)
    with pytest.raises(SynthError, match="has a title"):
        make_retriever("bm25", {"a": Item("a", "", (), {})})
    with pytest.raises(SynthError, match="OPENAI_API_KEY"):
        make_retriever("openai:text-embedding-3-large", items)


def tiny_bert(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from synth.recommender.extras import quiet

    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *COLOURS, "bag"]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    with quiet():
        from transformers import BertConfig, BertModel, BertTokenizerFast

        config = BertConfig(
            vocab_size=len(words),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            initializer_range=0.5,
        )
        BertModel(config).save_pretrained(folder)
        BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_any_sentence_transformers_folder(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    items = {item_id(n): Item(item_id(n), f"{COLOURS[n]} bag", (), {}) for n in range(10)}
    retriever = make_retriever(f"st:{folder}", items)
    # The same words are the nearest there can be.
    assert [found[0] for found in retriever.top([f"{colour} bag" for colour in COLOURS], 1, [()] * 10)] == list(items)
    from synth.recommender.embedders import Sentences

    vectors = [
        np.asarray(Sentences("x", str(folder), pooling).encode_query("red bag")["dense"]) for pooling in ("cls", "mean")
    ]
    assert all(float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5) for vector in vectors)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01
    with pytest.raises(SynthError, match=r"config\.json or modules\.json is missing"):
        make_retriever(f"st:{tmp_path}", items)
    with pytest.raises(SynthError, match=r"no folder .*nowhere.* Name a folder of weights with st:FOLDER"):
        make_retriever(f"st:{tmp_path}/nowhere", items)


@pytest.mark.parametrize("name", ["bge", "bge-hybrid", "clip"])
def test_encoders_of_the_index_by_folder(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("FlagEmbedding", reason="the extra `bge` is not installed")
    torch.set_num_threads(1)
    folder = (make_clip if name == "clip" else make_bge)(tmp_path / "model")
    for n in range(len(TEXTS)):
        Image.new("RGB", (40, 50), COLOURS[n]).save(tmp_path / f"{n}.png")
    items = {item_id(n): Item(item_id(n), text, (tmp_path / f"{n}.png",), {}) for n, text in enumerate(TEXTS)}
    heard: list[tuple[str, int, int]] = []
    retriever = make_retriever(f"{name}={folder}", items, report=lambda *said: heard.append(said))
    found = retriever.top(list(TEXTS), 5, [()] * 5)
    assert all(sorted(ids) == list(items) for ids in found)
    if name != "clip":  # the same words are the nearest there can be; of pictures a random model knows nothing
        assert [ids[0] for ids in found] == list(items)
    assert retriever.name == name and (f"{name}: items", 5, 5) in heard and heard[-1][1:] == (5, 5)
    scores = retriever.scores([TEXTS[0]], [[item_id(3), item_id(0), "unknown"]])[0]
    assert scores.keys() == {item_id(3), item_id(0), "unknown"} and min(scores, key=scores.__getitem__) == "unknown"


class _Embeddings(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []
    status = 200

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        _Embeddings.asked += texts
        data = [
            {"object": "embedding", "index": n, "embedding": [3.0 * (colour in text) for colour in COLOURS]}
            for n, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 5, "total_tokens": 5}
        body = json.dumps({"object": "list", "model": "m", "data": data[::-1], "usage": usage}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the tests' output clean."""


@pytest.fixture
def embeddings(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Embeddings]]:
    _Embeddings.asked, _Embeddings.status = [], 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Embeddings)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    yield _Embeddings
    server.shutdown()
    server.server_close()
    thread.join()


def test_embeddings_of_a_server_are_asked_for_once(tmp_path: Path, embeddings: type[_Embeddings]) -> None:
    items = {item_id(n): Item(item_id(n), f"{COLOURS[n]} bag", (), {}) for n in range(10)}
    for _ in range(2):
        retriever = make_retriever("openai:m", items, cache=tmp_path / "cache" / "vectors.db")
        # The server's answers come in another order than asked, with their places.
        assert [found[0] for found in retriever.top(["red", "teal"], 1, [(), ()])] == [item_id(0), item_id(8)]
    assert len(embeddings.asked) == 12
    embeddings.status = 401
    with pytest.raises(SynthError, match="gave no embeddings by m") as error:
        retriever.top(["another"], 1, [()])
    assert "sk-secret" not in str(error.value)


_FORMATS = {
    "rgba": ("RGBA", "PNG"),
    "gif": ("P", "GIF"),
    "webp": ("RGBA", "WEBP"),
    "cmyk": ("CMYK", "JPEG"),
    "grey": ("L", "JPEG"),
}


class _Album:
    """Pictures in odd formats, by the last part of their address."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    def read(self, reference: str, product_id: str) -> bytes:
        self.asked.append(reference)
        kind = reference.rsplit("/", 1)[-1]
        if kind == "gone":
            raise PictureError("picture refused (HTTP 404)", reference)
        if kind == "slow" and self.broken:
            raise PictureError("picture took too long", reference)
        if kind == "page":
            return b"<html>"
        mode, form = _FORMATS.get(kind, ("RGB", "JPEG"))
        image = Image.effect_noise((40, 50), 90).convert("RGB").convert(mode)
        stream = io.BytesIO()
        image.save(stream, form)
        return stream.getvalue()


def test_fetched_pictures_are_rgb_jpegs_and_not_fetched_again(tmp_path: Path) -> None:
    kinds = ["rgba", "gif", "webp", "cmyk", "grey", "slow", "gone", "page"]
    wanted = {f"{kind}_0.jpg": (kind, f"https://shop.example.org/{kind}") for kind in kinds}
    album = _Album()
    album.broken = True
    seen: list[tuple[int, int]] = []
    first = fetch_pictures(wanted, tmp_path, lambda *done: seen.append(done), web=album, concurrency=3)
    assert (first.new, first.kept) == (5, 0)
    assert first.failed == {"picture took too long": 1, "picture refused (HTTP 404)": 1, "not a picture": 1}
    assert seen[-1] == (8, 8)
    for kind in kinds[:5]:
        with Image.open(tmp_path / f"{kind}_0.jpg") as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*"))
    # What may pass is asked for again; what is gone for good is not.
    again = _Album()
    second = fetch_pictures(wanted, tmp_path, web=again)
    assert again.asked == ["https://shop.example.org/slow"]
    assert (second.new, second.kept) == (1, 5)
    assert second.failed == {"picture refused (HTTP 404)": 1, "not a picture": 1}
    third = _Album()
    fetch_pictures(wanted, tmp_path, web=third, again=True)
    assert sorted(third.asked) == ["https://shop.example.org/gone", "https://shop.example.org/page"]


def test_a_fetch_stopped_anywhere_goes_on(tmp_path: Path) -> None:
    wanted = {f"i{n}_0.jpg": (f"i{n}", f"https://shop.example.org/{n}") for n in range(20)}

    class Stopped(_Album):
        def read(self, reference: str, product_id: str) -> bytes:
            if len(self.asked) == 7:
                raise KeyboardInterrupt
            return super().read(reference, product_id)

    with pytest.raises(KeyboardInterrupt):
        fetch_pictures(wanted, tmp_path, web=Stopped(), concurrency=1)
    there = len(list(tmp_path.glob("*.jpg")))
    assert 5 <= there <= 7
    # A line torn by a crash does no harm, nor does a half-written picture.
    with (tmp_path / FAILED).open("ab") as log:
        log.write(b'\n{"name": "i19_0.j')
    (tmp_path / ".i19_0.jpg.partial").write_bytes(b"half")
    album = _Album()
    found = fetch_pictures(wanted, tmp_path, web=album)
    assert (found.new, found.kept, found.failed) == (20 - there, there, {})
    assert len(album.asked) == 20 - there


def test_addresses_inside_a_network_and_bad_names_are_not_followed(tmp_path: Path) -> None:
    rows = [
        {"title": "t", "image_name": "../B1_0.jpg", "image": "https://shop.example.org/1"},
        {"title": "t", "image_name": "B2_0.jpg", "image": "http://127.0.0.1:9/x.jpg"},
        {"title": "t", "image_name": "B2_1.jpg", "image": "http://127.0.0.1:9/y.jpg"},
        {"title": "t", "image_name": "B3_0.jpg", "image": "file:///etc/passwd"},
    ]
    write_rows(tmp_path / "meta.jsonl", rows)
    wanted, unsafe = fetchable(read_meta([tmp_path / "meta.jsonl"]))
    assert (list(wanted), unsafe) == (["B2_0.jpg", "B2_1.jpg"], 1)
    assert list(fetchable(read_meta([tmp_path / "meta.jsonl"]), first=True)[0]) == ["B2_0.jpg"]
    assert fetch_pictures(wanted, tmp_path / "out").failed == {"picture address not allowed": 2}


def real(domain: str, candidates: str = "st") -> Dataset:
    root = os.environ.get("SYNTH_TEST_DATA")
    if not root:
        pytest.skip("SYNTH_TEST_DATA is not set")
    return read_reddit_amazon(Path(root) / "reddit_amazon" / domain, candidates=candidates)  # type: ignore[arg-type]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("domain", "conversations", "pairs", "unique", "st", "gpt_large", "not_asin"),
    [("all_beauty", 772, 890, 859, 0.218, 0.390, 0), ("amazon_fashion", 826, 998, 961, 0.204, 0.392, 7)],
)
def test_the_released_files_load_completely(
    domain: str, conversations: int, pairs: int, unique: int, st: float, gpt_large: float, not_asin: int
) -> None:
    data = real(domain)
    counts = data.counts["test"]
    assert (counts.conversations, counts.pairs, counts.unique_pairs) == (conversations, pairs, unique)
    assert counts.not_asin == not_asin
    assert round(counts.ceiling, 3) == st
    assert round(real(domain, "gpt_large").counts["test"].ceiling, 3) == gpt_large
    assert len(data.examples["test"]) == unique
    assert ceiling(evaluation_examples(data)) == counts.ceiling
    texts = "\n".join(one.text for one in data.examples["test"])
    assert mask_handles(texts) == texts


@pytest.mark.real_data
def test_the_released_valid_files_and_metadata() -> None:
    counts = {domain: real(domain).counts["valid"] for domain in ("all_beauty", "amazon_fashion", "amazon_home")}
    assert [count.conversations for count in counts.values()] == [758, 797, 368]
    data = real("amazon_home")
    assert sum(bool(item.title) for item in data.items.values()) == 508  # of 512 pictures
    assert data.coverage("valid")[0] == 0  # none of the items in the lists has metadata


def test_fetch_images_from_the_command_line(tmp_path: Path) -> None:
    row = {"title": "t", "image_name": "B2_0.jpg", "image": "http://127.0.0.1:9/x.jpg"}
    write_rows(tmp_path / "meta.jsonl", [row, {**row, "image_name": "a/b.jpg"}])
    command = typer.Typer()
    command.command()(fetch_images)
    out = tmp_path / "out"
    result = CliRunner().invoke(command, ["--meta", str(tmp_path / "meta.jsonl"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "0 pictures fetched, 0 were there" in result.stdout
    assert "1 not there: picture address not allowed" in result.stdout and "1 left out" in result.stdout
    assert json.loads((out / FAILED).read_text("utf-8"))["name"] == "B2_0.jpg"
    (tmp_path / "meta.jsonl").write_text("", "utf-8")
    for meta in ("meta.jsonl", "none.jsonl"):
        refused = CliRunner().invoke(command, ["--meta", str(tmp_path / meta), "--out", str(out)])
        assert isinstance(refused.exception, SynthError)
