"""`synth train ablations`: equal batches in every variant, entire tokens end to end, one domain against all."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("peft", "accelerate", "ir_measures", "scipy"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from typer.testing import CliRunner

from synth.cli import app
from synth.errors import SynthError
from synth.recommender import ablation
from synth.recommender.ablation import plan_of
from synth.recommender.adapters import Lora
from synth.recommender.answering import Pictures, PromptSettings
from synth.recommender.architecture import load
from synth.recommender.crops import crops, image_hash, open_image
from synth.recommender.data import read_lavic
from synth.recommender.feature_key import key_of
from synth.recommender.features import build, encode
from synth.recommender.method import TrainSettings
from synth.recommender.presets import build_tiny
from synth.recommender.recommend import Recommend, RecommendSettings
from synth.recommender.runs import read_run
from synth.recommender.variants import FULL, VARIANTS, merged_items
from tests.support.tiny_llava import MemoryFeatures, World, hashes, make_world, write_data

QUICK = ["--epochs", "1", "--lr", "0.01", "--device", "cpu", "--tracker", "none", "--workers", "0", "--batch", "4"]
SETTINGS = TrainSettings(epochs=2, batch=3, lr=1e-2, workers=0, trackers=())


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("ablation"))


@pytest.fixture(scope="module")
def data(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(world, tmp_path_factory.mktemp("data") / "toys")


@pytest.fixture(scope="module")
def tiny(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny preset as it is: two million weights, crops of 16 patches."""
    texts = [example.text for example in world.train] + [item.text for item in world.items.values()]
    return build_tiny(texts * 3, tmp_path_factory.mktemp("preset") / "tiny")


@pytest.fixture(scope="module")
def distilled(tiny: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("distilled")
    said = run("train", "distill", "--data", data, "--model", tiny, "--out", out, *QUICK)
    assert "Memory at most about" in said and "activations" in said and "are free" in said
    return out


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def make(world: World, features: MemoryFeatures, *, apart: bool = True, show: Any = "features", **options: Any) -> Any:
    prompt = PromptSettings(show=show, apart=apart, max_length=options.pop("max_length", 2048))
    model = load(world.model, "fp32", "cpu", tower=False)
    pictures = Pictures(features, hashes(world.items))
    train_on = options.pop("train", world.train)
    return Recommend(model, train_on, [], world.items, pictures, RecommendSettings(prompt, Lora(**options)))


@pytest.fixture(scope="module")
def study(world: World, data: Path, tiny: Path, distilled: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All four arms of Table 7."""
    out = tmp_path_factory.mktemp("study")
    command = ["train", "ablations", "--data", data, "--model", tiny, "--features", out / "features",
               "--distilled", distilled, "--out", out / "arms", *QUICK]  # fmt: skip
    return {"out": out, "command": command, "said": run(*command)}


def test_all_arms_are_trained_alike_and_compared(study: Any) -> None:
    arms = study["out"] / "arms"
    metrics = {name: json.loads((arms / name / "toys" / "metrics.json").read_text()) for name in list(VARIANTS)[:4]}
    assert {m["identity"]["examples"] for m in metrics.values()} == {14}
    assert len({m["history"][-1]["step"] for m in metrics.values()}) == 1
    # They do differ in what they are shown.
    assert len({m["history"][-1]["train_loss"] for m in metrics.values()}) == 4
    assert {m["history"][-1]["ceiling"] for m in metrics.values()} == {1.0}
    table = json.loads((arms / "metrics.json").read_text())[0]
    titles = [VARIANTS[name].title for name in metrics]
    assert list(table["systems"]) == titles and table["against"] == "LaViC" and table["data"] == "toys"
    assert {one["system"] for one in table["comparisons"]} == set(titles) - {"LaViC"}
    assert {s["facts"]["variant"] for s in table["systems"].values()} == set(metrics)
    for shown in ("Ablations", "p (Holm)", "McNemar, exact", "by the right answer's place", "entire tokens"):
        assert shown in study["said"], shown
    assert "Ablations" in (arms / "metrics.md").read_text()
    keys = [json.loads(path.read_text()) for path in (study["out"] / "features").glob("*/key.json")]
    assert sorted((k["pooling"], k["layer"], bool(k["adapter"])) for k in keys) == [
        ("cls", -1, False), ("cls", -1, True), ("patches", -2, False),
    ]  # fmt: skip


def test_arms_are_compared_over_chosen_candidates(data: Path, world: World, tmp_path: Path) -> None:
    command = ["train", "ablations", "--data", data, "--model", world.model, "--arms", "without-images",
               "--candidates", "bm25", "-k", 3, "--out", tmp_path, *QUICK]  # fmt: skip
    run(*command)
    folder = tmp_path / "without-images" / "toys" / "runs" / "toys" / "scored"
    scored, queries = read_run(folder)
    assert {len(query.candidates) for query in queries} == {3}
    assert (scored.facts["candidates"], scored.facts["others"]) == ("bm25", "out")
    run(*command, "--others", "kept")
    assert read_run(folder)[0].facts["others"] == "kept"
    with pytest.raises(SynthError, match="The batches on toys are not those"):
        run(*command, "-k", 4)


def test_the_layout_can_be_had_from_the_runs_alone(study: Any) -> None:
    runs = sorted((study["out"] / "arms").glob("*/toys/runs/toys/scored"))
    assert len(runs) == 4
    shown = run("eval", "recommend", *runs, "--layout", "ablation", "--against", "LaViC")
    assert "Ablations" in shown and "without self-distillation" in shown


def test_the_same_command_trains_and_answers_nothing_again(study: Any) -> None:
    paths = [*(study["out"] / "arms").glob("*/toys/best/trained.pt"), *(study["out"] / "arms").rglob("run.jsonl")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    assert len(before) == 4 + 8
    shards = {path: path.stat().st_mtime_ns for path in (study["out"] / "features").rglob("*.safetensors")}
    again = run(*study["command"])
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    assert again.split("Ablations")[1] == study["said"].split("Ablations")[1]


def test_other_settings_in_the_folder_are_refused(study: Any) -> None:
    with pytest.raises(SynthError, match="batches on toys are not those of the variants"):
        run(*study["command"], "--seed", 1)


def test_ctrl_c_between_arms_and_the_same_command_goes_on(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "ablations", "--data", data, "--model", world.model, "--out", tmp_path / "arms",
               "--arms", "without-images,descriptions", *QUICK]  # fmt: skip
    whole = run(*command[:6], "--out", tmp_path / "whole", *command[8:])
    real, calls = ablation.train, []

    def stopping(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(ablation, "train", stopping)
    with pytest.raises(SynthError, match="Stopped") as stopped:
        run(*command)
    assert stopped.value.exit_code == 130
    first = tmp_path / "arms" / "without-images" / "toys" / "best" / "trained.pt"
    before = first.stat().st_mtime_ns
    monkeypatch.setattr(ablation, "train", real)
    said = run(*command)
    assert first.stat().st_mtime_ns == before
    assert said.split("Ablations")[1].split("Runs:")[0] == whole.split("Ablations")[1].split("Runs:")[0]


def test_variants_learn_from_equal_batches_and_what_differs_is_seen(world: World) -> None:
    features = MemoryFeatures(load(world.model, device="cpu"), world.items)
    # So short that conversations are cut: what stands for pictures must not take words away.
    shows = ("features", "nothing", "descriptions")
    short = max(len(e.prompt) for e in make(world, features, show="nothing").examples("train")) - 20
    methods = [make(world, features, show=show, max_length=short) for show in shows]
    assert any(entry.prompt.cut for entry in methods[0].examples("train"))
    assert len({plan_of(method, SETTINGS) for method in methods}) == 1
    lengths = [[method.length(e) for e in method.examples("train")] for method in methods]
    assert lengths[0] != lengths[1] != lengths[2]
    # As they are outside an ablation they would not be equal: the check can fail.
    own = [make(world, features, show=show, apart=False, max_length=short + 100) for show in shows]
    assert len({plan_of(method, SETTINGS) for method in own}) == 3
    plan = plan_of(methods[1], SETTINGS)
    for other in (
        plan_of(methods[1], replace(SETTINGS, seed=1)),
        plan_of(methods[1], replace(SETTINGS, batch=2)),
        plan_of(make(world, features, show="nothing", max_length=short, train=world.train[1:]), SETTINGS),
        plan_of(make(world, features, show="nothing", max_length=short, rank=4), SETTINGS),
        plan_of(make(world, features, show="nothing", max_length=short - 10), SETTINGS),
    ):
        assert other != plan


@pytest.fixture(scope="module")
def patches(tiny: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Features of entire tokens, and a recommender on them."""
    dataset = read_lavic(data)
    paths = {item.id: item.images[0] for item in dataset.items.values() if item.images}
    whole = load(tiny, "fp32", "cpu")
    key = key_of(whole, layer=-2, pooling="patches")
    cache = build(whole, list(paths.values()), tmp_path_factory.mktemp("patches"), key, chunk=8).cache
    base = load(tiny, "fp32", "cpu", tower=False)
    pictures = Pictures(cache, {item: image_hash(path) for item, path in paths.items()})
    settings = RecommendSettings(
        PromptSettings(labels="letters", apart=True), layer=-2, pooling="patches", evaluation_batch=3
    )
    examples = dataset.examples
    method = Recommend(base, examples["train"], examples["valid"], dataset.items, pictures, settings)
    return whole, key, cache, method, dataset, paths


def test_every_patch_of_a_picture_is_cached_as_the_tower_gives_it(patches: Any) -> None:
    whole, key, cache, _, _, paths = patches
    for path in list(paths.values())[:6]:
        pixels = crops(open_image(path), whole.image_processor)
        kept = cache.get(image_hash(path))
        assert kept.shape == (len(pixels), 16, 128)
        assert torch.equal(kept, encode(whole, [pixels], key, 8)[0])
        hidden = whole.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        torch.testing.assert_close(kept.float(), hidden, atol=1e-2, rtol=1e-2)


def test_entire_tokens_land_on_their_own_candidate(patches: Any) -> None:
    _, _, cache, method, dataset, paths = patches
    entry = method.examples("train")[0]
    batch = method.collate([entry])
    start = 0
    for number, candidate in enumerate(entry.example.candidates):
        slots = [slot for slot in entry.prompt.slots if slot.image == number]
        own = cache.get(image_hash(paths[candidate])).flatten(0, 1) if candidate in paths else torch.zeros(0, 128)
        assert len(slots) == len(own) and len(own) in (0, 48, 64, 80)
        assert torch.equal(batch["features"][start : start + len(own)], own)
        start += len(own)
    assert start == len(entry.prompt.slots) > 4 * 16


def test_scores_from_entire_tokens_equal_the_full_forward(patches: Any) -> None:
    _, _, _, method, dataset, _ = patches
    examples = dataset.examples["valid"][:3]
    scores = method.recommender.rank(examples, batch=3)
    method.model.eval()
    prompt = method.recommender.prompt
    for example in examples:
        for candidate in example.candidates:
            asked = replace(example, gt=candidate)
            entry = method.examples("train")[0]._replace(example=asked, prompt=prompt.encode(asked))
            with torch.no_grad():
                loss, _ = method.step(method.model, method.collate([entry]))
            assert scores[example.id][candidate] == pytest.approx(-float(loss), abs=1e-3)


def test_entire_tokens_train_through_the_stages(tiny: Path, data: Path, tmp_path: Path) -> None:
    same = ["--data", data, "--model", tiny, "--pooling", "patches", "--layer", "-2"]
    run("train", "features", *same, "--out", tmp_path / "features", "--device", "cpu")
    said = run("train", "recommend", *same, "--features", tmp_path / "features", "--out", tmp_path / "trained", *QUICK)
    assert "Memory at most about" in said and "Best hr1" in said
    answered = run(
        "recommend",
        tmp_path / "trained",
        "Something red.",
        "--data",
        data,
        "--model",
        tiny,
        "--device",
        "cpu",
        "--json",
    )
    assert json.loads(answered)["ranking"]
    with pytest.raises(SynthError, match="has no features of this kind.*pooling"):
        run("train", "recommend", *same[:4], "--layer", "-2", "--features", tmp_path / "features",
            "--out", tmp_path / "other", *QUICK)  # fmt: skip


def test_a_prompt_longer_than_the_model_reads_is_refused(world: World) -> None:
    features = MemoryFeatures(load(world.model, device="cpu"), world.items)
    model = load(world.model, "fp32", "cpu", tower=False)
    model.model.config.text_config.max_position_embeddings = 100
    with pytest.raises(SynthError, match=r"longest prompt has \d+ tokens, and this model reads 100"):
        Recommend(model, world.train, [], world.items, Pictures(features, hashes(world.items)))


def test_one_domain_against_all(world: World, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "games"
    shutil.copytree(data, other)
    for split in ("train", "valid", "test"):
        lines = (other / f"{split}.jsonl").read_text().splitlines()[:5]
        (other / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / "arms"
    said = run("train", "ablations", "--data", data, "--data", other, "--model", world.model, "--out", out,
               "--arms", "without-images", "--combined", *QUICK)  # fmt: skip
    assert "Separate and combined domains" in said
    examples = {
        path.parent.name: json.loads(path.read_text())["identity"]["examples"] for path in out.glob("*/*/metrics.json")
    }
    assert examples == {"toys": 14, "games": 5, "toys+games": 19}
    tables = {table["data"]: table for table in json.loads((out / "metrics.json").read_text())}
    title = "without images"
    assert set(tables["toys"]["systems"]) == {title, f"{title}, trained on games", f"{title}, combined"}
    trained = {name: s["facts"]["trained"] for name, s in tables["games"]["systems"].items()}
    assert trained == {
        title: ["games"], f"{title}, trained on toys": ["toys"], f"{title}, combined": ["toys", "games"],
    }  # fmt: skip
    assert "toys alone" in said and "combined (toys, games)" in said and "separate" in said


def test_data_sets_that_cannot_stand_together(data: Path) -> None:
    one = read_lavic(data)
    with pytest.raises(SynthError, match="Two data sets are named toys"):
        merged_items([one, one])
    changed = replace(one, name="b", items={i: replace(item, title="Other") for i, item in one.items.items()})
    with pytest.raises(SynthError, match="Item B0+ is .* in one data set and 'Other' in b"):
        merged_items([one, changed])
    assert merged_items([one, replace(one, name="b")]) == one.items


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arms", "lavic"], "needs stage 1"),
        (["--arms", "entire-tokens"], "need a folder for features"),
        (["--arms", "nonesuch"], "no variant nonesuch"),
        (["--arms", ","], "no variant"),
        (["--arms", "without-images", "--metric", "loss"], "--metric loss is not possible"),
        (["--arms", "lavic", "--distilled", "/nowhere", "--features", "x"], "/nowhere"),
    ],
)
def test_bad_options_are_one_line(
    world: World, data: Path, tmp_path: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SynthError, match=said):
        run("train", "ablations", "--data", data, "--model", world.model, "--out", tmp_path / "out", *QUICK, *arguments)


def test_lavic_is_what_the_others_are_compared_with() -> None:
    assert next(iter(VARIANTS.values())) is FULL


def test_items_are_encoded_once_by_a_local_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from synth.recommender import embedders
    from synth.recommender.items import Item
    from synth.recommender.retrieval import make_retriever
    from tests.test_rec_data import tiny_bert

    folder, cache = tiny_bert(tmp_path / "bert"), tmp_path / "out" / "embeddings.db"
    items = {f"i{n}": Item(f"i{n}", f"red bag {n}", (), {}) for n in range(300)}
    asked: list[int] = []
    real = embedders.Sentences._embed

    def counted(self: Any, texts: Any) -> Any:
        asked.append(len(texts))
        if len(asked) == 2 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            raise KeyboardInterrupt
        return real(self, texts)

    monkeypatch.setattr(embedders.Sentences, "_embed", counted)
    with pytest.raises(KeyboardInterrupt):
        make_retriever(f"st:{folder}", items, cache=cache)
    first = make_retriever(f"st:{folder}", items, cache=cache).top(["bag 7"], 5, [()])
    # The part that was finished before the kill is not made again.
    assert asked == [128, 128, 128, 44, 1]
    asked.clear()
    assert make_retriever(f"st:{folder}", items, cache=cache).top(["bag 7"], 5, [()]) == first and asked == [1]
    asked.clear()
    make_retriever(f"st:{folder}", {**items, "i7": Item("i7", "blue bag", (), {})}, cache=cache)
    assert asked == [128, 128, 44]
    asked.clear()
    # Other weights in the same folder are another model.
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    make_retriever(f"st:{folder}", items, cache=cache)
    assert asked == [128, 128, 44]


def large(folder: Path, to: Path) -> Path:
    """A folder with the 7B model's configuration and no weights worth the name."""
    from tests.test_rec_model import seven_billion

    shutil.copytree(folder, to)
    seven_billion().save_pretrained(to)  # type: ignore[attr-defined]
    (to / "model.safetensors").write_bytes(b"never read")
    return to


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("stage", ["distill", "recommend", "ablations"])
def test_a_large_model_is_refused_by_every_stage_before_it_is_loaded(
    world: World, data: Path, tmp_path: Path, stage: str
) -> None:
    model = large(world.model, tmp_path / "large")
    command = ["train", stage, "--data", data, "--model", model, "--out", tmp_path / "out", "--tracker", "none"]
    command += {"distill": [], "recommend": ["--show", "nothing"], "ablations": ["--arms", "without-images"]}[stage]
    with pytest.raises(SynthError, match=r"7\.6 billion parameters, and this machine has no GPU") as refused:
        run(*command)
    assert "--preset tiny" in refused.value.fix


def test_what_training_needs_is_said_before_anything_is_loaded(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth.recommender import memory

    model = large(world.model, tmp_path / "large")
    command = ["train", "recommend", "--data", data, "--model", model, "--out", tmp_path / "out", "--show", "nothing",
               "--tracker", "none", "--device", "cpu", "--precision", "bf16", "--batch", "4"]  # fmt: skip
    monkeypatch.setattr(memory, "available", lambda device: 14 * 10**9)
    with pytest.raises(
        SynthError, match=r"needs about 14\.9 GB \(weights 14\.5 GB, trained .*14\.0 GB are free on cpu"
    ):
        run(*command)
    noted: list[str] = []
    monkeypatch.setattr("synth.cli.progress.Bar.note", lambda self, text: noted.append(text))
    monkeypatch.setattr(memory, "available", lambda device: 16 * 10**9)
    with pytest.raises(SynthError, match="cannot be loaded"):
        run(*command)
    # 4 examples of up to 2,048 tokens, without gradient checkpointing.
    assert "activations 51.5 GB" in noted[0] and "16.0 GB are free" in noted[0]
    assert "--gradient-checkpointing" in noted[1]


def test_the_recipe_for_24_gb_is_what_the_docs_say(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    from synth.recommender import footprint as module

    monkeypatch.setattr(module, "pick_device", lambda device: torch.device("cpu"))
    monkeypatch.setattr(module.memory, "check_machine", lambda *given: None)
    model = str(large(world.model, tmp_path / "large"))

    def needed(part: Any, **step: Any) -> tuple[float, float, float]:
        of = module.footprint(model, "bf16", "cpu", step.pop("quantise", "4bit"), part, Lora(), **step)
        return of.weights / 1e9, of.trained / 1e9, of.activations / 1e9

    saving = {"batch": 4, "checkpointing": True}
    recommend = needed("language", tokens=950, **saving)
    distill = needed("vision", tokens=256, pictures=1, **saving)
    assert recommend == pytest.approx((4.4, 0.34, 1.74), abs=0.05) and sum(recommend) < 24
    assert distill == pytest.approx((5.0, 0.06, 1.60), abs=0.05) and sum(distill) < 24
    one = needed("language", batch=1, tokens=950, checkpointing=True)
    assert one[2] == pytest.approx(0.44, abs=0.01)
    assert needed("language", batch=1, tokens=950)[2] == pytest.approx(6.0, abs=0.05)
    plain = needed("language", batch=1, tokens=2048, quantise=None, checkpointing=True)
    assert plain[0] == pytest.approx(14.5, abs=0.05) and sum(plain) < 16
    text = (Path(__file__).parent.parent / "docs" / "training.md").read_text("utf-8")
    for figure in ("4.4 GB", "5.0 GB", "0.34 GB", "0.44 GB", "14.5 GB"):
        assert figure in text, figure
    entire = needed("language", batch=1, tokens=950, pictures=10, pooling="patches", checkpointing=True, quantise=None)
    assert entire[2] > 13  # 28,800 tokens of pictures
