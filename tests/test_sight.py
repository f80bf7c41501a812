"""Which calls see pictures, and how: by the requests that reach the fake server; and what prefix caches can hit."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import Person, Product, Requirement
from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.llm.tokens import MESSAGE_TOKENS, estimate_tokens
from synth.prompts.calls import (
    CALLS,
    AcceptInput,
    AnswerInput,
    AssistantView,
    Call,
    ChatReplyInput,
    DifferInput,
    Line,
    NeedInput,
    OutfitInput,
    QueryInput,
    RecommendInput,
    RejectInput,
    RerankInput,
    TalkInput,
    UserChatInput,
    UserView,
    records_differ,
)
from synth.prompts.cards import Cards
from synth.prompts.templates import Message, Prompts, Sight
from synth.traces.run import RunFolder
from synth.traces.store import LoggedCall
from tests.support.fakes import Fake
from tests.support.fakes.server import Exchange, Server

MODEL = "openai:gpt-4o-mini"
FLAG = "gpt-4o-mini=0.15/0.075/0.60"
COLOURS = ("red", "blue")
SIDES = re.compile(r"attached picture shows .* on the left, .* on the right")
LOW = 2833
"""Tokens of a picture at low detail for gpt-4o-mini (OpenAI's published rule)."""


class Part(NamedTuple):
    """A picture in a request."""

    detail: str
    size: tuple[int, int]
    data: bytes


class Sent(NamedTuple):
    """One call as the server got it."""

    call: str
    given: Any
    """The typed input that its prompt was made from."""
    text: str
    """Of the last message."""
    parts: list[Part]


class Seen(NamedTuple):
    """What one run looked like from outside."""

    path: Path
    sent: list[Sent]
    ledger: dict[str, Any]

    @property
    def image_tokens(self) -> int:
        return int(self.ledger["billed"]["image"])

    def calls(self) -> list[LoggedCall]:
        store = RunFolder(self.path).store()
        try:
            return list(store.calls())
        finally:
            store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sight")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bags and shoes so much alike that many are shown and turned down before the right one."""
    writer = CatalogueWriter(tmp_path_factory.mktemp("catalogues") / "few")
    products = []
    makes = itertools.product(("bag", "shoes"), COLOURS, ("leather", "canvas"), ("plain", "striped"))
    for n, (kind, colour, material, pattern) in enumerate(makes):
        stream = io.BytesIO()
        picture = Image.new("RGB", (60, 80), colour)
        picture.paste((250 - 8 * n, 8 * n, 128), (20, 2 * n, 40, 2 * n + 16))
        picture.save(stream, "PNG")
        products.append(
            Product(
                id=f"p{n}",
                title=f"The {('Ada', 'Bea')[n % 2]} {kind}",
                categories=(kind.title(),),
                images=(writer.store_image(stream.getvalue(), "image/png", 60, 80, None),),
                attributes={
                    "type": kind,
                    "colour": colour,
                    "material": material,
                    "pattern": pattern,
                    "gender": "Women",
                },
            )
        )
    return writer.finish(CatalogueInfo(name="few", source="few.csv", licence="CC0"), products).folder


@pytest.fixture(scope="module")
def looked(few: Path, folder: Path) -> dict[str, Seen]:
    """Runs by name: each level of pictures, and shared comparisons."""
    bodies: list[bytes] = []
    rendered: dict[str, tuple[str, Any]] = {}
    handle, render = Server.handle, Prompts.render

    def handles(self: Server, exchange: Exchange) -> None:
        if exchange.path == "/v1/chat/completions":
            bodies.append(exchange.body)
        handle(self, exchange)

    def renders(self: Prompts, call: Call[Any, Any], given: Any) -> list[Message]:
        messages = render(self, call, given)
        rendered["\n".join(message.text for message in messages)] = (call.name, given)
        return messages

    options = Options(catalog=few, scenarios=60, convs=14, seed=2, accept="target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.setattr(Server, "handle", handles)
        patch.setattr(Prompts, "render", renders)
        looked = {
            sight: _look(folder / sight, replace(options, images=sight), bodies, rendered, in_flight=in_flight)
            for sight, in_flight in (("full", (8,)), ("low", (8,)), ("described", (1, 32)))
        }
        # Records that say little, as those of most shops: one has to look to see a difference.
        patch.setattr("synth.agents.user.records_differ", lambda *_: False)
        shared = replace(options, comparisons="shared", convs=30)
        looked["shared"] = _look(folder / "shared", shared, bodies, rendered, in_flight=(1, 32))
    return looked


def _look(
    folder: Path,
    options: Options,
    bodies: list[bytes],
    rendered: dict[str, tuple[str, Any]],
    in_flight: tuple[int, ...],
) -> Seen:
    """Runs offline, then against a server that replays it; with several numbers in flight the bytes are the same."""
    generate(replace(options, out=folder / "offline"))
    rows = set()
    with Fake(in_thread=True, answers="replay", replay=str(folder / "offline" / "run.db")) as server:
        paid = replace(options, llm=MODEL, base_url=server.openai_url, prices=(FLAG,))
        for number in in_flight:
            bodies.clear()
            server.reset()
            generate(replace(paid, out=folder / f"paid-{number}", in_flight=number))
            seen = Seen(
                folder / f"paid-{number}", [_sent(json.loads(body), rendered) for body in bodies], server.ledger()
            )
            assert seen.ledger["missing"] == 0
            rows.add((seen.path / "conversations.jsonl").read_bytes())
    assert len(rows) == 1, "what was in flight has changed the data"
    return seen


def _sent(body: dict[str, Any], rendered: dict[str, tuple[str, Any]]) -> Sent:
    texts, parts = [], []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += [block["text"] for block in blocks if block["type"] == "text"]
        found = [block["image_url"] for block in blocks if block["type"] == "image_url"]
        assert not found or message is body["messages"][-1], "pictures go with the task"
        for given in found:
            data = base64.b64decode(given["url"].partition(",")[2])
            with Image.open(io.BytesIO(data)) as opened:
                parts.append(Part(given["detail"], opened.size, data))
    # Descriptions stand before the task.
    asked = "\n".join([*texts[:-1], re.sub(r"\A(The picture|Picture \d) shows: .*?\n\n", "", texts[-1], flags=re.S)])
    call, given = rendered[asked]
    return Sent(call, given, texts[-1], parts)


def _images(sent: Sent) -> tuple[str, ...]:
    """Hashes of what the call is to look at, by its definition."""
    return tuple(image for image in CALLS[sent.call].pictures(sent.given) if image)


# ---- which calls look --------------------------------------------------------------------------------------------

LOOKING = {
    "profile.match": {1},
    "manager.outfit": {2},
    "user.need": {0, 1},
    "chatter.ask": {0, 1},
    "chatter.recommend": {1},
    "user.reject": {2},
    "user.accept": {1},
    "user.chit_chat": {1},
}
"""How many pictures a call is about; need and question have one where the user shows something they own."""


def counts(seen: Seen) -> dict[str, set[int]]:
    """How many pictures the requests of each call had."""
    found: dict[str, set[int]] = {}
    for sent in seen.sent:
        found.setdefault(sent.call, set()).add(len(sent.parts))
    return found


def test_full_sends_every_picture_by_itself(looked: dict[str, Seen]) -> None:
    sent = looked["full"].sent
    assert {call: n for call, n in counts(looked["full"]).items() if n != {0}} == LOOKING
    assert all(len(one.parts) == len(_images(one)) for one in sent)
    assert {part.detail for one in sent for part in one.parts} == {"high"}


def test_low_sends_small_ones_and_only_where_a_call_must_look(looked: dict[str, Seen]) -> None:
    sent = looked["low"].sent
    for one in sent:
        looks = bool(_images(one)) and not CALLS[one.call].glance(one.given)
        assert len(one.parts) == looks, one.call
    found = counts(looked["low"])
    assert found["user.accept"] == found["user.chit_chat"] == {0}
    assert found["profile.match"] == found["manager.outfit"] == found["chatter.recommend"] == {1}
    parts = [part for one in sent for part in one.parts]
    assert {part.detail for part in parts} == {"low"}
    assert all(max(part.size) <= 512 for part in parts)
    assert looked["low"].image_tokens == LOW * len(parts)
    assert looked["full"].image_tokens > 2 * looked["low"].image_tokens


def test_described_looks_at_each_picture_once(looked: dict[str, Seen]) -> None:
    seen = looked["described"]
    assert {call: n for call, n in counts(seen).items() if n != {0}} == {"captioner.look": {1}}
    looks = [one for one in seen.sent if one.call == "captioner.look"]
    logged = [call for call in seen.calls() if call.call == "captioner.look"]
    assert len(looks) == len(logged) == len({call.images for call in logged}) > 10
    assert len(looks) == len({one.parts[0].data for one in looks})
    told = 0
    for one in seen.sent:
        images = () if one.call == "captioner.look" or CALLS[one.call].glance(one.given) else _images(one)
        said = re.findall(r"^(The picture|Picture \d) shows: \S", one.text, re.MULTILINE)
        assert said == [[], ["The picture"], ["Picture 1", "Picture 2"]][len(images)], one.call
        told += len(images)
    assert told > 2 * len(looks), "a description serves many calls"
    assert seen.image_tokens < looked["low"].image_tokens


def test_shared_comparisons_are_made_once_a_pair(looked: dict[str, Seen]) -> None:
    seen = looked["shared"]
    pairs = [(one.given.target.id, one.given.shown.id) for one in seen.sent if one.call == "user.differ"]
    assert pairs and len(pairs) == len(set(pairs))
    rejections = [one for one in seen.sent if one.call == "user.reject"]
    assert len(rejections) > len(pairs), "some pair came twice"
    assert all(one.given.differences is not None and not one.parts for one in rejections)
    assert {(one.given.view.target.id, one.given.shown.id) for one in rejections} == set(pairs)
    assert counts(seen)["user.differ"] == {1}


def test_left_and_right_are_said_only_of_joined_pictures(looked: dict[str, Seen]) -> None:
    told = set()
    for name, seen in looked.items():
        for one in seen.sent:
            joined = len(one.parts) == 1 and len(_images(one)) == 2
            assert bool(SIDES.search(one.text)) == joined, (name, one.call)
            told.update({name} if joined else ())
    assert told == {"low", "shared"}


def test_a_joined_picture_has_the_first_left_and_the_second_right(looked: dict[str, Seen], few: Path) -> None:
    shop = Catalogue.open(few)
    path = {picture.hash: shop.image_path(picture) for product in shop for picture in product.images}
    joined = [one for name in ("low", "shared") for one in looked[name].sent if one.parts and len(_images(one)) == 2]
    assert len(joined) > 5
    for one in joined:
        with Image.open(io.BytesIO(one.parts[0].data)) as opened:
            half = opened.width // 2
            shown = [opened.crop((0, 0, half - 4, opened.height)), opened.crop((half + 4, 0, *opened.size))]
        originals = [Image.open(path[image]) for image in _images(one)]
        right, wrong = (
            sum(_differ(first, second) for first, second in zip(originals, sides, strict=True))
            for sides in (shown, shown[::-1])
        )
        assert right < wrong
        for original in originals:
            original.close()


def _differ(first: Image.Image, second: Image.Image) -> float:
    """Mean difference of two pictures, shrunk to one size."""
    small = [image.convert("RGB").resize((16, 16)).tobytes() for image in (first, second)]
    return sum(abs(a - b) for a, b in zip(*small, strict=True)) / len(small[0])


# ---- prefixes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts()


@pytest.fixture(scope="module")
def cards(few: Path) -> Cards:
    return Cards(Catalogue.open(few))


@pytest.fixture(scope="module")
def chat(cards: Cards) -> tuple[Any, ...]:
    """Three products, and the views of both sides after four lines."""
    target, shown, outfit = (cards[name] for name in ("p0", "p7", "p8"))
    lines = (
        Line("assistant", "greet", "Hello!"),
        Line("user", "need", "I need something for a trip.", outfit=outfit),
        Line("assistant", "recommend", "This one is light.", shown=shown),
        Line("user", "chit_chat", "I see."),
    )
    person = Person(name="Nina", gender="female", age=30, profession="baker")
    requirements = (Requirement(text="light"), Requirement(text="dark"))
    user = UserView(person, None, "A trip.", "She travels every week.", requirements, target, lines)
    return target, shown, outfit, user, AssistantView(lines)


def _sides(chat: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    """Inputs of the calls of each side."""
    target, shown, outfit, user, assistant = chat
    return {
        "user": {
            "user.need": NeedInput(user, outfit),
            "user.answer": AnswerInput(user),
            "user.chit_chat": UserChatInput(user, shown),
            "user.reject": RejectInput(user, shown, ("Sorry, no",)),
            "user.accept": AcceptInput(user, shown),
        },
        "assistant": {
            "chatter.greet": TalkInput(AssistantView(())),
            "chatter.ask": TalkInput(assistant),
            "chatter.recommend": RecommendInput(assistant, shown, False),
            "chatter.chit_chat": ChatReplyInput(assistant, shown),
            "querier.query": QueryInput(assistant),
            "querier.rerank": RerankInput(assistant, "A bag.", ("light",), (shown, target)),
        },
    }


@pytest.mark.parametrize("side", ["user", "assistant"])
def test_calls_of_one_side_begin_alike(prompts: Prompts, chat: tuple[Any, ...], side: str) -> None:
    inputs = _sides(chat)[side]
    rendered = {name: prompts.render(CALLS[name], given) for name, given in inputs.items()}
    assert len({messages[0].text for messages in rendered.values()}) == 1, "the system prompt is the same"
    histories = {name: messages[1:-1] for name, messages in rendered.items()}
    lines = [line.text for line in chat[4].lines]
    without = {"chatter.greet", "querier.rerank"}
    for name, history in histories.items():
        assert [message.text for message in history] == ([] if name in without else lines), name
    for name, messages in rendered.items():
        assert messages[-1].role == "user" and messages[-1].text not in lines, name
        assert not any(message.images for message in messages[:-1]), name


@pytest.mark.parametrize("side", ["user", "assistant"])
def test_a_later_call_begins_with_an_earlier_ones_messages(prompts: Prompts, chat: tuple[Any, ...], side: str) -> None:
    target, shown, outfit, user, assistant = chat
    earlier = (target, shown, outfit, replace_lines(user, 2), AssistantView(assistant.lines[:2]))
    for name, given in _sides(earlier)[side].items():
        for later, more in _sides(chat)[side].items():
            if later not in ("chatter.greet", "querier.rerank"):
                first, second = prompts.render(CALLS[name], given), prompts.render(CALLS[later], more)
                assert second[: len(first) - 1] == first[:-1], (name, later)


def replace_lines(view: UserView, count: int) -> UserView:
    return replace(view, lines=view.lines[:count])


@pytest.mark.parametrize("name", ["profile.match", "manager.outfit", "user.differ", "user.judge", "captioner.look"])
def test_system_prompts_of_other_calls_are_static(name: str) -> None:
    """What comes first says nothing of the case at hand, so that it is the same in every call of its kind."""
    path = Path(__file__).parents[1] / "synth" / "prompts" / f"{name}.md"
    system = path.read_text("utf-8").partition("# Task")[0]
    assert "{{" not in system and "{%" not in system


def test_prefixes_are_too_short_for_anthropics_cache(looked: dict[str, Seen]) -> None:
    """Anthropic caches marked prefixes, from 1,024 tokens on at the least: marks in our requests would do nothing."""
    longest = max(
        sum(estimate_tokens(text) + MESSAGE_TOKENS for text in call.messages[:-1])
        for name in ("full", "low")
        for call in looked[name].calls()
    )
    assert 300 < longest < 1024


@pytest.mark.parametrize("sight", ["full", "low", "described"])
def test_prompts_know_what_is_attached(chat: tuple[Any, ...], sight: Sight) -> None:
    target, shown, _, user, _ = chat
    prompts = Prompts(sight=sight)
    like = replace(target, facets=dict(shown.facets))

    def task(name: str, given: Any) -> Message:
        return prompts.render(CALLS[name], given)[-1]

    for name, given in (("user.accept", AcceptInput(user, shown)), ("user.chit_chat", UserChatInput(user, shown))):
        message = task(name, given)
        assert ("its picture is attached" in message.text) == bool(message.images) == (sight == "full"), name
    for name, given in (
        ("user.differ", DifferInput(target, shown)),
        ("manager.outfit", OutfitInput(target, shown)),
        ("user.reject", RejectInput(replace(user, target=like), shown, ())),
    ):
        message = task(name, given)
        assert message.images == (target.image, shown.image), name
        assert bool(SIDES.search(message.text)) == (sight == "low"), name
    # Two products whose records differ enough are not looked at where pictures are sparing, and never after a shared
    # comparison.
    assert records_differ(target, shown) and not records_differ(like, shown)
    inline = task("user.reject", RejectInput(user, shown, ()))
    assert bool(inline.images) == ("records and pictures" in inline.text) == (sight == "full")
    assert not task("user.reject", RejectInput(user, shown, (), ())).images
