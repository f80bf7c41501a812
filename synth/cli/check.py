"""`synth check`: counts contradictions, leaks and repeats in a run; exits with 1 where one is not 0."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth.cli.plain import line
from synth.errors import Exit

if TYPE_CHECKING:
    from synth.analysis.check import Report
    from synth.analysis.diversity import Diversity
    from synth.analysis.profiles import Report as Profiles


def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or a file of profiles (MUSE's form).")],
    drafts: Annotated[bool, typer.Option("--drafts", help="Look at the drafts' wording, too.")] = False,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Examples to print of each check.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what should not be in a run's conversations."""
    from synth.analysis.check import check as check_run
    from synth.traces.run import RunFolder

    if run.is_file():
        _check_profiles(run, show=show, as_json=as_json)
        return
    report = check_run(RunFolder.open(run), drafts=drafts, show=show)
    if as_json:
        import json

        print(json.dumps(_as_dict(report), indent=2, ensure_ascii=False))
    else:
        _print(report, run)
    if not report.clean:
        raise typer.Exit(Exit.CHECK_FAILED)


def _check_profiles(path: Path, *, show: int, as_json: bool) -> None:
    """Contradictions in a file's profiles, where it is no run."""
    from synth.analysis.profiles import check_profiles
    from synth.corpora.readers import read

    report = check_profiles(read(path), show=show)
    if as_json:
        import json

        print(json.dumps(_as_dict(report), indent=2, ensure_ascii=False))
    else:
        print(f"{path}: {report.profiles:,} profiles")
        _print_counts(report)
    if not report.clean:
        raise typer.Exit(Exit.CHECK_FAILED)


def _as_dict(report: Report | Profiles) -> dict[str, Any]:
    from dataclasses import asdict

    examples = {
        name: [{"conversation": f.conversation, "turn": f.turn, "what": f.what} for f in findings]
        for name, findings in report.examples.items()
        if findings
    }
    return {**asdict(report), "clean": report.clean, "examples": examples}


def _print(report: Report, run: Path) -> None:
    print(
        f"{run}: {report.conversations:,} conversations, {report.turns:,} turns, "
        f"{report.prompts:,} assistant-side prompts"
    )
    _print_counts(report)
    if report.diversity:
        _print_diversity(report.diversity, report.offline)


def _print_counts(report: Report | Profiles) -> None:
    for name, count in report.counts.items():
        print(f"{name}: {count}")
        for finding in report.examples[name]:
            place = "" if finding.turn is None else f", turn {finding.turn}"
            print(f"  {line(finding.conversation)}{place}: {line(finding.what)}")
    failed = sum(count > 0 for count in report.counts.values())
    print(f"All {len(report.counts)} counts are 0." if not failed else f"{failed} of {len(report.counts)} are not 0.")


def _print_diversity(diversity: Diversity, offline: bool) -> None:
    figures = [f"Distinct-{n} {value:.3f}" for n, value in diversity.distinct.items()]
    print(
        f"\n{', '.join(figures)}; {diversity.utterances:.2f} utterances a conversation, "
        f"{diversity.words:.1f} words a turn{' (written by the offline simulator)' if offline else ''}"
    )
    for ngram in diversity.top[:1]:
        print(f'Most frequent 4-gram: "{ngram.text}", in {ngram.share:.2%} of turns')
