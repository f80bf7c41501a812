"""The model adapter, the presets, the crops, the warm-up and the probe."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
for _name in ("transformers", "peft", "accelerate"):
    pytest.importorskip(_name, reason="training needs the extra `train`")

from synth.corpora.catalogue import Catalogue
from synth.corpora.drawing import draw_catalogue
from synth.errors import SynthError
from synth.recommender import memory
from synth.recommender.architecture import Architecture, load
from synth.recommender.crops import count, crops, image_hash, open_image
from synth.recommender.extras import quiet
from synth.recommender.items import Item
from synth.recommender.labelled import Labelled, caption, held_out, labelled, of_items
from synth.recommender.making import Recipe, make
from synth.recommender.method import TrainSettings
from synth.recommender.presets import LanguageShape, TowerShape, build_small, build_tiny, preset_of
from synth.recommender.probe import coarse_colour, histogram, pooled, probe
from synth.recommender.tokenizer import LETTERS, build_tokenizer
from synth.recommender.training import train
from synth.recommender.warmup import AttributeWarmup, CaptionWarmup

TEXTS = ["A red dress for women.", "Blue shirt, for men (blue).", "Wear it: red", "A\nred bag"] * 4
TOWER = TowerShape(crop=16, patch=8, width=16, layers=2, heads=2)
LANGUAGE = LanguageShape(width=32, layers=2, heads=2, vocabulary=320)
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "green": (30, 160, 30)}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built tiny preset; nobody may change it."""
    return build_tiny(TEXTS, tmp_path_factory.mktemp("presets") / "tiny", seed=1, tower=TOWER, language=LANGUAGE)


@pytest.fixture(scope="module")
def model(folder: Path) -> Architecture:
    return load(folder, "fp32", "cpu")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def coloured(folder: Path, each: int = 8) -> list[Labelled]:
    """Pictures of three colours, two shapes of picture."""
    found = []
    for colour, rgb in COLOURS.items():
        for n in range(each):
            path = folder / f"{colour}{n}.png"
            values = np.random.default_rng(n).normal(rgb, 12, (30 + 10 * (n % 2), 30, 3)).clip(0, 255)
            Image.fromarray(values.astype(np.uint8)).save(path)
            known = {"colour": colour, "type": "bag"}
            found.append(Labelled(f"{colour}{n}", path, "A bag", known, caption(known)))
    return found


def test_the_adapter_finds_every_part(model: Architecture) -> None:
    assert model.vision_width == 16 and model.width == 32 and model.device.type == "cpu"
    assert model.tokenizer.convert_tokens_to_ids("<image>") == model.image_token_id
    assert model.lm_head.weight.data_ptr() == model.model.get_input_embeddings().weight.data_ptr()
    ids = torch.tensor([[1, model.image_token_id, 5, model.image_token_id]])
    images = torch.randn(2, model.width)
    placed = model.place(model.embed(ids), ids, images)
    assert torch.equal(placed[0, [1, 3]], images) and torch.equal(placed[0, 2], model.embed(ids)[0, 2])
    with pytest.raises(ValueError, match="2 places for 3"):
        model.place(model.embed(ids), ids, torch.randn(3, model.width))


def test_features_are_cls_before_the_layer_norm(model: Architecture) -> None:
    pixels = crops(noise(40, 40), model.image_processor)
    hidden = model.vision_tower(pixels, output_hidden_states=True).hidden_states
    assert torch.equal(model.encode(pixels), hidden[-1][:, 0])
    assert torch.equal(model.encode(pixels, -2, "patches"), hidden[-2][:, 1:])
    both = zip(model.encode_both(pixels), (model.encode(pixels), model.encode(pixels, -2, "patches")), strict=True)
    assert all(torch.equal(one, other) for one, other in both)
    assert not torch.allclose(model.encode(pixels), model.vision_tower(pixels).pooler_output)
    assert model.project(model.encode(pixels)).shape == (len(pixels), model.width)


def test_all_tokens_of_an_image_are_those_of_the_model_itself(model: Architecture) -> None:
    sizes = [(40, 40), (20, 60)]
    parts = [crops(noise(width, height), model.image_processor) for height, width in sizes]
    together = model.image_tokens(torch.cat(parts), sizes)
    for part, size, tokens in zip(parts, sizes, together, strict=True):
        assert torch.allclose(model.image_tokens(part, [size])[0], tokens, atol=1e-5)
        assert len(tokens) > len(part)


def test_adapters_go_where_they_should_and_nowhere_else(model: Architecture) -> None:
    linear = [name for name, module in model.model.named_modules() if isinstance(module, torch.nn.Linear)]
    vision = {name for name in linear if re.fullmatch(Architecture.targets["vision"], name)}
    language = {name for name in linear if re.fullmatch(Architecture.targets["language"], name)}
    assert set(linear) - vision - language == {"lm_head"} and not vision & language
    assert len(vision) == 2 * 6 + 2 and len(language) == 2 * 7


def test_a_model_without_its_tower_answers_alike(folder: Path, model: Architecture) -> None:
    bare = load(folder, "fp32", "cpu", tower=False)
    assert not [name for name, _ in bare.model.named_parameters() if "vision_tower" in name]
    ids = torch.tensor([[1, 5, 9, 12]])
    assert torch.equal(bare.model(input_ids=ids).logits, model.model(input_ids=ids).logits)
    assert bare.fingerprint == model.fingerprint
    with pytest.raises(SynthError, match="without its vision tower"):
        bare.encode(torch.zeros(1, 3, 16, 16))


def test_a_preset_depends_on_its_seed_alone(folder: Path, model: Architecture, tmp_path: Path) -> None:
    again = load(build_tiny(TEXTS, tmp_path / "again", 1, tower=TOWER, language=LANGUAGE), "fp32", "cpu")
    other = load(build_tiny(TEXTS, tmp_path / "other", 2, tower=TOWER, language=LANGUAGE), "fp32", "cpu")
    assert again.fingerprint == model.fingerprint != other.fingerprint
    assert again.base.config == other.base.config
    info = preset_of(folder)
    assert info and (info.preset, info.seed, info.labels) == ("tiny", 1, "letters")
    with pytest.raises(SynthError, match="exists already"):
        build_tiny(TEXTS, folder)
    with pytest.raises(SynthError, match="no text"):
        build_tiny([" "], tmp_path / "none")


def test_saved_models_load_equal(model: Architecture, tmp_path: Path) -> None:
    model.save(tmp_path / "copy")
    copy = load(tmp_path / "copy", "fp32", "cpu")
    assert preset_of(tmp_path / "copy") == model.preset
    pixels = crops(noise(30, 50), copy.image_processor)
    assert torch.equal(copy.encode(pixels), model.encode(pixels))
    assert copy.tokenizer("A red bag")["input_ids"] == model.tokenizer("A red bag")["input_ids"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: shutil.rmtree(f), "There is no folder"),
        (lambda f: (f / "config.json").unlink(), "is not a checkpoint"),
        (lambda f: (f / "config.json").rename(f / "adapter_config.json"), "is an adapter, not a model"),
        (lambda f: (f / "model.safetensors").unlink(), "has no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"nonsense"), "cannot be loaded"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda f: [p.unlink() for p in f.glob("*processor_config.json")], "has no image processor"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "is a bert model"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be loaded"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(folder: Path, tmp_path: Path, change: object, said: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    change(broken)  # type: ignore[operator]
    with pytest.raises(SynthError, match=said) as caught:
        load(broken, "fp32", "cpu")
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_named(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "part")
    path = tmp_path / "part" / "model.safetensors"
    weights = load_file(path)
    del weights["vision_tower.embeddings.class_embedding"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(SynthError, match=r"lacks 1 weights, e\.g\. .*class_embedding"):
        load(tmp_path / "part", "fp32", "cpu")


def test_a_hub_is_not_asked_where_the_user_is_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(SynthError, match="nobody/nothing cannot be loaded: .* without a network only") as caught:
        load("nobody/nothing", "fp32", "cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(SynthError, match="There is no folder"):
        load(tmp_path / "models" / "tiny", "fp32", "cpu")


def seven_billion() -> object:
    from transformers import CLIPVisionConfig, LlavaNextConfig, MistralConfig

    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    return LlavaNextConfig(vision_config=vision, text_config=MistralConfig(vocab_size=32064))


def test_memory_is_reckoned_without_loading() -> None:
    from transformers import LlavaNextForConditionalGeneration

    of = memory.sizes(seven_billion(), LlavaNextForConditionalGeneration)
    # Reference §8: LM 7.24 B, tower 0.304 B, projector 0.021 B; 15.1 GB in bf16, 14.5 without the tower.
    assert of.language == pytest.approx(7.24e9, rel=0.005)
    assert of.tower == pytest.approx(0.304e9, rel=0.005) and of.projector == pytest.approx(0.021e9, rel=0.01)
    assert memory.estimate(of, torch.bfloat16).total == pytest.approx(15.1e9, rel=0.01)
    assert memory.estimate(of, torch.bfloat16, tower=False).total == pytest.approx(14.5e9, rel=0.01)
    assert memory.estimate(of, torch.bfloat16, quantise="4bit").total < 6e9
    whole = memory.estimate(of, torch.bfloat16, trainable=20_970_000, tokens=950)
    saving = memory.estimate(of, torch.bfloat16, trainable=20_970_000, tokens=950, checkpointing=True)
    assert whole.trained == pytest.approx(0.34e9, rel=0.02) and whole.activations == pytest.approx(6e9, rel=0.05)
    assert saving.activations < 0.5e9
    with pytest.raises(SynthError, match=r"needs about .* GB .* are free on cpu"):
        memory.check_fits(memory.Estimate(10**15), torch.device("cpu"), "Loading it")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_large_model_is_refused_before_its_weights_are_read(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "large")
    seven_billion().save_pretrained(tmp_path / "large")  # type: ignore[attr-defined]
    (tmp_path / "large" / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(SynthError, match=r"7\.6 billion parameters, and this machine has no GPU"):
        load(tmp_path / "large")
    with pytest.raises(SynthError, match="4-bit loading needs a CUDA GPU"):
        load(folder, quantise="4bit")
    with pytest.raises(SynthError, match="no GPU for --device cuda"):
        load(folder, device="cuda")
    with pytest.raises(SynthError, match="There is no device 'gpu'"):
        load(folder, device="gpu")


SHAPES = [(40, 40), (16, 16), (17, 17), (90, 30), (30, 90), (300, 3), (3, 300), (1, 1), (2, 50), (60, 80)]


@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_an_image_has_the_crops_it_has(model: Architecture, size: tuple[int, int]) -> None:
    made = crops(noise(*size), model.image_processor)
    assert made.shape == (count(size, model.image_processor), 3, 16, 16) and 3 <= len(made) <= 5
    assert all(bool(crop.any()) for crop in made)


def test_crops_of_every_shape_land_on_their_own_image(model: Architecture) -> None:
    parts = [crops(noise(*size, seed=n), model.image_processor) for n, size in enumerate(SHAPES)]
    together = model.encode(torch.cat(parts)).split([len(part) for part in parts])
    for part, features in zip(parts, together, strict=True):
        assert torch.allclose(model.encode(part), features, atol=1e-5)


def test_lavic_counts_at_its_own_size() -> None:
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    processor = LlavaNextImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    expected = {
        (336, 336): 3,
        (337, 337): 5,
        (500, 337): 5,
        (500, 336): 3,
        (1000, 501): 5,
        (1000, 500): 3,
        (1000, 499): 4,
    }
    # Reference B6: squares up to 336 pixels have 3; 500 pixels wide 5 up to aspect 1.49, then 3; larger ones up to 2:1.
    assert {size: count(size, processor) for size in expected} == expected
    assert len(crops(noise(500, 333), processor)) == 3


def test_pictures_are_opened_as_rgb(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert open_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    assert open_image(tmp_path / "print.jpg").mode == "RGB"
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    for name in ("broken.jpg", "absent.jpg"):
        with pytest.raises(SynthError, match=f"{name} cannot be read"):
            open_image(tmp_path / name)
    assert len(image_hash(tmp_path / "clear.png")) == 32


def test_a_word_has_the_same_tokens_wherever_it_stands() -> None:
    tokenizer = build_tokenizer(TEXTS, 320, LETTERS)
    red = tokenizer("red", add_special_tokens=False)["input_ids"]
    assert len(red) == 1
    for text in ("Red", "A red", "bag\nred", "(red", "it:red", 'a "red'):
        assert tokenizer(text, add_special_tokens=False)["input_ids"][-1] == red[0], text
    assert tokenizer.convert_tokens_to_ids("B") == tokenizer("B")["input_ids"][-1] != tokenizer("b")["input_ids"][-1]
    assert tokenizer.decode(tokenizer("a red dress")["input_ids"], skip_special_tokens=True).strip() == "a red dress"


def test_labels_are_letters_ids_or_text(tmp_path: Path) -> None:
    shape = {"tower": TOWER, "language": LANGUAGE}
    own = load(
        build_tiny(TEXTS, tmp_path / "own", labels="tokens", item_ids=["B00A1", "B00A2"], **shape), "fp32", "cpu"
    )
    ids = [own.tokenizer(name, add_special_tokens=False)["input_ids"] for name in ("B00A1", "B00A2")]
    assert [len(i) for i in ids] == [1, 1] and ids[0] != ids[1]
    plain = load(build_tiny(TEXTS, tmp_path / "plain", labels="text", **shape), "fp32", "cpu")
    spelt = plain.tokenizer("B00A1", add_special_tokens=False)["input_ids"]
    assert len(spelt) > 1 and plain.tokenizer.decode(spelt).strip() == "B00A1"


def test_the_small_preset_keeps_its_language_model(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer(TEXTS, 300, lower=False)
    size = len(tokenizer)
    with quiet():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, tie_word_embeddings=True,
        )  # fmt: skip
        causal = LlamaForCausalLM(config).eval()
        causal.save_pretrained(tmp_path / "lm")
        tokenizer.save_pretrained(tmp_path / "lm")
    small = load(build_small(tmp_path / "lm", tmp_path / "small", seed=3, tower=TOWER), "fp32", "cpu")
    ids = torch.tensor([[1, 40, 41, 42]])
    own, grafted = causal(input_ids=ids).logits, small.model(input_ids=ids).logits
    assert torch.allclose(own, grafted[..., :size], atol=1e-6)
    pixels = crops(noise(40, 40), small.image_processor)
    assert small.project(small.encode(pixels)).shape == (5, 32)
    assert preset_of(tmp_path / "small").language == "lm"  # type: ignore[union-attr]
    with pytest.raises(SynthError, match="is not a language model"):
        build_small(tmp_path, tmp_path / "none")


def test_warm_up_teaches_the_tower_colours(folder: Path, tmp_path: Path) -> None:
    items = coloured(tmp_path)
    model = load(folder, "fp32", "cpu")
    before = {name: p.clone() for name, p in model.model.named_parameters()}
    method = AttributeWarmup(model, items, items)
    assert set(method.values) == {"colour"}  # of `type` there is one value only
    settings = TrainSettings(epochs=8, batch=8, lr=3e-3, schedule="cosine", workers=0, trackers=())
    start = method.evaluate(method.model)
    trained = train(method, settings, tmp_path / "run")
    assert trained.metrics["best"]["value"] > max(0.9, start["accuracy"])
    # The patches, which stage 0 reads, and not [CLS] alone.
    assert method.evaluate(method.model)["patches"] > max(0.9, start["patches"])
    moved = {name for name, p in model.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all("vision_tower" in name for name in moved)
    assert torch.equal(
        load(trained.best, "fp32", "cpu").encode(torch.ones(1, 3, 16, 16)), model.encode(torch.ones(1, 3, 16, 16))
    )
    with pytest.raises(SynthError, match="No attribute has two values"):
        AttributeWarmup(model, items[:4], [])


def test_captions_are_learnt_and_loss_does_not_depend_on_the_batch(folder: Path, tmp_path: Path) -> None:
    items = coloured(tmp_path, 3)
    model = load(folder, "fp32", "cpu")
    method = CaptionWarmup(model, items, items)
    with torch.no_grad():
        alone = [method.step(model.model, method.collate([item])) for item in items]
        together = method.step(model.model, method.collate(list(items)))
    assert float(together[0]) == pytest.approx(sum(float(loss) for loss, _ in alone), rel=1e-4)
    assert together[1] == sum(labels for _, labels in alone)
    settings = TrainSettings(epochs=3, batch=3, lr=1e-2, workers=0, trackers=(), evaluate_first=True)
    history = train(method, settings, tmp_path / "run").metrics["history"]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def test_a_preset_is_made_once_and_goes_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import synth.recommender.making as making

    monkeypatch.setattr(making, "build_tiny", lambda *a, **k: build_tiny(*a, **k, tower=TOWER, language=LANGUAGE))
    items = coloured(tmp_path, 6)
    quick = TrainSettings(epochs=1, batch=6, lr=1e-3, workers=0, trackers=())
    recipe = Recipe(attributes=quick, captions=quick, device="cpu")
    real = making.CaptionWarmup
    monkeypatch.setattr(making, "CaptionWarmup", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(recipe, items, items[:3], TEXTS, [], tmp_path / "model")
    monkeypatch.setattr(making, "CaptionWarmup", real)
    for other, texts, said in (
        (replace(recipe, labels="text"), TEXTS, "model.work holds a run with other settings: labels was letters, now"),
        (replace(recipe, preset="small", language=tmp_path), TEXTS, "preset was tiny, now small"),
        (recipe, [*TEXTS, "more"], "data was"),
    ):
        with pytest.raises(SynthError, match=said):
            make(other, items, items[:3], texts, [], tmp_path / "model")
    made = make(recipe, items, items[:3], TEXTS, [], tmp_path / "model")
    assert load(made.folder, "fp32", "cpu").preset.preset == "tiny"  # type: ignore[union-attr]
    assert set(made.metrics) == {"attributes", "captions"} == set(json.loads((made.folder / "warmup.json").read_text()))
    assert not (tmp_path / "model.work").exists()
    with pytest.raises(SynthError, match="exists already"):
        make(recipe, items, [], TEXTS, [], tmp_path / "model")
    with pytest.raises(SynthError, match="needs a language model"):
        make(Recipe("small"), items, [], TEXTS, [], tmp_path / "small")
    # Nothing is in the making yet, so the mended command is not another one.
    with pytest.raises(SynthError, match="is not a language model"):
        make(Recipe("small", tmp_path), items, [], TEXTS, [], tmp_path / "small")


def test_labels_come_from_the_catalogue_or_from_title_and_picture(tmp_path: Path) -> None:
    draw_catalogue(tmp_path / "catalogue", products=20, seed=3)
    opened = Catalogue.open(tmp_path / "catalogue")
    items = labelled(opened)
    assert len(items) == sum(bool(product.images) for product in opened)
    assert all(item.image.is_file() and item.attributes["colour"] in item.caption for item in items[:20])
    kept, held = held_out(items, 0.1, 4)
    assert len(held) == round(len(items) / 10) and {i.id for i in kept}.isdisjoint(i.id for i in held)
    assert held_out(items[::-1], 0.1, 4)[1] == held
    path = tmp_path / "x_0.png"
    picture = Image.new("RGB", (80, 80), "white")
    picture.paste((200, 20, 20), (15, 15, 65, 65))
    picture.save(path)
    (seen,) = of_items([Item("x", "Handbag", (path,), {"x_0.png": "It is a red bag."}), Item("y", "Shoe", (), {})])
    assert seen.attributes["colour"] == "red" and seen.caption == "It is a red bag."


def test_the_probe_reads_what_is_linear_and_no_more() -> None:
    chance = np.random.default_rng(0)
    labels = [("red", "blue", "green")[i % 3] for i in range(300)]
    places = torch.tensor([[i % 3 == 0, i % 3 == 1] for i in range(300)]).float()
    features = torch.cat([places, torch.tensor(chance.normal(size=(300, 6))).float()], 1)
    assert probe((features[:200], labels[:200]), (features[200:], labels[200:])) == 1.0
    assert probe((features[:200, 2:], labels[:200]), (features[200:, 2:], labels[200:])) < 0.6
    assert probe((features[:200], labels[:200]), (features[200:202], ["pink", labels[201]])) == 0.5


def test_colours_and_histograms() -> None:
    names = {"Navy Blue": "blue", "Coffee Brown": "brown", "Off White": "white", "Sea Green": "green", "Multi": None}
    assert {name: coarse_colour(name) for name in names} == names
    shares = histogram(Image.new("RGB", (10, 10), (255, 0, 0)))
    assert shares.shape == (64,) and shares[48] == 1
    assert pooled(torch.tensor([[1.0], [2.0], [4.0]])).tolist() == [1, 3]
