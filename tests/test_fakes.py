"""The fake servers, asked through the providers' own client libraries."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from PIL import Image

from synth.graphs.generation import generate
from synth.graphs.options import Options
from synth.llm.structured import schema_text, strict_schema
from synth.prompts.calls import CALLS, RejectOutput, UtteranceOutput
from synth.randomness import rng
from synth.text import opening
from synth.traces.store import RunStore
from tests.support.fakes import Fake
from tests.support.fakes.faults import Faults
from tests.support.fakes.pictures import NoPicture, decode
from tests.support.fakes.tokens import anthropic_image_tokens, count_tokens, openai_image_tokens

KEY = "sk-let-me-in"
MINI = "gpt-4o-mini"
HAIKU = "claude-haiku-4-5"
SYSTEM = "You are brief."
CARDS = "\n".join(
    f'<product id="p{n}">\ntitle: Alder Shoe {n}\ntype: Sneakers\ncolour: {colour}\nsole: Flat\n'
    f"seen in the picture, tone: {tone}\n</product>"
    for n, (colour, tone) in enumerate([("Red", "pale"), ("Blue", "dark")])
)


@pytest.fixture(scope="module")
def server() -> Iterator[Fake]:
    with Fake(in_thread=True) as fake:
        yield fake


@pytest.fixture
def fake(server: Fake) -> Iterator[Fake]:
    """The module's server, without a past and with the settings it began with."""
    yield server
    settings = {"faults": {}, "latency": 0, "key": "", "capacity": 0, "rpm": 0, "models": "", "blind": "", "context": 0}
    server.set(**settings, refuse="", batch_delay=0.1, batch_tokens=0)
    server.reset()


@pytest.fixture(scope="module")
def clients(server: Fake) -> Iterator[tuple[openai.OpenAI, anthropic.Anthropic]]:
    with (
        openai.OpenAI(api_key=KEY, base_url=server.openai_url, max_retries=0) as gpt,
        anthropic.Anthropic(api_key=KEY, base_url=server.url, max_retries=0) as claude,
    ):
        yield gpt, claude


@pytest.fixture
def gpt(fake: Fake, clients: tuple[openai.OpenAI, anthropic.Anthropic]) -> openai.OpenAI:
    return clients[0]


@pytest.fixture
def claude(fake: Fake, clients: tuple[openai.OpenAI, anthropic.Anthropic]) -> anthropic.Anthropic:
    return clients[1]


def picture(kind: str = "PNG", size: tuple[int, int] = (600, 400)) -> str:
    data = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(data, kind)
    return base64.b64encode(data.getvalue()).decode()


def image_part(data: str, mime: str = "image/png", detail: str = "high") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}", "detail": detail}}


def chat(task: Any, output: Any = UtteranceOutput, **fields: Any) -> dict[str, Any]:
    """A chat completion's body."""
    schema = {"name": output.__name__, "schema": strict_schema(output), "strict": True}
    return {
        "model": MINI,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task}],
        "response_format": {"type": "json_schema", "json_schema": schema},
        **fields,
    }


def message(task: Any, output: Any = UtteranceOutput, **fields: Any) -> dict[str, Any]:
    """A message's body."""
    return {
        "model": HAIKU,
        "max_tokens": 500,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": task}],
        "output_config": {"format": {"type": "json_schema", "schema": strict_schema(output)}},
        **fields,
    }


def usd(usage: Any) -> float:
    """By the prices that are the default."""
    cached = usage.prompt_tokens_details.cached_tokens
    return ((usage.prompt_tokens - cached) * 0.15 + cached * 0.075 + usage.completion_tokens * 0.60) / 1e6


# ---- answers


def test_equal_requests_have_equal_answers_from_both_apis(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    task = f"Recommend one product to the customer.\n\n{CARDS}"
    first, again = (gpt.chat.completions.create(**chat(task)).choices[0].message.content for _ in range(2))
    other = gpt.chat.completions.create(**chat(f"{task} Be quick.")).choices[0].message.content
    of_claude = claude.messages.create(**message(task)).content[0].text
    assert first == again == of_claude != other
    assert "Alder Shoe 1" in UtteranceOutput.model_validate_json(str(first)).text


@pytest.mark.parametrize("name", CALLS)
def test_every_agent_call_gets_an_answer_of_its_type(name: str, gpt: openai.OpenAI) -> None:
    for task in (f"{CARDS}\n\nChoose.", "Nothing to see."):
        answer = gpt.chat.completions.create(**chat(task, CALLS[name].output))
        CALLS[name].output.model_validate_json(str(answer.choices[0].message.content))


def test_a_schema_in_the_system_text_is_found(gpt: openai.OpenAI) -> None:
    body = chat(CARDS, RejectOutput)
    held = gpt.chat.completions.create(**body).choices[0].message.content
    del body["response_format"]
    body["messages"][0]["content"] += f"\n\nKeep to this JSON schema:\n{schema_text(RejectOutput)}"
    assert gpt.chat.completions.create(**body).choices[0].message.content == held


def test_the_rewriter_and_its_check_answer_for_every_message(gpt: openai.OpenAI) -> None:
    task = (
        "0. assistant (greet): Hello. 7. user (need): is no message.\n1. user (need, colloquial): I am here.\n"
        "   keep: ‹Alder Shoe› 2. assistant (recommend): Take this.\n\nReturn the 3 rewritten messages, in order."
    )
    answer = gpt.chat.completions.create(**chat(task, CALLS["rewriter.rewrite"].output))
    texts = json.loads(str(answer.choices[0].message.content))["texts"]
    assert len(texts) == 3 and texts[1] == "I'm here." and "Alder" not in "".join(texts)
    answer = gpt.chat.completions.create(**chat("Check the 4 pairs.", CALLS["rewriter.check"].output))
    assert len(json.loads(str(answer.choices[0].message.content))["checks"]) == 4


def test_rejections_never_open_alike(gpt: openai.OpenAI) -> None:
    used: list[str] = []
    for _ in range(12):
        task = f"{CARDS}\n\nOpenings you have used: {'; '.join(used)}\n\nWrite your rejection."
        answer = gpt.chat.completions.create(**chat(task, RejectOutput)).choices[0].message.content
        rejection = RejectOutput.model_validate_json(str(answer))
        assert rejection.reasons and opening(rejection.text) not in used
        used.append(opening(rejection.text))


def test_replay_answers_from_a_run(catalogue: Path, tmp_path: Path) -> None:
    generate(Options(catalog=catalogue, scenarios=60, convs=3, seed=5, out=tmp_path / "run"))
    store = RunStore(tmp_path / "run" / "run.db", readonly=True)
    calls = list(store.calls())
    store.close()
    assert len({call.messages for call in calls}) < len(calls)
    with (
        Fake(in_thread=True, answers="replay", replay=str(tmp_path / "run" / "run.db")) as fake,
        openai.OpenAI(api_key=KEY, base_url=fake.openai_url, max_retries=0) as gpt,
    ):
        for call in calls:
            roles = ["system", *["user", "assistant"] * len(call.messages)]
            messages = [{"role": role, "content": text} for role, text in zip(roles, call.messages, strict=False)]
            seed = rng(5, *call.place[:3]).getrandbits(31)
            answer = gpt.chat.completions.create(model=MINI, messages=messages, seed=seed)  # type: ignore[arg-type]
            assert answer.choices[0].message.content == call.reply
        messages += [
            {"role": "assistant", "content": "{"},
            {"role": "user", "content": "That does not fit the schema (no end). Answer again, as JSON only."},
        ]
        answer = gpt.chat.completions.create(model=MINI, messages=messages, seed=seed)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == calls[-1].reply
        with pytest.raises(openai.InternalServerError):
            gpt.chat.completions.create(**chat("Never asked."))
        assert fake.ledger()["missing"] == 1


# ---- tokens and pictures


def test_counted_tokens_are_near_the_encodings() -> None:
    # Counts by o200k_base.
    for text, tokens in (
        ("Good evening, nobody's ahead of you. What are we after?", 14),
        ("title: Driftlane Elin Slip-on Trainers\ncategory: Footwear > Shoes > Sneakers\nprice: 39.90 EUR\n", 28),
        ('{"verdict":true,"reason":"Both requirements are met and nothing said is contradicted."}', 20),
    ):
        assert count_tokens(text) == pytest.approx(tokens, rel=0.15)


def test_image_tokens_follow_the_published_rules() -> None:
    assert openai_image_tokens(MINI, 512, 512, low=False) == 2833 + 5667
    assert openai_image_tokens(MINI, 513, 512, low=False) == 2833 + 2 * 5667
    assert openai_image_tokens(MINI, 4000, 3000, low=True) == 2833
    assert openai_image_tokens("gpt-4o", 2048, 4096, low=False) == 85 + 6 * 170  # 768 x 1536, OpenAI's own example
    assert anthropic_image_tokens(1000, 1000) == 36 * 36
    assert anthropic_image_tokens(4000, 4000) <= 1568


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_are_measured_by_their_bytes(kind: str) -> None:
    found = decode(picture(kind, (37, 21)))
    assert found[:3] == (f"image/{kind.lower()}", 37, 21)


def test_pictures_are_counted(gpt: openai.OpenAI, claude: anthropic.Anthropic, fake: Fake) -> None:
    text = {"type": "text", "text": "What is it?"}
    plain = gpt.chat.completions.create(**chat([text])).usage
    high = gpt.chat.completions.create(**chat([image_part(picture()), text])).usage
    low = gpt.chat.completions.create(**chat([image_part(picture(), detail="low"), text])).usage
    assert plain and high and low
    assert high.prompt_tokens - plain.prompt_tokens == 2833 + 2 * 5667
    assert low.prompt_tokens - plain.prompt_tokens == 2833
    source = {"type": "base64", "media_type": "image/jpeg", "data": picture("JPEG")}
    bare = claude.messages.create(**message([text])).usage
    seen = claude.messages.create(**message([{"type": "image", "source": source}, text])).usage
    assert seen.input_tokens - bare.input_tokens == 22 * 15
    assert fake.ledger()["billed"]["image"] == 2 * 2833 + 2 * 5667 + 22 * 15


def test_openai_caches_long_prefixes(gpt: openai.OpenAI) -> None:
    body = chat("One.")
    body["messages"][0]["content"] = "word " * 2000
    first = gpt.chat.completions.create(**body).usage
    body["messages"][1]["content"] = "Another one."
    second = gpt.chat.completions.create(**body).usage
    assert first and second and first.prompt_tokens_details and second.prompt_tokens_details
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == 1920


def test_anthropic_caches_what_is_marked(claude: anthropic.Anthropic) -> None:
    long = {"type": "text", "text": "word " * 1999 + "word"}
    marked = {**long, "cache_control": {"type": "ephemeral"}}
    plain = claude.messages.create(**message("One.", system=[long])).usage
    first = claude.messages.create(**message("One.", system=[marked])).usage
    second = claude.messages.create(**message("Two.", system=[marked])).usage
    assert plain.cache_creation_input_tokens == plain.cache_read_input_tokens == 0
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (2000, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 2000)
    assert second.input_tokens < 30


# ---- what is not valid


def refused(gpt: openai.OpenAI, body: dict[str, Any]) -> Any:
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.chat.completions.create(**body)
    return caught.value


def test_openai_refuses_what_is_not_valid(gpt: openai.OpenAI) -> None:
    assert refused(gpt, chat("x", messages=[])).param == "messages"
    assert refused(gpt, chat("x", messages=[{"role": "shop", "content": "x"}])).code == "invalid_value"
    for part in (
        image_part(picture(), "image/jpeg"),
        image_part("AAAA"),
        image_part(picture()[:-3] + "?=="),
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ):
        assert "mage" in str(refused(gpt, chat([part])))
    loose = chat("x")
    loose["response_format"]["json_schema"]["schema"] = UtteranceOutput.model_json_schema()
    assert refused(gpt, loose).code == "invalid_json_schema"


def test_anthropic_refuses_what_is_not_valid(claude: anthropic.Anthropic) -> None:
    wrong_kind = {"type": "base64", "media_type": "image/jpeg", "data": picture("PNG")}
    for body in (
        message("x", messages=[]),
        message("x", messages=[{"role": "assistant", "content": "x"}]),
        message([{"type": "text", "text": " "}]),
        message([{"type": "image", "source": wrong_kind}]),
        message("x", extra_body={"temperature": 1.5}),
        message("x", max_tokens=0),
        message("x", output_config={"format": {"type": "json_schema", "schema": RejectOutput.model_json_schema()}}),
    ):
        if body["output_config"]["format"]["schema"].get("title") == "RejectOutput":
            body["output_config"]["format"]["schema"]["$defs"]["Reason"]["additionalProperties"] = True
        with pytest.raises(anthropic.BadRequestError):
            claude.messages.create(**body)


def test_errors_are_the_typed_ones(gpt: openai.OpenAI, claude: anthropic.Anthropic, fake: Fake) -> None:
    fake.set(models=[MINI, HAIKU], blind=[MINI, HAIKU], context=900)
    with pytest.raises(openai.NotFoundError) as gone:
        gpt.chat.completions.create(**chat("x", model="gpt-9"))
    assert gone.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(**message("x", model="claude-9"))
    assert "only supported by certain models" in str(refused(gpt, chat([image_part(picture())])))
    assert refused(gpt, chat("word " * 1000)).code == "context_length_exceeded"
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: 10.. tokens > 900 maximum"):
        claude.messages.create(**message("word " * 1000))
    assert [model.id for model in gpt.models.list()] == [MINI, HAIKU]
    assert claude.models.retrieve(HAIKU).max_input_tokens == 900
    fake.set(key="another")
    with pytest.raises(openai.AuthenticationError):
        gpt.models.list()
    with pytest.raises(anthropic.AuthenticationError):
        claude.messages.create(**message("x"))
    assert fake.ledger()["billed"]["answers"] == 0


def test_a_parameter_can_be_refused(gpt: openai.OpenAI, fake: Fake) -> None:
    fake.set(refuse="seed")
    assert refused(gpt, chat("x", seed=1)).param == "seed"
    gpt.chat.completions.create(**chat("x"))


def test_answers_are_cut_at_their_limit(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    answer = gpt.chat.completions.create(**chat(CARDS, RejectOutput, max_completion_tokens=5))
    assert answer.choices[0].finish_reason == "length" and answer.usage and answer.usage.completion_tokens == 5
    assert claude.messages.create(**message(CARDS, RejectOutput, max_tokens=5)).stop_reason == "max_tokens"


# ---- faults


def test_faults_come_in_their_shares_and_again() -> None:
    shares = {"429": 0.15, "500": 0.1, "drop": 0.05, "bad_json": 0.1}
    keys = [f"key {n}" for n in range(4000)]
    one, same, other = Faults(shares), Faults(shares), Faults({**shares, "seed": 1})
    drawn = [one.call(key) for key in keys]
    counts = Counter(drawn)
    for name, share in shares.items():
        assert counts[name] == pytest.approx(share * len(keys), rel=0.2)
    assert drawn == [same.call(key) for key in keys]
    assert drawn != [other.call(key) for key in keys]
    assert drawn != [one.call(key) for key in keys], "a request that comes again is drawn anew"
    with pytest.raises(ValueError, match="no such fault"):
        Faults({"429s": 0.1})


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("502", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ],
)
def test_openai_status_faults(gpt: openai.OpenAI, fake: Fake, fault: str, error: type[openai.APIStatusError]) -> None:
    fake.set(faults={fault: 1})
    with pytest.raises(error) as caught:
        gpt.chat.completions.create(**chat("x"))
    assert (caught.value.code == "insufficient_quota") == (fault == "quota")
    ledger = fake.ledger()
    assert ledger["billed"]["answers"] == 0 and ledger["faults"] == {fault: 1} and ledger["in_flight"]["now"] == 0


def test_anthropic_status_faults(claude: anthropic.Anthropic, fake: Fake) -> None:
    for fault, error in (("429_retry_after", anthropic.RateLimitError), ("529", anthropic.InternalServerError)):
        fake.set(faults={fault: 1, "retry_after": 0.25})
        with pytest.raises(error) as caught:
            claude.messages.create(**message("x"))
        assert caught.value.response.headers.get("retry-after") == ("0.25" if fault.startswith("429") else None)
    fake.set(faults={"quota": 1})
    with pytest.raises(anthropic.BadRequestError, match="credit balance is too low"):
        claude.messages.create(**message("x"))


def test_useless_answers_are_billed(gpt: openai.OpenAI, claude: anthropic.Anthropic, fake: Fake) -> None:
    fake.set(faults={"bad_json": 1})
    for n in range(8):
        answer = gpt.chat.completions.create(**chat(f"{CARDS}{n}", RejectOutput)).choices[0].message.content
        with pytest.raises(ValueError):
            RejectOutput.model_validate_json(str(answer))
    fake.set(faults={"empty": 1})
    assert gpt.chat.completions.create(**chat("x")).choices[0].message.content == ""
    assert claude.messages.create(**message("x")).content == []
    fake.set(faults={"refused": 1})
    assert gpt.chat.completions.create(**chat("x")).choices[0].message.refusal
    assert claude.messages.create(**message("x")).stop_reason == "refusal"
    fake.set(faults={"cut": 1})
    assert gpt.chat.completions.create(**chat("x")).choices[0].finish_reason == "length"
    ledger = fake.ledger()
    assert ledger["billed"]["answers"] == ledger["billed"]["arrived"] == 13
    assert all(usable == 0 for _, usable in ledger["calls"].values())


@pytest.mark.parametrize("fault", ["drop", "half", "hang"])
def test_answers_that_never_arrive_are_billed(gpt: openai.OpenAI, fake: Fake, fault: str) -> None:
    paid = usd(gpt.chat.completions.create(**chat("x")).usage)
    fake.set(faults={fault: 1})
    with pytest.raises(openai.APIConnectionError) as caught:
        gpt.chat.completions.create(**chat("x"), timeout=1 if fault == "hang" else 30)
    assert isinstance(caught.value, openai.APITimeoutError) == (fault == "hang")
    fake.set(faults={})
    paid += usd(gpt.chat.completions.create(**chat("y")).usage)
    ledger = fake.ledger()
    assert (ledger["billed"]["answers"], ledger["billed"]["lost"]) == (3, 1)
    assert ledger["billed"]["usd"] - ledger["billed"]["lost_usd"] == pytest.approx(paid)
    assert ledger["billed"]["lost_usd"] > 0
    assert sorted(ledger["calls"].values()) == [[1, 1], [2, 1]]
    assert ledger["repeated"] == 0 and ledger["in_flight"]["now"] == 0


def test_a_client_that_hangs_up_pays(fake: Fake, gpt: openai.OpenAI) -> None:
    fake.set(latency=2)
    with pytest.raises(openai.APITimeoutError):
        gpt.chat.completions.create(**chat("x"), timeout=1)
    deadline = time.monotonic() + 30
    while not (ledger := fake.ledger())["billed"]["answers"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (ledger["billed"]["answers"], ledger["billed"]["lost"]) == (1, 1)
    assert ledger["requests"]["POST /v1/chat/completions"] == {"left": 1}


def test_what_is_asked_again_is_counted(gpt: openai.OpenAI, fake: Fake) -> None:
    for seed in (1, 1, 2):
        gpt.chat.completions.create(**chat("x", seed=seed))
    ledger = fake.ledger()
    assert sorted(ledger["calls"].values()) == [[1, 1], [2, 2]] and ledger["repeated"] == 1


@pytest.mark.parametrize(
    ("then", "error"),
    [("401", openai.AuthenticationError), ("quota", openai.RateLimitError), ("down", openai.APIConnectionError)],
)
def test_things_go_wrong_for_good(gpt: openai.OpenAI, fake: Fake, then: str, error: type[openai.APIError]) -> None:
    fake.set(faults={"after": 2, "then": then})
    for n in range(2):
        gpt.chat.completions.create(**chat(f"{n}"))
    for _ in range(2):
        with pytest.raises(error):
            gpt.models.list()
    fake.set(faults={})
    gpt.models.list()


# ---- limits


def together(fake: Fake, count: int) -> tuple[float, int]:
    """Seconds that calls made at once take, and how many of them were refused."""

    async def run() -> tuple[float, int]:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=fake.openai_url, max_retries=0) as client:

            async def one(n: int) -> int:
                try:
                    await client.chat.completions.create(**chat(f"{n}"))
                except openai.RateLimitError as error:
                    assert 0 < float(error.response.headers["retry-after-ms"]) <= 1000
                    return 1
                return 0

            started = time.perf_counter()
            refusals = await asyncio.gather(*map(one, range(count)))
            return time.perf_counter() - started, sum(refusals)

    return asyncio.run(run())


def test_latency_and_capacity(fake: Fake) -> None:
    fake.set(latency="0.8:0.85")
    quick, _ = together(fake, 6)
    assert fake.ledger()["in_flight"]["most"] == 6
    fake.set(capacity=2)
    slow, _ = together(fake, 6)
    assert quick >= 0.8 and slow >= 2.4


def test_calls_a_minute(fake: Fake) -> None:
    fake.set(rpm=60)
    _, refusals = together(fake, 6)
    assert refusals >= 3
    assert fake.ledger()["requests"]["POST /v1/chat/completions"] == {"200": 6 - refusals, "429": refusals}


# ---- batches


def upload(gpt: openai.OpenAI, bodies: list[dict[str, Any]], ids: list[str] | None = None) -> str:
    ids = ids or [f"row-{n}" for n in range(len(bodies))]
    rows = [
        {"custom_id": id_, "method": "POST", "url": "/v1/chat/completions", "body": body}
        for id_, body in zip(ids, bodies, strict=True)
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    return gpt.files.create(file=("wave.jsonl", content), purpose="batch").id


def submit(gpt: openai.OpenAI, file: str, **metadata: str) -> str:
    endpoint = "/v1/chat/completions"
    return gpt.batches.create(
        input_file_id=file, endpoint=endpoint, completion_window="24h", metadata=metadata
    ).id  # fmt: skip


def ended(gpt: openai.OpenAI, batch: str) -> Any:
    for _ in range(200):
        record = gpt.batches.retrieve(batch)
        if record.status in ("completed", "failed", "expired", "cancelled"):
            return record
        time.sleep(0.02)
    raise AssertionError("the batch does not end")


def lines(gpt: openai.OpenAI, file: str | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gpt.files.content(file).text.splitlines()] if file else []


def test_openai_batch(gpt: openai.OpenAI, fake: Fake) -> None:
    fake.set(batch_delay=0.1)
    bodies = [chat(f"Ask your question. {n}") for n in range(9)]
    online = [gpt.chat.completions.create(**body) for body in bodies]
    paid = fake.ledger()["billed"]["usd"]
    file = upload(gpt, [*bodies, chat("x", model=MINI, messages=[])])
    batch = submit(gpt, file, wave="7")
    assert gpt.batches.retrieve(batch).status in ("validating", "in_progress")
    record = ended(gpt, batch)
    assert record.status == "completed" and record.metadata == {"wave": "7"}
    assert (record.request_counts.total, record.request_counts.completed, record.request_counts.failed) == (10, 9, 1)
    rows = lines(gpt, record.output_file_id)
    ids = [row["custom_id"] for row in rows]
    assert sorted(ids) == [f"row-{n}" for n in range(9)] != ids
    answers = {row["custom_id"]: row["response"]["body"]["choices"][0]["message"]["content"] for row in rows}
    assert [answers[f"row-{n}"] for n in range(9)] == [answer.choices[0].message.content for answer in online]
    [wrong] = lines(gpt, record.error_file_id)
    assert wrong["response"]["status_code"] == 400 and wrong["response"]["body"]["error"]["param"] == "messages"
    billed = fake.ledger()["billed"]
    assert billed["in_batches"] == 9 and billed["usd"] == pytest.approx(1.5 * paid)


def test_openai_batches_are_listed_in_pages(gpt: openai.OpenAI, fake: Fake) -> None:
    made = [submit(gpt, upload(gpt, [chat(f"{n}")]), number=str(n)) for n in range(5)]
    page = gpt.batches.list(limit=2)
    assert [batch.id for batch in page.data] == made[:2:-1] and page.has_more
    assert [batch.id for batch in gpt.batches.list(limit=2)] == made[::-1]
    assert [batch["metadata"]["number"] for batch in fake.ledger()["batches"]] == list("01234")


def test_openai_batch_faults(gpt: openai.OpenAI, fake: Fake) -> None:
    bodies = [chat(f"{n}") for n in range(60)]
    fake.set(batch_delay=0.02, faults={"row_errored": 0.2, "row_expired": 0.2, "empty": 0.2})
    record = ended(gpt, submit(gpt, upload(gpt, bodies)))
    bad = lines(gpt, record.error_file_id)
    assert record.status == "expired"
    kinds = Counter("expired" if row["error"] else row["response"]["status_code"] for row in bad)
    assert set(kinds) == {"expired", 500} and min(kinds.values()) > 3
    empty = [
        row
        for row in lines(gpt, record.output_file_id)
        if not row["response"]["body"]["choices"][0]["message"]["content"]
    ]
    assert empty and fake.ledger()["billed"]["answers"] == 60 - len(bad)
    fake.set(faults={"batch_failed": 1})
    record = ended(gpt, submit(gpt, upload(gpt, bodies)))
    assert record.status == "failed" and record.errors.data[0].code == "server_error" and not record.output_file_id
    fake.set(faults={"batch_lost": 1})
    with pytest.raises(openai.APIConnectionError):
        submit(gpt, upload(gpt, bodies[:2]), wave="lost")
    [found] = [batch for batch in gpt.batches.list() if (batch.metadata or {}).get("wave") == "lost"]
    assert ended(gpt, found.id).status == "completed"


def test_openai_batches_that_are_not_valid_fail(gpt: openai.OpenAI, fake: Fake) -> None:
    fake.set(batch_delay=0.02)
    double = ended(gpt, submit(gpt, upload(gpt, [chat("x"), chat("y")], ["a", "a"])))
    assert [problem.code for problem in double.errors.data] == ["duplicate_custom_id"]
    fake.set(batch_tokens=100)
    long = ended(gpt, submit(gpt, upload(gpt, [chat("word " * 200)])))
    assert long.errors.data[0].code == "token_limit_exceeded"
    with pytest.raises(openai.NotFoundError):
        submit(gpt, "file-none")
    assert fake.ledger()["billed"]["answers"] == 0


def test_openai_batch_cancelled(gpt: openai.OpenAI, fake: Fake) -> None:
    fake.set(batch_delay=10)
    batch = submit(gpt, upload(gpt, [chat(f"{n}") for n in range(4)]))
    assert gpt.batches.cancel(batch).status == "cancelling"
    record = ended(gpt, batch)
    assert record.status == "cancelled"
    assert {row["error"]["code"] for row in lines(gpt, record.error_file_id)} == {"batch_cancelled"}
    with pytest.raises(openai.ConflictError):
        gpt.batches.cancel(batch)


def test_anthropic_batch(claude: anthropic.Anthropic, fake: Fake) -> None:
    fake.set(batch_delay=0.1, faults={"row_expired": 0.2, "row_errored": 0.2})
    requests: list[Any] = [{"custom_id": f"row-{n}", "params": message(f"Greet {n}.")} for n in range(30)]
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.batches.create(requests=[requests[0], requests[0]])
    batch = claude.messages.batches.create(requests=requests)
    assert batch.processing_status == "in_progress" and batch.request_counts.processing == 30
    with pytest.raises(anthropic.AnthropicError):
        claude.messages.batches.results(batch.id)
    while batch.processing_status != "ended":
        time.sleep(0.02)
        batch = claude.messages.batches.retrieve(batch.id)
    results = list(claude.messages.batches.results(batch.id))
    kinds = Counter(result.result.type for result in results)
    assert set(kinds) == {"succeeded", "errored", "expired"}
    counts = batch.request_counts
    assert (counts.succeeded, counts.errored, counts.expired) == tuple(
        kinds[kind] for kind in ("succeeded", "errored", "expired")  # type: ignore[index]
    )  # fmt: skip
    fake.set(faults={})
    ids = [result.custom_id for result in results]
    assert ids != sorted(ids, key=lambda id_: int(id_[4:]))
    for result in results:
        if result.result.type == "succeeded":
            online = claude.messages.create(**message(f"Greet {result.custom_id[4:]}."))
            assert online.content == result.result.message.content
            break
    assert [one.id for one in claude.messages.batches.list()] == [batch.id]
    assert claude.messages.batches.delete(batch.id).id == batch.id
    assert not list(claude.messages.batches.list()) and len(fake.ledger()["batches"]) == 1


def test_anthropic_batch_cancelled(claude: anthropic.Anthropic, fake: Fake) -> None:
    fake.set(batch_delay=10)
    batch = claude.messages.batches.create(requests=[{"custom_id": "a", "params": message("x")}])  # type: ignore[list-item]
    batch = claude.messages.batches.cancel(batch.id)
    assert batch.processing_status == "canceling"
    while batch.processing_status != "ended":
        time.sleep(0.02)
        batch = claude.messages.batches.retrieve(batch.id)
    assert [result.result.type for result in claude.messages.batches.results(batch.id)] == ["canceled"]


# ---- a process of its own


def test_a_server_that_dies_comes_back_on_its_port() -> None:
    with Fake(faults={"after": 1, "then": "die"}) as fake:
        port = fake.port
        with openai.OpenAI(api_key=KEY, base_url=fake.openai_url, max_retries=0) as gpt:
            gpt.chat.completions.create(**chat("x"))
            with pytest.raises(openai.APIConnectionError):
                gpt.chat.completions.create(**chat("y"))
            fake.wait()
            with Fake(in_thread=True, port=port):
                gpt.chat.completions.create(**chat("y"))


@pytest.mark.skipif(sys.platform == "win32", reason="there the number of a dead parent stays")
def test_a_server_ends_with_its_parent() -> None:
    code = "import os; from tests.support.fakes import Fake; print(Fake().__enter__().url, flush=True); os._exit(0)"
    root = Path(__file__).parents[1]
    url = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    for _ in range(100):
        with contextlib.suppress(TimeoutError):
            try:
                urllib.request.urlopen(f"{url}/_fake/ledger", timeout=1).close()
            except OSError:
                return
        time.sleep(0.05)
    raise AssertionError("the server outlives its parent")


def test_settings_are_checked(fake: Fake) -> None:
    with pytest.raises(ValueError, match="no such setting"), Fake(in_thread=True, latencies=1):
        pass
    with pytest.raises(OSError, match="400"):
        fake.set(faults={"nonsense": 1})
    with pytest.raises(NoPicture):
        decode("bm90IGEgcGljdHVyZQ==")
