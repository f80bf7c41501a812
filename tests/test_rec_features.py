"""Stage 0 and the feature cache: exact, resumable after a kill, and clear about what is damaged or missing."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("transformers", "peft", "accelerate", "safetensors"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from typer.testing import CliRunner

from synth.cli import app as whole
from synth.cli.train import app
from synth.cli.train_data import open_data
from synth.errors import SynthError
from synth.recommender import describe as stage
from synth.recommender.architecture import Architecture, load
from synth.recommender.crops import crops, image_hash, open_image
from synth.recommender.describe import Picture, clean, describe, prompt, read_descriptions
from synth.recommender.features import FeatureCache, FeatureKey, build, encode, key_of
from synth.recommender.items import read_meta
from synth.recommender.presets import LanguageShape, TowerShape, build_tiny

SIZES = [(40, 40), (90, 30), (30, 90), (60, 50), (200, 20), (17, 33), (16, 16), (60, 80)]
TOWER = TowerShape(crop=16, patch=8, width=16, layers=2, heads=2)
LANGUAGE = LanguageShape(width=32, layers=2, heads=2, vocabulary=320)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["A red dress for women.", "Blue shirt, for men (blue)."]
    return build_tiny(texts, tmp_path_factory.mktemp("presets") / "tiny", tower=TOWER, language=LANGUAGE)


@pytest.fixture(scope="module")
def model(folder: Path) -> Architecture:
    return load(folder, "fp32", "cpu")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Architecture:
    """A model of other weights and words."""
    folder = tmp_path_factory.mktemp("presets") / "other"
    return load(build_tiny(["Green hat of wool."], folder, tower=TOWER, language=LANGUAGE, seed=9), "fp32", "cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for n, (width, height) in enumerate(SIZES):
        values = np.random.default_rng(n).integers(1, 255, (height, width, 3), dtype=np.uint8)
        paths.append(folder / f"I{n}_0.png")
        Image.fromarray(values).save(paths[-1])
    return paths


class Killed(Exception):
    pass


class Stopper:
    """Progress that stops the work once so much is done."""

    def __init__(self, after: int) -> None:
        self.after, self.totals = after, dict[str, int]()

    def stage(self, name: str, total: int) -> None:
        self.totals[name] = total

    def advance(self, done: int) -> None:
        if done >= self.after:
            raise Killed

    def note(self, text: str) -> None: ...


@pytest.mark.parametrize("pooling", ["cls", "patches"])
def test_cached_features_equal_fresh_ones(
    model: Architecture, pictures: list[Path], tmp_path: Path, pooling: Any
) -> None:
    key = key_of(model, pooling=pooling)
    built = build(model, pictures, tmp_path, key, shard=3, workers=2)
    assert (built.encoded, built.rebuilt, len(built.cache)) == (8, 0, 8)
    cache = FeatureCache.open(tmp_path, key)
    for path in pictures:
        pixels = crops(open_image(path), model.image_processor)
        cached = cache.get(image_hash(path))
        assert torch.equal(cached, encode(model, [pixels], key)[0])
        plain = model.encode(pixels, pooling=pooling)
        assert cached.dtype is torch.float16 and cached.shape == plain.shape
        assert torch.allclose(cached.float(), plain, atol=2e-3, rtol=2e-3)
        assert cache.crops(image_hash(path)) == len(pixels)
    assert cache.bytes == sum(path.stat().st_size for path in cache.folder.glob("*.safetensors"))


def test_equal_files_are_encoded_once_and_nothing_twice(
    model: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(pictures[0].read_bytes())
    key = key_of(model)
    assert build(model, [*pictures[:3], copy], tmp_path / "caches", key).encoded == 3
    later = build(model, pictures, tmp_path / "caches", key)
    assert (later.encoded, len(later.cache)) == (5, 8)
    assert build(model, pictures, tmp_path / "caches", key).encoded == 0


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from synth.recommender import features
from synth.recommender.architecture import load
out, model, *paths = sys.argv[1:]
architecture = load(model, "fp32", "cpu")
real = features._write
def write(path, data):
    if path.name == "shard-00002.safetensors":
        path.with_name(path.name + ".tmp").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, data)
features._write = write
features.build(architecture, [Path(p) for p in paths], Path(out), features.key_of(architecture), shard=2, chunk=1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_build_killed_goes_on_where_it_was(
    model: Architecture, folder: Path, pictures: list[Path], tmp_path: Path
) -> None:
    arguments = [str(tmp_path / "killed"), str(folder), *map(str, pictures)]
    dead = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert dead.returncode == -signal.SIGKILL
    key = key_of(model)
    rest = build(model, pictures, tmp_path / "killed", key, shard=2, chunk=1)
    whole = build(model, pictures, tmp_path / "whole", key, shard=2, chunk=1)
    assert 0 < rest.encoded < whole.encoded == 8
    assert not list(rest.cache.folder.glob("*.tmp"))
    for path in pictures:
        assert torch.equal(rest.cache.get(image_hash(path)), whole.cache.get(image_hash(path)))


def test_a_damaged_shard_is_found_and_made_again(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    key = key_of(model)
    cache = build(model, pictures, tmp_path, key, shard=4).cache
    before = {path: cache.get(image_hash(path)).clone() for path in pictures}
    shard = sorted(cache.folder.glob("*.safetensors"))[0]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    damaged = FeatureCache.open(tmp_path, key)
    with pytest.raises(SynthError, match="is damaged: its checksum is another"):
        damaged.get(image_hash(pictures[0]))
    assert torch.equal(damaged.get(image_hash(pictures[-1])), before[pictures[-1]])
    again = build(model, pictures, tmp_path, key, shard=4)
    assert (again.rebuilt, again.encoded) == (1, 4)
    assert all(torch.equal(again.cache.get(image_hash(path)), features) for path, features in before.items())
    sorted(again.cache.folder.glob("*.safetensors"))[0].write_bytes(b"\x20" + bytes(7) + b"no header")
    with pytest.raises(SynthError, match="no readable header"):
        FeatureCache.open(tmp_path, key)


def test_another_key_is_another_cache(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    key = key_of(model)
    with pytest.raises(SynthError, match="has no features of this kind. Make them"):
        FeatureCache.open(tmp_path, key)
    build(model, pictures[:2], tmp_path, key)
    distilled = key_of(model, adapter="0123456789abcdef")
    with pytest.raises(SynthError, match="those there have another adapter"):
        FeatureCache.open(tmp_path, distilled)
    others = [distilled, key_of(model, layer=-2), key_of(model, pooling="patches")]
    changed = FeatureKey(key.encoder, -1, "cls", "", "other processor", key.dtype)
    assert len({k.digest for k in (key, changed, *others)}) == 5
    grid = model.image_processor.image_grid_pinpoints
    try:
        model.image_processor.image_grid_pinpoints = grid[:2]
        assert key_of(model).processor != key.processor
    finally:
        model.image_processor.image_grid_pinpoints = grid


def test_features_made_in_bf16_are_read_where_there_is_none(
    model: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    key = key_of(model)
    made = replace(key, dtype="bfloat16")
    build(model, pictures[:2], tmp_path, made)
    features = FeatureCache.open(tmp_path, key).get(image_hash(pictures[0]))
    assert key.dtype == "float16" and features.dtype is torch.bfloat16
    assert model.project(features).dtype is torch.float32
    build(model, pictures[:2], tmp_path, key)
    assert FeatureCache.open(tmp_path, key).key == key


def test_pictures_that_cannot_be_read_are_left_out_and_named(
    model: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    built = build(model, [pictures[0], broken, tmp_path / "absent.png"], tmp_path / "caches", key_of(model))
    assert built.encoded == 1 and len(built.unreadable) == 2
    assert any("broken.png" in said for said in built.unreadable.values())
    assert any("absent.png" in said for said in built.unreadable.values())
    with pytest.raises(SynthError, match="not among the cached features"):
        built.cache.get("0" * 32)


def wanted(pictures: list[Path]) -> list[Picture]:
    titles = ["Red bag", "A long title of a blue shirt for men who wear blue shirts", "", "Dress"]
    return [Picture(path.stem[:-2], titles[n % 4], path) for n, path in enumerate(pictures)]


def test_descriptions_go_on_where_they_stopped(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    asked = wanted(pictures)
    whole = describe(model, asked, tmp_path / "whole.jsonl", batch=3, max_new_tokens=6)
    assert (whole.written, whole.kept) == (8, 0)
    out = tmp_path / "stopped.jsonl"
    with pytest.raises(Killed):
        describe(model, asked, out, batch=3, max_new_tokens=6, progress=Stopper(3))
    with out.open("a") as file:
        file.write('{"id": "I7", "half')
    rest = describe(model, asked, out, batch=3, max_new_tokens=6)
    assert (rest.written, rest.kept) == (5, 3)
    lines = out.read_text().splitlines()
    assert sorted(lines) == sorted((tmp_path / "whole.jsonl").read_text().splitlines()) and len(lines) == 8
    again = describe(model, asked, out, batch=3, max_new_tokens=6)
    assert (again.written, again.kept) == (0, 8)
    renamed = [Picture(asked[0].item, "Another title", asked[0].path)]
    assert describe(model, renamed, out, max_new_tokens=6).written == 1
    assert describe(model, asked, out, max_new_tokens=7).written == 8


def test_a_description_does_not_depend_on_its_batch(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    asked = wanted(pictures)
    describe(model, asked, tmp_path / "one.jsonl", batch=1, max_new_tokens=8)
    describe(model, asked, tmp_path / "all.jsonl", batch=8, max_new_tokens=8)
    one, every = read_descriptions(tmp_path / "one.jsonl"), read_descriptions(tmp_path / "all.jsonl")
    assert one == every and len(one) == 8


def test_the_file_of_descriptions_is_metadata(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "described.jsonl"
    describe(model, wanted(pictures)[:2], out, max_new_tokens=4)
    assert {item: meta.descriptions for item, meta in read_meta([out]).items()} == read_descriptions(out)
    out.write_text('{"a": 1}\n')
    with pytest.raises(SynthError, match="line 1 is no description"):
        read_descriptions(out)
    with pytest.raises(SynthError, match="There is no file"):
        read_descriptions(tmp_path / "absent.jsonl")


def test_a_reader_leaves_a_file_of_descriptions_as_it_is(
    model: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "described.jsonl"
    asked = wanted(pictures)[:3]
    describe(model, asked, out, max_new_tokens=4)
    whole, found = out.read_bytes(), read_descriptions(out)
    for written in (whole[:-1], whole + b'{"id": "I3", "ti', whole + b'{"id": "\xc3'):
        out.write_bytes(written)
        assert read_descriptions(out) == found and out.read_bytes() == written
        assert describe(model, asked, out, max_new_tokens=4).kept == 3
        assert out.read_bytes() == whole


def test_descriptions_are_asked_for_by_their_model(
    model: Architecture, other: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "described.jsonl"
    asked = wanted(pictures)[:3]
    describe(model, asked, out, max_new_tokens=4)
    own = read_descriptions(out)
    with pytest.raises(SynthError, match="has no description by this model"):
        read_descriptions(out, other.fingerprint)
    describe(other, asked, out, max_new_tokens=4)
    assert describe(model, asked, out, max_new_tokens=4).kept == 3
    assert read_descriptions(out) != own
    assert read_descriptions(out, model.fingerprint) == own


def test_descriptions_in_another_precision_are_others(folder: Path, pictures: list[Path], tmp_path: Path) -> None:
    asked = wanted(pictures)[:1]
    for precision in ("fp32", "bf16"):
        made = load(folder, precision, "cpu")  # type: ignore[arg-type]
        assert describe(made, asked, tmp_path / "out.jsonl", max_new_tokens=2).written == 1


def test_unreadable_pictures_do_not_stop_the_others(model: Architecture, pictures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    asked = [Picture("A", "A", broken), Picture("B", "B", tmp_path / "absent.png"), *wanted(pictures)[:1]]
    done = describe(model, asked, tmp_path / "out.jsonl", batch=3, max_new_tokens=4)
    assert done.written == 1 and set(done.unreadable) == {str(broken), str(tmp_path / "absent.png")}


def test_the_request_gives_the_title_and_nothing_spelt_in_it_is_special(model: Architecture) -> None:
    ids = prompt(model, "Red <image> bag </s>", 3)
    assert ids.count(model.image_token_id) == 3 and model.tokenizer.eos_token_id not in ids
    text = model.tokenizer.decode(ids, skip_special_tokens=True).lower()
    assert "bag" in text and "do not repeat the title" in text and text.rstrip().endswith("assistant:")
    assert ids[0] == model.tokenizer.bos_token_id


def test_a_chat_template_is_used_where_there_is_one(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "chat")
    template = (
        "{% for m in messages %}[INST] {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
    )
    (tmp_path / "chat" / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    chat = load(tmp_path / "chat", "fp32", "cpu")
    text = chat.tokenizer.decode([i for i in prompt(chat, "Bag", 1) if i != chat.image_token_id]).lower()
    assert "[inst]" in text.replace(" ", "") and text.replace(" ", "").endswith("[/inst]")
    chat.tokenizer.chat_template = "{{ messages[0]['content'] + '!' }}"
    assert prompt(chat, "Bag", 2).count(chat.image_token_id) == 2
    chat.tokenizer.chat_template = "nothing"
    with pytest.raises(SynthError, match="no place for a picture"):
        prompt(chat, "Bag", 1)


def test_an_unfinished_sentence_is_dropped() -> None:
    assert clean(" A red  bag.\nIt has a ", True) == "A red bag."
    assert clean("A red bag. It has a", False) == "A red bag. It has a"
    assert clean("a red bag with", True) == "a red bag with"


def test_the_instruction_asks_what_lavic_asks() -> None:
    assert stage.MAX_NEW_TOKENS == 128 and "{title}" in stage.INSTRUCTION


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, pictures: list[Path]) -> Path:
    """A data set of eight items in the form of an export."""
    data = tmp_path_factory.mktemp("export")
    (data / "images").mkdir()
    table = {}
    for path in pictures:
        (data / "images" / path.name).write_bytes(path.read_bytes())
        table[path.stem[:-2]] = {
            "title": f"{'Red' if int(path.stem[1]) % 2 else 'Blue'} bag",
            "images": [f"images/{path.name}"],
            "image_descriptions_llava_cleaned": {},
        }
    (data / "item2meta.json").write_text(json.dumps(table))
    names = list(table)
    row = {"context": "<submission>A bag</submission>\n", "context_items": [], "gt": "", "gt_items": [names[0]]}
    for split in ("train", "test"):
        (data / f"{split}.jsonl").write_text(json.dumps({**row, "candidates_retrieved": names}) + "\n")
    return data


def run(*arguments: object) -> tuple[int, str, Any]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output, result.exception


def test_the_commands(export: Path, folder: Path, tmp_path: Path) -> None:
    shared = ("--data", export, "--model", folder, "--device", "cpu", "--precision", "fp32")
    out = tmp_path / "described.jsonl"
    code, said, error = run("describe", *shared, "--out", out, "--max-new-tokens", 4)
    assert code == 0, error
    assert "8 pictures described, 0 were" in said and len(read_descriptions(out)) == 8
    assert "0 pictures described, 8 were" in run("describe", *shared, "--out", out, "--max-new-tokens", 4)[1]
    code, said, error = run("features", *shared, "--out", tmp_path / "caches")
    assert code == 0, error
    assert "8 pictures (" in said and "pictures a second" in said and "MB" in said
    for wrong, line in (
        (("describe", *shared[:-2], "--precision", "half", "--out", out), "--precision half is not possible"),
        (("features", *shared, "--pooling", "mean", "--out", out), "--pooling mean is not possible"),
        (("features", *shared, "--adapter", folder, "--out", tmp_path), "is not a checkpoint"),
        (("describe", "--data", tmp_path / "none", "--model", folder, "--out", out), "There is no folder"),
    ):
        error = run(*wrong)[2]
        assert isinstance(error, SynthError) and line in str(error)


def test_descriptions_stand_beside_the_metadata_of_an_export(
    export: Path, model: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "described.jsonl"
    describe(model, wanted(pictures), out, max_new_tokens=4)
    data = open_data(export, out)
    assert {item: one.descriptions for item, one in data.items.items()} == read_descriptions(out)
    plain = open_data(export).items
    assert all(one.title == plain[item].title and one.images == plain[item].images for item, one in data.items.items())


def test_distill_learns_the_descriptions_of_its_own_model(
    export: Path, folder: Path, other: Architecture, pictures: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "described.jsonl"
    describe(other, wanted(pictures), out, max_new_tokens=4)
    learn = ("--data", export, "--model", folder, "--device", "cpu", "--descriptions", out, "--out", tmp_path / "out")
    refused = CliRunner().invoke(whole, ["train", "distill", *map(str, learn), "--tracker", "none"]).exception
    assert isinstance(refused, SynthError) and "has no description by this model" in str(refused)


def test_warmup_makes_a_model_that_describes(export: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    epochs = ("--attribute-epochs", 1, "--caption-epochs", 1, "--batch", 4)
    import synth.recommender.warmup as warmup

    rare, warmup._RARE = warmup._RARE, 2
    try:
        code, said, error = run("warmup", "--data", export, "--out", model, "--device", "cpu", *epochs)
    finally:
        warmup._RARE = rare
    assert code == 0, error
    assert "attributes:" in said and "captions:" in said
    code, said, error = run(
        "describe", "--data", export, "--model", model, "--out", tmp_path / "d.jsonl", "--max-new-tokens", 3
    )
    assert code == 0 and "8 pictures described" in said, error
    error = run("warmup", "--data", export, "--out", model)[2]
    assert isinstance(error, SynthError) and "exists already" in str(error)
