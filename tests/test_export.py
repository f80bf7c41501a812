"""Exports, each read back the way its users read it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from contextlib import closing
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from fixtures import PRODUCTS, make_catalogue, make_conversation, make_run
from PIL import Image

import synth.corpora.export as registry
from synth.corpora.export import Images, Options, Report, RunFacts, Source, Spent, export, formats, parquet
from synth.corpora.export.masking import mask
from synth.corpora.lavic import read_lavic
from synth.corpora.records import Conversation, Product
from synth.errors import Exit, SynthError
from synth.graphs.generation import generate
from synth.graphs.options import Options as RunOptions
from synth.traces.run import RunFolder
from tests.support.commands import synth


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def all_rows(folder: Path, *names: str) -> list[dict[str, Any]]:
    """Rows of all split files, ordered by their conversation."""
    found = [row for name in names or ("train", "validation", "test") if (folder / f"{name}.jsonl").exists()
             for row in rows(folder / f"{name}.jsonl")]  # fmt: skip
    return sorted(found, key=lambda row: str(row.get("id", row.get("conversation"))))


def front_matter(folder: Path) -> dict[str, Any]:
    _, matter, _ = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    loaded: dict[str, Any] = yaml.safe_load(matter)
    return loaded


# ---- messages


def test_messages_with_picture_files(run: RunFolder, tmp_path: Path) -> None:
    said = synth("export", "bags", "--format", "messages", "--images", "files")
    folder = tmp_path / "exports" / "bags-messages"
    assert f"40 conversations of {Path('runs/bags')} written to {Path('exports/bags-messages')}" in said
    made = all_rows(folder)
    assert [row["id"] for row in made] == [f"c{n:06d}" for n in range(40)]
    second = made[1]
    assert [message["role"] for message in second["messages"]] == ["assistant", "user"] * 3
    assert second["messages"][1]["content"][0] == {"type": "image"}
    for name in second["images"]:
        with Image.open(folder / name) as image:
            assert image.size == (8, 10)
    assert second["metadata"]["ended_by"] == "fit"
    assert (second["metadata"]["target"], second["metadata"]["accepted"]) == ("b1", "b4")
    assert second["metadata"]["person"]["synthetic"] is True
    assert second["metadata"]["scenario"]["text"] == "A trip by train."
    assert {"id": "b4", "title": "Bag number 4"} in second["metadata"]["products"]


def test_messages_link_or_leave_out_pictures(run: RunFolder, tmp_path: Path) -> None:
    synth("export", "runs/bags", "--format", "messages", "--out", "linked")
    first, second = all_rows(tmp_path / "linked")[:2]
    assert first["images"][1] == "https://example.org/0.png" and (run.path / first["images"][0]).is_file()
    assert not (tmp_path / "linked" / "images").exists()
    synth("export", "bags", "--format", "messages", "--images", "none", "--out", "plain")
    plain = all_rows(tmp_path / "plain")[0]
    assert plain["messages"][0] == {"role": "assistant", "content": "Hello! What can I find for you?"}
    assert plain["images"] == []


@pytest.mark.parametrize(("source", "default"), [("drawn (seed 4)", "files"), ("bags.csv", "links")])
def test_pictures_of_an_imported_catalogue_are_linked(tmp_path: Path, source: str, default: str) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    catalogue.info = catalogue.info.model_copy(update={"source": source})
    (catalogue.folder / "catalogue.json").write_text(catalogue.info.model_dump_json(), "utf-8")
    run = make_run(tmp_path / "run", [make_conversation(0, catalogue)], catalogue)
    for format in sorted({*formats()}):
        out = tmp_path / format
        synth("export", str(run.path), "--format", format, "--out", str(out))
        assert json.loads((out / "export.json").read_text("utf-8"))["images"] == default
        kept = [path for path in out.rglob("*") if path.suffix in (".jpg", ".png")]
        assert bool(kept) is (default == "files" and format != "hf")


# ---- masking


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to a.b+c@mail.example.org.", "Write to [email]."),
        ("I am @nina_b, hello", "I am [handle], hello"),
        ("(@nina.b) and\n@tom", "([handle]) and\n[handle]"),
        ("two @ 5.00 @ home, 3@4", "two @ 5.00 @ home, 3@4"),
        ("https://example.org/@shop/1", "https://example.org/@shop/1"),
        ("no mark at all", "no mark at all"),
    ],
)
def test_mask(text: str, expected: str) -> None:
    assert mask(text) == expected


@pytest.mark.parametrize("format", ["hf", "lavic", "messages", "muse", "redial", "sharegpt"])
def test_no_export_holds_an_address(run: RunFolder, tmp_path: Path, format: str) -> None:
    synth("export", "bags", "--format", format, "--out", "out", "--forced")
    if format == "hf":
        import pyarrow.parquet as pq

        files = list((tmp_path / "out").rglob("*.parquet"))
        text = json.dumps([pq.read_table(path).to_pylist() for path in files], default=repr)
    else:
        text = "".join(path.read_text("utf-8") for path in (tmp_path / "out").rglob("*.json*"))
    assert "[email]" in text and "[handle]" in text
    assert "nina0@" not in text and "@nina.b" not in text and "shop1@" not in text and "@bag_shop" not in text


# ---- hf


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="the dev extra installs datasets")
    datasets.disable_progress_bars()

    def opened(folder: Path, *arguments: str) -> Any:
        return datasets.load_dataset(str(folder), *arguments, cache_dir=str(tmp_path / "cache"))

    return opened


def wide_run(folder: Path) -> RunFolder:
    """80 conversations over as many targets, so that every split has some."""
    catalogue = make_catalogue(folder.with_name("many"), products=80)
    return make_run(folder, [make_conversation(n, catalogue, "hit") for n in range(80)], catalogue)


def test_hf_opens_with_pictures(tmp_path: Path, load: Any) -> None:
    run = wide_run(tmp_path / "run")
    synth("export", str(run.path), "--format", "hf", "--images", "files", "--out", str(tmp_path / "out"))
    loaded = load(tmp_path / "out")
    assert set(loaded) == {"train", "validation", "test"}
    assert sum(len(split) for split in loaded.values()) == 80
    original = {c.id: c for c in run.conversations()}
    for split in loaded.values():
        for row in split:
            conversation = original[row["id"]]
            assert [turn["act"] for turn in row["turns"]] == [turn.act for turn in conversation.turns]
            assert row["turns"][2]["retrieval"]["chosen"] == conversation.turns[2].products[0]
            assert row["turns"][1]["retrieval"] is None and row["turns"][1]["draft"] == "draft 1"
            assert len(row["images"]) == len(row["image_hashes"]) >= 2
            assert all(image.size == (8, 10) for image in row["images"])
            assert row["person"]["synthetic"] and row["requirements"][1]["attribute"] == "colour"
            assert {m["role"]: m["model"] for m in row["models"]}["simulator"] == "offline"
    train, test = loaded["train"], loaded["test"]
    assert not {row["target_id"] for row in train} & {row["target_id"] for row in test}
    assert not {row["person"]["name"] for row in train} & {row["person"]["name"] for row in test}
    products = load(tmp_path / "out", "products")["train"]
    assert len(products) == 80 and products[0]["image"].size == (8, 10)
    assert {a["name"]: a["value"] for a in products[0]["attributes"]}["type"] == "bag"


@pytest.mark.parametrize(("images", "column"), [("none", None), ("links", "string")])
def test_hf_without_picture_bytes(run: RunFolder, tmp_path: Path, load: Any, images: str, column: str | None) -> None:
    synth("export", "bags", "--format", "hf", "--out", "out", "--images", images)
    train = load(tmp_path / "out")["train"]
    if column is None:
        assert "images" not in train.features
        assert "image" not in load(tmp_path / "out", "products")["train"].features
    else:
        assert train.features["images"].feature.dtype == column
        linked = [link for row in train for link in row["images"]]
        assert all(link.startswith("https://example.org/") or (run.path / link).is_file() for link in linked)
    assert train[0]["image_hashes"]


def test_hf_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    monkeypatch.setattr(parquet, "SHARD_BYTES", 1)
    monkeypatch.setattr(parquet, "_GROUP_ROWS", 20)
    run = wide_run(tmp_path / "run")
    synth("export", str(run.path), "--format", "hf", "--images", "files", "--out", str(tmp_path / "out"))
    names = sorted(path.name for path in (tmp_path / "out" / "conversations").glob("train-*"))
    assert len(names) >= 3
    assert names == [f"train-{n:05d}-of-{len(names):05d}.parquet" for n in range(len(names))]
    assert len(load(tmp_path / "out")["train"]) > 20 * (len(names) - 1)


def test_data_card_says_what_the_run_was(run: RunFolder, tmp_path: Path) -> None:
    synth("export", "bags", "--format", "hf", "--out", "out")
    matter = front_matter(tmp_path / "out")
    assert matter["license"] == "cc-by-sa-4.0"
    assert matter["size_categories"] == ["n<1K"] and matter["language"] == ["en"]
    assert "offline-simulator" in matter["tags"] and matter["configs"][0]["default"] is True
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    for fact in (
        "Made by Synth's offline simulator, not by a language model",
        "| draws rejected by `review` | 2 (4.7%) |",
        "| draws rejected by `duplicate` | 1 (2.3%) |",
        "| draws | 43 |",
        "| draws accepted | 40 (93.0%) |",
        "| conversations exported | 40 |",
        "| seed | 3 |",
        "`0123456789abcdef`",
        "| threshold | `24.0` |",
        "| conversations | 40 |",
        "20 hit, 10 fit, 10 forced",
        "All persons are synthetic",
        "licence: CC BY-SA 4.0",
    ):
        assert fact in card, fact


def test_data_card_names_prompts_and_cost(tmp_path: Path) -> None:
    """From the log, where it is there; said to be unknown where it is not."""
    catalogue = make_catalogue(tmp_path / "catalogue")
    config = {"seed": 0, "models": {"simulator": "openai:m"}, "prompts": "p", "catalogue": "f"}
    scenarios = make_run(tmp_path / "run", [], catalogue).scenarios()
    for name, facts in {
        "known": RunFacts("mine", config, {}, {"user.need": "0a1b"}, Spent(1.234, 12, 3456, 789)),
        "unknown": RunFacts("mine", config, {}),
    }.items():
        source = Source(facts, catalogue, lambda: [make_conversation(0, catalogue)], scenarios, [])
        export(source, "messages", tmp_path / name, Options(Images.none))
    known = (tmp_path / "known" / "README.md").read_text("utf-8")
    assert (
        "| `user.need` | `0a1b` |" in known and "| cost | 1.23 USD |" in known and "| input tokens | 3,456 |" in known
    )
    unknown = (tmp_path / "unknown" / "README.md").read_text("utf-8")
    assert "Unknown: the run's log is not at hand" in unknown and "Hashes by agent call: unknown" in unknown


def test_data_card_of_a_run_as_it_is_made(catalogue: Path, tmp_path: Path) -> None:
    """Prompts, calls and tokens come from the run's log; pictures of a drawn catalogue are in the export."""
    generate(RunOptions(catalog=catalogue, scenarios=20, convs=1, out=tmp_path / "run"))
    said = synth("export", str(tmp_path / "run"), "--format", "sharegpt", "--out", str(tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    with closing(RunFolder.open(tmp_path / "run").store()) as store:
        calls = list(store.calls())
    assert "1 conversations of" in said and f"| model calls | {len(calls):,} |" in card
    assert "| cost | nothing: no model was asked |" in card
    told = set(re.findall(r"^\| `([\w.]+)` \| `(\w{16})` \|$", card, re.MULTILINE))
    assert told == {(call.call, call.prompt) for call in calls}
    assert list((tmp_path / "out" / "images").rglob("*.jpg"))


@pytest.mark.parametrize("name", ["models", "seed", "prompts", "catalogue"])
def test_card_without_a_fact_it_needs_is_refused(tmp_path: Path, name: str) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue")
    config = {"seed": 0, "models": {"simulator": "openai:m"}, "prompts": "p", "catalogue": "f"}
    del config[name]
    source = Source(RunFacts("mine", config, {}), catalogue, lambda: [make_conversation(0, catalogue)], [], [])
    with pytest.raises(SynthError, match=f"data card says `{name}`, and the settings of mine have none"):
        export(source, "messages", tmp_path / "out", Options())
    assert not (tmp_path / "out").exists()


def test_hub_reads_the_card(run: RunFolder, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the dev extra's datasets installs huggingface_hub")
    for format in formats():
        synth("export", "bags", "--format", format, "--out", format)
        data = hub.DatasetCard.load(tmp_path / format / "README.md").data
        assert data.license == "cc-by-sa-4.0" and "synthetic" in data.tags


def test_data_card_of_a_live_run_has_no_simulator_note(run: RunFolder, tmp_path: Path) -> None:
    config = (run.path / "config.toml").read_text("utf-8").replace('"offline"', '"openai:gpt-4o-mini"')
    (run.path / "config.toml").write_text(config, "utf-8")
    synth("export", "bags", "--format", "messages", "--out", "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "offline" not in card and "| model of the rewriter | `openai:gpt-4o-mini` |" in card


# ---- lavic


def test_lavic_reads_back(run: RunFolder, tmp_path: Path) -> None:
    said = synth("export", "bags", "--format", "lavic", "--out", "out")
    assert "10 left out: forced" in said
    assert "| accepted, but left out here: forced | 10 |" in (tmp_path / "out" / "README.md").read_text("utf-8")
    examples = list(read_lavic(tmp_path / "out"))
    assert len(examples) == 30 == len({example.id for example in examples})
    files = [tmp_path / "out" / f"{name}.jsonl" for name in ("train", "valid", "test")]
    by_conversation = {row["conversation"]: row for path in files if path.exists() for row in rows(path)}
    truths = {example.truth for example in examples}
    assert truths <= {f"b{n}" for n in range(PRODUCTS)}
    for example, row in zip(examples, by_conversation.values(), strict=True):
        original = next(c for c in run.conversations() if c.id == row["conversation"])
        assert example.truth == original.accepted_id and example.truth in example.candidates
        assert sorted(example.candidates) == sorted(c.id for c in original.turns[4].retrieval.candidates)  # type: ignore[union-attr]
        assert [(t.speaker, t.act, t.products) for t in example.context] == [
            (t.speaker, t.act, t.products) for t in original.turns[:4]
        ]
        assert example.context[3].text == "Too pale – no."
        assert "&lt;/comment&gt;" in example.context[1].text
        assert row["gt_retrieved"] is True
        assert row["target_retrieved"] is (original.target_id in example.candidates)
    fit = by_conversation["c000001"]
    assert (fit["gt_items"], fit["target"], fit["ended_by"]) == (["b4"], "b1", "fit")
    ranks = Counter(row["candidates_retrieved"].index(row["gt_items"][0]) for row in by_conversation.values())
    assert len(ranks) > 2


def test_lavic_items_have_text_and_picture(run: RunFolder, tmp_path: Path) -> None:
    """Candidates no conversation shows have their pictures from the catalogue."""
    synth(
        "export", "bags", "--format", "lavic", "--images", "files", "--out", "out", "--catalog", "runs/bags-catalogue"
    )
    folder = tmp_path / "out"
    named = {
        i for e in read_lavic(folder) for i in (*e.candidates, e.truth, *(p for t in e.context for p in t.products))
    }
    items = [row for path in folder.glob("item2meta_*.jsonl") for row in rows(path)]
    assert {item["id"] for item in items} >= named and len(items) == len({item["id"] for item in items})
    for item in items:
        assert item["title"].startswith("Bag number") and "Made to last" in item["image_description_llava_cleaned"]
        assert item["image_name"] == f"{item['id']}_0.jpg" and item["described_by"] == "summary"
        with Image.open(folder / "images" / item["image_name"]) as image:
            assert image.format == "JPEG" and image.size == (8, 10)
    table = json.loads((folder / "item2meta.json").read_text("utf-8"))
    assert table["b3"]["title"] == "Bag number 3" and list(table["b3"]["image_descriptions_llava_cleaned"]) == [
        "b3_0.jpg"
    ]


def test_lavic_counts_missing_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    catalogue = make_catalogue(tmp_path / "elsewhere")
    run = make_run(tmp_path / "run", [make_conversation(0, catalogue)], catalogue)
    said = synth("export", str(run.path), "--format", "lavic", "--images", "files", "--out", "out")
    assert "pictures are not at hand" in said
    (tmp_path / "catalogues").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "catalogues" / "bags")
    again = synth("export", str(run.path), "--format", "lavic", "--images", "files", "--out", "again")
    assert "not at hand" not in again


def test_lavic_forced_on_request(run: RunFolder, tmp_path: Path) -> None:
    assert "left out" not in synth("export", "bags", "--format", "lavic", "--out", "out", "--forced")
    made = all_rows(tmp_path / "out", "train", "valid", "test")
    forced = [row for row in made if row["ended_by"] == "forced"]
    assert len(made) == 40 and len(forced) == 10
    assert all(row["gt_items"] == [row["target"]] for row in forced)
    assert any(not row["gt_retrieved"] for row in forced)


def test_lavic_ids_that_are_no_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    catalogue = make_catalogue(tmp_path / "plain")
    strange = {"b0": "a/../b", "b1": "B2", "b3": "ü?"}
    products = [product.model_copy(update={"id": strange.get(product.id, product.id)}) for product in catalogue]
    catalogue = catalogue.rewritten(tmp_path / "plain", products)
    run = make_run(tmp_path / "run", [make_conversation(0, catalogue)], catalogue)
    synth("export", str(run.path), "--format", "lavic", "--images", "files", "--out", "out", "--catalog", "plain")
    names = [row["image_name"] for path in (tmp_path / "out").glob("item2meta_*.jsonl") for row in rows(path)]
    assert len({name.lower() for name in names}) == len(names) == len(list((tmp_path / "out" / "images").iterdir()))


def test_read_lavic_refuses(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no train.jsonl or valid.jsonl or test.jsonl"):
        list(read_lavic(tmp_path))
    good = {"context": "<submission>Hi</submission>\n", "context_items": [], "gt_items": ["a"], "candidates_st": ["a"]}
    (tmp_path / "valid.jsonl").write_text(json.dumps(good) + "\n{}\n", "utf-8")
    read = read_lavic(tmp_path)
    assert next(read).truth == "a"
    with pytest.raises(SynthError, match="valid.jsonl, line 2 is not a LaViC example"):
        next(read)
    with pytest.raises(SynthError, match="no 'candidates_gpt_large'"):
        list(read_lavic(tmp_path, candidates="gpt_large"))


@pytest.mark.real_data
@pytest.mark.skipif("SYNTH_TEST_DATA" not in os.environ, reason="SYNTH_TEST_DATA names no folder with real data")
@pytest.mark.parametrize(
    ("domain", "split", "conversations", "pairs", "found"),
    [
        ("all_beauty", "test", 772, 890, 0.218),
        ("amazon_fashion", "test", 826, 998, 0.204),
        ("amazon_home", "valid", 368, 390, None),
    ],
)
def test_reddit_amazon(domain: str, split: str, conversations: int, pairs: int, found: float | None) -> None:
    """The counts of the release, and SBERT's recall at 10, the ceiling of what LaViC can reach."""
    folder = Path(os.environ["SYNTH_TEST_DATA"]) / "reddit_amazon" / domain
    examples = list(read_lavic(folder, split=split))
    assert len(examples) == pairs
    assert len({example.id.split("#")[0] for example in examples}) == conversations
    assert all(len(e.candidates) == 10 and e.context and e.context[0].speaker == "user" for e in examples)
    assert all("<comment>" not in turn.text and "<submission>" not in turn.text for e in examples for turn in e.context)
    if found is not None:
        assert sum(e.truth in e.candidates for e in examples) / pairs == pytest.approx(found, abs=0.0005)
        larger = read_lavic(folder, split=split, candidates="gpt_large")
        assert [e.candidates for e in larger] != [e.candidates for e in examples]


# ---- the folder and the registry


def test_existing_folder_is_replaced_only_with_yes(run: RunFolder, tmp_path: Path) -> None:
    synth("export", "bags", "--format", "messages", "--out", "out")
    with pytest.raises(SynthError, match="exists already.*--yes"):
        synth("export", "bags", "--format", "lavic", "--out", "out")
    before = (tmp_path / "out" / "train.jsonl").read_bytes()
    synth("export", "bags", "--format", "lavic", "--out", "out", "--yes")
    assert (tmp_path / "out" / "train.jsonl").read_bytes() != before
    assert json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))["format"] == "lavic"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"]


def test_yes_never_replaces_what_is_no_export(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work", "utf-8")
    for place in ("thesis", ".", "runs/bags", "thesis/chapter1.tex"):
        with pytest.raises(SynthError, match="is not an export"):
            synth("export", "bags", "--format", "messages", "--out", place, "--yes")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text("utf-8") == "years of work"


def test_failure_leaves_nothing(run: RunFolder, tmp_path: Path) -> None:
    lines = (run.path / "conversations.jsonl").read_text("utf-8").splitlines()
    lines[20] = lines[20][:100]
    (run.path / "conversations.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(SynthError, match="line 21 is broken"):
        synth("export", "bags", "--format", "messages", "--out", "out")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("format", ["hf", "lavic", "messages", "muse", "redial", "sharegpt"])
def test_interrupted_export_leaves_nothing(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "old").write_text("of a process that was killed", "utf-8")

    def interrupt(self: Source, product_id: str) -> Product:
        raise KeyboardInterrupt

    monkeypatch.setattr(Source, "product", interrupt)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        synth("export", "bags", "--format", format, "--out", "out")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_run_without_conversations(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [], wanted=5, finished=False)
    for format in formats():
        with pytest.raises(SynthError, match="no accepted conversation yet"):
            synth("export", str(run.path), "--format", format, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_running_run_is_not_exported(run: RunFolder) -> None:
    run.lock()
    try:
        with pytest.raises(SynthError, match="is being written"):
            synth("export", "bags", "--format", "messages")
    finally:
        run.unlock()


def test_run_on_a_medium_that_cannot_be_written(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: FileLock, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self.lock_file))

    monkeypatch.setattr(FileLock, "acquire", denied)
    assert "40 conversations" in synth("export", "bags", "--format", "messages")


def test_unknown_format_and_wrong_catalogue(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(
        SynthError, match="no export format 'csv'. Formats: hf, inspect, lavic, messages, muse, otlp, redial, sharegpt"
    ) as caught:
        synth("export", "bags", "--format", "csv")
    assert caught.value.exit_code == Exit.BAD_INPUT
    make_catalogue(tmp_path / "other", products=3)
    with pytest.raises(SynthError, match="is not the catalogue this run was made from"):
        synth("export", "bags", "--format", "lavic", "--catalog", "other")


def test_json_summary(run: RunFolder) -> None:
    facts = json.loads(synth("export", "bags", "--format", "lavic", "--out", "out", "--json"))
    assert sum(facts["rows"].values()) == 30 and facts["left_out"] == {"forced": 10}
    manifest = json.loads(Path("out/export.json").read_text("utf-8"))
    assert (manifest["format"], manifest["run"], manifest["images"]) == ("lavic", "bags", "links")


def own_format(source: Source, folder: Path, options: Options) -> Report:
    """An exporter as another package would add it."""
    ids = [conversation.id for conversation in source.conversations()]
    (folder / "ids.txt").write_text("\n".join(ids), "utf-8")
    return Report({"ids": len(ids)})


def test_format_from_an_entry_point(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("ids", f"{__name__}:own_format", registry.GROUP),
            EntryPoint("broken", "no_such_package:write", registry.GROUP),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: points.select(**wanted))
    assert formats() == ["broken", "hf", "ids", "lavic", "messages", "muse", "redial", "sharegpt"]
    said = synth("export", "bags", "--format", "ids", "--out", "out")
    assert "40 conversations of" in said and len((tmp_path / "out" / "ids.txt").read_text().split()) == 40
    with pytest.raises(SynthError, match="Format broken .* cannot be loaded"):
        synth("export", "bags", "--format", "broken", "--out", "other")


def test_export_from_python(tmp_path: Path) -> None:
    """Without a run folder: records in, files out."""
    catalogue = make_catalogue(tmp_path / "catalogue")
    made: list[Conversation] = [make_conversation(0, catalogue)]
    facts = RunFacts("mine", {"seed": 0, "models": {"simulator": "openai:m"}, "prompts": "p", "catalogue": "f"}, {})
    source = Source(facts, catalogue, lambda: made, [], [catalogue.images])
    report = export(source, "lavic", tmp_path / "out", Options(Images.none))
    assert sum(report.rows.values()) == 1 and not (tmp_path / "out" / "images").exists()
    with pytest.raises(SynthError, match="no scenario 's0'"):
        export(source, "messages", tmp_path / "other", Options())
