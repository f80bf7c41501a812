"""No key, password or picture in anything a run leaves behind or says, whatever servers echo."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from synth.cli import main
from synth.errors import Exit
from synth.llm import gateway, waves
from tests.support.fakes import Fake
from tests.support.fakes.ask import Refused
from tests.support.fakes.server import Exchange, Server

OPENAI_KEY = "sk-proj-PLANTED0OpenAIKey0zQ7w"
ANTHROPIC_KEY = "sk-ant-PLANTED0AnthropicKey0xR3v"
USER, PASSWORD = "planted0user0name", "planted:Pass/word@9kT2"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (OPENAI_KEY, ANTHROPIC_KEY, PASSWORD, BASIC, f"Basic {BASIC}", f"Bearer {OPENAI_KEY}")
FORMATS = ("messages", "hf", "lavic")


class Wire(NamedTuple):
    """What reached the fake server."""

    requests: list[tuple[str, dict[str, str], bytes]]
    """Path, headers, body."""

    def bodies(self, path: str = "") -> list[bytes]:
        return [body for where, _, body in self.requests if path in where]

    def pictures(self) -> list[bytes]:
        """A piece from the middle of every picture that was sent, as bytes and as base64."""
        texts = {data for _, _, body in self.requests for data in _pictures(body)}
        found = []
        for text in sorted(texts):
            middle = len(text) // 8 * 4
            found += [text[middle : middle + 40].encode(), base64.b64decode(text)[middle // 4 * 3 :][:24]]
        return found


def _pictures(body: bytes) -> Iterator[str]:
    """Base64 of the pictures in a request, of either API, or in the lines of a batch file."""
    for before, after in ((b";base64,", b'"'), (b'"data":"', b'"')):
        for part in body.split(before)[1:]:
            yield part.partition(after)[0].decode()


def forms(secret: str) -> list[bytes]:
    """A secret as it may be hidden: as it is, quoted for an address, in JSON, in base64 at any offset."""
    raw = secret.encode()
    hidden = [base64.b64encode(b"\0" * skip + raw)[4 * (skip > 0) : -4].rstrip(b"=") for skip in range(3)]
    return [raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(), *hidden]


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds: its bytes, and for a store every cell, unpacked."""
    yield str(path), path.read_bytes()
    if path.suffix != ".db":
        return
    with contextlib.closing(sqlite3.connect(path)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f"SELECT * FROM {table}"):
                for cell in row:
                    if isinstance(cell, str):
                        yield f"{path}: {table}", cell.encode()
                    elif isinstance(cell, bytes):
                        yield f"{path}: {table}", cell
                        with contextlib.suppress(zlib.error):
                            yield f"{path}: {table}, unpacked", zlib.decompress(cell[1:])


def search(places: Iterator[tuple[str, bytes]], needles: list[bytes]) -> None:
    for where, data in places:
        for needle in needles:
            assert needle not in data, (where, needle)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
    monkeypatch.setattr(gateway, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(waves, "QUIET", 0.05)
    monkeypatch.setattr(waves, "_FIRST_POLL", 0.02)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Records what reaches fake servers, whose errors repeat all of it."""
    wire = Wire([])
    handle, fail = Server.handle, Server.fail

    def handles(self: Server, exchange: Exchange) -> None:
        if not exchange.path.startswith("/_fake/"):
            wire.requests.append((exchange.path, dict(exchange.headers), exchange.body))
        handle(self, exchange)

    def fails(self: Server, exchange: Exchange, api: Any, refused: Refused) -> None:
        refused.message += f" You sent {exchange.headers} {exchange.body.decode('utf-8', 'replace')}"
        fail(self, exchange, api, refused)

    monkeypatch.setattr(Server, "handle", handles)
    monkeypatch.setattr(Server, "fail", fails)
    return wire


@pytest.fixture
def synth(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs `synth`, expects the exit code (None for any), returns what it said.

    All that was ever said is searched for secrets at the end.
    """
    said: list[tuple[str, bytes]] = []

    def run(*arguments: str | Path, code: int | None = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["synth", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capfd.readouterr()
        said.append((" ".join(map(str, arguments[:2])), (out + err).encode()))
        assert code in (None, exit_.value.code or 0), err
        return str(out + err)

    yield run
    assert said
    search(iter(said), [form for secret in (*SECRETS, USER) for form in forms(secret)])


def with_password(url: str) -> str:
    return url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")


def leave_nothing(run: Path, wire: Wire, *folders: Path) -> None:
    """Searches a run's files for secrets and pictures, and its exports.

    Args:
        folders: that hold pictures by right: these are searched for secrets.
    """
    secrets = [form for secret in (*SECRETS, USER) for form in forms(secret)]
    pictures = wire.pictures()
    assert len(pictures) > 4, "pictures were sent"
    files = [path for path in run.rglob("*") if path.is_file() and "images" not in path.parts]
    assert {"run.db", "run.log", "config.toml", "conversations.jsonl"} <= {path.name for path in files}
    for path in files:
        search(contents(path), secrets + pictures)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                search(contents(path), secrets)


ECHOES = {"500": 0.05, "drop": 0.05, "bad_json": 0.03, "refused": 0.02}


@pytest.mark.parametrize(
    ("llm", "mode", "images"),
    [
        ("openai:gpt-4o-mini", "online", "low"),
        ("openai:gpt-4o-mini", "batch", "low"),
        ("openai:gpt-4o-mini", "online", "described"),
        ("anthropic:claude-haiku-4-5", "online", "low"),
        ("anthropic:claude-haiku-4-5", "batch", "low"),
    ],
)
def test_a_run_leaves_no_secret(
    catalogue: Path,
    wire: Wire,
    synth: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    llm: str,
    mode: str,
    images: str,
) -> None:
    faults = ECHOES if mode == "online" else {"row_errored": 0.05, "row_expired": 0.03, "bad_json": 0.03}
    with Fake(in_thread=True, faults=faults, batch_delay=0.02) as server:
        address: tuple[str, ...] = ("--base-url", with_password(server.openai_url))
        if llm.startswith("anthropic"):
            monkeypatch.setenv("ANTHROPIC_BASE_URL", with_password(server.url))
            address = ()
        command = (
            "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "2", "--out", "run", "--llm", llm,
            "--mode", mode, "--images", images, "--price", f"{llm.partition(':')[2]}=1/2", "--threshold", "0", *address,
        )  # fmt: skip
        synth(*command, "--dry-run")
        synth(*command)
        # A run that is gone on with after its key was revoked.
        server.set(**({"faults": {"401": 1.0}} if mode == "online" else {"key": "another"}))
        said = synth(*command, "--convs", "4", code=Exit.BAD_INPUT)
        assert said.splitlines()[-1].startswith("synth: ") and "401" in said
        synth("doctor", "--llm", llm, *address, code=Exit.CHECK_FAILED)
        server.set(faults={}, key="")
        if mode == "online":
            # Refusals with a reason worth showing, which repeat the whole request behind it.
            server.set(context=10)
            assert "(400)" in synth(*command, "--convs", "4", code=None)
            server.set(context=0)
        synth("doctor", "--llm", llm, *address)
        synth("doctor", "--json")
    # The fake server's conversations make no sense, and `check` says so.
    for *what, code in (("run", "status", Exit.DONE), ("run", "cost", Exit.DONE), ("check", Exit.CHECK_FAILED)):
        synth(*what, "run", code=code)
        synth(*what, "run", "--json", code=code)
    synth("run", "list", "--runs", ".")
    for form in FORMATS:
        synth("export", "run", "--format", form, "--out", f"{form}-files")
        synth("export", "run", "--format", form, "--out", f"{form}-none", "--images", "none", "--json")
    leave_nothing(Path("run"), wire, *(Path(f"{form}-files") for form in FORMATS))
    for form in FORMATS:
        for path in Path(f"{form}-none").rglob("*"):
            if path.is_file():
                search(contents(path), wire.pictures())
    # The secrets did go out, in the headers, and nowhere else.
    assert any(BASIC in headers.get("authorization", "") for _, headers, _ in wire.requests)
    secrets = [form for secret in (*SECRETS, USER) for form in forms(secret)]
    search(((path, body) for path, _, body in wire.requests), secrets)
    if mode == "batch":
        assert wire.bodies("/files" if llm.startswith("openai") else "/batches")


def test_keys_go_to_their_own_provider_only(
    catalogue: Path, wire: Wire, synth: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Fake(in_thread=True) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        synth(
            "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run", "--threshold", "0",
            "--llm", "openai:gpt-4o-mini", "--rewriter", "anthropic:claude-haiku-4-5", "--base-url", server.openai_url,
        )  # fmt: skip
    for path, headers, _ in wire.requests:
        sent = " ".join(headers.values())
        of_anthropic = "anthropic-version" in headers
        assert (OPENAI_KEY in sent, ANTHROPIC_KEY in sent) == (not of_anthropic, of_anthropic), path
    assert {"/v1/chat/completions", "/v1/messages"} <= {path for path, _, _ in wire.requests}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--base-url", "http://{credentials}@127.0.0.1:1/v1"], "no connection to http://127.0.0.1:1"),
        (["--base-url", "http://{credentials}@[nowhere"], "not the address of a server"),
        (["--base-url", "{credentials}@127.0.0.1:1"], "not the address of a server"),
        (["--base-url", "http://127.0.0.1:1/v1?key={credentials}"], "not the address of a server"),
    ],
)
def test_errors_before_the_start_keep_the_password(
    catalogue: Path, synth: Callable[..., str], flags: list[str], said: str
) -> None:
    credentials = f"{USER}:{quote(PASSWORD, safe='')}"
    filled = [flag.format(credentials=credentials) for flag in flags]
    command = ("generate", "--catalog", catalogue, "--convs", "1", "--llm", "openai:m", "--out", "run", *filled)
    line = synth(*command, "--quiet", code=Exit.BAD_INPUT)
    assert said in line and line.count("\n") == 1
    assert not Path("run").exists()


def test_settings_files_keep_the_password_out_of_help_and_runs(
    catalogue: Path, wire: Wire, synth: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Fake(in_thread=True) as server:
        Path("synth.toml").write_text(
            f'[generate]\nllm = "openai:gpt-4o-mini"\nbase_url = "{with_password(server.openai_url)}"\n', "utf-8"
        )
        synth("generate", "--help")
        synth("doctor")
        synth(
            "generate", "--catalog", catalogue, "--scenarios", "60", "--convs", "1", "--out", "run", "--threshold", "0"
        )
        assert f'base_url = "{server.openai_url}"' in Path("run/config.toml").read_text("utf-8")
    leave_nothing(Path("run"), wire)
    monkeypatch.setenv("SYNTH_GENERATE_BASE_URL", with_password("http://127.0.0.1:1/v1"))
    synth("generate", "--help")


def test_the_search_would_find_them(tmp_path: Path) -> None:
    store = tmp_path / "run.db"
    for hidden in (
        OPENAI_KEY.encode(),
        base64.b64encode(b"." + PASSWORD.encode() + b"."),
        base64.b64encode(b".." + OPENAI_KEY.encode()),
        BASIC.encode(),
    ):
        store.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(store)) as db, db:
            db.execute("CREATE TABLE texts (body BLOB)")
            db.execute("INSERT INTO texts VALUES (?)", (b"\x01" + zlib.compress(b"x" * 999 + hidden),))
        with pytest.raises(AssertionError):
            search(contents(store), [form for secret in SECRETS for form in forms(secret)])
