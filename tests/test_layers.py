"""Imports run downward only, and the package's front stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "synth"
LAYERS = [
    {"cli"},
    {"view", "graphs", "recommender"},
    {"agents", "analysis"},
    {"llm", "index"},
    {"prompts", "traces"},
    {"corpora"},
    {"errors", "randomness", "text"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ["torch", "transformers", "langgraph", "openai", "anthropic", "numpy", "PIL", "pyarrow", "jinja2", "faker"]
HEAVY += ["matplotlib", "wordcloud", "fontTools"]


def imports(path: Path) -> set[str]:
    """Parts of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("synth."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "synth":
            found.update(alias.name for alias in node.names if alias.name in LEVEL)
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("synth."))
    return found


def test_every_part_has_a_layer() -> None:
    parts = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert parts - {"__init__", "__main__"} <= set(LEVEL)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_downward(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return
    upward = {other for other in imports(path) if LEVEL[other] <= LEVEL[part] and other != part}
    assert not upward, f"{path} imports upward: {upward}"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(out.stdout.splitlines()[-1].split())


def test_importing_the_package_is_light() -> None:
    assert not loaded_by("import synth").intersection(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    code = "from synth.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    assert not loaded_by(code).intersection(HEAVY)


def test_recommender_does_not_import_graphs() -> None:
    folder = PACKAGE / "recommender"
    assert not any("graphs" in imports(path) for path in folder.rglob("*.py"))
