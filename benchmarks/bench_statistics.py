"""`synth stats` on a whole run: seconds, peak memory, and how that compares with reading the file alone.

Each figure is taken in a process of its own. `read` parses `conversations.jsonl` as JSON and does nothing with it;
with `--report`, `report` is the whole of `report.html`: the statistics, the page and its pictures.

    python benchmarks/bench_statistics.py [--run RUN] [--convs 7000] [--rounds 1] [--report]
"""

from __future__ import annotations

import argparse
import statistics as middle
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_S, GOAL_MB = 35, 1000
GOAL_REPORT_S, GOAL_REPORT_BYTES = 60, 3_000_000
_PEAK = """
import sys, time
def peak():
    try:
        import resource
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (1e6 if sys.platform == "darwin" else 1e3)
    except ImportError:
        return float("nan")
start, cpu = time.perf_counter(), time.process_time()
{work}
print(time.perf_counter() - start, time.process_time() - cpu, peak())
"""
_WORK = {
    "read": """
import json
with open(sys.argv[1] + "/conversations.jsonl", encoding="utf-8") as file:
    for line in file:
        json.loads(line)
""",
    "statistics": """
from pathlib import Path
from synth.analysis.statistics import statistics
json = statistics(Path(sys.argv[1])).to_json()
""",
    "report": """
from pathlib import Path
from synth.analysis.report import write_report
write_report(Path(sys.argv[1]), Path(sys.argv[2]))
""",
}


def measure(work: str, run: Path, rounds: int, *more: Path) -> tuple[float, float, float]:
    """Median seconds and seconds of CPU, and the greatest peak in MB, in fresh processes."""
    figures = []
    for _ in range(rounds):
        command = [sys.executable, "-c", _PEAK.format(work=_WORK[work]), str(run), *map(str, more)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures.append([float(figure) for figure in done.stdout.split()])
    seconds, cpu, memory = zip(*figures, strict=True)
    return middle.median(seconds), middle.median(cpu), max(memory)


def generate(place: Path, convs: int) -> Path:
    print(f"generating {convs:,} conversations offline …", flush=True)
    # Not in this process: on Linux its peak would be handed on to those that are measured.
    synth = [sys.executable, "-m", "synth"]
    subprocess.run([*synth, "catalog", "sample", "--out", str(place / "catalogue"), "--quiet"], check=True)
    settings = ["--catalog", str(place / "catalogue"), "--scenarios", "600", "--convs", str(convs), "--quiet"]
    subprocess.run([*synth, "generate", *settings, "--out", str(place / "run")], check=True)
    return place / "run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="This run, instead of a fresh one.")
    parser.add_argument("--convs", type=int, default=7_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="Measure the report, too.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or generate(Path(folder), arguments.convs)
        with (run / "conversations.jsonl").open("rb") as file:
            rows = sum(1 for _ in file)
        print(f"{rows:,} conversations")
        read = measure("read", run, arguments.rounds)
        found = measure("statistics", run, arguments.rounds)
        measured = {"read": read, "statistics": found}
        if arguments.report:
            page = Path(folder) / "report.html"
            measured["report"] = measure("report", run, arguments.rounds, page)
            size = page.stat().st_size
    for name, (seconds, cpu, memory) in measured.items():
        print(f"  {name:10} {seconds:6.1f} s, {cpu:6.1f} s of CPU, {memory:5.0f} MB at most")
    print(f"statistics: {found[0]:.1f} s (goal {GOAL_S} at 7,000), {found[2]:.0f} MB (goal {GOAL_MB}), ", end="")
    print(f"{found[1] / read[1]:.0f} times the CPU of reading, {1e3 * found[1] / rows:.2f} ms a conversation")
    if arguments.report:
        seconds, cpu, memory = measured["report"]
        print(f"statistics and report: {seconds:.1f} s (goal {GOAL_REPORT_S} at 7,000), {memory:.0f} MB ", end="")
        print(f"(goal {GOAL_MB}), {cpu / found[1]:.2f} times the CPU of the statistics; ", end="")
        print(f"{size / 1e6:.2f} MB of HTML (goal {GOAL_REPORT_BYTES / 1e6:g})")


if __name__ == "__main__":
    main()
