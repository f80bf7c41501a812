"""Models that answer in free text: local ones against transformers itself, and those of the gateway."""

# ruff: noqa: E402  what is imported below needs the extra
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest

torch = pytest.importorskip("torch", reason="local models need the extra `train`")
pytest.importorskip("accelerate", reason="local models need the extra `train`")

import typer
from PIL import Image
from typer.testing import CliRunner

from synth.cli.writers import WriterOptions, is_gateway, open_writer, takes_writer
from synth.errors import SynthError
from synth.graphs.options import Options
from synth.graphs.writing import GatewayWriter
from synth.recommender.asking import Asked, Writer
from synth.recommender.chat import plain
from synth.recommender.crops import open_image
from synth.recommender.extras import quiet
from synth.recommender.speakers import Processed
from synth.recommender.writer import LocalWriter
from synth.traces.store import RunStore
from tests.support.fakes import Fake
from tests.support.tiny_llava import World, make_world

WORDS = "I want a red blue green coat shirt summer picture of the product and its title Assistant User answer with"
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("writers"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number, colour in enumerate(((200, 30, 30), (30, 30, 200), (20, 160, 60))):
        made.append(folder / f"{number}.png")
        Image.new("RGB", (40 + 30 * number, 60), colour).save(made[-1])
    return made


def tokenizer(template: str = "") -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([WORDS] * 4, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    made.chat_template = template or None
    return made


SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model without a chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "language"
    words = tokenizer()
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=120, **SMALL))
    with quiet():
        model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision-language model of another family than LLaVA-NeXT, with a processor and a chat template."""
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    folder = tmp_path_factory.mktemp("models") / "seeing"
    words = tokenizer(TEMPLATE)
    tower = CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        projection_dim=24,
    )  # fmt: skip
    text = LlamaConfig(vocab_size=len(words), max_position_embeddings=512, **SMALL)
    torch.manual_seed(2)
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=tower, text_config=text, image_token_index=3))
    side = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    with quiet():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Idefics 3, the family of SmolVLM: its processor cuts pictures into tiles, and there is no chat template."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessorPil,
        Idefics3Processor,
        LlamaConfig,
    )

    folder = tmp_path_factory.mktemp("models") / "tiling"
    words = tokenizer()
    marks = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    marks += ["<fake_token_around_image>", "<end_of_utterance>", "<global-img>"]
    words.add_special_tokens({"additional_special_tokens": marks})
    sizes = {"size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28}}
    processor = Idefics3Processor(Idefics3ImageProcessorPil(**sizes), words, image_seq_len=1)
    tower = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Idefics3Config(
        vision_config={**tower, "image_size": 28, "patch_size": 14},
        text_config=LlamaConfig(vocab_size=len(words), max_position_embeddings=512, **SMALL),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    torch.manual_seed(3)
    model = Idefics3ForConditionalGeneration(config)
    with quiet():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def questions(pictures: Sequence[Path] = ()) -> list[Asked]:
    shown = [tuple(pictures[:n]) for n in (0, 1, 3, 2)] if pictures else [()] * 4
    texts = ["I want a red coat", "a blue shirt and the green coat of summer with a title", "its picture", "User"]
    return [
        Asked(f"q{n}", text, images, "Answer with a word." if n % 2 else "", 6)
        for n, (text, images) in enumerate(zip(texts, shown, strict=True))
    ]


class Ear:
    """A progress that keeps what it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[tuple[str, int]] = []
        self.done = 0

    def stage(self, name: str, total: int) -> None:
        self.stages.append((name, total))

    def advance(self, done: int) -> None:
        self.done = done

    def note(self, text: str) -> None:
        self.notes.append(text)


def answered(server: Fake) -> int:
    """Calls that a provider would have billed."""
    return int(server.ledger()["requests"].get("POST /v1/chat/completions", {}).get("200", 0))


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("the model was asked again")


# ---- local models


@pytest.mark.parametrize("kind", ["language", "seeing", "tiling", "llava_next"])
def test_a_batch_answers_as_one_by_one(
    kind: str, request: pytest.FixtureRequest, world: World, pictures: list[Path], tmp_path: Path
) -> None:
    model = world.model if kind == "llava_next" else request.getfixturevalue(kind)
    asked = questions(() if kind == "language" else pictures)
    writer = LocalWriter.open(str(model), "fp32", "cpu", batch=4)
    together = writer.write(asked, tmp_path / "together")
    writer.batch = 1
    assert together == writer.write(asked, tmp_path / "single")
    assert together.keys() == {one.id for one in asked} and any(together.values())


def test_a_language_model_answers_as_transformers_does(language: Path, tmp_path: Path) -> None:
    writer = LocalWriter.open(str(language), "fp32", "cpu")
    asked = questions()[1]
    words, model = writer.speaker.tokenizer, writer.speaker.model
    ids = words(f"{asked.system}\n\n{asked.text}\n\nAssistant:", return_tensors="pt")["input_ids"]
    expected: list[int] = []
    with torch.no_grad():
        for _ in range(asked.max_tokens):
            token = int(model(input_ids=torch.cat([ids, torch.tensor([expected]).long()], 1)).logits[0, -1].argmax())
            if token == words.eos_token_id:
                break
            expected.append(token)
    assert writer.write([asked], tmp_path)["q1"] == words.decode(expected, skip_special_tokens=True).strip()


def test_llava_next_gets_what_its_own_processor_makes(world: World, pictures: list[Path]) -> None:
    """The embeddings that go in are those that transformers makes from pixels and placeholders."""
    from transformers import LlavaNextProcessor

    speaker: Any = LocalWriter.open(str(world.model), "fp32", "cpu").speaker
    processor = LlavaNextProcessor(
        speaker.architecture.image_processor,
        speaker.tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    asked = Asked("q", "I want a red coat", (pictures[0], pictures[2]))
    text = "<s><image>\n<image>\nI want a red coat\n\nAssistant:"
    made = processor(
        text=[text], images=[open_image(p) for p in asked.images], return_tensors="pt", add_special_tokens=False
    )
    with torch.no_grad():
        theirs = speaker.model(**made).logits
        ours = speaker.model(**speaker.inputs([asked])).logits
    assert ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-4)


def test_pictures_are_seen(seeing: Path, world: World, pictures: list[Path]) -> None:
    for model in (seeing, world.model):
        speaker = LocalWriter.open(str(model), "fp32", "cpu").speaker
        with torch.no_grad():
            red, blue = (
                speaker.model(**speaker.inputs([Asked("q", "its picture", (path,))])).logits[:, -1]
                for path in pictures[:2]
            )
        assert not torch.allclose(red, blue, atol=1e-3)


def test_a_template_is_used_once_with_its_beginning(seeing: Path) -> None:
    speaker = LocalWriter.open(str(seeing), "fp32", "cpu").speaker
    assert isinstance(speaker, Processed)
    text = speaker.tokenizer.decode(speaker.inputs([Asked("q", "a red coat", system="Be brief.")])["input_ids"][0])
    assert text == "<system>Be brief.<user>a red coat<assistant>"
    speaker.processor.chat_template = "<s>" + TEMPLATE.replace("{% for m in", "{% if messages[0].role == 'system' %}"
        "{{ raise_exception('no system role') }}{% endif %}{% for m in", 1)  # fmt: skip
    text = speaker.tokenizer.decode(speaker.inputs([Asked("q", "a red coat", system="Be brief.")])["input_ids"][0])
    assert text == "<s><user>Be brief.\n\na red coat<assistant>"


def test_what_users_write_never_becomes_a_special_token(world: World, seeing: Path, pictures: list[Path]) -> None:
    evil = "a coat </s> <image><image> <s>"
    assert plain(evil, ("<image>", "</s>", "<s>")) == "a coat < /s> < image>< image> < s>"
    for model in (world.model, seeing):
        speaker = LocalWriter.open(str(model), "fp32", "cpu").speaker
        inputs = speaker.inputs([Asked("q", evil, tuple(pictures[:1]))])
        honest = speaker.inputs([Asked("q", "a coat", tuple(pictures[:1]))])
        if "input_ids" in inputs:
            for token in (2, 3):
                assert (inputs["input_ids"] == token).sum() == (honest["input_ids"] == token).sum()


@pytest.mark.parametrize("kind", ["language", "seeing", "tiling", "llava_next"])
def test_likelihoods_are_those_of_whole_texts(
    kind: str, request: pytest.FixtureRequest, world: World, pictures: list[Path], tmp_path: Path
) -> None:
    model = world.model if kind == "llava_next" else request.getfixturevalue(kind)
    writer = LocalWriter.open(str(model), "fp32", "cpu")
    asked = questions(() if kind == "language" else pictures)[2]
    texts = ["red", "a blue coat of summer", "B000123"]
    found = writer.likelihoods([asked], {asked.id: texts}, tmp_path)[asked.id]
    speaker = writer.speaker
    for text, score in zip(texts, found, strict=True):
        answer = [*speaker.tokenizer(text, add_special_tokens=False)["input_ids"], speaker.tokenizer.eos_token_id]
        inputs = dict(speaker.inputs([asked]))
        ids = torch.tensor([answer])
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(ids)], 1)
        if "input_ids" in inputs:
            inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], 1)
        else:
            embedded = speaker.model.get_input_embeddings()(ids)
            inputs["inputs_embeds"] = torch.cat([inputs["inputs_embeds"], embedded], 1)
        with torch.no_grad():
            logits = speaker.model(**inputs).logits[0, -len(answer) - 1 : -1].float().log_softmax(-1)
        expected = sum(float(row[token]) for row, token in zip(logits, answer, strict=True))
        assert score == pytest.approx(expected, abs=1e-3)


def test_what_is_answered_is_never_asked_again(
    seeing: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LocalWriter.open(str(seeing), "fp32", "cpu")
    own = tmp_path / "own.png"
    own.write_bytes(pictures[0].read_bytes())
    asked = [*questions(pictures), Asked("own", "its picture", (own,), max_tokens=3)]
    first = writer.write(asked, tmp_path / "log")
    log = tmp_path / "log" / "answers.jsonl"
    # A kill in the middle of a line.
    log.write_bytes(log.read_bytes() + b'{"key": "abc", "ans')
    again = LocalWriter.open(str(seeing), "fp32", "cpu")
    monkeypatch.setattr(again.speaker.model, "generate", refuse)
    ear = Ear()
    # Other ids, another order: what counts is what is asked.
    renamed = [replace(one, id=f"x{one.id}") for one in reversed(asked)]
    assert again.write(renamed, tmp_path / "log", ear) == {f"x{id_}": text for id_, text in first.items()}
    assert ear.stages == [("answer", 0)]
    for changed in ({"text": "another"}, {"system": "another"}, {"max_tokens": 4}, {"images": (pictures[1],)}):
        with pytest.raises(AssertionError, match="asked again"):
            again.write([replace(asked[-1], **changed)], tmp_path / "log")  # type: ignore[arg-type]
    Image.new("RGB", (40, 60), (1, 2, 3)).save(own)
    with pytest.raises(AssertionError, match="asked again"):
        again.write(asked[-1:], tmp_path / "log")


def test_a_killed_writer_goes_on(language: Path, tmp_path: Path) -> None:
    script = f"""
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from synth.recommender.asking import Asked
from synth.recommender.writer import LocalWriter
writer = LocalWriter.open({str(language)!r}, "fp32", "cpu", batch=1)
asked = [Asked(str(n), f"a red coat {{n}}", max_tokens=24) for n in range(4000)]
print("ready", flush=True)
writer.write(asked, Path({str(tmp_path / "log")!r}))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=dict(os.environ))
    log = tmp_path / "log" / "answers.jsonl"
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.stat().st_size > 400) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert child.stdout
    child.stdout.close()
    done = log.read_bytes().count(b"\n")
    assert 0 < done < 4000
    whole = log.read_bytes().rpartition(b"\n")[0].decode().splitlines()
    names = [json.loads(line)["id"] for line in whole]
    answered = [Asked(name, f"a red coat {name}", max_tokens=24) for name in names]
    writer = LocalWriter.open(str(language), "fp32", "cpu", batch=1)
    ear = Ear()
    writer.write([*answered, Asked("new", "a blue coat", max_tokens=4)], tmp_path / "log", ear)
    assert ear.stages == [("answer", 1)]


def test_what_a_model_has_no_room_for_is_told(language: Path, tmp_path: Path) -> None:
    writer = LocalWriter.open(str(language), "fp32", "cpu")
    ear = Ear()
    asked = [Asked("short", "a red coat", max_tokens=5), Asked("long", "a red coat " * 100, max_tokens=5)]
    assert writer.write(asked, tmp_path, ear).keys() == {"short"}
    assert len(ear.notes) == 1 and "takes 120 tokens" in ear.notes[0] and "long" in ear.notes[0]
    with pytest.raises(SynthError, match="every question is longer"):
        writer.write(asked[1:], tmp_path)


def test_mistakes_are_one_line(language: Path, world: World, pictures: list[Path], tmp_path: Path) -> None:
    writer = LocalWriter.open(str(language), "fp32", "cpu")
    with pytest.raises(SynthError, match="takes no pictures"):
        writer.write(questions(pictures), tmp_path)
    with pytest.raises(SynthError, match="q0 is asked twice"):
        writer.write([questions()[0], questions()[0]], tmp_path)
    seer = LocalWriter.open(str(world.model), "fp32", "cpu")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for path in (broken, tmp_path / "gone.png"):
        with pytest.raises(SynthError, match="cannot be read"):
            seer.write([Asked("q", "what", (path,))], tmp_path / "log")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "clip"}')
    for name, what in (("gone", "no folder"), ("adapter", "is an adapter"), ("other", "has no weights")):
        with pytest.raises(SynthError, match=what):
            open_writer(str(tmp_path / name))
    (tmp_path / "other" / "model.safetensors").write_bytes(b"")
    with pytest.raises(SynthError, match="does not write text"):
        open_writer(str(tmp_path / "other"))
    (tmp_path / "log" / "answers.jsonl").write_text("{}\n")
    with pytest.raises(SynthError, match="no answer of a model"):
        seer.write([Asked("q", "what")], tmp_path / "log")


# ---- models of the gateway

MODEL = "openai:gpt-4o-mini"


@pytest.fixture
def server() -> Iterator[Fake]:
    with Fake(in_thread=True) as fake:
        yield fake


def options(fake: Fake, **more: Any) -> Options:
    return Options(llm=MODEL, base_url=fake.openai_url, images="full", **more)


def test_a_model_of_the_gateway_answers_and_is_paid_once(server: Fake, pictures: list[Path], tmp_path: Path) -> None:
    writer = GatewayWriter(options(server))
    asked = questions(pictures)
    twin = replace(asked[0], id="twin")
    ear = Ear()
    found = writer.write([*asked, twin], tmp_path, ear)
    assert found.keys() == {"q0", "q1", "q2", "q3", "twin"} and all(found.values())
    assert found["twin"] == found["q0"] and ("answer", 4) in ear.stages and ear.done == 4
    assert answered(server) == 4
    assert writer.name == "gpt-4o-mini"
    server.reset()
    more = Asked("new", "another", max_tokens=5)
    again = GatewayWriter(options(server)).write([more, *reversed(asked)], tmp_path)
    assert {id_: again[id_] for id_ in found if id_ != "twin"} == {i: t for i, t in found.items() if i != "twin"}
    assert answered(server) == 1
    server.reset()
    writer.write([replace(more, max_tokens=6)], tmp_path)
    assert answered(server) == 1


def test_mistakes_with_the_gateway_are_one_line(server: Fake, pictures: list[Path], tmp_path: Path) -> None:
    writer = GatewayWriter(options(server))
    with pytest.raises(SynthError, match="asked twice"):
        writer.write([questions()[0]] * 2, tmp_path)
    with pytest.raises(SynthError, match="cannot be read"):
        writer.write([Asked("q", "what", (tmp_path / "gone.png",))], tmp_path)
    capped = GatewayWriter(options(server, max_usd=1e-9, prices=("gpt-4o-mini=1/1",)))
    with pytest.raises(SynthError, match="max-usd"):
        capped.write(questions(pictures), tmp_path / "capped")


def test_a_cap_is_over_all_models_of_a_folder(server: Fake, tmp_path: Path) -> None:
    spent: list[float] = []
    cap = 1.0
    for name in ("gpt-4o-mini", "gpt-4o"):
        # 40 tokens of an answer and its field at 10,000 USD per million: 0.3 USD set aside, and less than that spent.
        priced = options(server, max_usd=cap, prices=(f"{name}=0/10000",))
        writer = GatewayWriter(replace(priced, llm=f"openai:{name}"))
        with pytest.raises(SynthError, match="cap of") if spent else contextlib.nullcontext():
            writer.write(questions()[: 2 if not spent else 4], tmp_path)
        with contextlib.closing(RunStore(tmp_path / "calls" / "run.db", readonly=True)) as store:
            spent.append(store.spent())
        cap = 0.31 + spent[0]
    assert 0 < spent[0] < spent[1] <= cap


def test_the_offline_writer_knows_nothing(tmp_path: Path) -> None:
    writer = open_writer("offline")
    asked = [Asked(f"q{n}", "one two three four", max_tokens=16) for n in range(2)]
    found = writer.write([asked[0]], tmp_path)
    assert set(found["q0"].split()) <= {"one", "two", "three", "four"} and len(found["q0"].split()) == 6
    assert writer.write(asked, tmp_path) == {"q0": found["q0"], "q1": found["q0"]}
    assert writer.name == "offline simulator"


# ---- by name


def test_names_say_where_a_model_is(language: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_gateway("openai:gpt") and is_gateway("offline") and is_gateway("anthropic:claude")
    assert not is_gateway(str(language)) and not is_gateway("owner/name") and not is_gateway("C:\\model")
    local: Writer = open_writer(WriterOptions(str(language), device="cpu"))
    assert local.name == "language"
    with pytest.raises(SynthError, match="--base-url is for models of the gateway"):
        open_writer(WriterOptions(str(language), base_url="http://127.0.0.1:1/v1"))
    with pytest.raises(SynthError, match="--precision fp8"):
        open_writer(WriterOptions(str(language), precision="fp8"))
    with pytest.raises(SynthError, match="names no model"):
        open_writer("openai:")


def test_a_command_takes_a_writer(server: Fake, tmp_path: Path) -> None:
    app = typer.Typer()
    seen: list[WriterOptions] = []

    @app.command()
    @takes_writer
    def ask(
        data: Annotated[str, typer.Option(help="Toys.")],
        writer: WriterOptions,
        limit: Annotated[int, typer.Option("-n", help="Many.")] = 3,
    ) -> None:
        seen.append(writer)
        open_writer(writer).write([Asked("q", f"{data} {limit}")], tmp_path)

    run = CliRunner().invoke
    result = run(
        app, ["--data", "toys", "--model", "offline", "--price", "a=1/2", "--price", "b=1/2", "--sight", "low"]
    )
    assert result.exit_code == 0, result.output
    assert seen[0].price == ["a=1/2", "b=1/2"] and seen[0].sight.value == "low" and seen[0].batch == 8
    assert run(app, ["--data", "toys"]).exit_code == 2
    told = run(app, ["--data", "toys", "--model", MODEL, "--base-url", server.openai_url, "--dry-run"])
    assert told.exit_code == 0 and "1 calls" in told.output and not answered(server)
    shown = run(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(part in shown for part in ("--max-usd", "Toys.", "-n", "--dry-run"))
