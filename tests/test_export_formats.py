"""`sharegpt`, `muse`, `redial` and `messages` as those who use them read them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fixtures import make_catalogue, make_conversation, make_run
from PIL import Image
from typer.testing import CliRunner

from synth.cli import app
from synth.corpora.catalogue import Catalogue
from synth.corpora.export import Images, Options, RunFacts, Source, export
from synth.corpora.readers import read
from synth.corpora.readers.dialogue import Dialogue
from synth.corpora.records import Conversation, Scenario, Turn
from synth.traces.run import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    catalogue = make_catalogue(tmp_path / "bags", products=60)
    endings = ("hit", "fit", "hit", "forced")
    made = [make_conversation(n, catalogue, endings[n % 4]) for n in range(60)]  # type: ignore[arg-type]
    return make_run(tmp_path / "run", made, catalogue)


def exported(run: RunFolder, format: str, *arguments: str) -> Path:
    out = run.path.with_name("-".join((format, *arguments)).replace("--", ""))
    result = CliRunner().invoke(app, ["export", str(run.path), "--format", format, "--out", str(out), *arguments])
    assert result.exit_code == 0, result.output
    return out


def export_of(conversation: Conversation, catalogue: Catalogue, format: str, out: Path, images: Images) -> Path:
    """One conversation, without a run."""
    facts = RunFacts("mine", {"seed": 0, "models": {"simulator": "m"}, "prompts": "p", "catalogue": "f"}, {})
    scenario = Scenario(id="s0", text="A trip.", family="travel", origin="seed")
    source = Source(facts, catalogue, lambda: [conversation], [scenario], [catalogue.images])
    export(source, format, out, Options(images))
    return out


def lines(folder: Path, pattern: str = "[tv]*.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text("utf-8").splitlines()]


def dialogues(path: Path) -> dict[str, Dialogue]:
    return {dialogue.id: dialogue for dialogue in read(path).dialogues()}


def masked_texts(conversation: Conversation) -> list[str]:
    """The texts of the fixture as masking leaves them."""
    text = re.sub(r"nina\d+@mail\.example\.org", "[email]", "\n".join(turn.text for turn in conversation.turns))
    return text.replace("@nina.b", "[handle]").split("\n")


# ---- sharegpt


def llama_factory(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Loads `dataset_info.json` and its data sets by the rules of LLaMA-Factory's `data/README.md`.

    Returns:
        Rows by data set, as its converter makes them: `prompt`, `response`, `system`, `tools`, `images`.
    """
    info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    loaded: dict[str, list[dict[str, Any]]] = {}
    for name, entry in info.items():
        assert entry["formatting"] == "sharegpt" and "ranking" not in entry
        columns, tags = entry["columns"], entry["tags"]
        places = ({tags["user_tag"], tags["observation_tag"]}, {tags["assistant_tag"], tags["function_tag"]})
        loaded[name] = []
        for line in (folder / entry["file_name"]).read_text("utf-8").splitlines():
            row = json.loads(line)
            messages = row[columns["messages"]]
            assert len(messages) >= 2 and len(messages) % 2 == 0, "an even number of messages"
            for number, message in enumerate(messages):
                assert message.keys() == {tags["role_tag"], tags["content_tag"]}
                assert message[tags["role_tag"]] in places[number % 2], "odd and even places"
                if message[tags["role_tag"]] == tags["function_tag"]:
                    call = json.loads(message[tags["content_tag"]])
                    assert call.keys() == {"name", "arguments"}
            text = "".join(message[tags["content_tag"]] for message in messages)
            images = row[columns["images"]] if "images" in columns else []
            assert text.count("<image>") == len(images), "as many <image> as images"
            assert not re.search("<video>|<audio>", text)
            for image in images:
                with Image.open(folder / image) as opened:  # media_dir is the data sets' folder
                    opened.verify()
            tools = json.loads(row[columns["tools"]])
            assert all(tool.keys() >= {"name", "description", "parameters"} for tool in tools)
            loaded[name].append({**row, "prompt": messages[:-1], "response": messages[-1]})
    return loaded


def test_llama_factory_takes_every_row(run: RunFolder) -> None:
    folder = exported(run, "sharegpt", "--images", "files")
    loaded = llama_factory(folder)
    assert list(loaded) == ["run_train", "run_validation", "run_test"]
    made = {row["id"]: row for rows in loaded.values() for row in rows}
    assert len(made) == 60
    for conversation in run.conversations():
        row = made[conversation.id]
        said = {kind: [m["value"] for m in row["conversations"] if m["from"] == kind] for kind in
                ("human", "gpt", "function_call", "observation")}  # fmt: skip
        texts = masked_texts(conversation)
        searches = [turn for turn in conversation.turns if turn.retrieval]
        assert row["system"].endswith(f'You have said: "{texts[0]}"')
        assert said["gpt"] == [texts[turn.index] for turn in searches]
        assert [json.loads(m)["arguments"]["query"] for m in said["function_call"]] == ["bag"] * len(searches)
        found = [json.loads(text.removeprefix("<image>"))["id"] for text in said["observation"]]
        assert found == [turn.products[0] for turn in searches]
        opening = said["human"][0]
        assert opening == "<image>" * (conversation.opening == "multimodal") + texts[1]
        assert row["closing"] == texts[3 if conversation.ended_by == "forced" else 5]
        assert row["response"]["from"] == "gpt"


@pytest.mark.parametrize("images", ["links", "none"])
def test_llama_factory_trains_on_texts_without_files(run: RunFolder, images: str) -> None:
    folder = exported(run, "sharegpt", "--images", images)
    rows = [row for rows in llama_factory(folder).values() for row in rows]
    assert len(rows) == 60 and all(bool(row["links"]) is (images == "links") for row in rows)


def test_sharegpt_whatever_the_turns_do(tmp_path: Path) -> None:
    """Speakers that do not alternate, texts that look like pictures, an assistant that never answers."""
    catalogue = make_catalogue(tmp_path / "bags")
    base = make_conversation(0, catalogue)
    strange = (
        Turn(index=0, speaker="assistant", act="greet", text="Hello"),
        Turn(index=1, speaker="assistant", act="greet", text="again."),
        Turn(index=2, speaker="user", act="need", text="A <image> of a <video>, please."),
        Turn(index=3, speaker="user", act="need", text="Thanks."),
        Turn(index=4, speaker="assistant", act="ask", text="Which?"),
        base.turns[2].model_copy(update={"index": 5}),
        Turn(index=6, speaker="user", act="reject", text="No.", images=base.turns[2].images),
    )
    conversation = base.model_copy(update={"turns": strange, "drafts": tuple("" for _ in strange)})
    folder = export_of(conversation, catalogue, "sharegpt", tmp_path / "out", Images.files)
    (row,) = [row for rows in llama_factory(folder).values() for row in rows]
    assert [(m["from"], m["value"]) for m in row["conversations"]] == [
        ("human", "A &lt;image&gt; of a &lt;video&gt;, please.\nThanks."),
        ("gpt", "Which?\nThis one is roomy."),
    ]
    assert row["system"].endswith('"Hello again."') and row["closing"] == "No." and row["images"] == []
    silent = base.model_copy(update={"turns": base.turns[:2], "drafts": base.drafts[:2]})
    export_of(silent, catalogue, "sharegpt", tmp_path / "silent", Images.files)
    facts = json.loads((tmp_path / "silent" / "export.json").read_text("utf-8"))
    assert facts["left_out"] == {"no answer": 1} and llama_factory(tmp_path / "silent") == {}


def test_sharegpt_reads_back(run: RunFolder) -> None:
    folder = exported(run, "sharegpt", "--images", "files")
    found = dialogues(folder)
    for conversation in run.conversations():
        texts = [turn.text for turn in found[conversation.id].turns]
        expected = masked_texts(conversation)[1:]
        assert texts == expected[: len(texts)] and len(texts) == (2 if conversation.ended_by == "forced" else 4)
        hashes = [tuple(Path(image).stem for image in turn.images) for turn in found[conversation.id].turns]
        assert hashes == [turn.images for turn in conversation.turns[1 : 1 + len(texts)]]


# ---- muse


def test_muse_has_the_released_shape(run: RunFolder) -> None:
    """Keys, types and file names as MUSE's code (27c77d6) writes and reads them."""
    folder = exported(run, "muse", "--images", "files")
    profiles = json.loads((folder / "user_scenarios.json").read_text("utf-8"))
    originals = list(run.conversations())
    assert len(profiles) == 60
    for number, (profile, original) in enumerate(zip(profiles, originals, strict=True), 1):
        assert list(profile) == ["profile", "scenario", "requirements", "target_item"]
        item = profile["target_item"]
        keys = "title description average_rating price features categories details images new_description item_id"
        assert list(item) == keys.split()
        assert item["item_id"] == original.target_id and item["images"] == f"images_main/{original.target_id}.jpg"
        with Image.open(folder / item["images"]) as image:
            assert image.format == "JPEG"
        assert isinstance(item["description"], list) and isinstance(profile["requirements"], str)
        bare = json.loads((folder / "convs" / f"conv_{number}.json").read_text("utf-8"))
        detail = json.loads((folder / "detail_convs" / f"conv_{number}.json").read_text("utf-8"))
        assert list(detail) == ["Persona", "Scenario", "Target_item", "Conversations", "Synth"]
        assert detail["Persona"] == profile["profile"] and detail["Scenario"] == profile["scenario"]
        speakers = ["Assistant", "User"] * 3
        assert [list(turn) for turn in bare] == [[name] for name in speakers]
        for name, turn, said, own in zip(speakers, detail["Conversations"], bare, original.turns, strict=True):
            assert list(turn) == [name, "Action", "Mentioned_item", "Image"] and turn[name] == said[name]
            shown = list(own.products) if own.images else []
            assert turn["Mentioned_item"] == shown
            assert turn["Image"] == [f"images_main/{name}.jpg" for name in shown]
        actions = [turn["Action"] for turn in detail["Conversations"]]
        assert actions == ["chit-chat", "chit-chat", "recommend", "reject", "recommend", "accept"]
    mentioned = {i for c in originals for turn in c.turns for i in turn.products} | {c.target_id for c in originals}
    assert json.loads((folder / "item_profile.json").read_text("utf-8")).keys() == mentioned


def test_muse_reads_back(run: RunFolder) -> None:
    folder = exported(run, "muse")
    found = list(read(folder / "detail_convs").dialogues())
    profiles = list(read(folder / "user_scenarios.json").dialogues())
    for original, dialogue, profile in zip(run.conversations(), found, profiles, strict=True):
        assert [turn.text for turn in dialogue.turns] == masked_texts(original)
        assert [turn.speaker for turn in dialogue.turns] == [turn.speaker for turn in original.turns]
        person = original.profile.person
        for buyer in (dialogue.buyer, profile.buyer):
            assert buyer is not None
            assert (buyer.name, buyer.gender, buyer.age, buyer.profession) == (
                person.name,
                person.gender,
                person.age,
                person.profession,
            )
        assert dialogue.target == profile.target == original.target_id
        assert [turn.items for turn in dialogue.turns] == [t.products if t.images else () for t in original.turns]


# ---- redial


def test_redial_has_redials_fields(run: RunFolder) -> None:
    folder = exported(run, "redial")
    rows = lines(folder, "*_data.jsonl")
    originals = {c.id: c for c in run.conversations()}
    with (folder / "movies_with_mentions.csv").open(encoding="utf-8", newline="") as file:
        items = {entry["movieId"]: entry for entry in csv.DictReader(file)}
    assert len(rows) == 60 == len({row["conversationId"] for row in rows})
    message_ids = [message["messageId"] for row in rows for message in row["messages"]]
    assert len(message_ids) == len(set(message_ids))
    counted = 0
    for row in rows:
        original = originals[row["synth"]["conversation"]]
        number = {items[n]["id"]: n for n in row["movieMentions"]}
        assert row["initiatorWorkerId"] != row["respondentWorkerId"] == 0
        assert {m["senderWorkerId"] for m in row["messages"]} == {row["initiatorWorkerId"], 0}
        assert [m["timeOffset"] for m in row["messages"]] == list(range(6))
        named = {found for m in row["messages"] for found in re.findall(r"@(\d+)", m["text"])}
        assert named == set(row["movieMentions"]) == set(row["initiatorQuestions"]) == set(row["respondentQuestions"])
        counted += sum(len(re.findall(r"@(\d+)", m["text"])) for m in row["messages"])
        labels = row["initiatorQuestions"]
        assert labels[number[original.accepted_id or ""]] == {"suggested": 1, "seen": 2, "liked": 1}
        assert labels[number[original.turns[2].products[0]]] == {"suggested": 1, "seen": 2, "liked": 0}
        if original.outfit_id:
            assert labels[number[original.outfit_id]] == {"suggested": 0, "seen": 1, "liked": 1}
        assert row["synth"]["acts"] == [turn.act for turn in original.turns]
    assert sum(int(entry["nbMentions"]) for entry in items.values()) == counted


def test_redial_titles_become_mentions(tmp_path: Path) -> None:
    """The title in any case, the longer of two first, and nothing that only looks like a mention."""
    catalogue = make_catalogue(tmp_path / "bags")
    products = [p.model_copy(update={"title": title}) for p, title in zip(catalogue, (
        "Bag", "Red Bag", "Bag @5", *(f"Other {n}" for n in range(9))), strict=True)]  # fmt: skip
    catalogue = catalogue.rewritten(tmp_path / "bags", products)
    base = make_conversation(0, catalogue)
    turns = (
        Turn(index=0, speaker="user", act="need", text="I pay 2 @5 for a bagel, mail me@7."),
        Turn(index=1, speaker="assistant", act="recommend", text="The RED BAG, not the bag.", products=("b1", "b0")),
        Turn(index=2, speaker="assistant", act="recommend", text="This then.", products=("b2",)),
        Turn(index=3, speaker="assistant", act="chit_chat", text="Bag @5 it is.", products=("b2",)),
    )
    conversation = base.model_copy(update={"turns": turns, "drafts": ("",) * 4})
    folder = export_of(conversation, catalogue, "redial", tmp_path / "out", Images.none)
    (row,) = lines(folder, "*_data.jsonl")
    assert [message["text"] for message in row["messages"]] == [
        "I pay 2 @ 5 for a bagel, mail me@ 7.",
        "The @2, not the @1.",
        "This then. (@3)",
        "@3 it is.",
    ]
    (found,) = dialogues(folder / "train_data.jsonl").values()
    assert found.turns[1].items == ("2", "1") and found.turns[1].text == "The Red Bag, not the Bag."


def test_redial_reads_back(run: RunFolder) -> None:
    folder = exported(run, "redial")
    rows = {row["conversationId"]: row["synth"]["conversation"] for row in lines(folder, "*_data.jsonl")}
    originals = {c.id: c for c in run.conversations()}
    found = {name: d for path in folder.glob("*_data.jsonl") for name, d in dialogues(path).items()}
    assert len(found) == 60
    for name, dialogue in found.items():
        original = originals[rows[name]]
        texts = [re.sub(r" \(Bag number \d+\)$", "", turn.text) for turn in dialogue.turns]
        assert texts == masked_texts(original)
        assert [turn.speaker for turn in dialogue.turns] == [turn.speaker for turn in original.turns]


# ---- messages


def trl(row: dict[str, Any]) -> None:
    """TRL's conversational language modelling: `messages` of `role` and `content`; with pictures, `images` as well.

    (Dataset formats and `prepare_multimodal_messages` of its documentation.)
    """
    assert isinstance(row["messages"], list) and row["messages"]
    places = 0
    for message in row["messages"]:
        assert message.keys() == {"role", "content"} and message["role"] in ("system", "user", "assistant")
        if isinstance(message["content"], str):
            continue
        for part in message["content"]:
            assert part["type"] in ("image", "text")
            assert isinstance(part.get("text"), str) is (part["type"] == "text")
            places += part["type"] == "image"
    assert places == len(row["images"]), "an image for each place"


@pytest.mark.parametrize("images", ["files", "links", "none"])
def test_messages_have_trls_fields(run: RunFolder, images: str) -> None:
    rows = lines(exported(run, "messages", "--images", images))
    assert len(rows) == 60
    for row in rows:
        trl(row)
        assert bool(row["images"]) is (images != "none")


def test_messages_open_with_pictures_as_the_card_says(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="the dev extra installs datasets")
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = exported(run, "messages", "--images", "files")
    card = (folder / "README.md").read_text("utf-8").replace("path/to/this/folder", folder.as_posix())
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        exec(block, names)
    assert {name: len(rows) for name, rows in names["conversations"].items()} == {
        "train": 48,
        "validation": 6,
        "test": 6,
    }
    for row in names["train"]:
        assert row["images"] and all(image.size == (8, 10) for image in row["images"])
        for message in row["messages"]:  # a column has one type: `datasets` fills parts up with None
            message["content"] = [{k: v for k, v in part.items() if v is not None} for part in message["content"]]
        trl(row)


def test_messages_read_back(run: RunFolder) -> None:
    found = dialogues(exported(run, "messages", "--images", "files"))
    for original in run.conversations():
        dialogue = found[original.id]
        assert [turn.text for turn in dialogue.turns] == masked_texts(original)
        assert [(turn.act, turn.items) for turn in dialogue.turns] == [(t.act, t.products) for t in original.turns]
        names = [tuple(Path(image).stem for image in turn.images) for turn in dialogue.turns]
        assert names == [turn.images for turn in original.turns]
        assert (dialogue.target, dialogue.ended_by) == (original.target_id, original.ended_by)
