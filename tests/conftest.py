from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import make_run

from synth.cli import main
from synth.corpora.drawing import draw_catalogue
from synth.prompts.templates import Prompts
from synth.traces.run import RunFolder
from synth.traces.store import RunStore
from tests.support.commands import Called


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes make no name: a gzip's hold the time, and then two workers do not agree on what the tests are."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small drawn catalogue; nobody may change it."""
    folder = tmp_path_factory.mktemp("catalogues") / "small"
    draw_catalogue(folder, products=160, seed=3)
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The finished run `bags`, in `runs/` of the working folder."""
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "runs" / "bags")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    """An empty store."""
    opened = RunStore(tmp_path / "run.db")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def prompts() -> Prompts:
    """The package's own."""
    return Prompts()


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Called:
    """Calls a command as a shell would, errors turned to lines and exit codes."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["synth", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.fixture(autouse=True)
def _no_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report takes a second, and hundreds of runs are made; tests of the report are marked `report`."""
    if not request.node.get_closest_marker("report"):
        monkeypatch.setenv("SYNTH_GENERATE_REPORT", "0")
        monkeypatch.setattr("synth.graphs.generation._report", lambda run, progress: None)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and settings of whoever runs the tests must not reach them."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
