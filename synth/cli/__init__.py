"""The `synth` command: one file per command.

A command's file imports nothing heavy at its top; what it needs is imported inside its function, so that
`synth --help` stays instant.
"""

from __future__ import annotations

import errno
import sys

import typer

from synth import __version__
from synth.cli import (
    catalog,
    check,
    doctor,
    eval,
    export,
    generate,
    index,
    init,
    judge,
    judgements,
    merge,
    muse_train,
    recommend,
    report,
    run,
    stats,
    trace,
    train,
    train_ablation,
    train_stages,
    view,
)
from synth.errors import Exit, SynthError

_ABOUT_PLACES = (
    *(errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG),
)
"""What the disk refuses for a reason that the user can see to; anything else is a fault of the program."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SYNTH", "help_option_names": ["-h", "--help"]},
    help="Synthesise multimodal shopping conversations with a team of LLM agents, and see how every line came about.",
)
# Commands in the order of the work: prepare, generate, look, judge, count, pass on, train, recommend.
app.command("init")(init.init)
app.add_typer(catalog.app, name="catalog")
app.add_typer(index.app, name="index")
app.command("generate")(generate.generate)
run.app.command("merge")(merge.merge)
app.add_typer(run.app, name="run")
app.command("view")(view.view)
app.add_typer(trace.app, name="trace")
app.command("judge")(judge.judge)
app.add_typer(judgements.app, name="judgements")
app.command("check")(check.check)
app.command("stats")(stats.stats)
app.command("report")(report.report)
app.command("export")(export.export)
train.app.command("distill")(train_stages.distill)
train.app.command("features")(train.features)
train.app.command("recommend")(train_stages.recommend)
train.app.command("ablations")(train_ablation.ablations)
train.app.command("muse")(muse_train.muse)
app.add_typer(train.app, name="train")
app.command("recommend")(recommend.recommend)
app.add_typer(eval.app, name="eval")
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and exit.")
) -> None:
    ctx.default_map = {**init.settings(), **(ctx.default_map or {})}
    if version:
        print(f"synth {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line; a user's mistake is one line on stderr, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        app()
    except SynthError as error:
        print(f"synth: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("synth: interrupted.", file=sys.stderr)
        raise SystemExit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(Exit.DONE) from None
    except OSError as error:
        if error.errno not in _ABOUT_PLACES:
            raise
        print(f"synth: {error.strerror}: {error.filename or 'while writing'}.", file=sys.stderr)
        raise SystemExit(Exit.BAD_INPUT) from None
