"""Generation end to end: time, memory, and what the data looks like.

    python benchmarks/bench_generate.py [--convs 7000] [--half]

Runs `synth generate` in a process of its own on the drawn sample catalogue and, where SYNTH_TEST_DATA names a folder
with `fashion/products.csv`, on that catalogue; prints seconds, peak memory, endings, utterances, Distinct-4, the most
frequent 4-gram, and what `synth check` counts. Each size is compared with a seventh of it, so that the growth of the
cost can be read as a ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synth.analysis.diversity import diversity
from synth.traces.run import RunFolder


def measured(*arguments: str, cwd: Path) -> tuple[float, float, str]:
    """(seconds, peak MB, stdout) of a `synth` command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "synth", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"synth {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, out


def bench(name: str, catalogue: Path, convs: int, cwd: Path) -> None:
    seconds: dict[int, float] = {}
    for size in (max(convs // 7, 1), convs):
        run = cwd / f"{name}-{size}"
        took, peak, out = measured(
            *("generate", "--catalog", str(catalogue), "--scenarios", "600", "--convs", str(size)),
            *("--out", str(run), "--json"),
            cwd=cwd,
        )
        seconds[size] = took
        facts = json.loads(out)
        endings = {ending: n / facts["accepted"] for ending, n in facts["endings"].items()}
        print(f"{name}: {facts['accepted']} conversations of {facts['drawn']} draws, {facts['calls']} calls")
        print(f"  {took:.0f} s, {1000 * took / facts['calls']:.2f} ms a call, peak {peak:.0f} MB")
        print(
            f"  {facts['utterances']} utterances a conversation; "
            + ", ".join(f"{k} {v:.1%}" for k, v in endings.items())
        )
    small, large = sorted(seconds)
    times = seconds[large] / seconds[small]
    print(f"  {large} against {small}: {times:.2f} times the time for {large / small:.2f} times the rows")
    found = diversity(RunFolder.open(run).conversations())
    distinct = ", ".join(f"Distinct-{n} {share:.3f}" for n, share in found.distinct.items())
    top = found.top[0]
    print(
        f"  {distinct}; {found.words:.1f} words a turn; most frequent 4-gram {top.text!r} in {top.share:.2%} of turns"
    )
    took, peak, out = measured("check", str(run), "--json", cwd=cwd)
    counts = json.loads(out)["counts"]
    broken = {name: count for name, count in counts.items() if count} or "0 everywhere"
    print(f"  check in {took:.0f} s, peak {peak:.0f} MB, {len(counts)} counts: {broken}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--convs", type=int, default=7000)
    arguments.add_argument("--keep", type=Path, help="work in this folder and leave the runs there")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cwd = given.keep or Path(temporary)
        cwd.mkdir(parents=True, exist_ok=True)
        took, _, _ = (
            measured("catalog", "sample", "--out", "sample", cwd=cwd) if not (cwd / "sample").exists() else (0, 0, "")
        )
        print(f"drawing the sample catalogue: {took:.0f} s")
        bench("sample", cwd / "sample", given.convs, cwd)
        root = os.environ.get("SYNTH_TEST_DATA")
        if not root:
            print("real catalogue: skipped, SYNTH_TEST_DATA is not set")
            return
        if not (cwd / "fashion").exists():
            took, _, _ = measured("catalog", "import", f"{root}/fashion/products.csv", "--out", "fashion", cwd=cwd)
            print(f"importing the real catalogue: {took:.0f} s")
        bench("fashion", cwd / "fashion", given.convs, cwd)


if __name__ == "__main__":
    main()
