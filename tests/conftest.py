from __future__ import annotations

from pathlib import Path

import pytest

from synth.corpora.drawing import draw_catalogue


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small drawn catalogue; nobody may change it."""
    folder = tmp_path_factory.mktemp("catalogues") / "small"
    draw_catalogue(folder, products=160, seed=3)
    return folder


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
