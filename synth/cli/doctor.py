"""`synth doctor`: what is installed, what a server can do, what would be used."""

from __future__ import annotations

from typing import Any

import typer

from synth.errors import Exit, SynthError

_DISTRIBUTION = "synth-crs"
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_ADDRESSES = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
_LISTED = 5
"""Models that are named at most where a server lists others than the one asked for."""


def doctor(
    llm: str | None = typer.Option(
        None, "--llm", metavar="PROVIDER:MODEL", help="Make a tiny call to this model and tell what it can do."
    ),
    base_url: str | None = typer.Option(
        None,
        "--base-url",
        metavar="URL",
        help="Address of a compatible server, with its /v1.",
        show_default=False,  # it may come from a file and hold a password
    ),
    timeout: float = typer.Option(120.0, "--timeout", min=1.0, metavar="SECONDS", help="How long to wait for it."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Tell what is installed, what a server can do, and what `synth generate` would use."""
    server = _server(llm, base_url, timeout)
    report: dict[str, Any] = {
        "versions": _versions(),
        "parts": _parts(),
        "encoders": _encoders(),
        "disk": _disk(),
        "keys": _keys(),
        "addresses": _addresses(),
        "server": server,
    }
    report["generate"] = _defaults()
    if as_json:
        import json

        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show(report)
    if server and not server["answers"]:
        raise typer.Exit(Exit.CHECK_FAILED)


def _server(llm: str | None, base_url: str | None, timeout: float) -> dict[str, Any] | None:
    """What a tiny call to the model shows; None where none is asked for."""
    if llm is None:
        if base_url is not None:
            raise SynthError("--base-url alone names no model.", "Add --llm openai:MODEL.")
        return None
    from synth.llm.provider import ModelName

    name = ModelName.parse(llm)
    if name.provider == "offline":
        if base_url is not None:
            raise SynthError("The offline simulator has no server.", "Leave out --base-url, or use --llm openai:MODEL.")
        return None
    import asyncio

    from synth.llm.probe import probe, will_use

    seen = asyncio.run(probe(name, base_url=base_url, timeout=timeout))
    return {**seen._asdict(), "will_use": will_use(seen) if seen.answers else {}}


def _versions() -> dict[str, str]:
    import os
    import platform
    import sqlite3

    from synth import __version__

    return {
        "synth": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count() or "unknown"),
        "sqlite": sqlite3.sqlite_version,
    }


def _parts() -> dict[str, dict[str, str | None]]:
    """Version by distribution, by extra (`core` for what is always needed); None where it is not installed."""
    import re
    from importlib import metadata

    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        raise SynthError(
            f"{_DISTRIBUTION} is not installed in this Python, only its folder is there.", "Run: pip install -e ."
        ) from None
    parts: dict[str, dict[str, str | None]] = {"core": {}}
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"']([\w.-]+)", requirement)
        if name is None:
            continue
        try:
            version: str | None = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            version = None
        parts.setdefault(extra[1] if extra else "core", {})[name[0]] = version
    return parts


def _encoders() -> dict[str, str]:
    """What keeps each encoder of the index from being used; empty where nothing does."""
    from synth.index.encoders import availability

    return availability()


def _disk() -> dict[str, Any]:
    import shutil
    from pathlib import Path

    runs = Path("runs")
    folder = (runs if runs.is_dir() else Path()).resolve()
    return {"folder": str(folder), "free_gb": round(shutil.disk_usage(folder).free / 1e9, 1)}


def _keys() -> dict[str, bool]:
    """Whether each key is set; never what it is."""
    import os

    return {name: bool(os.environ.get(name, "").strip()) for name in _KEYS}


def _addresses() -> dict[str, str]:
    """Servers named by the environment, without user and password."""
    import os

    from synth.llm.endpoint import public_url

    return {name: public_url(url) for name in _ADDRESSES if (url := os.environ.get(name, "").strip())}


def _defaults() -> dict[str, str]:
    """What `synth generate` would use with no flags."""
    import os

    from synth.cli.init import settings

    stated = settings().get("generate", {})

    def setting(name: str, default: str) -> str:
        return os.environ.get(f"SYNTH_GENERATE_{name.upper()}") or str(stated.get(name, default))

    return {
        "catalogue": setting("catalog", "the drawn sample catalogue"),
        "index": _index(setting("encoder", "bm25")),
        "model": setting("llm", "offline"),
    }


def _index(stated: str) -> str:
    """With what `auto` stands for here."""
    if stated != "auto":
        return stated
    from synth.index.encoders import concrete

    return f"auto: {' and '.join(concrete((stated,), 0))}"


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")

    versions = report["versions"]
    table.add_row("synth", versions["synth"])
    table.add_row("python", f"{versions['python']} on {versions['platform']}, {versions['cores']} cores")
    table.add_row("sqlite", versions["sqlite"])
    for extra, packages in report["parts"].items():
        table.add_row(extra, _part(extra, packages))
    for name, problem in report["encoders"].items():
        table.add_row(f"encoder {name}", problem or "ready")
    table.add_row("disk", f"{report['disk']['free_gb']} GB free in {report['disk']['folder']}")
    for name, is_set in report["keys"].items():
        table.add_row(name, "set" if is_set else "not set")
    for name, url in report["addresses"].items():
        table.add_row(name, url)
    table.add_row("synth generate", "with no flags uses")
    for name, value in report["generate"].items():
        table.add_row(f"  {name}", value)
    if report["server"]:
        for name, value in _server_rows(report["server"]):
            table.add_row(name, value)
    console = Console(highlight=False, markup=False)
    console.print(table)


def _part(extra: str, packages: dict[str, str | None]) -> str:
    missing = [name for name, version in packages.items() if version is None]
    if not missing:
        return ", ".join(f"{name} {version}" for name, version in packages.items())
    wanted = _DISTRIBUTION if extra == "core" else f"{_DISTRIBUTION}[{extra}]"
    return f"missing {', '.join(missing)}. To have it: pip install '{wanted}'"


def _server_rows(server: dict[str, Any]) -> list[tuple[str, str]]:
    if not server["answers"]:
        return [(server["model"], f"does not answer: {server['problem']}")]
    name = server["model"].partition(":")[2]
    listed = name in server["models"] or not server["models"]
    unlisted = "" if listed else f"; the server lists {', '.join(server['models'][:_LISTED])}, not {name}"
    published = ", as published for its name" if server["context_source"] == "published" else ""
    context = f"{server['context']:,} tokens{published}" if server["context"] else "not told"
    thoughts = f"written before the answer, {server['thought']} tokens here" if server["thinks"] else "none seen"
    taken = [what for what in ("temperature", "seed") if server[f"takes_{what}"]]
    return [
        (server["model"], f"answers, in {server['seconds']:.1f} s{unlisted}"),
        ("  JSON schemas", "kept by the server" if server["keeps_schema"] else "not kept by the server"),
        ("  pictures", "seen" if server["sees_pictures"] else f"not seen: {server['problem']}"),
        ("  context", context),
        ("  thoughts", thoughts),
        ("  tokens", "counted by the server" if server["counts_tokens"] else "not counted by the server"),
        ("  settings", f"takes {' and '.join(taken)}" if taken else "takes neither temperature nor seed"),
        ("synth generate", f"with --llm {server['model']}"),
        *((f"  {subject}", said) for subject, said in server["will_use"].items()),
    ]
